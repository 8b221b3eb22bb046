// `task.channel`.

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { task } from "../../mod.ts";
import { CountingController, drain, leaveNothing, outcome, randomFrom, turn } from "./helpers.ts";

leaveNothing();

const states = (seen: { state: string }[]) => seen.map(({ state }) => state);

/** Waits for room in a full channel: the rejection is the test's to look at. */
const sends = <T>(channel: task.Channel<T>, ...values: T[]) =>
  values.map((value) => outcome(channel.send(value)));

Deno.test("channel() is unbounded when the capacity is 0, negative or not given", async () => {
  for (
    const channel of [task.channel<number>(), task.channel<number>(0), task.channel<number>(-7)]
  ) {
    assertEquals([channel.capacity, channel.size, channel.closed()], [0, 0, false]);
    const sent = outcome(Promise.all(Array.from({ length: 1000 }, (_, i) => channel.send(i))));
    await drain();
    assertEquals([sent.state, channel.size], ["fulfilled", 1000]);
  }
});

Deno.test("channel() makes sends wait while it is full when the capacity is positive", async () => {
  for (const capacity of [1, 2, 5]) {
    const channel = task.channel<number>(capacity);
    assertEquals(channel.capacity, capacity);
    const values = Array.from({ length: capacity + 3 }, (_, i) => i);
    const sent = sends(channel, ...values);
    await turn();
    const accepted = (n: number) => values.map((i) => i < n ? "fulfilled" : "pending");
    assertEquals(states(sent), accepted(capacity));
    assertEquals(channel.size, capacity);
    for (const i of values) {
      assertEquals(await channel.recv(), i);
      await drain();
      assertEquals(states(sent), accepted(capacity + i + 1));
      assertEquals(channel.size, Math.min(capacity, values.length - i - 1));
    }
  }
});

Deno.test("Channel.recv() gives the values in the order they were sent", async () => {
  const channel = task.channel<number>();
  for (let i = 0; i < 5000; i++) channel.trySend(i);
  for (let i = 0; i < 5000; i++) {
    assertEquals(await channel.recv(), i);
    if (i % 2 === 0) channel.trySend(5000 + i / 2);
  }
  assertEquals(channel.size, 2500);
  assertEquals(channel.tryRecv(), [true, 5000]);
});

Deno.test("Channel.recv() serves waiters in the order they came", async () => {
  const channel = task.channel<number>();
  const order: number[] = [];
  const waits = [0, 1, 2, 3].map((i) => channel.recv().then((v) => order.push(i * 10 + v!)));
  for (const value of [0, 1, 2, 3]) await channel.send(value);
  await Promise.all(waits);
  assertEquals(order, [0, 11, 22, 33]);
  assertEquals(channel.size, 0);
});

Deno.test("Channel.send() hands over the value when a receiver waits in a channel of capacity 1", async () => {
  const channel = task.channel<number>(1);
  const waits = [channel.recv(), channel.recv()];
  const sent = sends(channel, 1, 2, 3, 4);
  assertEquals(channel.size, 1);
  await drain();
  assertEquals(states(sent), ["fulfilled", "fulfilled", "fulfilled", "pending"]);
  assertEquals(await Promise.all(waits), [1, 2]);
  assertEquals([await channel.recv(), await channel.recv()], [3, 4]);
});

Deno.test("Channel.send() carries any value", async () => {
  const channel = task.channel<unknown>();
  const values = [null, undefined, NaN, 0, "", {}, channel, Promise, new Error("value")];
  for (const value of values) await channel.send(value);
  for (const value of values) assertStrictEquals(await channel.recv(), value);
  const waiting = channel.recv();
  channel.trySend(undefined);
  assertEquals(await waiting, undefined);
  channel.trySend(null);
  assertEquals(channel.tryRecv(), [true, null]);
});

Deno.test("Channel.send() rejects with the value when the channel is closed", async () => {
  for (const capacity of [0, 1]) {
    const channel = task.channel<object>(capacity);
    channel.close();
    const value = {};
    const error = await assertRejects(() => channel.send(value), task.ChannelClosedError);
    assertStrictEquals(error.value, value);
    assertEquals(error.message, "Cannot send: the channel is closed (EPIPE)");
    assertEquals([error.name, error.code, error.errno], ["ChannelClosedError", "EPIPE", 32]);
    assertEquals([channel.trySend(value), channel.size], [false, 0]);
  }
});

Deno.test("Channel.recv() gives null when the channel is closed and drained, every time", async () => {
  const channel = task.channel<number>();
  channel.trySend(1);
  channel.trySend(2);
  channel.close();
  assertEquals([channel.closed(), channel.size], [true, 2]);
  const got = [await channel.recv(), await channel.recv(), await channel.recv()];
  assertEquals(got, [1, 2, null]);
  assertEquals(await channel.recv(), null);
  assertEquals(channel.tryRecv(), [false, undefined]);
});

Deno.test("Channel.close() wakes every receiver that waits", async () => {
  const channel = task.channel<number>();
  const waits = [1, 2, 3, 4, 5].map(() => outcome(channel.recv()));
  await turn();
  channel.close();
  await drain();
  assertEquals(waits, Array(5).fill({ state: "fulfilled", value: null }));
});

Deno.test("Channel.close() rejects every send that waits and gives its value back", async () => {
  const channel = task.channel<string>(2);
  const sent = sends(channel, "a", "b", "c", "d", "e");
  await turn();
  channel.close();
  await drain();
  assertEquals(states(sent), ["fulfilled", "fulfilled", "rejected", "rejected", "rejected"]);
  for (const [i, value] of ["c", "d", "e"].entries()) {
    const error = sent[i + 2].value;
    assert(error instanceof task.ChannelClosedError);
    assertEquals(error.value, value);
  }
  assertEquals(await Array.fromAsync(channel), ["a", "b"]);
});

Deno.test("Channel.close() changes nothing when it is called again", async () => {
  const channel = task.channel<number>(1);
  channel.trySend(1);
  for (let i = 0; i < 3; i++) {
    assertEquals(channel.close(), undefined);
    assertEquals([channel.closed(), channel.size], [true, 1]);
  }
  assertEquals([await channel.recv(), await channel.recv()], [1, null]);
  channel.close();
  assertEquals(channel.closed(), true);
});

Deno.test("Channel.trySend() is false when the channel is full and takes nothing", async () => {
  const channel = task.channel<number>(2);
  assertEquals([1, 2, 3].map((n) => channel.trySend(n)), [true, true, false]);
  assertEquals(channel.size, 2);
  assertEquals(channel.tryRecv(), [true, 1]);
  assertEquals(channel.trySend(4), true);
  assertEquals([await channel.recv(), await channel.recv()], [2, 4]);
  assertEquals(channel.tryRecv(), [false, undefined]);
});

Deno.test("Channel.trySend() does not overtake a send that waits", async () => {
  const channel = task.channel<number>(1);
  const sent = sends(channel, 1, 2, 3);
  assertEquals(channel.trySend(9), false);
  assertEquals(channel.tryRecv(), [true, 1]);
  assertEquals(channel.trySend(9), false); // 2 has taken the room
  assertEquals([channel.tryRecv(), channel.tryRecv()], [[true, 2], [true, 3]]);
  assertEquals(channel.trySend(9), true);
  await drain();
  assertEquals(states(sent), ["fulfilled", "fulfilled", "fulfilled"]);
});

Deno.test("Channel.send() leaves the queue and sends nothing when it is aborted", async () => {
  const channel = task.channel<number>(1);
  const controller = new CountingController();
  const { signal } = controller;
  const sent = [
    ...sends(channel, 0, 1),
    outcome(channel.send(2, { signal })),
    ...sends(channel, 3),
    outcome(channel.send(4, { signal })),
    ...sends(channel, 5),
  ];
  await turn();
  assertEquals(controller.listeners, 1); // one for all of them
  const reason = { why: "enough" };
  controller.abort(reason);
  await drain();
  assertEquals(controller.listeners, 0);
  for (const i of [2, 4]) {
    assertEquals(sent[i].state, "rejected");
    assertStrictEquals(sent[i].value, reason);
  }
  const got = [];
  for (let i = 0; i < 4; i++) got.push(await channel.recv());
  assertEquals(got, [0, 1, 3, 5]);
  assertEquals(channel.size, 0);
});

Deno.test("Channel.recv() leaves the queue and takes nothing when it is aborted", async () => {
  const channel = task.channel<number>();
  const controller = new CountingController();
  const { signal } = controller;
  const waits = [
    outcome(channel.recv({ signal })),
    outcome(channel.recv()),
    outcome(channel.recv({ signal })),
    outcome(channel.recv()),
    outcome(channel.recv({ signal })),
  ];
  await turn();
  assertEquals(controller.listeners, 1); // one for all of them
  const reason = { why: "enough" };
  controller.abort(reason);
  assertEquals(controller.listeners, 0);
  for (const value of [1, 2, 3]) channel.trySend(value);
  await drain();
  for (const i of [0, 2, 4]) assertStrictEquals(waits[i].value, reason);
  assertEquals([waits[1].value, waits[3].value], [1, 2]);
  assertEquals(channel.tryRecv(), [true, 3]);
});

Deno.test("Channel.send() and recv() do nothing when the signal has aborted before", async () => {
  const channel = task.channel<number>();
  const controller = new CountingController();
  const reason = { why: "before" };
  controller.abort(reason);
  const { signal } = controller;
  assertStrictEquals(await assertRejects(() => channel.send(1, { signal })), reason);
  assertEquals(channel.size, 0);
  channel.trySend(2);
  assertStrictEquals(await assertRejects(() => channel.recv({ signal })), reason);
  assertEquals(channel.size, 1);
  assertEquals(controller.added, 0);
});

Deno.test("Channel.send() and recv() let go of the signal when they end in another way", async () => {
  const channel = task.channel<number>(1);
  const controller = new CountingController();
  const { signal } = controller;
  const waiting = channel.recv({ signal });
  await channel.send(1, { signal });
  await waiting;
  await channel.send(2, { signal });
  const sending = channel.send(3, { signal });
  assertEquals(controller.listeners, 1);
  assertEquals([await channel.recv({ signal }), await channel.recv()], [2, 3]);
  await sending;
  assertEquals(controller.listeners, 0);
  const closing = channel.recv({ signal });
  channel.close();
  assertEquals([await closing, controller.listeners], [null, 0]);

  const full = task.channel<number>(1);
  full.trySend(1);
  const refused = assertRejects(() => full.send(2, { signal }), task.ChannelClosedError);
  full.close();
  await refused;
  assertEquals(controller.listeners, 0);
  controller.abort();
  await drain();
});

Deno.test("Channel gives every value to for await until it is closed and drained", async () => {
  const channel = task.channel<number | null>(1);
  const values = [1, null, 2, null, 3];
  const id = task.spawn(async () => {
    for (const value of values) await channel.send(value);
    channel.close();
  });
  const got = [];
  for await (const value of channel) got.push(value);
  assertEquals(got, values);
  for await (const _ of channel) assert(false);
  await task.await(id);
});

Deno.test("Channel stays open and keeps the rest when a for await is left", async () => {
  const channel = task.channel<number>();
  for (let i = 0; i < 5; i++) channel.trySend(i);
  for await (const value of channel) if (value === 1) break;
  await assertRejects(async () => {
    for await (const value of channel) throw new Error(`at ${value}`);
  }, "at 2");
  assertEquals([channel.closed(), channel.size], [false, 2]);
  channel.close();
  assertEquals(await Array.fromAsync(channel), [3, 4]);
});

Deno.test("Channel takes nothing when a loop is left while a next is pending", async () => {
  const channel = task.channel<number>();
  const loop = channel[Symbol.asyncIterator]();
  const pending = [loop.next(), loop.next()];
  const kept = channel.recv();
  assertEquals(await loop.return!(), { done: true, value: undefined });
  channel.trySend(1);
  channel.trySend(2);
  const done = { done: true, value: undefined } as const;
  assertEquals(await Promise.all(pending), [done, done]);
  assertEquals([await loop.next(), await kept, channel.tryRecv()], [done, 1, [true, 2]]);
});

Deno.test("Channel takes nothing when a stream over it is cancelled while it waits", async () => {
  const channel = task.channel<number>();
  const reader = ReadableStream.from(channel).getReader();
  const reading = reader.read();
  await drain();
  await reader.cancel();
  assertEquals((await reading).done, true);
  channel.trySend(1);
  assertEquals(channel.tryRecv(), [true, 1]);
});

Deno.test("Channel gives for await what was sent, be it a promise", async () => {
  const channel = task.channel<Promise<number>>();
  const rejected = Promise.reject(new Error("a value, no failure"));
  rejected.catch(() => {});
  const values = [Promise.resolve(1), rejected];
  for (const value of values) channel.trySend(value);
  channel.close();
  const got: unknown[] = [];
  for await (const value of channel) got.push(value);
  assertEquals(got.map((value, i) => value === values[i]), [true, true]);
});

Deno.test("Channel shares the values when several loops run over it", async () => {
  const channel = task.channel<number>();
  const loops = [1, 2, 3].map(() => Array.fromAsync(channel));
  await turn();
  for (let i = 0; i < 300; i++) {
    channel.trySend(i);
    if (i % 10 === 0) await drain();
  }
  channel.close();
  const got = await Promise.all(loops);
  for (const part of got) assertEquals(part, part.toSorted((a, b) => a - b));
  assertEquals(got.flat().sort((a, b) => a - b), Array.from({ length: 300 }, (_, i) => i));
});

Deno.test("Channel carries a million values in order", async () => {
  const MILLION = 1_000_000;
  const channel = task.channel<number>();
  for (let i = 0; i < MILLION; i++) channel.trySend(i);
  assertEquals(channel.size, MILLION);
  channel.close();
  let expected = 0;
  for (;;) {
    const [taken, value] = channel.tryRecv();
    if (!taken) break;
    if (value !== expected) assertEquals(value, expected);
    expected++;
  }
  assertEquals(expected, MILLION);
  assertEquals(await channel.recv(), null);
});

Deno.test("Channel carries a million values through a small buffer", async () => {
  const MILLION = 1_000_000;
  const channel = task.channel<number>(64);
  const id = task.spawn(async () => {
    for (let i = 0; i < MILLION; i++) if (!channel.trySend(i)) await channel.send(i);
    channel.close();
  });
  let expected = 0;
  for (;;) {
    const [taken, value] = channel.tryRecv();
    const got = taken ? value : await channel.recv();
    if (got === null) break;
    if (got !== expected) assertEquals(got, expected);
    expected++;
  }
  assertEquals(expected, MILLION);
  await task.await(id);
});

Deno.test("Channel delivers every value once when there are many producers and consumers", async () => {
  const PRODUCERS = 20;
  const EACH = 200;
  for (const capacity of [0, 1, 3]) {
    const channel = task.channel<number>(capacity);
    const got: number[] = [];
    const consumers = Array.from({ length: 7 }, () =>
      task.spawn(async () => {
        for await (const value of channel) got.push(value);
      }));
    const producers = Array.from({ length: PRODUCERS }, (_, p) =>
      task.spawn(async () => {
        for (let i = 0; i < EACH; i++) {
          await channel.send(p * EACH + i);
          if (i % 50 === p) await turn();
        }
      }));
    await task.all(producers);
    channel.close();
    await task.all(consumers);
    for (let p = 0; p < PRODUCERS; p++) { // in order, as each of them sent
      const own = got.filter((value) => Math.floor(value / EACH) === p);
      assertEquals(own, Array.from({ length: EACH }, (_, i) => p * EACH + i));
    }
    assertEquals(got.length, PRODUCERS * EACH);
  }
});

Deno.test("Channel loses no accepted value when sends and recvs give up at random", async () => {
  for (const capacity of [0, 1, 4]) {
    const random = randomFrom(capacity + 1);
    const channel = task.channel<number>(capacity);
    const accepted: number[] = [];
    const got: number[] = [];
    const waits: Promise<unknown>[] = [];
    for (let i = 0; i < 4000; i++) {
      const controller = new AbortController();
      const { signal } = controller;
      if (random() < 0.5) {
        waits.push(channel.send(i, { signal }).then(() => accepted.push(i), () => {}));
      } else {
        waits.push(channel.recv({ signal }).then((v) => v === null || got.push(v), () => {}));
      }
      if (random() < 0.4) controller.abort();
      else if (random() < 0.3) queueMicrotask(() => controller.abort());
      if (random() < 0.2) await Promise.resolve();
    }
    channel.close();
    for await (const value of channel) got.push(value);
    await Promise.all(waits);
    assertEquals(got.toSorted((a, b) => a - b), accepted.toSorted((a, b) => a - b));
    assert(accepted.length > 100);
  }
});
