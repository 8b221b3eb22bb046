import { CLOSED, forSelect, type Taker } from "./core/channel.ts";
import { Bound, checkWaitOptions } from "./core/bound.ts";
import type { TaskId, WaitOptions } from "./core/types.ts";
import { Channel } from "./channel.ts";
import { wrongEmpty, wrongType } from "./core/check.ts";
import { UnknownTaskError } from "./core/errors.ts";
import { markSeen } from "./core/unseen.ts";
import type { Queue } from "./core/queue.ts";
import {
  addWaiter,
  claim,
  COMPLETED,
  find,
  rejectionOf,
  removeWaiter,
  RUNNING,
  Task,
  type Waiter,
} from "./core/record.ts";
import { givenUp } from "./core/stack.ts";

/** What {@linkcode select} can wait for: a task, or a value from a channel. */
// deno-lint-ignore no-explicit-any -- a Channel<T> is no Channel<unknown>: it also takes a T
export type Source = TaskId<any> | Channel<any>;

/** Which source was first, and what it gave. */
export interface Selected<T = unknown> {
  /** The winner's place among the sources, from 0. */
  readonly index: number;
  /** The task's result, or the value received; `null` from a closed and drained channel. */
  readonly value: T;
}

/** What a source gives. */
export type SourceValue<S> = S extends Channel<infer T> ? T | null
  : S extends TaskId<infer T> ? T
  : never;

/**
 * Waits for the first of several sources and takes from that one only: it claims a task that
 * settles, or receives a value from a channel. The others are left as they are. Among sources
 * that are ready at the call the choice is random, so none starves.
 *
 * @typeParam S The sources.
 * @param sources Tasks and channels, at least one.
 * @param options `timeout` in milliseconds (default: none; up to 0 takes only what is ready)
 * and `signal`.
 * @returns The winner's index and value. Rejects with the fault if the winner is a task that
 * Faulted, with {@linkcode UnknownTaskError} if one of the tasks is Unknown, with
 * {@linkcode TimeoutError} or the signal's reason. A rejection takes nothing but that fault.
 * @throws {TypeError} If a source is neither a channel nor an integer, or an option has the wrong
 * type or name.
 * @throws {RangeError} If there are no sources, or `timeout` is out of range.
 *
 * @example Data or a command to stop
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const stop = task.channel<string>();
 * const accepting = socket.accept(server);
 * stop.trySend("stop");
 * assertEquals(await task.select([accepting, stop]), { index: 1, value: "stop" });
 * assertEquals(task.status(accepting), "Running");
 * socket.close(server);
 * ```
 */
export function select<const S extends readonly Source[]>(
  sources: S,
  options: WaitOptions = {},
): Promise<Selected<SourceValue<S[number]>>> {
  const checked = checkWaitOptions(options);
  const found = resolveSources(sources);
  if (found instanceof UnknownTaskError) return Promise.reject(found);
  return new Promise((resolve) => {
    new Selection(found, checked, resolve as (selected: Selected | Promise<never>) => void).begin();
  });
}

type Found = Task | Channel<unknown>;

function resolveSources(sources: readonly Source[]): Found[] | UnknownTaskError {
  if (!Array.isArray(sources)) throw wrongType("sources", "an array", sources);
  if (sources.length === 0) throw wrongEmpty("sources", "at least one source", "an empty array");
  let missing: UnknownTaskError | undefined;
  const found: Found[] = [];
  for (const source of sources) {
    if (source instanceof Channel) {
      found.push(source);
      continue;
    }
    if (!Number.isInteger(source)) {
      throw wrongType("sources", "an integer ID or a channel", source);
    }
    const task = find(source);
    if (task === undefined) missing ??= new UnknownTaskError(source);
    else found.push(task);
  }
  return missing ?? found;
}

class Selection {
  readonly #found: Found[];
  readonly #resolve: (selected: Selected | Promise<never>) => void;
  readonly #bound: Bound;
  #arms: Arm[] = [];

  constructor(
    found: Found[],
    options: WaitOptions,
    resolve: (selected: Selected | Promise<never>) => void,
  ) {
    this.#found = found;
    this.#resolve = resolve;
    this.#bound = new Bound(this, "select", options);
  }

  begin(): void {
    const ready = [];
    for (let index = 0; index < this.#found.length; index++) {
      const source = this.#found[index];
      if (source instanceof Task) markSeen(source);
      if (source instanceof Task ? source.state !== RUNNING : forSelect.isReady(source)) {
        ready.push(index);
      }
    }
    if (ready.length > 0) return this.#take(ready[Math.floor(Math.random() * ready.length)]);
    this.#arms = this.#found.map((source, index) => new Arm(this, index, source));
    this.#bound.arm();
  }

  #take(index: number): void {
    const source = this.#found[index];
    if (source instanceof Task) {
      claim(source);
      this.settle(index, source);
    } else {
      const [taken, value] = source.tryRecv();
      this.#resolve({ index, value: taken ? value : null });
    }
  }

  /** A source that was waited for has won. */
  win(index: number, got: unknown): void {
    this.#leave();
    if (got instanceof Task) this.settle(index, got);
    else this.#resolve({ index, value: got === CLOSED ? null : got });
  }

  settle(index: number, task: Task): void {
    this.#resolve(
      task.state === COMPLETED ? { index, value: task.value } : rejectionOf(task),
    );
  }

  expired(reason: unknown): void {
    this.#leave();
    this.#resolve(givenUp(reason));
  }

  #leave(): void {
    this.#bound.disarm();
    for (const arm of this.#arms) arm.leave();
  }
}

/** The wait at one source. */
class Arm implements Waiter, Taker {
  prev: Taker | undefined = undefined;
  next: Taker | undefined = undefined;
  queue: Queue<Taker> | undefined = undefined;
  readonly #selection: Selection;
  readonly #index: number;
  readonly #source: Found;

  constructor(selection: Selection, index: number, source: Found) {
    this.#selection = selection;
    this.#index = index;
    this.#source = source;
    if (source instanceof Task) addWaiter(source, this);
    else forSelect.takersOf(source).push(this);
  }

  settled(task: Task): boolean {
    this.#selection.win(this.#index, task);
    return true;
  }

  receive(value: unknown): void {
    this.#selection.win(this.#index, value);
  }

  leave(): void {
    if (this.#source instanceof Task) removeWaiter(this.#source, this);
    else this.queue?.remove(this);
  }
}
