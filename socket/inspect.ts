import { checkId, since, type SocketId, type TaskId } from "../task/core/mod.ts";
import type { Address, Side } from "./core/types.ts";
import { type Handle, handles } from "./core/handle.ts";
import { Listener } from "./core/listener.ts";
import { Stream } from "./core/stream.ts";
import type { Unbound } from "./core/unbound.ts";

/** A snapshot of a connection. */
export interface StreamRecord {
  /** The socket. */
  readonly id: SocketId;
  /** Tells a connection from a listener. */
  readonly kind: "stream";
  /** Which end it is. */
  readonly side: Side;
  /** Whether it is encrypted. */
  readonly tls: boolean;
  /** The near end. */
  readonly local: Address;
  /** The far end; of a connection that a load balancer passed on, the original client. */
  readonly remote: Address;
  /** The load balancer that passed it on, `undefined` if none did. */
  readonly proxy: Address | undefined;
  /** Bytes received from the system; over TLS, without what TLS adds. */
  readonly bytesIn: number;
  /** Bytes the system has taken; over TLS, without what TLS adds. */
  readonly bytesOut: number;
  /** Bytes that a recv need not wait for. */
  readonly queuedIn: number;
  /** Bytes that wait to be sent. */
  readonly queuedOut: number;
  /** Running tasks: receives, `ready`s, then sends, each in order, then a `starttls`. */
  readonly pending: readonly TaskId[];
  /** Whole milliseconds since it was connected. */
  readonly age: number;
}

/** A snapshot of a listener. */
export interface ListenerRecord {
  /** The socket. */
  readonly id: SocketId;
  /** Tells a listener from a connection. */
  readonly kind: "listener";
  /** Whether its connections are encrypted. */
  readonly tls: boolean;
  /** Where it listens. */
  readonly local: Address;
  /** How many connections accepts have taken. */
  readonly accepted: number;
  /** How many connections are ready for an accept; those in the system's backlog do not count. */
  readonly ready: number;
  /** Connections whose PROXY header or TLS handshake is not complete. */
  readonly handshaking: number;
  /**
   * Connections that were dropped before they were ready: their PROXY header or handshake was wrong
   * or took too long, or they were gone already.
   */
  readonly dropped: number;
  /** With TLS: until when its certificates are valid, all of them. */
  readonly validTo: Date | undefined;
  /** Running accepts, in order, then `ready`s. */
  readonly pending: readonly TaskId[];
  /** Whole milliseconds since it began to listen. */
  readonly age: number;
}

/** A snapshot of a socket that was created and neither listens nor is connected. */
export interface UnboundRecord {
  /** The socket. */
  readonly id: SocketId;
  /** Tells it from connections and listeners. */
  readonly kind: "unbound";
  /** Where it is bound, `undefined` if it is not. */
  readonly local: Address | undefined;
  /** The connect under way, if there is one. */
  readonly pending: readonly TaskId[];
  /** Whole milliseconds since it was created. */
  readonly age: number;
}

/** A snapshot of one socket. */
export type SocketRecord = StreamRecord | ListenerRecord | UnboundRecord;

/**
 * Lists every open socket.
 *
 * @returns Their IDs, ascending: the oldest first.
 *
 * @example Close everything
 * ```ts
 * import { socket } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * assertEquals(socket.list(), [server]);
 * socket.list().forEach(socket.close);
 * assertEquals(socket.list(), []);
 * ```
 */
export function list(): SocketId[] {
  return handles.entries().map((handle) => handle.id);
}

/**
 * Describes one socket, or all that are open.
 *
 * @param id The socket. Without it, all of them by ascending ID.
 * @returns The record, `undefined` if there is no such open socket; or the list of records.
 * @throws {TypeError} If `id` is given and not an integer.
 *
 * @example How much is still to be sent?
 * ```ts
 * import { socket } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const record = socket.inspect(client);
 * if (record?.kind === "stream") assertEquals(record.queuedOut, 0);
 * [client, server].forEach(socket.close);
 * ```
 */
export function inspect(id: SocketId): SocketRecord | undefined;
/**
 * Describes every open socket.
 *
 * @returns The records, by ascending ID.
 */
export function inspect(): SocketRecord[];
export function inspect(id?: SocketId): SocketRecord | SocketRecord[] | undefined {
  if (id === undefined) return handles.entries().map(describe);
  const handle = handles.get(id);
  if (handle !== undefined) return describe(handle);
  checkId("id", id);
  return undefined;
}

function describe(handle: Handle): SocketRecord {
  const age = since(handle.created);
  if (handle instanceof Stream) return Object.freeze(describeStream(handle, age));
  if (handle instanceof Listener) return Object.freeze(describeListener(handle, age));
  return Object.freeze(describeUnbound(handle as Unbound, age));
}

function describeStream(stream: Stream, age: number): StreamRecord {
  const { id, side, tls, receiver, sender } = stream;
  return {
    id,
    kind: "stream",
    side,
    tls,
    local: [...stream.local],
    remote: [...stream.remote],
    proxy: stream.proxy && [...stream.proxy],
    bytesIn: receiver.bytes,
    bytesOut: sender.bytes,
    queuedIn: receiver.buffer.length,
    queuedOut: sender.queued,
    pending: [...receiver.pending(), ...sender.pending(), ...stream.upgrade?.pending() ?? []],
    age,
  };
}

function describeListener(listener: Listener, age: number): ListenerRecord {
  const { tls, handshaking, dropped, validTo } = listener.acceptor;
  return {
    id: listener.id,
    kind: "listener",
    tls,
    local: [...listener.local],
    accepted: listener.accepted,
    ready: listener.ready,
    handshaking,
    dropped: dropped + listener.lost,
    validTo,
    pending: [...listener.pending()],
    age,
  };
}

function describeUnbound({ id, local, attempt }: Unbound, age: number): UnboundRecord {
  const pending = attempt === undefined ? [] : [attempt.task.id];
  return { id, kind: "unbound", local: local && [...local], pending, age };
}

/**
 * Whether an ID stands for an open socket. Never throws.
 *
 * @param id Anything.
 * @returns `true` for a socket that this side has not closed, whatever became of it; that the peer
 * has gone changes nothing.
 *
 * @example Before and after
 * ```ts
 * import { socket } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * assertEquals(socket.isopen(server), true);
 * socket.close(server);
 * assertEquals(socket.isopen(server), false);
 * ```
 */
export function isopen(id: SocketId): boolean {
  return handles.get(id) !== undefined;
}

/**
 * Whether an ID stands for a connection that is encrypted with TLS. Never throws.
 *
 * @param id Anything.
 * @returns `true` for an open TLS connection.
 *
 * @example A plain connection
 * ```ts
 * import { socket } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * assertEquals(socket.istls(client), false);
 * [client, server].forEach(socket.close);
 * ```
 */
export function istls(id: SocketId): boolean {
  const handle = handles.get(id);
  return handle instanceof Stream && handle.tls;
}
