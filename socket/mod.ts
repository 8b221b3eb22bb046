/**
 * TCP sockets, each known by an integer, with operations that are tasks.
 *
 * A socket is a connection or a listener, or was created and is to become one of them. What a call
 * does depends on the socket's state; calls that give a task give a Faulted one where the table
 * shows a code, those that give a loop throw it when that is asked for the next, the others throw
 * it at once.
 *
 * | call | created | listener | open | sending side shut down | peer ended | broken | closed, unknown |
 * | --- | --- | --- | --- | --- | --- | --- | --- |
 * | `bind` | -> bound | `EINVAL` | `EISCONN` | `EISCONN` | `EISCONN` | `EISCONN` | `EBADF` |
 * | `listen` | -> listener | `EINVAL` | `EISCONN` | `EISCONN` | `EISCONN` | `EISCONN` | `EBADF` |
 * | `connect` by ID | -> open | `EINVAL` | `EISCONN` | `EISCONN` | `EISCONN` | `EISCONN` | `EBADF` |
 * | `accept` | `EINVAL` | a connection | `EOPNOTSUPP` | `EOPNOTSUPP` | `EOPNOTSUPP` | `EOPNOTSUPP` | `EBADF` |
 * | `connections` | `EINVAL` | connections, then done | `EOPNOTSUPP` | `EOPNOTSUPP` | `EOPNOTSUPP` | `EOPNOTSUPP` | `EBADF` |
 * | `hasconnection` | `EINVAL` | a boolean | `EOPNOTSUPP` | `EOPNOTSUPP` | `EOPNOTSUPP` | `EOPNOTSUPP` | `EBADF` |
 * | `serve` | `EINVAL` | serves | `EOPNOTSUPP` | `EOPNOTSUPP` | `EOPNOTSUPP` | `EOPNOTSUPP` | `EBADF` |
 * | `recv`, `recvInto` | `ENOTCONN` | `EOPNOTSUPP` | bytes | bytes | what is left, then empty | what is left, then `ECONNRESET` | `EBADF` |
 * | `recvExact`, `recvUntil` | `ENOTCONN` | `EOPNOTSUPP` | bytes | bytes | bytes, or `EUNEXPECTEDEOF` | bytes, or `ECONNRESET` | `EBADF` |
 * | `recvLine` | `ENOTCONN` | `EOPNOTSUPP` | a line | a line | a line, then `null` | a line, then `ECONNRESET` | `EBADF` |
 * | `chunks` | `ENOTCONN` | `EOPNOTSUPP` | chunks | chunks | what is left, then done | what is left, then `ECONNRESET` | `EBADF` |
 * | `lines` | `ENOTCONN` | `EOPNOTSUPP` | lines | lines | what is left, then done | what is left, then `ECONNRESET` | `EBADF` |
 * | `peek` | `ENOTCONN` | `EOPNOTSUPP` | bytes or `undefined` | the same | what is left, then empty | what is left, then `ECONNRESET` | `EBADF` |
 * | `ready` | `ENOTCONN` | when there is a connection | when there are bytes | the same | at once | at once | `EBADF` |
 * | `unrecv` | `ENOTCONN` | `EOPNOTSUPP` | yes | yes | yes | yes | `EBADF` |
 * | `send`, `write` | `ENOTCONN` | `EOPNOTSUPP` | sends | `EPIPE` | sends | `EPIPE`, `ECONNRESET` | `EBADF` |
 * | `shutdown` | `ENOTCONN` | `EOPNOTSUPP` | -> sending side shut down | nothing more | -> both ended | `EPIPE`, `ENOTCONN` | `EBADF` |
 * | `finish` | `ENOTCONN` | `EOPNOTSUPP` | -> closed | -> closed | -> closed | -> closed, with the failure | `EBADF` |
 * | `relay`, `streams` | `ENOTCONN` | `EOPNOTSUPP` | as their receives and sends | the same | the same | the same | `EBADF` |
 * | `starttls` | `ENOTCONN` | `EOPNOTSUPP` | -> encrypted | `EPIPE` | -> closed, with the failure | -> closed, with the failure | `EBADF` |
 * | `getpeer`, `getside` | `ENOTCONN` | `ENOTCONN` | yes | yes | yes | yes | `EBADF` |
 * | `getlocal` | yes | yes | yes | yes | yes | yes | `EBADF` |
 * | `close` | -> closed | -> closed | -> closed | -> closed | -> closed | -> closed | nothing |
 *
 * Pending tasks of a socket fault `ECONNABORTED` when it is closed. "Peer ended" and "sending side
 * shut down" may both be the case; a connection is broken when the peer reset it or the network
 * failed. A created socket that is bound cannot be bound again (`EINVAL`) nor connect
 * (`EOPNOTSUPP`); while it connects, `bind` and `listen` are `EINVAL` and another `connect` is
 * `EALREADY`.
 *
 * @example An echo
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 *
 * await task.await(socket.send(client, "hello"));
 * await task.await(socket.send(peer, await task.await(socket.recv(peer))));
 * assertEquals(new TextDecoder().decode(await task.await(socket.recv(client))), "hello");
 *
 * [client, peer, server].forEach(socket.close);
 * ```
 *
 * @module
 */
import "./core/mod.ts"; // first, which makes a start quicker: it says why
export type { SocketId, TaskId, WaitOptions } from "../task/core/types.ts";
export type * from "./core/types.ts"; // Address, Side, the options that several calls take
export * from "./core/error.ts"; // SocketError

// Listening and connecting.
export * from "./listen.ts"; // tcpserver
export * from "./connect.ts"; // tcpconnect, connect
export * from "./unix.ts"; // unixserver, unixconnect
export * from "./pair.ts";
export * from "./accept.ts"; // accept, hasconnection, connections, serve

// Receiving and sending.
export * from "./recv.ts"; // recv, recvInto, peek, unrecv, ready, chunks
export * from "./framing.ts"; // recvExact, recvUntil, recvLine, lines
export * from "./send.ts"; // send, write, shutdown, finish
export * from "./relay.ts";
export * from "./streams.ts";

// The one place where this package leans on `tls`: a name in the table of contents, no code.
export * from "../tls/starttls.ts";
export type {
  CertificateList,
  CertificatePair,
  OwnCertificate,
  ServerCertificate,
  StarttlsClientOptions,
  StarttlsClientSettings,
  StarttlsOptions,
  StarttlsServerOptions,
  StarttlsServerSettings,
  TlsClientSettings,
  TlsServerSettings,
} from "../tls/core/types.ts";

// Ending.
export * from "./close.ts";

// The BSD sequence.
export * from "./bsd.ts"; // create, bind, listen
export * from "./options.ts"; // setsockopt, getsockopt
export * from "./constants.ts"; // AF_INET, SOL_SOCKET ...
export * from "./errno.ts"; // errno, strerror

// Looking.
export * from "./address.ts"; // getpeer, getlocal, getside
export * from "./inspect.ts"; // isopen, istls, list, inspect
