import type { AnyTask, ResultOf, TaskId } from "./core/types.ts";
import { checkId, refuseOptions, wrongEmpty, wrongType } from "./core/check.ts";
import { UnknownTaskError } from "./core/errors.ts";
import { markSeen } from "./core/unseen.ts";
import {
  addWaiter,
  claim,
  COMPLETED,
  errorOf,
  FAULTED,
  find,
  rejectionOf,
  removeWaiter,
  RUNNING,
  type Task,
  type Waiter,
} from "./core/record.ts";
import { capture, rejection } from "./core/stack.ts";

/** Which task of several won, and with what. */
export interface Winner<T = unknown> {
  /** The task that won. Its result is claimed, so the ID is Unknown now. */
  readonly id: TaskId<T>;
  /** Its result. */
  readonly value: T;
}

/**
 * Waits until every task is Completed and claims them all, or until the first one Faulted,
 * claims that one and leaves the rest as they are.
 *
 * @typeParam S The tasks.
 * @param ids The tasks. None gives `[]`.
 * @returns The results in the order of `ids`; rejects with the first fault, or with
 * {@linkcode UnknownTaskError}, claiming nothing, if one of the tasks is Unknown.
 * @throws {TypeError} If `ids` is not iterable or holds something else than integers.
 *
 * @example Send to everybody
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const ids = [1, 2, 3].map((n) => task.spawn(() => n * n));
 * assertEquals(await task.all(ids), [1, 4, 9]);
 * ```
 */
export function all<const S extends readonly AnyTask[]>(
  ids: S,
): Promise<{ -readonly [K in keyof S]: ResultOf<S[K]> }>;
/**
 * Waits for all tasks of any iterable.
 *
 * @typeParam T What the tasks give.
 * @param ids The tasks.
 * @returns The results in the order of `ids`.
 */
export function all<T>(ids: Iterable<TaskId<T>>): Promise<T[]>;
export function all(ids: Iterable<TaskId>): Promise<unknown[]> {
  if (arguments.length > 1) {
    refuseOptions("all", arguments[1], [], "wait with settled(ids, { timeout, signal })");
  }
  return combine(ids, (tasks, done) => new All(tasks, done));
}

/**
 * Waits for the first task to Complete and claims only that one. If all Fault it claims them
 * all and rejects.
 *
 * @typeParam S The tasks.
 * @param ids The tasks.
 * @returns The winner's ID and result; rejects with an `AggregateError` of all faults in the
 * order of `ids`, or with {@linkcode UnknownTaskError}, claiming nothing, if one of the tasks is
 * Unknown.
 * @throws {TypeError} If `ids` is not iterable or holds something else than integers.
 *
 * @example The first server that answers
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const [host, port] = socket.getlocal(server);
 * const refused = task.spawn(() => Promise.reject(new Error("down")));
 * const { id, value } = await task.any([refused, socket.connect(host, port)]);
 * assertEquals(id === refused, false);
 * task.forget(refused);
 * [value, server].forEach(socket.close);
 * ```
 */
export function any<S extends AnyTask>(ids: Iterable<S>): Promise<Winner<ResultOf<S>>>;
/**
 * Waits for the first task to Complete, of tasks that all give the same.
 *
 * @typeParam T What the tasks give.
 * @param ids The tasks.
 * @returns The winner's ID and result.
 */
export function any<T>(ids: Iterable<TaskId<T>>): Promise<Winner<T>>;
export function any(ids: Iterable<TaskId>): Promise<Winner> {
  if (arguments.length > 1) refuseOptions("any", arguments[1], [], SELECT);
  return combine(ids, (tasks, done) => new Any(tasks, done));
}

/**
 * Waits for the first task to settle and claims only that one.
 *
 * @typeParam S The tasks.
 * @param ids The tasks, at least one.
 * @returns The winner's ID and result; rejects with the fault if the first to settle Faulted, or
 * with {@linkcode UnknownTaskError}, claiming nothing, if one of the tasks is Unknown.
 * @throws {TypeError} If `ids` is not iterable or holds something else than integers.
 * @throws {RangeError} If `ids` is empty: that race would never end.
 *
 * @example Whichever comes first
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const slow = task.spawn(() => task.sleep(20));
 * const fast = task.spawn(() => "fast");
 * assertEquals(await task.race([slow, fast]), { id: fast, value: "fast" });
 * await task.await(slow);
 * ```
 */
export function race<S extends AnyTask>(ids: Iterable<S>): Promise<Winner<ResultOf<S>>>;
/**
 * Waits for the first task to settle, of tasks that all give the same.
 *
 * @typeParam T What the tasks give.
 * @param ids The tasks.
 * @returns The winner's ID and result.
 */
export function race<T>(ids: Iterable<TaskId<T>>): Promise<Winner<T>>;
export function race(ids: Iterable<TaskId>): Promise<Winner> {
  if (arguments.length > 1) refuseOptions("race", arguments[1], [], SELECT);
  return combine(ids, (tasks, done) => {
    if (tasks.length === 0) throw wrongEmpty("ids", "at least one task", "an empty iterable");
    return new Race(tasks, done);
  });
}

/** What takes the options that one may look for at `any` and `race`. */
const SELECT = "wait with select(ids, { timeout, signal })";

type Settle = (value: unknown) => void;

/** Finds the tasks, then lets a combination wait for them. */
function combine<R>(
  ids: Iterable<TaskId>,
  make: (tasks: Task[], done: Settle) => Combination,
): Promise<R> {
  if (typeof ids?.[Symbol.iterator] !== "function") {
    throw wrongType("ids", "an iterable of task IDs", ids);
  }
  const tasks: Task[] = [];
  let missing: number | undefined;
  for (const id of ids) {
    const task = find(id);
    if (task !== undefined) tasks.push(task);
    else {
      checkId("ids", id);
      missing ??= id;
    }
  }
  if (missing !== undefined) return Promise.reject(new UnknownTaskError(missing));
  tasks.forEach(markSeen);
  const { promise, resolve } = Promise.withResolvers<unknown>();
  make(tasks, resolve).begin();
  return promise as Promise<R>;
}

/** One waiter on several tasks; it ends at most once and then leaves all of them. */
abstract class Combination implements Waiter {
  protected readonly tasks: readonly Task[];
  readonly #done: Settle;
  #ended = false;

  constructor(tasks: readonly Task[], done: Settle) {
    this.tasks = tasks;
    this.#done = done;
  }

  /** Takes what has settled already, in the order given, and waits for the rest. */
  begin(): void {
    if (this.tasks.length === 0) this.empty();
    for (const task of new Set(this.tasks)) {
      if (this.#ended) return;
      if (task.state === RUNNING) addWaiter(task, this);
      else if (this.settled(task)) claim(task);
    }
  }

  abstract settled(task: Task): boolean;

  /** What no tasks at all come to. */
  protected abstract empty(): void;

  protected done(value: unknown): void {
    this.#end();
    this.#done(value);
  }

  protected fail(rejected: Promise<never>): void {
    this.#end();
    this.#done(rejected);
  }

  /** Claims every task; the one that is settling just now claims itself. */
  protected claimAll(): void {
    for (const task of this.tasks) if (task.queue !== undefined) claim(task);
  }

  #end(): void {
    this.#ended = true;
    for (const task of this.tasks) removeWaiter(task, this);
  }
}

class All extends Combination {
  #missing = new Set(this.tasks).size;

  settled(task: Task): boolean {
    if (task.state === FAULTED) this.fail(rejectionOf(task));
    else if (--this.#missing > 0) return false;
    else this.empty();
    return true;
  }

  protected empty(): void {
    this.claimAll();
    this.done(this.tasks.map((task) => task.value));
  }
}

class Any extends Combination {
  #missing = new Set(this.tasks).size;

  settled(task: Task): boolean {
    if (task.state === COMPLETED) this.done({ id: task.id, value: task.value });
    else if (--this.#missing > 0) return false;
    else this.empty();
    return true;
  }

  protected empty(): void {
    this.claimAll();
    this.fail(rejection((above) => {
      const faults = this.tasks.map((task) => errorOf(task, above));
      const error = new AggregateError(faults, "All tasks faulted");
      capture(error, above);
      return error;
    }));
  }
}

class Race extends Combination {
  settled(task: Task): boolean {
    if (task.state === COMPLETED) this.done({ id: task.id, value: task.value });
    else this.fail(rejectionOf(task));
    return true;
  }

  protected empty(): void {}
}
