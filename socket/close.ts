import { checkId, type SocketId } from "../task/core/mod.ts";
import { handles } from "./core/handle.ts";

/**
 * Closes a socket, at once. Its pending tasks are Faulted `ECONNABORTED` when the call returns,
 * and what was still queued to be sent is dropped: await the sends, or `shutdown`, first. Closing a
 * listener also closes the connections that nobody has claimed or used.
 *
 * Over TLS the peer is told (close_notify) a turn of the event loop later: a program that exits
 * right after the call cuts the stream instead. `shutdown` first.
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
