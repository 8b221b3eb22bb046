// A buffer that is taken away while it is in use, as a WebAssembly memory's is when it grows.

import { Buffer } from "node:buffer";
import { runInNewContext } from "node:vm";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { isResizable } from "../../socket/core/check.ts";
import { HUGE, receive, receiveAll, textOf } from "../bytes.ts";
import { type Pair, tcpPair } from "../pair.ts";
import { codeOf, faultOf, leavingNothing, turn, until } from "../settle.ts";

function test(name: string, run: (pair: Pair) => Promise<void>): void {
  Deno.test(name, () =>
    leavingNothing(async () => {
      using pair = await tcpPair();
      await run(pair);
    }));
}

const detach = (bytes: Uint8Array) => void (bytes.buffer as ArrayBuffer).transfer();

/** Arrays without bytes: these were taken away. */
const gone: Record<string, () => Uint8Array> = {
  "a detached array": () => {
    const bytes = new Uint8Array(1000);
    detach(bytes);
    return bytes;
  },
  "a detached Buffer": () => {
    const bytes = Buffer.from(new ArrayBuffer(1000));
    detach(bytes);
    return bytes;
  },
  "an array whose memory has shrunk": () => {
    const memory = new ArrayBuffer(1000, { maxByteLength: 1000 });
    const bytes = new Uint8Array(memory, 500, 100);
    memory.resize(100);
    return bytes;
  },
};
/** And these never had any. */
const empty: Record<string, () => Uint8Array> = {
  "an empty array": () => new Uint8Array(0),
  "an empty Buffer": () => Buffer.alloc(0),
  "an empty part of shared memory": () => new Uint8Array(new SharedArrayBuffer(8), 8),
  "an empty array of resizable memory": () =>
    new Uint8Array(new ArrayBuffer(0, { maxByteLength: 1 })),
};

test("send(), write(), unrecv() and streams() refuse data whose memory is gone", async (pair) => {
  const { client, peer } = pair;
  const tasks = task.list();
  for (const [kind, make] of Object.entries(gone)) {
    const data = make();
    for (const call of [socket.send, socket.write, socket.unrecv, tls.send]) {
      assertThrows(() => call(client, data), TypeError, `"data" must be`, kind);
    }
    assertThrows(() => socket.recvUntil(client, data), TypeError, `"delimiter" must be`, kind);
  }
  assertEquals(task.list(), tasks);
  for (const [kind, make] of Object.entries(empty)) {
    assertEquals(await task.await(socket.send(client, make())), 0, kind);
    socket.unrecv(client, make());
  }
  const writer = socket.streams(peer).writable.getWriter();
  const closed = assertRejects(() => writer.closed, TypeError);
  const writing = writer.write(gone["a detached array"]());
  await assertRejects(() => writing, TypeError, `"chunk" must be`);
  await closed;
});

for (
  const [kind, source, shrink] of [
    ["resizable", "new ArrayBuffer(100_000, { maxByteLength: 100_000 })", true],
    ["growable shared", "new SharedArrayBuffer(100_000, { maxByteLength: 100_000 })", false],
    ["fixed shared", "new SharedArrayBuffer(100_000)", false],
  ] as const
) {
  test(`send() and recvInto() know ${kind} memory of another realm`, async (pair) => {
    const memory = runInNewContext(source);
    const ours = memory instanceof ArrayBuffer || memory instanceof SharedArrayBuffer;
    assertEquals(ours, false);
    const data = new Uint8Array(memory).fill(7);
    assertEquals(isResizable(data), kind !== "fixed shared");
    const sending = socket.send(pair.client, data);
    if (shrink) memory.resize(0);
    const received = await receive(pair.peer, 100_000);
    assertEquals(received.every((byte) => byte === 7), true);
    assertEquals(await task.await(sending), 100_000);
    const into = new Uint8Array(runInNewContext(source));
    const receiving = socket.recvInto(pair.client, into);
    socket.send(pair.peer, "back");
    assertEquals(await task.await(receiving), 4);
    assertEquals(textOf(into.slice(0, 4)), "back");
  });
}

test("send() says why memory of another realm cannot be given up", (pair) => {
  const kinds = {
    "it is detached": "new ArrayBuffer(8)",
    "its memory is a WebAssembly memory's": "new WebAssembly.Memory({ initial: 1 }).buffer",
    "its memory is shared": "new SharedArrayBuffer(8)",
  };
  for (const [reason, source] of Object.entries(kinds)) {
    const data = new Uint8Array(runInNewContext(source));
    if (reason === "it is detached") detach(data);
    assertThrows(() => socket.send(pair.client, data, { transfer: true }), TypeError, reason);
  }
  return Promise.resolve();
});

test("recvInto() faults EINVAL and takes nothing when its buffer was detached", async (pair) => {
  const buffer = new Uint8Array(100);
  const ids = [socket.recvInto(pair.peer, buffer), socket.recvInto(pair.peer, buffer)];
  const next = socket.recv(pair.peer);
  detach(buffer);
  socket.send(pair.client, "for the next");
  assertEquals(textOf(await task.await(next)), "for the next");
  assertEquals(ids.map(faultOf), ["EINVAL", "EINVAL"]);
});

test("recvInto() breaks the stream when a detached buffer was being filled", async (pair) => {
  const buffer = new Uint8Array(64 * 1024);
  const id = socket.recvInto(pair.peer, buffer);
  detach(buffer);
  socket.send(pair.client, "lost");
  assertEquals(await codeOf(id), "EINVAL");
  assertEquals(await codeOf(socket.recv(pair.peer)), "EINVAL");
  // The other direction is not concerned.
  socket.send(pair.peer, "fine");
  assertEquals(textOf(await task.await(socket.recv(pair.client))), "fine");
});

test("recvInto() breaks the stream when its cancelled buffer was detached", async (pair) => {
  const buffer = new Uint8Array(64 * 1024);
  const id = socket.recvInto(pair.peer, buffer);
  const next = socket.recv(pair.peer);
  task.cancel(id);
  detach(buffer);
  socket.send(pair.client, "lost");
  assertEquals(await codeOf(next), "EINVAL");
});

test("send() faults EINVAL and sends nothing when data was detached in time", async (pair) => {
  const { client, peer } = pair;
  const chunks = [1, 2, 3, 4, 5].map((n) => new Uint8Array(600).fill(n));
  const begun = socket.send(client, HUGE);
  const ids = chunks.map((chunk) => socket.send(client, chunk));
  detach(chunks[0]);
  detach(chunks[3]);
  const tail = (await receive(peer, HUGE.length + 1800)).subarray(-1800);
  assertEquals(tail, new Uint8Array([2, 3, 5].flatMap((n) => new Array(600).fill(n))));
  await task.await(begun);
  assertEquals(ids.map(task.status), [
    "Faulted",
    ...["Completed", "Completed"],
    "Faulted",
    "Completed",
  ]);
  assertEquals([faultOf(ids[0]), faultOf(ids[3])], ["EINVAL", "EINVAL"]);
  socket.shutdown(client);
  assertEquals(await receiveAll(peer), new Uint8Array(0));
});

for (const size of [100, 10_000]) {
  test(`send() gives the number of bytes when ${size} were detached under way`, async (pair) => {
    const data = new Uint8Array(size).fill(7);
    const id = socket.send(pair.client, data);
    detach(data);
    assertEquals(await receive(pair.peer, size), new Uint8Array(size).fill(7));
    assertEquals(await task.await(id), size);
    assertEquals(await task.await(socket.send(pair.client, "fine")), 4);
  });
}

for (const cancelled of [false, true]) {
  const name = `send() breaks the sending side when data was detached half sent${
    cancelled ? " and cancelled" : ""
  }`;
  test(name, async ({ client, peer }) => {
    const data = new Uint8Array(HUGE.length);
    const id = socket.send(client, data);
    const next = socket.send(client, "x");
    await until(() => (socket.inspect(client) as socket.StreamRecord).bytesOut > 0);
    if (cancelled) task.cancel(id);
    detach(data);
    const receiving = task.spawn(() => receive(peer, HUGE.length));
    assertEquals(await codeOf(next), "EINVAL");
    if (!cancelled) assertEquals(await codeOf(id), "EINVAL");
    assertEquals(await codeOf(socket.send(client, "x")), "EINVAL");
    await turn();
    socket.close(client);
    await task.await(receiving);
  });
}

test("send() goes on behind any number of sends with nothing to send", async ({ client, peer }) => {
  const begun = socket.send(client, HUGE);
  for (let i = 0; i < 5000; i++) {
    const data = new Uint8Array(600);
    for (const each of ["", "", data]) task.forget(socket.send(client, each));
    detach(data);
  }
  const last = socket.send(client, "last");
  const received = await receive(peer, HUGE.length + 4);
  assertEquals(textOf(received.subarray(-4)), "last");
  assertEquals([await task.await(begun), await task.await(last)], [HUGE.length, 4]);
});
