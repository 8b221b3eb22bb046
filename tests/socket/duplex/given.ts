// Memory that sends give up.

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { socket, task } from "../../../mod.ts";
import { takeMemory } from "../../../socket/core/store.ts";
import { concat, randomBytes, receive, textOf } from "../../bytes.ts";
import { tcpPair } from "../../pair.ts";
import { codeOf, faultOf } from "../../settle.ts";
import type { DuplexTest } from "../duplex_test.ts";

const GIVEN = { transfer: true };

const isDetached = (data: Uint8Array) => (data.buffer as ArrayBuffer).detached && data.length === 0;

export function givenTests(test: DuplexTest): void {
  for (const size of [0, 1, 64, 500, 513, 4096, 16_384, 65_536, 300_000]) {
    test(`send() with transfer sends ${size} bytes and detaches them`, async (pair) => {
      const { client, peer } = pair;
      const data = randomBytes(size);
      for (const send of [socket.send, socket.write]) {
        const given = new Uint8Array(data);
        const id = send(client, given, GIVEN);
        assert(isDetached(given));
        assertEquals(await receive(peer, size), data);
        assertEquals(await task.await(id), size);
      }
    });
  }

  test("send() with transfer keeps the order of many sends", async ({ client, peer }) => {
    const parts = [10, 70_000, 0, 300, 4096, 20_000, 4096, 5].map(randomBytes);
    const ids = parts.map((part, n) =>
      socket.send(client, new Uint8Array(part), { transfer: n % 3 > 0 })
    );
    const whole = concat(parts);
    assertEquals(await receive(peer, whole.length), whole);
    assertEquals(await task.all(ids), parts.map(({ length }) => length));
  });

  test("send() with transfer detaches the whole memory of a part", async ({ client, peer }) => {
    const whole = randomBytes(65_536);
    const copy = new Uint8Array(whole);
    const rest = copy.subarray(40_000);
    const id = socket.send(client, copy.subarray(100, 40_000), GIVEN);
    assert(isDetached(copy) && isDetached(rest));
    assertEquals(await receive(peer, 39_900), whole.subarray(100, 40_000));
    assertEquals(await task.await(id), 39_900);
  });

  test("send() with transfer takes arrays of every kind", async ({ client, peer }) => {
    const data = randomBytes(5000);
    const buffer = new ArrayBuffer(data.length, { maxByteLength: 65_536 });
    const growing = new Uint8Array(buffer);
    growing.set(data);
    const odd = Buffer.alloc(5000);
    odd.set(data);
    for (const given of [growing, odd]) {
      const id = socket.send(client, given, GIVEN);
      assert(isDetached(given));
      assertEquals(await receive(peer, data.length), data);
      assertEquals(await task.await(id), data.length);
    }
    assertEquals(await task.await(socket.send(client, "grüezi", GIVEN)), 7);
    assertEquals(textOf(await receive(peer, 7)), "grüezi");
  });

  test("send() with transfer detaches even if it faults", async ({ client, peer }) => {
    const array = () => new Uint8Array(5000);
    const [shut, closed, none] = [array(), array(), array()];
    await task.await(socket.shutdown(client));
    assertEquals(await codeOf(socket.send(client, shut, GIVEN)), "EPIPE");
    socket.close(peer);
    assertEquals(await codeOf(socket.send(peer, closed, GIVEN)), "EBADF");
    assertEquals(await codeOf(socket.send(2 ** 40, none, GIVEN)), "EBADF");
    assert([shut, closed, none].every(isDetached));
  });

  test("send() with transfer throws when there is nothing to take over", ({ client }) => {
    const shared = new Uint8Array(new SharedArrayBuffer(5000));
    const guest = new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer);
    const gone = new Uint8Array(5000);
    gone.buffer.transfer();
    for (const [data, text] of [[shared, "shared"], [guest, "WebAssembly"], [gone, "detached"]]) {
      const given = data as Uint8Array;
      assertThrows(() => socket.send(client, given, GIVEN), TypeError, text as string);
      assertThrows(() => socket.send(2 ** 40, given, GIVEN), TypeError, text as string);
    }
    assertEquals([shared.length, guest.length], [5000, 65_536]);
    const kept = new Uint8Array(5000);
    assertThrows(() => socket.send("1" as never, kept, GIVEN), TypeError, "integer");
    assertThrows(() => socket.send(client, kept, { transfer: 1 as never }), TypeError, "a boolean");
    assertThrows(() => socket.send(client, kept, { give: true } as never), TypeError, `"give"`);
    assertThrows(() => socket.send(client, kept, null as never), TypeError, "options");
    for (const option of [{ timeout: 5 }, { signal: AbortSignal.abort() }]) {
      const text = "limit the wait, task.await(id, { timeout,";
      assertThrows(() => socket.send(client, kept, option as never), TypeError, text);
      assertThrows(() => socket.write(client, kept, option as never), TypeError, text);
    }
    assertEquals(kept.length, 5000);
    assertEquals((socket.inspect(client) as socket.StreamRecord).pending, []);
  });

  test("nothing that was given up shows behind a shorter result", async ({ client, peer }) => {
    const { client: a, peer: b, close } = await tcpPair();
    for (const size of [65_536, 16_384, 4096]) {
      // Some memory in the store, of each size, full of secrets.
      const sends = Array.from(
        { length: 4 },
        () => socket.send(a, new Uint8Array(size).fill(0xaa), GIVEN),
      );
      await receive(b, 4 * size);
      await task.all(sends);
    }
    // Reads become as large as they get; then less comes.
    for (const size of [400_000, 60_000, 40_000, 33_000, 13_000, 9_000, 3_000, 2_500, 100]) {
      const sending = socket.send(client, new Uint8Array(size).fill(1));
      for (let n = 0; n < size;) {
        const data = await task.await(socket.recv(peer, 65_536));
        const memory = new Uint8Array(data.buffer);
        assert(!memory.subarray(data.length).includes(0xaa), `${data.length} of ${memory.length}`);
        assert(data.every((byte) => byte === 1));
        n += data.length;
      }
      await task.await(sending);
    }
    close();
  });

  test("memory that a send is working on serves no receive", async ({ client, peer }) => {
    const { client: a, peer: b, close } = await tcpPair();
    // One send after the other, until the peer, which receives nothing, makes one wait.
    const parts: Uint8Array<ArrayBuffer>[] = [];
    let waiting: task.TaskId;
    do {
      parts.push(new Uint8Array(65_536).fill(1));
      waiting = socket.send(a, parts.at(-1)!);
      for (let n = 0; n < 10 && task.status(waiting) === "Running"; n++) await task.sleep(1);
    } while (task.status(waiting) !== "Running");
    const others = socket.send(client, parts.at(-1)!, GIVEN);
    await receive(peer, 65_536);
    await task.await(others);
    // These receives would be given its memory, and so write over it.
    const sending = socket.send(client, new Uint8Array(1_000_000).fill(2));
    const results = [];
    for (let n = 0; n < 1_000_000; n += results.at(-1)!.length) {
      results.push(await task.await(socket.recv(peer, 65_536)));
    }
    await task.await(sending);
    const seen = await receive(b, 65_536 * parts.length);
    assert(seen.every((byte) => byte === 1), "another connection's bytes were sent");
    await task.await(waiting);
    close();
  });

  test("what was given up serves no receive before it has been sent", async ({ client, peer }) => {
    const { client: a, peer: b, close } = await tcpPair();
    // One send after the other, until the peer, which receives nothing, makes one wait.
    let waiting: task.TaskId;
    let total = 0;
    do {
      while (takeMemory(65_536) !== undefined); // what was sent lies there
      waiting = socket.send(client, new Uint8Array(65_536).fill(1), GIVEN);
      total += 65_536;
      for (let n = 0; n < 10 && task.status(waiting) === "Running"; n++) await task.sleep(1);
    } while (task.status(waiting) !== "Running");
    // These receives would be given its memory, and so write over it.
    const sending = socket.send(a, new Uint8Array(1_000_000).fill(2));
    for (let n = 0; n < 1_000_000;) n += (await task.await(socket.recv(b, 65_536))).length;
    await task.await(sending);
    const seen = await receive(peer, total);
    assert(seen.every((byte) => byte === 1), "another connection's bytes were sent");
    await task.await(waiting);
    close();
  });

  test("memory that a receive is working on serves no other", async ({ client, peer }) => {
    const { client: a, peer: b, close } = await tcpPair();
    const buffer = new Uint8Array(65_536).fill(2);
    const filling = socket.recvInto(b, buffer);
    await task.await(socket.send(client, buffer, GIVEN));
    const sending = socket.send(client, new Uint8Array(400_000).fill(2));
    // Reads are full once the system has it all, and a full buffer is a result.
    await task.settled([sending], { timeout: 100 }).catch(() => {});
    const results = [];
    for (let n = 0; n < 465_536; n += results.at(-1)!.length) {
      results.push(await task.await(socket.recv(peer, 65_536)));
    }
    await task.await(sending);
    await task.await(socket.send(a, new Uint8Array(65_536).fill(1)));
    await task.settled([filling]);
    assertEquals(faultOf(filling), "EINVAL");
    assert(results.every((data) => data.every((byte) => byte === 2)), "another's bytes came");
    task.forget(filling);
    close();
  });
}
