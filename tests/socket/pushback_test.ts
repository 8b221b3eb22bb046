// What `unrecv` put in front: its pieces, and the memory that they lie in.

import { assertEquals } from "@std/assert";
import { Pushback } from "../../socket/core/pushback.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);
/** What is there, how long the piece in front is, and how much memory holds it. */
const facts = (pushback: Pushback) => [
  [...pushback.look()],
  pushback.length,
  pushback.piece,
  pushback.look().buffer.byteLength,
];

Deno.test("Pushback.push() puts pieces in front, in memory that doubles, or is as long as it must be", () => {
  const data = bytes(5, 6, 7);
  const pushback = new Pushback(data);
  data.fill(0); // it was copied
  assertEquals(facts(pushback), [[5, 6, 7], 3, 3, 3]);
  const four = bytes(4);
  pushback.push(four);
  four.fill(0);
  assertEquals(facts(pushback), [[4, 5, 6, 7], 4, 1, 6]);
  pushback.push(bytes(2, 3));
  assertEquals(facts(pushback), [[2, 3, 4, 5, 6, 7], 6, 2, 6]);
  pushback.push(bytes(1));
  assertEquals(facts(pushback), [[1, 2, 3, 4, 5, 6, 7], 7, 1, 12]);
  pushback.push(new Uint8Array(8));
  assertEquals(facts(pushback), [[...new Uint8Array(8), 1, 2, 3, 4, 5, 6, 7], 15, 8, 15]);
});

Deno.test("Pushback.skip() drops whole pieces, and shortens the one that it ends in", () => {
  const pushback = new Pushback(bytes(6, 7));
  pushback.push(bytes(3, 4, 5));
  pushback.push(bytes(1, 2));
  pushback.skip(1);
  assertEquals(facts(pushback).slice(0, 3), [[2, 3, 4, 5, 6, 7], 6, 1]);
  pushback.skip(1);
  assertEquals(facts(pushback).slice(0, 3), [[3, 4, 5, 6, 7], 5, 3]);
  pushback.skip(4);
  assertEquals(facts(pushback).slice(0, 3), [[7], 1, 1]);
  pushback.push(bytes(8));
  assertEquals(facts(pushback).slice(0, 3), [[8, 7], 2, 1]);
  pushback.skip(2);
  assertEquals(pushback.length, 0);
});

Deno.test("Pushback.look(), copy() and take() give the first bytes, and only take() takes them", () => {
  const pushback = new Pushback(bytes(4, 5, 6));
  pushback.push(bytes(1, 2, 3));
  pushback.skip(1);
  assertEquals([...pushback.look(2)], [2, 3]);
  const copy = pushback.copy(4);
  assertEquals([[...copy], copy.buffer.byteLength], [[2, 3, 4, 5], 4]);
  assertEquals(pushback.look(2).buffer === copy.buffer, false);
  assertEquals(facts(pushback).slice(0, 3), [[2, 3, 4, 5, 6], 5, 2]);
  const taken = pushback.take(3);
  assertEquals([[...taken], taken.buffer.byteLength], [[2, 3, 4], 3]);
  assertEquals(facts(pushback).slice(0, 3), [[5, 6], 2, 2]);
});

Deno.test("Pushback.take() gives its memory away when all of it is taken", () => {
  const pushback = new Pushback(bytes(1, 2, 3));
  const { buffer } = pushback.look();
  const taken = pushback.take(3);
  assertEquals([[...taken], taken.buffer === buffer, pushback.length], [[1, 2, 3], true, 0]);
});
