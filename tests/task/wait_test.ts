// `task.wait`: until no task is Running.

import { assertEquals, assertLess, assertRejects, assertStrictEquals } from "@std/assert";
import { socket, task } from "../../mod.ts";
import {
  completed,
  CountingController,
  drain,
  faulted,
  held,
  leaveNothing,
  outcome,
  runProgram,
} from "./helpers.ts";

leaveNothing();

Deno.test("wait() resolves without the event loop when no task is Running", async () => {
  const waiting = outcome(task.wait());
  await drain();
  assertEquals(waiting.state, "fulfilled");
});

Deno.test("wait() does not count settled tasks when nobody has claimed them", async () => {
  const ids = [await completed(1), await faulted(2)];
  const waiting = outcome(task.wait({ timeout: 0 }));
  await drain();
  assertEquals(waiting.state, "fulfilled");
  assertEquals(task.list(), ids);
  ids.forEach(task.forget);
});

Deno.test("wait() resolves when the last Running task settles, however it does", async () => {
  const [one, two, three] = [held(), held(), held()];
  const waits = [task.wait(), task.wait({ timeout: 60_000 })].map(outcome);
  const states = async () => {
    await drain();
    return waits.map(({ state }) => state);
  };
  one.resolve(1);
  assertEquals(await states(), ["pending", "pending"]);
  two.reject(2);
  assertEquals(await states(), ["pending", "pending"]);
  task.cancel(three.id);
  assertEquals(await states(), ["fulfilled", "fulfilled"]);
  assertEquals(task.list(), [one.id, two.id, three.id]);
  task.list().forEach(task.forget);
});

Deno.test("wait() counts a task that began after it when another is still Running", async () => {
  const one = held();
  const waiting = outcome(task.wait());
  const two = held();
  one.resolve(1);
  await drain();
  assertEquals(waiting.state, "pending");
  two.resolve(2);
  await drain();
  assertEquals(waiting.state, "fulfilled");
  [one.id, two.id].forEach(task.forget);
});

Deno.test("wait() waits anew when it is called again", async () => {
  for (let i = 0; i < 3; i++) {
    const { id, resolve } = held();
    const waiting = outcome(task.wait());
    await drain();
    assertEquals(waiting.state, "pending");
    resolve(i);
    await drain();
    assertEquals(waiting.state, "fulfilled");
    task.forget(id);
  }
});

Deno.test("wait() rejects and leaves the tasks when its time runs out", async () => {
  const { id, resolve } = held();
  for (const timeout of [-1, 0, 2]) {
    const error = await assertRejects(() => task.wait({ timeout }), task.TimeoutError);
    assertEquals(error.message, `wait for all tasks timed out after ${timeout} ms (ETIMEDOUT)`);
  }
  assertEquals(task.status(id), "Running");
  resolve(1);
  await task.wait();
  assertEquals(await task.await(id), 1);
});

Deno.test("wait() rejects with the signal's reason when it aborts", async () => {
  const { id, resolve } = held();
  const controller = new CountingController();
  const reason = { why: "enough" };
  const waiting = outcome(task.wait({ signal: controller.signal }));
  const other = outcome(task.wait());
  await drain();
  controller.abort(reason);
  await drain();
  assertEquals([waiting.state, controller.listeners], ["rejected", 0]);
  assertStrictEquals(waiting.value, reason);
  assertEquals([other.state, task.status(id)], ["pending", "Running"]);
  assertEquals(await assertRejects(() => task.wait({ signal: controller.signal })), reason);
  resolve(1);
  await drain();
  assertEquals(other.state, "fulfilled");
  task.forget(id);
});

Deno.test("wait() lets go of the signal when it resolves or times out", async () => {
  const { id, resolve } = held();
  const controller = new CountingController();
  const { signal } = controller;
  await assertRejects(() => task.wait({ signal, timeout: 1 }), task.TimeoutError);
  assertEquals([controller.added, controller.listeners], [1, 0]);
  const waiting = task.wait({ signal, timeout: 60_000 });
  resolve(1);
  await waiting;
  assertEquals([controller.added, controller.listeners], [2, 0]);
  task.forget(id);
});

Deno.test("wait() waits for socket tasks when they are pending", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const accepting = socket.accept(server);
  const waiting = outcome(task.wait());
  await drain();
  assertEquals(waiting.state, "pending");
  socket.close(server);
  await drain();
  assertEquals(waiting.state, "fulfilled");
  task.forget(accepting);
});

Deno.test("wait() is remembered by nobody once it is over", async () => {
  const { code, stdout, stderr } = await runProgram(
    `
    function heap(): number {
      (globalThis as any).gc();
      return Deno.memoryUsage().heapUsed;
    }
    async function giveUp(count: number) {
      for (let i = 0; i < count; i++) await task.wait({ timeout: 0 }).catch(() => {});
    }
    async function resolve(count: number) {
      const id = task.spawn(() => {});
      const waits = Array.from({ length: count }, () => task.wait());
      await Promise.all(waits);
      task.forget(id);
    }
    const running = task.after(60_000);
    await giveUp(1000);
    const before = heap();
    await giveUp(20_000);
    const givenUp = heap();
    task.cancel(running);
    task.forget(running);
    for (let i = 0; i < 10; i++) await resolve(5000);
    console.log(JSON.stringify({ before, givenUp, resolved: heap() }));
    `,
    "--v8-flags=--expose-gc",
  );
  assertEquals([code, stderr], [0, ""]);
  const { before, givenUp, resolved } = JSON.parse(stdout);
  const MARGIN = 4 * 1024 * 1024; // kept, they take more than twice that
  assertLess(givenUp - before, MARGIN);
  assertLess(resolved - before, MARGIN);
});
