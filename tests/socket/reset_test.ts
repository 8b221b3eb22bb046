import { assertEquals, assertInstanceOf } from "@std/assert";
import net from "node:net";
import { socket, task } from "../../mod.ts";
import { HUGE, randomBytes, receive, textOf } from "../bytes.ts";
import { type Resettable, resettable } from "../reset.ts";
import { arrival, codeOf, faultOf, leavingNothing, thrownBy, turn, until } from "../settle.ts";

function test(name: string, run: (connection: Resettable) => Promise<void>): void {
  Deno.test(name, () =>
    leavingNothing(async () => {
      await using connection = await resettable();
      await run(connection);
    }));
}

const BROKEN = ["EPIPE", "ECONNRESET"];

/** Sends until it fails: a reset shows at some time after it was sent. */
async function sendUntilBroken(id: socket.SocketId): Promise<string> {
  for (;;) {
    const code = await codeOf(socket.send(id, "x"));
    if (code !== "completed with 1") return code;
    await turn();
  }
}

test("recv() faults ECONNRESET again and again when the peer resets", async (connection) => {
  const { client, reset } = connection;
  const waiting = [socket.recv(client), socket.recv(client)];
  const into = socket.recvInto(client, new Uint8Array(64 * 1024));
  reset();
  assertEquals(await codeOf(waiting[0]), "ECONNRESET");
  assertEquals([faultOf(waiting[1]), faultOf(into)], ["ECONNRESET", "ECONNRESET"]);
  for (let time = 0; time < 3; time++) {
    assertEquals(faultOf(socket.recv(client)), "ECONNRESET");
    assertEquals(faultOf(socket.recvInto(client, new Uint8Array(9))), "ECONNRESET");
    assertEquals(thrownBy(() => socket.peek(client)), "ECONNRESET");
  }
  assertEquals(socket.isopen(client), true);
});

test("recv() says what failed when the peer resets", async ({ client, reset }) => {
  const [local, remote] = [socket.getlocal(client), socket.getpeer(client)];
  const id = socket.recv(client);
  reset();
  const error = await task.await(id).catch((error) => error);
  assertInstanceOf(error, socket.SocketError);
  assertEquals([error.code, error.errno, error.op], ["ECONNRESET", 104, "recv"]);
  assertEquals([error.socket, error.local, error.remote], [client, local, remote]);
  const text = `recv 127.0.0.1:${remote[1]}: connection reset by peer (ECONNRESET)`;
  assertEquals(error.message, text);
  assertInstanceOf(error.cause, Deno.errors.ConnectionReset);
  assertEquals([socket.errno(), socket.strerror()], [104, "Connection reset by peer"]);
});

test("recv() faults ECONNRESET when a direct recvInto was reading", async (connection) => {
  const { client, reset } = connection;
  const direct = socket.recvInto(client, new Uint8Array(64 * 1024));
  const next = socket.recv(client);
  reset();
  assertEquals([await codeOf(direct), await codeOf(next)], ["ECONNRESET", "ECONNRESET"]);
});

test("recv() gives what came before the reset first", async ({ client, far, reset }) => {
  const data = randomBytes(3000);
  await new Promise<void>((resolve) => far.write(data, () => resolve()));
  await arrival(client);
  socket.unrecv(client, "pushed");
  reset();
  await turn();
  assertEquals(textOf(await task.await(socket.recv(client, 3))), "pus");
  assertEquals(textOf(await task.await(socket.recv(client))), "hed");
  const got = await receive(client, data.length);
  assertEquals(got, data);
  assertEquals(await codeOf(socket.recv(client)), "ECONNRESET");
  socket.unrecv(client, "still possible");
  assertEquals(socket.peek(client, 5), new TextEncoder().encode("still"));
  assertEquals(textOf(await task.await(socket.recv(client))), "still possible");
  assertEquals(faultOf(socket.recv(client)), "ECONNRESET");
});

test("recv() gives pushed bytes when a direct recvInto meets the reset", async (connection) => {
  const { client, reset } = connection;
  const buffer = new Uint8Array(64 * 1024);
  const direct = socket.recvInto(client, buffer);
  socket.unrecv(client, "pushed");
  reset();
  assertEquals(await task.await(direct), 6);
  assertEquals(textOf(buffer.subarray(0, 6)), "pushed");
  assertEquals(await codeOf(socket.recv(client)), "ECONNRESET");
});

test("recv() faults ECONNRESET when a cancelled one met the reset", async (connection) => {
  const { client, reset } = connection;
  const id = socket.recv(client);
  await turn();
  task.cancel(id);
  reset();
  assertEquals(await codeOf(socket.recv(client)), "ECONNRESET");
});

test("recv() faults ECONNRESET when a send met the reset first", async (connection) => {
  const { client, reset } = connection;
  reset();
  assertEquals(BROKEN.includes(await sendUntilBroken(client)), true);
  for (let time = 0; time < 3; time++) {
    assertEquals(await codeOf(socket.recv(client)), "ECONNRESET");
    assertEquals(await codeOf(socket.recvInto(client, new Uint8Array(20_000))), "ECONNRESET");
  }
});

test("send() fails for ever once the peer has reset", async ({ client, reset }) => {
  reset();
  assertEquals(BROKEN.includes(await sendUntilBroken(client)), true);
  for (let time = 0; time < 3; time++) {
    const later = [socket.send(client, "x"), socket.write(client, "x"), socket.send(client, "")];
    assertEquals(later.map((id) => BROKEN.includes(faultOf(id))), [true, true, true]);
    assertEquals(
      ["EPIPE", "ENOTCONN", "ECONNRESET"].includes(faultOf(socket.shutdown(client))),
      true,
    );
  }
});

test("send() faults everything that waits in a clogged pipe", async ({ client, reset }) => {
  const ids = [HUGE, "a", "b"].map((data) => socket.send(client, data));
  const ending = socket.shutdown(client);
  const receiving = socket.recv(client);
  await until(() => (socket.inspect(client) as socket.StreamRecord).bytesOut > 0);
  reset();
  for (const id of [...ids, ending]) {
    const error = await task.await<unknown>(id).catch((error) => error);
    assertInstanceOf(error, socket.SocketError);
    assertEquals(BROKEN.includes(error.code), true, error.code);
  }
  assertEquals(await codeOf(receiving), "ECONNRESET");
  const { pending, queuedOut } = socket.inspect(client) as socket.StreamRecord;
  assertEquals([pending, queuedOut], [[], 0]);
});

test("close() and the addresses work after a reset", async ({ client, reset }) => {
  const [local, remote] = [socket.getlocal(client), socket.getpeer(client)];
  reset();
  assertEquals(await codeOf(socket.recv(client)), "ECONNRESET");
  assertEquals([socket.getlocal(client), socket.getpeer(client)], [local, remote]);
  assertEquals(socket.getside(client), "client");
  socket.close(client);
  assertEquals(await codeOf(socket.recv(client)), "EBADF");
});

Deno.test("accept() is not disturbed by connections that were reset before it", () =>
  leavingNothing(async () => {
    const server = socket.tcpserver("127.0.0.1", 0);
    const [host, port] = socket.getlocal(server);
    const connectAndReset = () =>
      new Promise((resolve) => {
        const far = net.connect({ host, port }, () => far.resetAndDestroy());
        far.once("close", resolve);
      });
    for (const waits of [false, true]) {
      const ids: task.TaskId<socket.SocketId>[] = waits ? [socket.accept(server)] : [];
      for (let n = 0; n < 5; n++) await connectAndReset();
      // What the system still has of them is no connection to wait for.
      if (!waits) assertEquals(socket.hasconnection(server), false);
      const client = await socket.tcpconnect(host, port);
      for (;;) {
        const peer = await task.await(ids.pop() ?? socket.accept(server));
        const found = socket.getpeer(peer)[1] === socket.getlocal(client)[1];
        // If not, it was accepted before the reset came.
        if (!found) assertEquals(await codeOf(socket.recv(peer)), "ECONNRESET");
        socket.close(peer);
        if (found) break;
      }
      socket.close(client);
    }
    socket.close(server);
  }));
