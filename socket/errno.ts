import { checkInteger } from "../task/core/mod.ts";
import { lastErrno, textOf } from "./core/codes.ts";

/**
 * The number of the last failure of any socket call, as in C: set by failures, never reset by
 * success. A close is the failure of the tasks that it faults; one that only ends a loop or serving
 * is none.
 *
 * @returns The Linux number of the last `SocketError`'s code; 0 at the start.
 *
 * @example Which failure was it?
 * ```ts
 * import { socket } from "@taskio/net";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * assertThrows(() => socket.getpeer(0), socket.SocketError);
 * assertEquals(socket.errno(), 9);
 * assertEquals(socket.strerror(), "Bad socket ID");
 * ```
 */
export function errno(): number {
  return lastErrno();
}

/**
 * The text for an error number.
 *
 * @param n The number. Default: that of the last failure.
 * @returns Its text; `"Success"` for 0, `"Unknown error N"` for a number that has none.
 * @throws {TypeError} If `n` is not a number.
 * @throws {RangeError} If `n` is not an integer from 0.
 *
 * @example A number's text
 * ```ts
 * import { socket } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(socket.strerror(111), "Connection refused");
 * assertEquals(socket.strerror(0), "Success");
 * ```
 */
export function strerror(n: number = lastErrno()): string {
  checkInteger("n", n, 0, 2 ** 31 - 1);
  if (n === 0) return "Success";
  const text = textOf(n);
  return text === undefined ? `Unknown error ${n}` : text[0].toUpperCase() + text.slice(1);
}
