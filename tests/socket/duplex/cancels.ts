// Cancel safety: a cancelled receive loses nothing, a cancelled send is sent whole or not at all.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { socket, task } from "../../../mod.ts";
import {
  assertSame,
  concat,
  HUGE,
  randomBytes,
  receive,
  receiveAll,
  sha256,
  textOf,
} from "../../bytes.ts";
import { type Random, withSeed } from "../../random.ts";
import { faultOf, turn } from "../../settle.ts";
import type { DuplexTest } from "../duplex_test.ts";

const ways: Record<string, (id: socket.SocketId) => task.TaskId> = {
  "recv()": (id) => socket.recv(id),
  "recvInto() a small buffer": (id) => socket.recvInto(id, new Uint8Array(100)),
  "recvInto() a large buffer": (id) => socket.recvInto(id, new Uint8Array(64 * 1024)),
};

export function cancelTests(test: DuplexTest): void {
  test("await() that gives up and cancels loses no line to a retry", async ({ client, peer }) => {
    const nextLine = (timeout: number) =>
      task.await(socket.recvLine(peer), { timeout, cancel: true });
    for (let n = 0; n < 3; n++) {
      await assertRejects(() => nextLine(1), task.TimeoutError);
      socket.send(client, `line ${n}, which is late\n`);
      assertEquals(await nextLine(20_000), `line ${n}, which is late`);
    }
  });

  for (const [way, begin] of Object.entries(ways)) {
    test(`${way} leaves its bytes to the next recv when it is cancelled`, async (pair) => {
      const { client, peer } = pair;
      const id = begin(peer);
      await turn();
      assertEquals(task.cancel(id), true);
      assertEquals(faultOf(id), "ECANCELED");
      const data = randomBytes(20_000);
      const sending = socket.send(client, data);
      assertEquals(await receive(peer, data.length), data);
      await task.await(sending);
    });

    test(`${way} leaves its bytes to a recv that waits when it is cancelled`, async (pair) => {
      const { client, peer } = pair;
      const ids = [begin(peer), socket.recv(peer, 4), begin(peer), socket.recv(peer, 4)];
      await turn();
      task.cancel(ids[0]);
      task.cancel(ids[2]);
      socket.send(client, "onetwo");
      assertEquals(textOf(await task.await(ids[1]) as Uint8Array), "onet");
      assertEquals(textOf(await task.await(ids[3]) as Uint8Array), "wo");
    });

    test(`${way} leaves the end of the stream to the next when it is cancelled`, async (pair) => {
      const id = begin(pair.peer);
      await turn();
      task.cancel(id);
      socket.shutdown(pair.client);
      assertEquals(await receiveAll(pair.peer), new Uint8Array(0));
    });
  }

  test("recvInto() writes nothing more into a small buffer once it is cancelled", async (pair) => {
    const buffer = new Uint8Array(100);
    const id = socket.recvInto(pair.peer, buffer);
    await turn();
    task.cancel(id);
    socket.send(pair.client, "hello");
    assertEquals(textOf(await receive(pair.peer, 5)), "hello");
    assertEquals(buffer, new Uint8Array(100));
  });

  test("recv() loses, doubles and swaps nothing in ten thousand random cancels", async (pair) => {
    await withSeed((random) => cancelManyReceives(pair.client, pair.peer, random));
  });

  test("send() sends nothing when it is cancelled before it begins", async ({ client, peer }) => {
    const begun = socket.send(client, HUGE);
    const [b, c, d] = ["b", "c", "d"].map((text) => socket.send(client, text));
    assertEquals(task.cancel(c), true);
    assertEquals(faultOf(c), "ECANCELED");
    const tail = (await receive(peer, HUGE.length + 2)).subarray(-2);
    assertEquals(textOf(tail), "bd");
    assertEquals(await task.all([begun, b, d]), [HUGE.length, 1, 1]);
    socket.shutdown(client);
    assertEquals(await receiveAll(peer), new Uint8Array(0));
  });

  test("send() sends what it was given, whatever became of others in its turn", async (pair) => {
    const { client, peer } = pair;
    for (
      const sizes of [[5, 3, 3], [5, 5], [5, 600, 5], [500, 5, 8], [600, 600], [8, 8, 8, 600], [
        5,
        600,
      ], [5, 70_000]]
    ) {
      for (let cancelled = -1; cancelled < sizes.length; cancelled++) {
        const data = sizes.map((size) => randomBytes(size));
        const ids = data.map((bytes) => {
          const lent = bytes.slice();
          const id = socket.send(client, lent);
          if (lent.length <= 512) lent.fill(0); // small ones are the program's again
          return id;
        });
        if (cancelled >= 0) task.cancel(ids[cancelled]);
        await turn();
        const end = randomBytes(16);
        socket.send(client, end);
        let got: Uint8Array = new Uint8Array(0);
        while (sha256(got.slice(-16)) !== sha256(end)) {
          got = concat([got, await task.await(socket.recv(peer))]);
        }
        // The first may have begun when it was cancelled: then it went out whole.
        const whole = got.length - 16 === concat(data).length;
        const expected = whole ? data : data.filter((_, i) => i !== cancelled);
        assertSame(got, concat([...expected, end]), `${sizes}, ${cancelled} cancelled`);
        for (const [i, id] of ids.entries()) {
          if (i === cancelled) task.forget(id);
          else assertEquals(await task.await(id), sizes[i]);
        }
        // Nothing is taken to be worked on any more.
        await task.await(socket.send(client, new Uint8Array(1000), { transfer: true }));
        assertEquals((await receive(peer, 1000)).length, 1000);
      }
    }
  });

  test("send() goes out whole when it is cancelled after it began", async ({ client, peer }) => {
    const data = randomBytes(HUGE.length);
    const begun = socket.send(client, data);
    await turn();
    assertEquals(task.cancel(begun), true);
    assertEquals(faultOf(begun), "ECANCELED");
    const next = socket.send(client, "next");
    const got = await receive(peer, data.length + 4);
    assertEquals(textOf(got.subarray(-4)), "next");
    assertSame(got.subarray(0, -4), data, "the cancelled send");
    assertEquals(await task.await(next), 4);
  });

  test("send() goes out whole or not at all in two thousand random cancels", async (pair) => {
    await withSeed((random) => cancelManySends(pair.client, pair.peer, random));
  });
}

const CANCELS = 10_000;

/** A stream in which the byte at every position is known. It repeats itself after a while. */
const PERIOD = 1_000_003;
const first = randomBytes(PERIOD);
const numbered = concat([first, first.subarray(0, 300_000)]);

function slice(start: number, length: number): Uint8Array {
  return numbered.subarray(start % PERIOD, start % PERIOD + length);
}

async function cancelManyReceives(
  client: socket.SocketId,
  peer: socket.SocketId,
  random: Random,
): Promise<void> {
  let enough = false;
  const sender = task.spawn(async () => {
    let sent = 0;
    while (!enough) {
      const size = random.oneIn(20) ? random.integer(10_000, 60_000) : random.integer(1, 2000);
      await task.await(socket.send(client, slice(sent, size)));
      sent += size;
      if (random.oneIn(6)) await turn();
    }
    await task.await(socket.shutdown(client));
    return sent;
  });

  /** How much of the stream has been taken out and not put back. */
  let position = 0;
  const check = (bytes: Uint8Array) => {
    assertSame(bytes, slice(position, bytes.length), `at ${position}`);
    position += bytes.length;
  };
  const putBack = (most: number) => {
    const length = Math.min(position, most);
    position -= length;
    socket.unrecv(peer, slice(position, length));
  };

  let cancels = 0;
  /** Receives under way, oldest first, each with how to read its result. */
  let pending: { id: task.TaskId; bytes(value: unknown): Uint8Array }[] = [];
  const begin = () => {
    const kind = random.integer(0, 2);
    if (kind === 0) {
      const id = socket.recv(peer, random.pick([1, 7, 100, 4096, 100_000]));
      return { id, bytes: (value: unknown) => value as Uint8Array };
    }
    const large = random.integer(16 * 1024, 40 * 1024);
    const buffer = new Uint8Array(kind === 1 ? random.integer(1, 300) : large);
    const id = socket.recvInto(peer, buffer);
    return { id, bytes: (value: unknown) => buffer.subarray(0, value as number) };
  };
  /** Takes the results that are there; they are a prefix of what is pending. */
  const collect = () => {
    let waits = false;
    for (const { id, bytes } of pending) {
      const status = task.status(id);
      if (status === "Running") waits = true;
      else {
        assertEquals([status, waits], ["Completed", false]);
        check(bytes(task.result(id)));
        task.forget(id);
      }
    }
    pending = pending.filter(({ id }) => task.status(id) === "Running");
  };

  while (cancels < CANCELS) {
    for (let n = random.integer(1, 4); n > 0; n--) pending.push(begin());
    if (random.oneIn(12)) await turn();
    else if (random.oneIn(2)) await Promise.resolve();
    collect();
    if (random.oneIn(3)) {
      // A recv that waits takes it, unless it reads straight into its buffer.
      putBack(random.integer(1, 500));
      collect();
    }
    if (random.oneIn(3)) {
      const seen = pending.length === 0 ? socket.peek(peer, random.integer(1, 5000)) : undefined;
      if (seen !== undefined) assertSame(seen, slice(position, seen.length), "peek");
    }
    pending = pending.filter(({ id }) => {
      // Where one read straight into its buffer, its cancel gives what was put back to the next.
      if (random.oneIn(10) || task.status(id) === "Completed") return true;
      assertEquals(task.cancel(id), true);
      assertEquals(faultOf(id), "ECANCELED");
      task.forget(id);
      cancels++;
      return false;
    });
    collect();
    if (pending.length > 5) {
      await task.race(pending.map(({ id }) => id)).then(({ id, value }) => {
        assertEquals(id, pending[0].id);
        check(pending.shift()!.bytes(value));
        collect();
      });
    }
  }
  for (const { id } of pending) task.cancel(id);
  enough = true;
  for (;;) {
    const bytes = await task.await(socket.recv(peer, 100_000));
    if (bytes.length === 0) break;
    check(bytes);
  }
  assertEquals(position, await task.await(sender));
}

async function cancelManySends(
  client: socket.SocketId,
  peer: socket.SocketId,
  random: Random,
): Promise<void> {
  const COUNT = 4000;
  const received: number[] = [];
  const reader = task.spawn(async () => {
    for (;;) {
      const head = await receive(peer, 8);
      if (head.length === 0) return;
      const [number, length] = new Uint32Array(head.slice().buffer);
      assertSame(await receive(peer, length), slice(number, length), `send ${number}`);
      received.push(number);
      if (random.oneIn(30)) await turn();
    }
  });

  const cancelled = new Set<number>();
  const counts: Promise<void>[] = [];
  let recent: { id: task.TaskId<number>; number: number }[] = [];
  for (let number = 0; number < COUNT; number++) {
    const length = random.oneIn(20) ? random.integer(10_000, 200_000) : random.integer(0, 3000);
    const head = new Uint8Array(new Uint32Array([number, length]).buffer);
    const id = socket.send(client, concat([head, slice(number, length)]));
    recent.push({ id, number });
    counts.push(
      task.await(id).then(
        (count) => assertEquals(count, length + 8),
        (error) => assertEquals([error.code, cancelled.has(number)], ["ECANCELED", true]),
      ),
    );
    if (recent.length < 40) continue;
    if (random.oneIn(2)) await turn();
    for (const { id, number } of recent) {
      if (random.oneIn(2) && task.cancel(id)) cancelled.add(number);
    }
    recent = [];
  }
  await Promise.all(counts);
  await task.await(socket.shutdown(client));
  await task.await(reader);

  const whole = new Set(received);
  assertEquals(received, [...whole].sort((a, b) => a - b), "in order, none twice");
  for (let number = 0; number < COUNT; number++) {
    assert(whole.has(number) || cancelled.has(number), `send ${number} was lost`);
  }
  assert(cancelled.size > COUNT / 10, `only ${cancelled.size} cancels`);
}
