// X.509 v3 certificates (RFC 5280), written: EC P-256 keys, signed with ECDSA and SHA-256.
// `selfsigned` is its public face; the tests use the rest (own CA, dates, chains) so that they need
// no `openssl` for their certificates.

import type { CertificatePair } from "./types.ts";
import { concat, context, element, integer, oid, Tag, time } from "./der.ts";
import { parseDnsName, parseIp } from "./names.ts";
import { nodeCrypto } from "./builtins.ts";
import { encodePem } from "./pem.ts";

/** What {@linkcode issue} writes. */
export interface IssueOptions {
  /** DNS names and IP addresses; the first one is the subject's common name too. */
  names: readonly string[];
  /** The first moment of validity. */
  notBefore: Date;
  /** The last moment of validity. */
  notAfter: Date;
  /** May it sign others? @default {false} */
  ca?: boolean;
  /** Who signs: its common name and key. @default the certificate itself */
  issuer?: { name: string; key: string };
}

/** Makes a new key and a certificate for it. */
export function issue(
  { names, notBefore, notAfter, ca = false, issuer }: IssueOptions,
): CertificatePair {
  const crypto = nodeCrypto();
  const { publicKey, privateKey } = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signer = issuer ? crypto.createPrivateKey(issuer.key) : privateKey;
  // ecdsa-with-SHA256, which has no parameters
  const algorithm = element(Tag.sequence, oid("1.2.840.10045.4.3.2"));
  const content = element(
    Tag.sequence,
    element(context(0, true), integer(new Uint8Array([2]))), // version 3
    // The serial number: random, so that it is never used twice.
    integer(globalThis.crypto.getRandomValues(new Uint8Array(16))),
    algorithm,
    commonName(issuer?.name ?? names[0]),
    element(Tag.sequence, time(notBefore), time(notAfter)),
    commonName(names[0]),
    new Uint8Array(publicKey.export({ type: "spki", format: "der" })),
    element(context(3, true), element(Tag.sequence, ...extensions(names, ca))),
  );
  const signature = new Uint8Array(crypto.sign("sha256", content, signer));
  return {
    cert: encodePem("CERTIFICATE", element(Tag.sequence, content, algorithm, bits(0, signature))),
    key: String(privateKey.export({ type: "pkcs8", format: "pem" })),
  };
}

function commonName(name: string): Uint8Array {
  // The standard allows 64 characters; whoever has a longer name is found by subjectAltName, which
  // is all that counts today.
  const value = element(Tag.utf8String, new TextEncoder().encode(name.slice(0, 64)));
  return element(Tag.sequence, element(Tag.set, element(Tag.sequence, oid("2.5.4.3"), value)));
}

function extensions(names: readonly string[], ca: boolean): Uint8Array[] {
  const yes = element(Tag.boolean, new Uint8Array([0xff]));
  return [
    // basicConstraints: what is no CA has an empty sequence, the default being false. rustls
    // refuses a CA as a server's certificate.
    extension("2.5.29.19", true, element(Tag.sequence, ...(ca ? [yes] : []))),
    // keyUsage: keyCertSign and cRLSign (bits 5 and 6), or digitalSignature (bit 0)
    extension(
      "2.5.29.15",
      true,
      ca ? bits(1, new Uint8Array([0x06])) : bits(7, new Uint8Array([0x80])),
    ),
    // extendedKeyUsage: serverAuth, and clientAuth so that the same certificate can serve a client
    ...(ca ? [] : [
      extension(
        "2.5.29.37",
        false,
        element(Tag.sequence, oid("1.3.6.1.5.5.7.3.1"), oid("1.3.6.1.5.5.7.3.2")),
      ),
      extension("2.5.29.17", false, element(Tag.sequence, ...names.map(generalName))),
    ]),
  ];
}

function extension(id: string, critical: boolean, value: Uint8Array): Uint8Array {
  const flag = critical ? [element(Tag.boolean, new Uint8Array([0xff]))] : [];
  return element(Tag.sequence, oid(id), ...flag, element(Tag.octetString, value));
}

function generalName(name: string): Uint8Array {
  const ip = parseIp(name);
  if (ip) return element(context(7), ip);
  return element(context(2), new TextEncoder().encode(parseDnsName(name) ?? name));
}

/** A BIT STRING whose last byte has `unused` bits to spare. */
function bits(unused: number, value: Uint8Array): Uint8Array {
  return element(Tag.bitString, concat([new Uint8Array([unused]), value]));
}
