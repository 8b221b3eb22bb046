/** Checks of arguments that only sockets have. */
import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkOptions,
  checkString,
  checkTimeout,
  refuseOptions,
  wrongEmpty,
  wrongRange,
  wrongType,
} from "../../task/core/mod.ts";
import type { FinishOptions, Handler, SendOptions, ServeOptions, UntilOptions } from "./types.ts";
import { bareHost } from "./ip.ts";
import { type Given, takeOver } from "./store.ts";

const encoder = new TextEncoder();

/** A host to listen on; gives it as the system knows it. */
export function checkHost(host: unknown): string {
  checkString("host", host);
  return bareHost(host as string);
}

/** A host to connect to; to listen on, it may be empty. */
export function checkRemoteHost(host: unknown): string {
  if (host === "") throw wrongRange("host", "a host name or IP address", host);
  return checkHost(host);
}

/** A port to listen on; 0 for any free one. */
export function checkPort(port: unknown): void {
  checkInteger("port", port, 0, 65535);
}

/** A port to connect to. */
export function checkRemotePort(port: unknown): void {
  checkInteger("port", port, 1, 65535);
}

/** A buffer to be filled, as a plain array. */
export function checkBuffer(name: string, buffer: unknown): Uint8Array {
  const plain = toPlain(buffer);
  if (plain === undefined) throw wrongType(name, "a Uint8Array", buffer);
  return plain;
}

/** Data as bytes in a plain array: a string as UTF-8. */
export function toBytes(name: string, data: unknown): Uint8Array {
  if (typeof data === "string") return encoder.encode(data);
  const plain = toPlain(data);
  if (plain === undefined) throw wrongType(name, "a Uint8Array or a string", data);
  return plain;
}

/** Data as bytes whose memory is ours from now on; the caller's array is detached. */
export function toGiven(name: string, data: unknown): Uint8Array | Given {
  if (typeof data === "string" || kindOf.call(data) !== "Uint8Array") return toBytes(name, data);
  return takeOver(bufferOf.call(data), offsetOf.call(data), lengthOf.call(data));
}

const SEND_OPTIONS = ["transfer"];

/** The options of a send; whether its data's memory is given up. */
export function checkSend(op: string, options: SendOptions): boolean {
  refuseOptions(op, options, SEND_OPTIONS);
  checkOptions(options, SEND_OPTIONS);
  const { transfer = false } = options;
  checkBoolean("transfer", transfer);
  return transfer;
}

/** What makes a typed array one, whatever a subclass says of itself. */
const kindOf = getterOf(Symbol.toStringTag);
const bufferOf = getterOf("buffer");
const offsetOf = getterOf("byteOffset");
const lengthOf = getterOf("length");

// deno-lint-ignore no-explicit-any
function getterOf(property: PropertyKey): () => any {
  const TypedArray = Object.getPrototypeOf(Uint8Array);
  return Object.getOwnPropertyDescriptor(TypedArray.prototype, property)!.get!;
}

/**
 * A plain array of the same memory; `undefined` if it is no array of bytes. A subclass (Node's
 * `Buffer` is one) may have ideas of its own about its length and its parts, and would have them in
 * the middle of a write.
 */
function toPlain(data: unknown): Uint8Array | undefined {
  if (kindOf.call(data) !== "Uint8Array") return undefined;
  if (Object.getPrototypeOf(data) === Uint8Array.prototype) return data as Uint8Array;
  const length: number = lengthOf.call(data);
  if (length === 0) return new Uint8Array(0); // of a detached buffer there is no view
  return new Uint8Array(bufferOf.call(data), offsetOf.call(data), length);
}

/**
 * Whether the memory may shrink or grow: the system must not work on it, since memory that has been
 * given back is a fault that ends the process.
 */
export function isResizable({ buffer }: Uint8Array): boolean {
  return buffer instanceof ArrayBuffer ? buffer.resizable : buffer.growable;
}

/** The address of a path has the port 0, as `getlocal` tells it. */
export function checkNoPort(port: unknown): void {
  checkPort(port);
  if (port !== 0) throw wrongRange("port", "0, since the address is a path", port);
}

/** How much a receive may give. */
export function checkMax(op: string, max: unknown): void {
  if (typeof max !== "number") refuseOptions(op, max);
  checkInteger("max", max, 1, Number.MAX_SAFE_INTEGER);
}

/** Where a receive may put it. */
export function checkInto(buffer: unknown): Uint8Array {
  const plain = checkBuffer("buffer", buffer);
  if (plain.length === 0) {
    throw wrongEmpty("buffer", "at least one byte long", "an empty Uint8Array");
  }
  return plain;
}

/** How much `recvExact` may give. */
export function checkCount(n: number): void {
  checkInteger("n", n, 0, Number.MAX_SAFE_INTEGER);
}

export function checkDelimiter(delimiter: Uint8Array | string): Uint8Array {
  const bytes = toBytes("delimiter", delimiter);
  if (bytes.length === 0) {
    const what = delimiter === "" ? '""' : "an empty Uint8Array";
    throw wrongEmpty("delimiter", "at least one byte long", what);
  }
  return bytes;
}

const UNTIL_OPTIONS = ["max"];

/** Gives the longest result. */
export function checkUntil(op: string, options: UntilOptions): number {
  refuseOptions(op, options, UNTIL_OPTIONS);
  checkOptions(options, UNTIL_OPTIONS);
  const { max = 65_536 } = options;
  checkInteger("max", max, 1, Number.MAX_SAFE_INTEGER);
  return max;
}

/** Gives how long a gentle close may take, if that is said. */
export function checkFinish(options: FinishOptions): number | undefined {
  checkOptions(options, ["timeout"]);
  const { timeout } = options;
  if (timeout !== undefined) checkTimeout("timeout", timeout);
  return timeout;
}

/** Options of `serve` that were checked. */
export interface Served {
  readonly maxConnections: number;
  readonly grace: number;
  readonly onError: ServeOptions["onError"];
}

/** Gives the options as they were checked: a getter might give something else when it is asked again. */
export function checkServe(handler: Handler, options: ServeOptions): Served {
  checkFunction("handler", handler);
  checkOptions(options, ["maxConnections", "grace", "onError"]);
  const { maxConnections = Infinity, grace = 5000, onError } = options;
  if (maxConnections !== Infinity) {
    checkInteger("maxConnections", maxConnections, 1, Number.MAX_SAFE_INTEGER);
  }
  checkTimeout("grace", grace);
  if (onError !== undefined) checkFunction("onError", onError);
  return { maxConnections, grace, onError };
}
