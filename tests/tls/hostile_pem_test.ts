// PEM and DER that somebody made to cost time or memory, or to bring a parser down. What costs more
// than its length would keep these tests from ending.

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { checkAuthorities, checkPair, readCertificate } from "../../tls/core/certificate.ts";
import { TlsError } from "../../tls/core/codes.ts";
import { concat, context, element, elements, inside, oid, Tag } from "../../tls/core/der.ts";
import { decodePem, encodePem } from "../../tls/core/pem.ts";
import { selfsigned } from "../../tls/selfsigned.ts";
import { Random } from "../random.ts";

const MANY = 10_000_000;
const pair = selfsigned(["a.test", "::1"]);
const { cert, key } = pair;
const [{ bytes }] = decodePem("cert", cert, () => true);

const codeOf = (call: () => unknown) => assertThrows(call, TlsError).code;
const filled = (text: string) => text.repeat(Math.ceil(MANY / text.length));

const texts: Record<string, [text: string, code: string]> = {
  "garbage": [filled("x"), "ERR_OSSL_PEM_NO_START_LINE"],
  "dashes": [filled("-"), "ERR_OSSL_PEM_NO_START_LINE"],
  "beginnings of BEGIN lines": [filled("-----BEGIN "), "ERR_OSSL_PEM_NO_START_LINE"],
  "one label without an end": [`-----BEGIN ${filled("A")}`, "ERR_OSSL_PEM_NO_START_LINE"],
  "BEGIN lines of nothing": [filled("-----BEGIN -----\n"), "ERR_OSSL_PEM_NO_START_LINE"],
  "blocks of another kind": [
    filled("-----BEGIN X-----\n-----END X-----\n"),
    "ERR_OSSL_PEM_NO_START_LINE",
  ],
  "END lines alone": [filled("-----END CERTIFICATE-----\n"), "ERR_OSSL_PEM_NO_START_LINE"],
};

for (const label of ["CERTIFICATE", "PRIVATE KEY"]) {
  const [begin, end] = [`-----BEGIN ${label}-----\n`, `\n-----END ${label}-----\n`];
  const tooMuch = label === "CERTIFICATE"
    ? "ERR_SSL_EXCESSIVE_MESSAGE_SIZE"
    : "ERR_OSSL_ASN1_PARSE_ERROR";
  Object.assign(texts, {
    [`BEGIN lines of ${label}`]: [filled(begin), "ERR_OSSL_PEM_BAD_BASE64_DECODE"],
    [`unfinished END lines of ${label}`]: [
      begin + filled(end.slice(0, -3)),
      "ERR_OSSL_PEM_BAD_BASE64_DECODE",
    ],
    [`zeros as ${label}`]: [begin + filled("A") + end, tooMuch],
    [`blank lines as ${label}`]: [begin + filled(" \r\n") + end, "ERR_OSSL_ASN1_PARSE_ERROR"],
    [`empty blocks of ${label}`]: [filled(begin + end), "ERR_OSSL_ASN1_PARSE_ERROR"],
    [`headers as ${label}`]: [
      begin + filled("Proc-Type: ") + end,
      "ERR_OSSL_PEM_BAD_BASE64_DECODE",
    ],
  });
}

for (const [what, [text, code]] of Object.entries(texts)) {
  Deno.test(`checkPair() and checkAuthorities() refuse 10 MB of ${what}`, () => {
    if (what.includes("KEY")) {
      return assertEquals(codeOf(() => checkPair({ cert, key: text })), code);
    }
    assertEquals(codeOf(() => checkPair({ cert: text, key })), code);
    assertEquals(codeOf(() => checkAuthorities(text)), code);
    assertEquals(codeOf(() => checkPair({ cert, key: text })), "ERR_OSSL_PEM_NO_START_LINE");
  });
}

Deno.test("checkPair() and checkAuthorities() find what is meant in 10 MB of other text", () => {
  const noise = filled("-----BEGIN X-----\nsome text -----BEGIN \n-----END ");
  assertEquals(checkPair({ cert: noise + cert + noise, key: noise + key }).cert, cert);
  assertEquals(checkAuthorities(noise + cert), [cert]);
});

Deno.test("checkAuthorities() takes authorities by the thousand", () => {
  assertEquals(checkAuthorities(cert.repeat(10_000)).length, 10_000);
});

Deno.test("checkPair() takes names by the thousand, and shows a few in its errors", () => {
  const names = Array.from({ length: 3500 }, (_, i) => `host${i}.a.test`);
  const many = selfsigned(names);
  assertEquals(checkPair(many).names, names);
  const { message } = assertThrows(() => checkPair({ cert: many.cert, key }), TlsError);
  assertStringIncludes(message, '"host0.a.test", "host1.a.test", "host2.a.test" and 3497 more');
});

/** Sequences in sequences, as deep as 60 KB make them. */
function nested(): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(60_000);
  for (let at = out.length - 4, length = 0; at >= 0; at -= 4, length += 4) {
    out.set([Tag.sequence, 0x82, length >> 8, length & 0xff], at);
  }
  return out;
}

Deno.test("checkPair() and readCertificate() stand nesting without end in every field", () => {
  const deep = nested();
  const [content, algorithm, signature] = inside(elements(bytes)[0], Tag.sequence);
  const fields = inside(content, Tag.sequence).map(({ raw }) => raw);
  const build = (parts: Uint8Array[]) =>
    element(Tag.sequence, element(Tag.sequence, ...parts), algorithm.raw, signature.raw);
  const extended = (...value: Uint8Array[]) =>
    fields.with(7, element(context(3, true), element(Tag.sequence, ...value)));
  const extension = (id: string) => element(Tag.sequence, oid(id), element(Tag.octetString, deep));
  const hostile = [
    ...fields.map((_, i) => build(fields.with(i, deep))),
    build(extended(deep)),
    build(extended(extension("1.2.3.4"))),
    build(extended(extension("2.5.29.17"))),
    deep,
  ];
  for (const der of hostile) {
    const text = encodePem("CERTIFICATE", der);
    for (const call of [() => checkPair({ cert: text, key }), () => checkAuthorities(text)]) {
      try {
        call();
      } catch (error) {
        assert(error instanceof TlsError, String(error));
      }
    }
  }
  const code = codeOf(() => checkPair({ cert, key: encodePem("PRIVATE KEY", deep) }));
  assertEquals(code, "ERR_OSSL_ASN1_PARSE_ERROR");
});

Deno.test("readCertificate() refuses lengths that lie, at every element", () => {
  for (const lie of [[0x84, 0xff, 0xff, 0xff, 0xff], [0x83, 0xff, 0xff, 0xff], [0x80], [0xff]]) {
    for (let at = 0; at < 60; at++) {
      const der = concat([bytes.subarray(0, at), new Uint8Array(lie), bytes.subarray(at + 1)]);
      try {
        readCertificate(der);
      } catch (error) {
        assert(error instanceof TlsError, String(error));
      }
    }
    const der = concat([new Uint8Array([Tag.sequence, ...lie]), bytes.subarray(4)]);
    assertThrows(() => readCertificate(der), TlsError);
  }
});

Deno.test("checkPair() gives a pair or a code for whatever is changed in a certificate or a key", () => {
  const random = new Random(21);
  const [{ bytes: secret, label }] = decodePem("key", key, () => true);
  const garble = (original: Uint8Array) => {
    let der = original.slice();
    for (let changes = random.integer(1, 3); changes > 0; changes--) {
      const at = random.integer(0, der.length - 1);
      if (random.oneIn(10)) der = concat([der.subarray(0, at), der.subarray(at + 1)]);
      else der[at] = random.integer(0, 255);
    }
    return der;
  };
  const codes = new Set<string>();
  for (let round = 0; round < 2000; round++) {
    const changed = random.oneIn(2)
      ? { cert: encodePem("CERTIFICATE", garble(bytes)), key }
      : { cert, key: encodePem(label, garble(secret)) };
    try {
      checkPair(changed);
      codes.add("");
    } catch (error) {
      assert(error instanceof TlsError, String(error));
      codes.add(error.code);
    }
  }
  assert(codes.has("") && codes.has("ERR_OSSL_ASN1_PARSE_ERROR"), [...codes].join());
});
