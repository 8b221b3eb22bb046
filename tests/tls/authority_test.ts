// Who may vouch for whom, and what a certificate is for: one deviation at a time.

import { element, integer, oid, Tag } from "../../tls/core/der.ts";
import {
  alternative,
  bytes,
  CLIENT_AUTH,
  dns,
  extendedKeyUsage,
  extension,
  type Forged,
  isAuthority,
  keyUsage,
  type Made,
  make,
  makeKey,
  nameConstraints,
  no,
  sequence,
  SERVER_AUTH,
  yes,
} from "./forge.ts";
import {
  below,
  client,
  FORM,
  leaf,
  localhost,
  middle,
  middleKey,
  NO_AUTHORITY,
  NOT_MEANT,
  root,
  rootKey,
  server,
  table,
  theRoot,
  UNREADABLE,
} from "./peers.ts";

const OTHER_USE = "INVALID_PURPOSE: who vouches for the certificate may not do so for this use";
const TOO_FAR = "CERT_REJECTED: an authority has more authorities below it than it may have";
const CRITICAL = "CERT_REJECTED: certificate has a critical extension that nobody knows here";

const constraints = (...parts: Uint8Array[]) => extension("2.5.29.19", sequence(...parts));
const number = (...value: number[]) => element(Tag.integer, bytes(...value));

/** What is in an authority, how its server comes out, and how if the authority itself is listed. */
const authorities: [what: string, more: Partial<Forged>, wanted: string, listed?: string][] = [
  ["it says that it is one", { extensions: [constraints(yes)] }, "fine"],
  ["it says nothing", { extensions: [keyUsage(1, 0x06)] }, NO_AUTHORITY],
  ["it says that it is none", { extensions: [constraints(no)] }, NO_AUTHORITY],
  ["it says nothing of what it is", { extensions: [constraints()] }, NO_AUTHORITY],
  ["it has a limit and does not say", { extensions: [constraints(number(3))] }, NO_AUTHORITY],
  [
    "it says it in one byte that is not all ones",
    {
      extensions: [constraints(element(Tag.boolean, bytes(0xfe)))],
    },
    NO_AUTHORITY,
  ],
  [
    "it says more than there is to say",
    {
      extensions: [constraints(yes, number(1), number(1))],
    },
    NO_AUTHORITY,
  ],
  ["it says it twice", {
    extensions: [extension("2.5.29.19", bytes(...sequence(yes), ...sequence(yes)))],
  }, UNREADABLE],
  ["it says it and has a limit of none", { extensions: [constraints(yes, number(0))] }, "fine"],
  ["its limit is negative", { extensions: [constraints(yes, number(0x80))] }, UNREADABLE],
  ["its limit is the highest of one byte", {
    extensions: [constraints(yes, number(0x7f))],
  }, "fine"],
  ["its limit is large", { extensions: [constraints(yes, integer(bytes(0x80)))] }, "fine"],
  ["its limit is no number at all", { extensions: [constraints(yes, number())] }, UNREADABLE],
  [
    "its limit is of another type",
    { extensions: [constraints(yes, bytes(5, 0))] },
    UNREADABLE,
  ],
  ["its key may sign certificates alone", {
    extensions: [isAuthority(), keyUsage(2, 0x04)],
  }, "fine"],
  [
    "its key may do everything else",
    { extensions: [isAuthority(), keyUsage(0, 0xfb)] },
    NO_AUTHORITY,
  ],
  ["its key may do nothing", { extensions: [isAuthority(), keyUsage(0)] }, NO_AUTHORITY],
  [
    "what its key may do is of another type",
    {
      extensions: [isAuthority(), extension("2.5.29.15", element(4, bytes(0, 0x04)))],
    },
    NO_AUTHORITY,
  ],
  ["it is for servers", { extensions: [isAuthority(), extendedKeyUsage(SERVER_AUTH)] }, "fine"],
  ["it is for both", {
    extensions: [isAuthority(), extendedKeyUsage(CLIENT_AUTH, SERVER_AUTH)],
  }, "fine"],
  ["it is for clients", { extensions: [isAuthority(), extendedKeyUsage(CLIENT_AUTH)] }, OTHER_USE],
  [
    "it is for something of another type",
    {
      extensions: [
        isAuthority(),
        extension("2.5.29.37", sequence(element(4, oid(SERVER_AUTH).slice(2)))),
      ],
    },
    OTHER_USE,
  ],
  [
    "it has a critical extension that nobody knows",
    {
      extensions: [isAuthority(), extension("1.2.3.4", bytes(), true)],
    },
    CRITICAL,
    "fine",
  ],
  ["it has one that nobody need know", {
    extensions: [isAuthority(), extension("1.2.3.4", bytes())],
  }, "fine"],
  ["it is of version 1", { version: 1, extensions: [] }, FORM, "fine"],
  ["it has expired", { days: [-3, -2] }, "CERT_HAS_EXPIRED: ", "fine"],
  ["it is not valid yet", { days: [1, 2] }, "CERT_NOT_YET_VALID: ", "fine"],
];

const start = (found: string, wanted: string) =>
  wanted.endsWith(": ") ? found.slice(0, wanted.length) : found;

Deno.test("serverObjection() asks everybody who vouches whether they may", () => {
  table(authorities.map(([what, more, wanted]) => {
    return [what, start(server([below(), middle(more)]), wanted), wanted];
  }));
});

Deno.test("serverObjection() asks those who are listed, too, but not for their form and their dates", () => {
  table(authorities.map(([what, more, sent, listed = sent]) => {
    return [what, start(server([below()], [middle(more)]), listed), listed];
  }));
});

/** The last of a chain in which each vouches for the next, and the chain, the server first. */
function chainOf(limits: number[][], listed = theRoot): [Made[], Made[]] {
  let [issuer, signer] = ["Root", rootKey];
  const chain: Made[] = [];
  for (const [i, limit] of limits.entries()) {
    const subject = `Level ${i}`;
    const made = make({ issuer, subject, signer, extensions: [isAuthority(...limit)] });
    chain.unshift(made);
    [issuer, signer] = [subject, made.key];
  }
  return [[make({ issuer, subject: "x", signer, extensions: [localhost] }), ...chain], [listed]];
}

Deno.test("serverObjection() counts the authorities below one that has a limit", () => {
  table([
    ["none below one that may have none", server(...chainOf([[0]])), "fine"],
    ["one below one that may have none", server(...chainOf([[0], []])), TOO_FAR],
    ["one below one that may have one", server(...chainOf([[1], []])), "fine"],
    ["two below one that may have one", server(...chainOf([[1], [], []])), TOO_FAR],
    ["two below one that may have two", server(...chainOf([[2], [1], [0]])), "fine"],
    ["two below one that may have many", server(...chainOf([[127], [], []])), "fine"],
    [
      "one below a listed one that may have none",
      server(...chainOf([[]], root({ extensions: [isAuthority(0)] }))),
      TOO_FAR,
    ],
  ]);
});

Deno.test("serverObjection() takes eight certificates below an authority, and not nine", () => {
  const levels = (n: number): number[][] => Array(n).fill([]);
  table([
    ["eight", server(...chainOf(levels(7))), "fine"],
    [
      "nine",
      server(...chainOf(levels(8))),
      "CERT_REJECTED: it is too far from the certificate to an authority",
    ],
  ]);
});

const critical = (id: string, value: Uint8Array) =>
  leaf({ extensions: [localhost, extension(id, value, true)] });

Deno.test("serverObjection() and clientObjection() ask what a certificate is meant for", () => {
  const uses = (...ids: string[]) => leaf({ extensions: [localhost, extendedKeyUsage(...ids)] });
  const both = ({ der }: Made) => `${server([der])}; ${client([der])}`;
  table([
    ["nothing is said", both(leaf()), "fine; fine"],
    ["for servers", both(uses(SERVER_AUTH)), `fine; ${NOT_MEANT}`],
    ["for clients", both(uses(CLIENT_AUTH)), `${NOT_MEANT}; fine`],
    ["for both", both(uses(SERVER_AUTH, CLIENT_AUTH)), "fine; fine"],
    ["for something else", both(uses("1.3.6.1.5.5.7.3.3")), `${NOT_MEANT}; ${NOT_MEANT}`],
    ["for any use", both(uses("2.5.29.37.0")), `${NOT_MEANT}; ${NOT_MEANT}`],
    [
      "an authority's",
      both(leaf({ extensions: [localhost, isAuthority()] })),
      `${NOT_MEANT}; ${NOT_MEANT}`,
    ],
    [
      "by an authority for clients",
      client([
        below(),
        middle({ extensions: [isAuthority(), extendedKeyUsage(CLIENT_AUTH)] }),
      ]),
      "fine",
    ],
  ]);
});

Deno.test("serverObjection() knows the critical extensions that it obeys, and no other", () => {
  const names = alternative(dns("localhost"));
  const uses = [extension("2.5.29.37", sequence(oid(SERVER_AUTH)), true)];
  table([
    ["keyUsage", server([leaf({ extensions: [names, keyUsage(7, 0x80)] })]), "fine"],
    ["basicConstraints", server([critical("2.5.29.19", sequence())]), "fine"],
    ["extKeyUsage", server([leaf({ extensions: [names, ...uses] })]), "fine"],
    [
      "subjectAltName",
      server([leaf({ extensions: [extension("2.5.29.17", sequence(dns("a")), true)] })]),
      "fine",
    ],
    ["nameConstraints", server([leaf({ extensions: [nameConstraints([dns("a")])] })]), "fine"],
    ["cRLDistributionPoints", server([critical("2.5.29.31", sequence())]), "fine"],
    ["certificatePolicies", server([critical("2.5.29.32", sequence())]), CRITICAL],
    ["policyConstraints", server([critical("2.5.29.36", sequence())]), CRITICAL],
    ["any other", server([critical("1.2.3.4", bytes())]), CRITICAL],
  ]);
});

Deno.test("clientObjection() lets in who is listed, whatever the certificate is for", () => {
  const key = makeKey();
  const alice = (more: Partial<Forged> = {}) =>
    make({
      issuer: "alice",
      subject: "alice",
      key,
      extensions: [extension("1.2.3", bytes())],
      ...more,
    });
  const listed = (more: Partial<Forged> = {}) =>
    [alice(more)].map((one) => client([one], [one]))[0];
  table([
    ["nothing is said", listed(), "fine"],
    ["for servers", listed({ extensions: [extendedKeyUsage(SERVER_AUTH)] }), "fine"],
    ["an authority's", listed({ extensions: [isAuthority()] }), "fine"],
    ["of version 1", listed({ version: 1, extensions: [] }), FORM],
    ["signed by somebody else", listed({ signer: middleKey }), "fine"],
    ["expired", start(listed({ days: [-3, -2] }), "CERT_HAS_EXPIRED: "), "CERT_HAS_EXPIRED: "],
    [
      "not valid yet",
      start(listed({ days: [1, 2] }), "CERT_NOT_YET_VALID: "),
      "CERT_NOT_YET_VALID: ",
    ],
  ]);
});
