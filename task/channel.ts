/**
 * Theory of operation. A channel holds three queues, and two of them are empty at any time
 * that matters: values wait for receivers, or receivers wait for values; senders wait only
 * while a bounded channel is full. A value that meets a waiting receiver is handed to it
 * directly; a receiver that takes a value makes room for the first waiting sender. Whoever
 * waits is a link in a queue, so giving up in the middle costs constant time and takes nothing.
 */
import { Bound } from "./core/bound.ts";
import { checkOptions, checkSignal, wrongRange, wrongType } from "./core/check.ts";
import { ChannelClosedError } from "./core/errors.ts";
import { CLOSED, Fifo, forSelect, type Taker } from "./core/channel.ts";
import { type Link, Queue } from "./core/queue.ts";

/** How a wait on a channel ends early. */
export interface ChannelWaitOptions {
  /** Leaves the queue and rejects with the signal's reason when it aborts. */
  signal?: AbortSignal;
}

/**
 * Hands values from senders to receivers.
 *
 * - Values arrive in the order they were sent; waiting receivers, and waiting senders, are
 *   served in the order they came. Every value goes to exactly one receiver.
 * - Unbounded channels take every value at once. In a bounded one a `send` waits while it is
 *   full.
 * - Closing wakes every waiter. Values that were accepted are still received; a `send` that
 *   still waits for room rejects and its value is not delivered.
 * - An aborted `send` or `recv` leaves its queue and gives or takes nothing.
 * - The values may be anything, `null` included: only `closed()` and `for await` tell a `null`
 *   that was sent from the end.
 *
 * Made by {@linkcode channel}.
 *
 * @typeParam T What the channel carries.
 *
 * @example Producer and consumer
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const numbers = task.channel<number>(1);
 * task.spawn(async () => {
 *   for (const n of [1, 2, 3]) await numbers.send(n); // waits while one is not yet taken
 *   numbers.close();
 * });
 * assertEquals(await Array.fromAsync(numbers), [1, 2, 3]);
 * await task.wait();
 * task.list().forEach(task.forget);
 * ```
 */
export class Channel<T> implements AsyncIterable<T> {
  /** How many values fit, 0 if unbounded. */
  readonly capacity: number;
  readonly #values: Fifo<T> = new Fifo();
  readonly #givers: Queue<Giver<T>> = new Queue();
  readonly #takers: Queue<Taker> = new Queue();
  #closed = false;

  static {
    forSelect.isReady = (channel) => (channel as Channel<unknown>).#ready;
    forSelect.takersOf = (channel) => (channel as Channel<unknown>).#takers;
  }

  /**
   * Use {@linkcode channel}.
   *
   * @param capacity How many values fit; up to 0 means unbounded.
   * @throws {TypeError} If `capacity` is not a number.
   * @throws {RangeError} If `capacity` is not an integer.
   */
  constructor(capacity: number) {
    if (typeof capacity !== "number") throw wrongType("capacity", "an integer", capacity);
    if (!Number.isInteger(capacity)) throw wrongRange("capacity", "an integer", capacity);
    this.capacity = Math.max(0, capacity);
  }

  /**
   * How many values wait to be received; values of waiting senders do not count.
   *
   * @returns The number of values that `tryRecv` could take now.
   */
  get size(): number {
    return this.#values.size;
  }

  /**
   * Sends a value; in a full channel, waits for room first.
   *
   * @param value The value.
   * @param options `signal` gives up the wait: the value is then not sent.
   * @returns A promise that resolves once the channel has the value; rejects with
   * {@linkcode ChannelClosedError}, which carries the value, if the channel is closed or
   * closes before there is room, or with the signal's reason.
   * @throws {TypeError} If an option has the wrong type or name.
   */
  send(value: T, options?: ChannelWaitOptions): Promise<void> {
    const signal = checkedSignal(options);
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#closed) return Promise.reject(new ChannelClosedError(value));
    if (this.trySend(value)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const giver = new Giver(value, resolve, reject, signal);
      this.#givers.push(giver);
      giver.bound?.arm();
    });
  }

  /**
   * Sends a value if that needs no waiting.
   *
   * @param value The value.
   * @returns `true` if it was sent; `false` if the channel is full or closed.
   */
  trySend(value: T): boolean {
    if (this.#closed) return false;
    const taker = this.#takers.shift();
    if (taker !== undefined) taker.receive(value);
    else if (this.#full) return false;
    else this.#values.push(value);
    return true;
  }

  /**
   * Receives a value, waiting for one.
   *
   * @param options `signal` gives up the wait; no value is taken then.
   * @returns The value, or `null` once the channel is closed and drained; rejects with the
   * signal's reason.
   * @throws {TypeError} If an option has the wrong type or name.
   */
  recv(options?: ChannelWaitOptions): Promise<T | null> {
    const signal = checkedSignal(options);
    if (signal?.aborted) return Promise.reject(signal.reason);
    const [taken, value] = this.tryRecv();
    if (taken) return Promise.resolve(value);
    if (this.#closed) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      const take = (value: unknown) => resolve(value === CLOSED ? null : value as T);
      const taker = new Recv(take, reject, signal);
      this.#takers.push(taker);
      taker.bound?.arm();
    });
  }

  /**
   * Receives a value if one is there.
   *
   * @returns `[true, value]`, or `[false, undefined]` if there is none now.
   */
  tryRecv(): [true, T] | [false, undefined] {
    if (this.#values.size === 0) return [false, undefined];
    const value = this.#values.shift();
    const giver = this.#givers.shift();
    if (giver !== undefined) this.#values.push(giver.accept());
    return [true, value];
  }

  /** Closes the channel for sending and wakes every waiter. Closing again changes nothing. */
  close(): void {
    this.#closed = true;
    for (let giver; (giver = this.#givers.shift()) !== undefined;) giver.refuse();
    // A select that receives CLOSED leaves this queue with all its arms, not only the first.
    for (let taker; (taker = this.#takers.shift()) !== undefined;) taker.receive(CLOSED);
  }

  /**
   * Whether the channel was closed. Values may still be in it: see `size`.
   *
   * @returns `true` after `close`.
   */
  closed(): boolean {
    return this.#closed;
  }

  /**
   * Receives until the channel is closed and drained. Leaving the loop early closes nothing, and
   * takes nothing: a pending `next` is done.
   *
   * @returns An iterator over the values that are received.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<T, undefined> {
    return new Values(this, this.#takers);
  }

  /** Whether a receive needs no waiting. */
  get #ready(): boolean {
    return this.#values.size > 0 || this.#closed;
  }

  get #full(): boolean {
    return this.capacity > 0 && this.#values.size >= this.capacity;
  }
}

/**
 * Makes a channel.
 *
 * @typeParam T What the channel carries.
 * @param capacity How many values fit before `send` waits; up to 0 means unbounded. Default: 0.
 * @returns The channel.
 * @throws {TypeError} If `capacity` is not a number.
 * @throws {RangeError} If `capacity` is not an integer.
 *
 * @example Values are received in order
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const letters = task.channel<string>();
 * letters.trySend("a");
 * letters.trySend("b");
 * letters.close();
 * assertEquals(await letters.recv(), "a");
 * assertEquals(letters.tryRecv(), [true, "b"]);
 * assertEquals(await letters.recv(), null);
 * ```
 */
export function channel<T>(capacity: number = 0): Channel<T> {
  return new Channel(capacity);
}

/** Gives the signal as it was checked: a getter might give another when it is asked again. */
function checkedSignal(options: ChannelWaitOptions | undefined): AbortSignal | undefined {
  if (options === undefined) return undefined;
  checkOptions(options, ["signal"]);
  const { signal } = options;
  if (signal !== undefined) checkSignal("signal", signal);
  return signal;
}

/** The loop over a channel, by hand: an async generator cannot give up a pending `next`. */
class Values<T> implements AsyncIterableIterator<T, undefined> {
  readonly #channel: Channel<T>;
  readonly #takers: Queue<Taker>;
  /** Every `next` that is pending. */
  readonly #pending: Set<Recv> = new Set();
  #done = false;

  constructor(channel: Channel<T>, takers: Queue<Taker>) {
    this.#channel = channel;
    this.#takers = takers;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#done) return Promise.resolve(resultOf(CLOSED));
    const [taken, value] = this.#channel.tryRecv();
    if (taken) return Promise.resolve(resultOf(value));
    if (this.#channel.closed()) return Promise.resolve(resultOf(CLOSED));
    return new Promise((resolve, reject) => {
      const take = (value: unknown) => {
        this.#pending.delete(taker);
        resolve(resultOf(value));
      };
      const taker = new Recv(take, reject, undefined);
      this.#pending.add(taker);
      this.#takers.push(taker);
    });
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#done = true;
    for (const taker of this.#pending) {
      taker.queue!.remove(taker);
      taker.receive(CLOSED);
    }
    return Promise.resolve(resultOf(CLOSED));
  }
}

/** What a `next` gives for what was received. */
function resultOf<T>(value: unknown): IteratorResult<T, undefined> {
  return value === CLOSED ? { done: true, value: undefined } : { done: false, value: value as T };
}

class Recv implements Taker {
  prev: Taker | undefined = undefined;
  next: Taker | undefined = undefined;
  queue: Queue<Taker> | undefined = undefined;
  readonly bound: Bound | undefined;
  readonly #take: (value: unknown) => void;
  readonly #reject: (reason: unknown) => void;

  constructor(
    take: (value: unknown) => void,
    reject: (reason: unknown) => void,
    signal: AbortSignal | undefined,
  ) {
    this.#take = take;
    this.#reject = reject;
    this.bound = signal && new Bound(this, "recv", { signal });
  }

  receive(value: unknown): void {
    this.bound?.disarm();
    this.#take(value);
  }

  expired(reason: unknown): void {
    this.queue?.remove(this);
    this.#reject(reason);
  }
}

class Giver<T> implements Link<Giver<T>> {
  prev: Giver<T> | undefined = undefined;
  next: Giver<T> | undefined = undefined;
  queue: Queue<Giver<T>> | undefined = undefined;
  readonly bound: Bound | undefined;
  readonly #value: T;
  readonly #resolve: () => void;
  readonly #reject: (reason: unknown) => void;

  constructor(
    value: T,
    resolve: () => void,
    reject: (reason: unknown) => void,
    signal: AbortSignal | undefined,
  ) {
    this.#value = value;
    this.#resolve = resolve;
    this.#reject = reject;
    this.bound = signal && new Bound(this, "send", { signal });
  }

  accept(): T {
    this.bound?.disarm();
    this.#resolve();
    return this.#value;
  }

  refuse(): void {
    this.bound?.disarm();
    this.#reject(new ChannelClosedError(this.#value));
  }

  expired(reason: unknown): void {
    this.queue?.remove(this);
    this.#reject(reason);
  }
}
