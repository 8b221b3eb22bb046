// IDs: one counter for sockets and tasks, and what a wrong one comes to.

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { completed, leaveNothing, makePair, runProgram } from "./helpers.ts";

leaveNothing();

Deno.test("IDs start from 1 and one counter serves sockets and tasks", async () => {
  const { code, stdout, stderr } = await runProgram(`
    const server = socket.tcpserver("127.0.0.1", 0);
    const accepting = socket.accept(server);
    const spawned = task.spawn(() => {});
    const other = socket.tcpserver("127.0.0.1", 0);
    console.log(server, accepting, spawned, other);
    [server, other].forEach(socket.close);
  `);
  assertEquals([code, stdout, stderr], [0, "1 2 3 4\n", ""]);
});

Deno.test("IDs are plain integers that only grow and are never reused", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const ids: number[] = [server];
  for (let i = 0; i < 1000; i++) {
    const id = i % 2 === 0 ? task.spawn(() => i) : socket.accept(server);
    ids.push(id);
    task.cancel(id);
    if (i % 3 === 0) task.forget(id);
    else await task.await(id).catch(() => {});
  }
  for (let i = 0; i < 10; i++) {
    const id = socket.tcpserver("127.0.0.1", 0);
    ids.push(id);
    socket.close(id);
  }
  socket.close(server);
  assert(ids.every(Number.isSafeInteger));
  assertEquals(ids, ids.toSorted((a, b) => a - b));
  assertEquals(new Set(ids).size, ids.length);
});

/** The code and message a task has faulted with already when the call returned. */
function fault(id: task.TaskId): [string, string] {
  assertEquals(task.status(id), "Faulted");
  const error = task.error(id);
  assert(error instanceof socket.SocketError);
  task.forget(id);
  return [error.code, error.message];
}

Deno.test("IDs that are no socket give a task that is already Faulted, and it says why", async () => {
  const spawned = await completed(1);
  const claimed = await completed(2);
  await task.await(claimed);
  const closed = socket.tcpserver("127.0.0.1", 0);
  socket.close(closed);
  const why = new Map([
    [spawned, `${spawned} is a task, not a socket`],
    [claimed, `${claimed} is no socket: it was closed, or was a task`],
    [closed, `${closed} is no socket: it was closed, or was a task`],
    [0, "0 is no socket: no such ID was ever given out"],
    [-1, "-1 is no socket: no such ID was ever given out"],
    [2 ** 40, `${2 ** 40} is no socket: no such ID was ever given out`],
  ]);
  for (const [id, text] of why) {
    const calls: Record<string, () => task.TaskId> = {
      recv: () => socket.recv(id),
      recvInto: () => socket.recvInto(id, new Uint8Array(1)),
      send: () => socket.send(id, "x"),
      shutdown: () => socket.shutdown(id),
      accept: () => socket.accept(id),
    };
    for (const [op, call] of Object.entries(calls)) {
      const [code, message] = fault(call());
      assertEquals(code, "EBADF");
      assertMatch(message, new RegExp(`^${op}\\b.*: ${text} \\(EBADF\\)$`));
    }
    const error = assertThrows(() => socket.getpeer(id), socket.SocketError);
    assertEquals(error.code, "EBADF");
    socket.close(id);
  }
  assertEquals(await task.await(spawned), 1);
});

Deno.test("IDs of the other kind of socket give a task that is already Faulted", async () => {
  using pair = await makePair();
  const [listener] = fault(socket.recv(pair.server));
  const [connection] = fault(socket.accept(pair.client));
  assertEquals([listener, connection], ["EOPNOTSUPP", "EOPNOTSUPP"]);
  assertThrows(() => socket.hasconnection(pair.client), socket.SocketError, "EOPNOTSUPP");
  assert([pair.server, pair.client, pair.peer].every(socket.isopen));
});
