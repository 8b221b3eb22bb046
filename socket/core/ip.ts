/** Addresses as the program sees them: IP addresses as text, and those that Deno gives. */
import type { Address } from "./types.ts";

/** An IPv4 address as an IPv6 socket sees it: `::ffff:1.2.3.4`. */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
/** The same with its last two groups in hexadecimal. */
const MAPPED_HEX = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;

/** An address as the program is to see it: one of IPv4 as such, whatever socket it came over. */
export function plainIp(ip: string): string {
  return MAPPED.exec(ip)?.[1] ?? ip;
}

/** Whether it is an IPv4 address in the one usual spelling. */
export function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 &&
    parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && +part < 256);
}

/** An IPv6 address in its shortest spelling, a mapped one as IPv4; `undefined` if it is none. */
export function parseIpv6(text: string): string | undefined {
  if (!/^[0-9a-f:.]+$/i.test(text)) return undefined;
  let ip: string;
  try {
    ip = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  } catch {
    return undefined;
  }
  const mapped = MAPPED_HEX.exec(ip);
  if (mapped === null) return ip;
  const [high, low] = [parseInt(mapped[1], 16), parseInt(mapped[2], 16)];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** A host without the brackets that a URL puts around an IPv6 address. */
export function bareHost(host: string): string {
  return /^\[.*:.*\]$/.test(host) ? host.slice(1, -1) : host;
}

/** An address of Deno's as ours. */
export function addressOf(addr: Deno.Addr): Address {
  if ("hostname" in addr) return [plainIp(addr.hostname), addr.port];
  // A Unix socket that connected has no path: Deno gives null.
  return ["path" in addr ? addr.path ?? "" : "", 0];
}
