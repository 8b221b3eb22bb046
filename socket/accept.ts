import { refuseOptions } from "./core/check.ts";
import type { SocketId, TaskId } from "../task/core/mod.ts";
import * as verbs from "./core/verbs.ts";

/**
 * Takes one connection. Any number may be outstanding; connections go to them in order. One that is
 * Running keeps the process alive; a cancelled one does not, except on a listener of Deno's own TLS.
 *
 * Cancel safety: loses nothing. A connection that arrives for a cancelled accept goes to the next. So an
 * accept of limited time is `task.await(socket.accept(id), { timeout: 100, cancel: true })`.
 *
 * State: of a listener: stays as it is. Faults `EBADF` if the socket is closed or unknown,
 * `EOPNOTSUPP` if it is a connection, `ECONNABORTED` when it is closed meanwhile; `EMFILE`,
 * `ENFILE`, `ENOBUFS`, `ENOMEM` when the system is short of something, `EPERM` and the like when it
 * has refused a hundred times in a row: the listener stays usable. A connection whose task is
 * forgotten, or still unclaimed and unused when the listener is closed, is closed; so is one whose
 * task waits in a `CompletionQueue`.
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
