import { checkId } from "./core/check.ts";
import { markSeen } from "./core/unseen.ts";
import type { SocketId, TaskId } from "./core/types.ts";
import {
  allTasks,
  COMPLETED,
  errorOf,
  FAULTED,
  find,
  runningCount,
  type Task,
} from "./core/record.ts";
import { since } from "./core/now.ts";

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
 * Looks at a task's result without waiting and without claiming it. To claim it without a promise,
 * call {@linkcode take}: to {@linkcode forget} the task after a look closes an accepted connection
 * that was not used yet.
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
  return task.state === FAULTED ? errorOf(task, error) : undefined;
}

/** A snapshot of one task. */
export interface TaskRecord {
  /** The task. */
  readonly id: TaskId;
  /** The call that made it: `"recv"`, `"accept"`, `"spawn"` ... */
  readonly kind: string;
  /** What it was doing when asked. */
  readonly status: TaskStatus;
  /** The socket it works on, `undefined` if none. */
  readonly socket: SocketId | undefined;
  /** Whole milliseconds since it was made. */
  readonly age: number;
}

/**
 * Lists every unclaimed task, Running or settled.
 *
 * @returns Their IDs, ascending: the oldest first.
 *
 * @example See a task come and go
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const id = task.spawn(() => "done");
 * assertEquals(task.list(), [id]);
 * await task.await(id);
 * assertEquals(task.list(), []);
 * ```
 */
export function list(): TaskId[] {
  return allTasks().map((task) => task.id);
}

/**
 * Describes one task, or every unclaimed one.
 *
 * @param id The task. Without it, all of them by ascending ID.
 * @returns The record, `undefined` if the task is Unknown; or the list of records.
 * @throws {TypeError} If `id` is given and not an integer.
 *
 * @example What is this program waiting for?
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const id = task.spawn(() => task.sleep(5));
 * const { kind, status } = task.inspect(id)!;
 * assertEquals([kind, status], ["spawn", "Running"]);
 * await task.await(id);
 * assertEquals(task.inspect(), []);
 * ```
 */
export function inspect(id: TaskId): TaskRecord | undefined;
/**
 * Describes every unclaimed task.
 *
 * @returns The records, by ascending ID.
 */
export function inspect(): TaskRecord[];
export function inspect(id?: TaskId): TaskRecord | TaskRecord[] | undefined {
  if (id === undefined) return allTasks().map(describe);
  checkId("id", id);
  const task = find(id);
  return task === undefined ? undefined : describe(task);
}

function describe(task: Task): TaskRecord {
  return Object.freeze({
    id: task.id,
    kind: task.kind,
    status: status(task.id),
    socket: task.socket === 0 ? undefined : task.socket,
    age: since(task.created),
  });
}

/**
 * Whether any task is Running. Settled tasks that nobody has claimed do not count.
 *
 * @returns `true` while at least one task is Running.
 *
 * @example Poll until all is done
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const id = task.spawn(() => task.sleep(2));
 * while (task.busy()) await task.sleep(1);
 * assertEquals(task.status(id), "Completed");
 * await task.await(id);
 * ```
 */
export function busy(): boolean {
  return runningCount() > 0;
}
