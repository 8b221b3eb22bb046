import { refuseOptions } from "./core/check.ts";
import type { SocketId, TaskId } from "../task/core/mod.ts";
import * as verbs from "./core/verbs.ts";

/**
 * Receives bytes: one to `max`, as soon as there are any. Empty means the peer has ended its side;
 * every later recv is empty too. Any number may be outstanding; they are served in order.
 *
 * The bytes belong to the caller: they begin at offset 0 of an `ArrayBuffer` that no other result
 * shares, so `new DataView(data.buffer)` reads them and transferring it takes nothing else along. It may
 * be longer than they are; what lies behind them never came from another connection.
 *
 * A recv that is Running keeps the process alive, awaited or not, and a forgotten one, too: it still
 * takes bytes. A cancelled one does not.
 *
 * Cancel safety: loses nothing. Bytes that arrive for a cancelled recv go to the next. So a recv of
 * limited time is `task.await(socket.recv(id), { timeout: 100, cancel: true })`.
 *
 * State: of a connection, also after `shutdown`. Faults `EBADF` if the socket is closed or unknown,
 * `EOPNOTSUPP` if it is a listener, `ECONNRESET` once the peer has reset the connection and what
 * came before was received, `ECONNABORTED` when the socket is closed meanwhile; `ENOMEM` if there is no
 * memory for the bytes, which then stay.
 *
 * @param id A connection.
 * @param max The most bytes to give, from 1. It is not allocated up front. Default: 4096.
 * @returns The task; its result is the bytes.
 * @throws {TypeError} If `id` is not an integer or `max` not a number, or if options are given: it has
 * none.
 * @throws {RangeError} If `max` is not an integer from 1.
 *
 * @example Receive until the peer ends
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * socket.send(peer, "goodbye");
 * socket.shutdown(peer);
 * let text = "";
 * for (;;) {
 *   const data = await task.await(socket.recv(client));
 *   if (data.length === 0) break;
 *   text += new TextDecoder().decode(data);
 * }
 * assertEquals(text, "goodbye");
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function recv(id: SocketId, max: number = verbs.RECV_MAX): TaskId<Uint8Array<ArrayBuffer>> {
  if (arguments.length > 2) refuseOptions("recv", arguments[2]);
  return verbs.recv(verbs.anySocket, id, max);
}

/**
 * Receives bytes into the caller's buffer: one byte to all of it, as soon as there are any.
 *
 * A buffer of 16 KiB or more is read into directly, without a copy, unless its memory is resizable.
 * Leave a buffer alone until its task has settled and, if that was by cancelling, until the next receive
 * on this socket has. While such a read is under way, bytes put back by `unrecv` wait for it: they come
 * first, but only when it ends, or at once for the next receive if this one is cancelled.
 *
 * A buffer that is detached before it is filled faults the task `EINVAL` and takes nothing; one that is
 * detached while it is read into takes the bytes along, and every later receive faults `EINVAL`. So does
 * a WebAssembly memory's when that grows, but not the one of its `toResizableBuffer()`.
 *
 * Cancel safety: loses nothing. Bytes that arrive for a cancelled recvInto go to the next receive. Limit
 * its time with `task.await(id, { timeout, cancel: true })`.
 *
 * State: as for {@linkcode recv}, with the same codes.
 *
 * @param id A connection.
 * @param buffer Where to put the bytes, from its start; at least one byte long.
 * @returns The task; its result is how many bytes were received, 0 at end of stream.
 * @throws {TypeError} If `id` is not an integer or `buffer` not a `Uint8Array`.
 * @throws {RangeError} If `buffer` is empty.
 *
 * @example One buffer for all messages
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * socket.send(peer, "abc");
 * const buffer = new Uint8Array(65536);
 * const n = await task.await(socket.recvInto(client, buffer));
 * assertEquals(new TextDecoder().decode(buffer.subarray(0, n)), "abc");
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function recvInto(id: SocketId, buffer: Uint8Array): TaskId<number> {
  if (arguments.length > 2) refuseOptions("recvInto", arguments[2]);
  return verbs.recvInto(verbs.anySocket, id, buffer);
}

/**
 * Looks at the bytes that `recv(id, max)` would give next, and leaves them there. It waits for
 * nothing, but if there is nothing yet it makes the socket look, so a poll finds what arrives. That alone
 * keeps no process alive.
 *
 * @param id A connection.
 * @param max The most bytes to show, from 1. Default: 4096, as for `recv`.
 * @returns A copy of the bytes; empty at end of stream; `undefined` if there is nothing yet.
 * @throws {TypeError} If `id` is not an integer or `max` not a number.
 * @throws {RangeError} If `max` is not an integer from 1.
 * @throws {SocketError} What a `recv` would fault with: `EBADF`, `EOPNOTSUPP`, `ECONNRESET` ...
 *
 * @example Which protocol is it?
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * socket.send(client, "GET / HTTP/1.1\r\n");
 * let first: Uint8Array | undefined;
 * while ((first = socket.peek(peer, 3)) === undefined) await task.sleep(1);
 * assertEquals(new TextDecoder().decode(first), "GET");
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function peek(
  id: SocketId,
  max: number = verbs.RECV_MAX,
): Uint8Array<ArrayBuffer> | undefined {
  return verbs.peek(verbs.anySocket, id, max);
}

/**
 * Puts bytes in front of what is to be received; what was put there last is received first. A
 * pending receive takes them at once. Only a `recvInto` that reads straight into its buffer (one of 16
 * KiB or more) takes them when that read ends, and the receives behind it wait as long, or until it is
 * cancelled.
 *
 * @param id A connection, also one whose peer has ended its side.
 * @param data The bytes, which are copied; a string as UTF-8. None changes nothing.
 * @throws {TypeError} If `id` is not an integer or `data` neither a `Uint8Array` nor a string.
 * @throws {SocketError} `EBADF` if the socket is closed or unknown; `EOPNOTSUPP` if it is a
 * listener.
 *
 * @example Last in, first out
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * socket.unrecv(client, "World");
 * socket.unrecv(client, "Hello");
 * const text = async () => new TextDecoder().decode(await task.await(socket.recv(client)));
 * assertEquals([await text(), await text()], ["Hello", "World"]);
 * [client, server].forEach(socket.close);
 * ```
 */
export function unrecv(id: SocketId, data: Uint8Array | string): void {
  verbs.unrecv(verbs.anySocket, id, data);
}
