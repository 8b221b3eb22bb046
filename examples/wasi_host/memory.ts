import { Failure, FAULT, INVAL } from "./errno.ts";

/** So many parts a list of buffers may have, as in Linux. */
const MAX_PARTS = 1024;

/**
 * The guest's memory, looked at anew in every call: it may have grown in between, which detaches
 * every view. What lies outside it is a `FAULT`.
 */
export class Memory {
  #memory: { readonly buffer: ArrayBufferLike } = { buffer: new ArrayBuffer(0) };
  #view: DataView = new DataView(this.#memory.buffer);

  /** Says which memory it is: that of a program that has been linked. */
  attach(memory: WebAssembly.Memory): void {
    this.#memory = memory;
  }

  /** A part of the memory as it is now. */
  bytes(at: number, length: number): Uint8Array<ArrayBuffer> {
    const { buffer } = this.#check(at, length);
    return new Uint8Array(buffer as ArrayBuffer, at >>> 0, length >>> 0);
  }

  /** A part of the memory to read and write numbers in, which are little-endian. */
  view(at: number, length: number): DataView {
    const { buffer } = this.#check(at, length);
    return new DataView(buffer, at >>> 0, length >>> 0);
  }

  setUint32(at: number, value: number): void {
    this.#check(at, 4).setUint32(at >>> 0, value, true);
  }

  setUint64(at: number, value: bigint): void {
    this.#check(at, 8).setBigUint64(at >>> 0, value, true);
  }

  /** The buffers that a list of addresses and lengths names. */
  parts(at: number, count: number): Uint8Array<ArrayBuffer>[] {
    if (count >>> 0 > MAX_PARTS) throw new Failure(INVAL);
    const list = this.#check(at, count * 8);
    const parts = [];
    for (let i = 0; i < count; i++) {
      const entry = (at >>> 0) + i * 8;
      parts.push(this.bytes(list.getUint32(entry, true), list.getUint32(entry + 4, true)));
    }
    return parts;
  }

  /** All of the memory, of which there is such a part. */
  #check(at: number, length: number): DataView {
    const view = this.#current;
    if ((at >>> 0) + (length >>> 0) > view.byteLength) throw new Failure(FAULT);
    return view;
  }

  get #current(): DataView {
    const { buffer } = this.#memory;
    if (this.#view.buffer !== buffer) this.#view = new DataView(buffer);
    return this.#view;
  }
}

/** How many bytes there are in all. */
export function lengthOf(parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) sum += part.length;
  return sum;
}

/** A copy of `length` bytes of all, from the one at `from` on. */
export function gather(
  parts: readonly Uint8Array[],
  from: number,
  length: number,
): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    if (at === length) break;
    const piece = part.subarray(from, from + length - at);
    from = Math.max(0, from - part.length);
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Spreads bytes over the parts, for which they are not too many, from byte `from` of all on. */
export function scatter(data: Uint8Array, parts: readonly Uint8Array[], from = 0): void {
  let at = 0;
  for (const part of parts) {
    if (at === data.length) break;
    const room = Math.max(0, part.length - from);
    const piece = data.subarray(at, at + room);
    part.set(piece, part.length - room);
    from = Math.max(0, from - part.length);
    at += piece.length;
  }
}
