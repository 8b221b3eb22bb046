/**
 * Beginning the work of a task, and giving it up.
 *
 * Whose sleep is it? What nobody waits for is to keep no process alive.
 *
 * A cancelled function cannot be stopped, but nobody waits for it any more. So the timers of the
 * sleeps that it began, as far as they can be told from others, stop keeping the process alive:
 * those from its synchronous part, before its first `await`. They fire all the same if the process
 * is still there.
 */
import { CancelledError } from "./errors.ts";
import { complete, DeferredFault, fault, isAwaited, RUNNING, type Task } from "./record.ts";
import { noteUnseen } from "./unseen.ts";

/** Runs a function, soon, to settle a task. */
export function start<A extends unknown[]>(
  task: Task,
  fn: (...args: A) => unknown,
  args: A,
): void {
  queueMicrotask(() => {
    if (task.state === RUNNING) run(task, fn, args);
  });
}

function run<A extends unknown[]>(task: Task, fn: (...args: A) => unknown, args: A): void {
  let result: unknown;
  try {
    result = callFor(task, fn, args);
  } catch (error) {
    return faultUnseen(task, error);
  }
  settleWith(task, result); // which keeps neither the function nor its arguments
}

async function settleWith(task: Task, result: unknown): Promise<void> {
  try {
    complete(task, await result);
  } catch (error) {
    faultUnseen(task, error);
  }
}

/** Faults a task that works in the background, so that its fault does not go unnoticed. */
export function faultUnseen(task: Task, error: unknown): void {
  if (task.state !== RUNNING) return;
  const awaited = isAwaited(task);
  fault(task, error, false);
  if (!awaited && !task.forgotten) noteUnseen(task);
}

/** Cancels a task that is Running. */
export function cancelTask(task: Task, reason: unknown): void {
  task.queue?.remove(task);
  task.owner?.cancelled(task);
  releaseSleeps(task);
  fault(
    task,
    new DeferredFault(({ id, kind }) => new CancelledError(id, kind, reason)),
  );
}

/** Has a Running task dropped when it settles. */
export function forgetTask(task: Task): void {
  task.forgotten = true;
  task.entry?.leave();
}

type Timer = ReturnType<typeof setTimeout>;

/** The task whose function is in its synchronous part. */
let current: Task | undefined;
const timers: WeakMap<Task, Set<Timer>> = new WeakMap();

/** Calls a task's function: what sleeps it begins until it returns are the task's. */
export function callFor<A extends unknown[], T>(task: Task, fn: (...args: A) => T, args: A): T {
  const outer = current;
  current = task;
  try {
    return fn(...args);
  } finally {
    current = outer;
  }
}

/** Notes a timer that has just been set; gives the timers to take it out of when it is over. */
export function noteSleep(timer: Timer): Set<Timer> | undefined {
  if (current === undefined) return undefined;
  if (current.state !== RUNNING) {
    Deno.unrefTimer(timer);
    return undefined;
  }
  let own = timers.get(current);
  if (own === undefined) timers.set(current, own = new Set());
  own.add(timer);
  return own;
}

/** The task was cancelled: its sleeps keep no process alive any more. */
function releaseSleeps(task: Task): void {
  timers.get(task)?.forEach((timer) => Deno.unrefTimer(timer));
}
