// Signatures: every way that TLS knows with every kind of key, and those that look like one.

import { assertEquals } from "@std/assert";
import type { KeyObject } from "node:crypto";
import { encodePem } from "../../tls/core/pem.ts";
import { context, element, integer, oid, Tag } from "../../tls/core/der.ts";
import {
  type Algorithm,
  ALGORITHMS,
  bytes,
  type Forged,
  isAuthority,
  type Kind,
  make,
  makeKey,
  sequence,
} from "./forge.ts";
import { available, writeFiles } from "./openssl.ts";
import { leaf, localhost, rootKey, server, SIGNATURE, strangersKey, UNREADABLE } from "./peers.ts";

const kinds: Kind[] = ["P-256", "P-384", "P-521", "secp256k1", "ed25519", "rsa", "weak rsa"];
const keys = Object.fromEntries(kinds.map((kind) => [kind, makeKey(kind)]));
/** Another key for each: of RSA, which takes long to make, the other one. */
const others = Object.fromEntries(kinds.map((kind) => {
  if (!kind.endsWith("rsa")) return [kind, makeKey(kind)];
  return [kind, keys[kind === "rsa" ? "weak rsa" : "rsa"]];
}));

/** An authority of this key. */
const signer = (key: KeyObject) =>
  // It may be signed in any way: nobody verifies that.
  make({ signer: rootKey, issuer: "Root", subject: "Signer", key, extensions: [isAuthority()] });

/** A server's certificate by an authority of this key, which is listed. */
function signedBy(key: KeyObject, algorithm: Algorithm, more: Partial<Forged> = {}): string {
  const signed = make({
    issuer: "Signer",
    subject: "x",
    signer: key,
    algorithm,
    extensions: [localhost],
    ...more,
  });
  return server([signed], [signer(key)]);
}

/** Which kinds of keys sign in which way; Deno's cannot over a hash that is far shorter than the key. */
function canSign(kind: Kind, way: string): boolean {
  if (way === "Ed25519") return kind === "ed25519";
  if (way === "PSS, SHA-512") return kind === "rsa"; // the weak one is too short for it
  if (!way.startsWith("ECDSA")) return kind.endsWith("rsa");
  if (kind === "P-521") return !/SHA-(1|256)$/.test(way);
  return kind === "secp256k1" || kind === "P-256" || kind === "P-384" && way !== "ECDSA, SHA-1";
}

Deno.test("serverObjection() verifies signatures of every kind of key that TLS knows, over SHA-2", () => {
  const accepted: string[] = [];
  for (const [way, algorithm] of Object.entries(ALGORITHMS)) {
    for (const kind of kinds.filter((one) => canSign(one, way))) {
      const found = signedBy(keys[kind], algorithm);
      if (found === "fine") accepted.push(`${way} by ${kind}`);
      else assertEquals(found, SIGNATURE);
    }
  }
  const ecdsa = ["SHA-256", "SHA-384", "SHA-512"]
    .flatMap((hash) => ["P-256", "P-384", "P-521"].map((kind) => `ECDSA, ${hash} by ${kind}`))
    .filter((one) => one !== "ECDSA, SHA-256 by P-521");
  const rsa = ["RSA", "PSS"]
    .flatMap((way) => ["SHA-256", "SHA-384", "SHA-512"].map((hash) => `${way}, ${hash} by rsa`));
  assertEquals(accepted, [...ecdsa, ...rsa, "Ed25519 by ed25519"]);
});

Deno.test("serverObjection() takes no signature of another key, another way or another text", () => {
  for (const [way, algorithm] of Object.entries(ALGORITHMS)) {
    const able = kinds.filter((one) => canSign(one, way));
    for (const kind of able) {
      if (way === "PSS, SHA-512") continue; // the other one is too short for it
      assertEquals(signedBy(keys[kind], algorithm, { signer: others[kind] }), SIGNATURE, way);
    }
    for (const kind of kinds.filter((one) => !able.includes(one))) {
      const more = { signer: keys[able[0]] };
      assertEquals(signedBy(keys[kind], algorithm, more), SIGNATURE, `${way} by ${kind}`);
    }
  }
});

Deno.test("serverObjection() takes a signature for what it is said to be", () => {
  const said = (der: Uint8Array, hash: string | null): Algorithm => ({ der, hash });
  const ecdsa = ALGORITHMS["ECDSA, SHA-256"];
  const rsa = ALGORITHMS["RSA, SHA-256"];
  const { rsa: rsaKey, ed25519 } = keys;
  assertEquals(
    [
      signedBy(rootKey, said(rsa.der, "sha256")),
      signedBy(rsaKey, said(ecdsa.der, "sha256")),
      signedBy(rootKey, said(ALGORITHMS["ECDSA, SHA-384"].der, "sha256")),
      signedBy(rsaKey, said(ALGORITHMS["PSS, SHA-256"].der, "sha256")),
      signedBy(rsaKey, { ...ALGORITHMS["PSS, SHA-256"], salt: 20 }),
      signedBy(rsaKey, { ...ALGORITHMS["PSS, SHA-256"], der: rsa.der }),
      signedBy(ed25519, said(ecdsa.der, null)),
      signedBy(rootKey, said(ALGORITHMS["Ed25519"].der, "sha256")),
      signedBy(rootKey, said(sequence(oid("1.2.3.4")), "sha256")),
      signedBy(rootKey, said(sequence(), "sha256")),
    ],
    Array(10).fill(SIGNATURE),
  );
});

Deno.test("serverObjection() takes no RSASSA-PSS without its hash", () => {
  const pss = oid("1.2.840.113549.1.1.10");
  const wrapped = (...parts: Uint8Array[]) => sequence(pss, sequence(...parts));
  const how = (der: Uint8Array): Algorithm => ({ ...ALGORITHMS["PSS, SHA-256"], der });
  assertEquals(
    [
      sequence(pss),
      wrapped(),
      wrapped(element(context(0, true))),
      wrapped(element(context(0, true), integer(bytes(1)))),
    ].map((der) => signedBy(keys.rsa, how(der))),
    Array(4).fill(UNREADABLE),
  );
  const empty = wrapped(element(context(0, true), sequence()));
  assertEquals(signedBy(keys.rsa, how(empty)), SIGNATURE);
});

Deno.test("serverObjection() takes no signature that is garbled, or of a key that is", () => {
  const flipped = (parts: Uint8Array[]) => {
    const bits = parts[2].slice();
    bits[bits.length - 1] ^= 1;
    return parts.with(2, bits);
  };
  const none = (parts: Uint8Array[]) => parts.with(2, element(Tag.bitString, bytes(0)));
  assertEquals([server([leaf({ parts: flipped })]), server([leaf({ parts: none })])], [
    SIGNATURE,
    SIGNATURE,
  ]);
  assertEquals(server([leaf({ signer: strangersKey })]), SIGNATURE);
  const noKey = sequence(sequence(oid("1.2.3.4")), element(Tag.bitString, bytes(0, 1)));
  const authority = make({
    issuer: "Signer",
    subject: "Signer",
    extensions: [isAuthority()],
    fields: (all) => all.with(6, noKey),
  });
  const signed = make({ issuer: "Signer", subject: "x", extensions: [localhost] });
  assertEquals(server([signed], [authority]), SIGNATURE);
});

Deno.test({
  name: "serverObjection() takes what openssl takes, of every way to sign" +
    (available ? "" : " (skipped: there is no openssl program here)"),
  ignore: !available,
  fn: async () => {
    using files = writeFiles();
    for (const [way, algorithm] of Object.entries(ALGORITHMS)) {
      if (way.endsWith("SHA-1")) continue;
      const key = keys[kinds.find((kind) => kind !== "secp256k1" && canSign(kind, way))!];
      const signed = make({ issuer: "Signer", subject: "x", signer: key, algorithm });
      const [authority, leaf] = [signer(key), signed].map(({ der }, i) =>
        files.write(`${i}.pem`, encodePem("CERTIFICATE", der))
      );
      const args = ["verify", "-partial_chain", "-trusted", authority, leaf];
      const { success, stderr } = await new Deno.Command("openssl", { args }).output();
      assertEquals([success, new TextDecoder().decode(stderr)], [true, ""], way);
      assertEquals(server([signed], [signer(key)]), "fine", way);
    }
  },
});
