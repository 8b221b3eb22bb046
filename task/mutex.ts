import { Bound, checkWaitOptions } from "./core/bound.ts";
import type { WaitOptions } from "./core/types.ts";
import { checkFunction, checkTimeout } from "./core/check.ts";
import { TimeoutError } from "./core/errors.ts";
import { type Link, Queue } from "./core/queue.ts";
import { givenUp } from "./core/stack.ts";

/**
 * Lets one holder at a time past.
 *
 * - Waiters get it in the order they came; a release hands it to the first one directly, so
 *   nobody slips in between.
 * - It is not re-entrant: a holder that acquires again waits for itself.
 * - A waiter that gives up leaves the queue and the others keep their order.
 *
 * Made by {@linkcode mutex}.
 *
 * @example One request at a time on one connection
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const lock = task.mutex();
 * const log: string[] = [];
 * const request = (name: string) =>
 *   lock.synchronize(async () => {
 *     log.push(`${name} begins`);
 *     await task.sleep(1);
 *     log.push(`${name} ends`);
 *   });
 * await Promise.all([request("a"), request("b")]);
 * assertEquals(log, ["a begins", "a ends", "b begins", "b ends"]);
 * ```
 */
export class Mutex {
  #held = false;
  readonly #waiters: Queue<Acquire> = new Queue();

  /**
   * Whether somebody holds it.
   *
   * @returns `true` while it is held.
   */
  get locked(): boolean {
    return this.#held;
  }

  /**
   * Takes the mutex, waiting until it is free.
   *
   * @param options `timeout` in milliseconds (default: none) and `signal`.
   * @returns A promise that resolves when the caller holds it; rejects with
   * {@linkcode TimeoutError} or the signal's reason.
   * @throws {TypeError} If an option has the wrong type or name.
   * @throws {RangeError} If `timeout` is out of range.
   */
  acquire(options: WaitOptions = {}): Promise<void> {
    const checked = checkWaitOptions(options);
    if (checked.signal?.aborted) return Promise.reject(checked.signal.reason);
    if (!this.#held) {
      this.#held = true;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const waiter = new Acquire(resolve, checked);
      this.#waiters.push(waiter);
      waiter.bound.arm();
    });
  }

  /**
   * Takes the mutex if it is free, or becomes free in time.
   *
   * @param timeout How long to wait, in milliseconds; up to 0 does not wait. Default: 0.
   * @returns Whether the caller holds it now.
   * @throws {TypeError} If `timeout` is not a number.
   * @throws {RangeError} If `timeout` is out of range.
   */
  tryAcquire(timeout: number = 0): Promise<boolean> {
    checkTimeout("timeout", timeout);
    return this.acquire({ timeout }).then(() => true, (error) => {
      if (error instanceof TimeoutError) return false;
      throw error;
    });
  }

  /**
   * Gives the mutex up, to the first waiter if there is one.
   *
   * @throws {Error} If nobody holds it.
   */
  release(): void {
    if (!this.#held) throw new Error("Cannot release the mutex: nobody holds it");
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#held = false;
    else waiter.acquired();
  }

  /**
   * Calls a function while holding the mutex, and gives it up whatever happens.
   *
   * @typeParam T What the function gives.
   * @param fn The function.
   * @returns What the function gives; rejects with what it throws.
   * @throws {TypeError} If `fn` is not a function.
   */
  synchronize<T>(fn: () => T): Promise<Awaited<T>> {
    checkFunction("fn", fn);
    return this.#synchronize(fn);
  }

  async #synchronize<T>(fn: () => T): Promise<Awaited<T>> {
    await this.acquire();
    try {
      return await fn();
    } finally {
      this.release();
    }
  }
}

/**
 * Makes a mutex that nobody holds.
 *
 * @returns The mutex.
 *
 * @example Try, but do not wait
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const lock = task.mutex();
 * await lock.acquire();
 * assertEquals(await lock.tryAcquire(), false);
 * lock.release();
 * assertEquals(await lock.tryAcquire(), true);
 * ```
 */
export function mutex(): Mutex {
  return new Mutex();
}

class Acquire implements Link<Acquire> {
  prev: Acquire | undefined = undefined;
  next: Acquire | undefined = undefined;
  queue: Queue<Acquire> | undefined = undefined;
  readonly bound: Bound;
  readonly #resolve: (rejected?: Promise<never>) => void;

  constructor(resolve: (rejected?: Promise<never>) => void, options: WaitOptions) {
    this.#resolve = resolve;
    this.bound = new Bound(this, "acquire of a mutex", options);
  }

  acquired(): void {
    this.bound.disarm();
    this.#resolve();
  }

  expired(reason: unknown): void {
    this.queue?.remove(this);
    this.#resolve(givenUp(reason));
  }
}
