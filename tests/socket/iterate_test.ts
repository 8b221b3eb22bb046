// connections: a loop over accepts; and what loops do on sockets that are something else.

import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { ways } from "../listening.ts";
import { resettable } from "../reset.ts";
import { tcpPair } from "../pair.ts";
import { leavingNothing, turn } from "../settle.ts";
import { runProgram } from "../subprocess.ts";

const test = (name: string, run: () => Promise<void>) => Deno.test(name, () => leavingNothing(run));

const pendingOf = (id: socket.SocketId) => (socket.inspect(id) as socket.ListenerRecord).pending;

/** The code of what a `next` rejects with. */
const refusal = (loop: AsyncIterableIterator<unknown, undefined>) =>
  loop.next().then(() => "no failure", (error) => error.code);

for (const { name, listen, connect } of ways) {
  test(`connections() gives each connection and ends when the listener closes [${name}]`, async () => {
    using server = listen();
    const clients: Promise<socket.SocketId>[] = [connect(server.id), connect(server.id)];
    let count = 0;
    for await (const id of socket.connections(server.id)) {
      assertEquals(socket.getside(id), "server");
      socket.close(id);
      if (++count === 3) setTimeout(() => socket.close(server.id), 5); // while an accept is pending
      else if (count === 2) clients.push(connect(server.id));
    }
    assertEquals(count, 3);
    (await Promise.all(clients)).forEach(socket.close);
  });

  test(`connections() ends when the loop's body closes the listener [${name}]`, async () => {
    using server = listen();
    const connecting = connect(server.id);
    for await (const id of socket.connections(server.id)) {
      socket.close(server.id);
      socket.close(id);
    }
    socket.close(await connecting);
  });

  test(`connections() leaves the next connection to the next accept [${name}]`, async () => {
    using server = listen();
    const iterator = socket.connections(server.id);
    const nexts = [iterator.next(), iterator.next()];
    assertEquals(pendingOf(server.id).length, 2);
    await turn();
    await iterator.return!();
    assertEquals(await Promise.all(nexts.map(async (next) => (await next).done)), [true, true]);
    assertEquals([pendingOf(server.id), socket.isopen(server.id)], [[], true]);
    const connecting = connect(server.id);
    socket.close(await task.await(socket.accept(server.id)));
    socket.close(await connecting);
  });
}

test("connections() ends every next that is pending when the listener closes", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const iterator = socket.connections(server);
  const nexts = [iterator.next(), iterator.next()];
  socket.close(server);
  nexts.push(iterator.next());
  for (const next of nexts) assertEquals(await next, { done: true, value: undefined });
});

test("connections() of two loops share what comes", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const loops = [socket.connections(server), socket.connections(server)];
  const nexts = [0, 1, 0, 1].map((which) => loops[which].next());
  const open: socket.SocketId[] = [];
  const ports: number[] = [];
  for (const next of nexts) {
    const client = await socket.tcpconnect(...socket.getlocal(server));
    open.push(client, (await next).value!);
    ports.push(socket.getlocal(client)[1] - socket.getpeer(open.at(-1)!)[1]);
  }
  assertEquals(ports, [0, 0, 0, 0]);
  [...open, server].forEach(socket.close);
});

test("connections() of a socket that comes to listen ends when that closes", async () => {
  const server = socket.create(socket.AF_INET, socket.SOCK_STREAM);
  assertEquals(await refusal(socket.connections(server)), "EINVAL");
  const loop = socket.connections(server);
  socket.listen(server);
  const next = loop.next();
  socket.close(server);
  assertEquals((await next).done, true);
});

test("loops throw the codes of the table of states", async () => {
  using pair = await tcpPair();
  const server = socket.tcpserver("127.0.0.1", 0);
  const created = socket.create(socket.AF_INET, socket.SOCK_STREAM);
  assertEquals(await refusal(socket.connections(pair.client)), "EOPNOTSUPP");
  assertEquals(await refusal(socket.chunks(server)), "EOPNOTSUPP");
  assertEquals(await refusal(socket.lines(server)), "EOPNOTSUPP");
  assertEquals(await refusal(socket.chunks(created)), "ENOTCONN");
  assertEquals(await refusal(socket.lines(created)), "ENOTCONN");
  for (const id of [created, server]) socket.close(id);
  assertEquals(await refusal(socket.connections(server)), "EBADF");
  assertEquals(await refusal(socket.connections(2 ** 40)), "EBADF");
  assertThrows(() => socket.connections("1" as never), TypeError, '"server"');
  assertThrows(() => tls.connections(1.5), TypeError, '"server"');
  assertThrows(() => tls.chunks(pair.client, 0), RangeError, '"max"');
  assertThrows(() => tls.lines(pair.client, { max: 0 }), RangeError, '"max"');
});

test("loops of tls throw EPROTO when the socket is plain, and take nothing", async () => {
  using pair = await tcpPair();
  const server = socket.tcpserver("127.0.0.1", 0);
  socket.send(pair.peer, "clear\n");
  assertEquals(await refusal(tls.connections(server)), "EPROTO");
  assertEquals(await refusal(tls.chunks(pair.client)), "EPROTO");
  assertEquals(await refusal(tls.lines(pair.client)), "EPROTO");
  assertEquals(await task.await(socket.recvLine(pair.client)), "clear");
  socket.close(server);
});

test("chunks() throws ECONNRESET when the peer resets", async () => {
  await using connection = await resettable();
  const loop = socket.chunks(connection.client);
  const next = refusal(loop);
  await connection.reset();
  assertEquals(await next, "ECONNRESET");
  assertEquals((await loop.next()).done, true);
});

test("a loop's failure names the line of the caller", async () => {
  using pair = await tcpPair();
  socket.close(pair.client);
  async function callerOfMine() {
    for await (const _ of socket.chunks(pair.client));
  }
  const error = await callerOfMine().catch((error) => error);
  assertEquals(/callerOfMine/.test(error.stack), true, error.stack);
});

test("loops give what is short, too, and leave no task, be it there already or yet to come", async () => {
  using pair = await tcpPair();
  const before = task.list();
  const [lines, chunks] = [socket.lines(pair.client), socket.chunks(pair.client)];
  socket.unrecv(pair.client, "\na\n");
  assertEquals(await lines.next(), { done: false, value: "" });
  assertEquals(await lines.next(), { done: false, value: "a" });
  const later = chunks.next();
  task.forget(socket.send(pair.peer, "b"));
  assertEquals(await later, { done: false, value: new TextEncoder().encode("b") });
  socket.unrecv(pair.client, "c");
  assertEquals(await chunks.next(), { done: false, value: new TextEncoder().encode("c") });
  task.forget(socket.shutdown(pair.peer));
  assertEquals([(await chunks.next()).done, (await lines.next()).done], [true, true]);

  const server = socket.tcpserver("127.0.0.1", 0);
  const caller = await socket.tcpconnect(...socket.getlocal(server));
  while (!socket.hasconnection(server)) await turn();
  const { value } = await socket.connections(server).next();
  socket.close(server);
  assertEquals(socket.isopen(value!), true, "the connection is the program's");
  [caller, value!].forEach(socket.close);
  assertEquals(task.list(), before);
});

test("a loop that has failed ends every next that is pending", async () => {
  using pair = await tcpPair();
  const server = socket.tcpserver("127.0.0.1", 0);
  const loops = [
    socket.chunks(pair.client),
    socket.lines(pair.peer),
    socket.connections(server),
  ];
  for (const loop of loops) {
    const before = task.list();
    const nexts = [loop.next(), loop.next(), loop.next()];
    const [first] = task.list().filter((id) => !before.includes(id));
    const failing = nexts[0].catch((error: unknown) => error);
    task.cancel(first);
    assertInstanceOf(await failing, task.CancelledError);
    assertEquals([(await nexts[1]).done, (await nexts[2]).done], [true, true]);
    const more = [loop.next(), loop.next()];
    assertEquals([(await more[0]).done, (await more[1]).done], [true, true]);
    assertEquals(task.list(), before);
  }
  socket.close(server);
});

test("a loop ends the one next that is pending beside one that fails", async () => {
  using pair = await tcpPair();
  const loop = socket.chunks(pair.client);
  const before = task.list();
  const failing = loop.next().catch((error: unknown) => error);
  const last = loop.next();
  task.cancel(task.list().filter((id) => !before.includes(id))[0]);
  assertInstanceOf(await failing, task.CancelledError);
  assertEquals((await last).done, true);
});

test("connections() ends when the listener was closed before the first next", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const loop = socket.connections(server);
  socket.close(server);
  assertEquals([await loop.next(), await loop.next()].map(({ done }) => done), [true, true]);
});

test("connections() begins on a socket that listens after the call", async () => {
  const server = socket.create(socket.AF_INET, socket.SOCK_STREAM);
  const loop = socket.connections(server);
  socket.bind(server, "127.0.0.1");
  socket.listen(server);
  const client = await socket.tcpconnect(...socket.getlocal(server));
  const { value } = await loop.next();
  assertEquals(socket.getpeer(value!), socket.getlocal(client));
  const last = loop.next();
  [client, value!, server].forEach(socket.close);
  assertEquals((await last).done, true);
});

test("errno() is left alone when the close of its listener ends a loop or serving", async () => {
  assertThrows(() => socket.getpeer(0), socket.SocketError);
  const loops = [socket.tcpserver("127.0.0.1", 0), socket.tcpserver("127.0.0.1", 0)];
  const last = socket.connections(loops[0]).next();
  const serving = socket.serve(loops[1], () => {});
  await turn();
  loops.forEach(socket.close);
  assertEquals([(await last).done, await task.await(serving)], [true, undefined]);
  assertEquals(socket.errno(), 9);
});

Deno.test("a loop keeps nothing of what it has given", async () => {
  const { code, stdout, stderr } = await runProgram(
    `
    const [one, two] = await socket.pair();
    const chunks = socket.chunks(two);
    async function next(text: string) {
      await task.await(socket.send(one, text));
      return new WeakRef((await chunks.next()).value!);
    }
    async function pending(text: string) {
      const coming = chunks.next();
      await task.await(socket.send(one, text));
      return new WeakRef((await coming).value!);
    }
    const given = [await next("one"), await pending("two")];
    await pending("three");
    await task.sleep(1);
    (globalThis as any).gc();
    console.log(given.map((chunk) => chunk.deref()?.length));
    socket.close(one);
    socket.close(two);
    `,
    ["--allow-net", "--v8-flags=--expose-gc"],
  );
  assertEquals([code, stdout, stderr], [0, "[ undefined, undefined ]\n", ""]);
});

Deno.test("a listener keeps no loop that nobody goes on with", async () => {
  const { code, stdout, stderr } = await runProgram(
    `
    const server = socket.tcpserver("127.0.0.1", 0);
    async function one() {
      const client = await socket.tcpconnect(...socket.getlocal(server));
      const loop = socket.connections(server);
      const { value } = await loop.next();
      [client, value!].forEach(socket.close);
      return new WeakRef(loop);
    }
    async function left() {
      const loop = socket.connections(server);
      await loop.return!();
      await loop.next();
      return new WeakRef(loop);
    }
    const loops = [await one(), await left(), await one(), await left()];
    await one();
    await left();
    await task.sleep(1);
    (globalThis as any).gc();
    console.log(loops.filter((loop) => loop.deref() !== undefined).length);
    socket.close(server);
    `,
    ["--allow-net", "--v8-flags=--expose-gc"],
  );
  assertEquals([code, stdout, stderr], [0, "0\n", ""]);
});
