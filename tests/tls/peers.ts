// Peers' certificates without a connection: a root, those below it, and what becomes of whoever sends them.

import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import type { KeyObject } from "node:crypto";
import type { DetailedPeerCertificate } from "node:tls";
import { clientObjection, serverObjection } from "../../tls/core/chain.ts";
import type { TlsError } from "../../tls/core/codes.ts";
import { encodePem } from "../../tls/core/pem.ts";
import { alternative, dns, type Forged, isAuthority, type Made, make, makeKey } from "./forge.ts";

// What is said of them.
export const FORM = "CERT_REJECTED: certificate is not of version 3, or not encoded strictly";
export const NOT_MEANT = "INVALID_PURPOSE: certificate is not meant for this use";
export const NO_AUTHORITY = "INVALID_PURPOSE: who vouches for the certificate is no authority";
export const SIGNATURE = "CERT_SIGNATURE_FAILURE: bad signature";
export const UNREADABLE = "CERT_REJECTED: a certificate cannot be read";

export const rootKey: KeyObject = makeKey();
export const middleKey: KeyObject = makeKey();
export const leafKey: KeyObject = makeKey();
export const strangersKey: KeyObject = makeKey();
export const localhost: Uint8Array = alternative(dns("localhost"));

/** A server's certificate of the root's. */
export const leaf = (more: Partial<Forged> = {}): Made =>
  make({
    issuer: "Root",
    subject: "leaf",
    signer: rootKey,
    key: leafKey,
    extensions: [localhost],
    ...more,
  });
/** An authority of the root's. */
export const middle = (more: Partial<Forged> = {}): Made =>
  make({
    issuer: "Root",
    subject: "Middle",
    signer: rootKey,
    key: middleKey,
    extensions: [isAuthority()],
    ...more,
  });
/** A server's certificate of that one's. */
export const below = (more: Partial<Forged> = {}): Made =>
  leaf({ issuer: "Middle", signer: middleKey, ...more });
/** What is listed. */
export const root = (more: Partial<Forged> = {}): Made =>
  make({
    issuer: "Root",
    subject: "Root",
    key: rootKey,
    extensions: [isAuthority()],
    ...more,
  });
export const theRoot: Made = root();

/** A peer as `node:tls` gives it: each certificate leads to the one that was sent behind it. */
export function peerOf(...sent: (Made | Uint8Array)[]): DetailedPeerCertificate {
  const [first, ...rest] = sent;
  const raw = Buffer.from("der" in first ? first.der : first); // as it is there
  const issuerCertificate = rest.length > 0 ? peerOf(...rest) : undefined;
  return { raw, ...(issuerCertificate && { issuerCertificate }) } as DetailedPeerCertificate;
}

export const listOf = (...made: Made[]): string[] =>
  made.map(({ der }) => encodePem("CERTIFICATE", der));

/** What is wrong, in words. */
export const outcome = (objection: TlsError | undefined): string =>
  objection === undefined ? "fine" : `${objection.code}: ${objection.message}`;

/** What becomes of a server that has sent these. */
export function server(
  sent: (Made | Uint8Array)[],
  listed: Made[] = [theRoot],
  host?: string,
): string {
  return outcome(serverObjection(peerOf(...sent), listOf(...listed), host));
}

export function client(
  sent: (Made | Uint8Array)[],
  listed: Made[] = [theRoot],
  now = Date.now(),
): string {
  return outcome(clientObjection(peerOf(...sent), listOf(...listed), now));
}

/** Runs a table: what there is, how it comes out, and how it should. */
export function table(
  rows: readonly (readonly [what: string, found: string, wanted: string])[],
): void {
  assertEquals(
    rows.map(([what, found]) => `${what}: ${found}`),
    rows.map(([what, _found, wanted]) => `${what}: ${wanted}`),
  );
}

/** Another one in the place of a field, or a part. */
export const replaced = (at: number, by: Uint8Array) => (all: Uint8Array[]): Uint8Array[] =>
  all.with(at, by);
