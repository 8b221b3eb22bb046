// A certificate is read in one way only, or refused: one deviation from the form at a time, each signed as
// it is.

import { rootCertificates } from "node:tls";
import { openCertificate } from "../../tls/core/certificate.ts";
import { concat, context, element, elements, integer, oid, Tag, time } from "../../tls/core/der.ts";
import { assertEquals } from "@std/assert";
import {
  ALGORITHMS,
  bytes,
  extension,
  type Forged,
  type Made,
  makeKey,
  name,
  no,
  sequence,
  SERVER_AUTH,
  text,
} from "./forge.ts";
import { decodePem } from "../../tls/core/pem.ts";
import { isStrict } from "../../tls/core/strict.ts";
import { inDays } from "./helpers.ts";
import { leaf, localhost, replaced, root, server, theRoot } from "./peers.ts";

const behind = (more: Uint8Array) => (all: Uint8Array[]) => [...all, more];
/** Where each field stands in what is signed, and each part in the whole. */
const [VERSION, SERIAL, ALGORITHM, ISSUER, VALIDITY, SUBJECT, KEY, EXTENSIONS] = [
  ...Array(8).keys(),
];
const [, HOW, SIGNED] = [...Array(3).keys()];
const NULL = bytes(5, 0);
const spki = (made: Made) => openCertificate(made.der).publicKey;
const valid = [time(inDays(-1)), time(inDays(1))];
const utc = (value: string) => element(Tag.utcTime, text(value));

/** An element whose length takes one byte more than it must. */
function long(tag: number, value: Uint8Array): Uint8Array {
  const { length } = value;
  if (length < 0x80) return concat([bytes(tag, 0x81, length), value]);
  if (length < 0x100) return concat([bytes(tag, 0x82, 0, length), value]);
  return concat([bytes(tag, 0x83, 0, length >> 8, length & 0xff), value]);
}

/** Sequences in one another, so many. */
const nested = (levels: number): Uint8Array =>
  levels === 0 ? bytes() : sequence(nested(levels - 1));

const version = (...value: number[]) =>
  element(context(0, true), element(Tag.integer, bytes(...value)));
const other = "1.2.3.4";
const edKey = makeKey("ed25519");

/** What extensions hold that are read. */
const held: Record<string, Uint8Array> = {
  "2.5.29.15": element(Tag.bitString, bytes(7, 0x80)),
  "2.5.29.17": sequence(element(context(2), text("localhost"))),
  "2.5.29.19": sequence(),
  "2.5.29.30": sequence(),
  "2.5.29.31": sequence(),
  "2.5.29.37": sequence(oid(SERVER_AUTH)),
  "1.3.6.1.4.1.11129.2.4.2": element(Tag.octetString, bytes(1)),
};

/** Forms of a leaf, and whether one is right; each is signed as it is. */
const forms: [what: string, more: Partial<Forged>, isFine?: true][] = [
  ["as it should be", {}, true],
  ["version 1", { version: 1 }],
  ["version 2", { fields: replaced(VERSION, version(1)) }],
  ["version 4", { fields: replaced(VERSION, version(3)) }],
  ["version of two bytes", { fields: replaced(VERSION, version(2, 0)) }],
  ["version of another type", {
    fields: replaced(VERSION, element(context(0, true), element(0x0a, bytes(2)))),
  }],
  ["two versions", {
    fields: replaced(VERSION, element(context(0, true), integer(bytes(2)), integer(bytes(2)))),
  }],
  ["serial number of another type", { fields: replaced(SERIAL, NULL) }],
  [
    "a negative serial number",
    { fields: replaced(SERIAL, element(Tag.integer, bytes(0x80))) },
    true,
  ],
  ["another algorithm than is signed", {
    fields: replaced(ALGORITHM, ALGORITHMS["ECDSA, SHA-384"].der),
  }],
  ["another algorithm than obeyed, of the same length", {
    parts: replaced(HOW, ALGORITHMS["ECDSA, SHA-512"].der),
  }],
  ["algorithms that are no sequences", {
    fields: replaced(ALGORITHM, element(Tag.set, oid(other))),
    parts: replaced(HOW, element(Tag.set, oid(other))),
  }],
  ["an issuer that is a set", { fields: replaced(ISSUER, element(Tag.set)) }],
  ["a validity that is a set", { fields: replaced(VALIDITY, element(Tag.set, ...valid)) }],
  ["three dates", { fields: replaced(VALIDITY, sequence(...valid, valid[1])) }],
  ["the first date of another type", {
    fields: replaced(VALIDITY, sequence(element(0x16, valid[0].slice(2)), valid[1])),
  }],
  ["the second date of another type", {
    fields: replaced(VALIDITY, sequence(valid[0], element(0x16, valid[1].slice(2)))),
  }],
  ["valid since the last second before 1970", {
    fields: replaced(VALIDITY, sequence(utc("691231235959Z"), valid[1])),
  }],
  ["valid since 1970", {
    fields: replaced(VALIDITY, sequence(utc("700101000000Z"), valid[1])),
  }, true],
  ["valid until a century from now", {
    fields: replaced(VALIDITY, sequence(valid[0], time(new Date("2126-01-01T00:00:00Z")))),
  }, true],
  ["a subject that is a set", { fields: replaced(SUBJECT, element(Tag.set)) }],
  ["a key that is a set", {
    fields: replaced(KEY, element(Tag.set, spki(theRoot).value)),
  }],
  ["a key of three parts", { fields: replaced(KEY, sequence(spki(theRoot).value, NULL)) }],
  ["a key of one part", { fields: replaced(KEY, sequence(sequence())) }],
  ["a key that does not end with a byte", {
    fields: replaced(KEY, sequence(sequence(), element(Tag.bitString, bytes(1, 2)))),
  }],
  ["a key that is empty", { fields: replaced(KEY, sequence(sequence(), element(Tag.bitString))) }],
  ["a key in an octet string", {
    fields: replaced(KEY, sequence(sequence(), element(Tag.octetString, bytes(0, 2)))),
  }],
  ["an ID of the issuer", {
    fields: (all) => all.toSpliced(EXTENSIONS, 0, element(0x81, bytes(0))),
  }],
  ["no extensions but another field", {
    extensions: [],
    fields: behind(element(0x81, bytes(0))),
  }],
  ["no extensions", { extensions: [] }, true],
  ["something behind the extensions", { fields: behind(NULL) }],
  ["two lists of extensions", {
    fields: replaced(EXTENSIONS, element(context(3, true), sequence(localhost), sequence())),
  }],
  ["extensions in a set", {
    fields: replaced(EXTENSIONS, element(context(3, true), element(Tag.set, localhost))),
  }],
  ["a part behind the signature", { parts: behind(NULL) }],
  ["a signature that does not end with a byte", {
    parts: (all) => all.with(SIGNED, element(Tag.bitString, bytes(1), all[SIGNED].slice(3))),
  }],
  ["a signature in an octet string", {
    parts: (all) => all.with(SIGNED, element(Tag.octetString, all[SIGNED].slice(2))),
  }],
  ["a length too long, below 128", { fields: replaced(SERIAL, long(Tag.integer, bytes(1))) }],
  ["a length too long, from 128", {
    extensions: [
      localhost,
      extension(other, bytes()),
      long(Tag.sequence, extension(other, new Uint8Array(140)).slice(3)),
    ],
  }],
  ["a length too long, from 256", {
    extensions: [long(Tag.sequence, extension(other, new Uint8Array(300)).slice(4))],
  }],
  ["long lengths as they must be", {
    extensions: [
      extension(other, new Uint8Array(0x7f)),
      extension("1.2.3.5", new Uint8Array(0x80)),
      extension("1.2.3.6", new Uint8Array(0xff)),
      extension("1.2.3.7", new Uint8Array(0x100)),
    ],
  }, true],
  ["a length too long in what an extension holds", {
    extensions: [extension("2.5.29.19", long(Tag.sequence, bytes()))],
  }],
  ["a boolean of 1", {
    extensions: [sequence(oid(other), element(Tag.boolean, bytes(1)), element(4))],
  }],
  ["a boolean of no byte", {
    extensions: [sequence(oid(other), element(Tag.boolean), element(4))],
  }],
  ["a boolean of two bytes", {
    extensions: [sequence(oid(other), element(Tag.boolean, bytes(0, 0)), element(4))],
  }],
  ["a boolean that says yes", { extensions: [extension("2.5.29.31", sequence(), true)] }, true],
  ["a boolean that says no", { extensions: [sequence(oid(other), no, element(4))] }, true],
  ["a type that goes on in the next byte", { subject: name("x", 0x1f) }],
  ["the same, constructed", { subject: sequence(bytes(0xbf, 0)) }],
  ["the last type that does not", { subject: name("x", 0x1e) }, true],
  ["elements in one another, 31", { subject: nested(31) }, true],
  ["elements in one another, 32", { subject: nested(32) }],
  ["an extension in a set", {
    extensions: [element(Tag.set, oid(other), element(Tag.octetString))],
  }],
  ["an extension of one part", { extensions: [sequence(element(Tag.octetString))] }],
  ["an extension of four parts", { extensions: [sequence(oid(other), no, no, element(4))] }],
  ["an extension whose ID is none", { extensions: [sequence(NULL, element(4))] }],
  ["an extension that is critical by no boolean", {
    extensions: [sequence(oid(other), NULL, element(4))],
  }],
  ["an extension that holds no bytes", { extensions: [sequence(oid(other), NULL)] }],
  ["an extension that nobody knows, of nonsense", {
    extensions: [extension(other, bytes(1, 2, 3))],
  }, true],
  ["basicConstraints of a length", {
    extensions: [extension("2.5.29.19", sequence(integer(bytes(1))))],
  }, true],
  ["basicConstraints that say no", { extensions: [extension("2.5.29.19", sequence(no))] }, true],
  ["basicConstraints that say no, and a length", {
    extensions: [extension("2.5.29.19", sequence(no, integer(bytes(1))))],
  }, true],
  ["basicConstraints of two lengths", {
    extensions: [extension("2.5.29.19", sequence(integer(bytes(1)), integer(bytes(1))))],
  }],
  ["basicConstraints of something else", { extensions: [extension("2.5.29.19", sequence(NULL))] }],
  ["a use that is none", {
    extensions: [extension("2.5.29.37", sequence(oid(SERVER_AUTH), NULL))],
  }],
  ["no use at all", { extensions: [extension("2.5.29.37", sequence())] }],
  ...Object.keys(held).flatMap((id): [string, Partial<Forged>, true?][] => [
    [`nothing in ${id}`, { extensions: [extension(id, bytes())] }],
    [`another type in ${id}`, { extensions: [extension(id, NULL)] }],
    [`two elements in ${id}`, {
      extensions: [extension(id, concat(Array(2).fill(held[id])))],
    }],
    [`what belongs in ${id}`, { extensions: [extension(id, held[id])] }, true],
  ]),
];

/** How a server comes out that shows these bytes: "fine", or the code. */
const codeOf = (shown: Made | Uint8Array) => server([shown]).split(":")[0];

/** What is said of the form alone; what cannot be read at all is not strict either. */
function verdictOn({ der }: Made): boolean {
  try {
    return isStrict(der);
  } catch {
    return false;
  }
}

Deno.test("isStrict() takes a certificate of no other form than RFC 5280's, and serverObjection() none that it refuses", () => {
  const shown = forms.map(([what, more, isFine = false]) => ({ what, isFine, made: leaf(more) }));
  assertEquals(
    shown.map(({ what, made }) => `${what}: ${verdictOn(made)}, ${codeOf(made)}`),
    shown.map(({ what, isFine }) => `${what}: ${isFine}, ${isFine ? "fine" : "CERT_REJECTED"}`),
  );
});

Deno.test("serverObjection() refuses bytes around a certificate, and too many in it", () => {
  const { der } = leaf();
  const whole = der.slice(4);
  for (
    const shown of [
      concat([der, NULL]),
      concat([der, bytes(0)]),
      long(Tag.sequence, whole),
      element(Tag.set, whole),
      bytes(),
      bytes(0x30, 0),
      NULL,
    ]
  ) assertEquals(codeOf(shown), "CERT_REJECTED");
});

Deno.test("serverObjection() takes a certificate of 65,534 bytes, and none of 65,535", () => {
  const sized = (more: number) =>
    leaf({
      algorithm: ALGORITHMS["Ed25519"],
      signer: edKey,
      issuer: "Ed",
      fields: replaced(SERIAL, integer(bytes(1))),
      extensions: [extension(other, new Uint8Array(60_000 + more))],
    });
  const ed = root({ issuer: "Ed", subject: "Ed", key: edKey, algorithm: ALGORITHMS["Ed25519"] });
  const { value } = elements(sized(0).der)[0];
  const missing = 65_534 - value.length;
  assertEquals(elements(sized(missing).der)[0].value.length, 65_534);
  assertEquals(server([sized(missing)], [ed]), "fine");
  assertEquals(server([sized(missing + 1)], [ed]).split(":")[0], "CERT_REJECTED");
});

Deno.test("isStrict() takes the certificate of every public authority that Node lists", () => {
  const refused = rootCertificates.filter((pem) =>
    !isStrict(decodePem("ca", pem, (label) => label === "CERTIFICATE")[0].bytes)
  );
  assertEquals([rootCertificates.length > 100, refused], [true, []]);
});
