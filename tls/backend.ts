/**
 * Who does the encryption: Deno's own TLS wherever it can, since it is up to twice as fast,
 * `node:tls` for the rest.
 *
 * | what is asked for | client | server |
 * | --- | --- | --- |
 * | connect or listen with one certificate or none, ALPN, own CA | Deno | Deno |
 * | a server name other than the host, host name ignored | Deno | |
 * | upgrade of a plain TCP connection | Deno | Node |
 * | … with a read still under way (a cancelled recv, a peek), or over a Unix socket | Node | Node |
 * | a certificate of the client's | Node | Node |
 * | a list of certificates (`certs`), chosen by name and replaced without a gap | | Node |
 *
 * What Deno's cannot: `startTls` takes no client certificate and only an idle TCP connection;
 * `connectTls` takes no signal and leaves Nagle's algorithm on; `listenTls` takes one certificate
 * for good, asks clients for none and leaves Nagle's algorithm on. And closing a connection of
 * Deno's in the middle of a handshake, or with data that the peer does not read, keeps the system's
 * connection until the peer closes it: a server that must get rid of silent clients at once is given
 * its certificate as `certs`.
 */
import type { ConnectionOptions, TlsOptions } from "node:tls";
import type { Transport } from "../socket/stream.ts";
import { nodeTls } from "./builtins.ts";
import type { CheckedPair } from "./certificate.ts";
import { toTlsError } from "./codes.ts";
import { chooseByName, parseIp } from "./names.ts";
import type { NodeTransport, Preface } from "./node.ts";
import type { ClientPlan, ServerPlan } from "./options.ts";
import { NativeSession, NodeSession, type TlsSession } from "./session.ts";

/** An encrypted connection. */
export interface Secured {
  readonly transport: Transport;
  readonly session: TlsSession;
}

/**
 * Secures a connection as the client and finishes the handshake. Whatever goes wrong, and when the
 * signal aborts, the connection is closed.
 */
export async function secureClient(
  carrier: Transport,
  host: string,
  plan: ClientPlan,
  signal: AbortSignal,
  preface?: Preface,
): Promise<Secured> {
  if (isTcp(carrier) && plan.pair === undefined && preface?.arriving === undefined) {
    return await secureNatively(carrier, host, plan, signal);
  }
  const options: ConnectionOptions = {
    host,
    servername: parseIp(host) === undefined ? host : "",
    ALPNProtocols: plan.alpn,
    ...plan.pair,
  };
  if (plan.ca.length > 0) options.ca = [...nodeTls().rootCertificates, ...plan.ca];
  if (plan.ignoreHostname) options.checkServerIdentity = () => undefined;
  return await secureByNode(carrier, signal, (node) => node.client(carrier, options, preface));
}

/** What Node's TLS serves: certificates by name, which may be replaced. */
export class NodeServer {
  readonly #plan: ServerPlan;
  #pairs: readonly CheckedPair[] = [];
  #options: TlsOptions = {};

  constructor(plan: ServerPlan, pairs: readonly CheckedPair[]) {
    this.#plan = plan;
    this.replace(pairs);
  }

  /** The certificate for clients that ask for no name. */
  get cert(): string {
    return this.#pairs[0].cert;
  }

  /** Takes other certificates, for the connections to come. */
  replace(pairs: readonly CheckedPair[]): void {
    const { alpn, clientCa } = this.#plan;
    this.#pairs = pairs;
    this.#options = {
      ...this.#contextOptions(pairs[0]),
      ALPNProtocols: alpn,
      requestCert: clientCa !== undefined,
      rejectUnauthorized: clientCa !== undefined,
      handshakeTimeout: 0, // ours is enough, and Node's would outlive the connection
    };
    if (pairs.length === 1) return;
    const choices = pairs.map((pair) => ({
      names: pair.names,
      context: nodeTls().createSecureContext(this.#contextOptions(pair)),
    }));
    this.#options.SNICallback = (name, done) => done(null, chooseByName(choices, name).context);
  }

  /** As `secureClient`, as the server. */
  async secure(carrier: Transport, signal: AbortSignal, preface?: Preface): Promise<Secured> {
    const begin = (node: typeof NodeTransport) => node.server(carrier, this.#options, preface);
    return await secureByNode(carrier, signal, begin);
  }

  #contextOptions({ cert, key }: CheckedPair): { cert: string; key: string; ca?: string[] } {
    const ca = this.#plan.clientCa;
    return ca === undefined || ca.length === 0 ? { cert, key } : { cert, key, ca };
  }
}

/** Whether Deno's own `listenTls` can serve a plan. */
export function isNative(plan: ServerPlan): boolean {
  return !plan.listed && plan.clientCa === undefined;
}

function isTcp(transport: Transport): transport is Deno.TcpConn {
  return "setNoDelay" in transport;
}

async function secureNatively(
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
  return await finishNatively(conn, parseIp(host) === undefined ? host : null, signal);
}

/** Finishes the handshake of a connection of Deno's. */
export async function finishNatively(
  conn: Deno.TlsConn,
  sni: string | null,
  signal: AbortSignal,
): Promise<Secured> {
  const { alpnProtocol } = await guarded(conn, conn.handshake(), signal);
  return { transport: conn, session: new NativeSession(conn, alpnProtocol, sni) };
}

/** Carries out a handshake of Node's; what that takes is loaded at its first use. */
async function secureByNode(
  carrier: Transport,
  signal: AbortSignal,
  begin: (node: typeof NodeTransport) => NodeTransport,
): Promise<Secured> {
  let transport: NodeTransport;
  try {
    const { NodeTransport } = await import("./node.ts");
    if (signal.aborted) throw signal.reason;
    transport = begin(NodeTransport);
  } catch (cause) {
    carrier.close();
    throw toTlsError(cause);
  }
  await guarded(transport, transport.handshake(), signal);
  return { transport, session: new NodeSession(transport.socket!) };
}

/** Waits for a handshake; closes the connection if it fails or is given up. */
async function guarded<T>(
  transport: Transport,
  handshake: Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const abort = () => transport.close();
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  try {
    const result = await handshake;
    if (signal.aborted) throw signal.reason; // it was closed when it had just succeeded
    return result;
  } catch (cause) {
    if (!signal.aborted) transport.close();
    throw toTlsError(cause);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** A connection that Deno may have taken away already. */
function closeQuietly(carrier: Transport): void {
  try {
    carrier.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
