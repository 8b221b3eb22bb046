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

export function checkBuffer(name: string, buffer: unknown): void {
  if (!(buffer instanceof Uint8Array)) throw wrongType(name, "a Uint8Array", buffer);
}

/** Data as bytes: a string as UTF-8. */
export function toBytes(name: string, data: unknown): Uint8Array {
  if (typeof data === "string") return encoder.encode(data);
  if (data instanceof Uint8Array) return data;
  throw wrongType(name, "a Uint8Array or a string", data);
}
