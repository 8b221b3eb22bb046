// DER (X.690), the little of it that X.509 needs: definite lengths and one-byte tags. Certificates
// are written and read by hand because `node:crypto` cannot issue one, and because Deno gives the
// alternative names as one comma-joined string without quotes, in which a name that holds a comma
// forges another one (CVE-2021-44532). The bytes cannot be misread that way.

import { TlsError } from "./codes.ts";

/** The tags in use. `context(n)` is for the rest. */
export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  bmpString: 0x1e,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Tag `[n]`, primitive, or constructed (an EXPLICIT wrapper). */
export function context(n: number, constructed = false): number {
  return (constructed ? 0xa0 : 0x80) | n;
}

/** Joins byte arrays. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Writes one element: tag, length, then the parts one after the other. */
export function element(tag: number, ...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const head = [tag];
  if (length < 0x80) head.push(length);
  else if (length < 0x100) head.push(0x81, length);
  else if (length < 0x10000) head.push(0x82, length >> 8, length & 0xff);
  else if (length < 0x1000000) head.push(0x83, length >> 16, length >> 8 & 0xff, length & 0xff);
  else throw new RangeError(`Cannot write a DER element of ${length} bytes: the limit is 2 ** 24`);
  return concat([new Uint8Array(head), ...parts]);
}

/** Writes a non-negative INTEGER from its big-endian bytes. */
export function integer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  // A leading bit that is set would make the number negative.
  const sign = bytes[from] & 0x80 ? [0] : [];
  return element(Tag.integer, new Uint8Array(sign), bytes.subarray(from));
}

/** Writes an OBJECT IDENTIFIER, for example `oid("2.5.4.3")`. */
export function oid(dotted: string): Uint8Array<ArrayBuffer> {
  const [first, second, ...rest] = dotted.split(".").map(Number);
  const body: number[] = [];
  for (let arc of [first * 40 + second, ...rest]) {
    const digits = [arc & 0x7f];
    while ((arc >>>= 7) > 0) digits.unshift((arc & 0x7f) | 0x80);
    body.push(...digits);
  }
  return element(Tag.oid, new Uint8Array(body));
}

/** Writes a Time: UTCTime up to 2049, GeneralizedTime from there on, as RFC 5280 wants it. */
export function time(date: Date): Uint8Array<ArrayBuffer> {
  const digits = date.toISOString().replace(/\.\d+|[-:T]/g, ""); // 20260102030405Z
  const short = date.getUTCFullYear() >= 1950 && date.getUTCFullYear() < 2050;
  return element(
    short ? Tag.utcTime : Tag.generalizedTime,
    new TextEncoder().encode(short ? digits.slice(2) : digits),
  );
}

/** One element as read: `value` and `raw` (with tag and length) are views, not copies. */
export interface Element {
  tag: number;
  value: Uint8Array;
  raw: Uint8Array;
}

/** Reads all elements of `bytes`; it must end where the last one ends. */
export function elements(bytes: Uint8Array): Element[] {
  const found: Element[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at];
    let length = bytes[at + 1];
    let from = at + 2;
    if (length >= 0x80) {
      const size = length & 0x7f;
      // 0x80 would be BER's indefinite length; three bytes are far more than any certificate needs.
      if (size === 0 || size > 3) throw broken();
      length = 0;
      for (let i = 0; i < size; i++) length = length * 256 + bytes[from++];
    }
    // Running off the end read `undefined` and made a NaN, which fails here too.
    if (!(from + length <= bytes.length)) throw broken();
    found.push({
      tag,
      value: bytes.subarray(from, from + length),
      raw: bytes.subarray(at, from + length),
    });
    at = from + length;
  }
  return found;
}

/** Reads the elements inside `parent`, which must have the tag `tag`. */
export function inside(parent: Element | undefined, tag: number): Element[] {
  if (parent?.tag !== tag) throw broken();
  return elements(parent.value);
}

/** Whether two byte arrays hold the same. */
export function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}

/** Reads a Time. */
export function readTime({ tag, value }: Element): Date {
  const text = new TextDecoder().decode(value);
  const parts = /^(\d\d)?(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (!parts || (tag === Tag.generalizedTime) !== (parts[1] !== undefined)) throw broken();
  const [century, year, month, day, hour, minute, second] = parts.slice(1);
  const full = (century ?? (Number(year) < 50 ? "20" : "19")) + year;
  const date = new Date(`${full}-${month}-${day}T${hour}:${minute}:${second}Z`);
  // An invalid date compares false with everything: it would count as neither expired nor in the
  // future. The 30th of February would be read as another day.
  if (Number.isNaN(date.getTime()) || date.getUTCDate() !== Number(day)) throw broken();
  return date;
}

/** The error for bytes that are not the DER they should be. */
export function broken(): TlsError {
  return new TlsError("ERR_OSSL_ASN1_PARSE_ERROR", "bytes are not the DER that they should be");
}
