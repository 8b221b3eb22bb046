import type { WaitOptions } from "./types.ts";
import { checkOptions, checkSignal, checkTimeout } from "./check.ts";
import { TimeoutError } from "./errors.ts";
import { type Abortable, join, leave } from "./hub.ts";
import type { Queue } from "./queue.ts";

/** What can be given up. */
interface Bounded {
  /** Time ran out or the signal aborted: leave every queue and reject with the reason. */
  expired(reason: unknown): void;
}

const WAIT_OPTIONS = ["timeout", "signal"];

export function checkWaitOptions(options: WaitOptions, known: string[] = WAIT_OPTIONS): void {
  checkOptions(options, known);
  if (options.timeout !== undefined) checkTimeout("timeout", options.timeout);
  if (options.signal !== undefined) checkSignal("signal", options.signal);
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
