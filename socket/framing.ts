/**
 * Receives that are content only with a certain amount. They settle with bytes that are in the
 * buffer or leave them there: what does not suffice stays readable.
 */
import type { UntilOptions } from "./core/types.ts";
import { refuseOptions, type SocketId, type TaskId } from "../task/core/mod.ts";
import * as verbs from "./core/verbs.ts";

/**
 * Receives exactly so many bytes.
 *
 * Cancel safety: loses nothing. What has come stays for the next receive. Limit its time with
 * `task.await(id, { timeout, cancel: true })`.
 *
 * State: as for `recv`. Faults `EUNEXPECTEDEOF` if the stream ends before that much has come; the
 * error's `partial` is a copy of what has come, and it stays readable. Faults `ECONNRESET`
 * likewise.
 *
 * @param id A connection.
 * @param n How many bytes, from 0.
 * @returns The task; its result is the bytes.
 * @throws {TypeError} If `id` is not an integer or `n` not a number.
 * @throws {RangeError} If `n` is not an integer from 0.
 *
 * @example A length, then so many bytes
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * socket.send(client, "\x05hello");
 * const [length] = await task.await(socket.recvExact(peer, 1));
 * const body = await task.await(socket.recvExact(peer, length));
 * assertEquals(new TextDecoder().decode(body), "hello");
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function recvExact(id: SocketId, n: number): TaskId<Uint8Array<ArrayBuffer>> {
  if (arguments.length > 2) refuseOptions("recvExact", arguments[2]);
  return verbs.recvExact(verbs.anySocket, id, n);
}

/**
 * Receives through a delimiter.
 *
 * Cancel safety: loses nothing. What has come stays for the next receive. Limit its time with
 * `task.await(id, { timeout, cancel: true })`.
 *
 * State: as for `recv`. Faults `EMSGSIZE` and consumes nothing if the result would be longer than
 * `max`; `EUNEXPECTEDEOF` if the stream ends first: the error's `partial` is a copy of what has
 * come, and it stays readable.
 *
 * @param id A connection.
 * @param delimiter What ends the message, not empty; a string as UTF-8.
 * @param options `max`: the longest result in bytes, with the delimiter. Default: 65536.
 * @returns The task; its result is the bytes, the delimiter included.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `delimiter` is empty or `max` not an integer from 1.
 *
 * @example The head of an HTTP request
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * socket.send(client, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nbody");
 * const head = await task.await(socket.recvUntil(peer, "\r\n\r\n", { max: 8192 }));
 * assertEquals(head.length, 35);
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function recvUntil(
  id: SocketId,
  delimiter: Uint8Array | string,
  options: UntilOptions = {},
): TaskId<Uint8Array<ArrayBuffer>> {
  return verbs.recvUntil(verbs.anySocket, id, delimiter, options);
}

/**
 * Receives a line of text, as UTF-8. The last one need not end with a line end. What is no UTF-8
 * becomes U+FFFD, and a byte order mark stays: for bytes as they are take {@linkcode recvUntil}.
 *
 * Cancel safety: loses nothing. What has come stays for the next receive. Limit its time with
 * `task.await(id, { timeout, cancel: true })`.
 *
 * State: as for `recv`. Faults `EMSGSIZE` and consumes nothing if the line is longer than `max`, or
 * than a string can be (512 MiB).
 *
 * @param id A connection.
 * @param options `max`: the longest line in bytes, with its end. Default: 65536.
 * @returns The task; its result is the line without `\n` or `\r\n`, or `null` at end of stream.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `max` is not an integer from 1.
 *
 * @example Line by line
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * socket.send(client, "HELO\r\n\nQUIT");
 * socket.shutdown(client);
 * const lines = [];
 * for (;;) {
 *   const line = await task.await(socket.recvLine(peer));
 *   if (line === null) break;
 *   lines.push(line);
 * }
 * assertEquals(lines, ["HELO", "", "QUIT"]);
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function recvLine(id: SocketId, options: UntilOptions = {}): TaskId<string | null> {
  return verbs.recvLine(verbs.anySocket, id, options);
}

/**
 * Receives lines of text until the end of the stream, for `for await`: what {@linkcode recvLine}
 * gives, time after time.
 *
 * Cancel safety: leaving the loop cancels the receive that is pending, if any, and loses nothing:
 * what has come stays for the next receive. `return` does so at once, and a pending `next` is done.
 *
 * State: of a connection, which stays open. The loop ends at the end of the stream. Otherwise as
 * `recvLine`, whose codes it throws: `EMSGSIZE` for a line longer than `max`, which stays readable;
 * `ECONNABORTED` or `EBADF` when the program closes the socket meanwhile. After a failure every
 * later `next` is done.
 *
 * @param id A connection.
 * @param options `max`: the longest line in bytes, with its end. Default: 65536.
 * @returns The lines, without `\n` or `\r\n`.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `max` is not an integer from 1.
 *
 * @example Commands
 * ```ts
 * import { socket } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const [client, peer] = await socket.pair();
 * socket.send(client, "HELO\r\nQUIT\r\nignored");
 * const commands: string[] = [];
 * for await (const line of socket.lines(peer)) {
 *   commands.push(line);
 *   if (line === "QUIT") break;
 * }
 * assertEquals(commands, ["HELO", "QUIT"]);
 * [client, peer].forEach(socket.close);
 * ```
 */
export function lines(
  id: SocketId,
  options: UntilOptions = {},
): AsyncIterableIterator<string, undefined> {
  return verbs.lines(verbs.anySocket, id, options);
}
