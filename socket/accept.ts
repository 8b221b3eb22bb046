import type { Handler, ServeOptions } from "./core/types.ts";
import { refuseOptions, type SocketId, type TaskId } from "../task/core/mod.ts";
import * as verbs from "./core/verbs.ts";

/**
 * Takes one connection. Any number may be outstanding; connections go to them in order. One that is
 * Running keeps the process alive; a cancelled one does not, except on a listener of Deno's own
 * TLS.
 *
 * Cancel safety: loses nothing. A connection that arrives for a cancelled accept goes to the next.
 * So an accept of limited time is `task.await(socket.accept(id), { timeout: 100, cancel: true })`.
 *
 * State: of a listener: stays as it is. Faults `EBADF` if the socket is closed or unknown,
 * `EOPNOTSUPP` if it is a connection, `ECONNABORTED` when it is closed meanwhile; `EMFILE`,
 * `ENFILE`, `ENOBUFS`, `ENOMEM` when the system is short of something, `EPERM` and the like when it
 * has refused a hundred times in a row: the listener stays usable. A connection whose task is
 * forgotten, or still unclaimed and unused when the listener is closed, is closed; so is one whose
 * task waits in a `CompletionQueue`. `task.forget` says what a use is.
 *
 * @param server A listener.
 * @returns The task; its result is the connected socket.
 * @throws {TypeError} If `server` is not an integer, or if options are given: it has none.
 *
 * @example Accept one client
 * ```ts
 * import { socket, task } from "@taskio/net";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function accept(server: SocketId): TaskId<SocketId> {
  if (arguments.length > 1) refuseOptions("accept", arguments[1]);
  return verbs.accept(verbs.anySocket, server);
}

/**
 * Whether a connection is ready: after `true` the next accept completes at once. Asking makes the
 * listener look for one, so a poll finds it the next time round the event loop. That alone keeps no
 * process alive, except on a listener of Deno's own TLS.
 *
 * @param server A listener.
 * @returns Whether a connection is ready.
 * @throws {TypeError} If `server` is not an integer.
 * @throws {SocketError} `EBADF` if the socket is closed or unknown; `EOPNOTSUPP` if it is a
 * connection.
 *
 * @example Poll for a client
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * while (!socket.hasconnection(server)) await task.sleep(1);
 * const accepting = socket.accept(server);
 * assertEquals(task.status(accepting), "Completed");
 * [client, await task.await(accepting), server].forEach(socket.close);
 * ```
 */
export function hasconnection(server: SocketId): boolean {
  return verbs.hasconnection(verbs.anySocket, server);
}

/**
 * Accepts connections, one after the other, for `for await`. Any number of loops may run on one
 * listener; they share the connections.
 *
 * Cancel safety: leaving the loop cancels the accept that is pending, if any, and loses nothing:
 * the next accept gets the connection. `return` does so at once, and a pending `next` is done.
 *
 * State: of a listener, which stays open. The loop ends when the listener is closed. Otherwise as
 * {@linkcode accept}, whose codes it throws; the listener stays usable after `EMFILE` and the like,
 * for another loop. After a failure, too, every later `next` is done.
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
  if (arguments.length > 1) verbs.refuseLoop("connections", arguments[1]);
  return verbs.connections(verbs.anySocket, server);
}

/**
 * Accepts connections for ever and runs a handler for each, side by side. When a handler returns,
 * its connection is closed as by {@linkcode finish} with `grace` as the timeout: what it sent
 * arrives, also if it was not awaited. When it throws, the connection is closed at once; the throw
 * goes to `onError` and disturbs nobody else.
 *
 * Cancel safety: cancelling stops accepting and aborts the handlers' signals at once, lets them end
 * for up to `grace` milliseconds, then closes what is left and cancels its tasks. `task.wait` waits
 * for that. The listener stays open.
 *
 * State: of a listener. Closing it ends serving in the same way, and the task is Completed when the
 * last handler has ended or `grace` is over, even if a handler never ends. When the system is short
 * of descriptors or memory (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`) it waits 100 ms and goes on.
 * Faults `EBADF` if the socket is closed or unknown, `EOPNOTSUPP` if it is a connection.
 *
 * @param server A listener.
 * @param handler What to do with each connection; it is given its ID and `{ signal }`, and runs as
 * a task.
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
