/**
 * Faults that nobody sees.
 *
 * A spawned task that faults while nobody awaits it is given a second to be looked at.
 * One timer serves all of them. It does not keep the program alive, so what is still
 * unseen when the program ends is reported then.
 */
import type { TaskId } from "./types.ts";
import { errorOf, find, onUnseenDropped, type Task } from "./record.ts";

/** How long a fault may stay unseen, in milliseconds. */
const GRACE = 1000;

/** Unseen faults and when each is due, the oldest first. */
const unseen: Map<Task, number> = new Map();
let timer: ReturnType<typeof setTimeout> | undefined;
let listening = false;
/** Told in place of the console, if there is one. */
type Handler = (error: unknown, id: TaskId) => void;

let handler: Handler | null = null;

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
  reportFault(errorOf(task, report), task.id, task.kind);
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

/** Sets who is told; gives who was until now. */
export function setHandler(next: Handler | null): Handler | null {
  const before = handler;
  handler = next;
  return before;
}
