// Unclaimed results are bounded, and what would be a loss is not dropped.

import { assertEquals, assertLess } from "@std/assert";
import { socket, task } from "../../mod.ts";
import {
  completed,
  drain,
  held,
  leaveNothing,
  LIMIT,
  makePair,
  recvText,
  runProgram,
} from "./helpers.ts";

leaveNothing();

/** Settles more tasks than any limit that these tests set. */
async function flood(count = 20): Promise<void> {
  for (let i = 0; i < count; i++) task.spawn(() => i);
  await drain();
}

const dropAll = () => task.list().forEach(task.forget);

/** A recv that holds bytes and an accept that holds a connection, both unclaimed. */
async function makeHolders() {
  const pair = await makePair();
  const receiving = socket.recv(pair.client);
  const accepting = socket.accept(pair.server);
  socket.send(pair.peer, "held");
  const caller = await socket.tcpconnect(...socket.getlocal(pair.server));
  await task.wait();
  return { pair, receiving, accepting, caller };
}

Deno.test("setUnclaimedLimit() gives the limit until now, 65,536 at the start", () => {
  assertEquals(task.setUnclaimedLimit(10), LIMIT);
  assertEquals(task.setUnclaimedLimit(0), 10);
  assertEquals(task.setUnclaimedLimit(2 ** 32 - 1), 0);
  assertEquals(task.setUnclaimedLimit(LIMIT), 2 ** 32 - 1);
});

Deno.test("setUnclaimedLimit() keeps 65,536 results when it was never called", async () => {
  const ids = Array.from({ length: LIMIT + 3 }, (_, i) => task.spawn(() => i));
  await drain();
  assertEquals(task.list().length, LIMIT);
  assertEquals(ids.slice(0, 4).map(task.status), ["Unknown", "Unknown", "Unknown", "Completed"]);
  assertEquals(await task.await(ids[LIMIT + 2]), LIMIT + 2);
  dropAll();
});

Deno.test("setUnclaimedLimit() drops the result that settled first when there is one too many", async () => {
  task.setUnclaimedLimit(3);
  const tasks = [held(), held(), held(), held(), held()];
  for (const i of [3, 0, 4, 1, 2]) {
    tasks[i].resolve(i);
    await drain();
  }
  assertEquals(tasks.map(({ id }) => task.status(id)), [
    "Unknown",
    "Completed",
    "Completed",
    "Unknown",
    "Completed",
  ]);
  assertEquals(await task.await(tasks[4].id), 4); // which makes room for one
  const more = await completed(5);
  assertEquals(task.list(), [tasks[1].id, tasks[2].id, more]);
  dropAll();
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("setUnclaimedLimit() drops the oldest at once when it is lowered", async () => {
  const ids = [await completed(1), await completed(2), await completed(3)];
  task.setUnclaimedLimit(1);
  assertEquals(ids.map(task.status), ["Unknown", "Unknown", "Completed"]);
  task.setUnclaimedLimit(0);
  assertEquals(task.list(), []);
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("setUnclaimedLimit() neither counts nor drops what is Running or awaited", async () => {
  task.setUnclaimedLimit(1);
  const tasks = Array.from({ length: 50 }, () => held<number>());
  const kept = await completed("kept");
  const waits = tasks.map(({ id }) => task.await(id));
  assertEquals(task.list().length, 51);
  tasks.forEach(({ resolve }, i) => resolve(i));
  assertEquals(await Promise.all(waits), tasks.map((_, i) => i));
  assertEquals(await task.await(kept), "kept");
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("setUnclaimedLimit() lets all() have its results when one of them is dropped", async () => {
  task.setUnclaimedLimit(0);
  const [one, two] = [held<number>(), held<number>()];
  const waiting = task.all([one.id, two.id]);
  one.resolve(1);
  await drain();
  assertEquals(task.status(one.id), "Unknown");
  two.resolve(2);
  assertEquals(await waiting, [1, 2]);
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("a recv that holds bytes and an accept that holds a connection stay when the limit is passed", async () => {
  const { pair, receiving, accepting, caller } = await makeHolders();
  task.setUnclaimedLimit(2);
  await flood();
  task.setUnclaimedLimit(0);
  assertEquals(task.list(), [receiving, accepting]);
  assertEquals(new TextDecoder().decode(await task.await(receiving)), "held");
  const accepted = await task.await(accepting);
  assertEquals(socket.getpeer(accepted), socket.getlocal(caller));
  [caller, accepted].forEach(socket.close);
  pair[Symbol.dispose]();
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("a recv that holds bytes and an accept that holds a connection go when they are forgotten", async () => {
  const { pair, receiving, accepting, caller } = await makeHolders();
  task.setUnclaimedLimit(0);
  [receiving, accepting].forEach(task.forget);
  assertEquals(task.list(), []);
  assertEquals(await recvText(caller), "");
  socket.close(caller);
  pair[Symbol.dispose]();
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("a recv that holds bytes is like any other result when its socket is closed", async () => {
  const { pair, receiving, accepting, caller } = await makeHolders();
  task.setUnclaimedLimit(3);
  await flood();
  socket.close(pair.client);
  assertEquals(task.status(receiving), "Completed");
  assertEquals(new TextDecoder().decode(task.result(receiving)), "held");
  await flood(3);
  assertEquals(task.status(receiving), "Unknown");
  assertEquals(task.status(accepting), "Completed");
  dropAll();
  socket.close(caller);
  pair[Symbol.dispose]();
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("a recvInto that holds bytes stays when the limit is passed, however they came to it", async () => {
  using pair = await makePair();
  const { client, peer } = pair;
  const into = (size: number) => {
    const buffer = new Uint8Array(size);
    return { id: socket.recvInto(client, buffer), buffer };
  };
  const waits = into(10);
  socket.send(peer, "waits");
  await task.wait();
  const direct = into(100_000); // read into straight by the system
  socket.send(peer, "right");
  await task.wait();
  socket.unrecv(client, "pushd");
  const pushed = into(10);
  socket.send(peer, "twice so");
  const first = await task.await(socket.recv(client, 3));
  const buffered = into(5);
  const none = socket.shutdown(peer);
  task.setUnclaimedLimit(0);
  await flood();
  const held = [waits, direct, pushed, buffered];
  assertEquals(task.list().sort((a, b) => a - b), held.map(({ id }) => id));
  const texts = held.map(({ id, buffer }) => {
    const outcome = task.take(id);
    const count = outcome?.status === "Completed" ? outcome.value : 0;
    return new TextDecoder().decode(buffer.subarray(0, count));
  });
  assertEquals([new TextDecoder().decode(first), ...texts], [
    "twi",
    "waits",
    "right",
    "pushd",
    "ce so",
  ]);
  assertEquals(task.status(none), "Unknown");
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("a recvInto at the end of the stream holds nothing and goes when the limit is passed", async () => {
  using pair = await makePair();
  await task.await(socket.shutdown(pair.peer));
  await task.await(socket.ready(pair.client));
  task.setUnclaimedLimit(1);
  const ended = socket.recvInto(pair.client, new Uint8Array(10));
  assertEquals([task.status(ended), task.result(ended)], ["Completed", 0]);
  await flood(2);
  assertEquals(task.status(ended), "Unknown");
  dropAll();
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("a recvExact of no bytes holds nothing and goes when the limit is passed", async () => {
  using pair = await makePair();
  task.setUnclaimedLimit(1);
  const none = socket.recvExact(pair.client, 0);
  assertEquals(task.status(none), "Completed");
  await flood(2);
  assertEquals(task.status(none), "Unknown");
  dropAll();
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("a recv that holds bytes goes with its socket when there is no room", async () => {
  const { pair, receiving, caller } = await makeHolders();
  task.setUnclaimedLimit(0);
  assertEquals(task.status(receiving), "Completed");
  socket.close(pair.client);
  assertEquals(task.status(receiving), "Unknown");
  socket.close(caller);
  pair[Symbol.dispose]();
  assertEquals(task.list(), []);
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("an accept that holds a connection goes and closes it when its listener is closed", async () => {
  const { pair, receiving, accepting, caller } = await makeHolders();
  socket.close(pair.server);
  assertEquals([accepting, receiving].map(task.status), ["Unknown", "Completed"]);
  assertEquals(await recvText(caller), "");
  socket.close(caller);
  pair[Symbol.dispose]();
  dropAll();
});

Deno.test("a recv that holds nothing and one that Faulted go when the limit is passed", async () => {
  const pair = await makePair();
  socket.shutdown(pair.peer);
  const ended = socket.recv(pair.client);
  const refused = socket.recv(0);
  await task.wait();
  assertEquals([ended, refused].map(task.status), ["Completed", "Faulted"]);
  task.setUnclaimedLimit(2);
  await flood();
  assertEquals([ended, refused].map(task.status), ["Unknown", "Unknown"]);
  pair[Symbol.dispose]();
  dropAll();
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("a million tasks, 100,000 sends and a busy channel run in flat memory when nobody claims them", async () => {
  const { code, stdout, stderr } = await runProgram(
    `
    async function spawnMany(count: number) {
      for (let i = 0; i < count; i += 1000) {
        for (let j = 0; j < 1000; j++) task.spawn(() => ({ i, j }));
        await task.wait();
      }
    }
    const server = socket.tcpserver("127.0.0.1", 0);
    const client = await socket.tcpconnect(...socket.getlocal(server));
    const peer = await task.await(socket.accept(server));
    async function sendMany(count: number) {
      for (let i = 0; i < count; i += 1000) {
        let last = 0;
        for (let j = 0; j < 1000; j++) last = socket.send(client, "x");
        await task.await(last);
      }
    }
    function heap(): number {
      (globalThis as any).gc();
      return Deno.memoryUsage().heapUsed;
    }
    await spawnMany(200_000);
    const before = heap();
    await spawnMany(800_000);
    const spawned = heap();
    const sink = task.spawn(async () => {
      let sum = 0;
      for (let n = 1; n > 0; sum += n) n = (await task.await(socket.recv(peer, 65536))).length;
      return sum;
    });
    await sendMany(100_000);
    const sent = heap();
    const channel = task.channel<number>();
    for (let i = 0; i < 10; i++) channel.trySend(i);
    for (let i = 0; i < 8_000_000; i++) {
      channel.trySend(i);
      channel.tryRecv();
    }
    const passed = heap();
    channel.close();
    const kept = task.list().length;
    socket.shutdown(client);
    const received = await task.await(sink);
    console.log(JSON.stringify({ before, spawned, sent, passed, kept, received }));
    for (const id of [client, peer, server]) socket.close(id);
    `,
    "--v8-flags=--expose-gc",
  );
  assertEquals([code, stderr], [0, ""]);
  const { before, spawned, sent, passed, kept, received } = JSON.parse(stdout);
  assertEquals(received, 100_000);
  assertEquals(kept, LIMIT + 2); // and the sink with its recv
  const MARGIN = 20 * 1024 * 1024; // 800,000 records take ten times that
  assertLess(spawned - before, MARGIN);
  assertLess(sent - before, MARGIN);
  assertLess(passed - before, MARGIN);
});

Deno.test("a task that has settled and that nobody claims holds nothing of what it was to do", async () => {
  const { code, stdout, stderr } = await runProgram(
    `
    const [one, two] = await socket.pair();
    function begin() {
      const first = new Uint8Array(100);
      const second = new Uint8Array(200);
      const buffer = new Uint8Array(300);
      socket.recvInto(two, buffer);
      socket.send(one, first);
      socket.send(one, second); // which waits behind the first
      return [first, second, buffer].map((array) => new WeakRef(array));
    }
    const arrays = begin();
    await task.wait();
    // What is sent and received now takes the place of those in what is under way.
    await task.all([socket.recvUntil(two, "y"), socket.send(one, "x"), socket.send(one, "y")]);
    await task.sleep(10);
    (globalThis as any).gc();
    console.log(task.list().length, arrays.map((array) => array.deref()?.length));
    socket.close(one);
    socket.close(two);
    `,
    "--v8-flags=--expose-gc",
  );
  assertEquals([code, stdout, stderr], [0, "3 [ undefined, undefined, undefined ]\n", ""]);
});
