// Bytes go across unharmed, in order, whatever their number and whoever sends and receives at once.

import { assertEquals } from "@std/assert";
import { socket, task } from "../../../mod.ts";
import { bytesOf, concat, HUGE, randomBytes, receive, sha256, textOf } from "../../bytes.ts";
import { until } from "../../settle.ts";
import type { DuplexTest } from "../duplex_test.ts";

const MIB = 1024 * 1024;

/** Sends the same number of bytes each way at once and compares hashes. */
async function exchange(client: socket.SocketId, peer: socket.SocketId, size: number) {
  const [out, back] = [randomBytes(size), randomBytes(size)];
  const sending = task.all([socket.send(client, out), socket.send(peer, back)]);
  const [atPeer, atClient] = await Promise.all([receive(peer, size), receive(client, size)]);
  assertEquals(await sending, [size, size]);
  assertEquals([sha256(atPeer), sha256(atClient)], [sha256(out), sha256(back)]);
}

export function transferTests(test: DuplexTest): void {
  for (const size of [1, 2, 4095, 4096, 4097, 65535, 65536, 65537, MIB, 8 * MIB]) {
    test(`send() and recv() carry ${size} bytes both ways at once`, async ({ client, peer }) => {
      await exchange(client, peer, size);
    });
  }

  test("send() and recvInto() carry 8 MiB both ways at once", async ({ client, peer }) => {
    const data = randomBytes(8 * MIB);
    const carry = async (from: socket.SocketId, to: socket.SocketId, step: number) => {
      const sending = socket.send(from, data);
      const received = new Uint8Array(data.length);
      for (let at = 0; at < data.length;) {
        at += await task.await(socket.recvInto(to, received.subarray(at, at + step)));
      }
      assertEquals(await task.await(sending), data.length);
      assertEquals(sha256(received), sha256(data));
    };
    // One way straight into the buffer, the other through the connection's own.
    await Promise.all([carry(client, peer, 256 * 1024), carry(peer, client, 16 * 1024 - 1)]);
  });

  test("send() takes strings as UTF-8 and counts bytes", async ({ client, peer }) => {
    assertEquals(await task.await(socket.send(client, "grüezi 🌍")), 12);
    assertEquals(await task.await(socket.write(client, "ß")), 2);
    assertEquals(textOf(await receive(peer, 14)), "grüezi 🌍ß");
  });

  test("send() sends only the part of the buffer that its view shows", async (pair) => {
    const buffer = bytesOf("..hello..");
    assertEquals(await task.await(socket.send(pair.client, buffer.subarray(2, 7))), 5);
    socket.shutdown(pair.client);
    assertEquals(textOf(await receive(pair.peer, 99)), "hello");
  });

  test("send() completes with 0 and sends nothing when data is empty", async (pair) => {
    const { client, peer } = pair;
    assertEquals(task.status(socket.send(client, "")), "Completed");
    const counts = ["", "a", "", "", "b", new Uint8Array(0)]
      .map((data) => socket.send(client, data));
    assertEquals(await task.all(counts), [0, 1, 0, 0, 1, 0]);
    assertEquals(textOf(await receive(peer, 2)), "ab");
    const receiving = socket.recv(peer);
    await task.await(socket.send(client, ""));
    await task.await(socket.send(client, "c"));
    assertEquals(textOf(await task.await(receiving)), "c");
  });

  test("send() of nothing waits for its turn", async ({ client, peer }) => {
    const sending = socket.send(client, HUGE);
    const empty = socket.send(client, "");
    assertEquals([task.status(sending), task.status(empty)], ["Running", "Running"]);
    const buffer = new Uint8Array(MIB);
    for (let left = HUGE.length; left > 0;) left -= await task.await(socket.recvInto(peer, buffer));
    assertEquals(await task.all([sending, empty]), [HUGE.length, 0]);
  });

  test("recv() gives no more than max and keeps the rest", async ({ client, peer }) => {
    const data = randomBytes(5000);
    await task.await(socket.send(client, data));
    const chunks: Uint8Array[] = [];
    for (let got = 0; got < data.length;) {
      const chunk = await task.await(socket.recv(peer, 7));
      assertEquals(chunk.length >= 1 && chunk.length <= 7, true, `${chunk.length} bytes`);
      chunks.push(chunk);
      got += chunk.length;
    }
    assertEquals(concat(chunks), data);
  });

  test("recv() gives up to 4096 bytes when max is not given", async ({ client, peer }) => {
    const data = randomBytes(100_000);
    const sending = socket.send(client, data);
    let [total, most] = [0, 0];
    while (total < data.length) {
      const { length } = await task.await(socket.recv(peer));
      total += length;
      most = Math.max(most, length);
    }
    assertEquals([total, most], [data.length, 4096]);
    await task.await(sending);
  });

  test("recv() allocates no more than what arrives when max is enormous", async (pair) => {
    await task.await(socket.send(pair.client, "small"));
    const chunk = await task.await(socket.recv(pair.peer, Number.MAX_SAFE_INTEGER));
    assertEquals(textOf(chunk), "small");
    assertEquals(chunk.buffer.byteLength <= 65536, true);
  });

  test("recv() gives results that keep no much larger buffer alive", async (pair) => {
    const data = randomBytes(1024 * 1024);
    const sending = socket.send(pair.client, data);
    for (let got = 0, max = 1000; got < data.length; max = max * 7 % 65521) {
      const chunk = await task.await(socket.recv(pair.peer, max));
      assertEquals(chunk.buffer.byteLength <= 2 * chunk.length, true, `${chunk.length} bytes`);
      got += chunk.length;
    }
    await task.await(sending);
  });

  test("recv() gives bytes that later receives leave alone", async ({ client, peer }) => {
    const data = randomBytes(300_000);
    const sending = socket.send(client, data);
    const chunks: Uint8Array[] = [];
    for (let got = 0, size = 1; got < data.length; size = size * 3 % 4099) {
      const chunk = await task.await(socket.recv(peer, size));
      chunks.push(chunk);
      got += chunk.length;
    }
    assertEquals(sha256(...chunks), sha256(data));
    // Nor does writing into one reach any other.
    const before = chunks.map((chunk) => sha256(chunk));
    for (let i = 0; i < chunks.length; i += 2) chunks[i].fill(0);
    for (let i = 1; i < chunks.length; i += 2) assertEquals(sha256(chunks[i]), before[i]);
    await task.await(sending);
  });

  test("send() and recv() play ping-pong", async ({ client, peer }) => {
    const echo = task.spawn(async () => {
      for (let round = 0; round < 500; round++) {
        await task.await(socket.send(peer, await receive(peer, 8)));
      }
    });
    for (let round = 0; round < 500; round++) {
      const ball = randomBytes(8);
      socket.send(client, ball);
      assertEquals(await receive(client, 8), ball);
    }
    await task.await(echo);
  });

  test("send() tears and doubles nothing when many send and many receive", async (pair) => {
    const WRITERS = 20, EACH = 50;
    const writers = Array.from({ length: WRITERS }, (_, writer) =>
      task.spawn(async () => {
        for (let n = 0; n < EACH; n++) {
          const body = new Uint8Array(1 + (writer * 997 + n * 131) % 5000).fill(writer);
          const head = new Uint32Array([writer, n, body.length]);
          await task.await(
            socket.send(pair.client, concat([new Uint8Array(head.buffer), body])),
          );
        }
      }));
    // Recvs are served in the order of their calls, which is that of their IDs.
    const received = new Map<number, Uint8Array>();
    const readers = Array.from({ length: 10 }, (_, reader) =>
      task.spawn(async () => {
        for (;;) {
          const id = socket.recv(pair.peer, 100 + reader * 700);
          const chunk = await task.await(id);
          if (chunk.length === 0) return;
          received.set(id, chunk);
        }
      }));
    await task.all(writers);
    socket.shutdown(pair.client);
    await task.all(readers);

    const ids = [...received.keys()].sort((a, b) => a - b);
    const all = concat(ids.map((id) => received.get(id)!));
    const next = new Array(WRITERS).fill(0);
    let at = 0;
    while (at < all.length) {
      const [writer, n, length] = new Uint32Array(all.slice(at, at + 12).buffer);
      assertEquals(n, next[writer]++, `order of writer ${writer}`);
      const body = all.subarray(at + 12, at + 12 + length);
      assertEquals(body.every((byte) => byte === writer), true, `message of writer ${writer}`);
      at += 12 + length;
    }
    assertEquals([at, ...next], [all.length, ...new Array(WRITERS).fill(EACH)]);
  });

  test("recv() serves pipelined receives in the order of the calls", async (pair) => {
    const ids = Array.from({ length: 300 }, () => socket.recv(pair.peer, 1));
    const buffers = Array.from({ length: 100 }, () => new Uint8Array(1));
    const into = buffers.map((buffer) => socket.recvInto(pair.peer, buffer));
    const order: number[] = [];
    const results = ids.map((id, i) =>
      task.await(id).then((chunk) => {
        order.push(i);
        return chunk;
      })
    );
    const data = randomBytes(400);
    for (const at of [0, 1, 50, 51, 399]) {
      const end = { 0: 1, 1: 50, 50: 51, 51: 399, 399: 400 }[at];
      await task.await(socket.send(pair.client, data.subarray(at, end)));
    }
    assertEquals(concat(await Promise.all(results)), data.subarray(0, 300));
    assertEquals(order, ids.map((_, i) => i));
    assertEquals(await task.all(into), new Array(100).fill(1));
    assertEquals(concat(buffers), data.subarray(300));
  });

  test("send() sends pipelined data in the order of the calls", async ({ client, peer }) => {
    const chunks = Array.from({ length: 400 }, (_, i) => randomBytes(i % 7 === 0 ? 20_000 : i));
    const ids = chunks.map((chunk, i) => (i % 2 ? socket.send : socket.write)(client, chunk));
    const order: number[] = [];
    const counts = ids.map((id, i) =>
      task.await(id).then((count) => {
        order.push(i);
        return count;
      })
    );
    const data = concat(chunks);
    assertEquals(sha256(await receive(peer, data.length)), sha256(data));
    assertEquals(await Promise.all(counts), chunks.map((chunk) => chunk.length));
    assertEquals(order.filter((i) => i > 0), ids.map((_, i) => i).filter((i) => i > 0));
  });

  test("send() waits when the pipe is clogged and goes on when the peer receives", async (pair) => {
    const sending = socket.send(pair.client, HUGE);
    await task.await(sending, { timeout: 0 }).catch((error) => {
      assertEquals(error.name, "TimeoutError");
    });
    await until(() => (socket.inspect(pair.client) as socket.StreamRecord).bytesOut > 0);
    assertEquals(task.status(sending), "Running");
    // The other direction is not concerned.
    socket.send(pair.peer, "still here");
    assertEquals(textOf(await receive(pair.client, 10)), "still here");
    assertEquals(task.status(sending), "Running");
    const buffer = new Uint8Array(MIB);
    for (let left = HUGE.length; left > 0;) {
      left -= await task.await(socket.recvInto(pair.peer, buffer.subarray(0, left)));
    }
    assertEquals(await task.await(sending), HUGE.length);
  });

  for (const timeout of [-1, 0, 5]) {
    test(`recv() stays usable when an await of ${timeout} ms timed out`, async (pair) => {
      const receiving = socket.recv(pair.peer);
      const error = await task.await(receiving, { timeout }).catch((error) => error);
      assertEquals([error.name, task.status(receiving)], ["TimeoutError", "Running"]);
      socket.send(pair.client, "late");
      assertEquals(textOf(await task.await(receiving, { timeout: 60_000 })), "late");
    });

    test(`send() stays usable when an await of ${timeout} ms timed out`, async (pair) => {
      const sending = socket.send(pair.client, HUGE);
      const error = await task.await(sending, { timeout }).catch((error) => error);
      assertEquals([error.name, task.status(sending)], ["TimeoutError", "Running"]);
      const last = socket.send(pair.client, "!");
      const buffer = new Uint8Array(MIB);
      let byte = 0;
      for (let left = HUGE.length + 1; left > 0;) {
        const n = await task.await(socket.recvInto(pair.peer, buffer));
        left -= n;
        byte = buffer[n - 1];
      }
      assertEquals(byte, "!".charCodeAt(0));
      assertEquals(await task.all([sending, last]), [HUGE.length, 1]);
    });
  }
}
