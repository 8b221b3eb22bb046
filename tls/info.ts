import { checkId, type SocketId } from "../task/core/mod.ts";
import { getStream } from "../socket/core/lookup.ts";
import type { TlsInfo } from "./core/types.ts";
import type { TlsSession } from "./core/session.ts";

/**
 * What is known of an encrypted connection. Deno's own TLS, that of most clients and of `native`
 * servers, does not tell the protocol version and the cipher, nor a server the name its client
 * asked for: these are `null` then.
 *
 * @param id An encrypted connection.
 * @returns Protocol, cipher, application protocol, server name, the peer's certificate.
 * @throws {TypeError} If `id` is not an integer.
 * @throws {SocketError} `EPROTO` if the connection is not encrypted; `EBADF` if the socket is
 * closed or unknown; `EOPNOTSUPP` if it is a listener; `ENOTCONN` if it was only created.
 *
 * @example Whose certificate is it?
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0, { alpn: ["echo"] });
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", {
 *   ca: tls.certificate(server),
 *   alpn: ["echo"],
 * });
 * const { alpn, peerCertificate } = tls.info(client);
 * assertEquals([alpn, peerCertificate?.subject], ["echo", "localhost"]);
 * [client, await task.await(accepting), server].forEach(tls.close);
 * ```
 */
export function info(id: SocketId): TlsInfo {
  checkId("id", id);
  const stream = getStream("info", id);
  if (stream.session === undefined) {
    throw stream.fail("EPROTO", "info", "connection is not encrypted");
  }
  return (stream.session as TlsSession).info();
}
