/**
 * Completion queues.
 *
 * Theory of operation. Every task that a queue watches has an {@linkcode Entry} of the queue's, and
 * knows it. While the task runs the entry is in the list of the watched; when the task settles the
 * entry moves to the end of the list of the ready, in constant time, and so a frame costs what has
 * settled and not what is watched.
 *
 * The task itself stays where every settled task is, on a shelf (see `core/record.ts`): its
 * listener's or its connection's, which closes or releases it as if there were no queue, or on one
 * that is not bounded. Whatever takes the task out of the table (a take, an await, a forget, its
 * listener's close) makes the entry leave: no rule of this file is needed for any of them.
 *
 * The queue stops being empty when an entry joins an empty list. That wakes every `wait`, and has
 * `onready` called once in a microtask, so that no callback runs in the midst of settling.
 */
import { Bound, checkWaitOptions } from "./core/bound.ts";
import type { AnyTask, Outcome, TaskId, WaitOptions } from "./core/types.ts";
import { checkFunction, checkId } from "./core/check.ts";
import { UnknownTaskError } from "./core/errors.ts";
import { markSeen } from "./core/unseen.ts";
import { type Link, Queue } from "./core/queue.ts";
import {
  claim,
  drop,
  enter,
  type Entry,
  find,
  outcomeOf,
  type Task,
  withdraw,
} from "./core/record.ts";
import { capture, givenUp, rejection } from "./core/stack.ts";

/**
 * Makes a queue of completions.
 *
 * @returns The queue, empty.
 *
 * @example One loop for everything
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * using queue = task.completions();
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const connecting = queue.add(socket.connect(...socket.getlocal(server)));
 * const accepting = queue.add(socket.accept(server));
 * const ends = new Map<number, unknown>();
 * while (ends.size < 2) {
 *   await queue.wait();
 *   for (let done; (done = queue.take()) !== undefined;) {
 *     if (done.status === "Faulted") throw done.error;
 *     ends.set(done.id, done.value);
 *   }
 * }
 * assertEquals([...ends.keys()].toSorted((a, b) => a - b), [connecting, accepting]);
 * for (const id of ends.values()) socket.close(id as number);
 * socket.close(server);
 * ```
 */
export function completions(): CompletionQueue {
  return new CompletionQueue();
}

/**
 * Tasks to be dealt with as they settle: made by {@linkcode completions}. For hosts of other
 * languages and programs with a frame, who wait for any number of tasks in one place.
 *
 * - A task that was added comes when it settles, Completed, Faulted or cancelled; in the order of
 *   settling. It is claimed when it is taken, and not before.
 * - A task that waits here is never dropped, however many there are: setUnclaimedLimit does
 *   not count it. Its fault counts as looked at.
 * - A task is in one queue at most: adding it to a second moves it. Taking it by its ID, an await
 *   or a `forget` takes it out. An await that was made of it while it is watched claims it, and it
 *   does not come; an await that gives up leaves it watched.
 * - A connection that an accept or a connect in the queue has given is closed with its listener, or
 *   with the queue, unless the program has used it before: then it stays the program's.
 * - The cost of a frame grows with what has settled, not with what is watched.
 *
 * @example Poll once a frame
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = task.completions();
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * queue.add(socket.recv(peer));
 * socket.send(client, "hello");
 *
 * let received = "";
 * while (received === "") {
 *   for (let done; (done = queue.take()) !== undefined;) {
 *     if (done.status === "Completed") received = new TextDecoder().decode(done.value as Uint8Array);
 *   }
 *   await task.sleep(1); // draw the frame
 * }
 * assertEquals(received, "hello");
 * queue[Symbol.dispose]();
 * [client, peer, server].forEach(socket.close);
 * ```
 *
 * @example Be called when there is something to do
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = task.completions();
 * const all = Promise.withResolvers<unknown[]>();
 * const values: unknown[] = [];
 * queue.onready = () => {
 *   for (let done; (done = queue.take()) !== undefined;) {
 *     if (done.status === "Completed") values.push(done.value);
 *   }
 *   if (queue.watched === 0) all.resolve(values);
 * };
 * queue.add(task.spawn(() => task.sleep(2).then(() => "slow")));
 * queue.add(task.spawn(() => "fast"));
 * assertEquals(await all.promise, ["fast", "slow"]);
 * ```
 */
export class CompletionQueue implements Disposable {
  readonly #watched: Queue<Completion> = new Queue();
  readonly #ready: Queue<Completion> = new Queue();
  readonly #waits: Queue<Wait> = new Queue();
  #onready: (() => unknown) | null = null;
  /** A call of `onready` is on its way. */
  #calling = false;
  #disposed = false;
  readonly #call = (): void => {
    this.#calling = false;
    if (this.#ready.size > 0) this.#onready?.();
  };
  /** What the entries do with the lists. */
  readonly #lists: Lists = {
    watched: this.#watched,
    ready: this.#ready,
    filled: () => this.#filled(),
  };

  /** How many tasks have settled and wait to be taken. */
  get size(): number {
    return this.#ready.size;
  }

  /** How many tasks are watched and still Running. */
  get watched(): number {
    return this.#watched.size;
  }

  /**
   * Is called in a microtask when the queue stops being empty, and once when it is set while
   * something waits; not again before the queue was empty, so take until there is nothing left. If
   * everything has been taken by then it is not called. What it throws is an uncaught error.
   *
   * @default {null}
   */
  get onready(): (() => unknown) | null {
    return this.#onready;
  }

  set onready(onready: (() => unknown) | null) {
    if (onready !== null) checkFunction("onready", onready);
    this.#onready = onready;
    if (this.#ready.size > 0) this.#callSoon();
  }

  /**
   * Watches a task: it comes when it settles, at once if it has. That takes a `forget` back. A task
   * that is in this queue already keeps its place; one that is in another leaves that.
   *
   * @typeParam S The task.
   * @param id The task.
   * @returns `id`, so that the call which makes the task can stand inside this one.
   * @throws {TypeError} If `id` is not an integer.
   * @throws {UnknownTaskError} If there is no such task (any more).
   * @throws {Error} If the queue has been disposed of.
   */
  add<S extends AnyTask>(id: S): S {
    const task = find(id);
    if (task === undefined) checkId("id", id);
    if (this.#disposed) throw disposed("add");
    if (task === undefined) throw new UnknownTaskError(id);
    if (this.#has(task)) return id;
    if (task.unseen) markSeen(task);
    enter(task, new Completion(task, this.#lists));
    return id;
  }

  /**
   * Takes a task out of the queue, be it still watched or waiting: it is then to be claimed by its
   * ID, and bounded like every other if it has settled.
   *
   * @param id The task.
   * @returns Whether it was in this queue.
   * @throws {TypeError} If `id` is not an integer.
   */
  delete(id: TaskId): boolean {
    const task = find(id);
    if (task === undefined) checkId("id", id);
    if (task === undefined || !this.#has(task)) return false;
    withdraw(task);
    return true;
  }

  /**
   * Claims the task that has waited the longest.
   *
   * @returns Its outcome, or `undefined` if nothing waits.
   */
  take(): Outcome | undefined {
    const task = this.#ready.head?.task;
    if (task === undefined) return undefined;
    claim(task);
    return outcomeOf(task, this.take);
  }

  /**
   * Waits until there is something to take; takes nothing. Everybody who waits is told, and whoever
   * takes first has it.
   *
   * @param options `timeout` in milliseconds (default: none; up to 0 only looks) and `signal`.
   * @returns A promise that resolves when something waits to be taken, at once if it does. Rejects
   * with {@linkcode TimeoutError} or the signal's reason; with an `Error` if the queue is disposed
   * of.
   * @throws {TypeError} If an option has the wrong type or name.
   * @throws {RangeError} If `timeout` is out of range.
   */
  wait(options: WaitOptions = {}): Promise<void> {
    const checked = checkWaitOptions(options);
    if (this.#disposed) return Promise.reject(disposed("wait"));
    if (this.#ready.size > 0) return Promise.resolve();
    return new Promise((resolve) => new Wait(this.#waits, checked, resolve));
  }

  /**
   * Ends the queue. Running tasks go on and nobody watches them. What waits is forgotten: received
   * bytes are dropped, and a connection that was given and not used is closed. Afterwards `add`
   * throws and `wait` rejects, pending ones included. Idempotent.
   */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#onready = null;
    for (const { task } of this.#watched) withdraw(task);
    for (const { task } of this.#ready) drop(task);
    for (const wait of this.#waits) wait.end();
  }

  #has(task: Task): boolean {
    return task.entry instanceof Completion && task.entry.lists === this.#lists;
  }

  /** The queue stops being empty. */
  #filled(): void {
    for (const wait of this.#waits) wait.resolve();
    if (this.#onready !== null) this.#callSoon();
  }

  #callSoon(): void {
    if (this.#calling || this.#onready === null) return;
    this.#calling = true;
    queueMicrotask(this.#call);
  }
}

function disposed(verb: string): Error {
  return new Error(`Cannot ${verb}: the completion queue was disposed of`);
}

/** What the entries of a queue know of it. */
interface Lists {
  readonly watched: Queue<Completion>;
  readonly ready: Queue<Completion>;
  /** The first entry is ready. */
  filled(): void;
}

class Completion implements Entry, Link<Completion> {
  prev: Completion | undefined = undefined;
  next: Completion | undefined = undefined;
  queue: Queue<Completion> | undefined = undefined;
  readonly task: Task;
  readonly lists: Lists;

  constructor(task: Task, lists: Lists) {
    this.task = task;
    this.lists = lists;
    lists.watched.push(this);
  }

  settled(): void {
    const { watched, ready } = this.lists;
    watched.remove(this);
    ready.push(this);
    if (ready.size === 1) this.lists.filled();
  }

  leave(): void {
    this.queue!.remove(this);
    this.task.entry = undefined;
  }
}

/** A wait for the queue to have something. */
class Wait implements Link<Wait> {
  prev: Wait | undefined = undefined;
  next: Wait | undefined = undefined;
  queue: Queue<Wait> | undefined = undefined;
  readonly #bound: Bound;
  readonly #resolve: (rejected?: Promise<never>) => void;

  constructor(
    waits: Queue<Wait>,
    options: WaitOptions,
    resolve: (rejected?: Promise<never>) => void,
  ) {
    this.#resolve = resolve;
    this.#bound = new Bound(this, "wait for completions", options);
    waits.push(this);
    this.#bound.arm();
  }

  resolve(): void {
    this.#bound.disarm();
    this.queue!.remove(this);
    this.#resolve();
  }

  /** The queue is disposed of. */
  end(): void {
    this.#bound.disarm();
    this.queue!.remove(this);
    this.#resolve(rejection((above) => {
      const error = disposed("wait");
      capture(error, above);
      return error;
    }));
  }

  expired(reason: unknown): void {
    this.queue!.remove(this);
    this.#resolve(givenUp(reason));
  }
}
