/**
 * Checking a certificate and its key when they are given, not when the first client comes. What can
 * never work is refused; what a peer may refuse, such as a certificate that has expired, is for the
 * peer to refuse.
 *
 * | code | meaning |
 * |---|---|
 * | `ERR_OSSL_X509_KEY_VALUES_MISMATCH` | the key belongs to another certificate |
 * | `ERR_MISSING_PASSPHRASE` | the key is encrypted |
 * | `ERR_SSL_EE_KEY_TOO_SMALL` | the key is RSA of less than 2,048 bits |
 * | `ERR_OSSL_UNSUPPORTED` | the key is of a kind, or the certificate of a version or with a critical extension, that no implementation of TLS here can use |
 * | `ERR_SSL_EXCESSIVE_MESSAGE_SIZE` | the chain is longer than any peer takes |
 * | `ERR_OSSL_PEM_NO_START_LINE` | the text holds no certificate, or no key |
 * | `ERR_OSSL_PEM_BAD_BASE64_DECODE` | a PEM block is cut short or is not Base64 |
 * | `ERR_OSSL_ASN1_PARSE_ERROR` | a PEM block decodes, but to no certificate or key |
 */
import type { KeyObject } from "node:crypto";
import { checkString } from "../../task/core/mod.ts";
import { nodeCrypto } from "./builtins.ts";
import { TlsError } from "./codes.ts";
import { broken, context, type Element, elements, inside, readTime, Tag } from "./der.ts";
import { formatIp } from "./names.ts";
import { decodePem, encodePem, encrypted } from "./pem.ts";
import { flawOf, LONGEST } from "./showable.ts";
import type { CertificatePair } from "./types.ts";

/** OpenSSL takes no longer chain of a peer's, and others take less. */
const MAX_CHAIN = 100 * 1024;

/** A key of RSA with 16,384 bits takes 9 KiB. */
const MAX_KEY = 64 * 1024;

/** A pair that was checked; its texts are PEM and nothing else. */
export interface CheckedPair extends CertificatePair {
  /** The DNS names and IP addresses of the first certificate, lower case. */
  readonly names: readonly string[];
  /** The chain is valid until here: the earliest end of its certificates. */
  readonly notAfter: Date;
  /** The first certificate is older than version 3, which Deno's own TLS cannot show. */
  readonly isOld: boolean;
}

/** What is read from one certificate. */
export interface CertificateFacts {
  /** DNS names and IP addresses of subjectAltName; without that extension, the common name. */
  readonly names: string[];
  /** The first moment of validity. */
  readonly notBefore: Date;
  /** The last moment of validity. */
  readonly notAfter: Date;
}

/**
 * Checks a certificate chain and its key, and tells which names it is for.
 *
 * Every certificate of the chain must be readable; the key (PKCS#8, PKCS#1 or SEC1) must be that of
 * the first. Dates are not checked, nor who issued what: a server may send a chain whose root only
 * its clients know.
 *
 * @param pair The PEM texts.
 * @throws {TypeError} If `cert` or `key` is missing or no string.
 * @throws {TlsError} If the pair cannot be used; the codes are listed above.
 */
export function checkPair({ cert, key }: CertificatePair): CheckedPair {
  const missing = cert === undefined ? "cert" : key === undefined ? "key" : undefined;
  if (missing !== undefined) {
    throw new TypeError(`"cert" and "key" belong together: "${missing}" is missing`);
  }
  checkString("cert", cert);
  checkString("key", key);
  checkVersion();
  const blocks = certificates("cert", cert);
  const total = blocks.reduce((sum, { length }) => sum + length, 0);
  if (total > MAX_CHAIN) throw tooLong("cert", `${blocks.length} certificates of ${total} bytes`);
  const chain = blocks.map((bytes) => readCertificate(bytes));
  const { pem, object } = readKey(key);
  if (!keyMatches(blocks[0], object)) throw mismatch(blocks, chain, object);
  const flaw = flawOf(blocks[0]);
  if (flaw === "length") throw tooLong("cert", `one of ${blocks[0].length} bytes`, LONGEST);
  if (flaw === "encoding") throw garbled("cert", "certificate", undefined);
  if (flaw === "extension") throw unsupported("has a critical extension that nobody here knows");
  return {
    cert: blocks.map((bytes) => encodePem("CERTIFICATE", bytes)).join(""),
    key: pem,
    names: chain[0].names,
    notAfter: chain.map(({ notAfter }) => notAfter).reduce((a, b) => b < a ? b : a),
    isOld: flaw === "version",
  };
}

/** Refuses what Deno's own TLS cannot show. */
export function checkForNative({ isOld }: CheckedPair): void {
  if (isOld) throw unsupported(`is older than version 3, which Deno's own TLS cannot show`);
}

function unsupported(what: string): TlsError {
  return new TlsError("ERR_OSSL_UNSUPPORTED", `"cert" ${what}: have it issued anew`);
}

/**
 * Checks the certificates a peer may be vouched for by, and gives each as a PEM text of its own.
 * Their dates are left to the handshake. Deno ignores a `caCerts` entry that holds no certificate;
 * an option that decides whom to trust must not vanish like that.
 *
 * @param ca A PEM text, which may hold several certificates.
 * @throws {TlsError} If it holds no certificate or a garbled one.
 */
export function checkAuthorities(ca: string): string[] {
  return certificates("ca", ca).map((bytes) => {
    readCertificate(bytes, "ca");
    return encodePem("CERTIFICATE", bytes);
  });
}

/** The first version of Deno that this module works with. */
const OLDEST = [2, 9, 5];

/** An older Deno reads keys otherwise, or cannot tell whose they are: say so, blame no key. */
function checkVersion(): void {
  const version = Deno.version.deno;
  const parts = version.split(".").map((part) => parseInt(part));
  const at = OLDEST.findIndex((part, i) => parts[i] !== part);
  if (at < 0 || !(parts[at] < OLDEST[at])) return;
  throw new Error(`TLS needs Deno ${OLDEST.join(".")} or later: this is Deno ${version}`);
}

function certificates(name: string, pem: string): Uint8Array<ArrayBuffer>[] {
  const blocks = decodePem(name, pem, (label) => label === "CERTIFICATE");
  const longest = blocks.reduce((longest, { bytes }) => Math.max(longest, bytes.length), 0);
  if (longest > MAX_CHAIN) throw tooLong(name, `a certificate of ${longest} bytes`);
  if (blocks.length > 0) return blocks.map(({ bytes }) => bytes);
  throw new TlsError(
    "ERR_OSSL_PEM_NO_START_LINE",
    `"${name}" holds no "BEGIN CERTIFICATE": give the PEM text, not the name of its file`,
  );
}

/**
 * Reads names and dates of one DER certificate.
 *
 * @param name The option that it was given as, for errors.
 */
export function readCertificate(bytes: Uint8Array, name = "cert"): CertificateFacts {
  try {
    const { notBefore, notAfter, subject, extensions } = openCertificate(bytes);
    const alternative = alternativeNames(extensions);
    const names = alternative?.map(({ name }) => name) ?? commonNames(subject);
    return { names: names.map((name) => name.toLowerCase()), notBefore, notAfter };
  } catch (cause) {
    throw cause instanceof TlsError ? garbled(name, "certificate", cause) : cause;
  }
}

/** The parts of a certificate. */
export interface CertificateParts {
  /** All of it. */
  readonly bytes: Uint8Array;
  /** What is signed, how, and the signature. */
  readonly signed: Element;
  readonly algorithm: Element;
  readonly signature: Element;
  /** 1 to 3. */
  readonly version: number;
  readonly issuer: Element;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly subject: Element;
  readonly publicKey: Element;
  /** By the bytes of their IDs, joined by commas. */
  readonly extensions: ReadonlyMap<string, Element>;
  /** The IDs of those that nobody may pass over who does not know them. */
  readonly critical: readonly string[];
}

/** Takes a DER certificate apart. */
export function openCertificate(bytes: Uint8Array): CertificateParts {
  const [signed, algorithm, signature] = inside(elements(bytes)[0], Tag.sequence);
  const fields = inside(signed, Tag.sequence);
  let version = 1; // which has no such field
  if (fields[0]?.tag === context(0, true)) {
    const [number] = inside(fields.shift(), context(0, true));
    version = (number?.value[0] ?? 0) + 1;
  }
  const [_serial, _algorithm, issuer, validity, subject, publicKey, ...optional] = fields;
  const [notBefore, notAfter] = inside(validity, Tag.sequence);
  if (!signature || !publicKey || !notBefore || !notAfter) throw broken();
  return {
    bytes,
    signed,
    algorithm,
    signature,
    version,
    issuer,
    notBefore: readTime(notBefore),
    notAfter: readTime(notAfter),
    subject,
    publicKey,
    ...readExtensions(optional.find(({ tag }) => tag === context(3, true))),
  };
}

function readExtensions(
  list: Element | undefined,
): Pick<CertificateParts, "extensions" | "critical"> {
  const found: Map<string, Element> = new Map();
  const critical: string[] = [];
  if (list === undefined) return { extensions: found, critical };
  for (const extension of inside(inside(list, context(3, true))[0], Tag.sequence)) {
    const parts = inside(extension, Tag.sequence);
    const id = parts[0]?.value.join() ?? "";
    // Whoever reads the first of two would see another certificate than who reads the last.
    if (found.has(id)) throw broken();
    found.set(id, parts.at(-1)!); // after the optional "critical"
    if (parts.length > 2 && parts[1].value[0] !== 0) critical.push(id);
  }
  return { extensions: found, critical };
}

const SUBJECT_ALT_NAME = "85,29,17"; // 2.5.29.17
const COMMON_NAME = "85,4,3"; // 2.5.4.3

/** A DNS name, or an IP address as text. */
export interface AlternativeName {
  readonly name: string;
  readonly isIp: boolean;
}

/** What a certificate is for; `undefined` without the extension that says so. */
export function alternativeNames(
  extensions: CertificateParts["extensions"],
): AlternativeName[] | undefined {
  const extension = extensions.get(SUBJECT_ALT_NAME);
  if (extension === undefined) return undefined;
  const names = inside(elements(extension.value)[0], Tag.sequence);
  return names.flatMap(({ tag, value }): AlternativeName[] => {
    if (tag === context(2)) return [{ name: text(value), isIp: false }];
    const ip = tag === context(7) ? formatIp(value) : undefined;
    return ip === undefined ? [] : [{ name: ip, isIp: true }];
  });
}

function commonNames(subject: Element): string[] {
  return inside(subject, Tag.sequence)
    .flatMap((set) => inside(set, Tag.set))
    .map((attribute) => inside(attribute, Tag.sequence))
    .filter(([id, value]) => id?.value.join() === COMMON_NAME && value !== undefined)
    .map(([_id, { tag, value }]) =>
      tag === Tag.bmpString ? new TextDecoder("utf-16be").decode(value) : text(value)
    );
}

/** Every byte counts: a name behind a byte order mark is another one. */
function text(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

/** The first few names: a certificate may have thousands. */
function describe({ names }: CertificateFacts): string {
  if (names.length === 0) return "no name";
  const shown = names.slice(0, 3).map((name) => JSON.stringify(name.slice(0, 100))).join(", ");
  return names.length <= 3 ? shown : `${shown} and ${names.length - 3} more`;
}

/** The key as PEM that every engine reads, and to work with. */
function readKey(text: string): { pem: string; object: KeyObject } {
  const [block] = decodePem("key", text, (label) => label.endsWith("PRIVATE KEY"));
  if (!block) {
    throw new TlsError(
      "ERR_OSSL_PEM_NO_START_LINE",
      '"key" holds no "BEGIN \u2026 PRIVATE KEY": give the PEM text, not the name of its file',
    );
  }
  if (block.label === "ENCRYPTED PRIVATE KEY") throw encrypted("key");
  if (block.bytes.length > MAX_KEY) {
    throw garbled("key", "private key", undefined, `, ${block.bytes.length} bytes of it`);
  }
  const pem = encodePem(block.label, block.bytes);
  let object: KeyObject;
  try {
    object = nodeCrypto().createPrivateKey(pem);
  } catch (cause) {
    throw garbled("key", "private key", cause, `, or of a kind that cannot be used: ${USABLE}`);
  }
  checkKind(object);
  return { pem, object };
}

const USABLE = "give RSA of 2,048 bits or more, EC (P-256, P-384 or P-521) or Ed25519";
const CURVES = new Set(["prime256v1", "secp384r1", "secp521r1"]);

/** Refuses a key with which no handshake of Deno's or of Node's TLS here succeeds. */
export function checkKind({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): void {
  const { modulusLength = 0, namedCurve = "" } = asymmetricKeyDetails ?? {};
  if (asymmetricKeyType === "rsa") {
    if (modulusLength >= 2048) return;
    throw new TlsError(
      "ERR_SSL_EE_KEY_TOO_SMALL",
      `"key" is RSA of ${modulusLength} bits, which nobody accepts: ${USABLE}`,
    );
  }
  if (asymmetricKeyType === "ed25519") return;
  if (asymmetricKeyType === "ec" && CURVES.has(namedCurve)) return;
  const kind = asymmetricKeyType === "ec" ? `EC ${namedCurve}` : asymmetricKeyType;
  throw new TlsError("ERR_OSSL_UNSUPPORTED", `"key" is of the kind ${kind}: ${USABLE}`);
}

function keyMatches(certificate: Uint8Array, key: KeyObject): boolean {
  const { X509Certificate } = nodeCrypto();
  try {
    return new X509Certificate(certificate).checkPrivateKey(key);
  } catch (cause) {
    throw garbled("cert", "certificate", cause, ", or of an unknown kind");
  }
}

/** Tells a chain in the wrong order from a key that belongs to none of its certificates. */
function mismatch(
  blocks: readonly Uint8Array[],
  chain: readonly CertificateFacts[],
  key: KeyObject,
): TlsError {
  const owner = blocks.findIndex((bytes) => keyMatches(bytes, key));
  return new TlsError(
    "ERR_OSSL_X509_KEY_VALUES_MISMATCH",
    owner < 0
      ? `"key" does not belong to the certificate for ${describe(chain[0])}`
      : `"key" belongs to certificate ${owner + 1} of the chain, for ${describe(chain[owner])}: ` +
        "put that one first, then the one that issued it, and so on",
  );
}

function tooLong(name: string, what: string, most = MAX_CHAIN): TlsError {
  return new TlsError(
    "ERR_SSL_EXCESSIVE_MESSAGE_SIZE",
    `"${name}" holds ${what}, ${most} is the most` +
      (name === "cert"
        ? ": give the server's certificate and what leads to its authority, not a bundle"
        : ""),
  );
}

function garbled(name: string, what: string, cause: unknown, more = ""): TlsError {
  return new TlsError(
    "ERR_OSSL_ASN1_PARSE_ERROR",
    `"${name}" holds no readable ${what}: it is garbled${more}`,
    { cause },
  );
}
