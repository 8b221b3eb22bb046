/**
 * Up to here an array lives in V8's heap, without an ArrayBuffer until somebody asks for it: byte by
 * byte it is copied several times faster than by any call.
 */
const ON_HEAP = 64;

/** A part of an array, in memory of its own. */
export function copyPart(data: Uint8Array, start: number, end: number): Uint8Array<ArrayBuffer> {
  const length = end - start;
  if (length > ON_HEAP) return new Uint8Array(data.subarray(start, end)); // not zeroed first
  const copy = new Uint8Array(length);
  for (let i = 0; i < length; i++) copy[i] = data[start + i];
  return copy;
}
