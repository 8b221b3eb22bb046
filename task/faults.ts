/**
 * Faults that nobody sees.
 *
 * A spawned task that faults while nobody awaits it is given a second to be looked at.
 * One timer serves all of them. It does not keep the program alive, so what is still
 * unseen when the program ends is reported then.
 */
import { checkFunction } from "./check.ts";
import type { TaskId } from "./id.ts";
import { find, onUnseenDropped, type Task } from "./record.ts";

/**
 * Receives a fault that nobody has looked at.
 *
 * @param error What the task faulted with.
 * @param id The task.
 */
export type UnseenFaultHandler = (error: unknown, id: TaskId) => void;

/** How long a fault may stay unseen, in milliseconds. */
const GRACE = 1000;

/** Unseen faults and when each is due, the oldest first. */
const unseen: Map<Task, number> = new Map();
let timer: ReturnType<typeof setTimeout> | undefined;
let listening = false;
let handler: UnseenFaultHandler | null = null;

onUnseenDropped(reportDropped);

/** Notes a fault that has just occurred and that nobody awaits. */
export function noteUnseen(task: Task): void {
  if (find(task.id) !== task) return reportDropped(task);
  task.unseen = true;
  unseen.set(task, performance.now() + GRACE);
  if (timer === undefined) arm(GRACE);
  if (!listening) {
    listening = true;
    globalThis.addEventListener("unload", () => [...unseen.keys()].forEach(report));
  }
}

/** Somebody has looked at the task. */
export function markSeen(task: Task): void {
  if (!task.unseen) return;
  task.unseen = false;
  unseen.delete(task);
  if (unseen.size === 0) {
    clearTimeout(timer);
    timer = undefined;
  }
}

function arm(delay: number): void {
  timer = setTimeout(reportDue, delay);
  Deno.unrefTimer(timer);
}

function reportDue(): void {
  timer = undefined;
  const now = performance.now();
  for (const [task, due] of unseen) {
    if (due > now) return arm(due - now);
    report(task);
  }
}

/** Reports a fault that was dropped: soon, since a task is in the midst of settling. */
function reportDropped(task: Task): void {
  markSeen(task);
  queueMicrotask(() => report(task));
}

function report(task: Task): void {
  markSeen(task);
  reportFault(task.value, task.id, task.kind);
}

/** Reports a fault that nobody else will hear of. */
export function reportFault(error: unknown, id: TaskId, kind: string): void {
  if (handler === null) {
    console.error(`Uncaught fault in ${kind} task ${id}:`, error);
    return;
  }
  try {
    handler(error, id);
  } catch (error) {
    reportError(error); // not thrown, so that the other faults are reported too
  }
}

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
  const before = handler;
  handler = report;
  return before;
}
