/**
 * TLS by Deno itself: `Deno.startTls` for clients, `Deno.listenTls` for servers that asked for it.
 *
 * What it cannot: `startTls` takes no client certificate and only an idle TCP connection;
 * `connectTls` takes no signal and leaves Nagle's algorithm on; `listenTls` takes one certificate
 * for good, asks clients for none and leaves Nagle's algorithm on. And closing a connection in the
 * middle of a handshake, or with data that the peer does not read, keeps the system's connection
 * until the peer closes it.
 */
import type { PeerCertificate as NodeCertificate } from "node:tls";
import { addressOf } from "../../socket/core/ip.ts";
import type { Opened, Transport } from "../../socket/core/transport.ts";
import type { Address } from "../../socket/core/types.ts";
import { translate } from "../../socket/core/failure.ts";
import { listenAt } from "../../socket/core/tcp.ts";
import type { CheckedPair } from "./certificate.ts";
import { explain, toTlsError } from "./codes.ts";
import { parseIp } from "./names.ts";
import type { ClientPlan, ServerPlan } from "./plan.ts";
import type { Place, TlsSource } from "./acceptor.ts";
import { guarded, type Secured } from "./secured.ts";
import { describe, type TlsSession } from "./session.ts";
import type { TlsInfo } from "./types.ts";

/** Whether `Deno.startTls` takes it. */
export function isTcp(transport: Transport): transport is Deno.TcpConn {
  return "setNoDelay" in transport;
}

/** Secures a connection as the client. */
export async function secureNatively(
  carrier: Deno.TcpConn,
  host: string,
  plan: ClientPlan,
  signal: AbortSignal,
): Promise<Secured> {
  let conn: Deno.TlsConn;
  try {
    conn = await Deno.startTls(carrier, {
      hostname: host,
      caCerts: plan.ca,
      alpnProtocols: plan.alpn,
      unsafelyDisableHostnameVerification: plan.ignoreHostname,
    });
  } catch (cause) {
    closeQuietly(carrier);
    throw toTlsError(cause);
  }
  return await finish(conn, "client", parseIp(host) === undefined ? host : null, signal);
}

/** Listens with `Deno.listenTls`. */
export class NativeSource implements TlsSource {
  readonly local: Address;
  readonly dropped = 0;
  readonly #listener: Deno.TlsListener;
  readonly #pair: CheckedPair;

  constructor({ host, port, backlog }: Place, plan: ServerPlan, pair: CheckedPair) {
    const options = { port, tcpBacklog: backlog, cert: pair.cert, key: pair.key };
    try {
      this.#listener = listenAt(
        host,
        (hostname) => Deno.listenTls({ ...options, hostname, alpnProtocols: plan.alpn }),
      );
    } catch (cause) {
      throw translate(cause, "listen", { local: [host || "::", port] });
    }
    this.local = addressOf(this.#listener.addr);
    this.#pair = pair;
  }

  get pairs(): readonly CheckedPair[] {
    return [this.#pair];
  }

  async accept(): Promise<Opened> {
    const transport = await this.#listener.accept();
    const [local, remote] = [transport.localAddr, transport.remoteAddr].map(addressOf);
    return { transport, local, remote };
  }

  async secure(opened: Opened, signal: AbortSignal): Promise<Opened> {
    const conn = opened.transport as Deno.TlsConn;
    return { ...opened, ...await finish(conn, "server", null, signal) };
  }

  replace(): boolean {
    return false;
  }

  ref(): void {
    this.#listener.ref();
  }

  unref(): void {
    this.#listener.unref();
  }

  close(): void {
    this.#listener.close();
  }
}

async function finish(
  conn: Deno.TlsConn,
  side: "client" | "server",
  sni: string | null,
  signal: AbortSignal,
): Promise<Secured> {
  const { alpnProtocol } = await guarded(conn, conn.handshake(), signal);
  // On the server side Nagle's algorithm is on, so that a second write might wait for an answer.
  const joins = side === "server";
  return { transport: conn, session: new NativeSession(conn, alpnProtocol, sni, joins) };
}

/** A session of Deno's own TLS, which tells little. */
class NativeSession implements TlsSession {
  readonly explain = explain;
  readonly joins: boolean;
  readonly #conn: Deno.TlsConn;
  readonly #alpn: string | null;
  readonly #sni: string | null;

  constructor(conn: Deno.TlsConn, alpn: string | null, sni: string | null, joins: boolean) {
    this.#conn = conn;
    this.#alpn = alpn;
    this.#sni = sni;
    this.joins = joins;
  }

  info(): TlsInfo {
    return {
      protocol: null,
      cipher: null,
      alpn: this.#alpn,
      sni: this.#sni,
      peerCertificate: describe(certificateOf(this.#conn)),
    };
  }
}

/**
 * Deno shows the peer's certificate only to its `node:tls`, by a method under a symbol. Should it
 * be gone one day, the certificate is `null`.
 */
function certificateOf(conn: Deno.TlsConn): NodeCertificate | undefined {
  const prototype = Object.getPrototypeOf(conn);
  const key = Object.getOwnPropertySymbols(prototype)
    .find(({ description }) => description === "getPeerCertificate");
  if (key === undefined) return undefined;
  return (conn as unknown as Record<symbol, () => NodeCertificate | undefined>)[key]() ?? undefined;
}

/** A connection that Deno may have taken away already. */
function closeQuietly(carrier: Transport): void {
  try {
    carrier.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
