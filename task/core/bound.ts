/**
 * The bounds of a wait: its timeout and its signal.
 *
 * Adding a listener to a signal, and removing one, costs time linear in those that it has. So a
 * signal gets one listener, its hub, however many waits are on it, and the waits are links in a
 * queue of the hub's: joining and leaving cost constant time. The hub listens while somebody
 * waits, and only then.
 *
 * A listener before the hub may stop the event, and no wait is told. A hub on an `AbortSignal.any`
 * of its own would be told all the same, but makes the first wait on a signal some twenty times as
 * dear (6 us against 0.3), and many signals have one wait only: so whoever needs it gives one.
 */
import type { WaitOptions } from "./types.ts";
import { checkOptions, checkSignal, checkTimeout } from "./check.ts";
import { TimeoutError } from "./errors.ts";
import { type Link, Queue } from "./queue.ts";

/** What can be given up. */
interface Bounded {
  /** Time ran out or the signal aborted: leave every queue and reject with the reason. */
  expired(reason: unknown): void;
}

const WAIT_OPTIONS = ["timeout", "signal"];

/** Gives the options as they were checked: a getter might give something else when it is asked again. */
export function checkWaitOptions(
  options: WaitOptions,
  known: readonly string[] = WAIT_OPTIONS,
): WaitOptions {
  checkOptions(options, known);
  const { timeout, signal } = options;
  if (timeout !== undefined) checkTimeout("timeout", timeout);
  if (signal !== undefined) checkSignal("signal", signal);
  return { timeout, signal };
}

/** The timer of one wait and its place at the signal: armed together, gone together. */
export class Bound implements Abortable {
  prev: Abortable | undefined = undefined;
  next: Abortable | undefined = undefined;
  queue: Queue<Abortable> | undefined = undefined;
  readonly #target: Bounded;
  readonly #what: string;
  readonly #timeout: number;
  readonly #signal: AbortSignal | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param what What is waited for, for the message of the {@linkcode TimeoutError}.
   */
  constructor(target: Bounded, what: string, options: WaitOptions) {
    this.#target = target;
    this.#what = what;
    this.#timeout = options.timeout ?? Infinity;
    this.#signal = options.signal;
  }

  /** Starts the clock. If there is no time at all, the target expires inside this call. */
  arm(): void {
    if (this.#signal?.aborted) return this.#target.expired(this.#signal.reason);
    if (this.#timeout <= 0) return this.#timedOut();
    if (this.#signal !== undefined) join(this.#signal, this);
    if (this.#timeout !== Infinity) {
      this.#timer = setTimeout(() => this.#timedOut(), this.#timeout);
    }
  }

  disarm(): void {
    leave(this);
    clearTimeout(this.#timer);
  }

  aborted(reason: unknown): void {
    this.disarm();
    this.#target.expired(reason);
  }

  #timedOut(): void {
    this.disarm();
    this.#target.expired(new TimeoutError(this.#what, this.#timeout));
  }
}

/** Somebody who waits, among other things, for a signal to abort. */
interface Abortable extends Link<Abortable> {
  /** The signal has aborted; the wait has left the hub. It is in the midst of the event: be quick. */
  aborted(reason: unknown): void;
}

const hubs: WeakMap<AbortSignal, Hub> = new WeakMap();

/** Has a wait told when the signal, which has not aborted yet, does: in the order they came. */
function join(signal: AbortSignal, wait: Abortable): void {
  let hub = hubs.get(signal);
  if (hub === undefined) hubs.set(signal, hub = new Hub(signal));
  if (hub.size === 0) signal.addEventListener("abort", hub);
  hub.push(wait);
}

/** Takes a wait back; without effect if it has left, or never joined. */
function leave(wait: Abortable): void {
  const hub = wait.queue as Hub | undefined;
  if (hub === undefined) return;
  hub.remove(wait);
  if (hub.size === 0) hub.rest();
}

class Hub extends Queue<Abortable> {
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    super();
    this.#signal = signal;
  }

  /** Nobody waits any more. */
  rest(): void {
    this.#signal.removeEventListener("abort", this);
  }

  /** As the listener of the signal's `abort` event. One that is taken back meanwhile is not told. */
  handleEvent(): void {
    if (!this.#signal.aborted) return; // somebody else's event of the same name
    for (let wait; (wait = this.shift()) !== undefined;) {
      try {
        wait.aborted(this.#signal.reason);
      } catch (error) {
        reportError(error); // as for every listener, so that the others are told too
      }
    }
    this.rest();
  }
}
