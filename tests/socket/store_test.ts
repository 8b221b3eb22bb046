// The store of memory that sends gave up.

import { assert, assertEquals, assertNotStrictEquals } from "@std/assert";
import { Given, keepMemory, takeMemory, takeOver } from "../../socket/core/store.ts";
import { socket, task } from "../../mod.ts";

const SIZES = [4096, 16_384, 65_536];

const give = (size: number) => takeOver(new ArrayBuffer(size), 0, size);

function empty(): void {
  for (const size of SIZES) while (takeMemory(size) !== undefined);
}

Deno.test("takeMemory() gives whole buffers of just the size that was asked for", () => {
  empty();
  for (const size of SIZES) {
    keepMemory(takeOver(new ArrayBuffer(size), 10, 100));
    for (const other of [0, 100, size - 1, size + 1]) assertEquals(takeMemory(other), undefined);
    const memory = takeMemory(size)!;
    assertEquals([memory.byteOffset, memory.length, memory.buffer.byteLength], [0, size, size]);
    assertEquals(takeMemory(size), undefined);
  }
  for (const size of [0, 100, 4095, 10_000, 131_072]) {
    keepMemory(give(size));
    assertEquals(takeMemory(size), undefined);
  }
});

Deno.test("keepMemory() keeps no more than 4 MiB of a size", () => {
  empty();
  for (const size of SIZES) {
    for (let n = 0; n < 5 * 1024 * 1024; n += size) keepMemory(give(size));
    let kept = 0;
    while (takeMemory(size) !== undefined) kept += size;
    assertEquals(kept, 4 * 1024 * 1024);
  }
});

Deno.test("keepMemory() keeps nothing that others may work on", () => {
  empty();
  keepMemory(new Given(new Uint8Array(65_536), false));
  assertEquals(takeMemory(65_536), undefined);
});

Deno.test("send() with transfer lets later receives have the memory", async () => {
  empty();
  const [client, peer] = await socket.pair();
  const { buffer } = new Uint8Array(65_536);
  await task.await(socket.send(client, new Uint8Array(buffer), { transfer: true }));
  const memory = takeMemory(65_536);
  assert(memory !== undefined && buffer.detached);
  assertNotStrictEquals(memory.buffer, buffer);
  keepMemory(new Given(memory, true));
  for (let n = 0; n < 65_536;) n += (await task.await(socket.recv(peer, 65_536))).length;
  assertEquals(takeMemory(65_536), undefined, "the receive took it");
  [client, peer].forEach(socket.close);
});
