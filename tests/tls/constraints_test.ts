// The names that an authority may vouch for, of each kind.

import { assertEquals } from "@std/assert";
import { context, element, integer, Tag } from "../../tls/core/der.ts";
import {
  alternative,
  bytes,
  dns,
  extension,
  ip,
  isAuthority,
  name,
  nameConstraints,
  sequence,
  text,
} from "./forge.ts";
import { below, localhost, middle, root, server, table, theRoot, UNREADABLE } from "./peers.ts";

const OTHER_NAMES = "CERT_REJECTED: an authority vouches for a name that it may not vouch for";
const directory = (...cns: string[]) => element(context(4, true), distinguished(...cns));
const distinguished = (...cns: string[]) => sequence(...cns.map((cn) => name(cn).slice(2)));
const mail = (address: string) => element(context(1), text(address));
const empty = sequence();

/** Whether somebody of these names may be vouched for by an authority of these constraints. */
function isAllowed(
  names: Uint8Array[],
  permitted: Uint8Array[],
  excluded: Uint8Array[] = [],
  subject: Uint8Array = empty,
): boolean {
  const issuer = middle({ extensions: [isAuthority(), nameConstraints(permitted, excluded)] });
  const said = server([below({ extensions: [alternative(...names)], subject }), issuer]);
  if (said !== "fine") assertEquals(said, OTHER_NAMES);
  return said === "fine";
}

/** A name, a name that constraints have, whether it lies within that, and whether it may. */
const pairs: [string, Uint8Array, Uint8Array, isWithin: boolean, mayTouch?: boolean][] = [
  ["itself", dns("a.test"), dns("a.test"), true],
  ["itself in other letters", dns("A.test"), dns("a.TEST"), true],
  ["below it", dns("b.a.test"), dns("a.test"), true],
  ["far below it", dns("c.b.a.test"), dns("a.test"), true],
  ["itself behind a byte order mark", dns("\uFEFFa.test"), dns("a.test"), false],
  ["above it", dns("test"), dns("a.test"), false],
  ["beside it", dns("ba.test"), dns("a.test"), false],
  ["below what begins with a dot", dns("b.a.test"), dns(".a.test"), true],
  ["what begins with a dot", dns("a.test"), dns(".a.test"), false],
  ["anything within nothing", dns("a.test"), dns(""), true],
  ["a wildcard below it", dns("*.a.test"), dns("a.test"), true],
  ["a wildcard beside it", dns("*.b.test"), dns("a.test"), false],
  ["a wildcard that covers it", dns("*.test"), dns("a.test"), false, true],
  ["an address in a network", ip(10, 1, 2, 3), ip(10, 1, 0, 0, 255, 255, 0, 0), true],
  ["an address outside", ip(10, 2, 2, 3), ip(10, 1, 0, 0, 255, 255, 0, 0), false],
  [
    "an address outside by its last bit",
    ip(10, 1, 2, 3),
    ip(10, 1, 2, 2, 255, 255, 255, 255),
    false,
  ],
  ["an address of the other family", ip(10, 1, 2, 3), ip(...Array(32).fill(0)), false],
  ["an address of the long family", ip(...Array(16).fill(7)), ip(...Array(32).fill(0)), true],
  ["a network that is cut short", ip(10, 1, 2, 3), ip(10, 1, 0, 0, 255), false, true],
  ["a network that is too long", ip(10, 1, 2, 3), ip(...Array(9).fill(10)), false, true],
  ["a directory within", directory("a", "b"), directory("a"), true],
  ["the same directory", directory("a", "b"), directory("a", "b"), true],
  ["a directory above", directory("a"), directory("a", "b"), false, true],
  ["another directory", directory("b"), directory("a"), false, true],
  ["anybody's mail", mail("a@a.test"), mail("a@a.test"), false, true],
];

Deno.test("serverObjection() keeps an authority to the names that it may vouch for", () => {
  assertEquals(
    pairs.map(([what, one, base]) => `${what}: ${isAllowed([one], [base])}`),
    pairs.map(([what, _one, _base, isWithin]) => `${what}: ${isWithin}`),
  );
});

Deno.test("serverObjection() keeps an authority from the names that are excluded", () => {
  assertEquals(
    pairs.map(([what, one, base]) => `${what}: ${isAllowed([one], [], [base])}`),
    pairs.map(([what, _one, _base, isWithin, mayTouch = isWithin]) => `${what}: ${!mayTouch}`),
  );
});

Deno.test("serverObjection() compares names with constraints of their kind alone, and all of them", () => {
  const a = dns("a.test");
  const b = dns("b.test");
  assertEquals(
    [
      isAllowed([a], [mail("x"), ip(0, 0, 0, 0, 0, 0, 0, 0)], [mail("x"), ip(...Array(8).fill(0))]),
      isAllowed([a, b], [a]),
      isAllowed([a, b], [a, b]),
      isAllowed([a, b], [dns("test")], [b]),
      isAllowed([a], [dns("test")], [b]),
      isAllowed([], [a], [b]),
      isAllowed([a], []),
      isAllowed([], [directory("x")], [], distinguished("x", "y")),
      isAllowed([], [directory("x")], [], distinguished("y")),
      isAllowed([], [], [directory("x")], distinguished("y")),
      isAllowed([], [directory("x")]),
      isAllowed([], [], [directory("x")]),
    ],
    [true, false, true, false, true, true, true, true, false, false, true, true],
  );
});

Deno.test("serverObjection() asks constraints of everybody below, and of those who are listed", () => {
  const other = nameConstraints([dns("other.test")]);
  const constrained = root({ extensions: [isAuthority(), other] });
  const people = nameConstraints([directory("Middle")]);
  const forNames = (extension: Uint8Array) => root({ extensions: [isAuthority(), extension] });
  const anonymous = (more: Uint8Array[] = []) =>
    below({ subject: empty, extensions: [localhost, ...more] });
  table([
    ["a listed one, two levels above", server([below(), middle()], [constrained]), OTHER_NAMES],
    ["one that is sent and not asked", server([below(), middle()], [theRoot]), "fine"],
    ["an authority's own subject", server([anonymous(), middle()], [forNames(people)]), "fine"],
    [
      "another subject of an authority's",
      server([anonymous(), middle()], [forNames(nameConstraints([directory("x")]))]),
      OTHER_NAMES,
    ],
  ]);
});

Deno.test("serverObjection() refuses constraints that it cannot decide", () => {
  const lists = (...parts: Uint8Array[]) => {
    const issuer = middle({
      extensions: [isAuthority(), extension("2.5.29.30", sequence(...parts), true)],
    });
    return server([below(), issuer]);
  };
  const limit = element(context(0), integer(bytes(0)).slice(2));
  const permitted = (...parts: Uint8Array[]) => element(context(0, true), ...parts);
  table([
    ["permitted", lists(permitted(sequence(dns("localhost")))), "fine"],
    ["with a limit", lists(permitted(sequence(dns("localhost"), limit))), UNREADABLE],
    ["without a name", lists(permitted(sequence())), UNREADABLE],
    ["of another type", lists(permitted(element(Tag.set, dns("localhost")))), UNREADABLE],
    ["none", lists(), "fine"],
  ]);
});

Deno.test("serverObjection() compares 20,000 names with constraints, and no more", () => {
  const many = (n: number, from = 0) =>
    Array.from({ length: n }, (_, i) => dns(`${from + i}.test`));
  // The subject of the server is empty: its names are those that are said.
  const allowed = (names: number, permitted: number, excluded: number) =>
    isAllowed(many(names), [dns("test"), ...many(permitted - 1)], many(excluded, 10_000));
  assertEquals(
    [allowed(200, 60, 40), allowed(200, 100, 1), allowed(201, 60, 40), allowed(201, 99, 0)],
    [true, false, false, true],
  );
});
