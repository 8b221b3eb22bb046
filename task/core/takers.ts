/** What `select` needs of a channel, and the channel of `select`: they wait in the same queue. */
import type { Link, Queue } from "./queue.ts";

/** What a taker is handed when there is nothing more to come. */
export const CLOSED: unique symbol = Symbol("closed");

/** Somebody who waits for a value: a `recv`, or one source of a `select`. */
export interface Taker extends Link<Taker> {
  receive(value: unknown): void;
}

/** What a channel shows to `select` alone; it fills this in. */
export const forSelect = {} as {
  /** Whether a receive needs no waiting. */
  isReady: (channel: object) => boolean;
  /** The queue to wait in. */
  takersOf: (channel: object) => Queue<Taker>;
};
