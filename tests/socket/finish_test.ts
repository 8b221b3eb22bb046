import { assertEquals, assertThrows } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { randomBytes, receiveAll, sha256, textOf } from "../bytes.ts";
import { tcpPair, transports } from "../pair.ts";
import { resettable } from "../reset.ts";
import { arrival, codeOf, faultOf, leavingNothing, turn } from "../settle.ts";
import { spyOn } from "../spy.ts";

const streamRecord = (id: socket.SocketId) => socket.inspect(id) as socket.StreamRecord;

for (const { name, makePair } of transports) {
  const test = (title: string, run: (a: socket.SocketId, b: socket.SocketId) => Promise<void>) =>
    Deno.test(`${title} [${name}]`, () =>
      leavingNothing(async () => {
        using pair = await makePair();
        await run(pair.client, pair.peer);
        pair.close();
        await turn();
      }));

  test("finish() sends what is queued, waits for the peer's end and closes", async (a, b) => {
    socket.send(a, "good-");
    socket.send(a, "bye");
    const finishing = socket.finish(a);
    assertEquals(textOf(await receiveAll(b)), "good-bye");
    assertEquals([task.status(finishing), socket.isopen(a)], ["Running", true]);
    await task.await(socket.shutdown(b));
    assertEquals(await task.await(finishing), undefined);
    assertEquals(socket.isopen(a), false);
  });

  test("finish() delivers all when the peer had sent what nobody received", async (a, b) => {
    const data = randomBytes(1_000_000);
    const unwanted = socket.send(b, randomBytes(2_000_000));
    await arrival(a);
    socket.send(a, data);
    const finishing = socket.finish(a);
    assertEquals(sha256(await receiveAll(b)), sha256(data));
    assertEquals(await task.await(unwanted), 2_000_000);
    await task.all([finishing, socket.finish(b)]);
    assertEquals([a, b].map(socket.isopen), [false, false]);
  });

  test("finish() of both ends completes on both", async (a, b) => {
    await task.all([socket.finish(a), socket.finish(b)]);
    assertEquals([a, b].map(socket.isopen), [false, false]);
  });

  test("finish() closes and faults ETIMEDOUT when the peer does not end in time", async (a, b) => {
    socket.send(a, "all");
    const finishing = socket.finish(a, { timeout: 20 });
    assertEquals(await codeOf(finishing), "ETIMEDOUT");
    assertEquals(socket.isopen(a), false);
    assertEquals(textOf(await receiveAll(b)), "all");
  });

  test("finish() leaves the socket open and loses nothing when it is cancelled", async (a, b) => {
    socket.send(a, "sent");
    const finishing = socket.finish(a);
    await turn();
    assertEquals(task.cancel(finishing), true);
    assertEquals(faultOf(finishing), "ECANCELED");
    assertEquals(textOf(await receiveAll(b)), "sent");
    assertEquals([socket.isopen(a), faultOf(socket.send(a, "more"))], [true, "EPIPE"]);
    socket.send(b, "still received");
    assertEquals(textOf(await task.await(socket.recvExact(a, 14))), "still received");
    assertEquals(streamRecord(a).pending, []);
  });
}

const test = (name: string, run: () => Promise<void> | void) =>
  Deno.test(name, () => leavingNothing(async () => await run()));

test("finish() lets earlier receives come first", async () => {
  using pair = await tcpPair();
  const first = socket.recvExact(pair.client, 5);
  const line = socket.recvLine(pair.client);
  const finishing = socket.finish(pair.client);
  socket.send(pair.peer, "hello line\nand what is dropped");
  socket.shutdown(pair.peer);
  assertEquals(textOf(await task.await(first)), "hello");
  assertEquals(await task.await(line), " line");
  await task.await(finishing);
});

test("finish() closes at once when the peer has ended and nothing is queued", async () => {
  using pair = await tcpPair();
  await task.await(socket.shutdown(pair.peer));
  assertEquals((await task.await(socket.recv(pair.client))).length, 0);
  using timers = spyOn(globalThis, "setTimeout");
  const finishing = socket.finish(pair.client);
  assertEquals([task.status(finishing), socket.isopen(pair.client)], ["Completed", false]);
  assertEquals(timers.calls, []);
  task.forget(finishing);
});

test("finish() has 5000 ms when no timeout is given, and any number when it is", async () => {
  for (const [options, delay] of [[{}, 5000], [{ timeout: 1234 }, 1234]] as const) {
    using pair = await tcpPair();
    using timers = spyOn(globalThis, "setTimeout");
    const finishing = socket.finish(pair.client, options);
    assertEquals(timers.calls.map(([, delay]) => delay), [delay]);
    task.cancel(finishing);
    task.forget(finishing);
  }
  using pair = await tcpPair();
  using timers = spyOn(globalThis, "setTimeout");
  const finishing = socket.finish(pair.client, { timeout: Infinity });
  assertEquals(timers.calls, []);
  socket.close(pair.peer);
  await task.await(finishing);
});

for (const timeout of [0, -1]) {
  test(`finish() closes within the call when timeout is ${timeout}`, async () => {
    using pair = await tcpPair();
    const finishing = socket.finish(pair.client, { timeout });
    assertEquals([faultOf(finishing), socket.isopen(pair.client)], ["ETIMEDOUT", false]);
  });
}

test("finish() faults ECONNABORTED within close()", async () => {
  using pair = await tcpPair();
  const finishing = socket.finish(pair.client);
  await turn();
  socket.close(pair.client);
  assertEquals(faultOf(finishing), "ECONNABORTED");
});

test("finish() closes and faults with the failure when the connection breaks", async () => {
  await using broken = await resettable();
  const finishing = socket.finish(broken.client);
  await turn();
  await broken.reset();
  assertEquals(await codeOf(finishing), "ECONNRESET");
  assertEquals(socket.isopen(broken.client), false);
});

test("finish() faults with the reset when the connection is broken already", async () => {
  await using broken = await resettable();
  await broken.reset();
  assertEquals(await codeOf(socket.recv(broken.client)), "ECONNRESET");
  const finishing = socket.finish(broken.client);
  assertEquals([await codeOf(finishing), socket.errno()], ["ECONNRESET", 104]);
  assertEquals(socket.isopen(broken.client), false);
});

test("finish() completes after shutdown()", async () => {
  using pair = await tcpPair();
  await task.await(socket.shutdown(pair.client));
  const finishing = socket.finish(pair.client);
  await task.await(socket.shutdown(pair.peer));
  await task.await(finishing);
});

test("finish() gives the code of the table when the socket is no connection", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const created = socket.create(socket.AF_INET, socket.SOCK_STREAM);
  const closed = (await tcpPair()).client;
  socket.list().filter((id) => ![server, created].includes(id)).forEach(socket.close);
  const codes = [server, created, closed, 2 ** 40].map((id) => faultOf(socket.finish(id)));
  assertEquals(codes, ["EOPNOTSUPP", "ENOTCONN", "EBADF", "EBADF"]);
  [server, created].forEach(socket.close);
});

// deno-lint-ignore no-explicit-any
type Anything = any;

for (const { finish } of [socket, tls]) {
  const whose = finish === tls.finish ? "tls" : "socket";
  test(`finish() of ${whose} throws when an argument is wrong`, async () => {
    using pair = await tcpPair();
    for (const value of [undefined, null, "1", 1.5, NaN] as Anything[]) {
      assertThrows(() => finish(value), TypeError, "must be an integer ID");
    }
    for (const value of [null, 5, "x"] as Anything[]) {
      assertThrows(() => finish(pair.client, value), TypeError, `"options" must be`);
    }
    const option = (options: Anything) => () => finish(pair.client, options);
    assertThrows(option({ grace: 1 }), TypeError, `Unknown option "grace"`);
    assertThrows(option({ timeout: "1" }), TypeError, `"timeout" must be`);
    assertThrows(option({ timeout: NaN }), RangeError, `"timeout" must be`);
    assertEquals(streamRecord(pair.client).pending, []);
  });
}

test("finish() of tls faults EPROTO when the connection is not encrypted", async () => {
  using pair = await tcpPair();
  assertEquals(faultOf(tls.finish(pair.client)), "EPROTO");
  assertEquals(socket.isopen(pair.client), true);
});
