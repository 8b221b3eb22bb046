// `task.settled`: waiting for one of many without claiming any.

import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { socket, task } from "../../mod.ts";
import {
  completed,
  CountingController,
  drain,
  faulted,
  held,
  leaveNothing,
  LIMIT,
  makePair,
  outcome,
} from "./helpers.ts";

leaveNothing();

const dropAll = () => task.list().forEach(task.forget);

Deno.test("settled() gives what is not Running, in the order given, when some is not", async () => {
  const one = held();
  const ids = [await completed(1), one.id, await faulted("two"), 2 ** 40, await completed(3)];
  const order = [ids[4], ids[1], ids[3], ids[0], ids[2], ids[0]];
  const expected = [ids[4], ids[3], ids[0], ids[2], ids[0]];
  assertEquals(await task.settled(order), expected);
  assertEquals(await task.settled(new Set(order)), expected.slice(0, 4));
  assertEquals(task.list(), [one.id, ids[0], ids[2], ids[4]].sort((a, b) => a - b));
  one.resolve(1);
  await drain();
  dropAll();
});

Deno.test("settled() waits while all are Running and then claims nothing", async () => {
  for (const end of ["resolve", "reject"] as const) {
    const [one, two] = [held(), held()];
    const waiting = outcome(task.settled([one.id, two.id]));
    await drain();
    assertEquals(waiting, { state: "pending" });
    two[end]("end");
    await drain();
    assertEquals(waiting, { state: "fulfilled", value: [two.id] });
    assertEquals(task.status(two.id), end === "resolve" ? "Completed" : "Faulted");
    one.resolve(1);
    await drain();
    dropAll();
  }
});

Deno.test("settled() gives all that settled in the same turn", async () => {
  const tasks = [held(), held(), held()];
  const waiting = task.settled(tasks.map(({ id }) => id));
  tasks[2].resolve(1);
  tasks[0].resolve(1);
  assertEquals(await waiting, [tasks[0].id, tasks[2].id]);
  tasks[1].resolve(1);
  await drain();
  dropAll();
});

Deno.test("settled() gives a task that was cancelled, and one that an await has claimed", async () => {
  const [one, two] = [held(), held<number>()];
  const first = task.settled([one.id, two.id]);
  task.cancel(one.id);
  assertEquals(await first, [one.id]);
  task.forget(one.id);
  const second = task.settled([two.id]);
  const claim = task.await(two.id);
  two.resolve(2);
  assertEquals([await second, await claim], [[two.id], 2]);
  assertEquals(task.list(), []);
});

Deno.test("settled() gives a task that was forgotten, and one that was dropped for want of room", async () => {
  task.setUnclaimedLimit(0);
  const [one, two] = [held(), held()];
  task.forget(one.id);
  const waits = [task.settled([one.id]), task.settled([two.id])];
  one.resolve(1);
  two.resolve(2);
  assertEquals(await Promise.all(waits), [[one.id], [two.id]]);
  await drain();
  assertEquals(task.list(), []);
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("settled() resolves when close() faults what it waits for", async () => {
  using pair = await makePair();
  const ids = [socket.recv(pair.client), socket.recv(pair.peer)];
  const waiting = task.settled(ids);
  socket.close(pair.client);
  assertEquals(await waiting, [ids[0]]);
  task.forget(ids[0]);
  task.cancel(ids[1]);
  task.forget(ids[1]);
});

Deno.test("settled() leaves a task in the completion queue that watches it", async () => {
  const queue = task.completions();
  const { id, resolve } = held<number>();
  queue.add(id);
  const waiting = task.settled([id]);
  resolve(1);
  assertEquals(await waiting, [id]);
  assertEquals(queue.take(), { id, status: "Completed", value: 1 });
});

Deno.test("settled() waits for one task given twice", async () => {
  const { id, resolve } = held();
  const waiting = task.settled([id, id]);
  resolve(1);
  assertEquals(await waiting, [id, id]);
  task.forget(id);
});

Deno.test("settled() rejects and leaves the tasks when time runs out or the signal aborts", async () => {
  const controller = new CountingController();
  const { signal } = controller;
  const [one, two] = [held<number>(), held()];
  const ids = [one.id, two.id];
  await assertRejects(() => task.settled(ids, { timeout: 0 }), task.TimeoutError, "settled");
  await assertRejects(() => task.settled(ids, { timeout: 1 }), task.TimeoutError);
  const reason = new Error("enough");
  const aborted = assertRejects(() => task.settled(ids, { signal, timeout: 60_000 }));
  const won = task.settled(ids, { signal: new CountingController().signal, timeout: 60_000 });
  controller.abort(reason);
  assertStrictEquals(await aborted, reason);
  assertStrictEquals(await assertRejects(() => task.settled(ids, { signal })), reason);
  assertEquals(controller.listeners, 0);
  assertEquals(ids.map(task.status), ["Running", "Running"]);
  one.resolve(1);
  assertEquals(await won, [one.id]); // and its timer is gone
  assertEquals(await task.settled(ids, { signal, timeout: 0 }), [one.id]); // what is there wins
  two.resolve(2);
  await drain();
  dropAll();
});

Deno.test("settled() waits no longer for the others when it is over", async () => {
  const reports: unknown[] = [];
  task.setFaultHandler((error) => reports.push(error));
  const [one, two, three] = [held(), held(), held()];
  await assertRejects(() => task.settled([one.id], { timeout: 0 }), task.TimeoutError);
  const waiting = task.settled([two.id, three.id]);
  two.resolve(2);
  assertEquals(await waiting, [two.id]);
  task.setUnclaimedLimit(0); // which reports at once what nobody waits for
  one.reject("one");
  three.reject("three");
  await drain();
  assertEquals(reports, ["one", "three"]);
  task.setUnclaimedLimit(LIMIT);
  task.setFaultHandler(null);
});

Deno.test("settled() is a look at a fault: it is not reported", async () => {
  const reports: unknown[] = [];
  task.setFaultHandler((error) => reports.push(error));
  const before = await faulted("before");
  await task.settled([before]);
  const later = held();
  const waiting = task.settled([later.id]);
  later.reject("later");
  assertEquals(await waiting, [later.id]);
  task.setUnclaimedLimit(0); // which would report what is dropped unseen
  await drain();
  assertEquals(reports, []);
  task.setUnclaimedLimit(LIMIT);
  task.setFaultHandler(null);
});

Deno.test("settled() refuses what is no list of integers, an empty list and wrong options", async () => {
  for (const ids of [undefined, null, 7, {}]) {
    assertThrows(() => task.settled(ids as never), TypeError, '"ids" must be an iterable');
  }
  const id = await completed(1);
  for (const wrong of ["7", 1.5, 7n, undefined]) {
    assertThrows(
      () => task.settled([id, wrong as never]),
      TypeError,
      '"ids" must be an integer ID',
    );
  }
  assertThrows(() => task.settled([]), RangeError, '"ids" must be at least one task');
  assertThrows(() => task.settled([id], { timeout: NaN }), RangeError, "timeout");
  assertThrows(() => task.settled([id], { signal: 1 as never }), TypeError, "signal");
  assertThrows(
    () => task.settled([id], { cancel: true } as never),
    TypeError,
    'Unknown option "cancel": expected one of timeout, signal',
  );
  task.forget(id);
});
