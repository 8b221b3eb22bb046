import { awaitTask } from "../task/await.ts";
import { checkString, wrongRange } from "../task/check.ts";
import type { SocketId, TaskId } from "../task/id.ts";
import { checkRemoteHost, checkRemotePort } from "../socket/check.ts";
import { dial } from "../socket/dial.ts";
import { openTcp } from "../socket/tcp.ts";
import { secureClient } from "./backend.ts";
import { parseDnsName, parseIp } from "./names.ts";
import { checkClient, type TlsClientOptions } from "./options.ts";

/**
 * Connects to a TLS server. When it resolves, the handshake is finished and the server verified.
 *
 * @param host A host name or an IPv4 or IPv6 address.
 * @param port The port, 1 to 65535. Default: 443.
 * @param sni The name to ask the server for, which its certificate must be for; `""` means `host`.
 * @param options `ca`, `cert` and `key`, `alpn`, `timeout` in milliseconds (default: 30,000),
 * `signal`, `unsafelyIgnoreHostname`.
 * @returns The connected socket. Rejects with `SocketError`: those of a plain connect;
 * `CERT_HAS_EXPIRED`, `CERT_NOT_YET_VALID`, `ERR_TLS_CERT_ALTNAME_INVALID`,
 * `UNABLE_TO_GET_ISSUER_CERT` …; `EPROTO` if the peer does not speak TLS; `EUNEXPECTEDEOF` if it hangs
 * up; `ETIMEDOUT`. Or with the signal's reason, or Deno's `NotCapable`. A client with a certificate of its
 * own (Node's TLS) is told less: `UNABLE_TO_VERIFY_LEAF_SIGNATURE` for whatever is wrong but the name.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If an argument or option is out of range.
 * @throws {SocketError} If `ca`, `cert` or `key` cannot be used: `CERT_HAS_EXPIRED`,
 * `ERR_OSSL_X509_KEY_VALUES_MISMATCH`, `ERR_OSSL_PEM_NO_START_LINE` …
 *
 * @example Connect to a server by address, with the name on its certificate
 * ```ts
 * import { tls } from "@taskio/net";
 *
 * const { cert, key } = tls.selfsigned(["api.example.com"]);
 * const server = tls.tcpserver("127.0.0.1", 0, { cert, key });
 * const [ip, port] = tls.getlocal(server);
 * const accepting = tls.accept(server);
 * const client = await tls.tcpconnect(ip, port, "api.example.com", { ca: cert });
 * tls.close(client);
 * tls.close(server);
 * ```
 */
export function tcpconnect(
  host: string,
  port: number = 443,
  sni: string = "",
  options: TlsClientOptions = {},
): Promise<SocketId> {
  return awaitTask(connect(host, port, sni, options));
}

/**
 * Connects to a TLS server, as a task: {@linkcode tcpconnect} for programs that poll.
 *
 * Cancel safety: a connection that is established after the cancel is closed at once.
 *
 * State: the result is a connected, encrypted socket. It is closed again if the task is forgotten
 * before anything was done with the socket. The task faults with the codes of `tcpconnect`.
 *
 * @param host A host name or an IPv4 or IPv6 address.
 * @param port The port, 1 to 65535. Default: 443.
 * @param sni The name to ask the server for; `""` means `host`.
 * @param options As for `tcpconnect`.
 * @returns The task; its result is the socket.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If an argument or option is out of range.
 * @throws {SocketError} If `ca`, `cert` or `key` cannot be used.
 *
 * @example Poll a connect
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const id = tls.connect(ip, port, "localhost", { ca: tls.certificate(server) });
 * while (task.status(id) === "Running") await task.sleep(1);
 * const client = await task.await(id);
 * assertEquals(tls.info(client).sni, "localhost");
 * [client, server].forEach(tls.close);
 * ```
 */
export function connect(
  host: string,
  port: number = 443,
  sni: string = "",
  options: TlsClientOptions = {},
): TaskId<SocketId> {
  host = checkRemoteHost(host);
  checkRemotePort(port);
  const name = checkServerName("sni", sni) ?? withoutBrackets(host);
  const plan = checkClient("connect", options);
  return dial([host, port], plan, async (signal) => {
    const opened = await openTcp(host, port, {}, signal);
    const { transport, session } = await secureClient(opened.transport, name, plan, signal);
    return { ...opened, transport, session };
  });
}

/** A name to verify, as it stands in certificates; `undefined` if it is empty. */
export function checkServerName(parameter: string, name: string): string | undefined {
  checkString(parameter, name);
  if (name === "") return undefined;
  const bare = withoutBrackets(name);
  const valid = parseIp(bare) === undefined ? parseDnsName(bare) : bare;
  if (valid === undefined) throw wrongRange(parameter, "a host name or IP address", name);
  return valid;
}

/** An IPv6 address may be written as in a URL. */
function withoutBrackets(host: string): string {
  return host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
}
