/**
 * TLS over the same sockets: the calls of `socket`, encrypted, and upgrades in the middle of a
 * connection.
 *
 * A TLS socket is a socket: `socket.recv`, `socket.send`, `socket.close` and the rest work on it too.
 * The calls of this package work on nothing else, so that nothing is sent in clear by mistake.
 *
 * Servers are verified, with the authorities that Deno trusts (its own list; the system's if the
 * environment says `DENO_TLS_CA_STORE=system`) and those in `ca`. TLS 1.2 and 1.3.
 *
 * | call | plain connection, plain listener | encrypted connection |
 * | --- | --- | --- |
 * | `recv`, `send` and the like | `EPROTO` | as in `socket` |
 * | `accept`, `hasconnection`, `serve`, `ready` | `EPROTO` | as in `socket` |
 * | `starttls` | → encrypted, or `EBUSY` while something is pending | `EISCONN` |
 * | `info` | `EPROTO` | what is known |
 * | `close`, `getpeer`, `getlocal`, `getside` | as in `socket` | as in `socket` |
 *
 * Codes besides those of `socket`: `CERT_HAS_EXPIRED`, `CERT_NOT_YET_VALID`,
 * `ERR_TLS_CERT_ALTNAME_INVALID` (another name), `UNABLE_TO_GET_ISSUER_CERT` (nobody trusted vouches
 * for it) and others as Node names them; `ERR_SSL_…_ALERT_…` for what the peer objected to; `EPROTO` for
 * what is not TLS; `ETIMEDOUT` for a handshake that took too long; `EUNEXPECTEDEOF` for a stream that
 * was cut without close_notify. The number of a code that only TLS has is 71, that of `EPROTO`.
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
export type { SocketId } from "../task/id.ts";
export { certificate, setcerts, tcpserver } from "./listen.ts";
export { connect, tcpconnect } from "./connect.ts";
export {
  accept,
  finish,
  hasconnection,
  peek,
  ready,
  recv,
  recvExact,
  recvInto,
  recvLine,
  recvUntil,
  send,
  serve,
  shutdown,
  unrecv,
  write,
} from "./io.ts";
export { close } from "../socket/close.ts";
export { getlocal, getpeer, getside } from "../socket/address.ts";
export { starttls } from "./starttls.ts";
export { info } from "./info.ts";
export { selfsigned } from "./selfsigned.ts";
export type { PeerCertificate, TlsInfo } from "./session.ts";
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
  TlsClientOptions,
  TlsClientSettings,
  TlsListenOptions,
  TlsListenSettings,
  TlsServerOptions,
  TlsServerSettings,
} from "./options.ts";
export { type Address, SocketError, type SocketErrorDetails } from "../socket/error.ts";
export type { Side } from "../socket/stream.ts";
export type { UntilOptions } from "../socket/framing.ts";
export type { FinishOptions } from "../socket/finish.ts";
export type { Handler, HandlerContext, ServeOptions } from "../socket/serve.ts";
