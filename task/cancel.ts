import { cancelTask, forgetTask } from "./core/work.ts";
import { checkId } from "./core/check.ts";
import { markSeen } from "./core/unseen.ts";
import type { TaskId } from "./core/types.ts";
import { drop, find, RUNNING } from "./core/record.ts";

/**
 * Cancels a Running task: when the call returns it is Faulted with a
 * {@linkcode CancelledError}.
 *
 * What was cancelled loses nothing. Bytes and connections that arrive for a cancelled recv
 * or accept go to the next one. A cancelled send that has not begun sends nothing; one that
 * has begun still goes out whole. A spawned function that has begun cannot be stopped: it
 * runs to its end and its result is dropped. A `sleep` that it began before its first `await`
 * does not keep the process alive for that any more; what it begins later does, and so does the
 * work of a task that was only forgotten.
 * A task in a {@linkcode CompletionQueue} comes, Faulted.
 *
 * @param id The task.
 * @param reason Why; becomes the `cause` of the error, and a string also part of its message.
 * @returns `true` if the task was Running; `false` if it had settled or is Unknown.
 * @throws {TypeError} If `id` is not an integer.
 *
 * @example Stop waiting for a connection
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const id = socket.accept(server);
 * assertEquals(task.cancel(id), true);
 * assertEquals(task.status(id), "Faulted");
 * assertEquals(task.cancel(id), false);
 * socket.close(server);
 * ```
 */
export function cancel(id: TaskId, reason?: unknown): boolean {
  const task = find(id);
  if (task === undefined || task.state !== RUNNING) {
    checkId("id", id);
    return false;
  }
  cancelTask(task, reason);
  return true;
}

/**
 * Declares that nobody will claim a task: it is dropped when it settles, or now if it has, and its
 * fault is ignored. Received bytes are dropped with it. The connection that an accept or a connect
 * has given is closed, unless the program has used it: any call on it is a use but `isopen`,
 * `istls`, `list`, `inspect`, `getlocal`, `getsockopt` and `setsockopt`. To stop the work as well,
 * {@linkcode cancel} it. A task in a {@linkcode CompletionQueue} leaves it. Unknown IDs are
 * ignored.
 *
 * @param id The task.
 * @throws {TypeError} If `id` is not an integer.
 *
 * @example Fire and forget
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const id = task.spawn(() => Promise.reject("nobody cares"));
 * task.forget(id);
 * await task.wait();
 * assertEquals(task.status(id), "Unknown");
 * ```
 */
export function forget(id: TaskId): void {
  const task = find(id);
  if (task === undefined) {
    checkId("id", id);
    return;
  }
  markSeen(task);
  if (task.state === RUNNING) forgetTask(task);
  else drop(task);
}
