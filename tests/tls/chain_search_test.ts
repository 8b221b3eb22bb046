// How a way is searched from a peer's certificate to an authority that is listed: what was sent, how far, how
// often, when; which names are the host's; and when node:tls is believed.

import { assertEquals, assertStringIncludes } from "@std/assert";
import type { DetailedPeerCertificate, PeerCertificate } from "node:tls";
import { openCertificate } from "../../tls/core/certificate.ts";
import { clientObjection, serverObjection } from "../../tls/core/chain.ts";
import { context, element, Tag } from "../../tls/core/der.ts";
import {
  alternative,
  bytes,
  dns,
  extension,
  type Forged,
  ip,
  isAuthority,
  type Made,
  make,
  makeKey,
  name,
  sequence,
  text,
} from "./forge.ts";
import {
  below,
  client,
  FORM,
  leaf,
  leafKey,
  listOf,
  localhost,
  middle,
  middleKey,
  NO_AUTHORITY,
  NOT_MEANT,
  outcome,
  peerOf,
  root,
  server,
  SIGNATURE,
  strangersKey,
  table,
  theRoot,
  UNREADABLE,
} from "./peers.ts";

const UNKNOWN = "UNABLE_TO_GET_ISSUER_CERT: unknown issuer";

/** By somebody whom nobody knows. */
const strange = (more: Partial<Forged> = {}) =>
  leaf({ issuer: "Stranger", signer: strangersKey, ...more });
/** Who forges the name of the root. */
const forgedMiddle = (more: Partial<Forged> = {}) => middle({ signer: strangersKey, ...more });

Deno.test("clientObjection() finds a way by signatures alone, whatever else was sent, in any order", () => {
  const two = middle({ issuer: "Middle", signer: middleKey, subject: "Two", key: strangersKey });
  const belowTwo = leaf({ issuer: "Two", signer: strangersKey });
  const cross = middle({ signer: strangersKey, issuer: "Elsewhere" });
  table([
    ["of the root", client([leaf()]), "fine"],
    ["of an authority of the root's", client([below(), middle()]), "fine"],
    ["which is not sent", client([below()]), UNKNOWN],
    ["which is listed", client([below()], [middle()]), "fine"],
    ["two below the root", client([belowTwo, two, middle()]), "fine"],
    ["in another order", client([belowTwo, middle(), two]), "fine"],
    ["with others between", client([belowTwo, leaf(), two, strange(), middle()]), "fine"],
    ["by the second of two of one name", client([below(), cross, middle()]), "fine"],
    [
      "by the second of two that are listed",
      client([leaf()], [root({ key: leafKey }), theRoot]),
      "fine",
    ],
    ["by an authority that nobody knows", client([below(), cross]), UNKNOWN],
    ["by nobody", client([strange()]), UNKNOWN],
    ["by the name of the root", client([leaf({ signer: strangersKey })]), SIGNATURE],
    ["by the name of an authority", client([below({ signer: strangersKey }), middle()]), SIGNATURE],
    ["by an authority of that name", client([below(), forgedMiddle()]), SIGNATURE],
    [
      "by a peer's certificate",
      client([leaf({ issuer: "leaf", signer: leafKey }), leaf()]),
      NO_AUTHORITY,
    ],
    [
      "by one that nobody can read",
      client([below(), middle({ version: 1, extensions: [] })]),
      FORM,
    ],
    ["by nobody, and the root is sent", client([strange(), theRoot]), UNKNOWN],
    ["by itself", client([root({ subject: "x", issuer: "x", extensions: [localhost] })]), UNKNOWN],
    ["an authority itself", client([middle()]), NOT_MEANT],
    [
      "what is first found wrong is said",
      client([below({ days: [-3, -2] }), forgedMiddle()]).slice(0, 16),
      "CERT_HAS_EXPIRED",
    ],
  ]);
});

Deno.test("clientObjection() takes a name for the same only in the same bytes", () => {
  const printable = 0x13;
  table([
    ["of another type", client([leaf({ issuer: name("Root", printable) })]), UNKNOWN],
    ["in other letters", client([leaf({ issuer: "ROOT" })]), UNKNOWN],
    ["longer", client([leaf({ issuer: "Root2" })]), UNKNOWN],
    ["shorter", client([leaf({ issuer: "Roo" })]), UNKNOWN],
    [
      "empty, of an authority of none",
      client([leaf({ issuer: sequence() })], [root({ subject: sequence() })]),
      "fine",
    ],
  ]);
});

Deno.test("clientObjection() goes round no circle", () => {
  const [one, two] = [makeKey(), makeKey()];
  const circle = [
    leaf({ issuer: "One", signer: one }),
    middle({ subject: "One", key: one, issuer: "Two", signer: two }),
    middle({ subject: "Two", key: two, issuer: "One", signer: one }),
  ];
  const itself = middle({ issuer: "Middle", signer: middleKey });
  table([
    ["of two", client(circle), UNKNOWN],
    ["of one", client([below(), itself]), UNKNOWN],
    ["beside a way", client([below(), itself, middle()]), "fine"],
    [
      "of the same key by another name",
      client([
        below(),
        middle({ issuer: "Other", signer: middleKey }),
        middle({ subject: "Other" }),
      ]),
      "fine",
    ],
    [
      "of the same name by another key",
      client([
        below(),
        middle({ issuer: "Middle", signer: strangersKey }),
        middle({ key: strangersKey }),
      ]),
      "fine",
    ],
  ]);
});

Deno.test("clientObjection() looks at 32 certificates, and refuses a peer that sends more", () => {
  const many = (n: number) => Array<Made>(n).fill(strange());
  table([
    ["32, the last of which it takes", client([below(), ...many(30), middle()]), "fine"],
    ["33", client([below(), ...many(31), middle()]), UNREADABLE],
    ["the same ones again", client([below(), below(), middle(), middle()]), "fine"],
  ]);
});

Deno.test("clientObjection() verifies 32 signatures, and no more", () => {
  const others = (n: number) => Array.from({ length: n }, () => root({ key: strangersKey }));
  table([
    ["the 32nd", client([leaf()], [...others(31), theRoot]), "fine"],
    [
      "the 33rd, behind others that may sign nothing",
      client([leaf()], [
        ...Array.from({ length: 32 }, () => root({ extensions: [] })),
        theRoot,
      ]),
      NO_AUTHORITY,
    ],
    [
      "the 32nd, behind others that may sign nothing",
      client([leaf()], [
        ...Array.from({ length: 31 }, () => root({ extensions: [] })),
        theRoot,
      ]),
      "fine",
    ],
    ["the 33rd", client([leaf()], [...others(32), theRoot]), SIGNATURE],
  ]);
});

Deno.test("clientObjection() takes a peer's own word for nothing: one without bytes is refused", () => {
  const { raw } = peerOf(leaf());
  const without = [
    {},
    { raw: undefined },
    { raw, issuerCertificate: {} },
    { raw, issuerCertificate: { raw: undefined } },
  ] as unknown as PeerCertificate[];
  for (const peer of without) {
    assertEquals(outcome(clientObjection(peer, listOf(theRoot), Date.now())), UNREADABLE);
  }
});

Deno.test("clientObjection() comes to an end with a certificate that issues itself, or another one again", () => {
  const last = { raw: theRoot.der } as unknown as DetailedPeerCertificate;
  last.issuerCertificate = last;
  const own = { ...peerOf(leaf()), issuerCertificate: last };
  assertEquals(outcome(clientObjection(own, listOf(theRoot), Date.now())), "fine");
  const back = peerOf(leaf(), theRoot);
  back.issuerCertificate.issuerCertificate = back;
  assertEquals(outcome(clientObjection(back, listOf(theRoot), Date.now())), "fine");
});

Deno.test("clientObjection() takes a certificate from its first moment to its last", () => {
  const made = leaf();
  const { notBefore, notAfter } = openCertificate(made.der);
  const [first, last] = [notBefore.getTime(), notAfter.getTime()];
  const early = `CERT_NOT_YET_VALID: valid from ${notBefore.toISOString()}`;
  const late = `CERT_HAS_EXPIRED: valid until ${notAfter.toISOString()}`;
  const at = (now: number) => client([made], [theRoot], now);
  table([
    ["before", at(first - 1), early],
    ["at first", at(first), "fine"],
    ["at last", at(last), "fine"],
    ["behind", at(last + 1), late],
    ["never", at(NaN), early],
  ]);
});

Deno.test("clientObjection() refuses a date that there is not, and an extension that is there twice", () => {
  const until = (date: string) =>
    leaf({
      fields: (all) =>
        all.with(
          4,
          sequence(element(Tag.utcTime, text("260101000000Z")), element(Tag.utcTime, text(date))),
        ),
    });
  const twice = [localhost, localhost];
  table([
    ["the 28th of February", client([until("490228000000Z")]), "fine"],
    ["the 30th of February", client([until("490230000000Z")]), UNREADABLE],
    ["the 29th of February where there is none", client([until("490229000000Z")]), UNREADABLE],
    ["twice", client([leaf({ extensions: twice })]), UNREADABLE],
    [
      "twice, in between",
      client([below(), middle({ extensions: [isAuthority(), ...twice] })]),
      UNREADABLE,
    ],
  ]);
});

Deno.test("serverObjection() believes node:tls where nobody names an authority that is listed", () => {
  const other = { issuer: "Other", signer: middleKey };
  const own = { ...other, extensions: [localhost] };
  const unlisted = leaf(own);
  table([
    ["a stranger's", server([unlisted]), "fine"],
    ["with another one's", server([unlisted, strange()]), "fine"],
    ["where nothing is listed", server([unlisted], []), "fine"],
    [
      "whoever it is that has signed it",
      server([leaf({ ...own, signer: strangersKey }), middle()], [root({ subject: "Else" })]),
      "fine",
    ],
    ["with one that names a listed one", server([unlisted, leaf()]), UNKNOWN],
    ["with the listed one itself", server([unlisted, theRoot]), UNKNOWN],
    ["by a listed name", server([leaf({ signer: strangersKey })]), SIGNATURE],
    ["of version 1", server([leaf({ ...other, version: 1, extensions: [] })]), FORM],
    ["with one of version 1", server([unlisted, strange({ version: 1, extensions: [] })]), FORM],
    [
      "of version 1 where nothing is listed",
      server([strange({ version: 1, extensions: [] })], []),
      FORM,
    ],
    ["with one that nobody can read", server([unlisted, bytes(5, 0)]), UNREADABLE],
    [
      "with constraints that nobody can read",
      server([
        unlisted,
        strange({
          extensions: [extension("2.5.29.30", sequence(element(context(0, true), bytes(5, 0))))],
        }),
      ]),
      UNREADABLE,
    ],
    ["expired", server([leaf({ ...own, days: [-3, -2] })]).slice(0, 16), "CERT_HAS_EXPIRED"],
    ["not valid yet", server([leaf({ ...own, days: [1, 2] })]).slice(0, 18), "CERT_NOT_YET_VALID"],
    ["the same of a client", client([unlisted]), UNKNOWN],
    ["of a client where nothing is listed", client([unlisted], []), UNKNOWN],
  ]);
});

Deno.test("serverObjection() takes a certificate that is listed itself, whoever issued it", () => {
  const made = leaf({ issuer: "Other", signer: middleKey });
  const old = leaf({ issuer: "Other", signer: middleKey, days: [-3, -2] });
  const v1 = leaf({ issuer: "Other", signer: middleKey, version: 1, extensions: [] });
  table([
    ["listed", server([made], [theRoot, made]), "fine"],
    ["listed and expired", server([old], [old]).slice(0, 16), "CERT_HAS_EXPIRED"],
    ["listed, of version 1", server([v1], [v1]), FORM],
    [
      "one that only resembles it",
      client([leaf({ issuer: "Other", signer: middleKey })], [made]),
      UNKNOWN,
    ],
  ]);
});

Deno.test("serverObjection() lists what several PEM texts hold, and remembers the right ones", () => {
  const both = listOf(theRoot, root({ subject: "Else" })).join("");
  assertEquals(outcome(serverObjection(peerOf(leaf()), [both], undefined)), "fine");
  const roots = Array.from({ length: 300 }, (_, i) => `R${i}`);
  const key = makeKey();
  for (const [i, issuer] of roots.entries()) {
    const one = make({ issuer, subject: issuer, key, extensions: [isAuthority()] });
    const its = leaf({ issuer, signer: key });
    assertEquals(client([its], [one]), "fine", `${i}`);
    assertEquals(client([its], [theRoot]), UNKNOWN, `${i}`);
  }
});

/** Names of certificates, a host, and whether it is meant. */
const namesOfHosts: [what: string, names: Uint8Array[], host: string, isMeant: boolean][] = [
  ["the very name", [dns("a.test")], "a.test", true],
  ["in other letters", [dns("A.Test")], "a.test", true],
  ["among others", [dns("b.test"), ip(1, 2, 3, 4), dns("a.test")], "a.test", true],
  ["another name", [dns("b.test")], "a.test", false],
  ["a name with a dot behind", [dns("a.test.")], "a.test", false],
  ["a name that begins with it", [dns("a.test.evil")], "a.test", false],
  ["a name that ends with it", [dns("evil.a.test")], "a.test", false],
  ["a name with a zero behind", [dns("a.test\0.evil")], "a.test", false],
  ["a zero alone", [dns("a.test\0")], "a.test", false],
  ["a name behind a byte order mark", [dns("\uFEFFa.test")], "a.test", false],
  ["a name with a sign that is a k when made small", [dns("\u212A.test")], "k.test", false],
  ["an international name that is not written as one", [dns("\u00FC.test")], "xn--tda.test", false],
  ["an international name", [dns("xn--tda.test")], "xn--tda.test", true],
  ["a name with a space", [dns(" a.test")], "a.test", false],
  ["several names in one", [dns("b.test, DNS:a.test")], "a.test", false],
  ["a name with a low line", [dns("_a.test")], "_a.test", true],
  ["one label", [dns("localhost")], "localhost", true],
  ["nothing", [dns("")], "a.test", false],
  ["no name", [], "a.test", false],
  ["a wildcard", [dns("*.a.test")], "b.a.test", true],
  ["a wildcard of a long name", [dns("*.c.b.a.test")], "d.c.b.a.test", true],
  ["a wildcard for two labels", [dns("*.a.test")], "c.b.a.test", false],
  ["a wildcard for none", [dns("*.a.test")], "a.test", false],
  ["a wildcard of a whole domain", [dns("*.test")], "a.test", false],
  ["a wildcard of everything", [dns("*")], "localhost", false],
  ["a wildcard in a label", [dns("b*.a.test")], "b1.a.test", false],
  ["a wildcard further back", [dns("b.*.test")], "b.a.test", false],
  ["two wildcards", [dns("*.*.test")], "b.a.test", false],
  ["a wildcard of an international label", [dns("xn--*.a.test")], "xn--tda.a.test", false],
  ["an address", [ip(127, 0, 0, 1)], "127.0.0.1", true],
  ["another address", [ip(127, 0, 0, 2)], "127.0.0.1", false],
  ["an address as a name", [dns("127.0.0.1")], "127.0.0.1", false],
  ["a wildcard for an address", [dns("*.0.0.1")], "127.0.0.1", false],
  ["a name as an address", [ip(127, 0, 0, 1)], "a.test", false],
  ["a long address", [ip(...Array(15).fill(0), 1)], "::1", true],
  ["a long address in full", [ip(...Array(15).fill(0), 1)], "0:0:0:0:0:0:0:1", true],
  ["a short address in a long one", [ip(127, 0, 0, 1)], "::ffff:127.0.0.1", false],
  [
    "a long address for a short one",
    [ip(...Array(10).fill(0), 255, 255, 127, 0, 0, 1)],
    "127.0.0.1",
    false,
  ],
  ["an address of five bytes", [ip(127, 0, 0, 1, 0)], "127.0.0.1", false],
  ["a mail address", [element(context(1), text("a.test"))], "a.test", false],
  ["a URI", [element(context(6), text("a.test"))], "a.test", false],
  [
    "a constructed name",
    [element(context(2, true), element(0x16, text("a.test")))],
    "a.test",
    false,
  ],
];

Deno.test("serverObjection() finds the host among the names, and nothing that only looks like it", () => {
  const found = ([what, names, host]: typeof namesOfHosts[number]) => {
    const said = server(
      [leaf({ subject: host, extensions: [alternative(...names)] })],
      [theRoot],
      host,
    );
    if (said !== "fine") {
      assertStringIncludes(
        said,
        `ERR_TLS_CERT_ALTNAME_INVALID: not valid for name "${host}"`,
        what,
      );
    }
    return said === "fine";
  };
  assertEquals(
    namesOfHosts.map((one) => `${one[0]}: ${found(one)}`),
    namesOfHosts.map(([what, _names, _host, isMeant]) => `${what}: ${isMeant}`),
  );
});

Deno.test("serverObjection() says for which names a certificate is, the first three", () => {
  const said = (...names: Uint8Array[]) =>
    server([leaf({ extensions: [alternative(...names)] })], [theRoot], "x.test");
  const start = 'ERR_TLS_CERT_ALTNAME_INVALID: not valid for name "x.test"; certificate is';
  table([
    ["none", said(), `${start} valid for no name`],
    [
      "no extension",
      server([leaf({ extensions: [] })], [theRoot], "x.test"),
      `${start} valid for no name`,
    ],
    ["one", said(dns("a.test")), `${start} only valid for "a.test"`],
    [
      "four",
      said(dns("a"), ip(1, 2, 3, 4), dns("c"), dns("d")),
      `${start} only valid for "a" or "1.2.3.4" or "c"`,
    ],
    ["a long one", said(dns("a".repeat(101))), `${start} only valid for "${"a".repeat(100)}"`],
  ]);
  assertEquals(server([leaf()], [theRoot], undefined), "fine");
  assertEquals(server([leaf({ signer: strangersKey })], [theRoot], "x.test"), SIGNATURE);
});
