import { checkOptions, checkSignal, checkTimeout } from "./check.ts";
import { TimeoutError } from "./errors.ts";

/** How long to wait. Giving up changes nothing about what was waited for. */
export interface WaitOptions {
  /**
   * The longest wait, in milliseconds; up to 0 gives up unless the result is there already.
   *
   * @default {Infinity}
   */
  timeout?: number;
  /** Gives up with the signal's reason when it aborts, unless the result is there already. */
  signal?: AbortSignal;
}

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

/** The timer and the abort listener of one wait: armed together, gone together. */
export class Bound {
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
    this.#signal?.addEventListener("abort", this);
    if (this.#timeout !== Infinity) {
      this.#timer = setTimeout(() => this.#timedOut(), this.#timeout);
    }
  }

  disarm(): void {
    this.#signal?.removeEventListener("abort", this);
    clearTimeout(this.#timer);
  }

  /** As the listener of the signal's `abort` event. */
  handleEvent(): void {
    this.disarm();
    this.#target.expired(this.#signal!.reason);
  }

  #timedOut(): void {
    this.disarm();
    this.#target.expired(new TimeoutError(this.#what, this.#timeout));
  }
}
