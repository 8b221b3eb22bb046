import { checkId, readOptions, type SocketId } from "../task/core/mod.ts";
import { checkHost, checkPort } from "../socket/core/check.ts";
import { Listener } from "../socket/core/listener.ts";
import { getListener } from "../socket/core/lookup.ts";
import { TlsAcceptor } from "./core/acceptor.ts";
import { openSource } from "./core/backend.ts";
import { type CheckedPair, checkPair } from "./core/certificate.ts";
import { parseDnsName, parseIp } from "./core/names.ts";
import { checkPairs, checkServer, LISTENER, SERVER } from "./core/plan.ts";
import type { CertificatePair, TlsListenOptions } from "./core/types.ts";
import { selfsigned } from "./selfsigned.ts";

/**
 * Listens for TLS connections.
 *
 * Without a certificate it shows a self-signed one, made on the spot, for `localhost`, 127.0.0.1,
 * ::1 and `host`: for development only. A client trusts it that lists {@linkcode certificate} in
 * its `ca`.
 *
 * A handshake begins when an accept, a `ready`, `serve` or a `hasconnection` asks for a connection;
 * until then clients wait. So call `accept` before you await a connect to a listener of your own.
 *
 * A client that has not said what it wants costs a small buffer and its descriptor, until its time
 * is up or `maxHandshakes` others have come. `native` trades completeness for speed.
 *
 * @param host The address to listen on, as for `socket.tcpserver`.
 * @param port The port, 0 for any free one: `getlocal` tells which.
 * @param options The backlog, default 128; or a bag with `cert` and `key`, or `certs`; `alpn`, `ca`
 * and `requestCert` to demand client certificates, `handshakeTimeout` in milliseconds (default:
 * 10,000), `maxHandshakes` (default: 1,000), `backlog`, `proxyProtocol`, `native`.
 * @returns The listener, which listens already.
 * @throws {TypeError} If an argument has the wrong type, an option is unknown or does not go with
 * `native`.
 * @throws {RangeError} If an argument or option is out of range.
 * @throws {SocketError} Those of `socket.tcpserver`; if a certificate cannot be used:
 * `ERR_OSSL_X509_KEY_VALUES_MISMATCH`, `ERR_OSSL_PEM_NO_START_LINE`, `ERR_MISSING_PASSPHRASE` ...
 *
 * @example Listen with a development certificate
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * tls.send(peer, "secret");
 * assertEquals(new TextDecoder().decode(await task.await(tls.recv(client))), "secret");
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function tcpserver(
  host: string,
  port: number,
  options: number | TlsListenOptions = {},
): SocketId {
  host = checkHost(host);
  checkPort(port);
  if (typeof options === "number") options = { backlog: options };
  options = readOptions(options, [...LISTENER, ...SERVER]);
  const plan = checkServer("listen", options, LISTENER);
  const { backlog, proxyProtocol } = plan;
  const pairs = plan.pairs.length > 0 ? plan.pairs : [developmentPair(host)];
  const source = openSource({ host, port, backlog, proxyProtocol }, plan, pairs);
  return new Listener(new TlsAcceptor(source, plan), source.local).id;
}

/**
 * The certificate that a listener shows to clients that ask for no name, for their `ca` if it is a
 * self-signed one.
 *
 * @param server A TLS listener.
 * @returns The certificate, PEM.
 * @throws {TypeError} If `server` is not an integer.
 * @throws {SocketError} `EBADF` if the socket is closed or unknown; `EOPNOTSUPP` if it is a
 * connection; `EPROTO` if it is a plain listener; `ENOTCONN` if it was only created.
 *
 * @example Trust a development server
 * ```ts
 * import { tls } from "@taskio/net";
 * import { assertMatch } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * assertMatch(tls.certificate(server), /^-----BEGIN CERTIFICATE-----/);
 * tls.close(server);
 * ```
 */
export function certificate(server: SocketId): string {
  return acceptorOf("certificate", server)[1].source.pairs[0].cert;
}

/**
 * Replaces the certificates of a listener, all at once and without a gap. Connections that are
 * open, and handshakes under way, go on as they began.
 *
 * @param server A TLS listener.
 * @param certs One certificate with its key, or a list as for `tcpserver`.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If the list is empty.
 * @throws {SocketError} If a certificate cannot be used, and then the old ones stay; `EBADF`,
 * `EOPNOTSUPP`, `EPROTO`, `ENOTCONN` as for {@linkcode certificate}; `EOPNOTSUPP` for a listener
 * that is `native`, too.
 *
 * @example Renew a certificate
 * ```ts
 * import { tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0, { certs: [tls.selfsigned(["old.test"])] });
 * const renewed = tls.selfsigned(["new.test"]);
 * tls.setcerts(server, [renewed]);
 * assertEquals(tls.certificate(server), renewed.cert);
 * tls.close(server);
 * ```
 */
export function setcerts(
  server: SocketId,
  certs: CertificatePair | readonly CertificatePair[],
): void {
  const pairs = checkPairs("setcerts", Array.isArray(certs) ? certs : [certs]);
  const [listener, { source }] = acceptorOf("setcerts", server);
  if (source.replace(pairs)) return;
  throw listener.fail("EOPNOTSUPP", "setcerts", "a native listener keeps its certificate");
}

function acceptorOf(op: string, server: SocketId): [Listener, TlsAcceptor] {
  checkId("server", server);
  const listener = getListener(op, server);
  if (listener.acceptor instanceof TlsAcceptor) return [listener, listener.acceptor];
  throw listener.fail("EPROTO", op, "listener is not encrypted");
}

function developmentPair(host: string): CheckedPair {
  const names = new Set(["localhost", "127.0.0.1", "::1"]);
  if (parseIp(host) !== undefined || parseDnsName(host) !== undefined) names.add(host);
  return checkPair(selfsigned([...names]));
}
