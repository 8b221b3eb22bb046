/**
 * The loops over what a socket gives.
 *
 * Theory of operation. Each `next` begins one task and has its result at the very moment that it
 * settles; the order among several is the socket's own, which serves in order of calls. Nothing is
 * begun ahead of a `next`, so a loop that is left has nothing in hand. Leaving cancels what is
 * pending, which by cancel safety loses nothing.
 *
 * They are written by hand: an async generator cannot give up a pending `next`, and tells of a bad
 * argument only when it is first asked.
 */
import {
  addWaiter,
  cancelTask,
  claim,
  COMPLETED,
  find,
  rejectionOf,
  RUNNING,
  type SocketId,
  type Task,
  type TaskId,
  type Waiter,
} from "../../task/core/mod.ts";
import type { Listener } from "./listener.ts";

type Result<T> = IteratorResult<T, undefined>;
type Resolve<T> = (result: Result<T> | Promise<never>) => void;

const done = (): Result<never> => ({ done: true, value: undefined });

/** A loop over the results of tasks. */
abstract class Results<T> implements AsyncIterableIterator<T, undefined> {
  #done = false;
  /** Every `next` that is pending. */
  readonly #steps: Set<Step<T>> = new Set();
  readonly #begin: () => TaskId<T | null>;

  /** @param begin Begins the task of one `next`. */
  constructor(begin: () => TaskId<T | null>) {
    this.#begin = begin;
  }

  /** Whether this is the end of the stream and no result. */
  protected abstract isEnd(value: T | null): boolean;
  /** Whether a failure only tells that there will be no more. */
  protected isOver(): boolean {
    return false;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Result<T>> {
    if (this.#done) return Promise.resolve(done());
    const task = find(this.#begin())!; // not claimed yet
    return new Promise((resolve) => {
      const step = new Step(this, task, resolve);
      if (task.state === RUNNING) {
        this.#steps.add(step);
        addWaiter(task, step);
      } else {
        claim(task);
        step.settled(task);
      }
    });
  }

  return(): Promise<Result<T>> {
    this.#done = true;
    this.#leave();
    return Promise.resolve(done());
  }

  /** What one `next` gives. */
  resultOf(step: Step<T>, task: Task): Result<T> | Promise<never> {
    this.#steps.delete(step);
    if (task.state === COMPLETED && !this.isEnd(task.value as T | null)) {
      return { done: false, value: task.value as T };
    }
    if (this.#done) return done();
    this.#done = true;
    // Not now: the socket is in the midst of settling.
    if (this.#steps.size > 0) queueMicrotask(() => this.#leave());
    return task.state === COMPLETED || this.isOver() ? done() : rejectionOf(task);
  }

  /** Cancels what is pending. */
  #leave(): void {
    for (const { task } of [...this.#steps]) cancelTask(task, "the loop was left");
  }
}

/** A pending `next`. */
class Step<T> implements Waiter {
  readonly task: Task;
  readonly #results: Results<T>;
  readonly #resolve: Resolve<T>;

  constructor(results: Results<T>, task: Task, resolve: Resolve<T>) {
    this.task = task;
    this.#results = results;
    this.#resolve = resolve;
  }

  settled(task: Task): boolean {
    this.#resolve(this.#results.resultOf(this, task));
    return true;
  }
}

/** The loop over what a listener gives. */
export class Connections extends Results<SocketId> {
  readonly #find: () => Listener | undefined;
  #listener: Listener | undefined;

  /** @param find Gives the listener, while there is one. */
  constructor(find: () => Listener | undefined, begin: () => TaskId<SocketId>) {
    super(begin);
    this.#find = find;
  }

  override next(): Promise<Result<SocketId>> {
    this.#listener ??= this.#find();
    return super.next();
  }

  protected isEnd(): boolean {
    return false;
  }

  /** A listener ends when it is closed; what never was one is a failure. */
  protected override isOver(): boolean {
    return this.#listener?.closed ?? false;
  }
}

/** The loop over bytes. */
export class Chunks extends Results<Uint8Array<ArrayBuffer>> {
  protected isEnd(value: Uint8Array<ArrayBuffer>): boolean {
    return value.length === 0;
  }
}

/** The loop over lines. */
export class Lines extends Results<string> {
  protected isEnd(value: string | null): boolean {
    return value === null;
  }
}
