// `task.await(id, { cancel: true })`: giving up an operation, not only the wait for it.

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
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
  recvText,
} from "./helpers.ts";

leaveNothing();

const NOW = { timeout: 0, cancel: true };
const SOON = { timeout: 1, cancel: true };

Deno.test("await() with cancel rejects with TimeoutError, cancels and forgets when time runs out", async () => {
  for (const options of [NOW, SOON, { timeout: -1, cancel: true }]) {
    const { id, resolve } = held();
    await assertRejects(() => task.await(id, options), task.TimeoutError, "await of spawn task");
    assertEquals([task.status(id), task.list(), task.busy()], ["Unknown", [], false]);
    resolve(1);
  }
});

Deno.test("await() with cancel rejects with the signal's reason when it aborts, or has aborted", async () => {
  const controller = new CountingController();
  const { signal } = controller;
  const reason = new Error("enough");
  const { id, resolve } = held();
  const waiting = assertRejects(() => task.await(id, { signal, timeout: 60_000, cancel: true }));
  controller.abort(reason);
  assertEquals(task.status(id), "Unknown"); // within the abort
  assertStrictEquals(await waiting, reason);
  const late = held();
  assertStrictEquals(
    await assertRejects(() => task.await(late.id, { signal, cancel: true })),
    reason,
  );
  assertEquals([task.list(), controller.listeners], [[], 0]);
  resolve(1);
  late.resolve(1);
});

Deno.test("await() with cancel gives what is there when the task settled first", async () => {
  const aborted = AbortSignal.abort();
  for (const options of [NOW, { signal: aborted, cancel: true }]) {
    assertEquals(await task.await(await completed(1), options), 1);
    assertEquals(await assertRejects(async () => task.await(await faulted("f"), options)), "f");
  }
  const controller = new CountingController();
  const { id, resolve } = held<number>();
  const waiting = task.await(id, { signal: controller.signal, timeout: 60_000, cancel: true });
  resolve(2);
  await drain();
  controller.abort();
  assertEquals([await waiting, controller.listeners], [2, 0]);
});

Deno.test("await() with cancel gives other awaits the CancelledError, with the reason as its cause", async () => {
  const { id, resolve } = held();
  const others = [
    task.await(id),
    task.await(id, { timeout: 60_000 }),
    task.await(id, { timeout: 60_000, cancel: true }),
    task.all([id]),
    task.race([id]),
    task.select([id]),
  ].map((wait) => assertRejects(() => wait, task.CancelledError));
  const given = await assertRejects(() => task.await(id, SOON), task.TimeoutError);
  for (const error of await Promise.all(others)) assertStrictEquals(error.cause, given);
  assertEquals(task.status(id), "Unknown");
  resolve(1);
});

Deno.test("await() with cancel only abandons when it is false, and needs no bound", async () => {
  const { id, resolve } = held<number>();
  const late = { timeout: 0, cancel: false };
  await assertRejects(() => task.await(id, late), task.TimeoutError);
  assertEquals(task.status(id), "Running");
  const waiting = task.await(id, { cancel: true });
  resolve(1);
  assertEquals(await waiting, 1);
});

Deno.test("await() with cancel reports no fault of what goes on behind it", async () => {
  const reports: unknown[] = [];
  task.setFaultHandler((error) => reports.push(error));
  const { id, reject } = held();
  await assertRejects(() => task.await(id, SOON), task.TimeoutError);
  reject("late");
  await drain();
  assertEquals([reports, task.list()], [[], []]);
  task.setFaultHandler(null);
});

Deno.test("await() with cancel loses no bytes in a timeout and a retry", async () => {
  using pair = await makePair();
  const got: string[] = [];
  for (const line of ["one", "two", "three"]) {
    const waiting = () => task.await(socket.recvLine(pair.client), SOON);
    await assertRejects(waiting, task.TimeoutError);
    socket.send(pair.peer, `${line}\n`);
    got.push((await task.await(socket.recvLine(pair.client)))!);
  }
  assertEquals(got, ["one", "two", "three"]);
  await task.wait();
  task.list().forEach(task.forget);
});

Deno.test("await() with cancel leaves a partial message to the next receive", async () => {
  using pair = await makePair();
  socket.send(pair.peer, "par");
  while (socket.peek(pair.client) === undefined) await task.sleep(1);
  const exact = () => task.await(socket.recvExact(pair.client, 7), NOW);
  await assertRejects(exact, task.TimeoutError);
  assertEquals(await recvText(pair.client), "par");
  await task.wait();
  task.list().forEach(task.forget);
});

Deno.test("await() with cancel leaves a connection to the next accept", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  await assertRejects(() => task.await(socket.accept(server), SOON), task.TimeoutError);
  const caller = await socket.tcpconnect(...socket.getlocal(server));
  const accepted = await task.await(socket.accept(server), { timeout: 5000, cancel: true });
  assertEquals(socket.getpeer(accepted), socket.getlocal(caller));
  [caller, accepted, server].forEach(socket.close);
});

Deno.test("await() with cancel leaves no connection open when a connect is given up", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const connecting = () => task.await(socket.connect(...socket.getlocal(server)), NOW);
  await assertRejects(connecting, task.TimeoutError);
  assertEquals(socket.list(), [server]);
  socket.close(server);
});

Deno.test("await() with cancel sends nothing of a send that has not begun and all of one that has", async () => {
  using pair = await makePair();
  const big = new Uint8Array(8 * 1024 * 1024).fill(97);
  const waits = [socket.send(pair.peer, big), socket.send(pair.peer, "never")]
    .map((id) => assertRejects(() => task.await(id, SOON), task.TimeoutError));
  await Promise.all(waits);
  assertEquals(task.list(), []);
  socket.shutdown(pair.peer);
  let length = 0;
  for (let data; (data = await task.await(socket.recv(pair.client, 65_536))).length > 0;) {
    assert(data.every((byte) => byte === 97));
    length += data.length;
  }
  assertEquals(length, big.length);
  await task.wait();
  task.list().forEach(task.forget);
});

Deno.test("await() with cancel races a close: one of them faults the task, and nothing is left", async () => {
  using pair = await makePair();
  const controller = new AbortController();
  const options = { signal: controller.signal, cancel: true };
  const [first, second] = [socket.recv(pair.client), socket.recv(pair.client)];
  const waits = [task.await(first, options), task.await(second, { timeout: 60_000, cancel: true })]
    .map(outcome);
  controller.abort("enough");
  socket.close(pair.client);
  await drain();
  assertEquals(waits[0], { state: "rejected", value: "enough" });
  assertEquals((waits[1].value as socket.SocketError).code, "ECONNABORTED");
  assertEquals(task.list(), []);
});

Deno.test("only await() takes cancel, and only a boolean", () => {
  const id = task.after(0);
  for (const wrong of [1, "yes", null]) {
    assertThrows(
      () => task.await(id, { cancel: wrong as never }),
      TypeError,
      '"cancel" must be a boolean',
    );
  }
  assertThrows(
    () => task.await(id, { timeOut: 1 } as never),
    TypeError,
    'Unknown option "timeOut": expected one of timeout, signal, cancel',
  );
  const channel = task.channel();
  const queue = task.completions();
  const others: ((options: never) => unknown)[] = [
    (options) => task.wait(options),
    (options) => task.select([channel], options),
    (options) => task.settled([id], options),
    (options) => queue.wait(options),
    (options) => task.mutex().acquire(options),
    (options) => task.sleep(1, options),
    (options) => channel.recv(options),
  ];
  for (const other of others) {
    assertThrows(() => other({ cancel: true } as never), TypeError, 'Unknown option "cancel"');
  }
  task.forget(id);
});
