// What was received and nobody has taken: where it lies, how much is read at a time, whose memory is given.

import { assert, assertEquals } from "@std/assert";
import { ReadSize, ReceiveBuffer } from "../../socket/core/buffer.ts";
import { Given, keepMemory, takeMemory } from "../../socket/core/store.ts";
import { newSeed, Random } from "../random.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);
const KIB = 1024;

/** Reads so much into a buffer, as a read does. */
function read(buffer: ReceiveBuffer, data: Uint8Array): Uint8Array {
  const room = buffer.room();
  room.set(data);
  buffer.filled(data.length);
  return room;
}

/** The bytes from one number on, so many. */
const from = (first: number, length: number) =>
  Uint8Array.from({ length }, (_, i) => (first + i) & 0xff);

/** Forgets the memory that other tests have left. */
function emptyStore(): void {
  for (const size of [4, 16, 64]) while (takeMemory(size * KIB) !== undefined);
}

Deno.test("ReadSize.note() makes reads four times as large when they are filled, up to a limit", () => {
  const size = new ReadSize(4, 64);
  const sizes = Array.from({ length: 4 }, () => {
    size.note(size.bytes, size.bytes);
    return size.bytes;
  });
  assertEquals(sizes, [16, 64, 64, 64]);
  const small = new ReadSize(4, 10);
  small.note(4, 4);
  assertEquals(small.bytes, 10);
});

Deno.test("ReadSize.note() makes reads smaller when sixteen in a row leave most of their room empty", () => {
  const grown = () => {
    const size = new ReadSize(4, 64);
    size.note(4, 4);
    size.note(16, 16);
    return size;
  };
  const after = (...reads: [n: number, room: number, times: number][]) => {
    const size = grown();
    for (const [n, room, times] of reads) for (let i = 0; i < times; i++) size.note(n, room);
    return size.bytes;
  };
  assertEquals(
    [
      after([8, 64, 15]),
      after([8, 64, 16]),
      after([8, 64, 31]),
      after([8, 64, 32]),
      after([2, 64, 32]),
      after([2, 64, 48]), // not below the least
      after([9, 64, 100]),
      after([8, 64, 15], [9, 64, 1], [8, 64, 15]),
      after([8, 64, 15], [9, 64, 1], [8, 64, 16]),
      after([8, 64, 15], [8, 8, 1], [8, 64, 15]),
      after([8, 64, 15], [8, 8, 1], [8, 64, 16]),
    ],
    [64, 16, 16, 16, 4, 4, 64, 64, 16, 64, 16],
  );
  const small = new ReadSize(4, 64);
  for (let i = 0; i < 16; i++) small.note(0, 4); // nothing to shrink, and nothing to remember
  small.note(4, 4);
  for (let i = 0; i < 15; i++) small.note(1, 16);
  assertEquals(small.bytes, 16);
});

Deno.test("ReceiveBuffer.room() is 4 KiB at first, more when it is filled, less when it is not", () => {
  const buffer = new ReceiveBuffer();
  const sizes = Array.from({ length: 4 }, () => {
    const { length } = buffer.room();
    buffer.filled(length);
    buffer.skip(length);
    return length;
  });
  assertEquals(sizes, [4, 16, 64, 64].map((n) => n * KIB));
  const smaller = Array.from({ length: 33 }, () => {
    const room = read(buffer, bytes(1));
    buffer.skip(1);
    return room.length;
  });
  assertEquals(smaller.filter((n) => n === 64 * KIB).length, 16);
  assertEquals(smaller.filter((n) => n === 16 * KIB).length, 16);
  assertEquals(smaller.at(-1), 4 * KIB);
});

Deno.test("ReceiveBuffer.room() lies behind what is there, in larger memory if there is little left", () => {
  const buffer = new ReceiveBuffer();
  read(buffer, from(0, 2 * KIB));
  const room = buffer.room();
  assertEquals([room.byteOffset, room.length, room.buffer.byteLength], [2 * KIB, 2 * KIB, 4 * KIB]);
  room.fill(7, 0, 1);
  buffer.filled(1);
  // Less than half of what a read wants is left.
  buffer.skip(KIB);
  const more = buffer.room();
  assertEquals([more.byteOffset, more.buffer.byteLength], [KIB + 1, KIB + 1 + 4 * KIB]);
  buffer.filled(0);
  assertEquals(buffer.length, KIB + 1);
  assertEquals([...buffer.look(KIB + 1)], [...from(0, KIB), 7]);
});

Deno.test("ReceiveBuffer grows to twice what it holds when that is more than what is wanted", () => {
  const buffer = new ReceiveBuffer();
  buffer.adopt(from(0, 10_000));
  const room = buffer.room();
  assertEquals([room.byteOffset, room.buffer.byteLength], [10_000, 20_000]);
  buffer.filled(0);
});

Deno.test("ReceiveBuffer.next() gives its memory away when one takes most of it, and copies less", () => {
  emptyStore();
  const half = new ReceiveBuffer();
  const room = read(half, from(1, 2 * KIB));
  const given = half.next(4 * KIB);
  assertEquals([given.buffer === room.buffer, given.byteOffset, given.length], [true, 0, 2 * KIB]);
  assert(half.isEmpty);
  assert(half.room().buffer !== room.buffer);
  half.filled(0);

  const less = new ReceiveBuffer();
  const kept = read(less, from(1, 2 * KIB - 1));
  const copy = less.next(4 * KIB);
  assertEquals([copy.buffer.byteLength, [...copy.slice(0, 2)]], [2 * KIB - 1, [1, 2]]);
  assertEquals(less.room().buffer === kept.buffer, true);
  less.filled(0);

  const whole = new ReceiveBuffer();
  const all = read(whole, from(1, 4 * KIB));
  assertEquals(whole.next(4 * KIB) === all, true);

  const part = new ReceiveBuffer();
  const behind = read(part, from(1, 4 * KIB));
  assertEquals(part.next(3 * KIB).buffer === behind.buffer, false);
  assertEquals(part.next(4 * KIB).buffer === behind.buffer, false);
  assertEquals(part.length, 0);
});

Deno.test("ReceiveBuffer.next() copies while a read is under way, which adds to the same memory", () => {
  emptyStore();
  const buffer = new ReceiveBuffer();
  const first = read(buffer, from(0, 2 * KIB));
  const room = buffer.room();
  const taken = buffer.next(2 * KIB);
  assertEquals(taken.buffer === first.buffer, false);
  assertEquals([buffer.length, buffer.isEmpty], [0, true]);
  room.set(from(9, 5));
  buffer.filled(5);
  assertEquals([...buffer.next(10)], [...from(9, 5)]);
});

Deno.test("ReceiveBuffer.next() wipes what others left behind what was received", () => {
  emptyStore();
  keepMemory(new Given(new Uint8Array(4 * KIB).fill(0xee), true));
  const buffer = new ReceiveBuffer();
  read(buffer, from(1, 3 * KIB));
  const given = buffer.next(4 * KIB);
  assertEquals([given.length, given.buffer.byteLength], [3 * KIB, 4 * KIB]);
  assertEquals(new Set(new Uint8Array(given.buffer, 3 * KIB)), new Set([0]));

  // A result of a size that is kept is written into such memory whole.
  keepMemory(new Given(new Uint8Array(4 * KIB).fill(0xee), true));
  const large = new ReceiveBuffer();
  large.adopt(from(0, 16 * KIB));
  const part = large.next(4 * KIB);
  assertEquals([...part], [...from(0, 4 * KIB)]);
  assertEquals(takeMemory(4 * KIB), undefined);
  emptyStore();
});

Deno.test("ReceiveBuffer.next() leaves the store alone for what is small", () => {
  emptyStore();
  const buffer = new ReceiveBuffer();
  buffer.adopt(from(0, 16 * KIB));
  keepMemory(new Given(new Uint8Array(4 * KIB), true));
  assertEquals(buffer.next(4 * KIB - 1).buffer.byteLength, 4 * KIB - 1);
  assert(takeMemory(4 * KIB) !== undefined);
});

Deno.test("ReceiveBuffer.next() gives nothing where nothing is", () => {
  const buffer = new ReceiveBuffer();
  assertEquals([buffer.next(5).length, buffer.length, buffer.isEmpty, buffer.isPushed], [
    0,
    0,
    true,
    false,
  ]);
});

Deno.test("ReceiveBuffer.divert() gives what a read has brought to somebody else", () => {
  const buffer = new ReceiveBuffer();
  const room = buffer.room();
  room.set(from(3, 5));
  const diverted = buffer.divert(5);
  assertEquals([[...diverted], diverted.buffer === room.buffer], [[...from(3, 5)], false]);
  assertEquals([buffer.length, buffer.room().byteOffset], [0, 0]);
  buffer.filled(0);
  read(buffer, from(0, 3 * KIB));
  assertEquals(buffer.next(3 * KIB).length, 3 * KIB); // no read counts as under way
});

Deno.test("ReceiveBuffer.divert() finds its bytes behind what was taken meanwhile", () => {
  const buffer = new ReceiveBuffer();
  read(buffer, from(0, 10));
  const room = buffer.room();
  buffer.skip(10);
  room.set(from(50, 4));
  assertEquals([...buffer.divert(4)], [...from(50, 4)]);
  assertEquals([buffer.length, buffer.isEmpty], [0, true]);
});

Deno.test("ReceiveBuffer.release() gives up memory that holds nothing, and no other", () => {
  const buffer = new ReceiveBuffer();
  const room = read(buffer, from(0, 10));
  buffer.release();
  assertEquals([...buffer.look(10)], [...from(0, 10)]);
  buffer.skip(10);
  buffer.release();
  assertEquals(buffer.room().buffer === room.buffer, false);
  buffer.filled(0);
});

Deno.test("ReceiveBuffer.adopt() takes memory over where nothing is, and copies it behind the rest", () => {
  const buffer = new ReceiveBuffer();
  const chunk = from(1, 100);
  buffer.adopt(chunk);
  assertEquals(buffer.next(100) === chunk, true);
  buffer.adopt(from(0, 10));
  buffer.skip(4);
  buffer.adopt(from(10, 6));
  assertEquals([...buffer.view()[1]], [...from(4, 12)]);
  assertEquals(buffer.view()[1].buffer.byteLength, 12);
  buffer.skip(2);
  buffer.adopt(from(16, 1)); // there is room for it now
  assertEquals([[...buffer.view()[1]], buffer.length], [[...from(6, 11)], 11]);
});

Deno.test("ReceiveBuffer.adopt() wipes nothing of memory that is its own alone", () => {
  emptyStore();
  keepMemory(new Given(new Uint8Array(4 * KIB).fill(0xee), true));
  const buffer = new ReceiveBuffer();
  read(buffer, bytes(1));
  buffer.skip(1);
  const chunk = new Uint8Array(new ArrayBuffer(10), 0, 8);
  chunk.fill(5);
  buffer.adopt(chunk);
  buffer.skip(0);
  assertEquals([...buffer.next(8)], Array(8).fill(5));
});

Deno.test("ReceiveBuffer.clear() drops everything", () => {
  const buffer = new ReceiveBuffer();
  read(buffer, from(0, 10));
  buffer.push(bytes(1));
  buffer.clear();
  assertEquals([buffer.length, buffer.isEmpty, buffer.isPushed], [0, true, false]);
  assertEquals([...buffer.next(5)], []);
  read(buffer, bytes(8));
  assertEquals([...buffer.next(5)], [8]);
});

Deno.test("ReceiveBuffer gives what was pushed piece by piece, and what was received behind it", () => {
  const buffer = new ReceiveBuffer();
  read(buffer, bytes(6, 7, 8));
  buffer.push(bytes(3, 4, 5));
  buffer.push(bytes(1, 2));
  assertEquals([buffer.length, buffer.isPushed, buffer.isEmpty], [8, true, false]);
  assertEquals(buffer.view().map((part) => [...part]), [[1, 2, 3, 4, 5], [6, 7, 8]]);
  assertEquals([...buffer.peek(10)], [1, 2]);
  assertEquals([...buffer.peek(1)], [1]);
  assertEquals([...buffer.look(5)], [1, 2, 3, 4, 5]);
  assertEquals([...buffer.look(6)], [1, 2, 3, 4, 5, 6]);
  assertEquals([...buffer.copy(4)], [1, 2, 3, 4]);
  assertEquals([...buffer.copy(8)], [1, 2, 3, 4, 5, 6, 7, 8]);
  assertEquals([...buffer.next(10)], [1, 2]);
  assertEquals([...buffer.next(2)], [3, 4]);
  const into = new Uint8Array(2);
  assertEquals([buffer.nextInto(into), [...into]], [1, [5, 0]]);
  assertEquals([buffer.isPushed, buffer.length], [false, 3]);
  assertEquals([...buffer.peek(2)], [6, 7]);
  assertEquals([...buffer.peek(10)], [6, 7, 8]);
  assertEquals([buffer.nextInto(into), [...into]], [2, [6, 7]]);
  assertEquals([buffer.nextInto(new Uint8Array(5)), buffer.isEmpty], [1, true]);
});

Deno.test("ReceiveBuffer.take() and skip() go across pieces and memories", () => {
  const full = () => {
    const buffer = new ReceiveBuffer();
    read(buffer, bytes(5, 6));
    buffer.push(bytes(3, 4));
    buffer.push(bytes(1, 2));
    return buffer;
  };
  const all = [1, 2, 3, 4, 5, 6];
  for (let n = 1; n <= 6; n++) {
    const [taking, skipping] = [full(), full()];
    assertEquals([...taking.take(n)], all.slice(0, n));
    skipping.skip(n);
    for (const buffer of [taking, skipping]) {
      assertEquals([buffer.length, buffer.isPushed, buffer.isEmpty], [6 - n, n < 4, n === 6]);
      assertEquals([...buffer.copy(6 - n)], all.slice(n));
    }
  }
});

Deno.test("ReceiveBuffer.look() copies only where what it gives lies in two places", () => {
  const buffer = new ReceiveBuffer();
  assertEquals(buffer.view().map((part) => part.length), [0, 0]);
  const room = read(buffer, from(0, 10));
  assertEquals(buffer.look(5).buffer === room.buffer, true);
  buffer.push(bytes(1, 2));
  assertEquals(buffer.look(2).buffer === buffer.look(1).buffer, true);
  assertEquals(buffer.look(3).buffer === buffer.look(3).buffer, false);
  const { buffer: memory } = buffer.look(2);
  assertEquals(buffer.take(2).buffer === memory, true);
});

Deno.test("ReceiveBuffer gives all that was pushed where nothing was received", () => {
  const buffer = new ReceiveBuffer();
  buffer.push(bytes(1, 2));
  assertEquals([...buffer.copy(2)], [1, 2]);
  buffer.skip(2);
  assertEquals([buffer.isEmpty, buffer.length], [true, 0]);
});

Deno.test("ReceiveBuffer.next() begins where the last one ended, were it only a byte", () => {
  emptyStore();
  const buffer = new ReceiveBuffer();
  read(buffer, from(0, 4 * KIB));
  buffer.skip(1);
  assertEquals([...buffer.next(4 * KIB)], [...from(1, 4 * KIB - 1)]);
  buffer.adopt(from(0, 16 * KIB));
  buffer.skip(4 * KIB);
  keepMemory(new Given(new Uint8Array(16 * KIB), true));
  assertEquals([...buffer.next(8 * KIB)], [...from(0, 8 * KIB)]);
  emptyStore();
});

Deno.test("ReceiveBuffer.room() begins anew after a read that failed when all had been taken", () => {
  const buffer = new ReceiveBuffer();
  read(buffer, from(0, 10));
  buffer.room();
  buffer.skip(10);
  buffer.filled(0);
  const room = read(buffer, from(40, 3));
  assertEquals([room.byteOffset, [...buffer.next(10)]], [0, [40, 41, 42]]);
  buffer.adopt(from(60, 3));
  assertEquals([...buffer.next(10)], [60, 61, 62]);
});

Deno.test("ReceiveBuffer.adopt() takes the place of what was taken while a read was under way", () => {
  const buffer = new ReceiveBuffer();
  read(buffer, from(0, 10));
  buffer.room();
  buffer.skip(10);
  buffer.filled(0);
  const chunk = from(7, 3);
  buffer.adopt(chunk);
  assertEquals([buffer.length, buffer.next(10) === chunk], [3, true]);
});

Deno.test("ReceiveBuffer reads more when what was left of its memory has been filled", () => {
  const buffer = new ReceiveBuffer();
  read(buffer, from(0, 10));
  const rest = buffer.room();
  assertEquals(rest.length, 4 * KIB - 10);
  buffer.filled(rest.length);
  buffer.skip(4 * KIB);
  assertEquals(buffer.room().length, 16 * KIB);
  buffer.filled(0);
});

Deno.test("ReceiveBuffer.divert() ends its read", () => {
  const buffer = new ReceiveBuffer();
  buffer.room();
  buffer.divert(5);
  const chunk = from(0, 8);
  buffer.adopt(chunk);
  assertEquals(buffer.next(8) === chunk, true);
});

Deno.test("ReceiveBuffer.adopt() moves nothing where there is just room enough", () => {
  const buffer = new ReceiveBuffer();
  buffer.adopt(from(0, 10));
  buffer.adopt(from(10, 4));
  assertEquals(buffer.view()[1].buffer.byteLength, 20);
  buffer.adopt(from(14, 6));
  assertEquals([buffer.view()[1].buffer.byteLength, [...buffer.next(20)]], [20, [...from(0, 20)]]);
});

Deno.test("ReceiveBuffer loses, doubles and mixes up nothing, whatever is done", () => {
  const seed = newSeed();
  const random = new Random(seed);
  const buffer = new ReceiveBuffer();
  let model: number[] = [];
  let value = 0;
  const fresh = (length: number) => Uint8Array.from({ length }, () => value = (value + 1) & 0xff);
  let room: Uint8Array | undefined;
  const some = () => random.integer(1, Math.min(model.length, random.pick([3, 100, 5000])));
  for (let i = 0; i < 2000; i++) {
    const what = random.integer(0, 9);
    if (what === 0 && room === undefined && model.length < 20_000) room = buffer.room();
    else if (what <= 2 && room !== undefined) {
      const n = random.oneIn(3) && room.length < 20_000
        ? room.length
        : random.integer(0, Math.min(room.length, 900));
      const data = fresh(n);
      room.set(data);
      buffer.filled(n);
      model.push(...data);
      room = undefined;
    } else if (what === 3) {
      const data = fresh(random.integer(1, 20));
      buffer.push(data);
      model = [...data, ...model];
    } else if (what === 4 && room === undefined && model.length < 20_000) {
      const data = fresh(random.integer(1, 3000));
      buffer.adopt(data);
      model.push(...data);
    } else if (model.length > 0) {
      const n = some();
      const wanted = model.slice(0, n);
      let taken: Uint8Array;
      if (what === 5) taken = buffer.take(n);
      else if (what === 6) taken = buffer.next(n);
      else if (what === 7) {
        const into = new Uint8Array(n);
        taken = into.subarray(0, buffer.nextInto(into));
      } else {
        taken = what === 8 ? buffer.copy(n) : buffer.look(n);
        assertEquals(taken, Uint8Array.from(wanted), `seed ${seed}`);
        if (what === 8) buffer.skip(n);
        else continue;
      }
      assert(taken.length > 0 && taken.byteOffset === 0, `seed ${seed}`);
      assertEquals(taken, Uint8Array.from(wanted.slice(0, taken.length)), `seed ${seed}`);
      model = model.slice(taken.length);
    }
    assertEquals([buffer.length, buffer.isEmpty], [model.length, model.length === 0]);
  }
});
