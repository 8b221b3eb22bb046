// `task.list`, `task.inspect`, `task.busy`: what is there.

import { assert, assertEquals, assertGreaterOrEqual } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { completed, drain, faulted, held, leaveNothing, makePair } from "./helpers.ts";

leaveNothing();

Deno.test("list() gives every unclaimed task in ascending order when some are claimed", async () => {
  assertEquals(task.list(), []);
  const running = held();
  const claimed = await completed(0);
  const bad = await faulted(1);
  const good = await completed(2);
  const forgotten = await completed(3);
  await task.await(claimed);
  task.forget(forgotten);
  assertEquals(task.list(), [running.id, bad, good]);
  running.resolve(4);
  await drain();
  assertEquals(task.list(), [running.id, bad, good]);
  task.list().forEach(task.forget);
  assertEquals(task.list(), []);
});

Deno.test("list() is ascending when tasks outnumber the slots of the table", async () => {
  const ids = Array.from({ length: 10_000 }, () => task.spawn(() => {}));
  await drain();
  for (let i = 0; i < ids.length; i += 3) task.forget(ids[i]);
  assertEquals(task.list(), ids.filter((_, i) => i % 3 !== 0));
  task.list().forEach(task.forget);
});

Deno.test("inspect() describes a task when it is Running, Completed and Faulted", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const accepting = socket.accept(server);
  const beating = task.interval(60_000, () => {});
  const good = await completed(1);
  const bad = await faulted(2);
  const records = task.inspect();
  assertEquals(
    records.map(({ id, kind, status, socket }) => ({ id, kind, status, socket })),
    [
      { id: accepting, kind: "accept", status: "Running", socket: server },
      { id: beating, kind: "interval", status: "Running", socket: undefined },
      { id: good, kind: "spawn", status: "Completed", socket: undefined },
      { id: bad, kind: "spawn", status: "Faulted", socket: undefined },
    ],
  );
  for (const record of records) {
    const { age: _, ...same } = task.inspect(record.id)!;
    assertEquals({ ...same, age: record.age }, { ...record });
  }
  task.cancel(beating);
  socket.close(server);
  task.list().forEach(task.forget);
});

Deno.test("inspect() claims nothing and is undefined when the task is Unknown", async () => {
  const id = await completed(1);
  task.inspect(id);
  task.inspect();
  assertEquals(await task.await(id), 1);
  for (const unknown of [id, 0, -1, 2 ** 53]) assertEquals(task.inspect(unknown), undefined);
  assertEquals(task.inspect(), []);
});

Deno.test("inspect() gives an age in milliseconds when time goes by", async () => {
  const before = performance.now();
  const { id, resolve } = held();
  const first = task.inspect(id)!.age;
  assertGreaterOrEqual(first, 0);
  assert(first <= performance.now() - before + 1);
  await task.sleep(20);
  assertGreaterOrEqual(task.inspect(id)!.age - first, 15);
  resolve(1);
  await task.await(id);
});

Deno.test("inspect() gives a snapshot when the task goes on", async () => {
  const { id, resolve } = held();
  const record = task.inspect(id)!;
  resolve(1);
  await task.await(id);
  assertEquals(record.status, "Running");
  assert(Object.isFrozen(record));
});

Deno.test("busy() is true only while a task is Running", async () => {
  assertEquals(task.busy(), false);
  const one = held();
  const two = held();
  assertEquals(task.busy(), true);
  one.resolve(1);
  await drain();
  assertEquals(task.busy(), true);
  two.reject(2);
  await drain();
  assertEquals(task.busy(), false);
  assertEquals(task.list(), [one.id, two.id]);
  [one.id, two.id].forEach(task.forget);

  const server = socket.tcpserver("127.0.0.1", 0);
  assertEquals(task.busy(), false);
  const accepting = socket.accept(server);
  assertEquals(task.busy(), true);
  task.cancel(accepting);
  assertEquals(task.busy(), false);
  task.forget(accepting);
  socket.close(server);
});

Deno.test("busy() is true while a forgotten task is Running", async () => {
  const { id, resolve } = held();
  task.forget(id);
  assertEquals(task.busy(), true);
  resolve(1);
  await drain();
  assertEquals(task.busy(), false);
});

Deno.test("inspect() gives ages in whole milliseconds, of sockets too", async () => {
  using pair = await makePair();
  const id = task.spawn(() => task.sleep(3));
  const created = socket.create(socket.AF_INET, socket.SOCK_STREAM);
  await task.await(id, { timeout: 1.3 }).catch(() => {});
  const ages = [...task.inspect(), ...socket.inspect()].map(({ age }) => age);
  assertEquals(ages.length, 5);
  for (const age of ages) assert(Number.isInteger(age) && age >= 0, `age ${age}`);
  await task.await(id);
  socket.close(created);
  assert(socket.isopen(pair.client));
});
