/**
 * The strings of languages whose strings are bytes, as Dictu's and Lua's are: one character for each
 * byte, U+0000 to U+00FF. Whatever is received can be sent again unharmed, and `length` counts bytes.
 *
 * A host gives its scripts such strings for their literals too: `fromBytes(new TextEncoder().encode("é"))`
 * has two characters, as `"é"` has two bytes in a script that was saved as UTF-8.
 */
import { Buffer } from "node:buffer";

/** Bytes as a string. */
export function fromBytes({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString("latin1");
}

/** A string as bytes; a `RangeError` if it has characters that are no byte. */
export function toBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff) {
      const name = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
      throw new RangeError(
        `Cannot send ${name}: a string is one character, up to U+00FF, per byte`,
      );
    }
    bytes[i] = code;
  }
  return bytes;
}
