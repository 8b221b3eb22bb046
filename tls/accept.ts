/** Accepting: the calls of `socket` for encrypted listeners only. */
import type { Handler, ServeOptions } from "../socket/core/types.ts";
import { refuseOptions, type SocketId, type TaskId } from "../task/core/mod.ts";
import { encrypted } from "./core/encrypted.ts";
import * as verbs from "../socket/core/verbs.ts";

/**
 * Takes one connection whose handshake is finished. Handshakes run side by side, each limited by
 * the listener's `handshakeTimeout`: a client that stays silent or talks nonsense holds up no
 * other. It is dropped, and counted in `inspect`.
 *
 * A handshake begins when an accept, a `ready`, `serve` or a `hasconnection` asks for a connection;
 * until then clients wait. So call `accept` before you await a connect to a listener of your own.
 *
 * Cancel safety: loses nothing. A connection that arrives for a cancelled accept goes to the next.
 * Limit its time with `task.await(id, { timeout, cancel: true })`.
 *
 * State: of a TLS listener. Faults `EPROTO` if it is a plain one, otherwise as `socket.accept`.
 *
 * @param server A TLS listener.
 * @returns The task; its result is the connected socket.
 * @throws {TypeError} If an argument has the wrong type.
 *
 * @example Accept
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * assertEquals(tls.getside(peer), "server");
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function accept(server: SocketId): TaskId<SocketId> {
  if (arguments.length > 1) refuseOptions("accept", arguments[1]);
  return verbs.accept(encrypted, server);
}

/**
 * Whether a connection is ready, its handshake finished: as `socket.hasconnection`.
 *
 * @param server A TLS listener.
 * @returns Whether the next accept completes at once.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {SocketError} `EPROTO` if the socket is not encrypted, else the codes of
 * the call of the same name in `socket`.
 *
 * @example Poll
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * assertEquals(tls.hasconnection(server), false);
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function hasconnection(server: SocketId): boolean {
  return verbs.hasconnection(encrypted, server);
}

/**
 * Accepts for ever and runs a handler for each connection: as `socket.serve`, for encrypted ones,
 * which it is given when their handshake is finished.
 *
 * Cancel safety: as `socket.serve`: lets the handlers end for up to `grace` milliseconds, then
 * closes what is left.
 *
 * State: of a TLS listener. Faults `EPROTO` if it is a plain one, otherwise as `socket.serve`.
 *
 * @param server A TLS listener.
 * @param handler What to do with each connection; it is given its ID and `{ signal }`, and runs as
 * a task.
 * @param options `maxConnections`, `grace` in milliseconds (default: 5000), `onError`.
 * @returns The task, which goes on until it is cancelled or the listener closed.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If an option is out of range.
 *
 * @example An encrypted greeting
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const serving = tls.serve(server, (id) => task.await(tls.send(id, "hello")));
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * assertEquals((await task.await(tls.recv(client))).length, 5);
 * tls.close(client);
 * tls.close(server);
 * await task.await(serving);
 * ```
 */
export function serve(
  server: SocketId,
  handler: Handler,
  options: ServeOptions = {},
): TaskId<void> {
  return verbs.serve(encrypted, server, handler, options);
}

/**
 * Accepts connections whose handshake is finished, for `for await`: as `socket.connections`.
 *
 * Cancel safety: leaving the loop cancels the accept that is pending and loses nothing.
 *
 * State: of a TLS listener; the loop ends when it is closed. Throws `EPROTO` if it is a plain one,
 * otherwise as `socket.connections`.
 *
 * @param server A TLS listener.
 * @returns The connections. They are the caller's to close.
 * @throws {TypeError} If `server` is not an integer.
 *
 * @example One client
 * ```ts
 * import { tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const [ip, port] = tls.getlocal(server);
 * const connecting = tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * for await (const id of tls.connections(server)) {
 *   assertEquals(tls.getside(id), "server");
 *   tls.close(id);
 *   tls.close(server);
 * }
 * tls.close(await connecting);
 * ```
 */
export function connections(server: SocketId): AsyncIterableIterator<SocketId, undefined> {
  if (arguments.length > 1) verbs.refuseLoop("connections", arguments[1]);
  return verbs.connections(encrypted, server);
}
