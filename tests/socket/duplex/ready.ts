// ready: it waits for what recv would give and takes nothing.

import { assertEquals } from "@std/assert";
import { socket, task } from "../../../mod.ts";
import { assertSame, bytesOf, concat, randomBytes, receive, textOf } from "../../bytes.ts";
import { codeOf, faultOf, turn } from "../../settle.ts";
import type { DuplexTest } from "../duplex_test.ts";

const recvText = async (id: socket.SocketId, max?: number) =>
  textOf(await task.await(socket.recv(id, max)));

const statuses = (ids: task.TaskId[]) => ids.map(task.status);

const RUNNING = "Running";
const COMPLETED = "Completed";

export function readyTests(test: DuplexTest): void {
  test("ready() completes when there are bytes and takes none", async ({ client, peer }) => {
    const ids = [socket.ready(peer), socket.ready(peer)];
    assertEquals(statuses(ids), [RUNNING, RUNNING]);
    await task.await(socket.send(client, "all of it"));
    assertEquals(await task.all(ids), [undefined, undefined]);
    assertEquals(task.status(socket.ready(peer)), COMPLETED);
    assertEquals(textOf(socket.peek(peer)!), "all of it");
    assertEquals(await recvText(peer), "all of it");
    const next = socket.ready(peer);
    assertEquals(task.status(next), RUNNING);
    task.cancel(next);
  });

  test("ready() completes at the end of the stream, every time", async ({ client, peer }) => {
    const first = socket.ready(peer);
    socket.shutdown(client);
    await task.await(first);
    assertEquals(task.status(socket.recv(peer)), COMPLETED);
    assertEquals(task.status(socket.ready(peer)), COMPLETED);
    assertEquals((await task.await(socket.recv(peer))).length, 0);
  });

  test("ready() completes at once when bytes were put back", async ({ peer }) => {
    const waiting = socket.ready(peer);
    await turn();
    socket.unrecv(peer, "back");
    assertEquals(statuses([waiting, socket.ready(peer)]), [COMPLETED, COMPLETED]);
    assertEquals(await recvText(peer), "back");
  });

  test("ready() lets receives go first, before and behind it", async ({ client, peer }) => {
    const before = socket.recv(peer, 2);
    const watching = socket.ready(peer);
    const behind = socket.recv(peer, 2);
    socket.send(client, "four");
    assertEquals(textOf(await task.await(before)), "fo");
    assertEquals(textOf(await task.await(behind)), "ur");
    assertEquals(task.status(watching), RUNNING);
    socket.send(client, "more");
    await task.await(watching);
    assertEquals(await recvText(peer), "more");
  });

  test("ready() completes when receives leave something", async ({ client, peer }) => {
    const receiving = socket.recv(peer, 2);
    const watching = socket.ready(peer);
    socket.send(client, "three");
    assertEquals(textOf(await task.await(receiving)), "th");
    assertEquals(task.status(watching), COMPLETED);
    assertEquals(await recvText(peer), "ree");
  });

  test("ready() waits while a receive waits for more", async ({ client, peer }) => {
    const exact = socket.recvExact(peer, 8);
    const watching = socket.ready(peer);
    socket.send(client, "four");
    while ((socket.inspect(peer) as socket.StreamRecord).queuedIn < 4) await turn();
    assertEquals(statuses([exact, watching]), [RUNNING, RUNNING]);
    task.cancel(exact);
    assertEquals(task.status(watching), COMPLETED);
    assertEquals(await recvText(peer), "four");
  });

  test("ready() looks on when the receive before it is cancelled", async ({ client, peer }) => {
    for (const size of [100, 64 * 1024]) {
      const receiving = socket.recvInto(peer, new Uint8Array(size));
      const watching = socket.ready(peer);
      await turn();
      task.cancel(receiving);
      socket.send(client, "to the next");
      await task.await(watching);
      assertEquals(await recvText(peer), "to the next");
    }
  });

  test("ready() completes when a direct read brought more than was put back", async (pair) => {
    const { client, peer } = pair;
    const buffer = new Uint8Array(64 * 1024);
    const receiving = socket.recvInto(peer, buffer);
    const watching = socket.ready(peer);
    await turn();
    socket.unrecv(peer, "first");
    assertEquals(task.status(watching), RUNNING);
    socket.send(client, "second");
    assertEquals(await task.await(receiving), 5);
    assertEquals(task.status(watching), COMPLETED);
    assertEquals(await recvText(peer), "second");
  });

  test("ready() loses nothing when it is cancelled", async ({ client, peer }) => {
    const ids = [socket.ready(peer), socket.ready(peer)];
    await turn();
    assertEquals(task.cancel(ids[0]), true);
    assertEquals(faultOf(ids[0]), "ECANCELED");
    assertEquals(task.status(ids[1]), RUNNING);
    task.cancel(ids[1]);
    const data = randomBytes(20_000);
    const sending = socket.send(client, data);
    assertEquals(await receive(peer, data.length), data);
    await task.await(sending);
  });

  test("ready() faults ECONNABORTED when the socket is closed", ({ peer }) => {
    const ids = [socket.ready(peer), socket.recv(peer), socket.ready(peer)];
    assertEquals((socket.inspect(peer) as socket.StreamRecord).pending, [ids[1], ids[0], ids[2]]);
    socket.close(peer);
    assertEquals(ids.map(faultOf), ids.map(() => "ECONNABORTED"));
    assertEquals(faultOf(socket.ready(peer)), "EBADF");
  });

  test("ready() is no receive for peek and unrecv", async ({ client, peer }) => {
    const watching = socket.ready(peer);
    assertEquals(socket.peek(peer), undefined);
    socket.unrecv(peer, "");
    assertEquals(task.status(watching), RUNNING);
    socket.send(client, "x");
    await task.await(watching);
    assertEquals(socket.peek(peer), bytesOf("x"));
  });

  test("ready() comes to a completion queue once for each call", async ({ client, peer }) => {
    using queue = task.completions();
    const watching = queue.add(socket.ready(peer));
    socket.send(client, "one");
    await queue.wait();
    assertEquals(queue.take(), { id: watching, status: "Completed", value: undefined });
    assertEquals(queue.take(), undefined);
    const again = queue.add(socket.ready(peer)); // bytes are still there
    assertEquals(queue.take()?.id, again);
    assertEquals(await recvText(peer), "one");
    const last = queue.add(socket.ready(peer));
    assertEquals([queue.take(), queue.watched], [undefined, 1]);
    socket.close(peer);
    const outcome = queue.take();
    assertEquals([outcome?.id, outcome?.status], [last, "Faulted"]);
  });

  test("ready() and recv beside it move a stream without a stall", async ({ client, peer }) => {
    const data = randomBytes(300_000);
    const sending = socket.send(client, data);
    socket.shutdown(client);
    const got: Uint8Array[] = [];
    for (let n = 0;; n++) {
      await task.await(socket.ready(peer));
      const receiving = socket.recv(peer, n * 37 % 9000 + 1);
      assertEquals(task.status(receiving), COMPLETED);
      const chunk = await task.await(receiving);
      if (chunk.length === 0) break;
      got.push(chunk);
    }
    assertSame(concat(got), data, "what came");
    await task.await(sending);
  });

  test("ready() may be given up and forgotten like any task", async ({ client, peer }) => {
    const watching = socket.ready(peer);
    const error = await task.await(watching, { timeout: 0, cancel: true }).catch((e) => e);
    assertEquals([error.name, task.status(watching)], ["TimeoutError", "Unknown"]);
    task.forget(socket.ready(peer));
    socket.send(client, "on");
    assertEquals(await codeOf(socket.ready(peer)), "completed with undefined");
    assertEquals(await recvText(peer), "on");
  });
}
