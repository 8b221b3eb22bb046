import { refuseOptions, type SocketId, type TaskId } from "../task/core/mod.ts";
import * as verbs from "./core/verbs.ts";

/**
 * Receives bytes: one to `max`, as soon as there are any. Empty means the peer has ended its side;
 * every later recv is empty too. Any number may be outstanding; they are served in order.
 *
 * The bytes belong to the caller: they begin at offset 0 of an `ArrayBuffer` that no other result
 * shares, so `new DataView(data.buffer)` reads them and transferring it takes nothing else along.
 * It may be longer than they are; what lies behind them never came from another connection.
 *
 * A recv that is Running keeps the process alive, awaited or not, and a forgotten one, too: it
 * still takes bytes. A cancelled one does not.
 *
 * Cancel safety: loses nothing. Bytes that arrive for a cancelled recv go to the next. So a recv of
 * limited time is `task.await(socket.recv(id), { timeout: 100, cancel: true })`.
 *
 * State: of a connection, also after `shutdown`. Faults `EBADF` if the socket is closed or unknown,
 * `EOPNOTSUPP` if it is a listener, `ECONNRESET` once the peer has reset the connection and what
 * came before was received, `ECONNABORTED` when the socket is closed meanwhile; `ENOMEM` if there
 * is no memory for the bytes, which then stay.
 *
 * @param id A connection.
 * @param max The most bytes to give, from 1. It is not allocated up front. Default: 4096.
 * @returns The task; its result is the bytes.
 * @throws {TypeError} If `id` is not an integer or `max` not a number, or if options are given: it
 * has none.
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
 * Leave a buffer alone until its task has settled and, if that was by cancelling, until the next
 * receive on this socket has. While such a read is under way, bytes put back by `unrecv` wait for
 * it: they come first, but only when it ends, or at once for the next receive if this one is
 * cancelled.
 *
 * A buffer that is detached before it is filled faults the task `EINVAL` and takes nothing; one
 * that is detached while it is read into takes the bytes along, and every later receive faults
 * `EINVAL`. So does a WebAssembly memory's when that grows, but not the one of its
 * `toResizableBuffer()`.
 *
 * Cancel safety: loses nothing. Bytes that arrive for a cancelled recvInto go to the next receive.
 * Limit its time with `task.await(id, { timeout, cancel: true })`.
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
 * nothing, but if there is nothing yet it makes the socket look, so a poll finds what arrives. That
 * alone keeps no process alive.
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
 * pending receive takes them at once. Only a `recvInto` that reads straight into its buffer (one of
 * 16 KiB or more) takes them when that read ends, and the receives behind it wait as long, or until
 * it is cancelled.
 *
 * @param id A connection, also one whose peer has ended its side.
 * @param data The bytes, which are copied; a string as UTF-8. None changes nothing.
 * @throws {TypeError} If `id` is not an integer or `data` neither a `Uint8Array` nor a string, or
 * an array that is detached.
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

/**
 * Waits until the next recv, or of a listener the next accept, need not wait: there are bytes, the
 * end of the stream, a failure, or a connection. It takes nothing. Any number may be outstanding,
 * beside receives and accepts, which go first: it completes when none of those waits and something
 * is left. What was there then may be gone when the task is looked at, if a receive came in
 * between.
 *
 * One that is Running makes the socket look, as {@linkcode peek} does, and keeps the process alive;
 * a cancelled one does not, except on a listener of Deno's own TLS.
 *
 * Cancel safety: loses nothing, since it takes nothing. What arrives goes to the next recv or
 * accept. Limit its time with `task.await(id, { timeout, cancel: true })`.
 *
 * State: of a connection or a listener: stays as it is. A failure completes it, too: the next recv
 * or accept tells which. During a `starttls`, which it does not hinder, it waits for what comes
 * decrypted. Faults `EBADF` if the socket is closed or unknown, `ENOTCONN` if it neither listens
 * nor is connected yet, `ECONNABORTED` when it is closed meanwhile; `ENOMEM` if there is no memory
 * to receive to. In a `CompletionQueue` it comes once, as any task: watch again by calling again.
 *
 * @param id A connection or a listener.
 * @returns The task; its result is nothing.
 * @throws {TypeError} If `id` is not an integer, or if options are given: it has none.
 *
 * @example Which connection has something to say?
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const [one, other] = await socket.pair();
 * const [two, another] = await socket.pair();
 * socket.send(another, "hello");
 * const ready = [one, two].map(socket.ready);
 * assertEquals(await task.settled(ready), [ready[1]]);
 * assertEquals((await task.await(socket.recv(two))).length, 5);
 * [one, other, two, another].forEach(socket.close);
 * ready.forEach(task.forget);
 * ```
 */
export function ready(id: SocketId): TaskId<void> {
  if (arguments.length > 1) refuseOptions("ready", arguments[1]);
  return verbs.ready(verbs.anySocket, id);
}

/**
 * Receives until the end of the stream, for `for await`: what {@linkcode recv} gives, time after
 * time. Loops and receives on one connection share what comes, in the order of their calls.
 *
 * Cancel safety: leaving the loop cancels the recv that is pending, if any, and loses nothing: the
 * next receive gets the bytes. `return` does so at once, and a pending `next` is done.
 *
 * State: of a connection, which stays open. The loop ends at the end of the stream. Otherwise as
 * `recv`, whose codes it throws: `ECONNRESET` ..., `ECONNABORTED` or `EBADF` when the program
 * closes the socket meanwhile. After a failure every later `next` is done.
 *
 * @param id A connection.
 * @param max The most bytes to give at once, from 1. Default: 4096.
 * @returns The bytes, never none.
 * @throws {TypeError} If `id` is not an integer or `max` not a number.
 * @throws {RangeError} If `max` is not an integer from 1.
 *
 * @example Echo until the end
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const [client, peer] = await socket.pair();
 * socket.send(client, "hello");
 * socket.shutdown(client);
 * for await (const data of socket.chunks(peer)) await task.await(socket.send(peer, data));
 * assertEquals(await task.await(socket.recvExact(client, 5)), new TextEncoder().encode("hello"));
 * [client, peer].forEach(socket.close);
 * ```
 */
export function chunks(
  id: SocketId,
  max: number = verbs.RECV_MAX,
): AsyncIterableIterator<Uint8Array<ArrayBuffer>, undefined> {
  if (arguments.length > 2) verbs.refuseLoop("chunks", arguments[2]);
  return verbs.chunks(verbs.anySocket, id, max);
}
