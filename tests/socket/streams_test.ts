import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { bytesOf, HUGE, randomBytes, receive, receiveAll, sha256, textOf } from "../bytes.ts";
import { type Pair, tcpPair, transports } from "../pair.ts";
import { resettable } from "../reset.ts";
import { arrival, leavingNothing, thrownBy, turn, until } from "../settle.ts";

interface Bridged extends Pair, socket.SocketStreams {}

/** Registers a test of a pair whose one end, `peer`, is bridged; nothing may be left of it. */
function test(name: string, run: (bridged: Bridged) => Promise<void>, makePair = tcpPair): void {
  Deno.test(name, () =>
    leavingNothing(async () => {
      using pair = await makePair();
      await run({ ...pair, ...socket.streams(pair.peer) });
    }));
}

const record = (id: socket.SocketId) => socket.inspect(id) as socket.StreamRecord;

/** The code of what a promise rejects with. */
async function rejection(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return "resolved";
}

for (const { name, makePair } of transports) {
  test(`streams() echoes by piping [${name}]`, async ({ client, peer, readable, writable }) => {
    const echoing = readable.pipeTo(writable);
    const data = randomBytes(2_000_000);
    const sending = task.all([socket.send(client, data), socket.shutdown(client)]);
    assertEquals(sha256(await receiveAll(client)), sha256(data));
    await echoing;
    await sending;
    assertEquals(socket.isopen(peer), false);
  }, makePair);
}

test("streams() gives text through pipeThrough and for await", async ({ client, readable }) => {
  const text = "grüezi 🌍 ".repeat(5000);
  socket.send(client, text);
  socket.shutdown(client);
  let got = "";
  for await (const part of readable.pipeThrough(new TextDecoderStream())) got += part;
  assertEquals(got, text);
});

test("streams() receives nothing before something is read", async ({ client, peer, readable }) => {
  await task.await(socket.send(client, "hello"));
  for (let n = 0; n < 10; n++) await turn();
  assertEquals([record(peer).bytesIn, record(peer).pending], [0, []]);
  const reader = readable.getReader();
  const { value } = await reader.read();
  assertEquals(textOf(value!), "hello");
  await task.await(socket.send(client, "more"));
  for (let n = 0; n < 10; n++) await turn();
  assertEquals([record(peer).bytesIn, record(peer).pending], [5, []]);
});

test("streams() makes the peer slow when nothing is read", async ({ client, peer, readable }) => {
  const sending = socket.send(client, HUGE);
  const reader = readable.getReader();
  let got = 0;
  for (let n = 0; n < 50; n++) {
    const { value } = await reader.read();
    assert(value!.length > 0 && value!.length <= 64 * 1024);
    got += value!.length;
    assertEquals(record(peer).bytesIn - record(peer).queuedIn, got);
  }
  assertEquals(task.status(sending), "Running");
  while (got < HUGE.length) got += (await reader.read()).value!.length;
  assertEquals(await task.await(sending), HUGE.length);
});

test("streams() finishes a write when its bytes are sent", async ({ client, writable }) => {
  const writer = writable.getWriter();
  assertEquals(writer.desiredSize, 1);
  let written = false;
  const writing = writer.write(HUGE).then(() => written = true);
  for (let n = 0; n < 20; n++) await turn();
  assertEquals([written, writer.desiredSize], [false, 0]);
  const buffer = new Uint8Array(1024 * 1024);
  for (let got = 0; got < HUGE.length;) got += await task.await(socket.recvInto(client, buffer));
  await writing;
  await writer.ready;
  assertEquals(writer.desiredSize, 1);
});

test("streams() sends bytes and text as UTF-8", async ({ client, writable }) => {
  const writer = writable.getWriter();
  await writer.write("grüezi ");
  await writer.write(bytesOf("bytes"));
  await writer.write("");
  await writer.write(new Uint8Array(0));
  await writer.close();
  assertEquals(textOf(await receiveAll(client)), "grüezi bytes");
});

for (const chunk of [undefined, null, 5, {}, [1], new ArrayBuffer(3), new Uint16Array(2)]) {
  const kind = chunk instanceof Object ? chunk.constructor.name : String(chunk);
  test(`streams() errors the writable when a chunk is ${kind}`, async ({ writable, ...pair }) => {
    const writer = writable.getWriter();
    // deno-lint-ignore no-explicit-any
    const error = await assertRejects(() => writer.write(chunk as any), TypeError);
    assert(error.message.startsWith(`"chunk" must be a Uint8Array or a string`), error.message);
    await assertRejects(() => writer.closed, TypeError);
    // Receiving is not concerned.
    socket.send(pair.client, "fine");
    assertEquals(textOf(await receive(pair.peer, 4)), "fine");
  });
}

test("streams() ends the sending side only when the writable is closed", async (bridged) => {
  const { client, peer, readable, writable } = bridged;
  await writable.getWriter().close();
  assertEquals(await receiveAll(client), new Uint8Array(0));
  assertEquals(socket.isopen(peer), true);
  socket.send(client, "back");
  const reader = readable.getReader();
  assertEquals(textOf((await reader.read()).value!), "back");
  socket.shutdown(client);
  assertEquals((await reader.read()).done, true);
  assertEquals(socket.isopen(peer), false);
});

test("streams() sends on when the readable has ended", async (bridged) => {
  const { client, peer, readable, writable } = bridged;
  await task.await(socket.shutdown(client));
  assertEquals(await Array.fromAsync(readable), []);
  assertEquals(socket.isopen(peer), true);
  const writer = writable.getWriter();
  await writer.write("still");
  await writer.close();
  assertEquals(textOf(await receiveAll(client)), "still");
  assertEquals(socket.isopen(peer), false);
});

test("streams() sends what was written before it is closed", async ({ client, writable }) => {
  const writer = writable.getWriter();
  const data = randomBytes(3_000_000);
  const writes = [0, 1, 2].map((n) =>
    writer.write(data.subarray(n * 1_000_000, (n + 1) * 1_000_000))
  );
  const closing = writer.close();
  assertEquals(sha256(await receiveAll(client)), sha256(data));
  await Promise.all([...writes, closing]);
});

test("streams() leaves what was not read to recv when the readable is cancelled", async (all) => {
  const { client, peer, readable, writable } = all;
  socket.send(client, "one");
  const reader = readable.getReader();
  assertEquals(textOf((await reader.read()).value!), "one");
  const pending = reader.read();
  await turn();
  await reader.cancel(new Error("enough"));
  assertEquals((await pending).done, true);
  assertEquals(record(peer).pending, []);
  socket.send(client, "two");
  assertEquals(textOf(await task.await(socket.recv(peer))), "two");
  assertEquals(socket.isopen(peer), true);
  await writable.getWriter().close();
  assertEquals(socket.isopen(peer), false);
});

test("streams() gives bytes to the read when they come as the readable is cancelled", async (all) => {
  const { client, peer, readable } = all;
  const reader = readable.getReader();
  // An earlier receive is served in the same breath, and cancels; then a later one takes the rest.
  const earlier = task.await(socket.recv(peer, 3)).then(() => reader.cancel());
  const pending = reader.read();
  await turn();
  const later = socket.recv(peer);
  socket.send(client, "onetwo");
  await earlier;
  socket.send(client, "three");
  assertEquals(textOf((await pending).value!), "two");
  assertEquals(textOf(await task.await(later)), "three");
});

for (const how of ["in the turn of its read", "a turn after its read"]) {
  test(`streams() keeps the order of bytes when it is cancelled ${how}`, async (bridged) => {
    const { client, peer, readable } = bridged;
    await turn(); // a readable does nothing before that
    socket.send(client, "BBB");
    await arrival(peer);
    socket.unrecv(peer, "A");
    const reader = readable.getReader();
    const reading = reader.read();
    if (how === "a turn after its read") await turn();
    const cancelled = reader.cancel();
    const next = socket.recv(peer);
    const last = socket.recv(peer);
    socket.send(client, "C");
    await cancelled;
    const first = await reading;
    const got = [first.value ?? new Uint8Array(0), ...await task.all([next, last])].map(textOf);
    assertEquals(got, ["A", "BBB", "C"]);
  });
}

test("streams() cancels without a read under way", async ({ client, peer, readable, writable }) => {
  await readable.cancel();
  socket.send(client, "for recv");
  assertEquals(textOf(await receive(peer, 8)), "for recv");
  await writable.close();
  assertEquals(socket.isopen(peer), false);
});

test("streams() closes the socket when the writable is aborted", async (bridged) => {
  const { client, peer, readable, writable } = bridged;
  const reading = rejection(readable.getReader().read());
  await until(() => record(peer).pending.length === 1);
  await writable.abort(new Error("enough"));
  assertEquals(socket.isopen(peer), false);
  assertEquals(await receiveAll(client), new Uint8Array(0));
  assertEquals(await reading, "ECONNABORTED");
});

test("streams() closes the socket at once when a clogged writable is aborted", async (bridged) => {
  const { peer, writable } = bridged;
  const writer = writable.getWriter();
  const [first, second] = [rejection(writer.write(HUGE)), rejection(writer.write("queued"))];
  await until(() => record(peer).bytesOut > 0);
  const aborting = writer.abort(new Error("enough"));
  assertEquals(socket.isopen(peer), false);
  await aborting;
  assertEquals([await first, await second], ["ECONNABORTED", "Error: enough"]);
});

Deno.test("streams() errors the readable with the socket's failure", () =>
  leavingNothing(async () => {
    await using broken = await resettable();
    const { readable, writable } = socket.streams(broken.client);
    const reader = readable.getReader();
    const reading = reader.read();
    await turn();
    await broken.reset();
    const error = await assertRejects(() => reading, socket.SocketError);
    assertEquals([error.code, error.op, error.socket], ["ECONNRESET", "recv", broken.client]);
    assertEquals(await rejection(reader.closed), "ECONNRESET");
    assertEquals(socket.isopen(broken.client), true);
    // That was the end of this direction; of the other, the failure of a write.
    assert(["EPIPE", "ECONNRESET"].includes(await rejection(writable.getWriter().write("x"))));
    assertEquals(socket.isopen(broken.client), false);
  }));

Deno.test("streams() closes the socket when piping fails", () =>
  leavingNothing(async () => {
    for (const how of ["while it reads", "while it writes"]) {
      await using broken = await resettable();
      const { readable, writable } = socket.streams(broken.client);
      const piping = rejection(readable.pipeTo(writable));
      if (how === "while it writes") {
        broken.far.write(HUGE);
        await until(() => record(broken.client).queuedOut > 0);
      }
      await broken.reset();
      assert(["ECONNRESET", "EPIPE"].includes(await piping));
      assertEquals(socket.isopen(broken.client), false, how);
    }
  }));

test("streams() errors both streams when the socket is closed", async (bridged) => {
  const { peer, readable, writable } = bridged;
  const [reader, writer] = [readable.getReader(), writable.getWriter()];
  const outcomes = [reader.read(), writer.write(HUGE), writer.write("queued")].map(rejection);
  await until(() => record(peer).bytesOut > 0);
  socket.close(peer);
  assertEquals(await Promise.all(outcomes), ["ECONNABORTED", "ECONNABORTED", "ECONNABORTED"]);
  assertEquals(await rejection(reader.closed), "ECONNABORTED");
  assertEquals(await rejection(writer.closed), "ECONNABORTED");
});

test("streams() errors with EBADF what is begun after the socket was closed", async (bridged) => {
  const { peer, readable, writable } = bridged;
  socket.close(peer);
  assertEquals(await rejection(readable.getReader().read()), "EBADF");
  assertEquals(await rejection(writable.getWriter().write("x")), "EBADF");
});

test("streams() errors with EBADF when it is closed after the socket", async (bridged) => {
  socket.close(bridged.peer);
  assertEquals(await rejection(bridged.writable.close()), "EBADF");
  await bridged.readable.cancel();
});

test("streams() errors with EPIPE when the sending side was shut down", async (bridged) => {
  await task.await(socket.shutdown(bridged.peer));
  assertEquals(await rejection(bridged.writable.getWriter().write("x")), "EPIPE");
});

test("streams() shares a socket with calls by ID", async (bridged) => {
  const { client, peer, readable, writable } = bridged;
  const reader = readable.getReader();
  const [first, second] = [socket.recv(peer, 2), reader.read()];
  await until(() => record(peer).pending.length === 2);
  socket.send(client, "1122");
  assertEquals(textOf(await task.await(first)), "11");
  assertEquals(textOf((await second).value!), "22");
  const writer = writable.getWriter();
  writer.write("a");
  await turn();
  socket.send(peer, "b");
  await writer.write("c");
  assertEquals(textOf(await receive(client, 3)), "abc");
});

test("streams() throws when the socket will not do", async ({ client }) => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const created = socket.create(socket.AF_INET, socket.SOCK_STREAM);
  const code = (id: socket.SocketId) => thrownBy(() => socket.streams(id));
  assertEquals([code(server), code(created)], ["EOPNOTSUPP", "ENOTCONN"]);
  [client, server, created].forEach(socket.close);
  assertEquals([client, 0, 2 ** 40].map(code), ["EBADF", "EBADF", "EBADF"]);
  // deno-lint-ignore no-explicit-any
  for (const value of [undefined, null, "1", 1.5] as any[]) {
    assertThrows(() => socket.streams(value), TypeError, "must be an integer ID");
  }
  await turn();
});

test("streams() end and errors are seen when nothing unclaimed is kept", async (bridged) => {
  const { client, peer, readable } = bridged;
  const limit = task.setUnclaimedLimit(0);
  try {
    socket.shutdown(client);
    await arrival(peer);
    assertEquals((await readable.getReader().read()).done, true);
  } finally {
    task.setUnclaimedLimit(limit);
  }
});
