import { assert, assertEquals, assertLessOrEqual, assertMatch, assertThrows } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { assertSame, bytesOf, concat, randomBytes, receive, receiveAll, textOf } from "../bytes.ts";
import { type Pair, tcpPair, transports } from "../pair.ts";
import { type Random, withSeed } from "../random.ts";
import { resettable } from "../reset.ts";
import { codeOf, faultOf, leavingNothing, turn, until } from "../settle.ts";

/** Registers a test of a fresh pair, which is closed afterwards; nothing may be left of it. */
function test(name: string, run: (pair: Pair) => Promise<void> | void, makePair = tcpPair): void {
  Deno.test(name, () =>
    leavingNothing(async () => {
      using pair = await makePair();
      await run(pair);
    }));
}

const record = (id: socket.SocketId) => socket.inspect(id) as socket.StreamRecord;

/** Sends bytes and waits until they have been read, as far as anybody wants them. */
async function feed({ client, peer }: Pair, data: Uint8Array | string): Promise<void> {
  const before = record(peer).bytesIn;
  const count = await task.await(socket.send(client, data));
  await until(() => record(peer).bytesIn === before + count || record(peer).pending.length === 0);
}

/** Makes bytes arrive that nobody waits for. */
async function stored(pair: Pair, data: Uint8Array | string): Promise<void> {
  await task.await(socket.send(pair.client, data));
  const length = typeof data === "string" ? bytesOf(data).length : data.length;
  await until(() => socket.peek(pair.peer) !== undefined && record(pair.peer).queuedIn === length);
}

/** The text of what a receive gives. */
async function text(id: task.TaskId<Uint8Array>): Promise<string> {
  return textOf(await task.await(id));
}

/** The failure of a receive. */
async function failure(id: task.TaskId): Promise<socket.SocketError> {
  const error = await task.await(id).catch((error) => error);
  assert(error instanceof socket.SocketError, String(error));
  return error;
}

/** A conversation of every kind of message, and what is to be received of it, in order. */
const WHOLE = bytesOf("HELO\r\n\nQUIT \r\r\nA: b\r\n\r\n\x05hellogrüezi 🌍\naabaaab|last");
const steps: [begin: (id: socket.SocketId) => task.TaskId, expected: unknown][] = [
  [(id) => socket.recvLine(id), "HELO"],
  [(id) => socket.recvLine(id), ""],
  [(id) => socket.recvLine(id), "QUIT \r"],
  [(id) => socket.recvUntil(id, "\r\n\r\n"), bytesOf("A: b\r\n\r\n")],
  [(id) => socket.recvExact(id, 1), bytesOf("\x05")],
  [(id) => socket.recvExact(id, 0), new Uint8Array(0)],
  [(id) => socket.recvExact(id, 5), bytesOf("hello")],
  [(id) => socket.recvLine(id), "grüezi 🌍"],
  [(id) => socket.recvUntil(id, bytesOf("aaab")), bytesOf("aabaaab")],
  [(id) => socket.recvUntil(id, "|", { max: 1 }), bytesOf("|")],
  [(id) => socket.recvLine(id), "last"],
  [(id) => socket.recvLine(id), null],
  [(id) => socket.recvExact(id, 0), new Uint8Array(0)],
];

const expected = steps.map(([, value]) => value);

/** Sends the conversation in pieces and receives it. */
async function converse(pair: Pair, pieces: Uint8Array[], pending: boolean): Promise<unknown[]> {
  if (!pending) {
    const feeding = (async () => {
      for (const piece of pieces) {
        await feed(pair, piece);
        await turn();
      }
      await task.await(socket.shutdown(pair.client));
    })();
    const results = [];
    for (const [begin] of steps) results.push(await task.await(begin(pair.peer)));
    await feeding;
    return results;
  }
  const ids = steps.map(([begin]) => begin(pair.peer));
  for (const piece of pieces) await feed(pair, piece);
  await task.await(socket.shutdown(pair.client));
  return await task.all(ids);
}

/** Pieces of that size. */
function cut(data: Uint8Array, size: number): Uint8Array[] {
  const count = Math.ceil(data.length / size);
  return Array.from({ length: count }, (_, i) => data.subarray(i * size, (i + 1) * size));
}

for (const pending of [true, false]) {
  const when = pending ? "when all are pending" : "when one follows the other";
  Deno.test(`recvExact(), recvUntil() and recvLine() do not mind pieces of any size ${when}`, () =>
    leavingNothing(async () => {
      for (let size = 1; size <= WHOLE.length; size++) {
        using pair = await tcpPair();
        assertEquals(await converse(pair, cut(WHOLE, size), pending), expected, `size ${size}`);
      }
    }));

  Deno.test(`recvExact(), recvUntil() and recvLine() do not mind a split anywhere ${when}`, () =>
    leavingNothing(async () => {
      for (let at = 1; at < WHOLE.length; at++) {
        using pair = await tcpPair();
        const pieces = [WHOLE.subarray(0, at), WHOLE.subarray(at)];
        assertEquals(await converse(pair, pieces, pending), expected, `split at ${at}`);
      }
    }));
}

test("recvExact(), recvUntil() and recvLine() do not mind bytes that were put back", async () => {
  for (let at = 0; at <= WHOLE.length; at++) {
    using pair = await tcpPair();
    await stored(pair, "x");
    // The rest is in front, in two pieces, the one put back last first.
    await receive(pair.peer, 1);
    socket.unrecv(pair.peer, WHOLE.subarray(at));
    socket.unrecv(pair.peer, WHOLE.subarray(0, at));
    await task.await(socket.shutdown(pair.client));
    const got = [];
    for (const [begin] of steps) got.push(await task.await(begin(pair.peer)));
    assertEquals(got, expected, `split at ${at}`);
  }
});

/** What a receive should give of data that is there whole, and how much it takes. */
function model(data: Uint8Array, call: Call): [outcome: string, taken: number] {
  const { kind, n, delimiter } = call;
  if (kind === "recvExact") {
    return data.length < n ? ["EUNEXPECTEDEOF", 0] : [textOf(data.subarray(0, n)), n];
  }
  if (kind === "recv") return ["some", -1];
  const text = textOf(data);
  const at = text.indexOf(delimiter);
  const length = at === -1 ? Infinity : at + delimiter.length;
  if (length <= n) {
    if (kind === "recvUntil") return [text.slice(0, length), length];
    return [text.slice(0, at).replace(/\r$/, ""), length];
  }
  if (kind === "recvLine" ? data.length > n : data.length >= n) return ["EMSGSIZE", 0];
  if (kind === "recvUntil") return ["EUNEXPECTEDEOF", 0];
  return data.length === 0 ? ["null", 0] : [text, data.length];
}

interface Call {
  kind: "recvExact" | "recvUntil" | "recvLine" | "recv";
  n: number;
  delimiter: string;
}

const DELIMITERS = ["\n", "\r\n", "aab", "abab", "\r\n\r\n", "aaa"];

function anyCall(random: Random): Call {
  const kind = random.pick(["recvExact", "recvUntil", "recvLine", "recv"] as const);
  const n = random.integer(kind === "recvExact" ? 0 : 1, 30);
  return { kind, n, delimiter: kind === "recvUntil" ? random.pick(DELIMITERS) : "\n" };
}

function begin(id: socket.SocketId, { kind, n, delimiter }: Call): task.TaskId {
  if (kind === "recvExact") return socket.recvExact(id, n);
  if (kind === "recv") return socket.recv(id, n);
  if (kind === "recvLine") return socket.recvLine(id, { max: n });
  return socket.recvUntil(id, delimiter, { max: n });
}

/** Random calls, cancels and bytes put back on random text; compared with the model. */
async function compareWithModel(pair: Pair, random: Random): Promise<void> {
  const { client, peer } = pair;
  const LENGTH = 3000;
  const data = bytesOf(Array.from({ length: LENGTH }, () => random.pick([..."aaab\r\n"])).join(""));
  const sender = task.spawn(async () => {
    for (let at = 0; at < LENGTH;) {
      const size = random.integer(1, 25);
      await task.await(socket.send(client, data.subarray(at, at + size)));
      at += size;
      if (random.oneIn(3)) await turn();
    }
    await task.await(socket.shutdown(client));
  });
  for (let position = 0, stuck = 0; position < LENGTH && stuck < 200;) {
    if (random.oneIn(4)) {
      const other = begin(peer, anyCall(random));
      if (random.oneIn(2)) await Promise.resolve();
      if (task.cancel(other)) task.forget(other);
      else {
        // It was met at once: what it took goes back, or it took nothing.
        const value = task.result(other);
        task.forget(other);
        const length = value instanceof Uint8Array
          ? value.length
          : lineLength(data, position, value);
        socket.unrecv(peer, data.subarray(position, position + length));
      }
    }
    const call = anyCall(random);
    const rest = data.subarray(position);
    const [outcome, taken] = model(rest, call);
    const id = begin(peer, call);
    if (random.oneIn(5)) {
      const length = random.integer(0, Math.min(position, 20));
      if (task.status(id) === "Running") {
        // Put back in front of one that waits, it comes before what it waited for.
        task.cancel(id);
        socket.unrecv(peer, data.subarray(position - length, position));
        position -= length;
        continue;
      }
    }
    const error = await task.await(id).then((value) => {
      if (call.kind === "recv") {
        const bytes = value as Uint8Array;
        assertSame(bytes, rest.subarray(0, bytes.length), "recv");
        assert(bytes.length >= 1 && bytes.length <= call.n);
        position += bytes.length;
      } else {
        const got = value instanceof Uint8Array ? textOf(value) : String(value);
        assertEquals(got, outcome, JSON.stringify(call));
        position += taken;
      }
    }, (error) => error);
    if (error === undefined) stuck = 0;
    else {
      assertEquals(error.code, outcome, `${error}`);
      assertEquals([taken, error.op], [0, call.kind]);
      if (error.code === "EUNEXPECTEDEOF") assertSame(error.partial, rest, "partial");
      stuck++;
    }
  }
  await task.await(sender);
  await receiveAll(peer);
}

/** How many bytes a line, which was received without its end, has taken. */
function lineLength(data: Uint8Array, position: number, line: unknown): number {
  if (typeof line !== "string") return 0;
  const end = data.indexOf(10, position);
  return (end === -1 ? data.length : end + 1) - position;
}

for (const { name, makePair } of transports) {
  test(`recvExact(), recvUntil() and recvLine() do as a model does [${name}]`, async (pair) => {
    await withSeed((random) => compareWithModel(pair, random));
  }, makePair);
}

test("recvExact() gives exactly n bytes and leaves the rest", async (pair) => {
  const data = randomBytes(300_000);
  const sending = socket.send(pair.client, data);
  assertSame(await task.await(socket.recvExact(pair.peer, 1)), data.subarray(0, 1), "one");
  const many = await task.await(socket.recvExact(pair.peer, 199_999));
  assertSame(many, data.subarray(1, 200_000), "many");
  assertSame(await receive(pair.peer, 100_000), data.subarray(200_000), "rest");
  await task.await(sending);
});

test("recvExact() gives no bytes at once when n is 0", async (pair) => {
  const at = () => {
    const id = socket.recvExact(pair.peer, 0);
    assertEquals(task.result(id), new Uint8Array(0));
    task.forget(id);
  };
  at();
  socket.unrecv(pair.peer, "put back");
  at();
  assertEquals(await text(socket.recv(pair.peer)), "put back");
  await stored(pair, "bytes");
  at();
  assertEquals(await text(socket.recv(pair.peer)), "bytes");
  // In its turn.
  const [first, second] = [socket.recv(pair.peer), socket.recvExact(pair.peer, 0)];
  assertEquals(task.status(second), "Running");
  await feed(pair, "x");
  assertEquals(await task.all([first, second]), [bytesOf("x"), new Uint8Array(0)]);
  await task.await(socket.shutdown(pair.client));
  await receiveAll(pair.peer);
  at();
});

test("recvExact() gives bytes that belong to the caller", async (pair) => {
  await stored(pair, "abcdef");
  const first = await task.await(socket.recvExact(pair.peer, 3));
  first.fill(0);
  const second = await task.await(socket.recvExact(pair.peer, 3));
  assertEquals(textOf(second), "def");
  assertEquals(first, new Uint8Array(3));
});

test("recvExact() faults EUNEXPECTEDEOF with what came and leaves it readable", async (pair) => {
  const waiting = socket.recvExact(pair.peer, 10);
  const next = socket.recvExact(pair.peer, 4);
  await feed(pair, "abc");
  await feed(pair, "def");
  socket.shutdown(pair.client);
  const error = await failure(waiting);
  assertEquals([error.code, error.op, error.socket], ["EUNEXPECTEDEOF", "recvExact", pair.peer]);
  const reason = "peer ended the stream too soon, after 6 of 10 bytes (EUNEXPECTEDEOF)";
  assertEquals(error.message.slice(-reason.length), reason);
  assertEquals(textOf(error.partial!), "abcdef");
  // The partial is a copy.
  error.partial!.fill(0);
  assertEquals(await text(next), "abcd");
  assertEquals(textOf((await failure(socket.recvExact(pair.peer, 3))).partial!), "ef");
  assertEquals(await text(socket.recvExact(pair.peer, 2)), "ef");
  const last = await failure(socket.recvExact(pair.peer, 1));
  assertEquals([last.code, last.partial], ["EUNEXPECTEDEOF", new Uint8Array(0)]);
});

test("recvExact() is met again after the end when bytes are put back", async (pair) => {
  await task.await(socket.shutdown(pair.client));
  assertEquals((await failure(socket.recvExact(pair.peer, 3))).code, "EUNEXPECTEDEOF");
  socket.unrecv(pair.peer, "c");
  socket.unrecv(pair.peer, "ab");
  assertEquals(await text(socket.recvExact(pair.peer, 3)), "abc");
});

test("recvUntil() faults EUNEXPECTEDEOF with what came and leaves it readable", async (pair) => {
  const waiting = socket.recvUntil(pair.peer, "\r\n");
  await feed(pair, "no end\r");
  socket.shutdown(pair.client);
  const error = await failure(waiting);
  assertEquals([error.code, error.op], ["EUNEXPECTEDEOF", "recvUntil"]);
  assertEquals(textOf(error.partial!), "no end\r");
  error.partial!.fill(0);
  assertEquals(await text(socket.recvUntil(pair.peer, "\r")), "no end\r");
  assertEquals((await failure(socket.recvUntil(pair.peer, "\r"))).partial, new Uint8Array(0));
});

Deno.test("recvExact(), recvUntil() and recvLine() fault ECONNRESET with what came", () =>
  leavingNothing(async () => {
    const calls: [string, (id: socket.SocketId) => task.TaskId][] = [
      ["recvExact", (id) => socket.recvExact(id, 10)],
      ["recvUntil", (id) => socket.recvUntil(id, "\n")],
      ["recvLine", (id) => socket.recvLine(id)],
    ];
    for (const [name, call] of calls) {
      await using broken = await resettable();
      const { client, far, reset } = broken;
      const waiting = call(client);
      far.write("came");
      await until(() => record(client).queuedIn === 4);
      await reset();
      const error = await failure(waiting);
      assertEquals([error.code, error.op, textOf(error.partial!)], ["ECONNRESET", name, "came"]);
      // And later ones likewise; what came can still be taken.
      assertEquals((await failure(call(client))).code, "ECONNRESET");
      assertEquals(await text(socket.recvExact(client, 2)), "ca");
      assertEquals(await text(socket.recv(client)), "me");
      assertEquals((await failure(call(client))).partial, new Uint8Array(0));
      assertEquals((await failure(socket.recvExact(client, 1))).code, "ECONNRESET");
      assertEquals((await failure(socket.recv(client))).partial, undefined);
      socket.unrecv(client, "a line\n");
      assertEquals(await task.await(socket.recvLine(client)), "a line");
    }
  }));

for (
  const [end, max] of [["\n", 6], ["\r\n", 7], ["|end|", 10], ["\n", 1]] as const
) {
  const line = "x".repeat(max - end.length);
  const what = `${JSON.stringify(end)} comes at byte ${max}`;
  test(`recvUntil() takes a message of max bytes and no longer one when ${what}`, async (pair) => {
    for (const whole of [true, false]) {
      const message = bytesOf(`${line}${end}`);
      for (const piece of whole ? [message] : cut(message, 1)) {
        await task.await(socket.send(pair.client, piece));
      }
      if (max > 1) {
        const error = await failure(socket.recvUntil(pair.peer, end, { max: max - 1 }));
        assertEquals([error.code, error.op], ["EMSGSIZE", "recvUntil"]);
        assertEquals(
          error.message.slice(error.message.indexOf(": ") + 2),
          `no delimiter in the first ${
            max - 1
          } bytes: raise "max", or receive it in parts (EMSGSIZE)`,
        );
        assertEquals(error.partial, undefined);
      }
      // Nothing was consumed.
      assertEquals(await text(socket.recvUntil(pair.peer, end, { max })), `${line}${end}`);
      // One byte more in front, and it is too long.
      await task.await(socket.send(pair.client, message));
      socket.unrecv(pair.peer, "y");
      assertEquals(await codeOf(socket.recvUntil(pair.peer, end, { max })), "EMSGSIZE");
      assertEquals(
        await text(socket.recvUntil(pair.peer, end, { max: max + 1 })),
        `y${line}${end}`,
      );
    }
  });
}

for (const end of ["\n", "\r\n"]) {
  const what = `it ends with ${JSON.stringify(end)}`;
  test(`recvLine() counts the end in max when ${what}`, async (pair) => {
    const line = "x".repeat(9 - end.length);
    await stored(pair, `${line}${end}rest`);
    const error = await failure(socket.recvLine(pair.peer, { max: 8 }));
    assertEquals([error.code, error.op], ["EMSGSIZE", "recvLine"]);
    assertMatch(
      error.message,
      /: no line end in the first \d+ bytes: raise "max", or receive it in/,
    );
    assertEquals(await codeOf(socket.recvLine(pair.peer, { max: 8 })), "EMSGSIZE");
    assertEquals(await task.await(socket.recvLine(pair.peer, { max: 9 })), line);
    assertEquals(await text(socket.recv(pair.peer)), "rest");
  });

  test(`recvLine() and recvUntil() take up to 65536 bytes when ${what}`, async (pair) => {
    const line = "x".repeat(65536 - end.length);
    const sending = socket.send(pair.client, `${line}${end}${line}${end}y${line}${end}`);
    assertEquals(await task.await(socket.recvLine(pair.peer)), line);
    assertEquals((await task.await(socket.recvUntil(pair.peer, end))).length, 65536);
    assertEquals(await codeOf(socket.recvLine(pair.peer)), "EMSGSIZE");
    assertEquals(await codeOf(socket.recvUntil(pair.peer, end)), "EMSGSIZE");
    const options = { max: 65537 };
    assertEquals(await task.await(socket.recvLine(pair.peer, options)), `y${line}`);
    await task.await(sending);
  });
}

test("recvUntil() faults EMSGSIZE before the delimiter has come", async (pair) => {
  const waiting = socket.recvUntil(pair.peer, "\n", { max: 5 });
  await feed(pair, "1234");
  assertEquals(task.status(waiting), "Running");
  await feed(pair, "5");
  assertEquals(await codeOf(waiting), "EMSGSIZE");
  // Nor can the rest of a delimiter that has begun be within max.
  assertEquals(await codeOf(socket.recvUntil(pair.peer, "5\n", { max: 5 })), "EMSGSIZE");
  assertEquals(await text(socket.recv(pair.peer)), "12345");
});

test("recvLine() takes a last line that does not end, up to max bytes", async (pair) => {
  await task.await(socket.send(pair.client, "12345"));
  await task.await(socket.shutdown(pair.client));
  assertEquals(await codeOf(socket.recvLine(pair.peer, { max: 4 })), "EMSGSIZE");
  assertEquals(await task.await(socket.recvLine(pair.peer, { max: 5 })), "12345");
  assertEquals(await task.await(socket.recvLine(pair.peer, { max: 1 })), null);
  socket.unrecv(pair.peer, "x\ny\nzz");
  assertEquals(await Array.fromAsync(socket.lines(pair.peer, { max: 2 })), ["x", "y", "zz"]);
});

test("recvLine() waits at max bytes for what tells whether the line is too long", async (pair) => {
  for (
    const [follows, expected] of [["\n", "EMSGSIZE"], ["6", "EMSGSIZE"], ["", "12345"]] as const
  ) {
    const waiting = socket.recvLine(pair.peer, { max: 5 });
    await feed(pair, "1234");
    await feed(pair, "5");
    assertEquals(task.status(waiting), "Running");
    if (follows === "") await task.await(socket.shutdown(pair.client));
    else await task.await(socket.send(pair.client, follows));
    const outcome = await task.await(waiting, { timeout: 20_000 }).catch((error) => error.code);
    assertEquals(outcome, expected, JSON.stringify(follows));
    if (follows !== "") assertEquals(await text(socket.recv(pair.peer)), `12345${follows}`);
  }
});

test("recvLine() of max bytes goes on reading when they fill its buffer", async (pair) => {
  for (const max of [4096, 16384, 65536, 100_000]) {
    const line = "x".repeat(max);
    const waiting = socket.recvLine(pair.peer, { max });
    await feed(pair, line);
    assertEquals(task.status(waiting), "Running");
    await task.await(socket.send(pair.client, "y"));
    assertEquals(await codeOf(waiting), "EMSGSIZE");
    assertEquals(textOf(await task.await(socket.recvExact(pair.peer, max + 1))), `${line}y`);
  }
  const line = "x".repeat(65536);
  await task.await(socket.send(pair.client, line));
  const waiting = socket.recvLine(pair.peer);
  await task.await(socket.shutdown(pair.client));
  assertEquals(await task.await(waiting), line);
});

test("recvLine() gives null at the end of the stream again and again", async (pair) => {
  const ids = [socket.recvLine(pair.peer), socket.recvLine(pair.peer)];
  await task.await(socket.shutdown(pair.client));
  assertEquals(await task.all(ids), [null, null]);
  assertEquals(await task.await(socket.recvLine(pair.peer)), null);
  socket.unrecv(pair.peer, "put back\r\n");
  assertEquals(await task.await(socket.recvLine(pair.peer)), "put back");
  assertEquals(await task.await(socket.recvLine(pair.peer)), null);
});

test("recvLine() takes off one line end and nothing else", async (pair) => {
  const lines: [sent: string, got: string][] = [
    ["\n", ""],
    ["\r\n", ""],
    ["\r\r\n", "\r"],
    ["a\rb\n", "a\rb"],
    [" a \t\n", " a \t"],
    ["\ufeffbom\n", "\ufeffbom"],
    ["grüezi 🌍\r\n", "grüezi 🌍"],
  ];
  await stored(pair, lines.map(([sent]) => sent).join(""));
  for (const [sent, got] of lines) {
    assertEquals(await task.await(socket.recvLine(pair.peer)), got, JSON.stringify(sent));
  }
  socket.unrecv(pair.peer, "end\r");
  await task.await(socket.shutdown(pair.client));
  // A carriage return alone is no line end.
  assertEquals(await task.await(socket.recvLine(pair.peer)), "end\r");
});

test("recvLine() replaces what is no UTF-8", async (pair) => {
  await stored(pair, new Uint8Array([0x61, 0xff, 0x62, 0xf0, 0x9f, 10]));
  assertEquals(await task.await(socket.recvLine(pair.peer)), "a\ufffdb\ufffd");
  await stored(pair, new Uint8Array([0xc3, 10, 0xbc, 10]));
  // A line end ends the line, also in the middle of a character.
  assertEquals(await task.await(socket.recvLine(pair.peer)), "\ufffd");
  assertEquals(await task.await(socket.recvLine(pair.peer)), "\ufffd");
});

test("recvUntil() takes a delimiter that is changed afterwards", async (pair) => {
  const delimiter = bytesOf("--");
  const waiting = socket.recvUntil(pair.peer, delimiter);
  delimiter.fill(0);
  await feed(pair, "a-b--c");
  assertEquals(await text(waiting), "a-b--");
});

test("recvUntil() finds a delimiter that bytes put back complete", async (pair) => {
  const waiting = socket.recvUntil(pair.peer, "\r\n");
  await feed(pair, "\nrest");
  assertEquals(task.status(waiting), "Running");
  socket.unrecv(pair.peer, "line\r");
  assertEquals(textOf(task.result(waiting)!), "line\r\n");
  task.forget(waiting);
  assertEquals(await text(socket.recv(pair.peer)), "rest");
  // Or that is in them, in front of what has been looked through.
  const line = socket.recvLine(pair.peer);
  await feed(pair, "looked through");
  socket.unrecv(pair.peer, "in front\n");
  assertEquals(await task.await(line), "in front");
  assertEquals(await text(socket.recv(pair.peer)), "looked through");
});

test("recvExact() takes bytes put back together with what comes", async (pair) => {
  const waiting = socket.recvExact(pair.peer, 8);
  await feed(pair, "78");
  socket.unrecv(pair.peer, "456");
  assertEquals(task.status(waiting), "Running");
  socket.unrecv(pair.peer, "123");
  assertEquals(await text(waiting), "12345678");
});

test("peek() shows what a recvExact waits with", async (pair) => {
  const waiting = socket.recvExact(pair.peer, 8);
  assertEquals(socket.peek(pair.peer), undefined);
  await feed(pair, "1234");
  assertEquals(textOf(socket.peek(pair.peer)!), "1234");
  assertEquals(textOf(socket.peek(pair.peer, 2)!), "12");
  await feed(pair, "5678");
  assertEquals(await text(waiting), "12345678");
});

test("recv() waits behind a recvExact although there are bytes", async (pair) => {
  const [exact, next] = [socket.recvExact(pair.peer, 4), socket.recv(pair.peer)];
  await feed(pair, "123");
  assertEquals([exact, next].map(task.status), ["Running", "Running"]);
  const buffer = new Uint8Array(32 * 1024);
  const into = socket.recvInto(pair.peer, buffer);
  await feed(pair, "456");
  assertEquals([await text(exact), await text(next)], ["1234", "56"]);
  await feed(pair, "789");
  assertEquals([await task.await(into), textOf(buffer.subarray(0, 3))], [3, "789"]);
});

const cancellable: Record<string, (id: socket.SocketId) => task.TaskId> = {
  "recvExact()": (id) => socket.recvExact(id, 20),
  "recvUntil()": (id) => socket.recvUntil(id, "\n"),
  "recvLine()": (id) => socket.recvLine(id),
};

for (const [name, call] of Object.entries(cancellable)) {
  test(`${name} leaves what has come to the next when it is cancelled`, async (pair) => {
    const [first, second] = [call(pair.peer), socket.recvExact(pair.peer, 7)];
    await feed(pair, "12345");
    assertEquals(task.cancel(first), true);
    assertEquals(faultOf(first), "ECANCELED");
    assertEquals([record(pair.peer).queuedIn, record(pair.peer).pending], [5, [second]]);
    await feed(pair, "67");
    assertEquals(await text(second), "1234567");
    const third = call(pair.peer);
    await feed(pair, "abc");
    task.cancel(third);
    assertEquals(await text(socket.recv(pair.peer)), "abc");
  });

  test(`${name} lets the next have what there is when it is cancelled`, async (pair) => {
    const [first, second] = [call(pair.peer), socket.recv(pair.peer)];
    await feed(pair, "12345");
    assertEquals(task.status(second), "Running");
    task.cancel(first);
    assertEquals(await text(second), "12345");
  });

  test(`${name} faults when the socket is closed or will not do`, async (pair) => {
    const waiting = [call(pair.peer), call(pair.peer)];
    const server = socket.tcpserver("127.0.0.1", 0);
    assertEquals(faultOf(call(server)), "EOPNOTSUPP");
    socket.close(server);
    const kind = name.slice(0, -2);
    assertEquals(task.inspect(waiting[0])!.kind, kind);
    await feed(pair, "came");
    socket.close(pair.peer);
    assertEquals(waiting.map(faultOf), ["ECONNABORTED", "ECONNABORTED"]);
    for (const id of [pair.peer, server, 0, 2 ** 40]) {
      const { code, op } = task.error(call(id)) as socket.SocketError;
      assertEquals([code, op], ["EBADF", kind]);
    }
    await turn();
  });
}

/** The longest array that is made while `run` runs. */
async function longestArray(run: () => Promise<void>): Promise<number> {
  const original = Uint8Array;
  let longest = 0;
  globalThis.Uint8Array = new Proxy(original, {
    construct(target, args, newTarget) {
      const array = Reflect.construct(target, args, newTarget) as Uint8Array;
      if (typeof args[0] === "number") longest = Math.max(longest, array.length);
      return array;
    },
  });
  try {
    await run();
  } finally {
    globalThis.Uint8Array = original;
  }
  return longest;
}

test("recvExact() and recvUntil() take memory in proportion to what has come", async (pair) => {
  const MAX = Number.MAX_SAFE_INTEGER;
  for (
    const call of [
      () => socket.recvExact(pair.peer, MAX),
      () => socket.recvUntil(pair.peer, "|", { max: MAX }),
    ]
  ) {
    let id: task.TaskId;
    const small = await longestArray(async () => {
      id = call();
      await feed(pair, "x".repeat(1000));
    });
    assertLessOrEqual(small, 64 * 1024);
    const chunk = new Uint8Array(100_000);
    const large = await longestArray(async () => {
      for (let n = 0; n < 20; n++) await feed(pair, chunk);
    });
    assertEquals(record(pair.peer).queuedIn, 2_001_000);
    assertLessOrEqual(large, 2 * 2_001_000);
    task.cancel(id!);
    await receive(pair.peer, 2_001_000);
  }
});

test("recvExact() receives 32 MiB at once", async (pair) => {
  const data = randomBytes(32 * 1024 * 1024);
  const sending = socket.send(pair.client, data);
  const got = await task.await(socket.recvExact(pair.peer, data.length));
  assertSame(got, data, "32 MiB");
  await task.await(sending);
});

test("recvLine() receives a hundred thousand lines", async (pair) => {
  const lines = Array.from({ length: 100_000 }, (_, n) => `line ${n}${n % 2 ? "\r" : ""}\n`);
  const sending = socket.send(pair.client, lines.join(""));
  const ids = [];
  for (let n = 0; n < lines.length; n++) ids.push(socket.recvLine(pair.peer));
  for (const [n, id] of ids.entries()) assertEquals(await task.await(id), `line ${n}`);
  await task.await(sending);
  assertEquals(record(pair.peer).queuedIn, 0);
});

// deno-lint-ignore no-explicit-any
type Anything = any;

test("recvExact(), recvUntil() and recvLine() throw when an argument is wrong", (pair) => {
  const tasks = task.list();
  for (const id of [pair.peer, 0]) {
    for (const value of [undefined, null, "5", {}, true, 1n] as Anything[]) {
      assertThrows(() => socket.recvExact(id, value), TypeError, `"n" must be an integer`);
    }
    for (const value of [-1, 1.5, NaN, Infinity, 2 ** 53]) {
      assertThrows(() => socket.recvExact(id, value), RangeError, `"n" must be an integer`);
    }
    for (const value of [undefined, null, 10, {}, [10], new ArrayBuffer(1)] as Anything[]) {
      assertThrows(() => socket.recvUntil(id, value), TypeError, `"delimiter" must be`);
    }
    for (const value of ["", new Uint8Array(0)]) {
      assertThrows(
        () => socket.recvUntil(id, value),
        RangeError,
        `"delimiter" must be at least one byte long`,
      );
    }
    const calls: ((options: Anything) => unknown)[] = [
      (options) => socket.recvUntil(id, "\n", options),
      (options) => socket.recvLine(id, options),
    ];
    for (const call of calls) {
      for (const value of [null, 5, "x"]) assertThrows(() => call(value), TypeError, `"options"`);
      const text = '"options" must be an object, such as { max: 1024 }: current value is 5';
      assertThrows(() => call(5), TypeError, text);
      assertThrows(() => call({ limit: 5 }), TypeError, `Unknown option "limit"`);
      for (const max of [null, "5", {}]) assertThrows(() => call({ max }), TypeError, `"max"`);
      for (const max of [0, -1, 1.5, NaN, Infinity, 2 ** 53]) {
        assertThrows(() => call({ max }), RangeError, `"max" must be an integer`);
      }
    }
  }
  for (const value of [undefined, null, "1", 1.5] as Anything[]) {
    for (const call of Object.values(cancellable)) {
      assertThrows(() => call(value), TypeError, "must be an integer ID");
    }
  }
  assertEquals([task.list(), record(pair.peer).pending], [tasks, []]);
});

test("recvUntil() gives a message that was put back in many parts", async (pair) => {
  const parts = Array.from({ length: 200 }, (_, n) => bytesOf(`${n},`));
  for (const part of parts.toReversed()) socket.unrecv(pair.peer, part);
  await task.await(socket.send(pair.client, "\n"));
  const got = await task.await(socket.recvUntil(pair.peer, "\n"));
  assertSame(got, concat([...parts, bytesOf("\n")]), "parts");
});

/** How many bytes are copied and looked through, which is what a receive costs. */
async function workOf(run: () => Promise<unknown>): Promise<number> {
  const prototype = Object.getPrototypeOf(Uint8Array.prototype);
  const { set, indexOf } = prototype;
  let work = 0;
  prototype.set = function (this: Uint8Array, source: Uint8Array, at?: number) {
    work += source.length;
    Reflect.apply(set, this, [source, at]);
  };
  prototype.indexOf = function (this: Uint8Array, byte: number, from = 0) {
    const at: number = Reflect.apply(indexOf, this, [byte, from]);
    work += (at === -1 ? this.length : at) - from;
    return at;
  };
  try {
    await run();
  } finally {
    Object.assign(prototype, { set, indexOf });
  }
  return work;
}

const LINE = `${"x".repeat(31)}\n`;
const LINES = 4096;

/** Ways for many lines to be put back. */
const putBacks: Record<string, (id: socket.SocketId) => void> = {
  "at once": (id) => socket.unrecv(id, LINE.repeat(LINES)),
  "one by one": (id) => {
    for (let n = 0; n < LINES; n++) socket.unrecv(id, LINE);
  },
  "byte by byte": (id) => {
    const bytes = bytesOf(LINE);
    for (let n = LINES * 32 - 1; n >= 0; n--) socket.unrecv(id, bytes.subarray(n % 32, n % 32 + 1));
  },
};

for (const [how, putBack] of Object.entries(putBacks)) {
  test(`receives cost as much as there is when lines were put back ${how}`, async ({ peer }) => {
    const receives: Record<string, () => task.TaskId> = {
      recvLine: () => socket.recvLine(peer),
      recvUntil: () => socket.recvUntil(peer, "x\n"),
      recvExact: () => socket.recvExact(peer, 32),
      // Looks at what is put back while it waits.
      pending: () => socket.recvUntil(peer, "no such line", { max: 2 ** 30 }),
    };
    for (const [name, begin] of Object.entries(receives)) {
      const waiting = name === "pending" ? begin() : undefined;
      const work = await workOf(async () => {
        putBack(peer);
        if (waiting !== undefined) return;
        for (let n = 0; n < LINES; n++) await task.await(begin());
      });
      assertLessOrEqual(work, 12 * LINES * 32, name);
      if (waiting === undefined) assertEquals(record(peer).queuedIn, 0);
      else task.cancel(waiting);
    }
  });
}

for (const delimiter of ["|", "<>", "<=>", "aab"]) {
  test(`recvUntil() finds ${delimiter} across every border`, async (pair) => {
    const { peer } = pair;
    const message = `aa${delimiter}`;
    for (let first = 0; first <= message.length; first++) {
      for (let second = first; second <= message.length; second++) {
        // The end of the message has arrived, the rest is put back in two pieces.
        if (second < message.length) await stored(pair, message.slice(second));
        socket.unrecv(peer, message.slice(first, second));
        socket.unrecv(peer, message.slice(0, first));
        assertEquals(await text(socket.recvUntil(peer, delimiter)), message);
        assertEquals(record(peer).queuedIn, 0);
      }
    }
  });
}

test("recvUntil() finds a delimiter that is put back while it waits", async ({ client, peer }) => {
  for (const pieces of [["<=>"], [">", "<="], [">", "=", "<"], ["a=>", "b<", "c"]]) {
    const receiving = socket.recvUntil(peer, "<=>");
    socket.unrecv(peer, ">tail");
    for (const piece of pieces) {
      assertEquals(task.status(receiving), "Running");
      socket.unrecv(peer, piece);
    }
    if (task.status(receiving) === "Running") socket.unrecv(peer, "<=>");
    const all = pieces.toReversed().join("") + ">tail";
    const got = await text(receiving);
    assert(got.endsWith("<=>"), got);
    assert(all.startsWith(got) || got === "<=>", got);
    await receive(peer, record(peer).queuedIn);
  }
  socket.send(client, "x");
  assertEquals(await text(socket.recv(peer)), "x");
});

test("recvLine() faults EMSGSIZE when a line is longer than a string can be", async (pair) => {
  const { decode } = TextDecoder.prototype;
  const first = socket.recvLine(pair.peer, { max: 2 ** 31 });
  const next = socket.recv(pair.peer, 9);
  // The real limit is 512 MiB.
  TextDecoder.prototype.decode = function (data) {
    if (data!.byteLength > 20) throw new TypeError("buffer exceeds maximum length");
    return Reflect.apply(decode, this, [data]);
  };
  try {
    await feed(pair, "a line that is too long\nshort\n");
    await until(() => task.status(first) !== "Running");
  } finally {
    TextDecoder.prototype.decode = decode;
  }
  const { code, message } = await failure(first);
  assertEquals(code, "EMSGSIZE");
  assert(message.includes("a line of 23 bytes is longer than a string can be"), message);
  assertEquals(await text(next), "a line th");
  assertEquals(await task.await(socket.recvLine(pair.peer)), "at is too long");
  assertEquals(await task.await(socket.recvLine(pair.peer)), "short");
});

/** Runs something while there is no memory for an array of `limit` bytes or more. */
async function short(limit: number, run: () => Promise<void>): Promise<void> {
  const real = Uint8Array;
  const check = (length: number) => {
    if (length >= limit) throw new RangeError("Array buffer allocation failed");
  };
  globalThis.Uint8Array = new Proxy(real, {
    construct(target, args, newTarget) {
      check(typeof args[0] === "number" ? args[0] : args[0].length);
      return Reflect.construct(target, args, newTarget);
    },
  });
  const { slice } = real.prototype;
  real.prototype.slice = function (this: Uint8Array, start = 0, end = this.length) {
    check(end - start);
    return slice.call(this, start, end);
  };
  try {
    await run();
  } finally {
    globalThis.Uint8Array = real;
    delete (real.prototype as Partial<Uint8Array>).slice; // inherited again
  }
}

test("a receive faults ENOMEM and takes nothing when there is no memory for it", async (pair) => {
  const { client, peer } = pair;
  const data = randomBytes(9000);
  const waiting = socket.recvExact(peer, data.length);
  await feed(pair, data.subarray(0, 8000));
  await until(() => record(peer).queuedIn === 8000);
  const receives = [waiting, socket.recvExact(peer, 3000), socket.recv(peer, 3000)];
  const small = socket.recv(peer, 100);
  await short(1000, async () => {
    socket.send(client, data.subarray(8000));
    await until(() => task.status(small) !== "Running");
  });
  for (const id of receives) assertEquals(await codeOf(id), "ENOMEM");
  assertSame(await task.await(small), data.subarray(0, 100), "the small one");
  assertSame(await receive(peer, 8900), data.subarray(100), "the rest");
});

test("a receive faults ENOMEM when there is no room for what it waits for", async (pair) => {
  const { client, peer } = pair;
  const data = randomBytes(4096);
  const waiting = socket.recvExact(peer, 50_000);
  const small = socket.recv(peer, 100);
  await short(1000, async () => {
    socket.send(client, data);
    await until(() => task.status(small) !== "Running");
  });
  assertEquals(await codeOf(waiting), "ENOMEM");
  assertSame(await task.await(small), data.subarray(0, 100), "the small one");
  assertSame(await receive(peer, 3996), data.subarray(100), "the rest");
});

test("ready() faults ENOMEM when there is no memory to receive to", async ({ client, peer }) => {
  await short(1000, async () => assertEquals(await codeOf(socket.ready(peer)), "ENOMEM"));
  const data = randomBytes(4096);
  // It is given the buffer: to look on takes another one.
  const receiving = socket.recv(peer);
  const watching = socket.ready(peer);
  await short(1000, async () => {
    socket.send(client, data);
    await until(() => task.status(watching) !== "Running");
  });
  assertEquals(await codeOf(watching), "ENOMEM");
  assertSame(await task.await(receiving), data, "what came");
  const again = socket.ready(peer);
  socket.send(client, "on");
  assertEquals(await codeOf(again), "completed with undefined");
  assertEquals(await text(socket.recv(peer)), "on");
});
