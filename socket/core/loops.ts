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
        if (this.#steps.size === 1) this.waits(true);
      } else {
        claim(task);
        step.settled(task);
      }
    });
  }

  return(): Promise<Result<T>> {
    this.end();
    return Promise.resolve(done());
  }

  /** There are no more results; what is pending is done. */
  protected end(): void {
    this.#done = true;
    this.#leave();
  }

  /** A `next` is pending, or none is any more. */
  protected waits(_: boolean): void {}

  /** What one `next` gives. */
  resultOf(step: Step<T>, task: Task): Result<T> | Promise<never> {
    if (this.#steps.delete(step) && this.#steps.size === 0) this.waits(false);
    if (task.state === COMPLETED && !this.isEnd(task.value as T | null)) {
      return { done: false, value: task.value as T };
    }
    if (this.#done) return done();
    this.#done = true;
    // Not now: the socket is in the midst of settling.
    if (this.#steps.size > 0) queueMicrotask(() => this.#leave());
    return task.state === COMPLETED ? done() : rejectionOf(task);
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

/** The loop over what a listener gives. It ends when that is closed, which is no failure. */
export class Connections extends Results<SocketId> {
  readonly #find: () => Listener | undefined;
  #listener: Listener | undefined;
  readonly #onClose = () => this.end();

  /** @param find Gives the listener, if there is one: what listens later is one as well. */
  constructor(find: () => Listener | undefined, begin: () => TaskId<SocketId>) {
    super(begin);
    this.#find = find;
    this.#listener = find();
  }

  override next(): Promise<Result<SocketId>> {
    this.#listener ??= this.#find();
    if (this.#listener?.closed) this.end();
    return super.next();
  }

  protected isEnd(): boolean {
    return false;
  }

  /** A loop that nobody goes on with must not be held by its listener. */
  protected override waits(yes: boolean): void {
    if (yes) this.#listener!.watch(this.#onClose);
    else this.#listener!.unwatch(this.#onClose);
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
