// IDs where numbers change their nature: beyond 2³¹, 2³² and up to 2⁵³.

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { IdTable } from "../../task/core/table.ts";
import { lastId, raiseLastId } from "../counter.ts";
import { completed, drain, held, leaveNothing, makePair, recvText } from "./helpers.ts";

leaveNothing();

/** Just before each border, ascending; from the last on there is room for so many IDs. */
const STARTS = [2 ** 31 - 5, 2 ** 32 - 5, 2 ** 52 - 5, 2 ** 53 - 500];

for (const start of STARTS) {
  Deno.test(`sockets and tasks work with IDs from ${start} on`, async () => {
    raiseLastId(start);
    using pair = await makePair();
    const ids: number[] = [pair.server, pair.client, pair.peer];
    const exchanged = async (text: string) => {
      const receiving = socket.recv(pair.peer);
      const sending = socket.send(pair.client, text);
      ids.push(receiving, sending);
      assertEquals(await task.await(sending), text.length);
      assertEquals(new TextDecoder().decode(await task.await(receiving)), text);
      assertEquals([task.status(receiving), task.status(sending)], ["Unknown", "Unknown"]);
    };
    for (let i = 0; i < 10; i++) await exchanged(`message ${i}`);

    const waiting = socket.recv(pair.client);
    assertEquals(task.status(waiting), "Running");
    assertEquals(task.inspect(waiting)?.socket, pair.client);
    assertEquals(task.list(), [waiting]);
    assertEquals(task.cancel(waiting), true);
    assertEquals(task.status(waiting), "Faulted");
    task.forget(waiting);
    socket.send(pair.peer, "for the next");
    assertEquals(await recvText(pair.client), "for the next");
    await task.wait();
    task.list().forEach(task.forget);

    const [one, two] = [held<string>(), held<string>()];
    ids.push(one.id, two.id);
    const racing = task.race([one.id, two.id]);
    await drain();
    two.resolve("two");
    assertEquals(await racing, { id: two.id, value: "two" });
    one.resolve("one");
    assertEquals(await task.select([one.id]), { index: 0, value: "one" });
    assertEquals(await task.all([await completed(1), await completed(2)]), [1, 2]);

    assertEquals(ids, ids.toSorted((a, b) => a - b));
    assertEquals(new Set(ids).size, ids.length);
    assert(ids.every(Number.isSafeInteger) && lastId() <= Number.MAX_SAFE_INTEGER);
  });

  Deno.test(`the numbers next to IDs from ${start} on stand for nothing`, async () => {
    raiseLastId(Math.max(start, lastId()));
    const id = await completed("here");
    for (const n of [id + 2 ** 32, id - 2 ** 32, -id, id % 2 ** 31, id + 4096]) {
      if (n === id) continue; // no more than so many digits fit
      assertEquals(task.status(n), "Unknown");
      assertEquals(task.result(n), undefined);
    }
    const big = BigInt(id) as never;
    assertEquals(task.status(big), "Unknown");
    assertThrows(() => task.result(big), TypeError, `current value is ${id}n`);
    assertEquals(await task.await(id), "here");
    await assertRejects(() => task.await(id), task.UnknownTaskError, `Task ${id} not found.`);
    assertThrows(
      () => socket.getpeer(id as number),
      socket.SocketError,
      `${id} is no socket: it was closed`,
    );
  });

  Deno.test(`IdTable holds 20,000 entries with IDs from ${start} on`, () => {
    const table = new IdTable<{ id: number }>();
    const entries = Array.from({ length: 20_000 }, (_, i) => ({ id: start - 20_000 + i }));
    for (const entry of entries) table.add(entry);
    for (const entry of entries) {
      if (table.get(entry.id) !== entry) assertStrictEquals(table.get(entry.id), entry);
      for (const away of [0.5, 2 ** 32, -(2 ** 32), 4096 * 16 * 20_000]) {
        const found = table.get(entry.id + away);
        if (found !== undefined && found.id !== entry.id + away) assertEquals(found, undefined);
      }
    }
    assertEquals(table.entries(), entries);
    for (const entry of entries) assert(table.delete(entry));
    assertEquals([table.size, table.entries()], [0, []]);
  });
}
