// What a program does with its sockets, blocking or not.

import { socket, task } from "@taskio/net";
import { SEND_BUFFER, Socket } from "./descriptor.ts";
import { MFILE, SUCCESS } from "./errno.ts";
import { gather, lengthOf, scatter } from "./memory.ts";
import type { Program } from "./program.ts";
import type { Result, Waiting } from "./waiting.ts";

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
  if (wouldWait(waiting, listener)) return waiting.again();
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
export function receive(
  program: Program,
  connection: Socket,
  partsAt: number,
  count: number,
  flags: number,
  sizeAt: number,
): Result {
  const { memory, waiting } = program;
  const parts = memory.parts(partsAt, count);
  const max = lengthOf(parts);
  memory.setUint32(sizeAt, 0);
  if (max === 0 || connection.deaf) return SUCCESS;
  if (wouldWait(waiting, connection)) return waiting.again();
  if (flags & RECV_PEEK) return peek(program, connection, parts, sizeAt);
  if (flags & RECV_WAITALL) return receiveAll(program, connection, parts, sizeAt);
  const receiving = socket.recv(connection.id, max);
  connection.readable = false;
  const outcome = task.take(receiving);
  if (outcome === undefined) {
    if (giveUp(connection, receiving)) return waiting.again();
    return receiveLater(program, receiving, parts, sizeAt);
  }
  if (outcome.status === "Faulted") throw outcome.error;
  const data = outcome.value as Uint8Array;
  scatter(data, parts);
  memory.setUint32(sizeAt, data.length);
  return SUCCESS;
}

async function receiveLater(
  { memory, waiting }: Program,
  receiving: task.TaskId<Uint8Array>,
  parts: readonly Uint8Array[],
  sizeAt: number,
): Promise<number> {
  const data = await task.await(receiving);
  waiting.checkAlive();
  scatter(data, parts);
  memory.setUint32(sizeAt, data.length);
  return SUCCESS;
}

/** Fills the buffers, unless the stream ends before or the connection does not block. */
async function receiveAll(
  { memory, waiting }: Program,
  connection: Socket,
  parts: readonly Uint8Array[],
  sizeAt: number,
): Promise<number> {
  const max = lengthOf(parts);
  for (let received = 0; received < max;) {
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
  }
  return SUCCESS;
}

async function peek(
  { memory, waiting }: Program,
  connection: Socket,
  parts: readonly Uint8Array[],
  sizeAt: number,
): Promise<number> {
  while (!waiting.readable(connection)) await waiting.next();
  const data = socket.peek(connection.id, lengthOf(parts)) ?? new Uint8Array(0);
  scatter(data, parts);
  memory.setUint32(sizeAt, data.length);
  return SUCCESS;
}

/** Sends a list of buffers, and writes how much to the memory. */
export function send(
  program: Program,
  connection: Socket,
  partsAt: number,
  count: number,
  sizeAt: number,
): Result {
  const { memory, waiting } = program;
  const parts = memory.parts(partsAt, count);
  const length = Math.min(lengthOf(parts), MAX_SIZE);
  waiting.settle();
  const sent = sendSome(program, connection, parts, 0, length);
  memory.setUint32(sizeAt, sent);
  if (sent === length) return SUCCESS;
  if ((connection.flags & NONBLOCK) === 0) {
    return sendRest(program, connection, parts, sent, length, sizeAt);
  }
  return sent > 0 ? SUCCESS : waiting.again();
}

async function sendRest(
  program: Program,
  connection: Socket,
  parts: readonly Uint8Array[],
  sent: number,
  length: number,
  sizeAt: number,
): Promise<number> {
  while (sent < length) {
    await program.waiting.next();
    sent += sendSome(program, connection, parts, sent, length);
    program.memory.setUint32(sizeAt, sent);
  }
  return SUCCESS;
}

/** Queues as much as there is room for, from byte `from` of all on; tells how much. */
function sendSome(
  { waiting }: Program,
  connection: Socket,
  parts: readonly Uint8Array[],
  from: number,
  length: number,
): number {
  if (connection.fault !== undefined) throw connection.fault;
  const n = Math.min(SEND_BUFFER - connection.queued, length - from);
  if (n === 0) return 0;
  const sending = socket.send(connection.id, gather(parts, from, n));
  const outcome = task.take(sending);
  if (outcome?.status === "Faulted") throw outcome.error;
  if (outcome === undefined) {
    connection.queued += n;
    waiting.watch(sending, connection);
  }
  return n;
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

/**
 * Whether a non-blocking receive or accept has nothing to give. To ask is cheaper than to try, and
 * what is asked here is what the next poll would ask.
 */
function wouldWait(waiting: Waiting, descriptor: Socket): boolean {
  waiting.settle();
  return (descriptor.flags & NONBLOCK) !== 0 && !waiting.readable(descriptor);
}

/** Gives up a task that a non-blocking descriptor would have to wait for; tells whether. */
function giveUp({ flags }: Socket, id: task.TaskId): boolean {
  if ((flags & NONBLOCK) === 0 || task.status(id) !== "Running") return false;
  task.cancel(id);
  task.forget(id);
  return true;
}
