import { socket, task } from "@taskio/net";
import { setImmediate } from "node:timers";
import type { Socket } from "./descriptor.ts";
import { AGAIN } from "./errno.ts";

/** So often a program may ask in vain before everybody else has a turn. */
const PATIENCE = 16;

/** The longest that a timer can be, in ms. */
const MAX_DELAY = 2 ** 31 - 1;

/** What a call gives, now or later: the number of a failure. */
export type Result = number | Promise<number>;

/** The program was ended from outside. */
export class TerminatedError extends Error {
  override readonly name = "TerminatedError";

  constructor() {
    super("The program was ended");
  }
}

/**
 * What a program waits for: its sends, its shutdowns, one `ready` for each socket that it polls, and
 * the clock of a poll, all in one completion queue.
 *
 * A `ready` stays under way from one poll to the next, so that a poll starts nothing for a socket that
 * stayed silent. What it has said holds until the socket is received from.
 */
export class Waiting implements Disposable {
  readonly #queue: task.CompletionQueue = task.completions();
  /** What each task is about; the clock is about no socket. */
  readonly #watched = new Map<task.TaskId, Socket | undefined>();
  /** What goes on when the program has ended. */
  readonly #kept = new Set<Promise<void>>();
  /** Calls in a row that did not have to wait. */
  #hurry = 0;
  #ended = false;

  /** Whether the program is at its end. */
  get ended(): boolean {
    return this.#ended;
  }

  /** @throws {TerminatedError} If the program was ended. */
  checkAlive(): void {
    if (this.#ended) throw new TerminatedError();
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    for (const id of this.#watched.keys()) task.forget(id);
    this.#queue[Symbol.dispose]();
  }

  /** Has a task noted when it settles. */
  watch(id: task.TaskId, about: Socket | undefined): void {
    this.#watched.set(id, about);
    this.#queue.add(id);
  }

  /** Gives up a task that is not noted yet. */
  unwatch(id: task.TaskId): void {
    if (!this.#watched.delete(id)) return;
    task.cancel(id);
    task.forget(id);
  }

  /** Lets a task go on that the program knows nothing of any more, nor of its failure. */
  keep(id: task.TaskId<void>): void {
    const kept = task.await(id).catch(() => {}).then(() => void this.#kept.delete(kept));
    this.#kept.add(kept);
  }

  /** Waits until all of those have settled. */
  async rest(): Promise<void> {
    await Promise.all(this.#kept);
  }

  /** Notes what has settled. */
  settle(): void {
    for (let outcome; (outcome = this.#queue.take()) !== undefined;) {
      const about = this.#watched.get(outcome.id);
      this.#watched.delete(outcome.id);
      if (about === undefined) continue;
      if (about.watch === outcome.id) {
        about.watch = undefined;
        about.readable = true;
      } else if (outcome.status === "Faulted") {
        about.fault ??= outcome.error;
      } else if (typeof outcome.value === "number") {
        about.queued -= outcome.value;
      }
    }
  }

  /** Whether a receive or an accept would not wait; if it would, it will be noted when that changes. */
  readable(about: Socket): boolean {
    if (about.readable || about.deaf) return true;
    if (about.watch !== undefined) return false;
    const id = socket.ready(about.id);
    if (task.take(id) !== undefined) return about.readable = true;
    about.watch = id;
    this.watch(id, about);
    return false;
  }

  /** Waits until something settles, or until a time on the monotonic clock. */
  async next(time = Infinity): Promise<void> {
    this.#hurry = 0;
    let clock: task.TaskId<void> | undefined;
    if (time < Infinity) {
      clock = task.after(Math.min(Math.ceil(time - performance.now()), MAX_DELAY));
      this.watch(clock, undefined);
    }
    try {
      await this.#queue.wait();
      this.checkAlive();
      this.settle();
    } finally {
      if (clock !== undefined) this.unwatch(clock);
    }
  }

  /** Says that nothing can be done now. */
  again(): Result {
    return this.breathe(AGAIN);
  }

  /**
   * Gives an answer for which the program did not have to wait. Nothing arrives while it runs: if it
   * never waits, it has to stop at times.
   */
  breathe(answer: number): Result {
    return ++this.#hurry > PATIENCE ? this.turn().then(() => answer) : answer;
  }

  /** Lets the event loop turn. */
  async turn(): Promise<void> {
    this.#hurry = 0;
    await new Promise((resolve) => setImmediate(resolve));
    this.checkAlive();
  }
}
