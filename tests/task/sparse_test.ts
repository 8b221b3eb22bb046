// `Sparse`: the table of those that live long, which grows and shrinks with their number.

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { Sparse } from "../../task/core/sparse.ts";
import { randomFrom } from "./helpers.ts";

interface Entry {
  readonly id: number;
}

/** So many slots an empty table has. */
const EMPTY = new Sparse<Entry>().slots;

/** So far apart are the IDs: each socket of a program may make so many tasks, say. */
for (const stride of [1, 2, 3, 4, 7, 16, 64, 1000, 4096, 32768]) {
  Deno.test(`Sparse keeps slots for nearly all of 100,000 IDs that are ${stride} apart`, () => {
    const table = new Sparse<Entry>();
    const entries = Array.from({ length: 100_000 }, (_, i) => ({ id: 2 ** 31 - 5 + i * stride }));
    entries.forEach((entry, i) => {
      table.add(entry);
      if (table.slots < 4 * (i + 1)) assertEquals(table.slots, 4 * (i + 1));
    });
    assert(table.slots <= 8 * entries.length, `${table.slots} slots`);
    assert(table.crowded < entries.length / 100, `${table.crowded} share theirs`);
    for (const entry of entries) {
      if (table.get(entry.id) !== entry) assertStrictEquals(table.get(entry.id), entry);
    }
  });
}

Deno.test("Sparse gives the memory back when its entries go", () => {
  const table = new Sparse<Entry>();
  const entries = Array.from({ length: 50_000 }, (_, i) => ({ id: i + 1 }));
  for (let round = 0; round < 2; round++) {
    entries.forEach((entry) => table.add(entry));
    entries.forEach((entry) => {
      assert(table.delete(entry));
      assert(table.slots <= Math.max(EMPTY, 16 * table.size + 16), `${table.slots} slots`);
    });
    assertEquals([table.size, table.slots, table.crowded], [0, EMPTY, 0]);
  }
});

Deno.test("Sparse agrees with a Map when entries with crowded IDs come and go", () => {
  const random = randomFrom(5);
  const table = new Sparse<Entry>();
  const model = new Map<number, Entry>();
  let crowded = 0;
  for (let step = 0; step < 100_000; step++) {
    // IDs that are 2⁴⁸ apart have the same two slots.
    const id = Math.floor(random() * 16) * 2 ** 48 + Math.floor(random() * 200);
    const entry = model.get(id);
    const growing = step % 20_000 < 10_000 ? 0.7 : 0.3;
    if (entry === undefined && random() < growing) {
      const newcomer = { id };
      table.add(newcomer);
      model.set(id, newcomer);
    } else if (entry !== undefined && random() > growing) {
      assert(!table.delete({ id }));
      assert(table.delete(entry));
      assert(!table.delete(entry));
      model.delete(id);
    }
    crowded = Math.max(crowded, table.crowded);
    if (table.get(id) !== model.get(id)) assertStrictEquals(table.get(id), model.get(id));
  }
  assert(crowded > 10, "IDs were not crowded");
  assertEquals(table.size, model.size);
  const byId = (a: Entry, b: Entry) => a.id - b.id;
  assertEquals(table.entries().sort(byId), [...model.values()].sort(byId));
});
