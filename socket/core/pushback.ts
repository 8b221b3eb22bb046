/**
 * What `unrecv` put in front of a stream, never nothing: its pieces lie one behind the other at the
 * end of memory of its own, which grows towards its start, so that a thousand of them lie in one
 * place.
 */
export class Pushback {
  #memory: Uint8Array<ArrayBuffer>;
  #front: number;
  /** How long the pieces are, the one in front last. */
  readonly #pieces: number[];

  constructor(data: Uint8Array) {
    this.#memory = new Uint8Array(data);
    this.#front = 0;
    this.#pieces = [data.length];
  }

  get length(): number {
    return this.#memory.length - this.#front;
  }

  /** The length of the piece in front. */
  get piece(): number {
    return this.#pieces.at(-1)!;
  }

  /** Puts one more piece in front. */
  push(data: Uint8Array): void {
    const { length } = data;
    if (this.#front < length) {
      const held = this.look();
      const larger = new Uint8Array(Math.max(2 * held.length, held.length + length));
      this.#front = larger.length - held.length;
      larger.set(held, this.#front);
      this.#memory = larger;
    }
    this.#front -= length;
    this.#memory.set(data, this.#front);
    this.#pieces.push(length);
  }

  /** The first `n` bytes, which are there: to look at and not to keep. */
  look(n: number = this.length): Uint8Array {
    return this.#memory.subarray(this.#front, this.#front + n);
  }

  /** A copy of the first `n` bytes, which are there. */
  copy(n: number): Uint8Array<ArrayBuffer> {
    return this.#memory.slice(this.#front, this.#front + n);
  }

  /** Takes the first `n` bytes, which are there. */
  take(n: number): Uint8Array<ArrayBuffer> {
    const bytes = n === this.#memory.length ? this.#memory : this.copy(n);
    this.skip(n);
    return bytes;
  }

  /** Drops the first `n` bytes, which are there. */
  skip(n: number): void {
    this.#front += n;
    const pieces = this.#pieces;
    while (pieces.length > 0 && n >= this.piece) n -= pieces.pop()!;
    if (n > 0) pieces[pieces.length - 1] -= n;
  }
}
