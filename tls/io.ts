/**
 * The calls of `socket` for encrypted connections only. They go through the same stream: all they add
 * is the question whether it is encrypted, so that nothing goes out in clear by mistake.
 */
import type { SocketId, TaskId } from "../task/core/mod.ts";
import type {
  FinishOptions,
  Handler,
  SendOptions,
  ServeOptions,
  UntilOptions,
} from "../socket/core/types.ts";
import { refuseOptions } from "../socket/core/check.ts";
import { findListener, findStream, noSuch } from "../socket/core/lookup.ts";
import * as verbs from "../socket/core/verbs.ts";

/** Encrypted connections, and listeners whose connections are; what else is wrong is as for any socket. */
const encrypted: verbs.Finder = {
  stream(id) {
    const stream = findStream(id);
    return stream?.tls ? stream : undefined;
  },
  listener(id) {
    const listener = findListener(id);
    return listener?.acceptor.tls ? listener : undefined;
  },
  objection(op, id) {
    const stream = findStream(id);
    if (stream !== undefined && !stream.tls) {
      return stream.fail("EPROTO", op, "connection is not encrypted");
    }
    const listener = findListener(id);
    if (listener !== undefined && !listener.acceptor.tls) {
      return listener.fail("EPROTO", op, "listener is not encrypted");
    }
    return noSuch(op, id);
  },
};

/**
 * Takes one connection whose handshake is finished. Handshakes run side by side, each limited by the
 * listener's `handshakeTimeout`: a client that stays silent or talks nonsense holds up no other. It is
 * dropped, and counted in `inspect`.
 *
 * Cancel safety: loses nothing. A connection that arrives for a cancelled accept goes to the next. Limit its
 * time with `task.await(id, { timeout, cancel: true })`.
 *
 * State: of a TLS listener. Faults `EPROTO` if it is a plain one, otherwise as `socket.accept`.
 *
 * @param server A TLS listener.
 * @returns The task; its result is the connected socket.
 * @throws {TypeError} If an argument has the wrong type.
 *
 * @example Accept
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * assertEquals(tls.getside(peer), "server");
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function accept(server: SocketId): TaskId<SocketId> {
  if (arguments.length > 1) refuseOptions("accept", arguments[1]);
  return verbs.accept(encrypted, server);
}

/**
 * Whether a connection is ready, its handshake finished: as `socket.hasconnection`.
 *
 * @param server A TLS listener.
 * @returns Whether the next accept completes at once.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {SocketError} `EPROTO` if the socket is not encrypted, else the codes of
 * the call of the same name in `socket`.
 *
 * @example Poll
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * assertEquals(tls.hasconnection(server), false);
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function hasconnection(server: SocketId): boolean {
  return verbs.hasconnection(encrypted, server);
}

/**
 * Receives bytes: as `socket.recv`, from an encrypted connection only.
 *
 * Cancel safety: loses nothing, as `socket.recv`. Limit its time with
 * `task.await(id, { timeout, cancel: true })`.
 *
 * State: of an encrypted connection. Faults `EPROTO` if it is not encrypted, so that nothing is
 * received or sent in clear by mistake; otherwise as `socket.recv`, with the codes of TLS besides:
 * `EUNEXPECTEDEOF` if the stream was cut without close_notify, `EPROTO` if it was tampered with.
 *
 * @param id An encrypted connection.
 * @param max The most bytes to give, from 1. Default: 4096.
 * @returns The task; its result is the bytes, empty at end of stream.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If `max` is not an integer from 1.
 *
 * @example Receive
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * tls.send(peer, "hello");
 * assertEquals(new TextDecoder().decode(await task.await(tls.recv(client))), "hello");
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function recv(id: SocketId, max: number = verbs.RECV_MAX): TaskId<Uint8Array<ArrayBuffer>> {
  if (arguments.length > 2) refuseOptions("recv", arguments[2]);
  return verbs.recv(encrypted, id, max);
}

/**
 * Receives bytes into the caller's buffer: as `socket.recvInto`, from an encrypted connection only.
 *
 * Cancel safety: loses nothing, as `socket.recvInto`. Limit its time with
 * `task.await(id, { timeout, cancel: true })`.
 *
 * State: of an encrypted connection. Faults `EPROTO` if it is not encrypted, so that nothing is
 * received or sent in clear by mistake; otherwise as `socket.recvInto`, with the codes of TLS besides:
 * `EUNEXPECTEDEOF` if the stream was cut without close_notify, `EPROTO` if it was tampered with.
 *
 * @param id An encrypted connection.
 * @param buffer Where to put the bytes, at least one byte long.
 * @returns The task; its result is how many bytes were received, 0 at end of stream.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If `buffer` is empty.
 *
 * @example Receive into a buffer
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * tls.send(peer, "hello");
 * assertEquals(await task.await(tls.recvInto(client, new Uint8Array(100))), 5);
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function recvInto(id: SocketId, buffer: Uint8Array): TaskId<number> {
  if (arguments.length > 2) refuseOptions("recvInto", arguments[2]);
  return verbs.recvInto(encrypted, id, buffer);
}

/**
 * Receives exactly so many bytes: as `socket.recvExact`, from an encrypted connection only.
 *
 * Cancel safety: loses nothing, as `socket.recvExact`. Limit its time with
 * `task.await(id, { timeout, cancel: true })`.
 *
 * State: of an encrypted connection. Faults `EPROTO` if it is not encrypted, so that nothing is
 * received or sent in clear by mistake; otherwise as `socket.recvExact`, with the codes of TLS besides:
 * `EUNEXPECTEDEOF` if the stream was cut without close_notify, `EPROTO` if it was tampered with.
 *
 * @param id An encrypted connection.
 * @param n How many bytes, from 0.
 * @returns The task; its result is the bytes.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If `n` is not an integer from 0.
 *
 * @example Receive three bytes
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * tls.send(peer, "hello");
 * assertEquals(new TextDecoder().decode(await task.await(tls.recvExact(client, 3))), "hel");
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function recvExact(id: SocketId, n: number): TaskId<Uint8Array<ArrayBuffer>> {
  if (arguments.length > 2) refuseOptions("recvExact", arguments[2]);
  return verbs.recvExact(encrypted, id, n);
}

/**
 * Receives through a delimiter: as `socket.recvUntil`, from an encrypted connection only.
 *
 * Cancel safety: loses nothing, as `socket.recvUntil`. Limit its time with
 * `task.await(id, { timeout, cancel: true })`.
 *
 * State: of an encrypted connection. Faults `EPROTO` if it is not encrypted, so that nothing is
 * received or sent in clear by mistake; otherwise as `socket.recvUntil`, with the codes of TLS besides:
 * `EUNEXPECTEDEOF` if the stream was cut without close_notify, `EPROTO` if it was tampered with.
 *
 * @param id An encrypted connection.
 * @param delimiter What ends the message, not empty.
 * @param options `max`: the longest result in bytes. Default: 65536.
 * @returns The task; its result is the bytes, the delimiter included.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If `delimiter` is empty or `max` not an integer from 1.
 *
 * @example Receive a message
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * tls.send(peer, "one;two;");
 * assertEquals(new TextDecoder().decode(await task.await(tls.recvUntil(client, ";"))), "one;");
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function recvUntil(
  id: SocketId,
  delimiter: Uint8Array | string,
  options: UntilOptions = {},
): TaskId<Uint8Array<ArrayBuffer>> {
  return verbs.recvUntil(encrypted, id, delimiter, options);
}

/**
 * Receives a line of text: as `socket.recvLine`, from an encrypted connection only.
 *
 * Cancel safety: loses nothing, as `socket.recvLine`. Limit its time with
 * `task.await(id, { timeout, cancel: true })`.
 *
 * State: of an encrypted connection. Faults `EPROTO` if it is not encrypted, so that nothing is
 * received or sent in clear by mistake; otherwise as `socket.recvLine`, with the codes of TLS besides:
 * `EUNEXPECTEDEOF` if the stream was cut without close_notify, `EPROTO` if it was tampered with.
 *
 * @param id An encrypted connection.
 * @param options `max`: the longest line in bytes. Default: 65536.
 * @returns The task; its result is the line, or `null` at end of stream.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If `max` is not an integer from 1.
 *
 * @example Receive a line
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * tls.send(peer, "220 ready\r\n");
 * assertEquals(await task.await(tls.recvLine(client)), "220 ready");
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function recvLine(id: SocketId, options: UntilOptions = {}): TaskId<string | null> {
  return verbs.recvLine(encrypted, id, options);
}

/**
 * Waits until the next recv or accept need not wait: as `socket.ready`, for what is encrypted only. A
 * connection is ready when bytes are decrypted, a listener when a handshake is finished.
 *
 * Cancel safety: loses nothing, since it takes nothing. Limit its time with
 * `task.await(id, { timeout, cancel: true })`.
 *
 * State: of an encrypted connection or a TLS listener. Faults `EPROTO` if it is not encrypted, otherwise
 * as `socket.ready`; a stream that was cut or tampered with completes it, and the next recv tells.
 *
 * @param id An encrypted connection or a TLS listener.
 * @returns The task; its result is nothing.
 * @throws {TypeError} If an argument has the wrong type.
 *
 * @example Wait without taking
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * tls.send(peer, "hello");
 * await task.await(tls.ready(client));
 * assertEquals(tls.peek(client)?.length, 5);
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function ready(id: SocketId): TaskId<void> {
  if (arguments.length > 1) refuseOptions("ready", arguments[1]);
  return verbs.ready(encrypted, id);
}

/**
 * Accepts connections whose handshake is finished, for `for await`: as `socket.connections`.
 *
 * Cancel safety: leaving the loop cancels the accept that is pending and loses nothing.
 *
 * State: of a TLS listener; the loop ends when it is closed. Throws `EPROTO` if it is a plain one,
 * otherwise as `socket.connections`.
 *
 * @param server A TLS listener.
 * @returns The connections. They are the caller's to close.
 * @throws {TypeError} If `server` is not an integer.
 *
 * @example One client
 * ```ts
 * import { tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const [ip, port] = tls.getlocal(server);
 * const connecting = tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * for await (const id of tls.connections(server)) {
 *   assertEquals(tls.getside(id), "server");
 *   tls.close(id);
 *   tls.close(server);
 * }
 * tls.close(await connecting);
 * ```
 */
export function connections(server: SocketId): AsyncIterableIterator<SocketId, undefined> {
  return verbs.connections(encrypted, server);
}

/**
 * Receives until the end of the stream, for `for await`: as `socket.chunks`, from an encrypted connection
 * only.
 *
 * Cancel safety: leaving the loop cancels the recv that is pending and loses nothing.
 *
 * State: of an encrypted connection. Throws `EPROTO` if it is not encrypted, `EUNEXPECTEDEOF` if the stream
 * was cut without close_notify, otherwise as `socket.chunks`.
 *
 * @param id An encrypted connection.
 * @param max The most bytes to give at once, from 1. Default: 4096.
 * @returns The bytes, never none.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If `max` is not an integer from 1.
 *
 * @example Count what comes
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * tls.send(peer, "hello");
 * tls.shutdown(peer);
 * let count = 0;
 * for await (const data of tls.chunks(client)) count += data.length;
 * assertEquals(count, 5);
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function chunks(
  id: SocketId,
  max: number = verbs.RECV_MAX,
): AsyncIterableIterator<Uint8Array<ArrayBuffer>, undefined> {
  return verbs.chunks(encrypted, id, max);
}

/**
 * Receives lines of text until the end of the stream, for `for await`: as `socket.lines`, from an
 * encrypted connection only.
 *
 * Cancel safety: leaving the loop cancels the receive that is pending and loses nothing.
 *
 * State: of an encrypted connection. Throws `EPROTO` if it is not encrypted, `EUNEXPECTEDEOF` if the stream
 * was cut without close_notify, otherwise as `socket.lines`.
 *
 * @param id An encrypted connection.
 * @param options `max`: the longest line in bytes. Default: 65536.
 * @returns The lines, without `\n` or `\r\n`.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `max` is not an integer from 1.
 *
 * @example Commands
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * tls.send(client, "HELO\r\nQUIT\r\n");
 * const commands: string[] = [];
 * for await (const line of tls.lines(peer)) {
 *   commands.push(line);
 *   if (line === "QUIT") break;
 * }
 * assertEquals(commands, ["HELO", "QUIT"]);
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function lines(
  id: SocketId,
  options: UntilOptions = {},
): AsyncIterableIterator<string, undefined> {
  return verbs.lines(encrypted, id, options);
}

/**
 * Looks at the bytes that `recv` would give next: as `socket.peek`.
 *
 * @param id An encrypted connection.
 * @param max The most bytes to show, from 1. Default: 4096.
 * @returns A copy of the bytes; empty at end of stream; `undefined` if there is nothing yet.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If `max` is not an integer from 1.
 * @throws {SocketError} `EPROTO` if the socket is not encrypted, else the codes of
 * the call of the same name in `socket`.
 *
 * @example Look
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * assertEquals(tls.peek(client), undefined);
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function peek(
  id: SocketId,
  max: number = verbs.RECV_MAX,
): Uint8Array<ArrayBuffer> | undefined {
  return verbs.peek(encrypted, id, max);
}

/**
 * Puts bytes in front of what is to be received: as `socket.unrecv`.
 *
 * @param id An encrypted connection.
 * @param data The bytes, which are copied; a string as UTF-8.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {SocketError} `EPROTO` if the socket is not encrypted, else the codes of
 * the call of the same name in `socket`.
 *
 * @example Put back
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * tls.unrecv(client, "again");
 * assertEquals(new TextDecoder().decode(await task.await(tls.recv(client))), "again");
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function unrecv(id: SocketId, data: Uint8Array | string): void {
  verbs.unrecv(encrypted, id, data);
}

/**
 * Sends bytes, all of them: as `socket.send`, over an encrypted connection only.
 *
 * Cancel safety: a send that has not begun sends nothing; one that has begun still goes out whole.
 *
 * State: of an encrypted connection. Faults `EPROTO` if it is not encrypted, so that nothing is
 * received or sent in clear by mistake; otherwise as `socket.send`, with the same codes.
 *
 * @param id An encrypted connection.
 * @param data The bytes; a string as UTF-8. Leave the array alone until the task has settled.
 * @param options `transfer`, whether the data's memory is given up (default: `false`).
 * @returns The task; its result is the number of bytes.
 * @throws {TypeError} If an argument has the wrong type or value; see `socket.send`.
 *
 * @example Send
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * assertEquals(await task.await(tls.send(client, "hello")), 5);
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function send(
  id: SocketId,
  data: Uint8Array | string,
  options?: SendOptions,
): TaskId<number> {
  return verbs.send(encrypted, "send", id, data, options);
}

/**
 * Sends bytes: {@linkcode send} by the name it has in Dictu.
 *
 * Cancel safety: a write that has not begun sends nothing; one that has begun still goes out whole.
 *
 * State: of an encrypted connection. Faults `EPROTO` if it is not encrypted, so that nothing is
 * received or sent in clear by mistake; otherwise as `socket.write`, with the same codes.
 *
 * @param id An encrypted connection.
 * @param data The bytes; a string as UTF-8. Leave the array alone until the task has settled.
 * @param options `transfer`, whether the data's memory is given up (default: `false`).
 * @returns The task; its result is the number of bytes.
 * @throws {TypeError} If an argument has the wrong type or value; see `socket.send`.
 *
 * @example Send
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * assertEquals(await task.await(tls.write(client, "hello")), 5);
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function write(
  id: SocketId,
  data: Uint8Array | string,
  options?: SendOptions,
): TaskId<number> {
  return verbs.send(encrypted, "write", id, data, options);
}

/**
 * Sends what is queued, then close_notify, and ends the sending side: as `socket.shutdown`. Receiving
 * goes on.
 *
 * Cancel safety: cancelled before its turn, the sending side stays open.
 *
 * State: of an encrypted connection. Faults `EPROTO` if it is not encrypted, so that nothing is
 * received or sent in clear by mistake; otherwise as `socket.shutdown`, with the same codes.
 *
 * @param id An encrypted connection.
 * @returns The task, Completed when the end has been sent.
 * @throws {TypeError} If an argument has the wrong type.
 *
 * @example End
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * await task.await(tls.shutdown(client));
 * assertEquals((await task.await(tls.recv(peer))).length, 0);
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function shutdown(id: SocketId): TaskId<void> {
  if (arguments.length > 1) refuseOptions("shutdown", arguments[1]);
  return verbs.shutdown(encrypted, id);
}

/**
 * Closes an encrypted connection gently, as `socket.finish`: sends what is queued, then close_notify,
 * receives and drops until the peer has ended, then closes.
 *
 * Cancel safety: the socket stays open. What is queued is still sent, and the sending side has ended.
 *
 * State: of an encrypted connection: → closed. Faults `EPROTO` if it is not encrypted, `EUNEXPECTEDEOF`
 * if the peer does not end with close_notify (closed all the same), otherwise as `socket.finish`.
 *
 * @param id An encrypted connection.
 * @param options `timeout` in milliseconds (default: 5000).
 * @returns The task, Completed when the peer has ended and the connection is closed.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `timeout` is out of range.
 *
 * @example Say good-bye
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * tls.send(client, "good-bye");
 * const finishing = tls.finish(client);
 * assertEquals((await task.await(tls.recv(peer))).length, 8);
 * await task.all([finishing, tls.finish(peer)]);
 * tls.close(server);
 * ```
 */
export function finish(id: SocketId, options: FinishOptions = {}): TaskId<void> {
  return verbs.finish(encrypted, id, options);
}

/**
 * Accepts for ever and runs a handler for each connection: as `socket.serve`, for encrypted ones, which
 * it is given when their handshake is finished.
 *
 * Cancel safety: as `socket.serve`: lets the handlers end for up to `grace` milliseconds, then closes
 * what is left.
 *
 * State: of a TLS listener. Faults `EPROTO` if it is a plain one, otherwise as `socket.serve`.
 *
 * @param server A TLS listener.
 * @param handler What to do with each connection; it is given its ID and `{ signal }`, and runs as a
 * task.
 * @param options `maxConnections`, `grace` in milliseconds (default: 5000), `onError`.
 * @returns The task, which goes on until it is cancelled or the listener closed.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If an option is out of range.
 *
 * @example An encrypted greeting
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const serving = tls.serve(server, (id) => task.await(tls.send(id, "hello")));
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * assertEquals((await task.await(tls.recv(client))).length, 5);
 * tls.close(client);
 * tls.close(server);
 * await task.await(serving);
 * ```
 */
export function serve(
  server: SocketId,
  handler: Handler,
  options: ServeOptions = {},
): TaskId<void> {
  return verbs.serve(encrypted, server, handler, options);
}
