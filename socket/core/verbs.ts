/**
 * The verbs: what each checks, finds and begins. `socket` and `tls` give them their names and their
 * documentation; what differs between the two is only which sockets they work on, which a
 * {@linkcode Finder} says.
 *
 * A wrong argument throws before the socket is looked for. A socket that will not do faults the
 * task of a verb that gives one, and is thrown by the others.
 */
import {
  checkCount,
  checkDelimiter,
  checkFinish,
  checkInto,
  checkMax,
  checkSend,
  checkServe,
  checkUntil,
  toBytes,
  toGiven,
} from "./check.ts";
import { faulted, findListener, findStream, noSuch } from "./lookup.ts";
import { Chunks, Connections, Lines } from "./loops.ts";
import { Exact, Line, Until } from "./demands.ts";
import { finishStream } from "./finishing.ts";
import type { Stream } from "./stream.ts";
import type { FinishOptions, Handler, SendOptions, ServeOptions, UntilOptions } from "./types.ts";
import { checkId, refuseOptions, type SocketId, type TaskId } from "../../task/core/mod.ts";
import type { SocketError } from "./error.ts";
import { Service } from "./service.ts";
import type { Listener } from "./listener.ts";

/** Which sockets a verb works on. */
export interface Finder {
  /** The connection with this ID, `undefined` if there is none or it will not do. */
  stream(id: SocketId): Stream | undefined;
  /** The listener with this ID, `undefined` if there is none or it will not do. */
  listener(id: SocketId): Listener | undefined;
  /** Why an ID will not do. */
  objection(op: string, id: SocketId): SocketError;
}

/** Encrypted or not. */
export const anySocket: Finder = {
  stream: findStream,
  listener: findListener,
  objection: noSuch,
};

/** What a recv gives at most unless the program says otherwise. */
export const RECV_MAX = 4096;

function refuse(find: Finder, op: string, id: SocketId): TaskId<never> {
  return faulted(op, id, find.objection(op, id));
}

export function accept(find: Finder, server: SocketId): TaskId<SocketId> {
  const listener = find.listener(server);
  return listener === undefined ? refuse(find, "accept", server) : listener.accept();
}

export function hasconnection(find: Finder, server: SocketId): boolean {
  const listener = find.listener(server);
  if (listener === undefined) throw find.objection("hasconnection", server);
  return listener.hasConnection();
}

export function serve(
  find: Finder,
  server: SocketId,
  handler: Handler,
  options: ServeOptions,
): TaskId<void> {
  const served = checkServe(handler, options);
  const listener = find.listener(server);
  if (listener === undefined) return refuse(find, "serve", server);
  return new Service(listener, handler, served).task.id;
}

/** Refuses options of a loop, which has none. */
export function refuseLoop(op: string, options: unknown): void {
  const own = "write the loop yourself, around task.await(id, { timeout, signal, cancel: true })";
  refuseOptions(op, options, [], own);
}

export function connections(
  find: Finder,
  server: SocketId,
): AsyncIterableIterator<SocketId, undefined> {
  checkId("server", server);
  return new Connections(() => find.listener(server), () => accept(find, server));
}

export function recv(find: Finder, id: SocketId, max: number): TaskId<Uint8Array<ArrayBuffer>> {
  checkMax("recv", max);
  const stream = find.stream(id);
  return stream === undefined ? refuse(find, "recv", id) : stream.receiver.receive("recv", max);
}

export function recvInto(find: Finder, id: SocketId, buffer: Uint8Array): TaskId<number> {
  const into = checkInto(buffer);
  const stream = find.stream(id);
  if (stream === undefined) return refuse(find, "recvInto", id);
  return stream.receiver.receive("recvInto", into.length, into);
}

export function recvExact(
  find: Finder,
  id: SocketId,
  n: number,
): TaskId<Uint8Array<ArrayBuffer>> {
  checkCount(n);
  const stream = find.stream(id);
  if (stream === undefined) return refuse(find, "recvExact", id);
  return stream.receiver.receive("recvExact", n, new Exact(n));
}

export function recvUntil(
  find: Finder,
  id: SocketId,
  delimiter: Uint8Array | string,
  options: UntilOptions,
): TaskId<Uint8Array<ArrayBuffer>> {
  const bytes = checkDelimiter(delimiter);
  const max = checkUntil("recvUntil", options);
  const stream = find.stream(id);
  if (stream === undefined) return refuse(find, "recvUntil", id);
  return stream.receiver.receive("recvUntil", max, new Until(bytes.slice(), max));
}

export function recvLine(
  find: Finder,
  id: SocketId,
  options: UntilOptions,
): TaskId<string | null> {
  const max = checkUntil("recvLine", options);
  const stream = find.stream(id);
  if (stream === undefined) return refuse(find, "recvLine", id);
  return stream.receiver.receive("recvLine", max, new Line(max));
}

export function peek(
  find: Finder,
  id: SocketId,
  max: number,
): Uint8Array<ArrayBuffer> | undefined {
  checkMax("peek", max);
  const stream = find.stream(id);
  if (stream === undefined) throw find.objection("peek", id);
  return stream.receiver.peek(max);
}

export function unrecv(find: Finder, id: SocketId, data: Uint8Array | string): void {
  const bytes = toBytes("data", data);
  const stream = find.stream(id);
  if (stream === undefined) throw find.objection("unrecv", id);
  stream.receiver.unrecv(bytes);
}

export function ready(find: Finder, id: SocketId): TaskId<void> {
  const stream = find.stream(id);
  if (stream !== undefined) return stream.receiver.whenReady();
  const listener = find.listener(id);
  return listener === undefined ? refuse(find, "ready", id) : listener.whenReady();
}

export function chunks(
  find: Finder,
  id: SocketId,
  max: number,
): AsyncIterableIterator<Uint8Array<ArrayBuffer>, undefined> {
  checkId("id", id);
  checkMax("chunks", max);
  return new Chunks(() => recv(find, id, max));
}

export function lines(
  find: Finder,
  id: SocketId,
  options: UntilOptions,
): AsyncIterableIterator<string, undefined> {
  checkId("id", id);
  const max = checkUntil("lines", options);
  return new Lines(() => recvLine(find, id, { max }));
}

/** `send`, or `write` as Dictu calls it. */
export function send(
  find: Finder,
  op: "send" | "write",
  id: SocketId,
  data: Uint8Array | string,
  options: SendOptions | undefined,
): TaskId<number> {
  // What is given up is lost to the program even if the send faults; but not for a wrong argument.
  const transfer = options !== undefined && checkSend(op, options);
  if (transfer) checkId("id", id);
  const bytes = transfer ? toGiven("data", data) : toBytes("data", data);
  const stream = find.stream(id);
  return stream === undefined ? refuse(find, op, id) : stream.sender.send(bytes, op);
}

export function shutdown(find: Finder, id: SocketId): TaskId<void> {
  const stream = find.stream(id);
  return stream === undefined ? refuse(find, "shutdown", id) : stream.sender.shutdown();
}

export function finish(find: Finder, id: SocketId, options: FinishOptions): TaskId<void> {
  const timeout = checkFinish(options);
  const stream = find.stream(id);
  if (stream === undefined) return refuse(find, "finish", id);
  return finishStream(stream, timeout);
}
