import { checkFunction, checkInteger } from "./core/check.ts";
import { setLimit } from "./core/record.ts";
import type { TaskId } from "./core/types.ts";
import { setHandler } from "./core/unseen.ts";

/**
 * Receives a fault that nobody has looked at.
 *
 * @param error What the task faulted with.
 * @param id The task.
 */
export type UnseenFaultHandler = (error: unknown, id: TaskId) => void;

/**
 * Sets who is told of a fault that nobody sees: a task made by {@linkcode spawn} or
 * {@linkcode interval} that faulted and was, for a second, neither awaited nor looked at
 * with `status`, `result`, `error` or `inspect`. Each is reported once. Without a handler
 * it is printed to standard error with its ID.
 *
 * @param report Takes the place of the printing; `null` prints again. What it throws is reported as
 * an uncaught error.
 * @returns The handler until now, `null` if there was none.
 * @throws {TypeError} If `report` is neither a function nor `null`.
 *
 * @example Collect unseen faults
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const seen = Promise.withResolvers<unknown>();
 * const before = task.setFaultHandler((error) => seen.resolve(error));
 * task.spawn(() => {
 *   throw "lost";
 * });
 * const alive = setTimeout(() => {}, 5000); // the one-second timer keeps no program alive
 * assertEquals(await seen.promise, "lost");
 * clearTimeout(alive);
 * task.setFaultHandler(before);
 * ```
 */
export function setFaultHandler(report: UnseenFaultHandler | null): UnseenFaultHandler | null {
  if (report !== null) checkFunction("report", report);
  return setHandler(report);
}

/**
 * Sets how many settled tasks are kept for a later await, in all. When one more settles
 * unclaimed, the oldest is dropped and its ID is Unknown from then on. A recv that holds
 * bytes, an accept or connect that holds a connection, and whatever waits in a
 * {@linkcode CompletionQueue} are not counted and not dropped. The task that settled last is there
 * until the caller of the moment has returned, whatever the limit.
 *
 * @param count The new limit, 0 to `2 ** 32 - 1`. It is 65,536 at the start.
 * @returns The limit until now.
 * @throws {TypeError} If `count` is not a number.
 * @throws {RangeError} If `count` is not an integer in range.
 *
 * @example Keep no results that nobody waits for
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const before = task.setUnclaimedLimit(0);
 * const id = task.spawn(() => 1);
 * await task.wait();
 * assertEquals(task.status(id), "Unknown");
 * task.setUnclaimedLimit(before);
 * ```
 */
export function setUnclaimedLimit(count: number): number {
  checkInteger("count", count, 0, 2 ** 32 - 1);
  return setLimit(count);
}
