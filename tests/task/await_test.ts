// `task.await`: who gets a result, and what ends a wait for it.

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { socket, task } from "../../mod.ts";
import {
  completed,
  CountingController,
  drain,
  faulted,
  held,
  leaveNothing,
  makePair,
  outcome,
  turn,
} from "./helpers.ts";

leaveNothing();

Deno.test("await() gives the result and leaves the ID Unknown when the task completes", async () => {
  const { id, resolve } = held<string>();
  const waiting = task.await(id);
  assertEquals(task.status(id), "Running");
  resolve("result");
  assertEquals(await waiting, "result");
  assertEquals(task.status(id), "Unknown");
  assertEquals(task.list(), []);
});

Deno.test("await() rejects with the task's own error and leaves the ID Unknown when it faults", async () => {
  const { id, reject } = held();
  const error = new SyntaxError("own");
  const waiting = assertRejects(() => task.await(id));
  reject(error);
  assertStrictEquals(await waiting, error);
  assertEquals(task.status(id), "Unknown");
});

Deno.test("await() rejects with whatever was thrown when that is no Error", async () => {
  for (const thrown of ["text", 0, null, undefined]) {
    const waiting = outcome(task.await(await faulted(thrown)));
    await drain();
    assertEquals(waiting, { state: "rejected", value: thrown });
  }
});

Deno.test("await() gives undefined when that is the result", async () => {
  assertEquals(await task.await(task.spawn(() => undefined)), undefined);
  assertEquals(await task.await(await completed(undefined)), undefined);
});

Deno.test("await() claims inside the call when the task has settled", async () => {
  for (const id of [await completed(1), await faulted(2)]) {
    const waiting = outcome(task.await(id));
    assertEquals(task.status(id), "Unknown");
    await drain();
    assert(waiting.state !== "pending");
  }
});

Deno.test("await() gives every await the result when they began before it settled", async () => {
  const { id, resolve } = held<object>();
  const { signal } = new CountingController();
  const waits = [
    task.await(id),
    task.await(id, {}),
    task.await(id, { timeout: 60_000 }),
    task.await(id, { signal }),
    task.await(id),
    task.await(id, { timeout: 60_000, signal }),
  ];
  const result = {};
  resolve(result);
  for (const got of await Promise.all(waits)) assertStrictEquals(got, result);
  assertEquals(task.status(id), "Unknown");
});

Deno.test("await() rejects every await with the fault when they began before it", async () => {
  const { id, reject } = held();
  const waits = [task.await(id), task.await(id, { timeout: 60_000 }), task.await(id)].map(outcome);
  reject("fault");
  await drain();
  assertEquals(waits, waits.map(() => ({ state: "rejected", value: "fault" })));
  assertEquals(task.status(id), "Unknown");
});

Deno.test("await() gives the result once when the second await comes after it settled", async () => {
  const id = await completed("once");
  assertEquals(await task.await(id), "once");
  await assertRejects(() => task.await(id), task.UnknownTaskError, `Task ${id} not found.`);
});

Deno.test("await() rejects with UnknownTaskError when there is no such task", async () => {
  for (const id of [0, -1, 2 ** 31, 2 ** 53, Number.MAX_SAFE_INTEGER]) {
    const error = await assertRejects(() => task.await(id), task.UnknownTaskError);
    assertEquals(error.message, `Task ${id} not found. No such ID was ever given out`);
    assertEquals([error.name, error.code, error.errno], ["UnknownTaskError", "ESRCH", 3]);
    await assertRejects(() => task.await(id, { timeout: 60_000 }), task.UnknownTaskError);
  }
});

Deno.test("every call that waits for a task says what an ID is that stands for none", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const closed = socket.tcpserver("127.0.0.1", 0);
  socket.close(closed);
  const claimed = await completed(1);
  await task.await(claimed);
  const forgotten = await completed(1);
  task.forget(forgotten);
  const gone = "It was claimed or dropped already, or was a socket";
  const texts: [number, string][] = [
    [server, "It is a socket"],
    [closed, gone],
    [claimed, gone],
    [forgotten, gone],
    [0, "No such ID was ever given out"],
  ];
  for (const [id, text] of texts) {
    const calls = [
      () => task.await(id),
      () => task.await(id, { timeout: 60_000 }),
      () => task.all([id]),
      () => task.any([id]),
      () => task.race([id]),
      () => task.select([id]),
    ];
    for (const call of calls) {
      const { message } = await assertRejects(call, task.UnknownTaskError);
      assertEquals(message, `Task ${id} not found. ${text}`);
    }
  }
  socket.close(server);
});

Deno.test("await() rejects with TimeoutError and leaves the task when its time runs out", async () => {
  const { id, resolve } = held<string>();
  for (const timeout of [4, 0.5]) {
    const error = await assertRejects(() => task.await(id, { timeout }), task.TimeoutError);
    assertEquals(
      error.message,
      `await of spawn task ${id} timed out after ${timeout} ms (ETIMEDOUT)`,
    );
    assertEquals([error.name, error.code, error.errno], ["TimeoutError", "ETIMEDOUT", 110]);
    assertEquals(task.status(id), "Running");
  }
  resolve("late");
  assertEquals(await task.await(id), "late");
});

Deno.test("await() gives up without the event loop when its time is over already", async () => {
  const { id, resolve } = held();
  const waits = [0, -0, -1, -Infinity].map((timeout) => outcome(task.await(id, { timeout })));
  await drain();
  for (const { state, value } of waits) {
    assertEquals(state, "rejected");
    assert(value instanceof task.TimeoutError);
  }
  assertEquals(task.status(id), "Running");
  resolve(1);
  await task.await(id);
});

Deno.test("await() gives what is there when its time is over already", async () => {
  assertEquals(await task.await(await completed("there"), { timeout: 0 }), "there");
  assertEquals(await task.await(await completed("there"), { timeout: -1 }), "there");
  const id = await faulted(new RangeError("there"));
  await assertRejects(() => task.await(id, { timeout: 0 }), RangeError, "there");
});

Deno.test("await() waits on when its time is infinite", async () => {
  const { id, resolve } = held<number>();
  const waiting = task.await(id, { timeout: Infinity });
  await turn();
  resolve(1);
  assertEquals(await waiting, 1);
});

Deno.test("await() keeps nobody else from the result when it timed out or was aborted", async () => {
  const { id, resolve } = held<number>();
  const plain = task.await(id);
  const bounded = task.await(id, { timeout: 60_000 });
  await assertRejects(() => task.await(id, { timeout: 1 }), task.TimeoutError);
  await assertRejects(() => task.await(id, { signal: AbortSignal.abort() }));
  resolve(7);
  assertEquals(await Promise.all([plain, bounded]), [7, 7]);
});

Deno.test("await() does not claim when every await of the task has given up", async () => {
  const { id, resolve } = held<number>();
  await assertRejects(() => task.await(id, { timeout: 1 }), task.TimeoutError);
  resolve(8);
  await drain();
  assertEquals(task.status(id), "Completed");
  assertEquals(await task.await(id), 8);
});

Deno.test("await() rejects with the signal's reason when it has aborted before", async () => {
  const { id, resolve } = held();
  const controller = new CountingController();
  const reason = { why: "before" };
  controller.abort(reason);
  const waiting = outcome(task.await(id, { signal: controller.signal, timeout: 0 }));
  await drain();
  assertEquals(waiting.state, "rejected");
  assertStrictEquals(waiting.value, reason);
  assertEquals(controller.added, 0);
  assertEquals(task.status(id), "Running");
  resolve(1);
  assertEquals(await task.await(id), 1);
});

Deno.test("await() rejects with the signal's reason and leaves the task when it aborts", async () => {
  const { id, resolve } = held();
  const controller = new CountingController();
  const waiting = outcome(task.await(id, { signal: controller.signal, timeout: 60_000 }));
  await turn();
  assertEquals([waiting.state, controller.listeners], ["pending", 1]);
  const reason = new Error("meanwhile");
  controller.abort(reason);
  await drain();
  assertEquals(waiting.state, "rejected");
  assertStrictEquals(waiting.value, reason);
  assertEquals(controller.listeners, 0);
  assertEquals(task.status(id), "Running");
  resolve(2);
  assertEquals(await task.await(id), 2);
});

Deno.test("await() lets go of the signal when it ends in another way", async () => {
  const controller = new CountingController();
  const { signal } = controller;
  const one = held();
  const waiting = task.await(one.id, { signal });
  assertEquals(controller.listeners, 1);
  one.resolve(1);
  await waiting;
  assertEquals(controller.listeners, 0);

  const two = held();
  const faulting = assertRejects(() => task.await(two.id, { signal, timeout: 60_000 }));
  two.reject(2);
  await faulting;
  assertEquals(controller.listeners, 0);

  const three = held();
  await assertRejects(() => task.await(three.id, { signal, timeout: 1 }), task.TimeoutError);
  assertEquals(controller.listeners, 0);
  three.resolve(3);
  await task.await(three.id);

  controller.abort();
  assertEquals(await task.await(await completed(4)), 4);
});

Deno.test("await() that timed out loses nothing when the task is a recv", async () => {
  using pair = await makePair();
  const id = socket.recv(pair.client);
  await assertRejects(() => task.await(id, { timeout: 1 }), task.TimeoutError);
  await assertRejects(() => task.await(id, { signal: AbortSignal.timeout(1) }), DOMException);
  socket.send(pair.peer, "whole");
  assertEquals(new TextDecoder().decode(await task.await(id)), "whole");
  await task.wait();
  task.list().forEach(task.forget);
});
