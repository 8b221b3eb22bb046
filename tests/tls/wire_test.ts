// Ciphertext between a carrier and Node's TLS, both of which are played here: Deno's `node:tls` sends
// a chunk at a time, and a carrier takes and gives as much as it pleases.

import { assertEquals } from "@std/assert";
import type { Transport } from "../../socket/core/transport.ts";
import { type Preface, Wire, type WireOwner } from "../../tls/core/wire.ts";
import { turn } from "../settle.ts";

/** A call of the carrier's that is under way: where or what, and how it ends. */
interface Call extends PromiseWithResolvers<unknown> {
  readonly bytes: Uint8Array;
}

/** A wire, and what it has asked of the carrier and told the others. */
function wired({ preface, ...owner }: { preface?: Preface } & Partial<WireOwner> = {}) {
  const reads: Call[] = [];
  const writes: Call[] = [];
  const log: string[] = [];
  const under = (calls: Call[]) => (bytes: Uint8Array) => {
    const call = { bytes, ...Promise.withResolvers<unknown>() };
    calls.push(call);
    return call.promise as Promise<number>;
  };
  const carrier: Transport = {
    read: under(reads),
    write: under(writes),
    closeWrite: () => Promise.resolve(),
    close: () => log.push("carrier closed"),
  };
  const wire = new Wire(carrier, {
    fed: (length) => log.push(`fed ${length}`),
    wireEnded: () => log.push("ended"),
    failed: (error) => log.push(`failed ${error}`),
    broke: (error) => log.push(`broke ${error}`),
    isWhole: () => false,
    doneEarly: () => (log.push("early"), true),
    ...owner,
  }, preface);
  wire.on("data", (chunk) => log.push(`data ${(chunk as Uint8Array).join()}`));
  wire.once("close", () => log.push("TLS closed"));
  return { wire, reads, writes, log };
}

/** Ends the call made last. */
async function settle(calls: Call[], outcome: unknown): Promise<void> {
  const call = calls.at(-1)!;
  if (typeof outcome === "string") call.reject(outcome);
  else call.resolve(outcome);
  await turn();
}

const bytes = (...values: number[]) => new Uint8Array(values);

Deno.test("pull() reads once until what was read has come", async () => {
  const { wire, reads, log } = wired();
  assertEquals(reads.length, 0);
  wire.pull();
  wire.pull();
  assertEquals(reads.length, 1);
  reads[0].bytes.set([1, 2, 3]);
  await settle(reads, 2);
  assertEquals([reads.length, log], [1, ["data 1,2", "fed 2"]]);
  wire.pull();
  assertEquals(reads.length, 2);
});

Deno.test("pull() gives what was read before, then what the read under way brings", async () => {
  const arriving = Promise.withResolvers<Uint8Array | null>();
  const preface = { buffered: bytes(1), arriving: arriving.promise };
  const { wire, reads, log } = wired({ preface });
  wire.pull();
  assertEquals(log, ["data 1", "fed 1"]);
  wire.pull();
  wire.pull();
  arriving.resolve(bytes(2, 3));
  await turn();
  assertEquals([reads.length, log.splice(0)], [0, ["data 1", "fed 1", "data 2,3", "fed 2"]]);
  wire.pull();
  reads[0].bytes.set([4]);
  await settle(reads, 1);
  assertEquals([reads[0].bytes.length, log], [4096, ["data 4", "fed 1"]]);
});

Deno.test("pull() begins with a read when nothing was read before", () => {
  const { wire, reads, log } = wired({ preface: { buffered: bytes(), arriving: undefined } });
  wire.pull();
  assertEquals([reads.length, log], [1, []]);
});

for (const [how, read] of [["a read", false], ["the read under way", true]] as const) {
  Deno.test(`pull() reads no more when ${how} brought the end, or failed`, async () => {
    for (const [outcome, told] of [[null, "ended"], ["why", "failed why"]] as const) {
      const call = { bytes: bytes(), ...Promise.withResolvers<unknown>() };
      const arriving = read ? call.promise as Promise<null> : undefined;
      const { wire, reads, log } = wired({ preface: { buffered: bytes(), arriving } });
      wire.pull();
      await settle(read ? [call] : reads, outcome);
      assertEquals([log, wire.ended], [[told], outcome === null]);
      const { length } = reads;
      wire.pull();
      assertEquals(reads.length, length);
    }
  });
}

Deno.test("pull() reads more while reads are filled, and less while they are not", async () => {
  const { wire, reads } = wired();
  const sizes: number[] = [];
  const read = async (n?: number) => {
    wire.pull();
    sizes.push(reads.at(-1)!.bytes.length);
    await settle(reads, n ?? sizes.at(-1));
  };
  for (let i = 0; i < 4; i++) await read();
  assertEquals(sizes.splice(0), [4096, 16384, 49152, 49152]);
  for (let i = 0; i < 64; i++) await read(1);
  assertEquals(sizes[15], 49152);
  assertEquals([...new Set(sizes)], [49152, 12288, 4096]);
});

Deno.test("stop() drops what is yet to be read", async () => {
  for (const outcome of [1, null]) {
    const { wire, reads, log } = wired();
    wire.pull();
    wire.stop();
    await settle(reads, outcome);
    assertEquals([log, wire.ended], [[], false]);
  }
});

Deno.test("close() lets go of TLS and of the carrier", () => {
  const { wire, log } = wired();
  wire.close();
  assertEquals(log, ["TLS closed", "carrier closed"]);
});

Deno.test("write() writes all of a chunk, one at a time, in order", async () => {
  const { wire, writes, log } = wired();
  const say = (text: string) => () => log.push(text);
  assertEquals(wire.isIdle, true);
  await wire.idle();
  assertEquals(wire.write(bytes(1, 2, 3), say("one")), true);
  wire.write(bytes(4), say("two"));
  wire.write(bytes(5, 6), say("three"));
  assertEquals(wire.sends, 3);
  wire.idle().then(say("idle"));
  wire.idle().then(say("idle"));
  await settle(writes, 1);
  assertEquals(log, []);
  await settle(writes, 2);
  assertEquals([log, wire.isIdle], [["one"], false]);
  await settle(writes, 1);
  await settle(writes, 2);
  assertEquals([...writes.map(({ bytes }) => bytes.join())], ["1,2,3", "2,3", "4", "5,6"]);
  assertEquals([log.splice(0), wire.isIdle], [["one", "two", "three", "idle", "idle"], true]);
  // It is as it was: there is nothing to wait for, and the next is written.
  await wire.idle();
  wire.write(bytes(7), say("four"));
  wire.idle().then(say("idle"));
  await turn();
  assertEquals(log, []);
  await settle(writes, 1);
  assertEquals([log, wire.sends], [["four", "idle"], 4]);
});

Deno.test("write() is told of in time to bring the next", async () => {
  const { wire, writes } = wired();
  wire.write(bytes(1), () => wire.write(bytes(2), () => {}));
  let idle = false;
  wire.idle().then(() => idle = true);
  await settle(writes, 1);
  assertEquals([writes.length, idle], [2, false]);
  await settle(writes, 1);
  assertEquals(idle, true);
});

Deno.test("write() of all of the program's is told to Node by tell(), once", async () => {
  const { wire, writes, log } = wired({ isWhole: ({ length }) => length === 2 });
  wire.write(bytes(1, 2), () => log.push("done"));
  wire.tell();
  await settle(writes, 1);
  await settle(writes, 1);
  assertEquals([log, wire.isIdle], [["early"], true]);
  wire.tell();
  wire.tell();
  assertEquals(log.splice(0), ["early", "done"]);
  wire.write(bytes(1), () => log.push("done"));
  await settle(writes, 1);
  assertEquals(log, ["done"]);
});

Deno.test("write() is told to Node at once when the program's write waits no more", async () => {
  const { wire, writes, log } = wired({ isWhole: () => true, doneEarly: () => false });
  wire.write(bytes(1), () => log.push("done"));
  await settle(writes, 1);
  assertEquals(log, ["done"]);
});

Deno.test("write() is told to Node at once when more has been brought", async () => {
  const { wire, writes, log } = wired({ isWhole: ({ length }) => length === 2 });
  wire.write(bytes(1, 2), () => log.push("one"));
  wire.write(bytes(3), () => log.push("two"));
  await settle(writes, 2);
  assertEquals(log.splice(0), ["one"]);
  await settle(writes, 1);
  assertEquals(log, ["two"]);
});

Deno.test("write() that fails is told, and idle() waits no longer", async () => {
  const { wire, writes, log } = wired({ isWhole: () => true });
  wire.write(bytes(1, 2), () => log.push("done"));
  wire.idle().then(() => log.push("idle"));
  await settle(writes, "why");
  assertEquals([log, wire.isIdle], [["broke why", "done", "idle"], true]);
});

Deno.test("end() is done when it is called: the carrier goes on", () => {
  const { wire, log } = wired();
  wire.end(() => log.push("done"));
  wire.end();
  assertEquals(log, ["done"]);
});
