import { checkId } from "./check.ts";
import { markSeen } from "./faults.ts";
import type { TaskId } from "./id.ts";
import { COMPLETED, FAULTED, find } from "./record.ts";

/** What a task is doing; `Unknown` once its result was claimed or dropped. */
export type TaskStatus = "Running" | "Completed" | "Faulted" | "Unknown";

const NAMES = ["Running", "Completed", "Faulted"] as const;

/**
 * Tells what a task is doing, without waiting and without claiming anything. Never throws:
 * whatever is not the ID of a live task is `"Unknown"`.
 *
 * @param id The task.
 * @returns `"Running"`, `"Completed"`, `"Faulted"` or `"Unknown"`.
 *
 * @example Poll a receive
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const accepting = socket.accept(server);
 * assertEquals(task.status(accepting), "Running");
 * socket.close(server);
 * assertEquals(task.status(accepting), "Faulted");
 * ```
 */
export function status(id: TaskId): TaskStatus {
  const task = find(id);
  if (task === undefined) return "Unknown";
  if (task.unseen) markSeen(task);
  return NAMES[task.state];
}

/**
 * Looks at a task's result without waiting and without claiming it.
 *
 * @typeParam T What the task gives.
 * @param id The task.
 * @returns The result, or `undefined` while the task is Running, if it Faulted, or if it is
 * Unknown. Ask {@linkcode status} where `undefined` may be a result.
 * @throws {TypeError} If `id` is not an integer.
 *
 * @example Look twice, then claim
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const id = task.spawn(() => 42);
 * assertEquals(task.result(id), undefined);
 * await task.wait();
 * assertEquals(task.result(id), 42);
 * assertEquals(await task.await(id), 42);
 * assertEquals(task.result(id), undefined);
 * ```
 */
export function result<T>(id: TaskId<T>): T | undefined {
  const task = find(id);
  if (task === undefined) {
    checkId("id", id);
    return undefined;
  }
  if (task.unseen) markSeen(task);
  return task.state === COMPLETED ? task.value as T : undefined;
}

/**
 * Looks at a task's fault without waiting and without claiming it.
 *
 * @param id The task.
 * @returns What the task faulted with (a `SocketError`, a {@linkcode CancelledError},
 * whatever a spawned function threw), or `undefined` if it has not Faulted.
 * @throws {TypeError} If `id` is not an integer.
 *
 * @example See why a connect failed
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const [host, port] = socket.getlocal(server);
 * socket.close(server);
 * const id = socket.connect(host, port);
 * await task.wait();
 * assertEquals((task.error(id) as socket.SocketError).code, "ECONNREFUSED");
 * ```
 */
export function error(id: TaskId): unknown {
  const task = find(id);
  if (task === undefined) {
    checkId("id", id);
    return undefined;
  }
  if (task.unseen) markSeen(task);
  return task.state === FAULTED ? task.value : undefined;
}
