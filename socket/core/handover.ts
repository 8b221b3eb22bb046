import {
  addWaiter,
  claim,
  COMPLETED,
  find,
  rejectionOf,
  RUNNING,
  type Task,
  type Waiter,
} from "../../task/core/mod.ts";

/**
 * Claims a task's result and has it used at the very moment that the task completes. Behind an
 * await others would come in between: what they receive, send or cancel would be out of order.
 *
 * @param task A task that was begun in this turn.
 * @returns What the function gives; rejects with the fault of the task, or with what it throws.
 */
export function handOver<T, R>(task: Task, use: (value: T) => R): Promise<R> {
  return new Promise((resolve, reject) => {
    const waiter = new Handover(use as (value: unknown) => R, resolve, reject);
    if (task.state === RUNNING) return addWaiter(task, waiter);
    if (find(task.id) === task) claim(task);
    waiter.settled(task);
  });
}

class Handover<R> implements Waiter {
  constructor(
    readonly use: (value: unknown) => R,
    readonly resolve: (result: R | Promise<never>) => void,
    readonly reject: (reason: unknown) => void,
  ) {}

  settled(task: Task): boolean {
    try {
      this.resolve(task.state === COMPLETED ? this.use(task.value) : rejectionOf(task));
    } catch (error) {
      this.reject(error);
    }
    return true;
  }
}
