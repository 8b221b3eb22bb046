import {
  checkDelay,
  checkFunction,
  checkOptions,
  checkSignal,
  refuseOptions,
} from "./core/check.ts";
import type { TaskId } from "./core/types.ts";
import { complete, type Owner, RUNNING, Task } from "./core/record.ts";
import { Bound } from "./core/bound.ts";
import { callFor, faultUnseen, noteSleep } from "./core/work.ts";

/** How a sleep ends early. */
export interface SleepOptions {
  /** Rejects the sleep with the signal's reason when it aborts. */
  signal?: AbortSignal;
}

/**
 * Waits for a time. A sleep keeps the process alive, but for one that a spawned function began
 * before its first `await`, once its task was cancelled.
 *
 * @param ms How long, in milliseconds, at most `2 ** 31 - 1`; up to 0 resolves at once.
 * @param options `signal` ends the sleep early: the promise rejects with its reason.
 * @returns A promise that resolves when the time is over.
 * @throws {TypeError} If `ms` is not a number or an option has the wrong type or name.
 * @throws {RangeError} If `ms` is NaN or too large.
 *
 * @example Pause a poll
 * ```ts
 * import { task } from "@taskio/net";
 *
 * const id = task.spawn(() => task.sleep(3));
 * while (task.status(id) === "Running") await task.sleep(1);
 * task.forget(id);
 * ```
 */
export function sleep(ms: number, options: SleepOptions = {}): Promise<void> {
  checkDelay("ms", ms);
  checkOptions(options, ["signal"]);
  const { signal } = options;
  if (signal !== undefined) {
    checkSignal("signal", signal);
    if (signal.aborted) return Promise.reject(signal.reason);
  }
  if (ms <= 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      siblings?.delete(timer);
      bound?.disarm();
      resolve();
    }, ms);
    const siblings = noteSleep(timer);
    const expired = (reason: unknown) => {
      siblings?.delete(timer);
      clearTimeout(timer);
      reject(reason);
    };
    const bound = signal && new Bound({ expired }, "sleep", { signal });
    bound?.arm();
  });
}

/**
 * Waits for a time, then calls a function once.
 *
 * @typeParam T What the function gives.
 * @param ms How long, in milliseconds, at most `2 ** 31 - 1`; up to 0: soon, but never inside this
 * call.
 * @param fn The function.
 * @returns What the function gives; rejects with what it throws.
 * @throws {TypeError} If `ms` is not a number or `fn` not a function.
 * @throws {RangeError} If `ms` is NaN or too large.
 *
 * @example Call later
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await task.timer(2, () => "ding"), "ding");
 * ```
 */
export function timer<T>(ms: number, fn: () => T): Promise<Awaited<T>> {
  checkDelay("ms", ms);
  checkFunction("fn", fn);
  if (arguments.length > 2) {
    refuseOptions("timer", arguments[2], [], "wait with sleep(ms, { signal })");
  }
  return sleep(ms).then(() => fn()) as Promise<Awaited<T>>;
}

/**
 * Calls a function again and again: the first time at once (but never inside this call), then
 * each time `ms` after the last call ended, and its promise, if it gave one, was fulfilled.
 * It ends when it is cancelled, or Faulted by a throw or rejection of the function. Such a
 * fault is reported like that of {@linkcode spawn} if nobody sees it.
 *
 * Cancel safety: a call under way cannot be stopped, but none follows.
 *
 * State: works on no socket; sockets that the function opened stay open.
 *
 * @param ms The pause, in milliseconds, at most `2 ** 31 - 1`; up to 0: a pause of 0.
 * @param fn The function.
 * @returns The task, which never Completes.
 * @throws {TypeError} If `ms` is not a number or `fn` not a function.
 * @throws {RangeError} If `ms` is NaN or too large.
 *
 * @example Three ticks
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const ticks = task.channel<number>();
 * let n = 0;
 * const id = task.interval(1, () => ticks.trySend(++n));
 * for await (const tick of ticks) if (tick === 3) break;
 * assertEquals(task.cancel(id), true);
 * task.forget(id);
 * ```
 */
export function interval(ms: number, fn: () => unknown): TaskId<never> {
  checkDelay("ms", ms);
  checkFunction("fn", fn);
  if (arguments.length > 2) refuseOptions("interval", arguments[2]);
  return new Repeater(ms, fn).task.id;
}

/** The owner of an interval task: a timer between two calls, none during a call. */
class Repeater implements Owner {
  readonly task: Task = new Task("interval", 0, this);
  readonly #ms: number;
  readonly #fn: () => unknown;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ms: number, fn: () => unknown) {
    this.#ms = Math.max(0, ms); // a timer would warn of a negative time
    this.#fn = fn;
    queueMicrotask(() => this.#call());
  }

  async #call(): Promise<void> {
    if (this.task.state !== RUNNING) return;
    try {
      await callFor(this.task, this.#fn, []);
    } catch (error) {
      return faultUnseen(this.task, error);
    }
    if (this.task.state !== RUNNING) return;
    this.#timer = setTimeout(() => this.#call(), this.#ms);
  }

  cancelled(): void {
    clearTimeout(this.#timer);
  }
}

/**
 * A timer as a task: it Completes when the time is over. For hosts that wait for a time as they
 * wait for bytes, in a {@linkcode CompletionQueue} or a {@linkcode select}. While it is Running it
 * keeps the process alive.
 *
 * Cancel safety: cancelling clears the timer.
 *
 * State: works on no socket.
 *
 * @param ms How long, in milliseconds, at most `2 ** 31 - 1`; up to 0: the task is Completed at
 * once.
 * @returns The task.
 * @throws {TypeError} If `ms` is not a number.
 * @throws {RangeError} If `ms` is NaN or too large.
 *
 * @example A clock beside a socket
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const accepting = socket.accept(server);
 * const tick = task.after(2);
 * const { index } = await task.select([accepting, tick]);
 * assertEquals(index, 1);
 * socket.close(server);
 * ```
 */
export function after(ms: number): TaskId<void> {
  checkDelay("ms", ms);
  if (arguments.length > 1) refuseOptions("after", arguments[1]);
  return new Alarm(ms).task.id;
}

/** The owner of a timer task. */
class Alarm implements Owner {
  readonly task: Task = new Task("after", 0, this);
  readonly #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ms: number) {
    if (ms <= 0) complete(this.task, undefined);
    else this.#timer = setTimeout(complete, ms, this.task, undefined);
  }

  cancelled(): void {
    clearTimeout(this.#timer);
  }
}
