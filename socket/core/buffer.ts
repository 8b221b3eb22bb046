/**
 * What a connection has received and nobody has taken.
 *
 * Theory of operation. It lies in two places: what `unrecv` put in front, and the buffer that reads
 * fill. A read adds to the end of the buffer, so as long as it is under way the buffer may be taken
 * from but is neither given away nor moved.
 *
 * The buffer grows while reads fill it and shrinks while they do not, so an idle connection costs
 * little and a busy one makes few system calls. When one taker takes most of the buffer it is given
 * the buffer itself; less is copied out, so that a small result never pins a large buffer. Either
 * way what is taken begins where its memory begins, and shares it with nobody.
 */
import { Pushback } from "./pushback.ts";
import { takeMemory } from "./store.ts";

/** So much is read at the first try: what a recv gives by default. */
const MIN = 4096;
const MAX = 64 * 1024;
const NOTHING = new Uint8Array(0);

/** So many reads in a row that leave most of their room empty make the next ones smaller. */
const PATIENCE = 16;

/** How much to read at a time: more while reads fill what they are given, less while they do not. */
export class ReadSize {
  bytes: number;
  readonly #min: number;
  readonly #max: number;
  #wasted = 0;

  constructor(min: number, max: number) {
    this.bytes = this.#min = min;
    this.#max = max;
  }

  /** A read has brought `n` bytes where there was room for `room`. */
  note(n: number, room: number): void {
    if (n === room) {
      this.bytes = Math.min(this.bytes * 4, this.#max);
      this.#wasted = 0;
    } else if (n * 8 > this.bytes || this.bytes === this.#min) {
      this.#wasted = 0;
    } else if (++this.#wasted === PATIENCE) {
      this.bytes = Math.max(this.bytes / 4, this.#min);
      this.#wasted = 0;
    }
  }
}

export class ReceiveBuffer {
  /** What `unrecv` put in front, if it has not been taken. */
  #pushed: Pushback | undefined;
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  /** Behind what was received it may hold old bytes, of anybody's. */
  #used = false;
  /** What is there; where nothing is, both are anywhere. */
  #start = 0;
  #end = 0;
  /** A read adds to its end. */
  #filling = false;
  readonly #size = new ReadSize(MIN, MAX);

  get length(): number {
    return this.#pushedLength + this.#end - this.#start;
  }

  get #pushedLength(): number {
    return this.#pushed === undefined ? 0 : this.#pushed.length;
  }

  get isEmpty(): boolean {
    return this.#start === this.#end && this.#pushed === undefined;
  }

  /** Whether something was put in front. */
  get isPushed(): boolean {
    return this.#pushed !== undefined;
  }

  /** Puts bytes in front; they are copied. */
  push(data: Uint8Array): void {
    if (this.#pushed === undefined) this.#pushed = new Pushback(data);
    else this.#pushed.push(data);
  }

  /** Everything, in the two places where it lies: to look at and not to keep. */
  view(): readonly [Uint8Array, Uint8Array] {
    return [
      this.#pushed?.look() ?? NOTHING,
      this.#buffer?.subarray(this.#start, this.#end) ?? NOTHING,
    ];
  }

  /** The first `n` bytes, which are there: to look at and not to keep. */
  look(n: number): Uint8Array {
    const pushed = this.#pushedLength;
    if (n <= pushed) return this.#pushed!.look(n);
    return pushed > 0 ? this.copy(n) : this.#buffer!.subarray(this.#start, this.#start + n);
  }

  /** A copy of the first `n` bytes, which are there. */
  copy(n: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(n);
    const pushed = Math.min(n, this.#pushedLength);
    if (pushed > 0) bytes.set(this.#pushed!.look(pushed));
    if (n > pushed) {
      bytes.set(this.#buffer!.subarray(this.#start, this.#start + n - pushed), pushed);
    }
    return bytes;
  }

  /** A copy of what {@linkcode next} would give; there is something. */
  peek(max: number): Uint8Array<ArrayBuffer> {
    if (this.#pushed !== undefined) return this.#pushed.copy(Math.min(this.#pushed.piece, max));
    return this.#buffer!.slice(this.#start, Math.min(this.#end, this.#start + max));
  }

  /** Drops the first `n` bytes, which are there. */
  skip(n: number): void {
    const pushed = Math.min(n, this.#pushedLength);
    if (pushed > 0) this.#skipPushed(pushed);
    if (n > pushed) this.#start += n - pushed;
  }

  /** Takes exactly `n` bytes, which are there. */
  take(n: number): Uint8Array<ArrayBuffer> {
    if (this.#pushed === undefined || n <= this.#pushed.piece) return this.next(n);
    const bytes = this.copy(n);
    this.skip(n);
    return bytes;
  }

  /** Takes up to `max` bytes out of the piece in front. */
  next(max: number): Uint8Array<ArrayBuffer> {
    if (this.#pushed !== undefined) return this.#takePushed(Math.min(this.#pushed.piece, max));
    const buffer = this.#buffer;
    if (buffer === undefined) return new Uint8Array(0);
    const start = this.#start;
    const end = Math.min(this.#end, start + max);
    const isLast = end === this.#end && !this.#filling;
    if (start > 0 || !isLast || end * 2 < buffer.length) {
      const bytes = this.#part(buffer, start, end);
      this.#start = end;
      return bytes;
    }
    this.#start = end;
    this.#buffer = undefined;
    if (end === buffer.length) return buffer;
    if (this.#used) buffer.fill(0, end);
    return buffer.subarray(0, end);
  }

  /** The same into memory that is there; gives how many. There is something. */
  nextInto(into: Uint8Array): number {
    const n = Math.min(into.length, this.#pushed?.piece ?? this.#end - this.#start);
    into.set(this.look(n));
    this.skip(n);
    return n;
  }

  #part(buffer: Uint8Array<ArrayBuffer>, start: number, end: number): Uint8Array<ArrayBuffer> {
    const memory = end - start < MIN ? undefined : takeMemory(end - start);
    if (memory === undefined) return buffer.slice(start, end);
    memory.set(buffer.subarray(start, end));
    return memory;
  }

  #takePushed(n: number): Uint8Array<ArrayBuffer> {
    const pushed = this.#pushed!;
    const bytes = pushed.take(n);
    if (pushed.length === 0) this.#pushed = undefined;
    return bytes;
  }

  #skipPushed(n: number): void {
    const pushed = this.#pushed!;
    pushed.skip(n);
    if (pushed.length === 0) this.#pushed = undefined;
  }

  /** Where to read to, behind what is there; `filled` says when the read has ended. */
  room(): Uint8Array {
    const { bytes } = this.#size;
    let room: Uint8Array;
    if (this.#start === this.#end) {
      this.#start = this.#end = 0;
      // A buffer of another size than wanted is replaced here, where it is empty.
      if (this.#buffer?.length !== bytes) {
        const memory = takeMemory(bytes);
        this.#used = memory !== undefined;
        this.#buffer = memory ?? new Uint8Array(bytes);
      }
      room = this.#buffer;
    } else {
      if (this.#buffer!.length - this.#end < bytes / 2) this.#grow(bytes);
      room = this.#buffer!.subarray(this.#end);
    }
    this.#filling = true;
    return room;
  }

  /** The read into `room` has ended, with `n` bytes; with 0 if it failed or brought the end. */
  filled(n: number): void {
    this.#filling = false;
    if (n === 0) return;
    this.#size.note(n, this.#buffer!.length - this.#end);
    this.#end += n;
  }

  /** The read into `room` has ended, and its bytes are for somebody else; nothing was before them. */
  divert(n: number): Uint8Array<ArrayBuffer> {
    const bytes = this.#buffer!.slice(this.#end, this.#end + n);
    this.#filling = false;
    return bytes;
  }

  /** No room is wanted for the next read: it brings memory of its own. */
  release(): void {
    if (this.#start === this.#end) this.#buffer = undefined;
  }

  /** Puts behind what is there what came in memory of its own. */
  adopt(chunk: Uint8Array<ArrayBuffer>): void {
    if (this.#start === this.#end) {
      this.#buffer = chunk;
      this.#used = false;
      this.#start = this.#end = 0;
    } else {
      if (this.#buffer!.length - this.#end < chunk.length) this.#grow(chunk.length);
      this.#buffer!.set(chunk, this.#end);
    }
    this.#end += chunk.length;
  }

  /** Makes room for so many bytes, or more, behind those that are there. */
  #grow(more: number): void {
    const held = this.#end - this.#start;
    const larger = new Uint8Array(Math.max(more, held) + held);
    larger.set(this.#buffer!.subarray(this.#start, this.#end));
    this.#buffer = larger;
    this.#start = 0;
    this.#end = held;
  }

  /** Drops everything. */
  clear(): void {
    this.#buffer = this.#pushed = undefined;
    this.#start = this.#end = 0;
  }
}
