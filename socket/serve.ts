import * as verbs from "./core/verbs.ts";
import type { Handler, ServeOptions } from "./core/types.ts";
import type { SocketId, TaskId } from "../task/core/mod.ts";

/**
 * Accepts connections for ever and runs a handler for each, side by side. When a handler returns, its
 * connection is closed as by {@linkcode finish} with `grace` as the timeout: what it sent arrives, also
 * if it was not awaited. When it throws, the connection is closed at once; the throw goes to `onError`
 * and disturbs nobody else.
 *
 * Cancel safety: cancelling stops accepting and aborts the handlers' signals at once, lets them end for
 * up to `grace` milliseconds, then closes what is left and cancels its tasks. `task.wait` waits for
 * that. The listener stays open.
 *
 * State: of a listener. Closing it ends serving in the same way, and the task is Completed when the
 * last handler has ended or `grace` is over, even if a handler never ends. When the system is short of descriptors or memory (`EMFILE`, `ENFILE`,
 * `ENOBUFS`, `ENOMEM`) it waits 100 ms and goes on. Faults `EBADF` if the socket is closed or unknown,
 * `EOPNOTSUPP` if it is a connection.
 *
 * @param server A listener.
 * @param handler What to do with each connection; it is given its ID and `{ signal }`, and runs as a
 * task.
 * @param options `maxConnections`, `grace` in milliseconds (default: 5000), `onError`.
 * @returns The task, which goes on until it is cancelled or the listener closed.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If an option is out of range.
 *
 * @example An echo server for any number of clients
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const serving = socket.serve(server, async (id) => {
 *   for (;;) {
 *     const data = await task.await(socket.recv(id));
 *     if (data.length === 0) return; // and the connection is closed
 *     await task.await(socket.send(id, data));
 *   }
 * });
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * socket.send(client, "hello");
 * assertEquals((await task.await(socket.recv(client))).length, 5);
 * socket.close(client);
 * socket.close(server);
 * await task.await(serving);
 * ```
 *
 * @example End when serving ends
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const serving = socket.serve(server, async (id, { signal }) => {
 *   while (!signal.aborted) {
 *     await task.await(socket.send(id, "tick\n"));
 *     await task.sleep(10, { signal }).catch(() => {});
 *   }
 *   socket.send(id, "good-bye\n");
 * });
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * assertEquals(await task.await(socket.recvLine(client)), "tick");
 * socket.close(server);
 * while (await task.await(socket.recvLine(client)) !== "good-bye");
 * socket.close(client);
 * await task.await(serving);
 * ```
 */
export function serve(
  server: SocketId,
  handler: Handler,
  options: ServeOptions = {},
): TaskId<void> {
  return verbs.serve(verbs.anySocket, server, handler, options);
}
