/**
 * Whether a certificate has the very form of RFC 5280.
 *
 * Theory of operation. `node:tls` here asks nobody who shows a certificate that it cannot read to
 * prove that the key is theirs. So whatever it cannot read must be refused, and with it whatever
 * can be read in two ways: all fields, each once, with their types, of version 3, and DER as a
 * strict writer would have written it.
 */
import { context, type Element, elements, isSame, readTime, Tag } from "./der.ts";

/** What the extensions that are read hold, by the bytes of their IDs. */
const EXTENSIONS: Record<string, number> = {
  "85,29,15": Tag.bitString, // keyUsage
  "85,29,17": Tag.sequence, // subjectAltName
  "85,29,19": Tag.sequence, // basicConstraints
  "85,29,30": Tag.sequence, // nameConstraints
  "85,29,31": Tag.sequence, // cRLDistributionPoints
  "85,29,37": Tag.sequence, // extKeyUsage
  "43,6,1,4,1,214,121,2,4,2": Tag.octetString, // signed certificate timestamps
};
/** What is in them, where it is simple. */
const CONTENTS: Record<string, (parts: readonly Element[]) => boolean> = {
  "85,29,19": (parts) =>
    [[], [Tag.boolean], [Tag.integer], [Tag.boolean, Tag.integer]]
      .some((tags) => haveTags(parts, tags)),
  "85,29,37": (parts) => parts.length > 0 && parts.every(({ tag }) => tag === Tag.oid),
};

const { sequence, bitString, integer } = Tag;
const CERTIFICATE = [sequence, sequence, bitString];
/** Version, serial number, algorithm, issuer, validity, subject, key. */
const SIGNED = [context(0, true), integer, sequence, sequence, sequence, sequence, sequence];
const VERSION_3 = new Uint8Array([Tag.integer, 1, 2]);
/** No field is as long, and no certificate: what is read no further than to here counts as unreadable. */
const TOO_LONG = 0xffff;
const TOO_DEEP = 32;

/** Whether a certificate is of version 3 and can be read in one way only. */
export function isStrict(bytes: Uint8Array): boolean {
  const [certificate] = elements(bytes);
  if (!isOne(bytes, sequence)) return false;
  const parts = elements(certificate.value);
  if (!haveTags(parts, CERTIFICATE)) return false;
  const [signed, algorithm, signature] = parts;
  const fields = elements(signed.value);
  const optional = fields.splice(SIGNED.length);
  if (!haveTags(fields, SIGNED)) return false;
  const [version, _serial, sameAlgorithm, _issuer, validity, _subject, key] = fields;
  return isSame(version.value, VERSION_3) &&
    // The one is signed, the other one is obeyed.
    isSame(sameAlgorithm.raw, algorithm.raw) &&
    isWhole(signature) &&
    isValidity(elements(validity.value)) &&
    isKey(elements(key.value)) &&
    (optional.length === 0 ||
      haveTags(optional, [context(3, true)]) && areExtensions(elements(optional[0].value)));
}

/** Two times, of which the one before 1970 cannot be read everywhere. */
function isValidity(times: readonly Element[]): boolean {
  return times.length === 2 &&
    times.every((time) =>
      (time.tag === Tag.utcTime || time.tag === Tag.generalizedTime) &&
      readTime(time).getTime() >= 0
    );
}

function isKey(parts: readonly Element[]): boolean {
  return haveTags(parts, [sequence, bitString]) && isWhole(parts[1]);
}

/** Whether a BIT STRING is one of whole bytes. */
function isWhole({ value }: Element): boolean {
  return value[0] === 0;
}

function areExtensions(lists: readonly Element[]): boolean {
  return haveTags(lists, [sequence]) && elements(lists[0].value).every(isExtension);
}

function isExtension({ tag, value }: Element): boolean {
  const parts = elements(value);
  const isCritical = parts.length === 3;
  const tags = isCritical ? [Tag.oid, Tag.boolean, Tag.octetString] : [Tag.oid, Tag.octetString];
  if (tag !== sequence || !haveTags(parts, tags)) return false;
  const id = parts[0].value.join();
  const { value: held } = parts[parts.length - 1];
  if (EXTENSIONS[id] === undefined) return true;
  if (!isOne(held, EXTENSIONS[id])) return false;
  return CONTENTS[id] === undefined || CONTENTS[id](elements(elements(held)[0].value));
}

function haveTags(list: readonly Element[], tags: readonly number[]): boolean {
  return list.length === tags.length && list.every(({ tag }, i) => tag === tags[i]);
}

/** Whether bytes are one element, of this type, and nothing behind it. */
function isOne(bytes: Uint8Array, tag: number): boolean {
  const all = elements(bytes);
  return haveTags(all, [tag]) && isStrictElement(all[0], 0);
}

/** Whether no length is longer than it must be, and no type is one that is not read here. */
function isStrictElement({ tag, value, raw }: Element, depth: number): boolean {
  const { length } = value;
  const head = length < 0x80 ? 2 : length < 0x100 ? 3 : 4;
  if (raw.length !== head + length || length >= TOO_LONG || depth > TOO_DEEP) return false;
  if ((tag & 0x1f) === 0x1f) return false; // the type goes on in the next byte
  if (tag === Tag.boolean) return length === 1 && (value[0] === 0 || value[0] === 0xff);
  return (tag & 0x20) === 0 || elements(value).every((inner) => isStrictElement(inner, depth + 1));
}
