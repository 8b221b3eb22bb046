/** Sending: the calls of `socket` for encrypted connections only. */
import type { FinishOptions, SendOptions } from "../socket/core/types.ts";
import { refuseOptions, type SocketId, type TaskId } from "../task/core/mod.ts";
import { encrypted } from "./core/encrypted.ts";
import * as verbs from "../socket/core/verbs.ts";

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
 * Sends what is queued, then close_notify, and ends the sending side: as `socket.shutdown`.
 * Receiving goes on.
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
 * Closes an encrypted connection gently, as `socket.finish`: sends what is queued, then
 * close_notify, receives and drops until the peer has ended, then closes.
 *
 * Cancel safety: the socket stays open. What is queued is still sent, and the sending side has
 * ended.
 *
 * State: of an encrypted connection: -> closed. Faults `EPROTO` if it is not encrypted,
 * `EUNEXPECTEDEOF` if the peer does not end with close_notify (closed all the same), otherwise as
 * `socket.finish`.
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
