// `IdTable`: from IDs to what they stand for.

import { assertEquals, assertStrictEquals } from "@std/assert";
import { IdTable } from "../../task/core/table.ts";
import { randomFrom } from "./helpers.ts";

interface Entry {
  readonly id: number;
}

/** As many as the table has slots: IDs that differ by this collide. */
const SLOTS = 4096;

Deno.test("IdTable.get() finds what was added and nothing else", () => {
  const table = new IdTable<Entry>();
  const entry = { id: 7 };
  assertEquals(table.get(7), undefined);
  table.add(entry);
  assertStrictEquals(table.get(7), entry);
  for (const id of [0, -0, 6, 8, -7, 7 + SLOTS, 7 - SLOTS, 7 + 2 ** 32, 7.5, NaN, Infinity]) {
    assertEquals(table.get(id), undefined);
  }
  assertEquals(table.size, 1);
});

Deno.test("IdTable.get() is undefined when it is asked for no number", () => {
  const table = new IdTable<Entry>();
  const ids = [1, 2, SLOTS + 1, SLOTS];
  for (const id of ids) table.add({ id });
  const anything = ["1", "4097", 1n, 4097n, Symbol("1"), null, undefined, true, [1], {}, () => 1];
  for (const id of anything) assertEquals(table.get(id as number), undefined);
});

Deno.test("IdTable.get() finds every entry when IDs collide", () => {
  const table = new IdTable<Entry>();
  const entries = [5, 5 + SLOTS, 5 + 2 * SLOTS, 5 + 2 ** 32, 5 + 2 ** 40].map((id) => ({ id }));
  for (const entry of entries) table.add(entry);
  for (const entry of entries) assertStrictEquals(table.get(entry.id), entry);
  assertEquals(table.size, 5);
  assertEquals(table.entries(), entries);
});

Deno.test("IdTable.delete() removes one entry, wherever it is, and once", () => {
  for (let gone = 0; gone < 3; gone++) {
    const table = new IdTable<Entry>();
    const entries = [9, 9 + SLOTS, 9 + 2 * SLOTS].map((id) => ({ id }));
    for (const entry of entries) table.add(entry);
    assertEquals(table.delete(entries[gone]), true);
    assertEquals(table.delete(entries[gone]), false);
    assertEquals(table.size, 2);
    const rest = entries.filter((_, i) => i !== gone);
    assertEquals(table.get(entries[gone].id), undefined);
    for (const entry of rest) assertStrictEquals(table.get(entry.id), entry);
    assertEquals(table.entries(), rest);
  }
});

Deno.test("IdTable.delete() is false when the entry was never added", () => {
  const table = new IdTable<Entry>();
  table.add({ id: 3 });
  assertEquals(table.delete({ id: 4 }), false);
  assertEquals(table.delete({ id: 3 + SLOTS }), false);
  assertEquals(table.size, 1);
});

Deno.test("IdTable holds 100,000 live entries and lists them by ascending ID", () => {
  const COUNT = 100_000;
  const table = new IdTable<Entry>();
  const entries = Array.from({ length: COUNT }, (_, i) => ({ id: i + 1 }));
  for (const entry of entries) table.add(entry);
  assertEquals(table.size, COUNT);
  for (const entry of entries) {
    if (table.get(entry.id) !== entry) assertStrictEquals(table.get(entry.id), entry);
  }
  assertEquals(table.entries().map(({ id }) => id), entries.map(({ id }) => id));
  for (const entry of entries) if (entry.id % 7 !== 0) table.delete(entry);
  const rest = entries.filter(({ id }) => id % 7 === 0);
  assertEquals(table.size, rest.length);
  assertEquals(table.entries().map(({ id }) => id), rest.map(({ id }) => id));
  for (const entry of rest) table.delete(entry);
  assertEquals([table.size, table.entries()], [0, []]);
});

Deno.test("IdTable agrees with a Map when entries come and go at random", () => {
  const random = randomFrom(3);
  const table = new IdTable<Entry>();
  const model = new Map<number, Entry>();
  let last = 0;
  for (let step = 0; step < 50_000; step++) {
    if (random() < 0.55) {
      const entry = { id: last += 1 + Math.floor(random() * SLOTS) };
      table.add(entry);
      model.set(entry.id, entry);
    } else {
      const id = [...model.keys().take(20)].at(Math.floor(random() * 20));
      if (id !== undefined) {
        assertEquals(table.delete(model.get(id)!), true);
        model.delete(id);
      }
    }
    const id = Math.floor(random() * last);
    if (table.get(id) !== model.get(id)) assertStrictEquals(table.get(id), model.get(id));
  }
  assertEquals(table.size, model.size);
  assertEquals(table.entries().map(({ id }) => id), [...model.keys()]);
});
