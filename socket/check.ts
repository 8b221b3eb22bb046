/** Checks of arguments that only sockets have. */
import { checkInteger, checkString, wrongRange, wrongType } from "../task/check.ts";
import { bareHost } from "./ip.ts";

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
