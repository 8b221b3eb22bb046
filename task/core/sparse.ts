/**
 * A table of entries by their IDs that grows and shrinks with their number.
 *
 * An entry is in one of two slots of an array that its ID names, half an array apart; IDs that
 * follow each other name slots that do. It takes the first of the two that is free, so nobody is
 * ever moved, and only if neither is does it go into a `Map`. The array has at least four slots for
 * each entry, so that two taken ones are rare, and look-ups need not search. (At the size where
 * that ends, millions of entries, only the time of a look-up suffers.) It doubles and halves in
 * amortised constant time.
 */

/** An entry knows its own ID: that is what tells a hit from a collision. */
export interface Entry {
  readonly id: number;
}

/** The logarithms of the smallest and of the largest number of slots. */
const MIN_BITS = 8;
const MAX_BITS = 24;

export class Sparse<T extends Entry> {
  #bits = MIN_BITS;
  #slots: (T | undefined)[] = makeSlots(MIN_BITS);
  #crowded: Map<number, T> = new Map();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** How many slots there are; and how many entries found both of theirs taken. */
  get slots(): number {
    return this.#slots.length;
  }

  get crowded(): number {
    return this.#crowded.size;
  }

  get(id: number): T | undefined {
    const slots = this.#slots;
    const slot = this.#slotOf(id);
    let entry = slots[slot];
    if (entry !== undefined && entry.id === id) return entry;
    entry = slots[slot ^ (slots.length >> 1)];
    if (entry !== undefined && entry.id === id) return entry;
    return this.#crowded.size === 0 ? undefined : this.#crowded.get(id);
  }

  add(entry: T): void {
    this.#size++;
    if (this.#size * 4 > this.#slots.length && this.#bits < MAX_BITS) this.#resize(this.#bits + 1);
    this.#place(entry);
  }

  /** Removes an entry; `false` if it was not there. */
  delete(entry: T): boolean {
    const slots = this.#slots;
    const slot = this.#slotOf(entry.id);
    const other = slot ^ (slots.length >> 1);
    if (slots[slot] === entry) slots[slot] = undefined;
    else if (slots[other] === entry) slots[other] = undefined;
    else if (this.#crowded.get(entry.id) !== entry) return false;
    else this.#crowded.delete(entry.id);
    this.#size--;
    if (this.#size * 16 < slots.length && this.#bits > MIN_BITS) this.#resize(this.#bits - 1);
    return true;
  }

  /** Every entry, in no order. */
  entries(): T[] {
    const all = [...this.#crowded.values()];
    for (const entry of this.#slots) if (entry !== undefined) all.push(entry);
    return all;
  }

  /**
   * The first of an ID's slots: its low bits, mixed with the next ones, which tell IDs apart that
   * are a power of two apart, as the sockets are of a program that makes so many tasks for each.
   */
  #slotOf(id: number): number {
    return (id ^ (id >>> this.#bits)) & (this.#slots.length - 1);
  }

  #place(entry: T): void {
    const slots = this.#slots;
    const slot = this.#slotOf(entry.id);
    const other = slot ^ (slots.length >> 1);
    if (slots[slot] === undefined) slots[slot] = entry;
    else if (slots[other] === undefined) slots[other] = entry;
    else this.#crowded.set(entry.id, entry);
  }

  #resize(bits: number): void {
    const slots = this.#slots;
    const crowded = this.#crowded;
    this.#bits = bits;
    this.#slots = makeSlots(bits);
    this.#crowded = new Map();
    for (const entry of slots) if (entry !== undefined) this.#place(entry);
    for (const entry of crowded.values()) this.#place(entry);
  }
}

function makeSlots<T>(bits: number): (T | undefined)[] {
  return new Array(2 ** bits).fill(undefined);
}
