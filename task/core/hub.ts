/**
 * Many waits on one `AbortSignal`.
 *
 * Adding a listener to a signal, and removing one, costs time linear in those that it has. So a
 * signal gets one listener, its hub, however many waits are on it, and the waits are links in a
 * queue of the hub's: joining and leaving cost constant time. The hub listens while somebody
 * waits, and only then.
 */
import { type Link, Queue } from "./queue.ts";

/** Somebody who waits, among other things, for a signal to abort. */
export interface Abortable extends Link<Abortable> {
  /** The signal has aborted; the wait has left the hub. It is in the midst of the event: be quick. */
  aborted(reason: unknown): void;
}

const hubs: WeakMap<AbortSignal, Hub> = new WeakMap();

/** Has a wait told when the signal, which has not aborted yet, does: in the order they came. */
export function join(signal: AbortSignal, wait: Abortable): void {
  let hub = hubs.get(signal);
  if (hub === undefined) hubs.set(signal, hub = new Hub(signal));
  if (hub.size === 0) signal.addEventListener("abort", hub);
  hub.push(wait);
}

/** Takes a wait back; without effect if it has left, or never joined. */
export function leave(wait: Abortable): void {
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
