import { assertEquals } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { assertSame, randomBytes, receive, sha256 } from "../bytes.ts";
import { canCount, descriptorsBackTo, openDescriptors } from "../descriptors.ts";
import { tcpPair } from "../pair.ts";
import { type Random, withSeed } from "../random.ts";
import { leavingNothing, turn } from "../settle.ts";

/** Accepts `count` connections and sends back whatever each sends, until it ends. */
function serveEcho(server: socket.SocketId, count: number): task.TaskId<void> {
  return task.spawn(async () => {
    const handlers = [];
    while (count-- > 0) {
      const peer = await task.await(socket.accept(server));
      handlers.push(task.spawn(() => echo(peer)));
    }
    await task.all(handlers);
  });
}

async function echo(peer: socket.SocketId): Promise<void> {
  for (;;) {
    const data = await task.await(socket.recv(peer, 65536));
    if (data.length === 0) break;
    await task.await(socket.send(peer, data));
  }
  socket.close(peer);
}

/** One client with traffic of its own kind. */
async function talk(host: string, port: number, random: Random): Promise<void> {
  const client = await socket.tcpconnect(host, port);
  const data = randomBytes(random.integer(1, 200_000));
  const kind = random.integer(0, 2);
  if (kind === 0) {
    // Ask and wait, in small pieces.
    for (let at = 0; at < Math.min(data.length, 4000); at += 200) {
      const piece = data.subarray(at, Math.min(at + 200, 4000));
      socket.send(client, piece);
      assertSame(await receive(client, piece.length), piece, "answer");
    }
  } else if (kind === 1) {
    const sending = socket.send(client, data);
    const buffer = new Uint8Array(data.length);
    for (let at = 0; at < data.length;) {
      at += await task.await(socket.recvInto(client, buffer.subarray(at)));
    }
    assertEquals([sha256(buffer), await task.await(sending)], [sha256(data), data.length]);
  } else {
    // All at once, and a few cancels on the way.
    for (let at = 0; at < data.length; at += 1000) {
      task.forget(socket.send(client, data.subarray(at, at + 1000)));
    }
    socket.shutdown(client);
    const received = [];
    for (;;) {
      const id = socket.recv(client, random.integer(1, 9000));
      if (random.oneIn(4) && task.cancel(id)) {
        task.forget(id);
        continue;
      }
      const chunk = await task.await(id);
      if (chunk.length === 0) break;
      received.push(chunk);
    }
    assertEquals(sha256(...received), sha256(data));
  }
  socket.close(client);
}

Deno.test("socket serves 200 connections at once with mixed traffic", () =>
  leavingNothing(() =>
    withSeed(async (random) => {
      const server = socket.tcpserver("127.0.0.1", 0, 256);
      const [host, port] = socket.getlocal(server);
      const echoes = serveEcho(server, 200);
      await Promise.all(Array.from({ length: 200 }, () => talk(host, port, random)));
      await task.await(echoes);
      socket.close(server);
    })
  ));

Deno.test("socket leaves nothing behind in 2000 rounds of connect, echo and close", () =>
  leavingNothing(async () => {
    const descriptors = canCount ? openDescriptors() : 0;
    const [tasks, sockets] = [task.list(), socket.list()];
    const server = socket.tcpserver("127.0.0.1", 0);
    const [host, port] = socket.getlocal(server);
    const round = async (n: number) => {
      const accepting = socket.accept(server);
      const client = await socket.tcpconnect(host, port);
      const peer = await task.await(accepting);
      const sending = socket.send(client, `round ${n}`);
      const data = await task.await(socket.recv(peer));
      assertEquals(await task.await(socket.send(peer, data)), data.length);
      assertSame(await receive(client, data.length), data, `round ${n}`);
      await task.await(sending);
      // Either end closes first, some with a receive under way.
      if (n % 3 === 0) task.forget(socket.recv(client));
      for (const id of n % 2 ? [client, peer] : [peer, client]) socket.close(id);
    };
    for (let n = 0; n < 2000; n += 20) {
      await Promise.all(Array.from({ length: 20 }, (_, i) => round(n + i)));
    }
    socket.close(server);
    assertEquals([task.list(), socket.list()], [tasks, sockets]);
    await turn();
    if (canCount) await descriptorsBackTo(descriptors);
  }));

Deno.test("send() and recv() carry 64 MiB", () =>
  leavingNothing(async () => {
    using pair = await tcpPair();
    const data = randomBytes(64 * 1024 * 1024);
    const sending = socket.send(pair.client, data);
    assertEquals(sha256(await receive(pair.peer, data.length)), sha256(data));
    assertEquals(await task.await(sending), data.length);
  }));
