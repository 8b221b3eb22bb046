// `task.spawn`.

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { task } from "../../mod.ts";
import { drain, leaveNothing } from "./helpers.ts";

leaveNothing();

Deno.test("spawn() runs the function soon, never inside the call", async () => {
  const log: string[] = [];
  setTimeout(() => log.push("event loop"), 0);
  const id = task.spawn(() => log.push("function"));
  log.push("after the call");
  await drain();
  assertEquals(log, ["after the call", "function"]);
  assertEquals(await task.await(id), 2);
  await task.sleep(1);
  assertEquals(log, ["after the call", "function", "event loop"]);
});

Deno.test("spawn() runs functions in the order of the calls", async () => {
  const log: number[] = [];
  const ids = [1, 2, 3, 4].map((n) => task.spawn(() => log.push(n)));
  const nested = task.spawn(() => {
    log.push(5);
    const inner = task.spawn(() => log.push(7));
    log.push(6);
    return inner;
  });
  const inner = await task.await(nested);
  await task.await(inner);
  assertEquals(log, [1, 2, 3, 4, 5, 6, 7]);
  await task.all(ids);
});

Deno.test("spawn() does not run a nested spawn inside the function that calls it", async () => {
  const log: string[] = [];
  const id = task.spawn(() => {
    const inner = task.spawn(() => log.push("inner"));
    log.push("outer");
    return inner;
  });
  await task.await(await task.await(id));
  assertEquals(log, ["outer", "inner"]);
});

Deno.test("spawn() passes the arguments", async () => {
  const echo = (...args: unknown[]) => args;
  const object = {};
  const id = task.spawn(echo, [1, "two", object, null, undefined]);
  const got = await task.await(id);
  assertEquals(got, [1, "two", {}, null, undefined]);
  assertStrictEquals(got[2], object);
  assertEquals(await task.await(task.spawn(echo)), []);
  assertEquals(await task.await(task.spawn(echo, [])), []);
});

Deno.test("spawn() gives what the function returns or its promise resolves to", async () => {
  const object = {};
  assertStrictEquals(await task.await(task.spawn(() => object)), object);
  assertStrictEquals(await task.await(task.spawn(() => Promise.resolve(object))), object);
  assertEquals(await task.await(task.spawn(() => task.sleep(1).then(() => "late"))), "late");
  const thenable = { then: (resolve: (value: string) => void) => resolve("then") };
  assertEquals(await task.await(task.spawn(() => thenable)), "then");
});

Deno.test("spawn() faults the task when the function throws or its promise rejects", async () => {
  const error = new Error("thrown");
  const throwing = task.spawn(() => {
    throw error;
  });
  const rejecting = task.spawn(() => Promise.reject(error));
  const late = task.spawn(() => task.sleep(1).then(() => Promise.reject(error)));
  for (const id of [throwing, rejecting, late]) {
    assertStrictEquals(await assertRejects(() => task.await<unknown>(id)), error);
  }
});

Deno.test("spawn() faults only its own task when a function throws", async () => {
  const bad = task.spawn(() => {
    throw "bad";
  });
  const good = task.spawn(() => "good");
  assertEquals(await task.await(good), "good");
  assertEquals(task.error(bad), "bad");
  task.forget(bad);
});

Deno.test("spawn() makes no task when an argument is wrong", async () => {
  for (const call of [() => task.spawn(1 as never), () => task.spawn(() => {}, {} as never)]) {
    await assertRejects(async () => await call(), TypeError);
  }
  assertEquals(task.list(), []);
});

Deno.test("spawn() runs the function with the arguments as they were at the call", async () => {
  const got: number[] = [];
  const args: [number] = [0];
  const ids = [1, 2, 3].map((n) => {
    args[0] = n;
    return task.spawn((n: number) => got.push(n), args);
  });
  args[0] = 4;
  await task.all(ids);
  assertEquals(got, [1, 2, 3]);
});
