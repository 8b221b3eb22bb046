// Closing with very many operations pending: each is faulted for itself, when somebody looks.

import { assert, assertEquals, assertInstanceOf, assertNotStrictEquals } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { resettable } from "../reset.ts";
import { makePair } from "../task/helpers.ts";

const COUNT = 100_000;

/** The error of a task that has Faulted, which is claimed. */
function faultOf(id: task.TaskId): socket.SocketError {
  const taken = task.take(id);
  assert(taken?.status === "Faulted");
  assertInstanceOf(taken.error, socket.SocketError);
  return taken.error;
}

Deno.test("close() faults 100,000 pending receives, each with its own error", async () => {
  const limit = task.setUnclaimedLimit(2 * COUNT);
  using pair = await makePair();
  const { client } = pair;
  const [local, remote] = [socket.getlocal(client), socket.getpeer(client)];
  const ids = Array.from({ length: COUNT }, () => socket.recv(client));
  const exact = socket.recvExact(client, 5);
  socket.close(client);
  assertEquals(ids.filter((id) => task.status(id) !== "Faulted"), []);
  const [first, last, other] = [ids[0], ids[COUNT - 1], exact].map(faultOf);
  assertNotStrictEquals(first, last);
  for (const [error, op] of [[first, "recv"], [last, "recv"], [other, "recvExact"]] as const) {
    assertEquals(error.code, "ECONNABORTED");
    assertEquals([error.op, error.socket, error.local, error.remote], [op, client, local, remote]);
    assertEquals(error.message, `${op} ${remote.join(":")}: socket was closed (ECONNABORTED)`);
  }
  task.list().forEach(task.forget);
  task.setUnclaimedLimit(limit);
});

Deno.test("close() counts as a failure at once, and a look at its faults as none", async () => {
  using pair = await makePair();
  const sent = new Uint8Array(8 * 1024 * 1024);
  const sends = [socket.send(pair.peer, sent), socket.send(pair.peer, "queued")];
  const receives = [socket.recv(pair.client)];
  const accepts = [socket.accept(pair.server), socket.accept(pair.server)];
  socket.recv(0);
  const [bad, aborted] = [9, 103];
  for (
    const [closed, ids] of [[pair.peer, sends], [pair.client, receives], [
      pair.server,
      accepts,
    ]] as [
      socket.SocketId,
      task.TaskId[],
    ][]
  ) {
    task.forget(socket.recv(0));
    assertEquals(socket.errno(), bad);
    socket.close(closed);
    assertEquals(socket.errno(), aborted);
    task.forget(socket.recv(0));
    assertEquals(ids.map(faultOf).map(({ errno }) => errno), ids.map(() => aborted));
    assertEquals(socket.errno(), bad);
  }
  task.list().forEach(task.forget);
});

Deno.test("a reset faults every pending receive, each with its own error", async () => {
  await using connection = await resettable();
  const { client } = connection;
  const receives = [
    socket.recv(client),
    socket.recvInto(client, new Uint8Array(8)),
    socket.recvExact(client, 4),
    socket.recv(client),
  ];
  await connection.reset();
  await task.settled(receives, { timeout: 60_000 });
  task.forget(socket.recv(0));
  const errors = receives.map(faultOf);
  assertEquals(socket.errno(), 9); // of the recv that was refused: looking is no failure
  assertEquals(errors.map(({ code, op }) => [code, op]), [
    ["ECONNRESET", "recv"],
    ["ECONNRESET", "recvInto"],
    ["ECONNRESET", "recvExact"],
    ["ECONNRESET", "recv"],
  ]);
  assertEquals([new Set(errors).size, errors[2].partial?.length], [4, 0]);
  for (const error of errors) assertInstanceOf(error.cause, Error);
});
