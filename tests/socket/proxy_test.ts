// Connections that are treated badly on their way, and the proxy that does it.

import { assert, assertEquals } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { assertSame, randomBytes, receive, receiveAll } from "../bytes.ts";
import { type Pair, pairOf } from "../pair.ts";
import { type Proxy, serveProxy, type Troubles } from "../proxy.ts";
import { codeOf, leavingNothing, until } from "../settle.ts";

function test(
  name: string,
  troubles: Troubles,
  run: (pair: Pair, proxy: Proxy) => Promise<void>,
): void {
  Deno.test(name, () =>
    leavingNothing(async () => {
      const server = socket.tcpserver("127.0.0.1", 0);
      await using proxy = await serveProxy(socket.getlocal(server), troubles);
      const client = await socket.tcpconnect(...proxy.address);
      using pair = pairOf(client, await task.await(socket.accept(server)), server);
      await run(pair, proxy);
    }));
}

test("recv() gives every byte when they come one by one", {
  toServer: { slice: 1 },
  toClient: { slice: 3, delay: 1 },
}, async ({ client, peer }) => {
  const [out, back] = [randomBytes(3000), randomBytes(60)];
  socket.send(client, out);
  socket.send(peer, back);
  socket.shutdown(client);
  socket.shutdown(peer);
  assertSame(await receiveAll(peer), out, "to the server");
  assertSame(await receiveAll(client), back, "to the client");
});

test("recv() gives the end of the stream when the line is cut", {
  toServer: { cutAt: 5000 },
}, async ({ client, peer }) => {
  const data = randomBytes(9000);
  socket.send(client, data);
  assertSame(await receiveAll(peer), data.subarray(0, 5000), "up to the cut");
  assertEquals(await receiveAll(client), new Uint8Array(0));
});

test("recv() faults ECONNRESET on both sides when the line is reset", {}, async (pair, proxy) => {
  const { client, peer } = pair;
  socket.send(client, "hello");
  assertEquals((await receive(peer, 5)).length, 5);
  const receiving = [socket.recv(client), socket.recv(peer)];
  proxy.reset();
  assertEquals(await Promise.all(receiving.map(codeOf)), ["ECONNRESET", "ECONNRESET"]);
});

test("recv() gives what came before the line was reset", {
  toServer: { resetAt: 700 },
}, async ({ client, peer }) => {
  const data = randomBytes(2000);
  socket.send(client, data);
  assertSame(await receive(peer, 700), data.subarray(0, 700), "up to the reset");
  assertEquals(await codeOf(socket.recv(peer)), "ECONNRESET");
  assertEquals(await codeOf(socket.recv(client)), "ECONNRESET");
});

test("proxy flips the bit it is told to", { toServer: { flipAt: 1500 } }, async (pair, proxy) => {
  const data = randomBytes(2000);
  socket.send(pair.client, data);
  const got = await receive(pair.peer, 2000);
  assertEquals(got[1500], data[1500] ^ 1);
  got[1500] ^= 1;
  assertSame(got, data, "the rest");
  assertEquals(proxy.count, 1);
  proxy.cut();
  assertEquals(await receiveAll(pair.peer), new Uint8Array(0));
  [pair.client, pair.peer].forEach(socket.close);
  await until(() => proxy.count === 0);
  assert(true);
});
