import { assert, assertEquals } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { tcpPair } from "../pair.ts";
import { leavingNothing, until } from "../settle.ts";

const text = (data: Uint8Array) => new TextDecoder().decode(data);

/** Receives a message that is awaited before it comes: a part of shared memory, being small. */
async function exchange(from: socket.SocketId, to: socket.SocketId, message: string) {
  const receiving = task.await(socket.recv(to));
  socket.send(from, message);
  return await receiving;
}

Deno.test("recv() gives small results that never overlap", () =>
  leavingNothing(async () => {
    const { client, peer, close } = await tcpPair();
    const results: [string, Uint8Array][] = [];
    for (let n = 0; n < 500; n++) {
      const message = `${n}:${"x".repeat(n % 130)}`;
      results.push([message, await exchange(client, peer, message)]);
    }
    assert(results.some(([, data]) => data.buffer.byteLength > data.length), "none was shared");
    assert(results.every(([, data]) => data.byteOffset % 8 === 0), "one is not aligned");
    results[7][1].fill(0);
    results.splice(7, 1);
    for (const [message, data] of results) assertEquals(text(data), message);
    close();
  }));

Deno.test("recv() loses nothing when the buffer of a small result is transferred", () =>
  leavingNothing(async () => {
    const { client, peer, close } = await tcpPair();
    const first = await exchange(client, peer, "first");
    const unclaimed = socket.recv(peer);
    socket.send(client, "unclaimed");
    await until(() => task.status(unclaimed) !== "Running");
    structuredClone(first, { transfer: [first.buffer as ArrayBuffer] });
    assertEquals(first.length, 0);
    assertEquals(text(await task.await(unclaimed)), "unclaimed");
    assertEquals(text(await exchange(client, peer, "next")), "next");
    close();
  }));
