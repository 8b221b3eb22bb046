// chunks and lines: loops that take what receives take, and leave the rest.

import { assertEquals, assertRejects } from "@std/assert";
import { socket, task } from "../../../mod.ts";
import { assertSame, concat, randomBytes, receiveAll, textOf } from "../../bytes.ts";
import { codeOf, thrownBy, turn } from "../../settle.ts";
import type { DuplexTest } from "../duplex_test.ts";

const recvText = async (id: socket.SocketId, max?: number) =>
  textOf(await task.await(socket.recv(id, max)));

const pendingOf = (id: socket.SocketId) => (socket.inspect(id) as socket.StreamRecord).pending;

/** What one `next` gives, as text: a chunk, a line, `"done"` or a code. */
async function given(next: Promise<IteratorResult<Uint8Array | string, undefined>>) {
  try {
    const { done, value } = await next;
    if (done) return "done";
    return typeof value === "string" ? value : textOf(value);
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

/** Each loop, and the same bytes to it. */
const loops = {
  chunks: (id: socket.SocketId) => socket.chunks(id, 4),
  lines: (id: socket.SocketId) => socket.lines(id),
};

export function iterateTests(test: DuplexTest): void {
  test("chunks() gives the whole stream and ends with it", async ({ client, peer }) => {
    const data = randomBytes(300_000);
    const sending = socket.send(client, data);
    socket.shutdown(client);
    const got: Uint8Array[] = [];
    for await (const chunk of socket.chunks(peer, 10_000)) {
      assertEquals([chunk.byteOffset, chunk.length > 0, chunk.length <= 10_000], [0, true, true]);
      got.push(chunk);
    }
    assertSame(concat(got), data, "what came");
    assertEquals([await task.await(sending), socket.isopen(peer)], [data.length, true]);
    for await (const chunk of socket.chunks(peer)) assertEquals(chunk, undefined);
  });

  test("lines() gives every line and ends with the stream", async ({ client, peer }) => {
    socket.send(client, "one\r\n\ntwo\nno end");
    socket.shutdown(client);
    const got: string[] = [];
    for await (const line of socket.lines(peer, { max: 10 })) got.push(line);
    assertEquals(got, ["one", "", "two", "no end"]);
    assertEquals(socket.isopen(peer), true);
  });

  test("chunks() and lines() leave to the next receive what they have not given", async (pair) => {
    const { client, peer } = pair;
    await task.await(socket.send(client, "first\nsecond\nthe rest"));
    socket.shutdown(client);
    for await (const line of socket.lines(peer)) {
      assertEquals(line, "first");
      break;
    }
    for await (const chunk of socket.chunks(peer, 3)) {
      assertEquals(textOf(chunk), "sec");
      break;
    }
    assertEquals(pendingOf(peer), []);
    assertEquals(textOf(await receiveAll(peer)), "ond\nthe rest");
  });

  for (const [name, loop] of Object.entries(loops)) {
    test(`${name}() gives up a pending next when return is called`, async ({ client, peer }) => {
      const iterator = loop(peer);
      const nexts = [iterator.next(), iterator.next(), iterator.next()];
      assertEquals(pendingOf(peer).length, 3);
      await turn();
      const returning = iterator.return!();
      assertEquals(pendingOf(peer), []);
      const done = { done: true as const, value: undefined };
      assertEquals(await returning, done);
      assertEquals(await Promise.all(nexts), [done, done, done]);
      assertEquals(await iterator.next(), done);
      socket.send(client, "kept");
      assertEquals(await recvText(peer), "kept");
    });

    test(`${name}() serves several next in order, beside receives and loops`, async (pair) => {
      const { client, peer } = pair;
      const [one, other] = [loop(peer), loop(peer)];
      const nexts = [one.next(), other.next(), one.next()];
      const receiving = socket.recv(peer, 4);
      const last = other.next();
      socket.send(client, "aaa\nbbb\nccc\nddd\neee\n");
      const text = name === "lines" ? "" : "\n";
      assertEquals(await Promise.all(nexts.map(given)), ["aaa", "bbb", "ccc"].map((t) => t + text));
      assertEquals(textOf(await task.await(receiving)), "ddd\n");
      assertEquals(await given(last), "eee" + text);
    });

    test(`${name}() ends every pending next at the end of the stream`, async (pair) => {
      const { client, peer } = pair;
      const iterator = loop(peer);
      const nexts = [iterator.next(), iterator.next(), iterator.next()];
      socket.send(client, "x\n");
      socket.shutdown(client);
      const got = await Promise.all(nexts.map(given));
      assertEquals(got, [name === "lines" ? "x" : "x\n", "done", "done"]);
      assertEquals([pendingOf(peer), await given(iterator.next())], [[], "done"]);
    });

    test(`${name}() throws when the program closes the connection`, async ({ peer }) => {
      const iterator = loop(peer);
      const nexts = [iterator.next(), iterator.next()];
      await turn();
      socket.close(peer);
      assertEquals(await Promise.all(nexts.map(given)), ["ECONNABORTED", "done"]);
      assertEquals(await given(iterator.next()), "done");
      assertEquals([await given(loop(peer).next())], ["EBADF"]);
    });

    test(`${name}() throws when the loop's body closes the connection`, async (pair) => {
      const { client, peer } = pair;
      socket.send(client, "x\ny\n");
      const loopAndClose = async () => {
        for await (const _ of loop(peer)) socket.close(peer);
      };
      assertEquals((await assertRejects(loopAndClose, socket.SocketError)).code, "EBADF");
    });

    test(`${name}() leaves no task to be claimed`, async ({ client, peer }) => {
      socket.unrecv(peer, "x\n");
      const before = task.list();
      const iterator = loop(peer);
      assertEquals((await given(iterator.next()))?.trim(), "x"); // at once
      const next = iterator.next();
      await task.await(socket.send(client, "y\n"));
      assertEquals((await given(next))?.trim(), "y");
      assertEquals(task.list(), before);
    });

    test(`${name}() gives to a next what came just before return`, async ({ client, peer }) => {
      const iterator = loop(peer);
      const next = iterator.next();
      socket.unrecv(peer, "new\n"); // settles it
      await iterator.return!();
      assertEquals((await given(next))?.trim(), "new");
      socket.send(client, "more");
      assertEquals(await recvText(peer), "more");
    });
  }

  test("lines() throws EMSGSIZE and leaves the line readable", async ({ client, peer }) => {
    socket.send(client, "short\nmuch too long\n");
    const iterator = socket.lines(peer, { max: 8 });
    const nexts = [iterator.next(), iterator.next(), iterator.next()];
    assertEquals(await Promise.all(nexts.map(given)), ["short", "EMSGSIZE", "done"]);
    assertEquals(pendingOf(peer), []);
    assertEquals(await task.await(socket.recvLine(peer)), "much too long");
  });

  test("chunks() throws what its recv faults with when that is cancelled", async ({ peer }) => {
    const next = socket.chunks(peer).next();
    const [pending] = pendingOf(peer);
    task.cancel(pending);
    assertEquals(await given(next), "ECANCELED");
    assertEquals(await codeOf(pending), "ESRCH"); // the loop had it
  });

  test("chunks() and lines() throw at the call when an argument is wrong", ({ peer }) => {
    // deno-lint-ignore no-explicit-any
    const wrong = (value: unknown) => value as any;
    const calls = [
      () => socket.chunks(wrong("1")),
      () => socket.chunks(peer, 0),
      () => socket.chunks(peer, wrong("1")),
      () => socket.lines(wrong(undefined)),
      () => socket.lines(peer, { max: 0 }),
      () => socket.lines(peer, wrong({ timeout: 1 })),
    ];
    for (const call of calls) assertEquals(/^(Type|Range)Error/.test(thrownBy(call)), true);
    assertEquals(pendingOf(peer), []);
  });
}
