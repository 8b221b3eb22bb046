// `task.sleep`, `task.timer`, `task.interval`.

import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { task } from "../../mod.ts";
import { CountingController, drain, leaveNothing, outcome, runProgram, turn } from "./helpers.ts";
import { until } from "../settle.ts";

leaveNothing();

/** What a timer may be early by: clocks are rounded. */
const ROUNDING = 1.5;

Deno.test("sleep() resolves without the event loop when ms is 0 or less", async () => {
  const sleeps = [0, -0, -1, -Infinity].map((ms) => outcome(task.sleep(ms)));
  await drain();
  for (const { state, value } of sleeps) assertEquals([state, value], ["fulfilled", undefined]);
});

Deno.test("sleep() resolves when the time is over and not before", async () => {
  for (const ms of [1, 2.5, 20]) {
    const before = performance.now();
    assertEquals(await task.sleep(ms), undefined);
    assertGreaterOrEqual(performance.now() - before, ms - ROUNDING);
  }
});

Deno.test("sleep() resolves in the order of the times", async () => {
  const log: number[] = [];
  await Promise.all([30, 1, 15].map((ms) => task.sleep(ms).then(() => log.push(ms))));
  assertEquals(log, [1, 15, 30]);
});

Deno.test("sleep() is no task", async () => {
  const sleeping = task.sleep(1);
  assertEquals([task.list(), task.busy()], [[], false]);
  await sleeping;
});

Deno.test("sleep() rejects with the signal's reason when it has aborted before", async () => {
  const controller = new CountingController();
  const reason = { why: "before" };
  controller.abort(reason);
  for (const ms of [60_000, 0]) {
    const sleeping = outcome(task.sleep(ms, { signal: controller.signal }));
    await drain();
    assertEquals(sleeping.state, "rejected");
    assertStrictEquals(sleeping.value, reason);
  }
  assertEquals(controller.added, 0);
});

Deno.test("sleep() rejects with the signal's reason and stops its timer when it aborts", async () => {
  const controller = new CountingController();
  const sleeping = outcome(task.sleep(60_000, { signal: controller.signal }));
  await turn();
  assertEquals([sleeping.state, controller.listeners], ["pending", 1]);
  const reason = new Error("wake up");
  controller.abort(reason);
  await drain();
  assertEquals([sleeping.state, controller.listeners], ["rejected", 0]);
  assertStrictEquals(sleeping.value, reason);
});

Deno.test("sleep() takes times up to 2**31 - 1", async () => {
  const controller = new AbortController();
  const sleeping = outcome(task.sleep(2 ** 31 - 1, { signal: controller.signal }));
  await turn();
  assertEquals(sleeping.state, "pending");
  controller.abort();
  await drain();
  assertEquals(sleeping.state, "rejected");
});

Deno.test("sleep() lets go of the signal when the time is over", async () => {
  const controller = new CountingController();
  await task.sleep(1, { signal: controller.signal });
  assertEquals([controller.added, controller.listeners], [1, 0]);
  controller.abort();
  await drain();
});

Deno.test("timer() waits, calls once and gives the value", async () => {
  let calls = 0;
  const before = performance.now();
  const value = await task.timer(10, (...args: unknown[]) => {
    calls++;
    return ["ding", ...args];
  });
  assertGreaterOrEqual(performance.now() - before, 10 - ROUNDING);
  assertEquals(value, ["ding"]);
  await task.sleep(15);
  assertEquals(calls, 1);
});

Deno.test("timer() gives what the promise of the function resolves to", async () => {
  assertEquals(await task.timer(1, () => task.sleep(1).then(() => "later")), "later");
});

Deno.test("timer() rejects when the function throws or its promise rejects", async () => {
  const error = new Error("thrown");
  const throwing = () => {
    throw error;
  };
  assertStrictEquals(await assertRejects(() => task.timer<unknown>(1, throwing)), error);
  assertStrictEquals(await assertRejects(() => task.timer(1, () => Promise.reject(error))), error);
});

Deno.test("timer() does not call inside the call when ms is 0 or less", async () => {
  for (const ms of [0, -5]) {
    let called = false;
    const ringing = task.timer(ms, () => called = true);
    assertEquals(called, false);
    await ringing;
    assertEquals(called, true);
  }
});

/** An interval with what it did, to be ended by the test. */
function beat(ms: number, fn: (call: number) => unknown = () => {}) {
  let calls = 0;
  const id = task.interval(ms, () => fn(++calls));
  return {
    id,
    get calls() {
      return calls;
    },
  };
}

Deno.test("interval() calls the first time at once, never inside the call", async () => {
  const beating = beat(60_000);
  assertEquals(beating.calls, 0);
  await drain();
  assertEquals(beating.calls, 1);
  assertEquals(task.status(beating.id), "Running");
  assertEquals(task.cancel(beating.id), true);
  task.forget(beating.id);
});

Deno.test("interval() calls again and again until it is cancelled", async () => {
  const beating = beat(1);
  await until(() => beating.calls >= 5);
  assertEquals(task.status(beating.id), "Running");
  assertEquals(task.cancel(beating.id, "enough"), true);
  const { calls } = beating;
  await task.sleep(15);
  assertEquals(beating.calls, calls);
  await assertRejects(() => task.await(beating.id), task.CancelledError, "enough");
});

Deno.test("interval() never calls when it is cancelled before the first call", async () => {
  const beating = beat(1);
  task.cancel(beating.id);
  await task.sleep(5);
  assertEquals(beating.calls, 0);
  task.forget(beating.id);
});

Deno.test("interval() counts the pause from the end of the last call", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const pauses: number[] = [];
  let ended: number | undefined;
  const beating = beat(20, async (call) => {
    if (ended !== undefined) pauses.push(performance.now() - ended);
    await task.sleep(30); // longer than the pause
    ended = performance.now();
    if (call === 4) resolve();
  });
  await promise;
  task.cancel(beating.id);
  task.forget(beating.id);
  assertEquals(pauses.length, 3);
  for (const pause of pauses) assertGreaterOrEqual(pause, 20 - ROUNDING);
});

Deno.test("interval() never overlaps its calls when they are slow", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let running = 0;
  let most = 0;
  const beating = beat(0, async (call) => {
    most = Math.max(most, ++running);
    await task.sleep(3);
    running--;
    if (call === 5) resolve();
  });
  await promise;
  task.cancel(beating.id);
  task.forget(beating.id);
  await task.sleep(5);
  assertEquals(most, 1);
});

Deno.test("interval() leaves the event loop free when ms is 0 or less", async () => {
  for (const ms of [0, -1]) {
    const beating = beat(ms);
    await until(() => beating.calls >= 3);
    task.cancel(beating.id);
    task.forget(beating.id);
  }
});

Deno.test("interval() prints no warning when ms is negative", async () => {
  const { code, stdout, stderr } = await runProgram(`
    let calls = 0;
    const id = task.interval(-1, () => ++calls === 3 && task.cancel(id));
    await task.wait();
    console.log(calls);
  `);
  assertEquals([code, stdout, stderr], [0, "3\n", ""]);
});

Deno.test("interval() makes no further call when its function cancels it", async () => {
  for (const slow of [false, true]) {
    let error: unknown;
    const beating = beat(0, async (call) => {
      if (call < 3) return;
      if (slow) await task.sleep(1);
      assertEquals(task.cancel(beating.id), true);
      error = task.error(beating.id);
      if (slow) await task.sleep(1);
      throw new Error("after the cancel: dropped");
    });
    await task.wait();
    await task.sleep(5);
    assertEquals(beating.calls, 3);
    assert(error instanceof task.CancelledError);
    assertStrictEquals(task.error(beating.id), error);
    task.forget(beating.id);
  }
});

Deno.test("interval() lets a call under way finish when it is cancelled meanwhile", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let ended = 0;
  const beating = beat(0, async () => {
    await promise;
    ended++;
  });
  await turn();
  task.cancel(beating.id);
  resolve();
  await task.sleep(5);
  assertEquals([beating.calls, ended], [1, 1]);
  task.forget(beating.id);
});

Deno.test("interval() is Faulted and ends when its function throws or rejects", async () => {
  const error = new Error("thrown");
  const faults: ((call: number) => unknown)[] = [
    (call) => {
      if (call === 2) throw error;
    },
    (call) => call === 2 ? Promise.reject(error) : undefined,
    async (call) => {
      await task.sleep(1);
      if (call === 2) throw error;
    },
  ];
  for (const fn of faults) {
    const beating = beat(1, fn);
    await task.wait();
    assertEquals(task.status(beating.id), "Faulted");
    await task.sleep(5);
    assertEquals(beating.calls, 2);
    assertStrictEquals(await assertRejects(() => task.await(beating.id)), error);
  }
});

Deno.test("interval() goes on when it is forgotten, until it is cancelled", async () => {
  const beating = beat(1);
  task.forget(beating.id);
  await until(() => beating.calls >= 3);
  assertEquals(task.cancel(beating.id), true);
  assertEquals(task.status(beating.id), "Unknown");
});
