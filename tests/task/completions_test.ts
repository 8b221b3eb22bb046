// Completion queues: what comes, in which order, and who else may have it.

import {
  assert,
  assertEquals,
  assertLess,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
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
  recvText,
  runProgram,
} from "./helpers.ts";

leaveNothing();

/** Takes everything, as a frame does. */
function takeAll(queue: task.CompletionQueue): task.Outcome[] {
  const all = [];
  for (let done; (done = queue.take()) !== undefined;) all.push(done);
  return all;
}

const ids = (outcomes: task.Outcome[]) => outcomes.map(({ id }) => id);

/** How full a queue is. */
const counts = (queue: task.CompletionQueue) => [queue.size, queue.watched];

/** A queue with the accepted connection of a caller waiting in it. */
async function makeAccepted() {
  const server = socket.tcpserver("127.0.0.1", 0);
  const queue = task.completions();
  const accepting = queue.add(socket.accept(server));
  const caller = await socket.tcpconnect(...socket.getlocal(server));
  await queue.wait();
  return { server, queue, accepting, caller, accepted: task.result(accepting)! };
}

Deno.test("CompletionQueue gives tasks in the order of settling", async () => {
  const queue = task.completions();
  const tasks = [held<number>(), held<number>(), held<number>(), held<number>()];
  for (const { id } of tasks) assertEquals(queue.add(id), id);
  assertEquals([counts(queue), queue.take()], [[0, 4], undefined]);
  await drain(); // they have begun
  tasks[2].resolve(2);
  tasks[0].reject("zero");
  await drain();
  assertEquals(counts(queue), [2, 2]);
  tasks[3].resolve(3);
  await drain();
  task.cancel(tasks[1].id);
  assertEquals(tasks.map(({ id }) => task.status(id)), [
    "Faulted",
    "Faulted",
    "Completed",
    "Completed",
  ]);
  const [two, zero, three, one, ...rest] = takeAll(queue);
  assertEquals(two, { id: tasks[2].id, status: "Completed", value: 2 });
  assertEquals(zero, { id: tasks[0].id, status: "Faulted", error: "zero" });
  assertEquals(three, { id: tasks[3].id, status: "Completed", value: 3 });
  assert(one.status === "Faulted" && one.error instanceof task.CancelledError);
  assertEquals([one.id, rest], [tasks[1].id, []]);
  assertEquals([counts(queue), task.list()], [[0, 0], []]);
});

Deno.test("add() lets a settled task come at once, behind what waits", async () => {
  const queue = task.completions();
  const settled = [await completed(1), await faulted(2)];
  const { id, resolve } = held();
  queue.add(id);
  resolve(0);
  await drain();
  settled.forEach((id) => queue.add(id));
  assertEquals(ids(takeAll(queue)), [id, ...settled]);
});

Deno.test("add() keeps the place of a task that is in the queue already", async () => {
  const queue = task.completions();
  const [one, two] = [await completed(1), await completed(2)];
  const { id, resolve } = held();
  [one, two, id, one, id].forEach((id) => queue.add(id));
  assertEquals(counts(queue), [2, 1]);
  resolve(3);
  await drain();
  assertEquals(ids(takeAll(queue)), [one, two, id]);
});

Deno.test("add() throws UnknownTaskError when the ID is Unknown", async () => {
  const queue = task.completions();
  const id = await completed(1);
  task.forget(id);
  const server = socket.tcpserver("127.0.0.1", 0);
  for (const unknown of [id, server, 0, -1, 2 ** 53]) {
    const error = assertThrows(() => queue.add(unknown), task.UnknownTaskError);
    assertEquals((error as task.UnknownTaskError).code, "ESRCH");
    assertEquals(queue.delete(unknown), false);
  }
  socket.close(server);
});

Deno.test("add(), delete(), wait() and onready refuse what is of the wrong type", async () => {
  const queue = task.completions();
  for (const wrong of ["7", 7n, 1.5, undefined, null]) {
    assertThrows(() => queue.add(wrong as never), TypeError, '"id" must be an integer ID');
    assertThrows(() => queue.delete(wrong as never), TypeError, '"id" must be an integer ID');
  }
  for (const wrong of ["f", undefined, {}]) {
    assertThrows(() => queue.onready = wrong as never, TypeError, '"onready" must be a function');
  }
  assertThrows(() => queue.wait(null as never), TypeError, '"options" must be an object');
  assertThrows(() => queue.wait({ timeout: NaN }), RangeError, "timeout");
  assertThrows(() => queue.wait({ signal: 1 as never }), TypeError, "signal");
  assertThrows(() => queue.wait({ cancel: true } as never), TypeError, 'Unknown option "cancel"');
  await assertRejects(() => queue.wait({ timeout: 0 }), task.TimeoutError);
});

Deno.test("add() takes a forget back", async () => {
  const queue = task.completions();
  const { id, resolve } = held<number>();
  task.forget(id);
  queue.add(id);
  resolve(1);
  await drain();
  assertEquals(takeAll(queue), [{ id, status: "Completed", value: 1 }]);
});

Deno.test("add() finds what has just been made when there is room for no result", async () => {
  task.setUnclaimedLimit(0);
  const queue = task.completions();
  const refused = queue.add(socket.recv(0));
  const due = queue.add(task.after(0));
  const running = queue.add(task.spawn(() => 1));
  await drain();
  assertEquals(ids(takeAll(queue)), [refused, due, running]);
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("CompletionQueue keeps everything when the limit of unclaimed results is passed", async () => {
  task.setUnclaimedLimit(2);
  const queue = task.completions();
  const before = await completed("before"); // settled, and counted until it is added
  queue.add(before);
  const watched = Array.from({ length: 50 }, (_, i) => queue.add(task.spawn(() => i)));
  await drain();
  const free = [await completed(1), await completed(2), await completed(3)];
  task.setUnclaimedLimit(0);
  assertEquals(free.map(task.status), ["Unknown", "Unknown", "Unknown"]);
  assertEquals(queue.size, 51);
  assertEquals(ids(takeAll(queue)), [before, ...watched]);
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("delete() takes out a task that is watched, which then comes no more", async () => {
  const queue = task.completions();
  const { id, resolve } = held<number>();
  queue.add(id);
  assertEquals([queue.delete(id), counts(queue), queue.delete(id)], [true, [0, 0], false]);
  resolve(1);
  await drain();
  assertEquals([queue.size, await task.await(id)], [0, 1]);
});

Deno.test("delete() takes out a task that waits, which is then claimed by its ID", async () => {
  const queue = task.completions();
  const [one, two, three] = [await completed(1), await faulted(2), await completed(3)];
  [one, two, three].forEach((id) => queue.add(id));
  assertEquals(queue.delete(two), true);
  assertEquals(queue.size, 2);
  assertEquals(task.take(two), { id: two, status: "Faulted", error: 2 });
  assertEquals(ids(takeAll(queue)), [one, three]);
});

Deno.test("delete() leaves a result that is bounded like any other", async () => {
  task.setUnclaimedLimit(1);
  const queue = task.completions();
  const queuedId = queue.add(await completed(1));
  const free = await completed(2);
  assertEquals([queuedId, free].map(task.status), ["Completed", "Completed"]);
  queue.delete(queuedId);
  assertEquals([queuedId, free].map(task.status), ["Completed", "Unknown"]);
  task.setUnclaimedLimit(0);
  assertEquals(task.status(queuedId), "Unknown");
  const four = queue.add(socket.recv(0));
  queue.delete(four);
  assertEquals(task.take(four)?.status, "Faulted"); // within the turn it is still there
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("delete() of one task leaves what else waits to the queue", async () => {
  const queue = task.completions();
  const [one, two] = [queue.add(await completed(1)), await completed(2)];
  queue.delete(one);
  queue.add(two);
  task.setUnclaimedLimit(0);
  await completed(3); // dropped, as the first is
  assertEquals([counts(queue), task.list()], [[1, 0], [two]]);
  assertEquals(queue.take(), { id: two, status: "Completed", value: 2 });
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("add() to a second queue moves a task, watched or waiting", async () => {
  const [first, second] = [task.completions(), task.completions()];
  const { id, resolve } = held();
  const waiting = first.add(await completed(1));
  first.add(id);
  second.add(id);
  second.add(waiting);
  assertEquals([counts(first), counts(second)], [[0, 0], [1, 1]]);
  assertEquals([first.delete(id), first.delete(waiting)], [false, false]);
  resolve(2);
  await drain();
  assertEquals([takeAll(first), ids(takeAll(second))], [[], [waiting, id]]);
});

Deno.test("take() by ID, await and forget take a waiting task out of its queue", async () => {
  const queue = task.completions();
  const [taken, awaited, forgotten, left] = [
    await completed(1),
    await completed(2),
    await faulted(3),
    await completed(4),
  ].map((id) => queue.add(id));
  task.take(taken);
  const awaiting = task.await(awaited);
  task.forget(forgotten);
  assertEquals(queue.size, 1);
  assertEquals([await awaiting, ids(takeAll(queue))], [2, [left]]);
});

Deno.test("all(), any(), race() and select() take what they claim out of its queue", async () => {
  const queue = task.completions();
  const make = async () => queue.add(await completed(1));
  assertEquals(await task.all([await make(), await make()]), [1, 1]);
  await task.any([await make()]);
  await task.race([await make()]);
  await task.select([await make()]);
  assertEquals([counts(queue), task.list()], [[0, 0], []]);
});

Deno.test("an await of a watched task claims it first, and it does not come", async () => {
  const queue = task.completions();
  const tasks = [held<number>(), held<number>(), held<number>()];
  const before = task.await(tasks[0].id);
  tasks.forEach(({ id }) => queue.add(id));
  const after = task.await(tasks[1].id, { timeout: 60_000 });
  tasks.forEach(({ resolve }, i) => resolve(i));
  assertEquals(await Promise.all([before, after]), [0, 1]);
  assertEquals(ids(takeAll(queue)), [tasks[2].id]);
});

Deno.test("an await that gives up leaves the task watched", async () => {
  const queue = task.completions();
  const { id, resolve } = held<number>();
  queue.add(id);
  await assertRejects(() => task.await(id, { timeout: 1 }), task.TimeoutError);
  assertEquals(queue.watched, 1);
  resolve(1);
  await drain();
  assertEquals(takeAll(queue), [{ id, status: "Completed", value: 1 }]);
});

Deno.test("an await that gives up and cancels takes the task out of its queue", async () => {
  const queue = task.completions();
  const id = queue.add(task.after(60_000));
  await assertRejects(() => task.await(id, { timeout: 1, cancel: true }), task.TimeoutError);
  assertEquals([counts(queue), task.status(id)], [[0, 0], "Unknown"]);
});

Deno.test("forget() takes a watched task out of its queue", async () => {
  const queue = task.completions();
  const { id, resolve } = held();
  queue.add(id);
  task.forget(id);
  assertEquals(counts(queue), [0, 0]);
  resolve(1);
  await drain();
  assertEquals([queue.size, task.list()], [0, []]);
});

Deno.test("any() leaves a fault to the queue and still rejects with it", async () => {
  const queue = task.completions();
  const [one, two] = [held(), held()];
  queue.add(one.id);
  const waiting = task.any([one.id, two.id]);
  one.reject("one");
  await drain();
  assertEquals(takeAll(queue), [{ id: one.id, status: "Faulted", error: "one" }]);
  two.reject("two");
  const error = await assertRejects(() => waiting) as AggregateError;
  assertEquals([error.errors, task.list()], [["one", "two"], []]);
});

Deno.test("wait() resolves when something waits, and takes nothing", async () => {
  const queue = task.completions();
  const { id, resolve } = held();
  queue.add(id);
  const waits = [queue.wait(), queue.wait({ timeout: 60_000 })].map(outcome);
  await drain();
  assertEquals(waits.map(({ state }) => state), ["pending", "pending"]);
  resolve(1);
  await drain();
  assertEquals(waits.map(({ state }) => state), ["fulfilled", "fulfilled"]);
  await queue.wait({ timeout: 0 }); // at once, since something still waits
  assertEquals([queue.size, queue.take()?.id], [1, id]);
});

Deno.test("wait() resolves when a settled task is added, and not when a watched one leaves", async () => {
  const queue = task.completions();
  const { id, resolve } = held();
  const waiting = outcome(queue.wait());
  queue.add(id);
  queue.delete(id);
  resolve(1);
  await drain();
  assertEquals(waiting.state, "pending");
  queue.add(id);
  await drain();
  assertEquals(waiting.state, "fulfilled");
  queue.take();
});

Deno.test("wait() rejects when time runs out or the signal aborts, and leaves nothing behind", async () => {
  const controller = new CountingController();
  const { signal } = controller;
  const queue = task.completions();
  const { id, resolve } = held();
  queue.add(id);
  for (const timeout of [0, -1, 1]) {
    await assertRejects(() => queue.wait({ timeout, signal }), task.TimeoutError);
  }
  assertEquals(controller.listeners, 0);
  const reason = new Error("enough");
  const aborted = assertRejects(() => queue.wait({ signal, timeout: 60_000 }));
  const other = new CountingController();
  const fulfilled = queue.wait({ signal: other.signal, timeout: 60_000 });
  controller.abort(reason);
  assertStrictEquals(await aborted, reason);
  assertStrictEquals(await assertRejects(() => queue.wait({ signal })), reason);
  resolve(1);
  await fulfilled; // whose timer is gone
  assertEquals([controller.listeners, other.listeners], [0, 0]);
  await queue.wait({ signal }); // what is there wins
  queue.take();
});

Deno.test("wait() is remembered by nobody once it was given up", async () => {
  const { code, stdout, stderr } = await runProgram(
    `
    const queue = task.completions();
    const id = queue.add(task.after(60_000));
    async function giveUp(count: number): Promise<number> {
      for (let i = 0; i < count; i++) await queue.wait({ timeout: 0 }).catch(() => {});
      (globalThis as any).gc();
      return Deno.memoryUsage().heapUsed;
    }
    console.log(-await giveUp(1000) + await giveUp(20_000));
    task.cancel(id);
    `,
    "--v8-flags=--expose-gc",
  );
  assertEquals([code, stderr], [0, ""]);
  assertLess(Number(stdout), 4 * 1024 * 1024); // kept, they take more than twice that
});

Deno.test("onready is called once in a microtask when the queue stops being empty", async () => {
  const queue = task.completions();
  const calls: number[] = [];
  queue.onready = () => calls.push(queue.size);
  const tasks = [held(), held(), held()];
  tasks.forEach(({ id }) => queue.add(id));
  tasks[0].resolve(0);
  tasks[1].resolve(1);
  await drain();
  assertEquals(calls.length, 1);
  tasks[2].resolve(2); // the queue is not empty, so it does not stop being so
  await drain();
  assertEquals([calls.length, queue.size], [1, 3]);
  takeAll(queue);
  queue.add(task.after(0));
  assertEquals(calls.length, 1); // never inside a call
  await Promise.resolve();
  assertEquals(calls.length, 2);
  takeAll(queue);
});

Deno.test("onready is called once when it is set while something waits", async () => {
  const queue = task.completions();
  queue.add(task.after(0));
  let calls = 0;
  queue.onready = () => calls++;
  assertEquals(calls, 0);
  await drain();
  assertEquals(calls, 1);
  assertEquals(typeof queue.onready, "function");
  queue.onready = null;
  assertEquals(queue.onready, null);
  queue.take();
  queue.add(task.after(0));
  await drain();
  assertEquals(calls, 1);
  queue.onready = () => calls += 10;
  await drain();
  assertEquals(calls, 11);
  takeAll(queue);
});

Deno.test("onready is not called when everything has been taken by then", async () => {
  const queue = task.completions();
  let calls = 0;
  queue.onready = () => calls++;
  queue.add(task.after(0));
  takeAll(queue);
  await drain();
  assertEquals(calls, 0);
  queue.add(task.after(0)); // two edges in one turn are one call
  takeAll(queue);
  queue.add(task.after(0));
  await drain();
  assertEquals(calls, 1);
  takeAll(queue);
});

Deno.test("onready misses nothing when it takes and adds inside its call", async () => {
  const queue = task.completions();
  const seen: unknown[] = [];
  let left = 100;
  queue.onready = () => {
    for (const done of takeAll(queue)) seen.push(done.id);
    if (left-- > 0) queue.add(left % 2 === 0 ? task.after(0) : task.spawn(() => left));
  };
  const first = queue.add(task.after(0));
  while (left > 0) await task.sleep(0);
  await drain();
  takeAll(queue).forEach(({ id }) => seen.push(id));
  assertEquals([seen.length, seen[0], new Set(seen).size], [101, first, 101]);
});

Deno.test("onready's throw is an uncaught error and disturbs nothing", async () => {
  const uncaught: unknown[] = [];
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    uncaught.push(event.error);
  };
  globalThis.addEventListener("error", onError);
  const queue = task.completions();
  queue.onready = () => {
    throw "in onready";
  };
  const id = queue.add(task.after(0));
  await task.sleep(0);
  globalThis.removeEventListener("error", onError);
  assertEquals([uncaught, queue.take()?.id], [["in onready"], id]);
});

Deno.test("a fault in a queue counts as looked at", async () => {
  const reports: unknown[] = [];
  task.setFaultHandler((error) => reports.push(error));
  const queue = task.completions();
  const before = queue.add(await faulted("before"));
  const watched = held();
  queue.add(watched.id);
  watched.reject("watched");
  await drain();
  assertEquals(queue.size, 2);
  queue.delete(before);
  queue.delete(watched.id);
  task.setUnclaimedLimit(0); // which reports what is dropped unseen
  await drain();
  assertEquals([reports, task.list()], [[], []]);
  task.setUnclaimedLimit(LIMIT);
  task.setFaultHandler(null);
});

Deno.test("a fault of a task that no queue watches any more is reported", async () => {
  const reports: unknown[] = [];
  task.setFaultHandler((error) => reports.push(error));
  task.setUnclaimedLimit(0);
  const queue = task.completions();
  const [one, two] = [held(), held()];
  queue.add(one.id);
  queue.add(two.id);
  queue.delete(one.id);
  queue[Symbol.dispose]();
  one.reject("deleted");
  two.reject("disposed");
  await drain();
  assertEquals(reports, ["deleted", "disposed"]);
  task.setUnclaimedLimit(LIMIT);
  task.setFaultHandler(null);
});

Deno.test("[Symbol.dispose]() leaves Running tasks and forgets what waits", async () => {
  const queue = task.completions();
  const running = held<number>();
  const [completedId, faultedId] = [await completed(1), await faulted(2)];
  [running.id, completedId, faultedId].forEach((id) => queue.add(id));
  let calls = 0;
  queue.onready = () => calls++;
  queue[Symbol.dispose]();
  queue[Symbol.dispose]();
  assertEquals([completedId, faultedId].map(task.status), ["Unknown", "Unknown"]);
  assertEquals([counts(queue), queue.take(), task.list()], [[0, 0], undefined, [running.id]]);
  running.resolve(3);
  assertEquals([await task.await(running.id), queue.size, calls], [3, 0, 0]);
});

Deno.test("[Symbol.dispose]() makes add() throw and wait() reject, pending ones too", async () => {
  const queue = task.completions();
  const controller = new CountingController();
  const { signal } = controller;
  const pending = [queue.wait(), queue.wait({ signal, timeout: 60_000 })].map((wait) =>
    assertRejects(() => wait, Error, "Cannot wait: the completion queue was disposed of")
  );
  queue[Symbol.dispose]();
  await Promise.all(pending); // and the timer is gone
  assertEquals(controller.listeners, 0);
  const id = await completed(1);
  assertThrows(() => queue.add(id), Error, "Cannot add: the completion queue was disposed of");
  await assertRejects(() => queue.wait(), Error, "disposed");
  assertEquals([queue.delete(id), await task.await(id)], [false, 1]);
});

Deno.test("[Symbol.dispose]() drops bytes and closes a connection that waits, but none that was used", async () => {
  const { server, queue, caller } = await makeAccepted();
  const accepting = queue.add(socket.accept(server));
  const other = await socket.tcpconnect(...socket.getlocal(server));
  while (queue.size < 2) await task.sleep(1);
  const used = task.result(accepting)!;
  socket.unrecv(used, "bytes");
  queue.add(socket.recv(used));
  queue[Symbol.dispose]();
  assertEquals(task.list(), []);
  assertEquals(await recvText(caller), ""); // the peer has closed
  socket.send(used, "open");
  assertEquals(await recvText(other), "open");
  await task.wait();
  task.list().forEach(task.forget);
  [caller, other, used, server].forEach(socket.close);
});

Deno.test("a listener's close closes an accepted connection that waits in a queue", async () => {
  const { server, queue, accepting, caller, accepted } = await makeAccepted();
  const pending = queue.add(socket.accept(server));
  socket.close(server);
  assertEquals([socket.isopen(accepted), task.status(accepting)], [false, "Unknown"]);
  assertEquals(await recvText(caller), "");
  const [done, ...rest] = takeAll(queue);
  assert(done.status === "Faulted");
  assertEquals((done.error as socket.SocketError).code, "ECONNABORTED");
  assertEquals([done.id, rest], [pending, []]);
  socket.close(caller);
});

Deno.test("a connection that is used before its accept was taken stays the program's, and comes", async () => {
  const { server, queue, accepting, caller, accepted } = await makeAccepted();
  socket.send(accepted, "used");
  task.setUnclaimedLimit(0); // which does not count it, either
  socket.close(server);
  assertEquals([queue.size, socket.isopen(accepted)], [1, true]);
  assertEquals(takeAll(queue), [{ id: accepting, status: "Completed", value: accepted }]);
  assertEquals(await recvText(caller), "used");
  await task.wait();
  [caller, accepted].forEach(socket.close);
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("a connection that was used and whose accept is deleted from the queue stays the program's", async () => {
  const { server, queue, accepting, caller, accepted } = await makeAccepted();
  socket.getpeer(accepted);
  socket.unrecv(accepted, "");
  queue.delete(accepting);
  task.forget(accepting);
  socket.close(server);
  assertEquals(socket.isopen(accepted), true);
  [caller, accepted].forEach(socket.close);
});

Deno.test("delete() of an accept leaves its connection to the listener", async () => {
  const { server, queue, accepting, caller, accepted } = await makeAccepted();
  task.setUnclaimedLimit(0); // an unused connection is never dropped for want of room
  queue.delete(accepting);
  await drain();
  assertEquals(task.status(accepting), "Completed");
  socket.close(server);
  assertEquals([socket.isopen(accepted), task.status(accepting)], [false, "Unknown"]);
  socket.close(caller);
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("a socket's close lets its receives come: bytes that were there, and faults", async () => {
  using pair = await makePair();
  task.setUnclaimedLimit(0);
  const queue = task.completions();
  socket.unrecv(pair.client, "kept");
  const [full, pending] = [socket.recv(pair.client), socket.recv(pair.client)];
  [full, pending].forEach((id) => queue.add(id));
  socket.close(pair.client);
  const [bytes, fault] = takeAll(queue);
  assert(bytes.status === "Completed" && fault.status === "Faulted");
  assertEquals(new TextDecoder().decode(bytes.value as Uint8Array), "kept");
  assertEquals((fault.error as socket.SocketError).code, "ECONNABORTED");
  assertEquals(task.list(), []);
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("a cancelled receive comes, Faulted, and its bytes go to the next one", async () => {
  using pair = await makePair();
  const queue = task.completions();
  const [first, second] = [
    queue.add(socket.recv(pair.client)),
    queue.add(socket.recv(pair.client)),
  ];
  task.cancel(first);
  socket.send(pair.peer, "bytes");
  while (queue.size < 2) await queue.wait().then(() => task.sleep(1));
  const [one, two] = takeAll(queue);
  assertEquals([one.id, two.id], [first, second]);
  assert(one.status === "Faulted" && one.error instanceof task.CancelledError);
  assert(two.status === "Completed");
  assertEquals(new TextDecoder().decode(two.value as Uint8Array), "bytes");
  task.list().forEach(task.forget);
});

Deno.test("a connect that waits in a queue is closed with the queue", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const queue = task.completions();
  queue.add(socket.connect(...socket.getlocal(server)));
  await queue.wait();
  assertEquals(socket.list().length, 2);
  queue[Symbol.dispose]();
  assertEquals(socket.list(), [server]);
  socket.close(server);
});

Deno.test("a task may watch its own queue be disposed of", async () => {
  const queue = task.completions();
  const id = queue.add(task.spawn(() => queue[Symbol.dispose]()));
  assertEquals(await task.await(id), undefined);
  assertEquals(counts(queue), [0, 0]);
});
