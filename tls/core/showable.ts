/**
 * Whether TLS here can show a certificate of the program's own.
 *
 * Theory of operation. Both engines look through a certificate before they show it, and with one
 * that they cannot read there is no handshake at all: `node:tls` then refuses every peer without a
 * word. So the same is looked for beforehand, field by field: lengths as DER has them, nothing
 * missing, nothing more, no extension that must be understood and is not. One older than version 3
 * is read by neither, yet shown by `node:tls`.
 */
import { TlsError } from "./codes.ts";
import { broken, context, type Element, elements, isSame, Tag } from "./der.ts";

/** What is wrong with a certificate: its length, encoding, version, or one of its extensions. */
export type Flaw = "length" | "encoding" | "version" | "extension";

/** Says why a certificate cannot be shown; `undefined` if it can. */
export function flawOf(bytes: Uint8Array): Flaw | undefined {
  if (bytes.length > LONGEST) return "length";
  try {
    return look(bytes);
  } catch (cause) {
    if (cause instanceof TlsError) return "encoding";
    throw cause;
  }
}

/** So many bytes may a certificate have. */
export const LONGEST = 0xfffe;
const VERSION_3 = 2;

function look(bytes: Uint8Array): Flaw | undefined {
  const [content, algorithm, signature] = fields(only(bytes, Tag.sequence), SIGNED);
  checkBits(signature);
  const [first, ...others] = parts(content.value);
  if (first?.tag !== context(0, true)) return "version";
  const { value } = only(first.value, Tag.integer);
  if (value.length !== 1 || value[0] !== VERSION_3) return "version";
  const [_serial, same, _issuer, _validity, _subject, key, list] = others;
  check(others, list === undefined ? CONTENT : [...CONTENT, context(3, true)]);
  if (!isSame(same.raw, algorithm.raw)) throw broken();
  checkBits(fields(key, PUBLIC_KEY)[1]);
  const extensions = list && parts(only(list.value, Tag.sequence).value);
  return extensions?.every(isKnown) === false ? "extension" : undefined;
}

/** The fields of each part that is looked into, by their tags. */
const SIGNED = [Tag.sequence, Tag.sequence, Tag.bitString];
const CONTENT = [Tag.integer, ...Array<number>(5).fill(Tag.sequence)];
const PUBLIC_KEY = [Tag.sequence, Tag.bitString];
const EXTENSION = [Tag.oid, Tag.octetString];
const MARKED = [Tag.oid, Tag.boolean, Tag.octetString];

const KEY_USAGE = "85,29,15"; // 2.5.29.15, which is not looked into
/** subjectAltName, basicConstraints, nameConstraints, cRLDistributionPoints, extKeyUsage. */
const SEQUENCES = new Set([17, 19, 30, 31, 37].map((last) => `85,29,${last}`));

/** Whether an extension is known, or may be passed over. */
function isKnown(extension: Element): boolean {
  if (extension.tag !== Tag.sequence) throw broken();
  const all = parts(extension.value);
  check(all, all.length === MARKED.length ? MARKED : EXTENSION);
  const isCritical = all.length === MARKED.length && isTrue(all[1]);
  const id = all[0].value.join();
  if (SEQUENCES.has(id)) only(all.at(-1)!.value, Tag.sequence);
  else if (id !== KEY_USAGE) return !isCritical;
  return true;
}

function isTrue({ value }: Element): boolean {
  if (value.length !== 1 || (value[0] !== 0 && value[0] !== 0xff)) throw broken();
  return value[0] === 0xff;
}

/** The elements of some bytes, whose lengths are encoded as they must be. */
function parts(bytes: Uint8Array): Element[] {
  const found = elements(bytes);
  for (const { value: { length }, raw } of found) {
    const head = length < 0x80 ? 2 : length < 0x100 ? 3 : length < 0x10000 ? 4 : 5;
    if (raw.length !== head + length) throw broken();
  }
  return found;
}

function only(bytes: Uint8Array, tag: number): Element {
  const found = parts(bytes);
  check(found, [tag]);
  return found[0];
}

function fields(parent: Element, tags: readonly number[]): Element[] {
  const found = parts(parent.value);
  check(found, tags);
  return found;
}

function check(found: readonly Element[], tags: readonly number[]): void {
  if (found.length !== tags.length || found.some(({ tag }, i) => tag !== tags[i])) throw broken();
}

/** A key or a signature has a whole number of bytes. */
function checkBits({ value }: Element): void {
  if (value[0] !== 0) throw broken();
}
