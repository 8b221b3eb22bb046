/**
 * What is verified besides what Deno's `node:tls` verifies.
 *
 * Theory of operation. Given authorities of the program's, `node:tls` here takes a certificate that
 * it cannot read well, if only the *names* lead to an authority; a certificate that is no
 * authority's may vouch for others, if it is listed; and names are looked for in a text, in which
 * one can forge another. So a peer that it has let in is looked at once more, from the bytes of its
 * certificates. Nothing here lets anybody in.
 *
 * A chain must lead from the peer's certificate, by signatures, to one that is listed. Everything
 * below that is of version 3, strictly encoded, and in date; whoever vouches is an authority.
 *
 * A server's chain may lead to an authority that Deno was told of instead; those cannot be asked
 * for without a permission, those of `--cert` not at all. So if a chain has no name of a listed
 * authority, `node:tls` is believed, since it is lenient with those alone; and only about
 * certificates that are sound.
 */
import type { DetailedPeerCertificate, PeerCertificate } from "node:tls";
import { nodeCrypto } from "./builtins.ts";
import { alternativeNames, type CertificateParts, openCertificate } from "./certificate.ts";
import { TlsError } from "./codes.ts";
import { type Element, elements, inside, Tag } from "./der.ts";
import { formatIp, matchesName, parseIp } from "./names.ts";
import { decodePem } from "./pem.ts";

/** A certificate that was taken apart, and its bytes. */
interface Certificate extends CertificateParts {
  readonly bytes: Uint8Array;
}

/** So many signatures are verified at most: a peer may send many certificates of one name. */
const MAX_SIGNATURES = 32;
/** The longest way from a certificate to its authority. */
const MAX_DEPTH = 8;

type Peer = PeerCertificate | DetailedPeerCertificate;

/**
 * Says what is wrong with a server, `undefined` if nothing.
 *
 * @param peer What `node:tls` tells of its certificate, with those that came besides.
 * @param ca The authorities that the program lists, PEM.
 * @param host The name that it must have; `undefined` if any will do.
 */
export function serverObjection(
  peer: Peer,
  ca: readonly string[],
  host: string | undefined,
): TlsError | undefined {
  return unlessUnreadable(() =>
    (ca.length > 0 ? chainObjection(peer, ca, true, Date.now()) : undefined) ??
      (host === undefined ? undefined : nameObjection(peer.raw, host))
  );
}

/** The same of a client, for whom nobody vouches but the authorities that are listed, at least one. */
export function clientObjection(
  peer: Peer,
  ca: readonly string[],
  now: number,
): TlsError | undefined {
  return unlessUnreadable(() => chainObjection(peer, ca, false, now));
}

/** What cannot be read is refused: these are asked by `node:tls`, in which an error would be uncaught. */
function unlessUnreadable(look: () => TlsError | undefined): TlsError | undefined {
  try {
    return look();
  } catch (cause) {
    return new TlsError("CERT_REJECTED", "a certificate cannot be read", { cause });
  }
}

function chainObjection(
  peer: Peer,
  ca: readonly string[],
  others: boolean,
  now: number,
): TlsError | undefined {
  const [first, ...sent] = presented(peer).map(open);
  const search = new Search(sent, ca.flatMap(authorities), now);
  if (search.leadsToOne(first, others)) return undefined;
  return search.objection ?? new TlsError("UNABLE_TO_GET_ISSUER_CERT", "unknown issuer");
}

function nameObjection(bytes: Uint8Array, host: string): TlsError | undefined {
  const names = alternativeNames(open(bytes).extensions) ?? [];
  const ip = parseIp(host);
  const wanted = ip === undefined ? host : formatIp(ip);
  const isFound = names.some(({ name, isIp }) =>
    isIp ? ip !== undefined && name === wanted : ip === undefined && matchesName(name, host)
  );
  if (isFound) return undefined;
  const shown = names.slice(0, 3).map(({ name }) => JSON.stringify(name.slice(0, 100)));
  return new TlsError(
    "ERR_TLS_CERT_ALTNAME_INVALID",
    `not valid for name "${host}"; certificate is ` +
      (shown.length > 0 ? `only valid for ${shown.join(" or ")}` : "valid for no name"),
  );
}

/** The certificates that a peer has sent, its own first. */
function presented(peer: Peer): Uint8Array[] {
  const found: Uint8Array[] = [];
  let next: Peer | undefined = peer;
  while (next?.raw && found.length <= MAX_SIGNATURES) {
    const { raw } = next;
    if (found.some((bytes) => isSame(bytes, raw))) break; // the last issues itself
    found.push(raw);
    next = "issuerCertificate" in next ? next.issuerCertificate : undefined;
  }
  return found;
}

class Search {
  /** The first thing that was found wrong. */
  objection: TlsError | undefined;
  readonly #sent: readonly Certificate[];
  readonly #listed: readonly Certificate[];
  readonly #now: number;
  #signatures = 0;

  constructor(sent: readonly Certificate[], listed: readonly Certificate[], now: number) {
    this.#sent = sent;
    this.#listed = listed;
    this.#now = now;
  }

  /** Whether a certificate is listed, or leads to one that is. */
  leadsToOne(certificate: Certificate, others: boolean, depth = 0): boolean {
    const { bytes } = certificate;
    const isListed = this.#listed.some((one) => isSame(one.bytes, bytes));
    // The dates of an authority do not matter, those of the peer's own certificate do.
    if (isListed && (depth > 0 || this.#isInDate(certificate))) return true;
    if (isListed || !this.#isSound(certificate) || depth === MAX_DEPTH) return false;
    if (this.#issuers(certificate, this.#listed).length > 0) return true;
    for (const issuer of this.#issuers(certificate, this.#sent)) {
      if (this.leadsToOne(issuer, others, depth + 1)) return true;
    }
    return others && this.objection === undefined &&
      this.#sent.every((one) => this.#isReadable(one));
  }

  /** Those of a list that have signed a certificate, and may. */
  #issuers(certificate: Certificate, list: readonly Certificate[]): Certificate[] {
    const named = list.filter(({ subject }) => isSameElement(subject, certificate.issuer));
    return named.filter((issuer) => {
      if (!mayIssue(issuer)) {
        this.#object("INVALID_PURPOSE", "who vouches for the certificate is no authority");
        return false;
      }
      if (++this.#signatures <= MAX_SIGNATURES && hasSigned(issuer, certificate)) return true;
      this.#object("CERT_SIGNATURE_FAILURE", "bad signature");
      return false;
    });
  }

  #isSound(certificate: Certificate): boolean {
    return this.#isReadable(certificate) && this.#isInDate(certificate);
  }

  #isReadable({ version, bytes }: Certificate): boolean {
    if (version === 3 && isStrict(bytes)) return true;
    this.#object("CERT_REJECTED", "certificate is not of version 3, or not encoded strictly");
    return false;
  }

  // Written so that a date that cannot be read is none.
  #isInDate({ notBefore, notAfter }: Certificate): boolean {
    if (!(notBefore.getTime() <= this.#now)) {
      this.#object("CERT_NOT_YET_VALID", `valid from ${notBefore.toISOString()}`);
    } else if (!(this.#now <= notAfter.getTime())) {
      this.#object("CERT_HAS_EXPIRED", `valid until ${notAfter.toISOString()}`);
    } else return true;
    return false;
  }

  #object(code: string, text: string): void {
    this.objection ??= new TlsError(code, text);
  }
}

const BASIC_CONSTRAINTS = "85,29,19"; // 2.5.29.19
const KEY_USAGE = "85,29,15"; // 2.5.29.15
const KEY_CERT_SIGN = 0x04;

/** Whether a certificate is an authority's. Before version 3 it could not say so. */
function mayIssue({ version, extensions }: Certificate): boolean {
  if (version < 3) return true;
  const constraints = extensions.get(BASIC_CONSTRAINTS);
  const usage = extensions.get(KEY_USAGE);
  if (constraints === undefined) return false;
  const [isAuthority] = inside(elements(constraints.value)[0], Tag.sequence);
  if (isAuthority?.tag !== Tag.boolean || isAuthority.value[0] !== 0xff) return false;
  if (usage === undefined) return true;
  const [bits] = elements(usage.value);
  return bits?.tag === Tag.bitString && ((bits.value[1] ?? 0) & KEY_CERT_SIGN) !== 0;
}

/** Whether DER is what a strict writer would have written: nothing behind it, no length too long. */
function isStrict(bytes: Uint8Array): boolean {
  const all = elements(bytes);
  return all.length === 1 && isStrictElement(all[0], 0);
}

function isStrictElement({ tag, value, raw }: Element, depth: number): boolean {
  const { length } = value;
  const head = length < 0x80 ? 2 : length < 0x100 ? 3 : length < 0x10000 ? 4 : 5;
  if (raw.length !== head + length || depth > 32) return false;
  if (tag === Tag.boolean) return length === 1 && (value[0] === 0 || value[0] === 0xff);
  return (tag & 0x20) === 0 || elements(value).every((inner) => isStrictElement(inner, depth + 1));
}

const RSA = "42,134,72,134,247,13,1,1,"; // 1.2.840.113549.1.1
const ECDSA = "42,134,72,206,61,4,3,"; // 1.2.840.10045.4.3

/** The hash of each way to sign that TLS knows; Ed25519 has none of its own. */
const HASHES: Record<string, string | null> = {
  [`${RSA}11`]: "sha256",
  [`${RSA}12`]: "sha384",
  [`${RSA}13`]: "sha512",
  [`${ECDSA}2`]: "sha256",
  [`${ECDSA}3`]: "sha384",
  [`${ECDSA}4`]: "sha512",
  "43,101,112": null, // 1.3.101.112
};
/** RSASSA-PSS by the ID of its hash, as far as TLS knows it: the salt is as long as the hash. */
const PSS = `${RSA}10`;
const PSS_HASHES: Record<string, readonly [hash: string, salt: number]> = {
  "96,134,72,1,101,3,4,2,1": ["sha256", 32],
  "96,134,72,1,101,3,4,2,2": ["sha384", 48],
  "96,134,72,1,101,3,4,2,3": ["sha512", 64],
};

function hasSigned(issuer: Certificate, { signed, algorithm, signature }: Certificate): boolean {
  const { constants, createPublicKey, verify } = nodeCrypto();
  const [id, parameters] = inside(algorithm, Tag.sequence);
  const name = id?.value.join() ?? "";
  let hash = HASHES[name];
  let padding: { padding: number; saltLength: number } | undefined;
  if (name === PSS) {
    const [wrapped] = inside(parameters, Tag.sequence);
    const [chosen] = inside(elements(wrapped?.value ?? new Uint8Array())[0], Tag.sequence);
    const [found, saltLength] = PSS_HASHES[chosen?.value.join() ?? ""] ?? [];
    hash = found!;
    padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: saltLength! };
  }
  if (hash === undefined || signature.tag !== Tag.bitString || signature.value[0] !== 0) {
    return false;
  }
  try {
    const der = issuer.publicKey.raw as Uint8Array<ArrayBuffer>;
    const key = createPublicKey({ key: der as never, format: "der", type: "spki" });
    return verify(
      hash,
      signed.raw,
      padding ? { key, ...padding } : key,
      signature.value.subarray(1),
    );
  } catch {
    return false; // a key of another kind than the signature, or of none
  }
}

function open(bytes: Uint8Array): Certificate {
  return { ...openCertificate(bytes), bytes };
}

/** Authorities that were taken apart: programs list the same ones for every connection. */
const opened: Map<string, Certificate[]> = new Map();

function authorities(pem: string): Certificate[] {
  let found = opened.get(pem);
  if (found === undefined) {
    found = decodePem("ca", pem, (label) => label === "CERTIFICATE").map(({ bytes }) =>
      open(bytes)
    );
    if (opened.size >= 256) opened.clear();
    opened.set(pem, found);
  }
  return found;
}

function isSameElement(one: Element, other: Element): boolean {
  return isSame(one.raw, other.raw);
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}
