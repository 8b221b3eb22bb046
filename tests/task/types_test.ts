// What the compiler knows. These tests fail when this file does not type-check.

import { assertEquals } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { leaveNothing } from "./helpers.ts";

leaveNothing();

/** `true` if the types are the same, else `false`. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;

/** Compiles if the type of what `fn` gives is exactly `R`; the function is not called. */
function gives<R>() {
  return <F>(_fn: () => F, ..._same: Same<F, R> extends true ? [] : [never]): void => {};
}

const id: socket.SocketId = 1;

Deno.test("await() is typed by the task when a socket function gave it", () => {
  gives<Promise<Uint8Array<ArrayBuffer>>>()(() => task.await(socket.recv(id)));
  gives<Promise<number>>()(() => task.await(socket.send(id, "x")));
  gives<Promise<number>>()(() => task.await(socket.recvInto(id, new Uint8Array(1))));
  gives<Promise<socket.SocketId>>()(() => task.await(socket.accept(id)));
  gives<Promise<socket.SocketId>>()(() => task.await(socket.connect("localhost", 1)));
  gives<Promise<void>>()(() => task.await(socket.shutdown(id)));
  gives<Promise<Uint8Array<ArrayBuffer>>>()(() => task.await(socket.recv(id), { timeout: 1 }));
  gives<Uint8Array<ArrayBuffer> | undefined>()(() => task.result(socket.recv(id)));
  gives<unknown>()(() => task.error(socket.recv(id)));
  gives<Promise<void>>()(() => task.await(socket.ready(id)));
  gives<Promise<void>>()(() => task.await(tls.ready(id)));
});

Deno.test("loops are typed by what they give", () => {
  gives<Loop<socket.SocketId>>()(() => socket.connections(id).next());
  gives<Loop<socket.SocketId>>()(() => tls.connections(id).next());
  gives<Loop<Uint8Array<ArrayBuffer>>>()(() => socket.chunks(id).next());
  gives<Loop<string>>()(() => socket.lines(id).next());
  gives<Loop<string>>()(() => tls.lines(id, { max: 1 }).next());
  // @ts-expect-error a task, not a listener
  gives<unknown>()(() => socket.connections(socket.accept(id)));
  // @ts-expect-error a limit is one of the wait
  gives<unknown>()(() => socket.recv(id, { timeout: 1 }));
  // @ts-expect-error a limit is one of the wait
  gives<unknown>()(() => socket.accept(id, { timeout: 1 }));
  // @ts-expect-error not awaited
  gives<unknown>()(() => socket.send(socket.tcpconnect("localhost", 1), "x"));
});

/** What `next` of a loop gives. */
type Loop<T> = Promise<IteratorResult<T, undefined>>;

Deno.test("received bytes pass wherever the Web wants an array of its own", () => {
  const use = async () => {
    const all = await task.all([
      socket.recv(id),
      socket.recvExact(id, 1),
      socket.recvUntil(id, ";"),
      tls.recv(id),
      tls.recvExact(id, 1),
      tls.recvUntil(id, ";"),
    ]);
    const error = task.error(socket.recvExact(id, 1)) as socket.SocketError;
    for await (const chunk of socket.streams(id).readable) all.push(chunk);
    for await (const chunk of socket.chunks(id)) all.push(chunk);
    for await (const chunk of tls.chunks(id, 1)) all.push(chunk);
    const taken = task.take(socket.recv(id));
    if (taken?.status === "Completed") all.push(taken.value);
    all.push(task.result(socket.recv(id))!);
    all.push((await task.race([socket.recv(id), socket.recvExact(id, 1)])).value);
    all.push((await task.select([socket.recv(id)])).value);
    for (const data of [...all, socket.peek(id)!, tls.peek(id)!, error.partial!]) {
      new Response(data);
      new Blob([data]);
      await crypto.subtle.digest("SHA-256", data);
    }
  };
  assertEquals(typeof use, "function");
});

Deno.test("await() is typed by the function when spawn() gave the task", () => {
  gives<Promise<number>>()(() => task.await(task.spawn(() => 1)));
  gives<Promise<string>>()(() => task.await(task.spawn(() => Promise.resolve("x"))));
  gives<Promise<boolean>>()(() => task.await(task.spawn((n: number) => n > 1, [1])));
  gives<Promise<never>>()(() => task.await(task.interval(1, () => {})));
  gives<Promise<string>>()(() => task.timer(1, () => Promise.resolve("x")));
});

Deno.test("take(), settled() and add() are typed by the task", () => {
  const queue = task.completions();
  gives<task.Outcome<Uint8Array<ArrayBuffer>> | undefined>()(() => task.take(socket.recv(id)));
  gives<task.Outcome | undefined>()(() => queue.take());
  gives<task.TaskId<Uint8Array<ArrayBuffer>>>()(() => queue.add(socket.recv(id)));
  gives<Promise<(task.TaskId<number> | task.TaskId<void>)[]>>()(() =>
    task.settled([socket.send(id, "x"), task.after(1)])
  );
  gives<Promise<void>>()(() => task.await(task.after(1), { timeout: 1, cancel: true }));
  const outcome: task.Outcome<number> | undefined = task.take(0);
  if (outcome?.status === "Completed") gives<number>()(() => outcome.value);
  // @ts-expect-error a Faulted task has no value
  if (outcome?.status === "Faulted") gives<unknown>()(() => outcome.value);
});

Deno.test("plain numbers pass wherever an ID is wanted", async () => {
  const plain: number = task.spawn(() => 1);
  assertEquals(await task.await(plain), 1);
  gives<Promise<unknown>>()(() => task.await(plain));
  gives<Promise<Uint8Array<ArrayBuffer>>>()(() => task.await(socket.recv(plain)));
  assertEquals(task.status(plain), "Unknown");
  const back: number = socket.send(plain, "x");
  task.forget(back);
  const table: Record<number, string> = { [back]: "an ID is an index" };
  assertEquals(table[back], "an ID is an index");
});

Deno.test("a task ID is no socket ID and a socket ID no task ID", () => {
  const running: task.TaskId<Uint8Array> = 0;
  // @ts-expect-error a task, not a socket
  task.forget(socket.recv(running));
  // @ts-expect-error a task, not a socket
  socket.close(running);
  // @ts-expect-error a socket, not a task
  assertEquals(task.status(id), "Unknown");
  // @ts-expect-error a socket, not a task
  assertEquals(task.cancel(id), false);
  // @ts-expect-error a socket, not a task
  const confused: task.TaskId = id;
  // @ts-expect-error the result is bytes, not a string
  const wrong: task.TaskId<string> = running;
  assertEquals([confused, wrong], [1, 0]);
  const loose: task.TaskId = running; // one whose result does not matter
  assertEquals(loose, 0);
});

Deno.test("all(), any(), race() and select() are typed by their sources", () => {
  const [one, two]: task.TaskId<number>[] = [0, 0];
  const words = task.channel<string>();
  gives<Promise<[number, number]>>()(() => task.all([one, two]));
  gives<Promise<number[]>>()(() => task.all(new Set([one, two])));
  gives<Promise<task.Winner<number>>>()(() => task.any([one, two]));
  gives<Promise<task.Winner<number>>>()(() => task.race([one, two]));
  gives<Promise<task.Selected<number | string | null>>>()(() => task.select([one, words]));
  gives<Promise<task.Selected<string | null>>>()(() => task.select([words]));
});

Deno.test("channels and mutexes are typed by what they carry", () => {
  const words = task.channel<string>(1);
  gives<Promise<string | null>>()(() => words.recv());
  gives<[true, string] | [false, undefined]>()(() => words.tryRecv());
  gives<boolean>()(() => words.trySend("x"));
  // @ts-expect-error not a string
  words.trySend(1);
  words.close();
  gives<Promise<number>>()(() => task.mutex().synchronize(() => Promise.resolve(1)));
  const status: "Running" | "Completed" | "Faulted" | "Unknown" = task.status(0);
  gives<typeof status>()(() => "Unknown" as task.TaskStatus);
});
