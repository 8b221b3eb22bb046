/**
 * The names that an authority may vouch for (nameConstraints, RFC 5280 4.2.1.10).
 *
 * A name must lie within one of the permitted ones of its kind, if there are any, and within none
 * of the excluded ones. Of names that are not compared here (mail addresses, URIs) none lies within
 * what is permitted, and each within what is excluded.
 */
import type { CertificateParts } from "./certificate.ts";
import { broken, context, type Element, elements, inside, isSame, Tag } from "./der.ts";
import { matchesName } from "./names.ts";

const NAME_CONSTRAINTS = "85,29,30"; // 2.5.29.30
const SUBJECT_ALT_NAME = "85,29,17"; // 2.5.29.17
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
  return name.tag === IP ? isInNetwork(name.value, base.value) : true;
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
