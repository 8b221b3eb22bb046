// peek and unrecv, and what they do to receives that wait.

import { assertEquals } from "@std/assert";
import { socket, task } from "../../../mod.ts";
import { bytesOf, randomBytes, receive, receiveAll, textOf } from "../../bytes.ts";
import { arrival } from "../../settle.ts";
import type { DuplexTest } from "../duplex_test.ts";

const peekText = (id: socket.SocketId, max?: number) => {
  const bytes = socket.peek(id, max);
  return bytes === undefined ? undefined : textOf(bytes);
};

const recvText = async (id: socket.SocketId, max?: number) =>
  textOf(await task.await(socket.recv(id, max)));

/** From this size on recvInto reads straight into the caller's buffer. */
const DIRECT = 64 * 1024;

export function lookaheadTests(test: DuplexTest): void {
  test("peek() gives undefined at first but starts looking", async ({ client, peer }) => {
    assertEquals(socket.peek(peer), undefined);
    assertEquals(socket.peek(peer), undefined);
    socket.send(client, "here");
    await arrival(peer);
    assertEquals(peekText(peer), "here");
  });

  test("peek() gives the same twice and leaves it for recv", async ({ client, peer }) => {
    socket.send(client, "look twice");
    await arrival(peer);
    assertEquals([peekText(peer), peekText(peer)], ["look twice", "look twice"]);
    assertEquals([peekText(peer, 4), peekText(peer, 4)], ["look", "look"]);
    assertEquals(await recvText(peer, 4), "look");
    assertEquals(peekText(peer), " twice");
    assertEquals(await recvText(peer), " twice");
    assertEquals(peekText(peer), undefined);
    socket.send(client, "x");
    assertEquals(await recvText(peer), "x");
  });

  test("peek() gives what recv of as many bytes gives", async ({ client, peer }) => {
    const sending = socket.send(client, randomBytes(50_000));
    socket.unrecv(peer, "pushed");
    for (let got = 0, max = 1; got < 50_006; max = (max * 5 + 3) % 9001 + 1) {
      await arrival(peer);
      const seen = socket.peek(peer, max);
      const id = socket.recv(peer, max);
      assertEquals(task.status(id), "Completed");
      const chunk = await task.await(id);
      assertEquals(chunk, seen);
      got += chunk.length;
    }
    await task.await(sending);
  });

  test("peek() gives a copy", async ({ client, peer }) => {
    socket.send(client, "original");
    await arrival(peer);
    socket.peek(peer)!.fill(0);
    socket.unrecv(peer, "pushed ");
    socket.peek(peer)!.fill(0);
    assertEquals(await recvText(peer) + await recvText(peer), "pushed original");
  });

  test("peek() takes nothing from a recv that waits", async ({ client, peer }) => {
    const receiving = socket.recv(peer);
    assertEquals(socket.peek(peer), undefined);
    socket.send(client, "mine");
    assertEquals(textOf(await task.await(receiving)), "mine");
    assertEquals(socket.peek(peer), undefined);
  });

  test("peek() gives the end of the stream as empty", async ({ client, peer }) => {
    socket.peek(peer);
    socket.shutdown(client);
    await arrival(peer);
    assertEquals([socket.peek(peer), socket.peek(peer)], [new Uint8Array(0), new Uint8Array(0)]);
    assertEquals(await receiveAll(peer), new Uint8Array(0));
  });

  test("unrecv() puts bytes in front, the last ones first", async ({ client, peer }) => {
    socket.send(client, "stream");
    await arrival(peer);
    socket.unrecv(peer, "third ");
    socket.unrecv(peer, "second ");
    socket.unrecv(peer, bytesOf("first "));
    assertEquals(await receive(peer, 25), bytesOf("first second third stream"));
  });

  test("unrecv() puts back what recv gave", async ({ client, peer }) => {
    await task.await(socket.send(client, "GET / HTTP"));
    assertEquals(textOf(await receive(peer, 10)), "GET / HTTP");
    socket.unrecv(peer, "/ HTTP");
    assertEquals(await recvText(peer, 1), "/");
    socket.unrecv(peer, "/");
    assertEquals(textOf(await receive(peer, 6)), "/ HTTP");
  });

  test("unrecv() copies, so the caller may use its array again", async ({ peer }) => {
    const data = bytesOf("mine");
    socket.unrecv(peer, data);
    data.fill(0);
    assertEquals(await recvText(peer), "mine");
  });

  test("unrecv() changes nothing when data is empty", async ({ client, peer }) => {
    socket.unrecv(peer, "");
    socket.unrecv(peer, new Uint8Array(0));
    assertEquals(socket.peek(peer), undefined);
    const receiving = socket.recv(peer);
    socket.unrecv(peer, "");
    assertEquals(task.status(receiving), "Running");
    socket.send(client, "x");
    assertEquals(textOf(await task.await(receiving)), "x");
  });

  test("unrecv() gives its bytes to a recv that waits", async ({ client, peer }) => {
    const [first, second, third] = [socket.recv(peer, 3), socket.recv(peer), socket.recv(peer)];
    socket.unrecv(peer, "pushed");
    assertEquals([first, second, third].map(task.status), ["Completed", "Completed", "Running"]);
    socket.send(client, "sent");
    const texts = (await task.all([first, second, third])).map(textOf);
    assertEquals(texts, ["pus", "hed", "sent"]);
  });

  test("unrecv() gives its bytes to a small recvInto that waits", async ({ client, peer }) => {
    const buffer = new Uint8Array(4);
    const receiving = socket.recvInto(peer, buffer);
    socket.unrecv(peer, "pushed");
    assertEquals([task.result(receiving), textOf(buffer)], [4, "push"]);
    task.forget(receiving);
    socket.send(client, "sent");
    assertEquals(textOf(await receive(peer, 6)), "edsent");
  });

  test("unrecv() gives its bytes to a direct recvInto when its read ends", async (pair) => {
    const { client, peer } = pair;
    const buffer = new Uint8Array(DIRECT);
    const receiving = socket.recvInto(peer, buffer);
    const next = socket.recv(peer);
    socket.unrecv(peer, "pushed");
    socket.send(client, "sent");
    const n = await task.await(receiving);
    assertEquals(textOf(buffer.subarray(0, n)), "pushed");
    assertEquals(textOf(await task.await(next)), "sent");
  });

  test("unrecv() gives its bytes to a direct recvInto when the stream ends", async (pair) => {
    const { client, peer } = pair;
    const buffer = new Uint8Array(DIRECT);
    const receiving = socket.recvInto(peer, buffer);
    socket.unrecv(peer, "pushed");
    socket.shutdown(client);
    assertEquals(await task.await(receiving), 6);
    assertEquals(textOf(buffer.subarray(0, 6)), "pushed");
    assertEquals(await task.await(socket.recvInto(peer, buffer)), 0);
  });

  test("unrecv() serves the next recv when a direct recvInto was cancelled", async (pair) => {
    const { client, peer } = pair;
    const direct = socket.recvInto(peer, new Uint8Array(DIRECT));
    task.cancel(direct);
    socket.unrecv(peer, "pushed");
    assertEquals(await recvText(peer), "pushed");
    const receiving = socket.recv(peer);
    socket.unrecv(peer, "again");
    assertEquals(textOf(await task.await(receiving)), "again");
    socket.send(client, "sent");
    assertEquals(await recvText(peer), "sent");
  });

  const behind: Record<string, (id: socket.SocketId) => task.TaskId> = {
    "recv()": (id) => socket.recv(id),
    "recvInto()": (id) => socket.recvInto(id, new Uint8Array(9)),
    "recvInto() a large buffer": (id) => socket.recvInto(id, new Uint8Array(DIRECT)),
    "recvExact()": (id) => socket.recvExact(id, 2),
    "recvLine()": (id) => socket.recvLine(id),
  };
  for (const [way, begin] of Object.entries(behind)) {
    test(`unrecv() serves a ${way} whose direct recvInto is cancelled`, async (pair) => {
      const { client, peer } = pair;
      const direct = socket.recvInto(peer, new Uint8Array(DIRECT));
      const next = begin(peer);
      const last = socket.recv(peer);
      socket.unrecv(peer, "x\n");
      assertEquals([direct, next, last].map(task.status), ["Running", "Running", "Running"]);
      task.cancel(direct);
      assertEquals([next, last].map(task.status), ["Completed", "Running"]);
      socket.send(client, "sent");
      assertEquals(textOf(await task.await(last)), "sent");
      task.forget(next);
    });
  }

  test("unrecv() works at the end of the stream", async ({ client, peer }) => {
    await task.await(socket.shutdown(client));
    assertEquals(await recvText(peer), "");
    socket.unrecv(peer, "after the end");
    assertEquals(peekText(peer), "after the end");
    assertEquals(await recvText(peer), "after the end");
    assertEquals(await recvText(peer), "");
  });
}
