// `task.mutex`.

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { task } from "../../mod.ts";
import { CountingController, drain, leaveNothing, outcome, turn } from "./helpers.ts";

leaveNothing();

Deno.test("Mutex.acquire() takes a free mutex at once and waits for one that is held", async () => {
  const lock = task.mutex();
  assertEquals(lock.locked, false);
  await lock.acquire();
  assertEquals(lock.locked, true);
  const waiting = outcome(lock.acquire());
  await turn();
  assertEquals(waiting.state, "pending");
  lock.release();
  assertEquals(lock.locked, true);
  await drain();
  assertEquals(waiting.state, "fulfilled");
  lock.release();
  assertEquals(lock.locked, false);
});

Deno.test("Mutex.acquire() serves waiters in the order they came", async () => {
  const lock = task.mutex();
  await lock.acquire();
  const order: number[] = [];
  const waits = [1, 2, 3, 4].map((i) => lock.acquire().then(() => order.push(i)));
  for (let i = 1; i <= 4; i++) {
    lock.release();
    await drain();
    assertEquals(order, [1, 2, 3, 4].slice(0, i));
  }
  await Promise.all(waits);
  lock.release();
});

Deno.test("Mutex.acquire() does not slip in when the mutex is released to a waiter", async () => {
  const lock = task.mutex();
  const order: string[] = [];
  await lock.acquire();
  const first = lock.acquire().then(() => order.push("first"));
  lock.release();
  const second = lock.acquire().then(() => order.push("second"));
  assertEquals(await lock.tryAcquire(), false);
  await first;
  lock.release();
  await second;
  lock.release();
  assertEquals(order, ["first", "second"]);
});

Deno.test("Mutex.acquire() rejects and leaves the queue when its time runs out", async () => {
  const lock = task.mutex();
  await lock.acquire();
  const before = lock.acquire();
  for (const timeout of [-1, 0, 2]) {
    const error = await assertRejects(() => lock.acquire({ timeout }), task.TimeoutError);
    assertEquals(error.message, `acquire of a mutex timed out after ${timeout} ms (ETIMEDOUT)`);
  }
  const after = lock.acquire();
  lock.release();
  await before;
  lock.release();
  await after;
  lock.release();
  assertEquals(lock.locked, false);
  await lock.acquire({ timeout: 0 });
  lock.release();
});

Deno.test("Mutex.acquire() rejects and leaves the middle of the queue when it is aborted", async () => {
  const lock = task.mutex();
  await lock.acquire();
  const controller = new CountingController();
  const { signal } = controller;
  const waits = [lock.acquire(), lock.acquire({ signal, timeout: 60_000 }), lock.acquire()]
    .map(outcome);
  const reason = { why: "enough" };
  controller.abort(reason);
  await drain();
  assertEquals(waits.map(({ state }) => state), ["pending", "rejected", "pending"]);
  assertStrictEquals(waits[1].value, reason);
  for (const i of [0, 2]) {
    lock.release();
    await drain();
    assertEquals(waits[i].state, "fulfilled");
  }
  lock.release();
  assertEquals([lock.locked, controller.listeners], [false, 0]);
  assertStrictEquals(await assertRejects(() => lock.acquire({ signal })), reason);
  assertEquals([lock.locked, controller.added], [false, 1]);
});

Deno.test("Mutex.acquire() lets go of the signal when it has the mutex", async () => {
  const lock = task.mutex();
  const controller = new CountingController();
  await lock.acquire();
  const waiting = lock.acquire({ signal: controller.signal, timeout: 60_000 });
  assertEquals(controller.listeners, 1);
  lock.release();
  await waiting;
  assertEquals(controller.listeners, 0);
  controller.abort();
  assertEquals(lock.locked, true);
  lock.release();
});

Deno.test("Mutex.tryAcquire() tells whether it has the mutex", async () => {
  const lock = task.mutex();
  assertEquals(await lock.tryAcquire(), true);
  assertEquals(await lock.tryAcquire(), false);
  assertEquals(await lock.tryAcquire(-1), false);
  assertEquals(await lock.tryAcquire(2), false);
  const waiting = lock.tryAcquire(60_000);
  const infinite = lock.tryAcquire(Infinity);
  await turn();
  lock.release();
  assertEquals(await waiting, true);
  lock.release();
  assertEquals(await infinite, true);
  lock.release();
  assertEquals(lock.locked, false);
});

Deno.test("Mutex.tryAcquire() does not wait without a time", async () => {
  const lock = task.mutex();
  const waits = [outcome(lock.tryAcquire()), outcome(lock.tryAcquire())];
  await drain();
  assertEquals(waits, [{ state: "fulfilled", value: true }, { state: "fulfilled", value: false }]);
});

Deno.test("Mutex.release() throws when nobody holds the mutex", async () => {
  const lock = task.mutex();
  assertThrows(() => lock.release(), Error, "Cannot release the mutex: nobody holds it");
  await lock.acquire();
  lock.release();
  assertThrows(() => lock.release(), Error, "Cannot release the mutex: nobody holds it");
  assertEquals(lock.locked, false);
});

Deno.test("Mutex.synchronize() lets one function at a time run, in order", async () => {
  const lock = task.mutex();
  const log: string[] = [];
  let inside = 0;
  const work = (name: string) =>
    lock.synchronize(async () => {
      assertEquals(++inside, 1);
      log.push(name);
      await task.sleep(1);
      inside--;
      return name;
    });
  assertEquals(await Promise.all(["a", "b", "c"].map(work)), ["a", "b", "c"]);
  assertEquals(log, ["a", "b", "c"]);
  assertEquals(await lock.synchronize(() => 42), 42);
  assertEquals(lock.locked, false);
});

Deno.test("Mutex.synchronize() gives the mutex up when the function throws or rejects", async () => {
  const lock = task.mutex();
  const error = new Error("thrown");
  const throwing = () => {
    throw error;
  };
  const waits = [
    outcome(lock.synchronize(throwing)),
    outcome(lock.synchronize(() => Promise.reject(error))),
    outcome(lock.synchronize(() => "next")),
  ];
  await turn();
  assertEquals(waits.map(({ state }) => state), ["rejected", "rejected", "fulfilled"]);
  assert(waits[0].value === error && waits[1].value === error);
  assertEquals(lock.locked, false);
});
