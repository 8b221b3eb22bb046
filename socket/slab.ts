/**
 * Memory for small results.
 *
 * An ArrayBuffer of its own costs several times as much as the bytes of a short message, more than
 * anything else that a recv does. So short messages are given out as parts of a larger buffer, one
 * after the other, as Node does with its `Buffer`s. A part is never given out twice.
 */

/** Results of up to this many bytes are given out in parts. */
export const SMALL = 512;

const SIZE = 8 * 1024;
/** Parts begin at multiples of this, so that any typed array fits on them. */
const ALIGN = 8;
/** Up to here copying byte by byte is faster than a call. */
const FEW = 96;

let slab = new Uint8Array(SIZE);
let used = 0;

/** Copies a part of a buffer of at most `SMALL` bytes. */
export function copySmall(data: Uint8Array, start: number, end: number): Uint8Array {
  const length = end - start;
  // It has no length any more if a program has transferred it, with a result that it was given.
  if (used + length > slab.length) {
    slab = new Uint8Array(SIZE);
    used = 0;
  }
  const copy = slab.subarray(used, used + length);
  if (length > FEW) slab.set(data.subarray(start, end), used);
  else for (let i = 0; i < length; i++) slab[used + i] = data[start + i];
  used += (length + ALIGN - 1) & -ALIGN;
  return copy;
}
