// Certificates as no library would write them: every field can be another one, with any key and algorithm.

import { Buffer } from "node:buffer";
import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import { context, element, integer, oid, Tag, time } from "../../tls/core/der.ts";
import { encodePem } from "../../tls/core/pem.ts";
import type { CertificatePair } from "../../tls/core/types.ts";
import { inDays } from "./helpers.ts";

export const text = (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(value);
export const bytes = (...values: number[]): Uint8Array<ArrayBuffer> => Uint8Array.from(values);
export const sequence = (...parts: Uint8Array[]): Uint8Array<ArrayBuffer> =>
  element(Tag.sequence, ...parts);
export const yes: Uint8Array = element(Tag.boolean, bytes(0xff));
export const no: Uint8Array = element(Tag.boolean, bytes(0));

/** A distinguished name of one part. */
export const name = (cn: string, tag: number = Tag.utf8String): Uint8Array =>
  sequence(element(Tag.set, sequence(oid("2.5.4.3"), element(tag, text(cn)))));

export const extension = (id: string, value: Uint8Array, critical = false): Uint8Array =>
  sequence(oid(id), ...(critical ? [yes] : []), element(Tag.octetString, value));
export const dns = (value: string): Uint8Array => element(context(2), text(value));
export const ip = (...values: number[]): Uint8Array => element(context(7), bytes(...values));
export const alternative = (...names: Uint8Array[]): Uint8Array =>
  extension("2.5.29.17", sequence(...names));

/** basicConstraints of an authority. */
export const isAuthority = (...limit: number[]): Uint8Array =>
  extension("2.5.29.19", sequence(yes, ...limit.map((n) => element(Tag.integer, bytes(n)))), true);
export const keyUsage = (...bits: number[]): Uint8Array =>
  extension("2.5.29.15", element(Tag.bitString, bytes(...bits)), true);
export const extendedKeyUsage = (...ids: string[]): Uint8Array =>
  extension("2.5.29.37", sequence(...ids.map(oid)));
export const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
export const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/** nameConstraints: each name is one that is permitted, or excluded. */
export const nameConstraints = (permitted: Uint8Array[], excluded: Uint8Array[] = []): Uint8Array =>
  extension(
    "2.5.29.30",
    sequence(
      ...[permitted, excluded].flatMap((names, i) =>
        names.length > 0 ? [element(context(i, true), ...names.map((one) => sequence(one)))] : []
      ),
    ),
    true,
  );

/** Keys by what they are; they are made once each. */
export type Kind = "P-256" | "P-384" | "P-521" | "secp256k1" | "ed25519" | "rsa" | "weak rsa";

export function makeKey(kind: Kind = "P-256"): KeyObject {
  if (kind === "ed25519") return generateKeyPairSync("ed25519").privateKey;
  if (kind === "rsa") return generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  if (kind === "weak rsa") return generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey;
  return generateKeyPairSync("ec", { namedCurve: kind }).privateKey;
}

/** A way to sign, as it stands in a certificate, and by which hash it is done. */
export interface Algorithm {
  readonly der: Uint8Array;
  readonly hash: string | null;
  readonly salt?: number;
}

const NULL = element(0x05);
const algorithm = (id: string, hash: string | null, ...parameters: Uint8Array[]): Algorithm => ({
  der: sequence(oid(id), ...parameters),
  hash,
});
const pss = (id: string, hash: string, salt: number): Algorithm => ({
  der: sequence(
    oid("1.2.840.113549.1.1.10"),
    sequence(
      element(context(0, true), sequence(oid(id), NULL)),
      element(
        context(1, true),
        sequence(oid("1.2.840.113549.1.1.8"), sequence(oid(id), NULL)),
      ),
      element(context(2, true), integer(bytes(salt))),
    ),
  ),
  hash,
  salt,
});

export const ALGORITHMS = {
  "ECDSA, SHA-1": algorithm("1.2.840.10045.4.1", "sha1"),
  "ECDSA, SHA-256": algorithm("1.2.840.10045.4.3.2", "sha256"),
  "ECDSA, SHA-384": algorithm("1.2.840.10045.4.3.3", "sha384"),
  "ECDSA, SHA-512": algorithm("1.2.840.10045.4.3.4", "sha512"),
  "RSA, SHA-1": algorithm("1.2.840.113549.1.1.5", "sha1", NULL),
  "RSA, SHA-256": algorithm("1.2.840.113549.1.1.11", "sha256", NULL),
  "RSA, SHA-384": algorithm("1.2.840.113549.1.1.12", "sha384", NULL),
  "RSA, SHA-512": algorithm("1.2.840.113549.1.1.13", "sha512", NULL),
  "PSS, SHA-256": pss("2.16.840.1.101.3.4.2.1", "sha256", 32),
  "PSS, SHA-384": pss("2.16.840.1.101.3.4.2.2", "sha384", 48),
  "PSS, SHA-512": pss("2.16.840.1.101.3.4.2.3", "sha512", 64),
  "PSS, SHA-1": pss("1.3.14.3.2.26", "sha1", 20),
  "Ed25519": algorithm("1.3.101.112", null),
} satisfies Record<string, Algorithm>;

type Fields = (fields: Uint8Array[]) => Uint8Array[];

export interface Forged {
  issuer: string | Uint8Array;
  subject: string | Uint8Array;
  /** Its own, or whose key it is that it is signed with. */
  signer?: string | KeyObject;
  /** Its own. */
  key?: KeyObject;
  algorithm?: Algorithm;
  version?: 1 | 3;
  extensions?: Uint8Array[];
  /** From when to when it is valid, in days from now. */
  days?: [number, number];
  /** Comes behind it in the chain, PEM. */
  chain?: string;
  /** Changes the fields that are signed: version, serial, algorithm, issuer, validity, subject, key … */
  fields?: Fields;
  /** Changes the three parts of the whole. */
  parts?: Fields;
}

/** A certificate's bytes, and its key. */
export interface Made {
  readonly der: Uint8Array;
  readonly key: KeyObject;
}

/** Makes a certificate, its bytes alone. */
export function make(
  {
    signer,
    issuer,
    subject,
    key = makeKey(),
    algorithm = ALGORITHMS["ECDSA, SHA-256"],
    version = 3,
    extensions = [],
    days = [-1, 1],
    fields = (all) => all,
    parts = (all) => all,
  }: Forged,
): Made {
  const nameOf = (one: string | Uint8Array) => typeof one === "string" ? name(one) : one;
  const spki = createPublicKey(key as never).export({ type: "spki", format: "der" });
  const content = sequence(...fields([
    ...(version === 3 ? [element(context(0, true), integer(bytes(2)))] : []),
    integer(crypto.getRandomValues(new Uint8Array(8))),
    algorithm.der,
    nameOf(issuer),
    sequence(...days.map((day) => time(inDays(day)))),
    nameOf(subject),
    new Uint8Array(spki),
    ...(extensions.length > 0 ? [element(context(3, true), sequence(...extensions))] : []),
  ]));
  const signed = element(Tag.bitString, bytes(0), signature(content, signer ?? key, algorithm));
  return { der: sequence(...parts([content, algorithm.der, signed])), key };
}

/** The same as PEM, with what comes behind it in the chain. */
export function forge({ chain = "", ...forged }: Forged): CertificatePair {
  const { der, key } = make(forged);
  return {
    cert: encodePem("CERTIFICATE", der) + chain,
    key: String(key.export({ type: "pkcs8", format: "pem" })),
  };
}

function signature(
  content: Uint8Array,
  signer: string | KeyObject,
  { hash, salt }: Algorithm,
): Uint8Array {
  const key = typeof signer === "string" ? createPrivateKey(signer) : signer;
  const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: salt };
  return new Uint8Array(
    sign(hash, Buffer.from(content), (salt === undefined ? key : { key, ...padding }) as never),
  );
}
