/** A part of an array, in memory of its own, which is not zeroed first. */
export function copyPart(data: Uint8Array, start: number, end: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(data.subarray(start, end));
}
