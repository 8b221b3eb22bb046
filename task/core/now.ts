const resolved = Promise.resolve();
const UNKNOWN = -1;
let time = UNKNOWN;

/**
 * The time in whole milliseconds, which take less memory than others, read from the system once in
 * a turn of the event loop: asking a virtual machine's clock costs as much as a small operation.
 */
export function now(): number {
  if (time === UNKNOWN) {
    time = Math.floor(performance.now());
    resolved.then(forget);
  }
  return time;
}

/** The whole milliseconds since a time that {@linkcode now} gave. */
export function since(created: number): number {
  return Math.floor(performance.now()) - created;
}

function forget(): void {
  time = UNKNOWN;
}
