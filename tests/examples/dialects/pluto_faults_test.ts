// Known faults of Pluto's socket library, which are not copied.

import { assert, assertEquals, assertThrows } from "@std/assert";
import { once } from "node:events";
import net from "node:net";
import { fromBytes } from "../../../examples/dialects/bytestring.ts";
import { openPluto, type PlutoSocket } from "../../../examples/dialects/pluto.ts";
import type { Scheduler } from "../../../examples/dialects/pluto_scheduler.ts";
import { socket, task, tls } from "../../../mod.ts";
import { HUGE, randomBytes, receiveAll, sha256, textOf } from "../../bytes.ts";
import { arrival, until } from "../../settle.ts";
import { collectUntil, PAGE, pendingOf, portOf, test } from "./helpers.ts";

const address = "127.0.0.1";
const pair = tls.selfsigned(["localhost"]);
const certs = [{ chain: pair.cert, private_key: pair.key }];
const { scheduler, socket: sockets } = openPluto({ address, ca: pair.cert });

/** A server of a script's, and what its errorfunc was told. */
class Server {
  readonly errors: unknown[] = [];
  readonly port: number;
  readonly #id: socket.SocketId;
  readonly #running: Promise<void>;

  constructor(serve: (s: PlutoSocket, sched: Scheduler) => unknown) {
    const sched = new scheduler();
    sched.errorfunc = (err) => this.errors.push(err);
    this.#id = sockets.bind(sched, 0, (s) => serve(s, sched)).id;
    this.port = socket.getlocal(this.#id)[1];
    this.#running = sched.run();
  }

  connect(): Promise<socket.SocketId> {
    return socket.tcpconnect(address, this.port);
  }

  /** Ends when the last client has been served. */
  async [Symbol.asyncDispose](): Promise<void> {
    socket.close(this.#id);
    await this.#running;
  }
}

test("sends are lossless: all 32 MiB arrive, however late they are received", async () => {
  const chunks = Array.from({ length: 32 }, () => randomBytes(1024 * 1024));
  const returned = Promise.withResolvers<void>();
  await using server = new Server((s) => {
    for (const chunk of chunks) s.send(fromBytes(chunk)); // awaits none of them
    returned.resolve(); // and returns, with a request that it did not receive
  });
  const client = await server.connect();
  await task.await(socket.send(client, "GET / HTTP/1.1\r\n\r\n"));
  await returned.promise;
  assertEquals(sha256(await receiveAll(client)), sha256(...chunks));
  socket.close(client);
});

test("a callback that throws stops nobody, and its socket is closed", async () => {
  let n = 0;
  await using server = new Server(async (s) => {
    if (++n === 1) throw new Error("at once");
    if (n === 2) {
      await s.recv();
      throw new Error("after a wait");
    }
    await s.send(PAGE);
  });
  for (const expected of ["", "", PAGE]) {
    const client = await server.connect();
    socket.send(client, "hello");
    assertEquals(textOf(await receiveAll(client)), expected);
    socket.close(client);
  }
  assertEquals(server.errors.map(String), ["Error: at once", "Error: after a wait"]);
});

test("a callback that returns without close has its socket closed", async () => {
  const served: PlutoSocket[] = [];
  {
    await using server = new Server((s) => void served.push(s));
    const client = await server.connect();
    assertEquals((await receiveAll(client)).length, 0);
    socket.close(client);
  }
  const [s] = served;
  assertEquals([socket.isopen(s.id), await s.recv(), s.getside()], [false, null, "server"]);
});

test("a client that never ends its side is closed all the same, a second later", async () => {
  const stubborn = new net.Socket({ allowHalfOpen: true });
  {
    await using server = new Server((s) => s.send(PAGE));
    stubborn.connect(server.port, address).resume();
    await once(stubborn, "end");
  }
  stubborn.destroy();
  await once(stubborn, "close");
});

test("clients that reset, say nothing or talk nonsense hold up nobody", async () => {
  await using server = new Server(async (s) => {
    if (!await s.starttls(certs)) {
      assertEquals([socket.isopen(s.id), await s.recv()], [false, null]);
      return;
    }
    await s.send(PAGE);
  });
  const silent = await server.connect();
  const resets = net.connect(server.port, address);
  await once(resets, "connect");
  resets.resetAndDestroy();
  await once(resets, "close");
  const nonsense = await server.connect();
  await task.await(socket.send(nonsense, "GET / HTTP/1.1\r\n\r\n"));
  await receiveAll(nonsense).catch(() => {});

  for (let i = 0; i < 3; i++) {
    const s = (await sockets.connect("localhost", server.port))!;
    assert(await s.starttls("localhost"));
    assertEquals(await s.recv(), PAGE);
    await s.close();
  }
  [silent, nonsense].forEach(socket.close);
  assertEquals(server.errors, []);
});

test("a wait that the host cancels gives null, and loses nothing", async () => {
  const received: unknown[] = [];
  await using server = new Server(async (s) => {
    const receiving = s.recv();
    pendingOf(s).forEach((id) => task.cancel(id));
    received.push(await receiving, await s.recv());
  });
  const client = await server.connect();
  await task.await(socket.send(client, "later"));
  await receiveAll(client);
  assertEquals(received, [null, "later"]);
  socket.close(client);
});

test("a client that shuts its sending side down is still answered", async () => {
  await using server = new Server(async (s) => {
    let request = "";
    for (let data; (data = await s.recv());) request += data;
    await s.send(request.toUpperCase());
  });
  const client = await server.connect();
  socket.send(client, "all of it");
  socket.shutdown(client);
  assertEquals(textOf(await receiveAll(client)), "ALL OF IT");
  socket.close(client);
});

test("clear text before a handshake is refused, whether it was looked at or not", async () => {
  for (const look of [false, true]) {
    const l = sockets.listen(0)!;
    const client = (await sockets.connect(address, portOf(l)))!;
    const attacker = (await l.accept())!;
    await attacker.send("250 injected\r\n");
    if (look) await arrival(client.id);
    const upgrading = attacker.starttls(certs);
    assertEquals(await client.starttls("localhost"), false);
    assertEquals([socket.isopen(client.id), await client.recv()], [false, null]);
    await upgrading;
    await attacker.close();
    socket.close(l.id);
  }
});

test("bind() raises its failure to the caller", () => {
  const l = sockets.listen(0)!;
  const { code } = assertThrows(
    () => sockets.bind(new scheduler(), portOf(l), () => {}),
    socket.SocketError,
  );
  assertEquals(code, "EADDRINUSE");
  socket.close(l.id);
});

test("the port of port 0 can be known, and every other address is left alone", () => {
  const l = sockets.listen(0)!;
  const [ip, port] = socket.getlocal(l.id);
  assertEquals([ip, port > 0], [address, true]);
  socket.close(l.id);
});

test("what was sent on a socket that was dropped arrives before it is closed", async () => {
  const l = sockets.listen(0)!;
  const client = (await sockets.connect(address, portOf(l)))!;
  let id: socket.SocketId = 0;
  await (async () => {
    const s = (await l.accept())!;
    s.send(fromBytes(HUGE));
    id = s.id;
  })();
  let received = 0;
  await collectUntil(() => pendingOf({ id }).length > 1); // the send and a shutdown
  for (let chunk; (chunk = await client.recv());) received += chunk.length;
  assertEquals(received, HUGE.length);
  await client.close();
  await until(() => !socket.isopen(id));
  socket.close(l.id);
});

test("sockets and listeners that were dropped are closed, those of bind() are not", async () => {
  await using server = new Server((s) => s.send(PAGE));
  const ids: socket.SocketId[] = [];
  await (async () => {
    const l = sockets.listen(0)!;
    const client = (await sockets.connect(address, portOf(l)))!;
    const peer = (await l.accept())!;
    ids.push(l.id, client.id, peer.id);
  })();
  await collectUntil(() => !ids.some(socket.isopen));
  const client = await server.connect();
  assertEquals(textOf(await receiveAll(client)), PAGE);
  socket.close(client);
});
