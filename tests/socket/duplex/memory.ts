// Whose memory it is: results own theirs, and what is sent or filled is the caller's.

import { assert, assertEquals, assertThrows } from "@std/assert";
import { socket, task } from "../../../mod.ts";
import { bytesOf, concat, randomBytes, receive, textOf } from "../../bytes.ts";
import { arrival, codeOf, faultOf, until } from "../../settle.ts";
import type { DuplexTest } from "../duplex_test.ts";

/** Array buffers that were seen, of any connection, each with what it was given for. */
const seen = new WeakSet<ArrayBufferLike>();

/** Checks that a result begins where its memory begins, and that nobody else was given that. */
function owned(data: Uint8Array<ArrayBuffer>, expected: Uint8Array, what: string): void {
  assertEquals(data, expected, what);
  assertEquals(data.byteOffset, 0, what);
  assertEquals(new Uint8Array(data.buffer, 0, data.length), expected, what);
  assert(!seen.has(data.buffer), `${what} shares its memory`);
  seen.add(data.buffer);
}

/** Transfers a result's memory away, as `postMessage(data, [data.buffer])` does. */
const transfer = (data: Uint8Array<ArrayBuffer>) => void data.buffer.transfer();

class Odd extends Uint8Array {
  static get [Symbol.species](): Uint8ArrayConstructor {
    return Array as unknown as Uint8ArrayConstructor;
  }
  override get length(): number {
    return 3;
  }
  override subarray(): Uint8Array<ArrayBuffer> {
    throw new Error("subarray() of a subclass");
  }
  override slice(): Uint8Array<ArrayBuffer> {
    throw new Error("slice() of a subclass");
  }
  override set(): void {
    throw new Error("set() of a subclass");
  }
}

function odd(data: Uint8Array): Odd {
  const copy = new Odd(data.length);
  new Uint8Array(copy.buffer).set(data);
  return copy;
}

/** On memory that may change its size. */
function resizable(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const buffer = new ArrayBuffer(data.length, { maxByteLength: 2 * data.length });
  const copy = new Uint8Array(buffer);
  copy.set(data);
  return copy;
}

function shared(data: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(data.length));
  copy.set(data);
  return copy;
}

export function memoryTests(test: DuplexTest): void {
  for (const size of [1, 63, 64, 65, 511, 513, 4096, 5000, 70_000]) {
    test(`recv() gives ${size} bytes memory of their own`, async ({ client, peer }) => {
      for (const awaited of [true, false, true]) {
        const data = randomBytes(size);
        const id = socket.recv(peer, 65536);
        const early = awaited ? task.await(id) : undefined;
        const sending = socket.send(client, data);
        await until(() => task.status(id) !== "Running");
        const first = await (early ?? task.await(id));
        owned(first, data.subarray(0, first.length), "recv");
        owned(await receiveRest(peer, size - first.length), data.subarray(first.length), "rest");
        await task.await(sending);
      }
    });
  }

  test("every receive gives memory of its own", async ({ client, peer }) => {
    socket.send(client, "0123456789abcdef;next\nline\n");
    await arrival(peer);
    const parts: [string, Uint8Array<ArrayBuffer>][] = [
      ["0123", socket.peek(peer, 4)!],
      ["0123", socket.peek(peer, 4)!],
      ["01", await task.await(socket.recv(peer, 2))],
      ["2345", await task.await(socket.recvExact(peer, 4))],
      ["6789abcdef;", await task.await(socket.recvUntil(peer, ";"))],
    ];
    assertEquals(await task.await(socket.recvLine(peer)), "next");
    socket.unrecv(peer, "put back ");
    socket.unrecv(peer, "was ");
    parts.push(["wa", socket.peek(peer, 2)!]);
    parts.push(["w", await task.await(socket.recv(peer, 1))]);
    parts.push(["as ", await task.await(socket.recv(peer, 100))]);
    parts.push(["put", await task.await(socket.recvExact(peer, 3))]);
    parts.push([" back line\n", await task.await(socket.recvUntil(peer, "\n"))]);
    socket.unrecv(peer, "whole");
    parts.push(["whole", await task.await(socket.recv(peer))]);
    const whole = socket.recvExact(peer, 100);
    socket.unrecv(peer, "too little");
    socket.shutdown(client);
    await codeOf(whole);
    const failing = socket.recvExact(peer, 100);
    const error = task.error(failing) as socket.SocketError;
    task.forget(failing);
    parts.push(["too little", error.partial!]);
    parts.push(["too little", await task.await(socket.recv(peer))]);
    for (const [text, data] of parts) owned(data, bytesOf(text), text);
    // Taking one's memory away takes nothing else along.
    const texts = parts.map(([text]) => text);
    for (const [n, [, data]] of parts.entries()) {
      assertEquals(parts.slice(n).map(([, other]) => textOf(other)), texts.slice(n));
      transfer(data);
    }
  });

  test("streams() gives chunks with memory of their own", async ({ client, peer }) => {
    const reader = socket.streams(peer).readable.getReader();
    for (const text of ["a", "b".repeat(100), "c".repeat(3000)]) {
      socket.send(client, text);
      const { value } = await reader.read();
      owned(value!, bytesOf(text), "chunk");
    }
    await reader.cancel();
  });

  for (const [kind, make] of Object.entries({ odd, resizable, shared })) {
    for (const size of [20, 2000, 300_000]) {
      test(`send() takes ${size} bytes of a ${kind} array`, async ({ client, peer }) => {
        const data = randomBytes(size);
        const sends = [0, 1, 2].map(() => socket.send(client, make(data)));
        assertEquals(await receive(peer, 3 * size), concat([data, data, data]));
        assertEquals(await task.all(sends), [size, size, size]);
        socket.unrecv(peer, make(data));
        assertEquals(await receive(peer, size), data);
      });

      test(`recvInto() fills ${size} bytes of a ${kind} array`, async ({ client, peer }) => {
        const data = randomBytes(size);
        const into = make(new Uint8Array(size));
        const bytes = new Uint8Array(into.buffer);
        const sending = socket.send(client, data);
        const n = await task.await(socket.recvInto(peer, into));
        assertEquals(bytes.slice(0, n), data.subarray(0, n));
        assertEquals(bytes.slice(n), new Uint8Array(size - n));
        assertEquals(await receive(peer, size - n), data.subarray(n));
        await task.await(sending);
      });
    }
  }

  test("send() and recvInto() survive memory that shrinks under way", async (pair) => {
    const { client, peer } = pair;
    const data = randomBytes(4_000_000);
    const out = resizable(data);
    const sending = socket.send(client, out);
    const queued = socket.send(client, resizable(data.subarray(0, 5000)));
    out.buffer.resize(0);
    const into = resizable(new Uint8Array(100_000));
    const receiving = socket.recvInto(client, into);
    into.buffer.resize(10);
    assertEquals(await receive(peer, data.length), data);
    assertEquals(await receive(peer, 5000), data.subarray(0, 5000));
    assertEquals(await task.all([sending, queued]), [data.length, 5000]);
    await task.await(socket.send(peer, data.subarray(0, 100)));
    assertEquals(await task.await(receiving), 10);
    assertEquals(into, data.subarray(0, 10));
    assertEquals(await receive(client, 90), data.subarray(10, 100));
  });

  test("send() sends what was there at the call when memory grows", async ({ client, peer }) => {
    const data = randomBytes(4_000_000);
    const out = resizable(data);
    const sending = socket.send(client, out);
    out.buffer.resize(8_000_000);
    const last = socket.send(client, "last");
    assertEquals(await receive(peer, data.length), data);
    assertEquals(textOf(await receive(peer, 4)), "last");
    assertEquals(await task.all([sending, last]), [data.length, 4]);
  });

  test("send() and recvInto() throw when data only looks like bytes", ({ client }) => {
    const lookalikes = [
      new Proxy(new Uint8Array(4), {}),
      Object.create(Uint8Array.prototype),
      Object.setPrototypeOf(new Uint16Array(4), Uint8Array.prototype),
    ];
    for (const value of lookalikes) {
      assertThrows(() => socket.send(client, value), TypeError, `"data" must be a Uint8Array`);
      assertThrows(() => socket.unrecv(client, value), TypeError, `"data" must be a Uint8Array`);
      assertThrows(() => socket.recvInto(client, value), TypeError, `"buffer" must be a Uint8`);
    }
    assertEquals((socket.inspect(client) as socket.StreamRecord).pending, []);
  });

  test("recvInto() faults when its buffer is detached under way", async ({ client, peer }) => {
    const buffer = new Uint8Array(65_536);
    const id = socket.recvInto(peer, buffer);
    buffer.buffer.transfer();
    socket.send(client, "lost, or kept");
    assertEquals(await codeOf(id), "EINVAL");
    // Whether the bytes went there depends on what carries them; they do not go missing unnoticed.
    const next = socket.recv(peer);
    await task.settled([next]);
    const code = task.status(next) === "Faulted" ? faultOf(next) : textOf(task.result(next)!);
    task.forget(next);
    assert(code === "EINVAL" || code === "lost, or kept", code);
  });

  test("send() lets a small array be used again at once", async ({ client, peer }) => {
    const data = new Uint8Array(512);
    const ids = [1, 2, 3].map((n) => socket.send(client, data.fill(n)));
    const large = socket.send(client, new Uint8Array(300_000).fill(4));
    ids.push(...[5, 6].map((n) => socket.send(client, data.fill(n))));
    data.fill(7);
    const expected = [1, 2, 3].map((n) => new Uint8Array(512).fill(n));
    expected.push(new Uint8Array(300_000).fill(4));
    expected.push(...[5, 6].map((n) => new Uint8Array(512).fill(n)));
    assertEquals(await receive(peer, 5 * 512 + 300_000), concat(expected));
    assertEquals(await task.all([...ids, large]), [512, 512, 512, 512, 512, 300_000]);
  });
}

async function receiveRest(id: socket.SocketId, length: number) {
  if (length === 0) return new Uint8Array(0);
  return await task.await(socket.recvExact(id, length));
}
