import { assert, assertEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { HUGE, randomBytes, receive, sha256, textOf } from "../bytes.ts";
import { type Pair, tcpPair } from "../pair.ts";
import { connectionPrototypes, spyOn } from "../spy.ts";
import { arrival, leavingNothing, turn, until } from "../settle.ts";

function test(name: string, run: (pair: Pair) => Promise<void>): void {
  Deno.test(name, () =>
    leavingNothing(async () => {
      using pair = await tcpPair();
      await run(pair);
    }));
}

const record = (id: socket.SocketId) => socket.inspect(id) as socket.StreamRecord;

/** The most that one read takes from the system. */
const READ = 64 * 1024;

/** Waits until the system takes no more. */
async function stuck(id: socket.SocketId): Promise<void> {
  for (let still = 0, before = -1; still < 20; await turn()) {
    const { bytesOut } = record(id);
    still = bytesOut === before ? still + 1 : 0;
    before = bytesOut;
  }
}

test("recv() is what reading waits for: a flood gets stuck without it", async (pair) => {
  const { client, peer } = pair;
  const data = randomBytes(1024 * 1024);
  const ids = Array.from({ length: 40 }, () => socket.send(client, data));
  await stuck(client);
  assertEquals([record(peer).bytesIn, record(peer).queuedIn], [0, 0]);
  assertEquals(task.status(ids[39]), "Running");
  const { queuedOut, bytesOut, pending } = record(client);
  assertGreater(queuedOut, 0);
  assertEquals(queuedOut + bytesOut, 40 * data.length);
  assertEquals(pending, ids.filter((id) => task.status(id) === "Running"));

  const hashes = [];
  for (let n = 0; n < 40; n++) hashes.push(sha256(await receive(peer, data.length)));
  assertEquals(new Set(hashes), new Set([sha256(data)]));
  assertEquals(await task.all(ids), new Array(40).fill(data.length));
  assertEquals([record(peer).bytesIn, record(client).queuedOut], [40 * data.length, 0]);
});

test("recv() makes the connection hold at most one read's worth", async ({ client, peer }) => {
  const sending = socket.send(client, HUGE);
  for (let got = 0; got < 3 * 1024 * 1024;) {
    got += (await task.await(socket.recv(peer, 1000))).length;
    const { queuedIn, bytesIn } = record(peer);
    assertLessOrEqual(queuedIn, READ);
    assertEquals(bytesIn, got + queuedIn);
  }
  const before = record(peer).bytesIn;
  await stuck(client);
  // Nobody asks, so nothing is read.
  assertEquals(record(peer).bytesIn, before);
  task.cancel(sending);
});

test("peek() and a cancelled recv make the connection hold one read at most", async (pair) => {
  const { client, peer } = pair;
  const sending = socket.send(client, HUGE);
  socket.peek(peer);
  await arrival(peer);
  for (let n = 0; n < 50; n++) {
    socket.peek(peer, 100_000);
    task.cancel(socket.recv(peer, 1));
    if (n % 10 === 0) await turn();
  }
  const { queuedIn, bytesIn } = record(peer);
  assertGreater(bytesIn, 0);
  assertLessOrEqual(queuedIn, READ);
  await stuck(client);
  assertEquals(record(peer).bytesIn, bytesIn);
  task.cancel(sending);
});

test("send() joins a burst of small sends into few writes", async ({ client, peer }) => {
  {
    using writes = spyOn((await connectionPrototypes()).any, "write");
    const ids = Array.from({ length: 1000 }, (_, i) => socket.send(client, `${i % 10}`.repeat(64)));
    assertEquals(await task.all(ids), new Array(1000).fill(64));
    assertLessOrEqual(writes.calls.length, 3);
    // A large one goes by itself, what is around it is joined; all in order.
    const before = writes.calls.length;
    const large = HUGE.subarray(0, 20_000);
    const mixed = ["a", "", "", large, "b", large, "c", "", "d"];
    await task.all(mixed.map((data) => socket.send(client, data)));
    assertLessOrEqual(writes.calls.length - before, 5);
    const sizes = writes.calls.map(([data]) => (data as Uint8Array).length);
    assertLessOrEqual(Math.max(...sizes), 64 * 1024);
    assertGreater(Math.min(...sizes), 0);
  }
  const text = textOf(await receive(peer, 64_000));
  assertEquals(text, Array.from({ length: 1000 }, (_, i) => `${i % 10}`.repeat(64)).join(""));
  const mixed = await receive(peer, 40_004);
  assertEquals(textOf(mixed.filter((byte) => byte !== 0)), "abcd");
});

test("send() joins no more than 64 KiB and completes each as it goes out", async (pair) => {
  const { client, peer } = pair;
  const data = Array.from({ length: 3000 }, (_, i) => randomBytes(1 + i * 7 % 900));
  const total = data.reduce((sum, { length }) => sum + length, 0);
  const ids = data.map((bytes) => socket.send(client, bytes));
  assertEquals(record(client).queuedOut, total);
  assertEquals(record(client).pending, ids);
  const receiving = receive(peer, total);
  using writes = spyOn((await connectionPrototypes()).any, "write");
  for (const [i, id] of ids.entries()) assertEquals(await task.await(id), data[i].length);
  const sizes = writes.calls.map(([bytes]) => (bytes as Uint8Array).length);
  assertLessOrEqual(Math.max(...sizes), 64 * 1024);
  assertLessOrEqual(sizes.length, 2 * Math.ceil(total / (64 * 1024 - 900)));
  assertEquals([record(client).bytesOut, record(client).queuedOut], [total, 0]);
  assertEquals(sha256(await receiving), sha256(...data));
});

test("send() completes when its last byte is taken, however little is taken at a time", async (pair) => {
  const { client, peer } = pair;
  const { any } = await connectionPrototypes();
  const prototype = any as Deno.Conn;
  const { write } = prototype;
  try {
    prototype.write = function (data) {
      return write.call(this, data.subarray(0, 1));
    };
    const texts = ["abc", "de", "f", "ghij"];
    const taken: number[] = [];
    await Promise.all(texts.map((text) => {
      const id = socket.send(client, text);
      return task.await(id).then(() => taken.push(record(client).bytesOut));
    }));
    assertEquals(taken, [3, 5, 6, 10]);
  } finally {
    prototype.write = write;
  }
  assertEquals(textOf(await receive(peer, 10)), "abcdefghij");
});

test("inspect() tells what a connection has done and has to do", async ({ client, peer }) => {
  const { age, ...fresh } = record(peer);
  assert(age >= 0);
  assertEquals(fresh, {
    id: peer,
    kind: "stream",
    side: "server",
    tls: false,
    local: socket.getpeer(client),
    remote: socket.getlocal(client),
    proxy: undefined,
    bytesIn: 0,
    bytesOut: 0,
    queuedIn: 0,
    queuedOut: 0,
    pending: [],
  });
  const receives = [socket.recv(client, 3), socket.recvInto(client, new Uint8Array(9))];
  const sends = [socket.send(client, HUGE), socket.send(client, "12345")];
  const ending = socket.shutdown(client);
  // Receives first, then sends, each in order.
  assertEquals(record(client).pending, [...receives, ...sends, ending]);
  assertEquals(record(client).queuedOut, HUGE.length + 5);
  task.cancel(sends[1]);
  assertEquals(record(client).pending, [...receives, sends[0], ending]);
  assertEquals(record(client).queuedOut, HUGE.length);

  await task.await(socket.send(peer, "hello and more"));
  assertEquals(record(peer).bytesOut, 14);
  await until(() => task.status(receives[1]) === "Completed");
  assertEquals([record(client).bytesIn, record(client).queuedIn], [14, 2]);
  socket.unrecv(client, "pushed");
  assertEquals([record(client).bytesIn, record(client).queuedIn], [14, 8]);
  await turn();
  const { age: later } = record(client);
  assert(later >= age);
  assert(Object.isFrozen(record(client)));
});

test("inspect() and list() give every socket by ascending ID", async ({ client, peer }) => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const all = [client, peer, server].sort((a, b) => a - b);
  assertEquals(socket.list(), all);
  assertEquals(socket.inspect().map(({ id }) => id), all);
  assertEquals(socket.inspect().map(({ kind }) => kind), ["stream", "stream", "listener"]);
  const accepting = socket.accept(server);
  const { age, ...rest } = socket.inspect(server) as socket.ListenerRecord;
  assert(age >= 0);
  assertEquals(rest, {
    ...rest,
    id: server,
    kind: "listener",
    tls: false,
    local: socket.getlocal(server),
    accepted: 0,
    ready: 0,
    pending: [accepting],
  });
  socket.close(server);
  assertEquals([socket.inspect(server), socket.inspect(0)], [undefined, undefined]);
  // Nor does a record, or an address, let anybody into the socket.
  socket.getpeer(client)[1] = 0;
  assertGreater(socket.getpeer(client)[1], 0);
  await turn();
});

test("recv() keeps a slow consumer's memory flat", async ({ client, peer }) => {
  const sender = task.spawn(async () => {
    for (let n = 0; n < 200; n++) {
      await task.await(socket.send(client, HUGE.subarray(0, 256 * 1024)));
    }
    await task.await(socket.shutdown(client));
  });
  let most = 0;
  for (let got = 1; got > 0;) {
    got = (await task.await(socket.recv(peer, 200_000))).length;
    most = Math.max(most, record(peer).queuedIn + record(client).queuedOut);
  }
  assertLessOrEqual(most, READ + 256 * 1024);
  await task.await(sender);
});
