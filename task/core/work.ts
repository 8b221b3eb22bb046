/** Beginning the work of a task, and giving it up. */
import { CancelledError } from "./errors.ts";
import { complete, DeferredFault, fault, isAwaited, RUNNING, type Task } from "./record.ts";
import { callFor, releaseSleeps } from "./sleepers.ts";
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
