// `task.all`, `task.any`, `task.race`.

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { socket, task } from "../../mod.ts";
import {
  completed,
  drain,
  faulted,
  held,
  leaveNothing,
  makePair,
  outcome,
  turn,
} from "./helpers.ts";

leaveNothing();

Deno.test("all() gives the results in the order of the IDs and claims them all", async () => {
  const tasks = [held<number>(), held<number>(), held<number>()];
  const ids = tasks.map(({ id }) => id);
  const waiting = task.all(ids);
  tasks[2].resolve(2);
  await drain();
  tasks[0].resolve(0);
  await drain();
  assertEquals(ids.map(task.status), ["Completed", "Running", "Completed"]);
  tasks[1].resolve(1);
  assertEquals(await waiting, [0, 1, 2]);
  assertEquals(ids.map(task.status), ["Unknown", "Unknown", "Unknown"]);
});

Deno.test("all() gives no results when there are no tasks", async () => {
  assertEquals(await task.all([]), []);
  assertEquals(await task.all(new Set<number>()), []);
});

Deno.test("all() takes any iterable, settled tasks and the same task twice", async () => {
  const one = await completed(1);
  const two = held<number>();
  const waiting = task.all(
    function* () {
      yield* [one, two.id, one, two.id];
    }(),
  );
  two.resolve(2);
  assertEquals(await waiting, [1, 2, 1, 2]);
  const three = await completed(3);
  assertEquals(await task.all(new Set([three])), [3]);
  const four = await completed(4);
  assertEquals(await task.all([four, four]), [4, 4]);
  assertEquals(task.list(), []);
});

Deno.test("all() rejects with the first fault, claims that one and leaves the rest", async () => {
  const [running, first, second] = [held<number>(), held<number>(), held<number>()];
  const done = await completed(0);
  const waiting = outcome(task.all([done, running.id, second.id, first.id]));
  const error = new Error("first");
  first.reject(error);
  await drain();
  assertEquals(waiting.state, "rejected");
  assertStrictEquals(waiting.value, error);
  assertEquals([done, running.id, second.id, first.id].map(task.status), [
    "Completed",
    "Running",
    "Running",
    "Unknown",
  ]);
  second.reject("second");
  running.resolve(1);
  await drain();
  assertEquals(await task.await(running.id), 1); // left as it was: nobody has claimed it
  assertEquals(task.error(second.id), "second");
  [done, second.id].forEach(task.forget);
});

Deno.test("all() takes the first fault in the order of the IDs when several are there", async () => {
  const running = held();
  const [done, one, two] = [await completed(0), await faulted("one"), await faulted("two")];
  const ids = [running.id, done, two, one];
  assertEquals(await assertRejects(() => task.all(ids)), "two");
  assertEquals(ids.map(task.status), ["Running", "Completed", "Unknown", "Faulted"]);
  running.resolve(1);
  await drain();
  assertEquals(task.status(running.id), "Completed");
  task.list().forEach(task.forget);
});

Deno.test("all() gives a result that somebody else has claimed meanwhile", async () => {
  const [one, two] = [held<number>(), held<number>()];
  const waiting = task.all([one.id, two.id]);
  one.resolve(1);
  await drain();
  assertEquals(await task.await(one.id), 1);
  two.resolve(2);
  assertEquals(await waiting, [1, 2]);
});

Deno.test("all() shares results with awaits and other combinations that wait", async () => {
  const [one, two] = [held<number>(), held<number>()];
  const waits = [
    task.await(one.id),
    task.all([one.id, two.id]),
    task.race([one.id, two.id]).then(({ value }) => value),
    task.any([two.id, one.id]).then(({ value }) => value),
    task.select([one.id]).then(({ value }) => value),
    task.all([two.id]),
  ];
  one.resolve(1);
  await drain();
  two.resolve(2);
  assertEquals(await Promise.all(waits), [1, [1, 2], 1, 1, 1, [2]]);
  assertEquals(task.list(), []);
});

Deno.test("any() gives the first task to Complete and claims only that one", async () => {
  const [bad, slow, fast] = [held<string>(), held<string>(), held<string>()];
  const waiting = outcome(task.any([bad.id, slow.id, fast.id]));
  bad.reject("bad");
  await drain();
  assertEquals(waiting.state, "pending");
  fast.resolve("fast");
  await drain();
  assertEquals(waiting.value, { id: fast.id, value: "fast" });
  assertEquals([bad.id, slow.id, fast.id].map(task.status), ["Faulted", "Running", "Unknown"]);
  slow.resolve("slow");
  await drain();
  assertEquals(task.result(slow.id), "slow");
  assertEquals(await task.await(slow.id), "slow");
  assertEquals(await assertRejects(() => task.await(bad.id)), "bad");
});

Deno.test("any() takes the first in the order of the IDs when several have Completed", async () => {
  const [bad, one, two] = [await faulted(0), await completed(1), await completed(2)];
  assertEquals(await task.any<unknown>([bad, two, one]), { id: two, value: 2 });
  assertEquals([bad, two, one].map(task.status), ["Faulted", "Unknown", "Completed"]);
  [bad, one].forEach(task.forget);
});

Deno.test("any() claims all and rejects with every fault when all have Faulted", async () => {
  const [one, two] = [held(), held()];
  const three = await faulted("three");
  const waiting = assertRejects(() => task.any([two.id, three, one.id, two.id]), AggregateError);
  one.reject("one");
  await drain();
  two.reject("two");
  const error = await waiting;
  assertEquals(error.errors, ["two", "three", "one", "two"]);
  assertEquals(error.message, "All tasks faulted");
  assertEquals(task.list(), []);

  const ids = [await faulted(1), await faulted(2)];
  assertEquals((await assertRejects(() => task.any(ids), AggregateError)).errors, [1, 2]);
  assertEquals(task.list(), []);
});

Deno.test("any() rejects when there are no tasks", async () => {
  assertEquals((await assertRejects(() => task.any([]), AggregateError)).errors, []);
});

Deno.test("race() gives the first task to settle and claims only that one", async () => {
  const [slow, fast] = [held<string>(), held<string>()];
  const waiting = task.race([slow.id, fast.id, fast.id]);
  fast.resolve("fast");
  assertEquals(await waiting, { id: fast.id, value: "fast" });
  assertEquals([slow.id, fast.id].map(task.status), ["Running", "Unknown"]);
  slow.resolve("slow");
  await drain();
  assertEquals(task.status(slow.id), "Completed");
  assertEquals(await task.await(slow.id), "slow");
});

Deno.test("race() rejects with the fault and claims it when the first to settle Faulted", async () => {
  const [slow, fast] = [held(), held()];
  const error = new Error("fast");
  const waiting = assertRejects(() => task.race([slow.id, fast.id]));
  fast.reject(error);
  assertStrictEquals(await waiting, error);
  assertEquals([slow.id, fast.id].map(task.status), ["Running", "Unknown"]);
  slow.resolve(1);
  await task.await(slow.id);
});

Deno.test("race() takes the first in the order of the IDs when several have settled", async () => {
  const running = held();
  const [bad, good] = [await faulted("bad"), await completed("good")];
  assertEquals(await task.race<unknown>([running.id, good, bad]), { id: good, value: "good" });
  assertEquals(await assertRejects(() => task.race<unknown>([running.id, bad])), "bad");
  assertEquals(task.list(), [running.id]);
  running.resolve(1);
  await drain();
  assertEquals(await task.await(running.id), 1); // no race has kept a hold on it
});

Deno.test("race() loses nothing when the loser is a recv or an accept", async () => {
  using one = await makePair();
  using two = await makePair();
  const recvs = [socket.recv(one.client), socket.recv(two.client)];
  const accepting = socket.accept(one.server);
  const waiting = task.race<unknown>([...recvs, accepting]);
  socket.send(two.peer, "two");
  const { id, value } = await waiting;
  assertEquals(id, recvs[1]);
  assertEquals(new TextDecoder().decode(value as Uint8Array), "two");
  socket.send(one.peer, "one");
  assertEquals(new TextDecoder().decode(await task.await(recvs[0])), "one");
  const client = await socket.tcpconnect(...socket.getlocal(one.server));
  const peer = await task.await(accepting);
  [client, peer].forEach(socket.close);
  await task.wait();
  task.list().forEach(task.forget);
});

Deno.test("all(), any() and race() claim nothing when one of the IDs is Unknown", async () => {
  const good = await completed(1);
  const bad = await faulted(2);
  const running = held();
  const gone = await completed(3);
  await task.await(gone);
  const combinations: ((ids: task.TaskId[]) => Promise<unknown>)[] = [
    task.all,
    task.any,
    task.race,
  ];
  for (const combine of combinations) {
    const waiting = () => combine([running.id, good, bad, gone, 0]);
    await assertRejects(waiting, task.UnknownTaskError, `Task ${gone} not found.`);
    assertEquals([good, bad, running.id].map(task.status), ["Completed", "Faulted", "Running"]);
  }
  running.resolve(4);
  await turn();
  assertEquals(task.list(), [good, bad, running.id]);
  task.list().forEach(task.forget);
});

Deno.test("all(), any() and race() take a cancelled task for a Faulted one", async () => {
  const [one, two, three] = [held(), held(), held()];
  const waits = [
    task.all([one.id]),
    task.race([two.id]),
    task.any([three.id]),
  ].map((promise) => outcome(promise));
  [one.id, two.id, three.id].forEach((id) => task.cancel(id));
  await drain();
  assertEquals(waits.map(({ state }) => state), ["rejected", "rejected", "rejected"]);
  assert(waits[0].value instanceof task.CancelledError);
  assert(waits[1].value instanceof task.CancelledError);
  assert((waits[2].value as AggregateError).errors[0] instanceof task.CancelledError);
  [one, two, three].forEach(({ resolve }) => resolve(0));
});
