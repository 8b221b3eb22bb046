import * as verbs from "./core/verbs.ts";
import type { UntilOptions } from "./core/types.ts";
import type { SocketId } from "../task/core/mod.ts";

/**
 * Accepts connections, one after the other, for `for await`. Any number of loops may run on one listener;
 * they share the connections.
 *
 * Cancel safety: leaving the loop cancels the accept that is pending, if any, and loses nothing: the next
 * accept gets the connection. `return` does so at once, and a pending `next` is done.
 *
 * State: of a listener, which stays open. The loop ends when the listener is closed. Otherwise as
 * {@linkcode accept}, whose codes it throws; the listener stays usable after `EMFILE` and the like, for
 * another loop. After a failure, too, every later `next` is done.
 *
 * @param server A listener.
 * @returns The connections. They are the caller's to close.
 * @throws {TypeError} If `server` is not an integer.
 *
 * @example Two clients
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const address = socket.getlocal(server);
 * const clients = [await socket.tcpconnect(...address), await socket.tcpconnect(...address)];
 * let count = 0;
 * for await (const id of socket.connections(server)) {
 *   socket.close(id);
 *   if (++count === 2) socket.close(server);
 * }
 * assertEquals(count, 2);
 * clients.forEach(socket.close);
 * ```
 */
export function connections(server: SocketId): AsyncIterableIterator<SocketId, undefined> {
  return verbs.connections(verbs.anySocket, server);
}

/**
 * Receives until the end of the stream, for `for await`: what {@linkcode recv} gives, time after time.
 * Loops and receives on one connection share what comes, in the order of their calls.
 *
 * Cancel safety: leaving the loop cancels the recv that is pending, if any, and loses nothing: the next
 * receive gets the bytes. `return` does so at once, and a pending `next` is done.
 *
 * State: of a connection, which stays open. The loop ends at the end of the stream. Otherwise as `recv`,
 * whose codes it throws: `ECONNRESET` ..., `ECONNABORTED` or `EBADF` when the program closes the socket
 * meanwhile. After a failure every later `next` is done.
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
  return verbs.chunks(verbs.anySocket, id, max);
}

/**
 * Receives lines of text until the end of the stream, for `for await`: what {@linkcode recvLine} gives,
 * time after time.
 *
 * Cancel safety: leaving the loop cancels the receive that is pending, if any, and loses nothing: what has
 * come stays for the next receive. `return` does so at once, and a pending `next` is done.
 *
 * State: of a connection, which stays open. The loop ends at the end of the stream. Otherwise as
 * `recvLine`, whose codes it throws: `EMSGSIZE` for a line longer than `max`, which stays readable;
 * `ECONNABORTED` or `EBADF` when the program closes the socket meanwhile. After a failure every later
 * `next` is done.
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
