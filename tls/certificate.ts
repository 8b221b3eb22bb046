// Checking a certificate and its key when they are given, not when the first client comes: a server
// that starts has a certificate that works.

import type { KeyObject } from "node:crypto";
import { CertificateError } from "./certificate_error.ts";
import { broken, context, type Element, elements, inside, readTime, Tag } from "./der.ts";
import { formatIp } from "./names.ts";
import { nodeCrypto } from "./builtins.ts";
import { decodePem, encrypted, type PemBlock } from "./pem.ts";
import type { CertificatePair } from "./x509.ts";

/** A pair that was checked. */
export interface CheckedPair extends CertificatePair {
  /** The DNS names and IP addresses of the first certificate, lower case. */
  readonly names: readonly string[];
  /** The chain is valid until here: the earliest end of its certificates. */
  readonly notAfter: Date;
}

/** What is read from one certificate. */
export interface CertificateFacts {
  /** DNS names and IP addresses of subjectAltName; without that extension, the common name. */
  names: string[];
  /** The first moment of validity. */
  notBefore: Date;
  /** The last moment of validity. */
  notAfter: Date;
}

/**
 * Checks a certificate chain and its key, and tells which names it is for.
 *
 * Every certificate of the chain must be readable and valid now; the key (PKCS#8, PKCS#1 or SEC1;
 * RSA or EC) must be that of the first. Who issued what is not checked: a server may send a chain
 * whose root only its clients know.
 *
 * @param pair The PEM texts.
 * @param now The time to check against.
 * @throws {TypeError} If `cert` or `key` is no string.
 * @throws {CertificateError} If the pair cannot be used; the codes are listed there.
 */
export function checkPair({ cert, key }: CertificatePair, now: Date = new Date()): CheckedPair {
  if (typeof cert !== "string") {
    throw new TypeError(
      `Cannot use the certificate: "cert" must be a PEM text, it is ${typeof cert}`,
    );
  }
  if (typeof key !== "string") {
    throw new TypeError(
      `Cannot use the certificate: "key" must be a PEM text, it is ${typeof key}`,
    );
  }

  const blocks = certificates(cert, "cert");
  const chain = blocks.map(({ bytes }) => readCertificate(bytes));
  chain.forEach((facts, index) => checkDates(facts, index, now));

  if (!keyMatches(blocks[0].bytes, readKey(key))) {
    throw new CertificateError(
      "ERR_OSSL_X509_KEY_VALUES_MISMATCH",
      `Cannot use the certificate: the key does not belong to the certificate for ${
        describe(chain[0])
      }`,
    );
  }
  return {
    cert,
    key,
    names: chain[0].names,
    notAfter: new Date(Math.min(...chain.map(({ notAfter }) => notAfter.getTime()))),
  };
}

/**
 * Checks the certificates a peer may be vouched for by, and gives each as a PEM text of its own.
 * Their dates are left to the handshake. Deno ignores a `caCerts` entry that holds no certificate;
 * an option that decides whom to trust must not vanish like that.
 *
 * @param ca One PEM text, or several; each may hold several certificates.
 * @throws {TypeError} If `ca` is neither a string nor an array of strings.
 * @throws {CertificateError} If an entry holds no certificate or a garbled one.
 */
export function checkAuthorities(ca: string | readonly string[]): string[] {
  const list: readonly unknown[] = Array.isArray(ca) ? ca : [ca];
  return list.flatMap((entry) => {
    if (typeof entry !== "string") {
      throw new TypeError(
        `Cannot use the authority: "ca" must be PEM texts, it holds ${typeof entry}`,
      );
    }
    const blocks = certificates(entry, "ca");
    for (const { bytes } of blocks) readCertificate(bytes);
    return blocks.map(({ text }) => text);
  });
}

function certificates(pem: string, name: string): PemBlock[] {
  const blocks = decodePem(pem, (label) => label === "CERTIFICATE");
  if (blocks.length > 0) return blocks;
  throw new CertificateError(
    "ERR_OSSL_PEM_NO_START_LINE",
    `Cannot use the certificate: "${name}" holds no "BEGIN CERTIFICATE"`,
  );
}

/** Reads names and dates of one DER certificate. */
export function readCertificate(bytes: Uint8Array): CertificateFacts {
  const [certificate] = elements(bytes);
  const fields = inside(inside(certificate, Tag.sequence)[0], Tag.sequence);
  if (fields[0]?.tag === context(0, true)) fields.shift(); // the version; version 1 has none
  const [_serial, _algorithm, _issuer, validity, subject, _publicKey, ...optional] = fields;
  const [notBefore, notAfter] = inside(validity, Tag.sequence);
  if (!notBefore || !notAfter) throw broken();
  const extensions = optional.find(({ tag }) => tag === context(3, true));
  return {
    names: (alternativeNames(extensions) ?? commonNames(subject)).map((name) => name.toLowerCase()),
    notBefore: readTime(notBefore),
    notAfter: readTime(notAfter),
  };
}

const SUBJECT_ALT_NAME = "85,29,17"; // 2.5.29.17
const COMMON_NAME = "85,4,3"; // 2.5.4.3

function alternativeNames(extensions: Element | undefined): string[] | undefined {
  if (!extensions) return undefined;
  for (const extension of inside(inside(extensions, context(3, true))[0], Tag.sequence)) {
    const parts = inside(extension, Tag.sequence);
    if (parts[0]?.value.join() !== SUBJECT_ALT_NAME) continue;
    const value = parts.at(-1)!.value; // after the optional "critical"
    return inside(elements(value)[0], Tag.sequence).flatMap(({ tag, value }) =>
      tag === context(2) ? [text(value)] : tag === context(7) ? formatIp(value) ?? [] : []
    );
  }
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

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function checkDates(facts: CertificateFacts, index: number, now: Date): void {
  const which = `${index === 0 ? "certificate" : `certificate ${index + 1} of the chain`} for ${
    describe(facts)
  }`;
  if (facts.notAfter < now) {
    throw new CertificateError(
      "CERT_HAS_EXPIRED",
      `Cannot use the ${which}: it expired on ${facts.notAfter.toISOString()}`,
    );
  }
  if (facts.notBefore > now) {
    throw new CertificateError(
      "CERT_NOT_YET_VALID",
      `Cannot use the ${which}: it is not valid before ${facts.notBefore.toISOString()}`,
    );
  }
}

function describe({ names }: CertificateFacts): string {
  return names.length === 0 ? "no name" : names.map((name) => `"${name}"`).join(", ");
}

function readKey(pem: string): KeyObject {
  const [block] = decodePem(pem, (label) => label.endsWith("PRIVATE KEY"));
  if (!block) {
    throw new CertificateError(
      "ERR_OSSL_PEM_NO_START_LINE",
      'Cannot use the certificate: "key" holds no "BEGIN … PRIVATE KEY"',
    );
  }
  if (block.label === "ENCRYPTED PRIVATE KEY") throw encrypted();
  try {
    return nodeCrypto().createPrivateKey(block.text);
  } catch (cause) {
    throw new CertificateError(
      "ERR_OSSL_ASN1_PARSE_ERROR",
      "Cannot read the key: it is garbled or of an unknown kind",
      { cause },
    );
  }
}

function keyMatches(certificate: Uint8Array, key: KeyObject): boolean {
  const { X509Certificate } = nodeCrypto();
  try {
    return new X509Certificate(certificate).checkPrivateKey(key);
  } catch (cause) {
    throw new CertificateError(
      "ERR_OSSL_ASN1_PARSE_ERROR",
      "Cannot read the certificate: it is garbled or of an unknown kind",
      { cause },
    );
  }
}
