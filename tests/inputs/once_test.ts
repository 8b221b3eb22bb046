// Options are read once: what was checked is what counts, whatever a getter gives when it is asked again.

import { assertEquals, assertRejects } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { held, leaveNothing, makePair, outcome, turn } from "../task/helpers.ts";

leaveNothing();

/** Options whose getters give something good at the first look, and something bad at all others. */
function fickle(good: Record<string, unknown>, bad: Record<string, unknown>) {
  const looks: Record<string, number> = {};
  const options = {};
  for (const name of Object.keys(good)) {
    looks[name] = 0;
    Object.defineProperty(options, name, {
      enumerable: true,
      get: () => looks[name]++ === 0 ? good[name] : bad[name],
    });
  }
  return { options, looks };
}

const AGAIN = { timeout: 1e12, signal: "a signal", cancel: "yes", noDelay: "no" };
const live = new AbortController().signal;
const aborted = AbortSignal.abort(new Error("no"));

/** Calls that wait, each of which settles at once, or goes on until its task, its peer or its lock does. */
const waits: Record<string, [string[], (options: object) => Promise<unknown>]> = {
  "await()": [["timeout", "signal", "cancel"], async (options) => {
    const one = held();
    const waiting = task.await(one.id, options);
    await turn();
    one.resolve(1);
    return waiting;
  }],
  "settled()": [["timeout", "signal"], async (options) => {
    const one = held();
    const waiting = task.settled([one.id], options);
    await turn();
    one.resolve(1);
    await waiting;
    return task.await(one.id);
  }],
  "select()": [["timeout", "signal"], async (options) => {
    const one = held();
    const waiting = task.select([one.id], options);
    await turn();
    one.resolve(1);
    return (await waiting).value;
  }],
  "wait()": [["timeout", "signal"], async (options) => {
    const one = held();
    const waiting = task.wait(options);
    await turn();
    one.resolve(1);
    await waiting;
    return task.await(one.id);
  }],
  "CompletionQueue.wait()": [["timeout", "signal"], async (options) => {
    const one = held();
    using queue = task.completions();
    queue.add(one.id);
    const waiting = queue.wait(options);
    await turn();
    one.resolve(1);
    await waiting;
    const taken = queue.take();
    return taken?.status === "Completed" ? taken.value : taken;
  }],
  "Mutex.acquire()": [["timeout", "signal"], async (options) => {
    const lock = task.mutex();
    await lock.acquire();
    const waiting = lock.acquire(options);
    await turn();
    lock.release();
    await waiting;
    return 1;
  }],
  "Channel.recv()": [["signal"], async (options) => {
    const channel = task.channel();
    const waiting = channel.recv(options);
    await turn();
    channel.trySend(1);
    return waiting;
  }],
  "Channel.send()": [["signal"], async (options) => {
    const channel = task.channel(1);
    channel.trySend(1);
    const waiting = channel.send(2, options);
    await turn();
    const first = channel.recv();
    await waiting;
    return first;
  }],
  "sleep()": [["signal"], async (options) => {
    await task.sleep(1, options);
    return 1;
  }],
  "connect()": [["timeout", "signal", "noDelay"], async (options) => {
    const server = socket.tcpserver("127.0.0.1", 0);
    const client = await socket.tcpconnect(...socket.getlocal(server), options);
    [client, server].forEach(socket.close);
    return 1;
  }],
  "unixconnect()": [["timeout", "signal"], async (options) => {
    const folder = await Deno.makeTempDir({ prefix: "taskio_" });
    const server = socket.unixserver(`${folder}/s`);
    const client = await socket.unixconnect(`${folder}/s`, options);
    [client, server].forEach(socket.close);
    await Deno.remove(folder);
    return 1;
  }],
  "finish()": [["timeout"], async (options) => {
    using pair = await makePair();
    const finishing = socket.finish(pair.client, options);
    await turn();
    socket.shutdown(pair.peer);
    await task.await(finishing);
    task.list().forEach(task.forget);
    return 1;
  }],
};

const GOOD = { timeout: 20_000, signal: live, cancel: true, noDelay: true };

for (const [name, [known, run]] of Object.entries(waits)) {
  Deno.test(`${name} reads each option once, and never what it did not check`, async () => {
    const pick = (from: Record<string, unknown>) =>
      Object.fromEntries(known.map((option) => [option, from[option]]));
    const { options, looks } = fickle(pick(GOOD), pick(AGAIN));
    assertEquals(await run(options), 1);
    assertEquals(looks, Object.fromEntries(known.map((option) => [option, 1])));
  });
}

Deno.test("tcpserver() of both kinds reads each option once", () => {
  const listeners = [
    [socket.tcpserver, {
      backlog: 5,
      reusePort: false,
      proxyProtocol: false,
      handshakeTimeout: 10,
    }],
    [tls.tcpserver, {
      backlog: 5,
      native: true,
      proxyProtocol: false,
      handshakeTimeout: 10,
      requestCert: false,
    }],
  ] as const;
  for (const [listen, good] of listeners) {
    const { options, looks } = fickle(good, { ...good, backlog: "many", proxyProtocol: "yes" });
    socket.close(listen("127.0.0.1", 0, options));
    assertEquals(looks, Object.fromEntries(Object.keys(good).map((name) => [name, 1])));
  }
});

/** A signal that has not aborted when it is asked first, and has when it is asked again. */
function turning(): AbortSignal {
  const { signal } = new AbortController();
  let looks = 0;
  Object.defineProperties(signal, {
    aborted: { get: () => looks++ > 0 },
    reason: { value: aborted.reason },
  });
  return signal;
}

Deno.test("Channel.recv() that is given up before it waits takes nothing", async () => {
  const channel = task.channel<number>();
  const giving = outcome(channel.recv({ signal: turning() }));
  await turn();
  assertEquals(giving, { state: "rejected", value: aborted.reason });
  channel.trySend(1);
  assertEquals(channel.tryRecv(), [true, 1]);
});

Deno.test("Channel.send() that is given up before it waits gives nothing", async () => {
  const channel = task.channel<number>(1);
  channel.trySend(1);
  await assertRejects(() => channel.send(2, { signal: turning() }), Error, "no");
  assertEquals([channel.tryRecv(), channel.tryRecv()], [[true, 1], [false, undefined]]);
});
