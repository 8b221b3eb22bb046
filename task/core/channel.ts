/** The inside of a channel: the values in it, and those who wait for one. */
import type { Link, Queue } from "./queue.ts";

/** What a taker is handed when there is nothing more to come. */
export const CLOSED: unique symbol = Symbol("closed");

/** Somebody who waits for a value: a `recv`, or one source of a `select`. */
export interface Taker extends Link<Taker> {
  receive(value: unknown): void;
}

/** What a channel shows to `select` alone, which waits in the same queue; it fills this in. */
export const forSelect = {} as {
  /** Whether a receive needs no waiting. */
  isReady: (channel: object) => boolean;
  /** The queue to wait in. */
  takersOf: (channel: object) => Queue<Taker>;
};

/**
 * A first-in, first-out list of plain values. The array is cut only when half of it
 * has been taken, so both ends cost constant time on average.
 */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** The oldest item. The caller has seen that `size` is not 0. */
  shift(): T {
    const item = this.#items[this.#head] as T;
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }
}
