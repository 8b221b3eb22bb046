/** Receiving: the calls of `socket` for encrypted connections only. */
import { refuseOptions, type SocketId, type TaskId } from "../task/core/mod.ts";
import { encrypted } from "./core/encrypted.ts";
import * as verbs from "../socket/core/verbs.ts";

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
 * received or sent in clear by mistake; otherwise as `socket.recvInto`, with the codes of TLS
 * besides: `EUNEXPECTEDEOF` if the stream was cut without close_notify, `EPROTO` if it was tampered
 * with.
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
 * Waits until the next recv or accept need not wait: as `socket.ready`, for what is encrypted only.
 * A connection is ready when bytes are decrypted, a listener when a handshake is finished.
 *
 * Cancel safety: loses nothing, since it takes nothing. Limit its time with
 * `task.await(id, { timeout, cancel: true })`.
 *
 * State: of an encrypted connection or a TLS listener. Faults `EPROTO` if it is not encrypted,
 * otherwise as `socket.ready`; a stream that was cut or tampered with completes it, and the next
 * recv tells.
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
 * Receives until the end of the stream, for `for await`: as `socket.chunks`, from an encrypted
 * connection only.
 *
 * Cancel safety: leaving the loop cancels the recv that is pending and loses nothing.
 *
 * State: of an encrypted connection. Throws `EPROTO` if it is not encrypted, `EUNEXPECTEDEOF` if
 * the stream was cut without close_notify, otherwise as `socket.chunks`.
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
  if (arguments.length > 2) verbs.refuseLoop("chunks", arguments[2]);
  return verbs.chunks(encrypted, id, max);
}
