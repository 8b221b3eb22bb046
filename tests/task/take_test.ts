// `task.take`: a claim at once, without a promise.

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { socket, task } from "../../mod.ts";
import {
  completed,
  drain,
  faulted,
  held,
  leaveNothing,
  LIMIT,
  makePair,
  outcome,
  recvText,
} from "./helpers.ts";

leaveNothing();

Deno.test("take() gives the result and leaves the ID Unknown when the task is Completed", async () => {
  const value = {};
  const id = await completed(value);
  const taken = task.take(id);
  assertEquals(taken, { id, status: "Completed", value });
  assertStrictEquals((taken as { value: unknown }).value, value);
  assertEquals([task.status(id), task.list()], ["Unknown", []]);
  assertEquals(task.take(id), undefined);
});

Deno.test("take() gives the fault and leaves the ID Unknown when the task is Faulted", async () => {
  for (const error of [new SyntaxError("own"), "text", undefined]) {
    const id = await faulted(error);
    assertEquals(task.take(id), { id, status: "Faulted", error });
    assertEquals(task.status(id), "Unknown");
  }
});

Deno.test("take() gives undefined as a value when that is the result", async () => {
  const id = await completed(undefined);
  const taken = task.take(id);
  assert(taken?.status === "Completed" && "value" in taken);
  assertEquals(taken.value, undefined);
});

Deno.test("take() gives undefined and changes nothing when the task is Running", async () => {
  const { id, resolve } = held<number>();
  assertEquals(task.take(id), undefined);
  assertEquals([task.status(id), task.list()], ["Running", [id]]);
  resolve(1);
  await drain();
  assertEquals(task.take(id), { id, status: "Completed", value: 1 });
});

Deno.test("take() gives undefined when the ID is Unknown", async () => {
  const id = await completed(1);
  task.forget(id);
  const server = socket.tcpserver("127.0.0.1", 0);
  for (const unknown of [id, server, 0, -1, 2 ** 53]) assertEquals(task.take(unknown), undefined);
  assert(socket.isopen(server));
  socket.close(server);
});

Deno.test("take() finds nothing when an await claims the task", async () => {
  const before = held<number>();
  const waiting = task.await(before.id);
  assertEquals(task.take(before.id), undefined);
  before.resolve(1);
  await drain();
  assertEquals(task.take(before.id), undefined);
  assertEquals(await waiting, 1);

  const id = await completed(2);
  const late = task.await(id);
  assertEquals(task.take(id), undefined);
  assertEquals(await late, 2);
});

Deno.test("take() leaves nothing to await", async () => {
  const id = await completed(1);
  task.take(id);
  await assertRejects(() => task.await(id), task.UnknownTaskError);
});

Deno.test("take() lets all() have its results when it takes one that all() waits for", async () => {
  const [one, two] = [held<number>(), held<number>()];
  const waiting = task.all([one.id, two.id]);
  one.resolve(1);
  await drain();
  assertEquals(task.take(one.id), { id: one.id, status: "Completed", value: 1 });
  two.resolve(2);
  assertEquals(await waiting, [1, 2]);
});

Deno.test("take() gives the CancelledError when the task was cancelled", () => {
  const id = task.after(60_000);
  task.cancel(id);
  const taken = task.take(id);
  assert(taken?.status === "Faulted" && taken.error instanceof task.CancelledError);
  assertEquals([task.status(id), task.cancel(id)], ["Unknown", false]);
});

Deno.test("take() gives the result of a task that was forgotten while Running only if it is there", async () => {
  const { id, resolve } = held<number>();
  task.forget(id);
  resolve(1);
  await drain();
  assertEquals(task.take(id), undefined);
});

Deno.test("take() gives the fault of an ID that will not do when there is room for no result", () => {
  task.setUnclaimedLimit(0);
  const taken = task.take(socket.recv(0));
  assert(taken?.status === "Faulted");
  assertEquals((taken.error as socket.SocketError).code, "EBADF");
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("take() gives the bytes of a recv and leaves the next ones", async () => {
  using pair = await makePair();
  const id = socket.recv(pair.client, 3);
  assertEquals(task.take(id), undefined);
  socket.send(pair.peer, "onetwo");
  let taken;
  while ((taken = task.take(id)) === undefined) await task.sleep(1);
  assert(taken.status === "Completed");
  assertEquals(new TextDecoder().decode(taken.value), "one");
  assertEquals(await recvText(pair.client), "two");
  task.list().forEach(task.forget);
});

Deno.test("take() gives what close() leaves: the fault of a pending recv and the bytes of another", async () => {
  using pair = await makePair();
  socket.unrecv(pair.client, "kept");
  const [full, pending] = [socket.recv(pair.client), socket.recv(pair.client)];
  socket.close(pair.client);
  const [bytes, fault] = [task.take(full), task.take(pending)];
  assert(bytes?.status === "Completed" && fault?.status === "Faulted");
  assertEquals(new TextDecoder().decode(bytes.value), "kept");
  assertEquals((fault.error as socket.SocketError).code, "ECONNABORTED");
});

Deno.test("take() gives a connection that its listener's close does not touch any more", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const accepting = [socket.accept(server), socket.accept(server)];
  const callers = [];
  for (const _ of accepting) callers.push(await socket.tcpconnect(...socket.getlocal(server)));
  await task.wait();
  const taken = task.take(accepting[0]);
  assert(taken?.status === "Completed");
  socket.close(server);
  assertEquals(accepting.map(task.take), [undefined, undefined]);
  assertEquals([socket.isopen(taken.value), socket.list().length], [true, 3]);
  [taken.value, ...callers].forEach(socket.close);
});

Deno.test("take() is a look at a fault: it is not reported", async () => {
  const reports: unknown[] = [];
  task.setFaultHandler((error) => reports.push(error));
  const id = await faulted("taken");
  task.take(id);
  task.setUnclaimedLimit(0); // which would report what is dropped unseen
  await drain();
  assertEquals(reports, []);
  task.setUnclaimedLimit(LIMIT);
  task.setFaultHandler(null);
});

Deno.test("take() finds nothing when the result was the oldest of too many", async () => {
  task.setUnclaimedLimit(1);
  const [first, second] = [await completed(1), await completed(2)];
  assertEquals(task.take(first), undefined);
  assertEquals(task.take(second), { id: second, status: "Completed", value: 2 });
  task.setUnclaimedLimit(LIMIT);
});

Deno.test("setUnclaimedLimit() of 0 leaves a result to the caller of the moment, and no longer", async () => {
  task.setUnclaimedLimit(0);
  const id = socket.recv(0);
  assertEquals(task.status(id), "Faulted");
  await Promise.resolve();
  assertEquals(task.status(id), "Unknown");
  const seen = outcome(task.await(socket.recv(0)));
  await drain();
  assertEquals((seen.value as socket.SocketError).code, "EBADF");
  for (let i = 0; i < 10; i++) socket.recv(0);
  assertEquals(task.list().length, 1); // bounded within one turn, too
  await drain();
  assertEquals(task.list(), []);
  task.setUnclaimedLimit(LIMIT);
});
