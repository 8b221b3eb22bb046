import { assertEquals, assertThrows } from "@std/assert";
import { element, elements, integer, readTime, Tag, time } from "../../tls/core/der.ts";
import { readCertificate } from "../../tls/core/certificate.ts";
import { decodePem } from "../../tls/core/pem.ts";
import { tls } from "../../mod.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);

Deno.test("element() writes a length in as few bytes as DER wants, at every border", () => {
  for (
    const [length, head] of [
      [0, [0]],
      [127, [127]],
      [128, [0x81, 128]],
      [255, [0x81, 255]],
      [256, [0x82, 1, 0]],
      [65_535, [0x82, 255, 255]],
      [65_536, [0x83, 1, 0, 0]],
      [2 ** 24 - 1, [0x83, 255, 255, 255]],
    ] as const
  ) {
    const written = element(Tag.octetString, new Uint8Array(length).fill(7));
    assertEquals([...written.subarray(0, 1 + head.length)], [4, ...head], `${length}`);
    const [{ tag, value }] = elements(written);
    assertEquals([tag, value.length, written.length], [4, length, 1 + head.length + length]);
  }
  assertThrows(() => element(4, new Uint8Array(2 ** 24)), RangeError, "2 ** 24");
});

Deno.test("integer() writes no zero that is not needed, and one that is", () => {
  for (
    const [number, written] of [
      [[0], [0]],
      [[0, 0, 0], [0]],
      [[0, 0, 1], [1]],
      [[0x7f], [0x7f]],
      [[0x80], [0, 0x80]],
      [[0, 0x80, 0], [0, 0x80, 0]],
      [[1, 0], [1, 0]],
    ]
  ) assertEquals([...integer(bytes(...number))], [2, written.length, ...written], `${number}`);
});

Deno.test("time() writes UTCTime from 1950 to 2049 and GeneralizedTime outside", () => {
  for (
    const [text, tag] of [
      ["1949-12-31T23:59:59Z", Tag.generalizedTime],
      ["1950-01-01T00:00:00Z", Tag.utcTime],
      ["2049-12-31T23:59:59Z", Tag.utcTime],
      ["2050-01-01T00:00:00Z", Tag.generalizedTime],
    ] as const
  ) {
    const [written] = elements(time(new Date(text)));
    assertEquals([written.tag, readTime(written)], [tag, new Date(text)]);
  }
});

/** The bytes with every occurrence of some of them exchanged for as many others. */
function exchange(data: Uint8Array, old: Uint8Array, other: Uint8Array): Uint8Array {
  const text = (part: Uint8Array) => Array.from(part, (byte) => String.fromCharCode(byte)).join("");
  const changed = text(data).replaceAll(text(old), text(other));
  return Uint8Array.from(changed, (character) => character.charCodeAt(0));
}

Deno.test("readCertificate() reads a common name of two bytes a character", () => {
  const [{ bytes: der }] = decodePem("cert", tls.selfsigned(["localhost"]).cert, () => true);
  // As long as "localhost": four characters, and half of one.
  const old = element(Tag.utf8String, new TextEncoder().encode("localhost"));
  const wide = element(Tag.bmpString, bytes(0, 0x61, 0x20, 0xac, 0, 0x62, 0, 0x63, 0));
  const noNames = exchange(der, bytes(0x55, 0x1d, 0x11), bytes(0x55, 0x1d, 0x63));
  const changed = exchange(noNames, old, wide);
  const { names } = readCertificate(changed.slice());
  assertEquals(names[0].slice(0, 4), "a€bc");
});
