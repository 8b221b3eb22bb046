// What a program does with its sockets, blocking or not.

import { socket, task } from "@taskio/net";
import { SEND_BUFFER, Socket } from "./descriptor.ts";
import { MFILE, SUCCESS } from "./errno.ts";
import { gather, lengthOf, scatter } from "./memory.ts";
import type { Program } from "./program.ts";
import type { Waiting } from "./waiting.ts";

const NONBLOCK = 4;
const RECV_PEEK = 1, RECV_WAITALL = 2;

/** The most bytes that one call sends. */
const MAX_SIZE = 2 ** 31 - 1;
/** How long a connection that was closed may take to send what was queued, in ms. */
const LINGER = 5000;

/** Accepts a connection, with these flags, and writes its descriptor to the memory. */
export async function accept(
  { memory, descriptors, waiting }: Program,
  listener: Socket,
  flags: number,
  at: number,
): Promise<number> {
  memory.bytes(at, 4);
  if (descriptors.full) return MFILE; // the connection stays in the backlog
  waiting.settle();
  const accepting = socket.accept(listener.id);
  listener.readable = false;
  if (giveUp(listener, accepting)) return waiting.again();
  const id = await task.await(accepting);
  if (waiting.ended) socket.close(id);
  waiting.checkAlive();
  memory.setUint32(at, descriptors.add(new Socket("connection", id, flags)));
  return SUCCESS;
}

/** Receives into a list of buffers, and writes how much to the memory. */
export async function receive(
  { memory, waiting }: Program,
  connection: Socket,
  partsAt: number,
  count: number,
  flags: number,
  sizeAt: number,
): Promise<number> {
  const parts = memory.parts(partsAt, count);
  const max = lengthOf(parts);
  memory.setUint32(sizeAt, 0);
  if (max === 0 || connection.deaf) return SUCCESS;
  waiting.settle();
  if (flags & RECV_PEEK) {
    while (!waiting.readable(connection)) {
      if (connection.flags & NONBLOCK) return waiting.again();
      await waiting.next();
    }
    const data = socket.peek(connection.id, max) ?? new Uint8Array(0);
    scatter(data, parts);
    memory.setUint32(sizeAt, data.length);
    return SUCCESS;
  }

  let received = 0;
  do {
    const receiving = socket.recv(connection.id, max - received);
    connection.readable = false;
    if (giveUp(connection, receiving)) return received > 0 ? SUCCESS : waiting.again();
    let data: Uint8Array;
    try {
      data = await task.await(receiving);
    } catch (error) {
      if (received > 0) break; // the next receive is told again
      throw error;
    }
    waiting.checkAlive();
    if (data.length === 0) break;
    scatter(data, parts, received);
    memory.setUint32(sizeAt, received += data.length);
  } while (flags & RECV_WAITALL && received < max);
  return SUCCESS;
}

/** Sends a list of buffers, and writes how much to the memory. */
export async function send(
  { memory, waiting }: Program,
  connection: Socket,
  partsAt: number,
  count: number,
  sizeAt: number,
): Promise<number> {
  const parts = memory.parts(partsAt, count);
  const length = Math.min(lengthOf(parts), MAX_SIZE);
  memory.setUint32(sizeAt, 0);
  waiting.settle();
  for (let sent = 0; sent < length;) {
    if (connection.fault !== undefined) throw connection.fault;
    const room = SEND_BUFFER - connection.queued;
    if (room > 0) {
      const data = gather(parts, sent, Math.min(room, length - sent));
      const sending = socket.send(connection.id, data);
      if (task.status(sending) === "Faulted") await task.await(sending); // throws
      connection.queued += data.length;
      waiting.watch(sending, connection);
      memory.setUint32(sizeAt, sent += data.length);
    } else if (connection.flags & NONBLOCK) {
      return sent > 0 ? SUCCESS : waiting.again();
    } else {
      await waiting.next();
    }
  }
  return SUCCESS;
}

/** Ends the sending side, after what is queued. */
export function shutdown({ waiting }: Program, connection: Socket): void {
  const ending = socket.shutdown(connection.id);
  const outcome = task.take(ending);
  if (outcome?.status === "Faulted") throw outcome.error;
  if (outcome === undefined) waiting.watch(ending, connection);
}

/** Closes at once; what is queued still goes out, as systems have it. */
export function close(waiting: Waiting, closed: Socket): void {
  if (closed.watch !== undefined) waiting.unwatch(closed.watch);
  if (closed.queued === 0 || closed.fault !== undefined) socket.close(closed.id);
  else waiting.keep(socket.finish(closed.id, { timeout: LINGER }));
}

/** Gives up a task that a non-blocking descriptor would have to wait for; tells whether. */
function giveUp({ flags }: Socket, id: task.TaskId): boolean {
  if ((flags & NONBLOCK) === 0 || task.status(id) !== "Running") return false;
  task.cancel(id);
  task.forget(id);
  return true;
}
