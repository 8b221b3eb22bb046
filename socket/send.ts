import type { FinishOptions, SendOptions } from "./core/types.ts";
import { refuseOptions, type SocketId, type TaskId } from "../task/core/mod.ts";
import * as verbs from "./core/verbs.ts";

/**
 * Sends bytes, all of them. Any number may be outstanding; they go out in order, small ones
 * together. Completed means that the system has the bytes, not that the peer has received them.
 *
 * An array of up to 512 bytes is the caller's again at once. Leave a larger one alone until its
 * send has settled. How many bytes is settled at the call. If it is detached or shrinks before its
 * turn, the send faults `EINVAL` and sends nothing. If it is detached while it is being sent, it is
 * Completed if the system had all of it by then; otherwise it faults `EINVAL`, and so does every
 * later send, since the peer has half of it. An array of resizable memory is always copied at the
 * call.
 *
 * Cancel safety: a send that has not begun sends nothing; one that has begun still goes out whole,
 * from the caller's memory: leave that alone until the next send has settled.
 *
 * State: of a connection whose sending side is open; the peer may have ended its own. Faults
 * `EBADF` if the socket is closed or unknown, `EOPNOTSUPP` if it is a listener, `EPIPE` after
 * `shutdown` or when the peer is gone, `ECONNRESET`, `ECONNABORTED` when the socket is closed
 * meanwhile. After a failed send every later one fails too.
 *
 * With `transfer: true` the data's memory is given up at the call, as to `postMessage`: its whole
 * `ArrayBuffer` is detached, with every view of it (of a `subarray` the rest, too; a small `Buffer`
 * of Node's shares its memory with others), even if the task faults. When it has been sent, memory
 * of 4, 16 or 64 KiB serves later receives, which is what makes an echo of large chunks cheap;
 * below some 500 bytes it saves nothing. A receive or send that uses the same memory at the time
 * loses it, as above.
 *
 * @param id A connection.
 * @param data The bytes; a string as UTF-8. Leave an array of more than 512 bytes alone until the
 * task has settled.
 * @param options `transfer`, whether the data's memory is given up (default: `false`; of a string
 * nothing is).
 * @returns The task; its result is the number of bytes.
 * @throws {TypeError} If `id` is not an integer or `data` neither a `Uint8Array` nor a string, or
 * an array that is detached already; if an option is unknown or has the wrong type; with
 * `transfer`, if the memory is shared, a WebAssembly memory's or detached. Then nothing is
 * detached.
 *
 * @example Send text
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * assertEquals(await task.await(socket.send(client, "grüezi")), 7);
 * [client, server].forEach(socket.close);
 * ```
 *
 * @example Pass on what was received, memory and all
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const [client, peer] = await socket.pair();
 * socket.send(client, new Uint8Array(65536), { transfer: true });
 * const data = await task.await(socket.recv(peer, 65536));
 * const { length } = data;
 * assertEquals(await task.await(socket.send(peer, data, { transfer: true })), length);
 * assertEquals(data.length, 0); // detached
 * [client, peer].forEach(socket.close);
 * ```
 */
export function send(
  id: SocketId,
  data: Uint8Array | string,
  options?: SendOptions,
): TaskId<number> {
  return verbs.send(verbs.anySocket, "send", id, data, options);
}

/**
 * Sends bytes: {@linkcode send} by the name it has in Dictu.
 *
 * Cancel safety: a write that has not begun sends nothing; one that has begun still goes out whole.
 *
 * State: as for `send`, with the same codes.
 *
 * @param id A connection.
 * @param data The bytes; a string as UTF-8. Leave an array of more than 512 bytes alone until the
 * task has settled.
 * @param options `transfer`, whether the data's memory is given up (default: `false`).
 * @returns The task; its result is the number of bytes.
 * @throws {TypeError} As for `send`.
 *
 * @example Write a line
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * assertEquals(await task.await(socket.write(client, "QUIT\r\n")), 6);
 * [client, server].forEach(socket.close);
 * ```
 */
export function write(
  id: SocketId,
  data: Uint8Array | string,
  options?: SendOptions,
): TaskId<number> {
  return verbs.send(verbs.anySocket, "write", id, data, options);
}

/**
 * Sends what is queued, then ends the sending side: the peer sees the end of the stream. Receiving
 * goes on. Doing it again changes nothing.
 *
 * Cancel safety: cancelled before its turn, the sending side stays open.
 *
 * State: of a connection; from this call on every send faults `EPIPE`. Faults `EBADF` if the socket
 * is closed or unknown, `EOPNOTSUPP` if it is a listener, `ENOTCONN` or `EPIPE` if the connection
 * is broken, `ECONNABORTED` when the socket is closed meanwhile.
 *
 * @param id A connection.
 * @returns The task, Completed when the end has been sent.
 * @throws {TypeError} If `id` is not an integer.
 *
 * @example End, and wait for the answer
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * socket.shutdown(client);
 * assertEquals((await task.await(socket.recv(peer))).length, 0);
 * socket.send(peer, "all received");
 * assertEquals((await task.await(socket.recv(client))).length, 12);
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function shutdown(id: SocketId): TaskId<void> {
  if (arguments.length > 1) refuseOptions("shutdown", arguments[1]);
  return verbs.shutdown(verbs.anySocket, id);
}

/**
 * Closes a connection gently: sends what is queued, ends the sending side, receives and drops until
 * the peer has ended, then closes. {@linkcode close} alone drops what is queued here, and if the
 * peer had sent anything that was not received, the system also drops what it has not delivered
 * yet.
 *
 * Cancel safety: the socket stays open. What is queued is still sent, and the sending side has
 * ended; what comes goes to the next recv.
 *
 * State: of a connection: -> closed. Receives that were called before come first. Faults
 * `ETIMEDOUT` when the time runs out, with the failure when receiving or sending fails
 * (`ECONNRESET`, `EPIPE`; over TLS `EUNEXPECTEDEOF` if the peer does not end with close_notify):
 * closed all the same. Faults `ECONNABORTED` when it is closed meanwhile, `EBADF` if the socket is
 * closed or unknown, `EOPNOTSUPP` if it is a listener, `ENOTCONN` if it is not connected yet.
 *
 * @param id A connection.
 * @param options `timeout` in milliseconds (default: 5000).
 * @returns The task, Completed when the peer has ended and the connection is closed.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `timeout` is out of range.
 *
 * @example Say good-bye
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const [one, other] = await socket.pair();
 * socket.send(one, "good-bye");
 * const finishing = socket.finish(one);
 * assertEquals((await task.await(socket.recv(other))).length, 8);
 * await task.all([finishing, socket.finish(other)]);
 * assertEquals([one, other].map(socket.isopen), [false, false]);
 * ```
 */
export function finish(id: SocketId, options: FinishOptions = {}): TaskId<void> {
  return verbs.finish(verbs.anySocket, id, options);
}
