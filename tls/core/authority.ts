/**
 * What a certificate may be used for (RFC 5280): whether it is an authority's, for whom that may
 * vouch, and what a peer's own certificate is meant for.
 *
 * What an authority that the program lists says of itself counts as well. Whatever cannot be
 * decided is not allowed.
 *
 * Of the names that an authority may vouch for (nameConstraints, 4.2.1.10), one must lie within one
 * of the permitted ones of its kind, if there are any, and within none of the excluded ones. Of
 * names that are not compared here (mail addresses, URIs) none lies within what is permitted, and
 * each within what is excluded.
 */
import type { CertificateParts } from "./certificate.ts";
import { broken, context, type Element, elements, inside, isSame, Tag } from "./der.ts";
import { matchesName } from "./names.ts";

/** What a peer's certificate must be for. */
export type Purpose = "server" | "client";

const KEY_USAGE = "85,29,15"; // 2.5.29.15
const KEY_CERT_SIGN = 0x04;
const BASIC_CONSTRAINTS = "85,29,19"; // 2.5.29.19
const SUBJECT_ALT_NAME = "85,29,17"; // 2.5.29.17
const NAME_CONSTRAINTS = "85,29,30"; // 2.5.29.30
const EXTENDED_KEY_USAGE = "85,29,37"; // 2.5.29.37
const PURPOSES: Record<Purpose, string> = {
  server: "43,6,1,5,5,7,3,1", // 1.3.6.1.5.5.7.3.1
  client: "43,6,1,5,5,7,3,2", // 1.3.6.1.5.5.7.3.2
};

/**
 * The extensions that may be critical: those that are obeyed here, subjectAltName (2.5.29.17),
 * nameConstraints (30) and cRLDistributionPoints (31), of which no implementation of TLS here
 * knows more than that they are there.
 */
const KNOWN: ReadonlySet<string> = new Set([
  KEY_USAGE,
  BASIC_CONSTRAINTS,
  EXTENDED_KEY_USAGE,
  SUBJECT_ALT_NAME,
  NAME_CONSTRAINTS,
  "85,29,31",
]);

/** Whether there is nothing in a certificate that must be obeyed and is not known. */
export function isKnown({ critical }: CertificateParts): boolean {
  return critical.every((id) => KNOWN.has(id));
}

/** Whether a certificate may be shown by a peer as its own. */
export function mayBeShown(certificate: CertificateParts, purpose: Purpose): boolean {
  return levelsBelow(certificate) === undefined && isMeantFor(certificate, purpose);
}

/**
 * Says why a certificate must not vouch for another one, `undefined` if it may.
 *
 * @param path The one it vouches for is the last of these, the peer's own the first.
 */
export function objectionTo(
  issuer: CertificateParts,
  path: readonly CertificateParts[],
  purpose: Purpose,
): { code: string; text: string } | undefined {
  // Before version 3 it could not say what it is for.
  const below = issuer.version < 3 ? Infinity : levelsBelow(issuer);
  if (below === undefined || !maySign(issuer)) return NO_AUTHORITY;
  if (!isMeantFor(issuer, purpose)) return OTHER_USE;
  if (path.length - 1 > below) return TOO_FAR;
  return allows(issuer, path) ? undefined : OTHER_NAMES;
}

const NO_AUTHORITY = {
  code: "INVALID_PURPOSE",
  text: "who vouches for the certificate is no authority",
};
const OTHER_USE = {
  code: "INVALID_PURPOSE",
  text: "who vouches for the certificate may not do so for this use",
};
const TOO_FAR = {
  code: "CERT_REJECTED",
  text: "an authority has more authorities below it than it may have",
};
const OTHER_NAMES = {
  code: "CERT_REJECTED",
  text: "an authority vouches for a name that it may not vouch for",
};

/** How many authorities may stand between an authority and a peer; `undefined` of what is none. */
function levelsBelow({ extensions }: CertificateParts): number | undefined {
  const constraints = extensions.get(BASIC_CONSTRAINTS);
  if (constraints === undefined) return undefined;
  const [flag, limit, ...more] = inside(only(constraints), Tag.sequence);
  // Without the flag there is no authority, whatever else is there.
  if (flag?.tag !== Tag.boolean || flag.value[0] !== 0xff || more.length > 0) return undefined;
  return limit === undefined ? Infinity : small(limit);
}

/** A number that is not negative; a longer one is more than there ever are. */
function small({ tag, value }: Element): number {
  if (tag !== Tag.integer || value.length === 0 || value[0] > 0x7f) throw broken();
  return value.length === 1 ? value[0] : Infinity;
}

function maySign({ extensions }: CertificateParts): boolean {
  const usage = extensions.get(KEY_USAGE);
  if (usage === undefined) return true;
  const { tag, value } = only(usage);
  return tag === Tag.bitString && (value[1] & KEY_CERT_SIGN) !== 0;
}

function isMeantFor({ extensions }: CertificateParts, purpose: Purpose): boolean {
  const usage = extensions.get(EXTENDED_KEY_USAGE);
  return usage === undefined ||
    inside(only(usage), Tag.sequence).some(({ tag, value }) =>
      tag === Tag.oid && value.join() === PURPOSES[purpose]
    );
}

/** What an extension holds. */
function only({ value }: Element): Element {
  const all = elements(value);
  if (all.length !== 1) throw broken();
  return all[0];
}

/** So many names are compared: a peer may send thousands, of both. */
const MAX_COMPARISONS = 20_000;

const DNS = context(2);
const DIRECTORY = context(4, true);
const IP = context(7);

/** Whether an authority's constraints allow every name of those it vouches for. */
export function allows(issuer: CertificateParts, path: readonly CertificateParts[]): boolean {
  const extension = issuer.extensions.get(NAME_CONSTRAINTS);
  if (extension === undefined) return true;
  const lists = inside(elements(extension.value)[0], Tag.sequence);
  const permitted = namesOf(lists, context(0, true));
  const excluded = namesOf(lists, context(1, true));
  const names = path.flatMap(everyName);
  if (names.length * (permitted.length + excluded.length) > MAX_COMPARISONS) return false;
  return names.every((name) => {
    const among = permitted.filter(({ tag }) => tag === name.tag);
    return (among.length === 0 || among.some((base) => isWithin(name, base))) &&
      !excluded.some((base) => base.tag === name.tag && mayTouch(name, base));
  });
}

function namesOf(lists: readonly Element[], tag: number): Element[] {
  const list = lists.find((one) => one.tag === tag);
  return elements(list?.value ?? new Uint8Array()).map((subtree) => {
    const [base, ...limits] = inside(subtree, Tag.sequence);
    if (base === undefined || limits.length > 0) throw broken(); // limits are not in use
    return base;
  });
}

/** The alternative names, and the subject. */
function everyName({ subject, extensions }: CertificateParts): Element[] {
  const alternative = extensions.get(SUBJECT_ALT_NAME);
  const names = alternative === undefined
    ? []
    : inside(elements(alternative.value)[0], Tag.sequence);
  return subject.value.length === 0
    ? names
    : [...names, { tag: DIRECTORY, value: subject.raw, raw: subject.raw }];
}

function isWithin({ tag, value }: Element, base: Element): boolean {
  if (tag === DNS) return isSubdomain(text(value), text(base.value));
  if (tag === IP) return isInNetwork(value, base.value);
  return tag === DIRECTORY && isBelow(value, base.value);
}

/** Whether a name lies within another one, or may: names of a kind can be written in several ways. */
function mayTouch(name: Element, base: Element): boolean {
  if (name.tag === DNS) {
    const [wanted, excluded] = [text(name.value), text(base.value)];
    return isSubdomain(wanted, excluded) || matchesName(wanted, excluded);
  }
  if (name.tag !== IP) return true;
  const isNetwork = base.value.length === 8 || base.value.length === 32;
  return !isNetwork || isInNetwork(name.value, base.value);
}

/** A dot in front leaves the domain itself out; nothing at all is every domain. */
function isSubdomain(name: string, base: string): boolean {
  return base === "" || name === base || name.endsWith(base.startsWith(".") ? base : `.${base}`);
}

/** A network is an address and a mask. */
function isInNetwork(address: Uint8Array, network: Uint8Array): boolean {
  const { length } = address;
  return network.length === 2 * length &&
    address.every((byte, i) => ((byte ^ network[i]) & network[length + i]) === 0);
}

/** Whether a distinguished name begins with all the parts of another one. */
function isBelow(name: Uint8Array, base: Uint8Array): boolean {
  const parts = inside(elements(name)[0], Tag.sequence);
  return inside(elements(base)[0], Tag.sequence)
    .every(({ raw }, i) => i < parts.length && isSame(raw, parts[i].raw));
}

function text(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes).toLowerCase();
}
