// The samples of Dictu's manual, and what becomes of failures.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { once } from "node:events";
import net from "node:net";
import { type DictuSocket, openDictu } from "../../../examples/dialects/dictu.ts";
import { socket, task } from "../../../mod.ts";
import { bytesOf, randomBytes, receive, receiveAll, textOf } from "../../bytes.ts";
import { collectUntil, pendingOf, portOf, test } from "./helpers.ts";

/** A script's server and both ends of a connection to it; the client is the host's. */
async function connected(Socket = openDictu().Socket) {
  const server = Socket.create(Socket.AF_INET, Socket.SOCK_STREAM)!;
  assert(server.bind("127.0.0.1", 0) && server.listen());
  const client = await socket.tcpconnect("127.0.0.1", portOf(server));
  const peer = (await server.accept())!;
  const close = () => {
    server.close();
    peer.close();
    socket.close(client);
  };
  return { Socket, server, peer, client, [Symbol.dispose]: close };
}

test("the samples of the manual, one after another, are a server", async () => {
  const printed: string[] = [];
  const print = (text: string) => printed.push(text);

  // import Socket;
  const { Socket } = openDictu();

  const server = Socket.create(Socket.AF_INET, Socket.SOCK_STREAM)!;

  if (!server.setsockopt(Socket.SOL_SOCKET, Socket.SO_REUSEADDR)) {
    print(Socket.strerror());
  }

  if (!server.bind("127.0.0.1", 0)) {
    print(Socket.strerror());
  }

  if (!server.listen()) {
    print(Socket.strerror());
  }

  const caller = await socket.tcpconnect("127.0.0.1", portOf(server));
  socket.send(caller, "GET /");

  const client = (await server.accept())!;

  if (!await client.write("Some Data")) {
    print(Socket.strerror());
  }

  if (!await client.recv(2048)) {
    print(Socket.strerror());
  }

  client.close();
  server.close();

  assertEquals(printed, []);
  assertEquals(Socket.errno, 0);
  assertEquals(textOf(await receiveAll(caller)), "Some Data");
  socket.close(caller);
});

test("the error idioms of the manual print what went wrong", async () => {
  const printed: string[] = [];
  const print = (text: string) => printed.push(text);
  using connection = await connected();
  const { Socket, server, peer } = connection;
  const unbound = Socket.create(Socket.AF_INET, Socket.SOCK_STREAM)!;

  if (!unbound.bind("no address", 10)) {
    print(Socket.strerror());
  }

  if (!unbound.bind("127.0.0.1", portOf(server))) {
    print(Socket.strerror());
  }

  if (!server.listen()) {
    print(Socket.strerror());
  }

  if (!await unbound.write("Some Data")) {
    print(Socket.strerror());
  }

  peer.close();
  if (!await peer.recv(2048)) {
    print(Socket.strerror());
  }

  if (!unbound.setsockopt(Socket.SOL_SOCKET, 4711)) {
    print(Socket.strerror());
  }

  unbound.close();
  assertEquals(printed, [
    "Invalid argument",
    "Address already in use",
    "Invalid argument",
    "Transport endpoint is not connected",
    "Bad socket ID",
    "Protocol not available",
  ]);
});

test("the constants are those of Linux", () => {
  const { AF_INET, SOCK_STREAM, SOL_SOCKET, SO_REUSEADDR } = openDictu().Socket;
  assertEquals([AF_INET, SOCK_STREAM, SOL_SOCKET, SO_REUSEADDR], [2, 1, 1, 2]);
});

test("what succeeds gives true, a socket, a count or a string", async () => {
  const { Socket } = openDictu();
  const server = Socket.create(2, 1)!;
  assertEquals(server.setsockopt(Socket.SOL_SOCKET, Socket.SO_REUSEADDR), true);
  assertEquals(server.setsocketopt(Socket.SOL_SOCKET, Socket.SO_REUSEADDR), true);
  assertEquals(server.bind("localhost", 0), true);
  assertEquals(server.listen(5), true);
  const client = await socket.tcpconnect("localhost", portOf(server));
  const peer = (await server.accept())!;
  assertEquals(await peer.write("twelve bytes"), 12);
  await task.await(socket.send(client, "hello"));
  assertEquals(await peer.recv(2), "he");
  assertEquals(await peer.recv(2048), "llo");
  assertEquals(peer.close(), undefined);
  assertEquals(peer.close(), undefined);
  server.close();
  socket.close(client);
});

test("errno starts at 0, is set by failures, and is not reset by success", async () => {
  using connection = await connected();
  const { Socket, peer, client } = connection;
  assertEquals([Socket.errno, Socket.strerror()], [0, "Success"]);

  assertEquals(Socket.create(99, Socket.SOCK_STREAM), null);
  assertEquals(Socket.errno, 97);
  assertEquals(Socket.strerror(), "Address family not supported by protocol");
  assertEquals(await peer.write("fine"), 4);
  assertEquals(Socket.errno, 97);

  assertEquals(Socket.create(Socket.AF_INET, 99), null);
  assertEquals([Socket.errno, Socket.strerror()], [94, "Socket type not supported"]);
  assertEquals((await receive(client, 4)).length, 4);
});

test("errno is a program's own: neither another's failures nor the host's set it", async () => {
  using connection = await connected();
  const another = openDictu().Socket;
  assertEquals(another.create(99, 99), null);
  assertThrows(() => socket.getpeer(0), socket.SocketError);
  assertEquals(connection.Socket.errno, 0);
  assertEquals(another.errno, 97);
});

test("every call on a closed socket is null, errno EBADF", async () => {
  const calls: Record<string, (s: DictuSocket) => unknown> = {
    bind: (s) => s.bind("127.0.0.1", 0),
    listen: (s) => s.listen(),
    accept: (s) => s.accept(),
    write: (s) => s.write("x"),
    recv: (s) => s.recv(1),
    setsockopt: (s) => s.setsockopt(1, 2),
  };
  for (const [name, call] of Object.entries(calls)) {
    const { Socket } = openDictu();
    const closed = Socket.create(2, 1)!;
    closed.close();
    assertEquals([await call(closed), Socket.errno], [null, 9], name);
  }
});

test("recv() gives an empty string at the end, which the idiom takes for a failure", async () => {
  using connection = await connected();
  const { Socket, peer, client } = connection;
  socket.close(client);
  const data = await peer.recv(2048);
  assertEquals([data, !data, data === null, Socket.errno], ["", true, false, 0]);
});

test("recv() is null after a reset, and so is write(): the program goes on", async () => {
  const { Socket } = openDictu();
  const server = Socket.create(2, 1)!;
  assert(server.bind("127.0.0.1", 0) && server.listen());
  const client = net.connect(portOf(server), "127.0.0.1");
  await once(client, "connect");
  const peer = (await server.accept())!;
  client.resetAndDestroy();
  assertEquals(await peer.recv(2048), null);
  assertEquals([Socket.errno, Socket.strerror()], [104, "Connection reset by peer"]);
  assertEquals(await peer.write("into the void"), null);
  assert([32, 104].includes(Socket.errno));
  peer.close();
  server.close();
});

test("accept() is null when its socket does not listen or is closed meanwhile", async () => {
  const { Socket } = openDictu();
  const server = Socket.create(2, 1)!;
  assertEquals([await server.accept(), Socket.errno], [null, 22]);
  assert(server.bind("127.0.0.1", 0) && server.listen());
  const accepting = server.accept();
  server.close();
  assertEquals([await accepting, Socket.errno], [null, 103]);
});

test("a wait that the host cancels is a failure, and loses nothing", async () => {
  using connection = await connected();
  const { Socket, peer, client } = connection;
  const receiving = peer.recv(4096);
  pendingOf(peer).forEach((id) => task.cancel(id));
  assertEquals([await receiving, Socket.errno], [null, 125]);
  assertEquals(Socket.strerror(), "Operation canceled");
  socket.send(client, "later");
  assertEquals(await peer.recv(4096), "later");
});

test("wrong arguments are runtime errors, as in Dictu, and no failures", async () => {
  using connection = await connected();
  const { Socket, peer } = connection;
  const unbound = Socket.create(2, 1)!;
  assertThrows(() => unbound.bind("127.0.0.1", 70_000), RangeError);
  assertThrows(() => unbound.bind(127 as never, 80), TypeError);
  await assertRejects(() => peer.write("€"), RangeError, "U+20AC");
  await assertRejects(() => peer.recv(0), RangeError);
  assertEquals(Socket.errno, 0);
  unbound.close();
});

test("strings are bytes: every byte arrives, in both directions", async () => {
  using connection = await connected();
  const { peer, client } = connection;
  const data = randomBytes(100_000);
  socket.send(client, data);
  let text = "";
  while (text.length < data.length) text += await peer.recv(4096);
  const [written, received] = await Promise.all([peer.write(text), receive(client, data.length)]);
  assertEquals(written, data.length);
  assertEquals(received, data);

  socket.send(client, bytesOf("é"));
  assertEquals(await peer.recv(4096), "\u00c3\u00a9");
});

test("a socket that was dropped is closed, one that is in use is not", async () => {
  const { Socket } = openDictu();
  const ids: socket.SocketId[] = [];
  (() => {
    for (let i = 0; i < 10; i++) ids.push(Socket.create(2, 1)!.id);
  })();
  using connection = await connected();
  const receiving = connection.peer.recv(4096);
  await collectUntil(() => !ids.some(socket.isopen));
  await task.await(socket.send(connection.client, "still here"));
  assertEquals(await receiving, "still here");
});
