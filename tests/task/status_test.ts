// `task.status`, `task.result`, `task.error`: looking at a task through its life.

import { assertEquals, assertStrictEquals } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { completed, drain, faulted, held, leaveNothing, makePair } from "./helpers.ts";
import { until } from "../settle.ts";

leaveNothing();

const look = (id: number) => [task.status(id), task.result(id), task.error(id)];

Deno.test("status() goes from Running over Completed to Unknown when a task completes", async () => {
  const { id, resolve } = held();
  assertEquals(look(id), ["Running", undefined, undefined]);
  resolve("value");
  await drain();
  assertEquals(look(id), ["Completed", "value", undefined]);
  await task.await(id);
  assertEquals(look(id), ["Unknown", undefined, undefined]);
});

Deno.test("status() goes from Running over Faulted to Unknown when a task faults", async () => {
  const { id, reject } = held();
  const error = new Error("fault");
  assertEquals(look(id), ["Running", undefined, undefined]);
  reject(error);
  await drain();
  assertEquals(look(id), ["Faulted", undefined, error]);
  assertStrictEquals(task.error(id), error);
  task.forget(id);
  assertEquals(look(id), ["Unknown", undefined, undefined]);
});

Deno.test("status() is Running when a spawned function has not begun and while it runs", async () => {
  const during: string[] = [];
  const id: task.TaskId = task.spawn(async () => {
    during.push(task.status(id));
    await drain();
    during.push(task.status(id));
  });
  assertEquals(task.status(id), "Running");
  await task.await(id);
  assertEquals(during, ["Running", "Running"]);
});

Deno.test("result() and error() claim nothing when asked again and again", async () => {
  const [good, bad] = [await completed({}), await faulted({})];
  const value = task.result(good);
  const error = task.error(bad);
  for (let i = 0; i < 10; i++) {
    assertStrictEquals(task.result(good), value);
    assertStrictEquals(task.error(bad), error);
    assertEquals([task.status(good), task.status(bad)], ["Completed", "Faulted"]);
  }
  assertEquals(task.list(), [good, bad]);
  [good, bad].forEach(task.forget);
});

Deno.test("result() is undefined when that is the result, and status() tells", async () => {
  const id = await completed(undefined);
  assertEquals(look(id), ["Completed", undefined, undefined]);
  task.forget(id);
  const bad = await faulted(undefined);
  assertEquals(look(bad), ["Faulted", undefined, undefined]);
  task.forget(bad);
});

Deno.test("status() is Unknown when the ID is a socket or was never given out", () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  for (const id of [server, 0, -1, -0, 2 ** 32, 2 ** 53, Number.MIN_SAFE_INTEGER]) {
    assertEquals(look(id), ["Unknown", undefined, undefined]);
  }
  socket.close(server);
});

Deno.test("status() never throws when given anything at all", () => {
  const id = task.spawn(() => 1);
  const hostile = {
    valueOf() {
      throw new Error("valueOf");
    },
  };
  const anything: unknown[] = [
    ...[undefined, null, true, "", "1", String(id), 1.5, NaN, Infinity, -Infinity, 1n, BigInt(id)],
    ...[Symbol("id"), {}, [], [id], hostile, () => id, Object.create(null)],
  ];
  for (const value of anything) assertEquals(task.status(value as number), "Unknown");
  task.cancel(id);
  task.forget(id);
});

Deno.test("status() follows a recv when it is polled", async () => {
  using pair = await makePair();
  const id = socket.recv(pair.client);
  assertEquals(look(id), ["Running", undefined, undefined]);
  socket.send(pair.peer, "x");
  await until(() => task.status(id) !== "Running");
  assertEquals(look(id), ["Completed", new Uint8Array([120]), undefined]);
  await task.await(id);
  assertEquals(task.status(id), "Unknown");
  await task.wait();
  task.list().forEach(task.forget);
});
