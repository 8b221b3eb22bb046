/**
 * The table from integer IDs to what they stand for.
 *
 * IDs only grow and most entries live briefly, so a direct-mapped array of fixed size, which
 * stays in the processor's cache, answers nearly every look-up with one load and one comparison.
 * A newcomer takes the slot and pushes a longer-lived entry out into a table that grows with the
 * number of those. Either way the cost of a look-up does not depend on how many entries there are.
 */
import { type Entry, Sparse } from "./sparse.ts";

const SLOTS = 4096;
const MASK = SLOTS - 1;

export class IdTable<T extends Entry> {
  readonly #slots: (T | undefined)[] = new Array(SLOTS).fill(undefined);
  readonly #displaced: Sparse<T> = new Sparse();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The entry with this ID. It may be asked for anything: a host may hand over a BigInt, say. */
  get(id: number): T | undefined {
    if (typeof id !== "number") return undefined;
    const entry = this.#slots[id & MASK];
    if (entry !== undefined && entry.id === id) return entry;
    return this.#displaced.size === 0 ? undefined : this.#displaced.get(id);
  }

  add(entry: T): void {
    const slot = entry.id & MASK;
    const older = this.#slots[slot];
    if (older !== undefined) this.#displaced.add(older);
    this.#slots[slot] = entry;
    this.#size++;
  }

  /** Removes an entry; `false` if it was not (or no longer) in the table. */
  delete(entry: T): boolean {
    const slot = entry.id & MASK;
    if (this.#slots[slot] === entry) this.#slots[slot] = undefined;
    else if (!this.#displaced.delete(entry)) return false;
    this.#size--;
    return true;
  }

  /** Every entry, by ascending ID. */
  entries(): T[] {
    const all = this.#displaced.entries();
    for (const entry of this.#slots) if (entry !== undefined) all.push(entry);
    return all.sort((a, b) => a.id - b.id);
  }
}
