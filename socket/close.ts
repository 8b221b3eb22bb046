import { checkId } from "../task/core/check.ts";
import type { SocketId } from "../task/core/ids.ts";
import { handles } from "./handle.ts";
import { Stream } from "./stream.ts";

/**
 * Closes a socket, at once. Its pending tasks are Faulted `ECONNABORTED` when the call returns,
 * and what was still queued to be sent is dropped: await the sends, or `shutdown`, first. Closing a
 * listener also closes the connections that nobody has claimed or used.
 *
 * Over TLS the peer is told (close_notify) a turn of the event loop later: a program that exits right
 * after the call cuts the stream instead. `shutdown` first.
 *
 * Closing again, or closing an integer that stands for no socket, changes nothing.
 *
 * @param id A connection or a listener.
 * @throws {TypeError} If `id` is not an integer.
 *
 * @example Pending tasks fault
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const accepting = socket.accept(server);
 * socket.close(server);
 * assertEquals((task.error(accepting) as socket.SocketError).code, "ECONNABORTED");
 * ```
 */
export function close(id: SocketId): void {
  const handle = handles.get(id);
  if (handle === undefined) checkId("id", id);
  else handle.close();
}

/**
 * Whether an ID stands for an open socket. Never throws.
 *
 * @param id Anything.
 * @returns `true` for a socket that this side has not closed, whatever became of it; that the peer has
 * gone changes nothing.
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
