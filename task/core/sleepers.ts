/**
 * Whose sleep is it? What nobody waits for is to keep no process alive.
 *
 * A cancelled function cannot be stopped, but nobody waits for it any more. So the timers of the
 * sleeps that it began, as far as they can be told from others, stop keeping the process alive:
 * those from its synchronous part, before its first `await`. They fire all the same if the process
 * is still there.
 */
import { RUNNING, type Task } from "./record.ts";

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
export function releaseSleeps(task: Task): void {
  timers.get(task)?.forEach((timer) => Deno.unrefTimer(timer));
}
