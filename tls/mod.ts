/**
 * TLS over the same sockets: the calls of `socket`, encrypted, and upgrades in the middle of a
 * connection.
 *
 * A TLS socket is a socket: `socket.recv`, `socket.send`, `socket.close` and the rest work on it
 * too. The calls of this package work on nothing else, so that nothing is sent in clear by mistake.
 *
 * Servers are verified, with the authorities that Deno trusts (its own list; the system's if the
 * environment says `DENO_TLS_CA_STORE=system`) and those in `ca`. TLS 1.2 and 1.3.
 *
 * Every listener is complete: it chooses among certificates by the name that the client asks for,
 * replaces them while it listens, verifies clients' certificates, and is rid of clients that do not
 * finish their handshake, at `handshakeTimeout` at the latest; one that has not begun it costs a
 * small buffer. That is the work of `node:tls`. `native: true` asks for Deno's own TLS instead,
 * which takes about half the CPU time and can do none of this.
 *
 * With `requestCert`, a connection is given to the program only if its client's certificate was
 * verified by this very listener (of `starttls`: with this very `ca`), in this handshake or in the
 * one that a resumed session goes back to, and is still in date.
 *
 * On a listener, a handshake begins when an accept, a `ready`, `serve` or a `hasconnection` asks
 * for a connection, and not before.
 *
 * | call | plain connection, plain listener | encrypted connection |
 * | --- | --- | --- |
 * | `recv`, `send` and the like | `EPROTO` | as in `socket` |
 * | `accept`, `connections`, `hasconnection`, `serve`, `ready` | `EPROTO` | as in `socket` |
 * | `starttls` | -> encrypted, or `EBUSY` while something is pending | `EISCONN` |
 * | `info` | `EPROTO` | what is known |
 * | `close`, `getpeer`, `getlocal`, `getside` | as in `socket` | as in `socket` |
 *
 * Codes besides those of `socket`: `CERT_HAS_EXPIRED`, `CERT_NOT_YET_VALID`,
 * `ERR_TLS_CERT_ALTNAME_INVALID` (another name), `UNABLE_TO_GET_ISSUER_CERT` (nobody trusted
 * vouches for it; where Node's TLS is at work, a self-signed one is `DEPTH_ZERO_SELF_SIGNED_CERT`)
 * and others as Node names them; `ERR_SSL_..._ALERT_...` for what the peer objected to, if it said
 * so (a listener here that refuses a client's certificate ends the connection without a word);
 * `EPROTO` for what is not TLS; `ETIMEDOUT` for a handshake that took too long; `EUNEXPECTEDEOF`
 * for a stream that was cut without close_notify. The number of a code that only TLS has is 71,
 * that of `EPROTO`.
 *
 * @example An encrypted echo
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0); // with a development certificate
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 *
 * await task.await(tls.send(client, "hello"));
 * await task.await(tls.send(peer, await task.await(tls.recv(peer))));
 * assertEquals(new TextDecoder().decode(await task.await(tls.recv(client))), "hello");
 *
 * [client, peer, server].forEach(tls.close);
 * ```
 *
 * @module
 */
import "./core/mod.ts"; // first, which makes a start quicker: it says why
export type { SocketId, TaskId, WaitOptions } from "../task/core/types.ts";
export type * from "./core/types.ts"; // the options, CertificatePair, TlsInfo ...
export type * from "../socket/core/types.ts"; // Address, Side, the options of the calls of `socket`
export * from "../socket/core/error.ts"; // SocketError

// Listening and connecting.
export * from "./listen.ts"; // tcpserver, setcerts, certificate
export * from "./connect.ts"; // tcpconnect, connect
export * from "./starttls.ts";

// The calls of `socket`, for encrypted sockets alone.
export * from "./accept.ts"; // accept, hasconnection, serve, connections
export * from "./recv.ts"; // recv, recvInto, peek, unrecv, ready, chunks
export * from "./framing.ts"; // recvExact, recvUntil, recvLine, lines
export * from "./send.ts"; // send, write, shutdown, finish

// Ending and looking.
export * from "../socket/close.ts";
export * from "../socket/address.ts"; // getpeer, getlocal, getside
export * from "./info.ts";

export * from "./selfsigned.ts";
