// Results that are used at the very moment they come, as relays and Web Streams do.

import { assertEquals, assertRejects } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { handOver } from "../../socket/core/handover.ts";
import { find, type Task } from "../../task/core/mod.ts";
import { textOf } from "../bytes.ts";
import { tcpPair } from "../pair.ts";
import { leavingNothing } from "../settle.ts";

const test = (name: string, run: () => Promise<void>) => Deno.test(name, () => leavingNothing(run));

const recordOf = (id: task.TaskId): Task => find(id)!;

test("handOver() claims the task, be it there already or yet to come", async () => {
  using pair = await tcpPair();
  const before = task.list();
  const log: string[] = [];
  const use = (data: Uint8Array) => log.push(textOf(data));
  socket.unrecv(pair.peer, "there");
  const there = handOver(recordOf(socket.recv(pair.peer)), use);
  assertEquals([log, task.list()], [["there"], before]); // at once, and claimed
  const coming = handOver(recordOf(socket.recv(pair.peer)), use);
  task.forget(socket.send(pair.client, "later"));
  assertEquals([await there, await coming], [1, 2]);
  assertEquals([log, task.list()], [["there", "later"], before]);
});

test("handOver() rejects with the fault of the task, or with what the function throws", async () => {
  using pair = await tcpPair();
  const before = task.list();
  const thrown = new Error("thrown");
  const throws = () => {
    throw thrown;
  };
  socket.unrecv(pair.peer, "there");
  const there = handOver(recordOf(socket.recv(pair.peer)), throws);
  assertEquals(await there.catch((error) => error), thrown);
  const coming = handOver(recordOf(socket.recv(pair.peer)), throws);
  task.forget(socket.send(pair.client, "later"));
  assertEquals(await coming.catch((error) => error), thrown);
  const closed = handOver(recordOf(socket.recv(pair.peer)), throws);
  socket.close(pair.peer);
  await assertRejects(() => closed, socket.SocketError, "socket was closed");
  assertEquals(task.list(), before);
});

test("relay() leaves no task, whether bytes are there already or yet to come", async () => {
  using one = await tcpPair();
  using two = await tcpPair();
  const before = task.list();
  socket.unrecv(one.peer, "there ");
  const relaying = task.await(socket.relay(one.peer, two.peer));
  assertEquals(textOf(await task.await(socket.recvExact(two.client, 6))), "there ");
  await task.await(socket.send(one.client, "later"));
  assertEquals(textOf(await task.await(socket.recvExact(two.client, 5))), "later");
  await task.all([socket.shutdown(one.client), socket.shutdown(two.client)]);
  assertEquals(await relaying, [11, 0]);
  assertEquals(task.list(), before);
});
