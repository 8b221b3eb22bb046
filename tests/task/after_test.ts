// `task.after`: a timer as a task.

import { assert, assertEquals, assertGreaterOrEqual, assertRejects } from "@std/assert";
import { task } from "../../mod.ts";
import { leaveNothing, runProgram } from "./helpers.ts";

leaveNothing();

Deno.test("after() Completes with undefined when its time is over", async () => {
  const begun = performance.now();
  const id = task.after(20);
  assertEquals([task.status(id), task.inspect(id)!.kind], ["Running", "after"]);
  assertEquals(await task.await(id), undefined);
  assertGreaterOrEqual(performance.now() - begun, 19); // timers count whole milliseconds
  assertEquals(task.status(id), "Unknown");
});

Deno.test("after() is Completed within the call when there is no time to wait", () => {
  for (const ms of [0, -0, -1, -Infinity]) {
    const id = task.after(ms);
    assertEquals(task.take(id), { id, status: "Completed", value: undefined });
  }
});

Deno.test("after() Completes in the order of the times, not of the calls", async () => {
  const queue = task.completions();
  const ids = [30, 10, 20].map((ms) => queue.add(task.after(ms)));
  const order = [];
  while (order.length < 3) {
    await queue.wait();
    for (let done; (done = queue.take()) !== undefined;) order.push(done.id);
  }
  assertEquals(order, [ids[1], ids[2], ids[0]]);
});

Deno.test("after() is Faulted by a cancel, which clears its timer", async () => {
  const id = task.after(60_000); // the sanitizer would find the timer
  assertEquals(task.cancel(id, "no longer"), true);
  await assertRejects(() => task.await(id), task.CancelledError, "after task");
  assertEquals(task.busy(), false);
});

Deno.test("after() goes on when an await of it gives up, unless that cancels", async () => {
  const id = task.after(60_000);
  await assertRejects(() => task.await(id, { timeout: 1 }), task.TimeoutError);
  assertEquals(task.status(id), "Running");
  await assertRejects(() => task.await(id, { timeout: 1, cancel: true }), task.TimeoutError);
  assertEquals([task.status(id), task.busy()], ["Unknown", false]);
});

Deno.test("after() loses a race to what comes first and wins it otherwise", async () => {
  const [short, long] = [task.after(1), task.after(60_000)];
  assertEquals(await task.race([long, short]), { id: short, value: undefined });
  assert(task.cancel(long));
  task.forget(long);
});

Deno.test("after() keeps the process alive while it is Running", async () => {
  const { code, stdout, stderr } = await runProgram(`
    const id = task.after(300);
    globalThis.addEventListener("unload", () => console.log(task.status(id)));
    task.cancel(task.after(60_000));
  `);
  assertEquals([code, stdout, stderr], [0, "Completed\n", ""]);
});

Deno.test("after() of a millisecond or less is Running at first, of none is Completed", async () => {
  for (const ms of [1, 0.5]) {
    const id = task.after(ms);
    assertEquals(task.status(id), "Running", `${ms} ms`);
    await task.await(id);
  }
  assertEquals(task.status(task.after(0)), "Completed");
  task.list().forEach(task.forget);
});
