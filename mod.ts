/**
 * Low-level asynchronous TCP and TLS for Deno through plain integers: every socket and every operation is a
 * number, to be stored, polled, awaited, cancelled, or handed to a script or a WebAssembly guest.
 *
 * - {@linkcode socket}: listeners and connections.
 * - {@linkcode tls}: the same, encrypted; upgrades of plain connections.
 * - {@linkcode task}: the operations on them; spawn, timers, channels.
 *
 * @example An echo server for one client
 * ```ts
 * import { socket, task } from "@taskio/net";
 *
 * const server = socket.tcpserver("127.0.0.1", 0); // a socket ID
 * const caller = await socket.tcpconnect(...socket.getlocal(server));
 * socket.send(caller, "hello");
 *
 * const client = await task.await(socket.accept(server)); // accept() gives a task ID
 * const data = await task.await(socket.recv(client)); // a Uint8Array, empty at end of stream
 * await task.await(socket.send(client, data));
 * socket.close(client);
 * socket.close(server);
 *
 * socket.close(caller);
 * ```
 *
 * @module
 */
/** TCP and Unix sockets, each known by an integer, with operations that are tasks. */
export * as socket from "./socket/mod.ts";
/** Tasks: integers that stand for work under way, to be polled, awaited, cancelled or selected on. */
export * as task from "./task/mod.ts";
/** TLS with the verbs of `socket`, on either side, by connecting, listening or upgrading in place. */
export * as tls from "./tls/mod.ts";
