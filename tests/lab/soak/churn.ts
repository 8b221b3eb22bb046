// What a busy program does, in small rounds. Each round leaves nothing, and checks what it got.

import net from "node:net";
import { assert, assertEquals } from "@std/assert";
import { socket, task, tls } from "../../../mod.ts";
import { assertSame, randomBytes, receive, receiveAll, textOf } from "../../bytes.ts";
import type { Random } from "../../random.ts";
import { codeOf } from "../../settle.ts";
import { authority, pair as certificate } from "../../tls/helpers.ts";
import { type Engine, engines } from "../engines.ts";
import { runCase } from "../run.ts";
import { makeCase } from "../schedule.ts";

/** What rounds share. */
export interface Surroundings {
  readonly random: Random;
  /** It lives as long as everything, and never aborts. */
  readonly signal: AbortSignal;
  /** Where Unix sockets may be. */
  readonly folder: string;
}

let paths = 0;

/** Connects over any engine, and hands over both ends and their listener; then closes them. */
async function connected(
  { random, signal, folder }: Surroundings,
  use: (client: socket.SocketId, peer: socket.SocketId, server: socket.SocketId) => unknown,
  engine: Engine = random.pick(engines),
): Promise<void> {
  const server = engine.listen(`${folder}/${++paths}`);
  const patience = { timeout: 30_000, signal };
  const accepting = task.await(socket.accept(server), { signal, timeout: 30_000, cancel: true });
  const [client, peer] = await Promise.all([
    engine.connect(socket.getlocal(server), patience),
    accepting.then(async (id) => {
      await engine.accepted?.(id, patience);
      return id;
    }),
  ]);
  try {
    await use(client, peer, server);
  } finally {
    [client, peer, server].forEach(socket.close);
  }
}

/** A round of one kind. */
export type Round = (around: Surroundings) => Promise<void>;

/** A few bytes, or many. */
function someBytes(random: Random): Uint8Array {
  return randomBytes(Math.ceil(2 ** (random.next() * 17)));
}

const exchange: Round = (around) =>
  connected(around, async (client, peer) => {
    const { random } = around;
    const [up, down] = [someBytes(random), someBytes(random)];
    const sending = [socket.send(client, up), socket.send(peer, down)];
    const [atPeer, atClient] = await Promise.all([
      receive(peer, up.length),
      receive(client, down.length),
    ]);
    assertSame(atPeer, up, "up");
    assertSame(atClient, down, "down");
    assertEquals(await task.all(sending), [up.length, down.length]);
    if (random.oneIn(2)) return;
    // Ends that are gentle, one-sided, or left to the other.
    const finishing = socket.finish(client, { timeout: 10_000 });
    if (random.oneIn(2)) await task.all([finishing, socket.finish(peer)]);
    else {
      assertEquals(await task.await(socket.recvLine(peer)), null);
      socket.close(peer);
      await task.await(finishing);
    }
  });

const cancels: Round = (around) =>
  connected(around, async (client, peer, server) => {
    const { random, signal } = around;
    for (let n = 0; n < 20; n++) {
      const id = random.pick([client, peer]);
      const receiving: task.TaskId = random.pick([
        () => socket.recv(id),
        () => socket.recvInto(id, new Uint8Array(random.pick([10, 20_000]))),
        () => socket.recvExact(id, 100),
        () => socket.recvUntil(id, "\n"),
        () => socket.recvLine(id),
        () => socket.accept(server),
      ])();
      const timeout = random.integer(0, 2);
      if (random.oneIn(2)) {
        await task.await(receiving, { timeout, signal, cancel: true }).catch(expectTimeout);
      } else {
        await task.await(receiving, { timeout, signal }).catch(expectTimeout);
        assertEquals(task.cancel(receiving), true);
        task.forget(receiving);
      }
    }
    socket.send(client, "after all of them");
    assertEquals(textOf(await receive(peer, 17)), "after all of them");
  });

function expectTimeout(error: unknown): void {
  assert(error instanceof task.TimeoutError, String(error));
}

const abortedConnects: Round = async ({ random }) => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const address = socket.getlocal(server);
  const controller = new AbortController();
  const { signal } = controller;
  const attempts = [
    socket.tcpconnect(...address, { signal }),
    tls.tcpconnect(...address, "localhost", { signal }), // nobody answers
    tls.tcpconnect(...address, "localhost", { timeout: random.integer(0, 20) }),
    task.await(tls.connect(...address, "localhost"), { timeout: 5, cancel: true }),
  ];
  const outcomes = Promise.allSettled(attempts);
  if (random.oneIn(2)) await task.sleep(random.integer(0, 10));
  controller.abort();
  for (const outcome of await outcomes) {
    if (outcome.status === "fulfilled") socket.close(outcome.value);
  }
  socket.close(server);
};

const serves: Round = async ({ random, folder, signal: lasting }) => {
  const engine = random.pick(engines.filter(({ accepted }) => accepted === undefined));
  const server = engine.listen(`${folder}/${++paths}`);
  const errors: unknown[] = [];
  let begun = 0;
  const serving = socket.serve(server, async (id, { signal }) => {
    begun++;
    const line = await task.await(socket.recvLine(id));
    if (line === "throw") throw new Error("as it was told");
    if (line === "stay") await task.sleep(60_000, { signal }).catch(() => {});
    if (line === "hang") await new Promise(() => {});
    if (line === "wait") await task.await(socket.recv(id), { timeout: 60_000, signal: lasting });
    socket.send(id, `${line}\n`.repeat(1000));
  }, { grace: 30, maxConnections: 8, onError: (error) => errors.push(error) });
  const told = ["echo", "throw", "stay", "hang", "wait"];
  const clients: socket.SocketId[] = [];
  const patience = { timeout: 30_000, signal: lasting };
  for (let n = random.integer(1, 6); n > 0; n--) {
    const client = await engine.connect(socket.getlocal(server), patience);
    clients.push(client);
    const line = random.pick(told);
    await task.await(socket.send(client, `${line}\n`));
    if (line === "echo") assertEquals((await receiveAll(client)).length, 5000);
  }
  if (random.oneIn(2)) clients.splice(0).forEach(socket.close);
  if (random.oneIn(2)) {
    task.cancel(serving);
    task.forget(serving);
    while (socket.inspect(server)?.pending.length !== 0) await task.sleep(1);
    socket.close(server);
    await task.sleep(40);
  } else {
    socket.close(server);
    await task.await(serving);
  }
  clients.forEach(socket.close);
  assert(begun <= 6);
  for (const error of errors) {
    const { message, name } = error as Error;
    assert(message === "as it was told" || name === "SocketError", `${error}`);
  }
};

const badHandshakes: Round = async ({ random }) => {
  const server = tls.tcpserver("127.0.0.1", 0, { ...certificate, handshakeTimeout: 3000 });
  const accepting = tls.accept(server);
  const [host, port] = tls.getlocal(server);
  const silent = net.connect(port, host);
  silent.on("error", () => {});
  const rude = net.connect(port, host);
  rude.on("error", () => {});
  rude.write(random.oneIn(2) ? "GET / HTTP/1.1\r\n\r\n" : "\x16\x03\x01\x02\x00\x01\x00");
  const ca = authority.cert;
  const codes = await Promise.all([
    tls.tcpconnect(host, port, "localhost").then(String, (error) => error.code),
    tls.tcpconnect(host, port, "other.test", { ca }).then(String, (error) => error.code),
  ]);
  assertEquals(codes, ["UNABLE_TO_GET_ISSUER_CERT", "ERR_TLS_CERT_ALTNAME_INVALID"]);
  const client = await tls.tcpconnect(host, port, "localhost", { ca });
  socket.close(await task.await(accepting));
  socket.close(client);
  if (random.oneIn(3)) { while (inspectHandshakes(server) > 0) await task.sleep(5); }
  socket.close(server);
  await Promise.all([silent, rude].map((end) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (end.closed) resolve();
    else end.once("close", () => resolve());
    end.destroy();
    return promise;
  }));
};

function inspectHandshakes(server: socket.SocketId): number {
  return (socket.inspect(server) as socket.ListenerRecord).handshaking;
}

const refusedStarttls: Round = async ({ random }) => {
  const [a, b] = await socket.pair();
  const [client, peer] = socket.getside(a) === "client" ? [a, b] : [b, a];
  if (random.oneIn(2)) socket.peek(client);
  const upgrades = [
    socket.starttls(client, { host: "localhost", timeout: 20_000 }), // trusts nobody
    socket.starttls(peer, certificate),
  ];
  if (random.oneIn(4)) task.cancel(upgrades[0]);
  const codes = await Promise.all(upgrades.map(codeOf));
  assert(!codes.some((code) => code.startsWith("completed")) || codes[0] !== "completed with true");
  [a, b].forEach(socket.close);
};

const queues: Round = (around) =>
  connected(around, async (client, peer) => {
    const { signal } = around;
    using queue = task.completions();
    const data = randomBytes(5000);
    for (let at = 0; at < 5000; at += 100) queue.add(socket.recv(peer, 100));
    for (let at = 0; at < 5000; at += 250) {
      queue.add(socket.send(client, data.subarray(at, at + 250)));
    }
    const got: number[] = [];
    while (got.length < 4000) {
      await queue.wait({ signal, timeout: 30_000 });
      for (let outcome; (outcome = queue.take()) !== undefined;) {
        assertEquals(outcome.status, "Completed");
        if (outcome.status === "Completed" && outcome.value instanceof Uint8Array) {
          got.push(...outcome.value);
          queue.add(socket.recv(peer, 100));
        }
      }
    }
    assertSame(new Uint8Array(got), data.subarray(0, got.length), "through a queue");
    // Some wait, some run, when it goes.
  });

const channels: Round = async ({ random, signal }) => {
  const channel = task.channel<number>(random.integer(0, 4));
  const mutex = task.mutex();
  let [sum, inside] = [0, 0];
  const consumers = Array.from({ length: 3 }, () =>
    task.spawn(async () => {
      for (let value; (value = await channel.recv({ signal })) !== null;) {
        await mutex.synchronize(async () => {
          assertEquals(++inside, 1);
          if (random.oneIn(4)) await Promise.resolve();
          sum += value!;
          inside--;
        });
      }
    }));
  const aborted = AbortSignal.abort();
  await channel.send(5, { signal: aborted }).catch(() => {});
  for (let n = 1; n <= 100; n++) await channel.send(n, { signal });
  const never = task.channel<number>();
  const late = task.after(60_000);
  await task.select([never, late], { timeout: 0, signal }).catch(expectTimeout);
  channel.close();
  await task.all(consumers);
  assertEquals(sum, 5050);
  const [one, other] = [task.after(random.integer(0, 3)), task.after(60_000)];
  assertEquals(await task.settled([one, other], { signal, timeout: 30_000 }), [one]);
  const { id } = await task.race([one, other]);
  assertEquals(id, one);
  const ticking = task.interval(1, () => {});
  await task.sleep(2, { signal });
  for (const id of [late, other, ticking]) {
    assertEquals(task.cancel(id), true);
    task.forget(id);
  }
};

const relays: Round = (around) =>
  connected(around, (client, peer) =>
    connected(around, async (next, last) => {
      const relaying = socket.relay(peer, next);
      const [up, down] = [someBytes(around.random), someBytes(around.random)];
      socket.send(client, up);
      socket.send(last, down);
      if (around.random.oneIn(4)) {
        assertEquals(task.cancel(relaying), true);
        task.forget(relaying);
        return;
      }
      [client, last].forEach((id) => socket.shutdown(id));
      const [atLast, atClient] = await Promise.all([receiveAll(last), receiveAll(client)]);
      assertSame(atLast, up, "relayed");
      assertSame(atClient, down, "relayed back");
      assertEquals(await task.await(relaying), [up.length, down.length]);
    }));

const streams: Round = (around) =>
  connected(around, async (client, peer) => {
    const { readable, writable } = socket.streams(peer);
    const echoing = readable.pipeTo(writable).catch((error) => error);
    const data = someBytes(around.random);
    socket.send(client, data);
    assertSame(await receive(client, data.length), data, "piped");
    if (around.random.oneIn(2)) {
      socket.shutdown(client);
      assertEquals((await receiveAll(client)).length, 0);
    } else socket.close(client);
    await echoing;
  });

const bsd: Round = async ({ random, signal }) => {
  const server = socket.create(socket.AF_INET, socket.SOCK_STREAM);
  socket.setsockopt(server, socket.SOL_SOCKET, socket.SO_REUSEADDR);
  socket.bind(server, "127.0.0.1", 0);
  socket.listen(server, 5);
  const client = socket.create(socket.AF_INET, socket.SOCK_STREAM);
  const connecting = socket.connect(client, ...socket.getlocal(server));
  if (random.oneIn(4)) task.cancel(connecting);
  else {
    await task.await(connecting, { signal });
    const peer = await task.await(socket.accept(server), { signal });
    socket.send(peer, "bye");
    assertEquals(textOf(await task.await(socket.recv(client))), "bye");
    socket.close(peer);
  }
  task.forget(connecting);
  [client, server].forEach(socket.close);
};

/** What nobody claims, and what nobody waits for. */
const careless: Round = (around) =>
  connected(around, async (client, peer, server) => {
    task.spawn(() => "unclaimed");
    task.forget(task.spawn(() => Promise.reject(new Error("ignored"))));
    for (let n = 0; n < 30; n++) socket.send(client, "unclaimed");
    socket.recv(peer, 9);
    socket.recv(peer, 9);
    task.forget(socket.recv(peer, 9));
    socket.accept(server);
    await task.sleep(around.random.integer(0, 3));
  });

/** A connection that goes wrong as in the laboratory. */
const faults: Round = async ({ random }) => {
  await runCase(makeCase(random.integer(0, 2 ** 31)));
};

export const rounds: Readonly<Record<string, Round>> = {
  exchange,
  cancels,
  abortedConnects,
  serves,
  badHandshakes,
  refusedStarttls,
  queues,
  channels,
  relays,
  streams,
  bsd,
  careless,
  faults,
};
