import { await as awaitTask } from "../task/await.ts";
import type { SocketId, TaskId } from "../task/core/mod.ts";
import { checkRemoteHost, checkRemotePort } from "../socket/core/check.ts";
import { dial } from "../socket/core/dial.ts";
import type { Address } from "../socket/core/types.ts";
import { openTcp } from "../socket/core/tcp.ts";
import { secureClient } from "./core/backend.ts";
import { TlsError } from "./core/codes.ts";
import { checkServerName, nameOfHost } from "./core/names.ts";
import { checkClient, type ClientPlan } from "./core/plan.ts";
import type { TlsClientOptions } from "./core/types.ts";

/**
 * Connects to a TLS server. When it resolves, the handshake is finished and the server verified.
 *
 * A server that refuses this client's certificate says so only afterwards, over TLS 1.3: the first
 * receive faults, `ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED` if none was given, `EUNEXPECTEDEOF`
 * or another `ERR_SSL_..._ALERT_...` if the server does not trust the one that was.
 *
 * @param host A host name or an IPv4 or IPv6 address.
 * @param port The port, 1 to 65535. Default: 443.
 * @param sni The name to ask the server for, which its certificate must be for. Default: `""`,
 * which means `host`.
 * @param options `ca`, `cert` and `key`, `alpn`, `timeout` in milliseconds (default: 30,000),
 * `signal`, `unsafelyIgnoreHostname` (default: `false`). Default: none of them.
 * @returns The connected socket. Rejects with `SocketError`: those of a plain connect;
 * `CERT_HAS_EXPIRED`, `CERT_NOT_YET_VALID`, `ERR_TLS_CERT_ALTNAME_INVALID`,
 * `UNABLE_TO_GET_ISSUER_CERT` ...; `EPROTO` if the peer does not speak TLS; `EUNEXPECTEDEOF` if it
 * hangs up; `ETIMEDOUT`. Or with the signal's reason, or Deno's `NotCapable`. A client with a
 * certificate of its own connects once more, without it, to learn what is wrong with the server's;
 * if that does not tell, it is `UNABLE_TO_VERIFY_LEAF_SIGNATURE`.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If an argument or option is out of range.
 * @throws {SocketError} If `ca`, `cert` or `key` cannot be used:
 * `ERR_OSSL_X509_KEY_VALUES_MISMATCH`, `ERR_OSSL_PEM_NO_START_LINE`, `ERR_MISSING_PASSPHRASE` ...
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
 * @param sni The name to ask the server for. Default: `""`, which means `host`.
 * @param options As for `tcpconnect`. Default: none of them.
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
  const wanted = checkServerName("sni", sni) ?? nameOfHost(host);
  const plan = checkClient("connect", options);
  return dial([host, port], plan, async (signal, waitsFor) => {
    const opened = await openTcp(host, port, {}, signal);
    const name = wanted ?? (plan.ignoreHostname ? opened.remote[0] : undefined);
    if (name === undefined) {
      opened.transport.close();
      throw new TlsError("ERR_TLS_CERT_ALTNAME_INVALID", 'no certificate is for this: give "sni"');
    }
    waitsFor("the handshake: does the server accept, and speak TLS?");
    try {
      const { transport, session } = await secureClient(opened.transport, name, plan, signal);
      return { ...opened, transport, session };
    } catch (cause) {
      throw await reasonFor(cause, [host, port], name, plan, signal);
    }
  });
}

/** How long a server may take to show its certificate once more, in milliseconds. */
const PATIENCE = 3000;

/**
 * Why a server's certificate was refused. Node's TLS, which clients with a certificate of their own
 * need, tells neither that nor the certificate. So Deno's is asked to look at it: over another
 * connection to the same host, which does not show the client's certificate and is closed again.
 */
async function reasonFor(
  refused: unknown,
  address: Address,
  name: string,
  plan: ClientPlan,
  signal: AbortSignal,
): Promise<unknown> {
  if (!(refused instanceof TlsError) || refused.code !== VAGUE || plan.pair === undefined) {
    return refused;
  }
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE);
  const either = AbortSignal.any([signal, patience.signal]);
  try {
    const { transport: carrier } = await openTcp(...address, {}, either);
    const { transport } = await secureClient(carrier, name, { ...plan, pair: undefined }, either);
    transport.close(); // it shows another certificate by now
  } catch (reason) {
    if (reason instanceof TlsError && /^(CERT|UNABLE|INVALID)_/.test(reason.code)) return reason;
  } finally {
    clearTimeout(timer);
  }
  return refused;
}

const VAGUE = "UNABLE_TO_VERIFY_LEAF_SIGNATURE";
