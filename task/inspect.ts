import { checkId } from "./check.ts";
import type { SocketId, TaskId } from "./id.ts";
import { allTasks, find, runningCount, type Task } from "./record.ts";
import { since } from "./now.ts";
import { status, type TaskStatus } from "./status.ts";

/** A snapshot of one task. */
export interface TaskRecord {
  /** The task. */
  readonly id: TaskId;
  /** The call that made it: `"recv"`, `"accept"`, `"spawn"` … */
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
