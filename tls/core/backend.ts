/**
 * Who does the encryption: Deno's own TLS (`native.ts`) or `node:tls` (`node.ts`,
 * `node_server.ts`).
 *
 * Clients are Deno's wherever it can, since it is the faster one. Servers are Node's unless
 * `native` asks for Deno's, since there Deno's is incomplete.
 *
 * | what is asked for | client | server | server, `native` |
 * | --- | --- | --- | --- |
 * | connect or listen with one certificate or none, ALPN | Deno | Node | Deno |
 * | a server name other than the host, host name ignored, an authority of one's own | Deno | | |
 * | upgrade of a plain TCP connection | Deno | Node | |
 * | ... with a read still under way (a cancelled recv, a peek), or over a Unix socket | Node | Node | |
 * | a certificate of the client's | Node | Node | `TypeError` |
 * | several certificates, chosen by name | | Node | `TypeError` |
 * | certificates replaced while it listens | | Node | `EOPNOTSUPP` |
 * | Nagle's algorithm | off | off | on: sends of one turn are joined |
 * | a client that never finishes its handshake | | gone at `handshakeTimeout` | keeps its descriptor |
 * | protocol, cipher, server name in `info` | no | yes | no |
 */
import type { ConnectionOptions, SecureContext } from "node:tls";
import type { Transport } from "../../socket/core/transport.ts";
import type { Place, TlsSource } from "./acceptor.ts";
import { nodeTls } from "./builtins.ts";
import type { CheckedPair } from "./certificate.ts";
import { toTlsError } from "./codes.ts";
import { parseIp } from "./names.ts";
import { isTcp, NativeSource, secureNatively } from "./native.ts";
import { NodeTransport } from "./node.ts";
import { NodeSource, upgrader } from "./node_server.ts";
import type { ClientPlan, ServerPlan } from "./plan.ts";
import { serverObjection } from "./chain.ts";
import { guarded, type Secured } from "./secured.ts";
import type { Preface } from "./wire.ts";

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
  let transport: NodeTransport;
  try {
    const options: ConnectionOptions = {
      host,
      servername: parseIp(host) === undefined ? host : "",
      ALPNProtocols: plan.alpn,
      secureContext: clientContext(plan),
      rejectUnauthorized: true, // whatever NODE_TLS_REJECT_UNAUTHORIZED says
      checkServerIdentity: (_host, peer) =>
        serverObjection(peer, plan.ca, plan.ignoreHostname ? undefined : host),
    };
    transport = NodeTransport.client(carrier, options, preface);
  } catch (cause) {
    carrier.close();
    throw toTlsError(cause);
  }
  return { transport, session: await guarded(transport, transport.handshake(), signal) };
}

/** Secures a connection as the server, in place. */
export function secureServer(
  carrier: Transport,
  plan: ServerPlan,
  signal: AbortSignal,
  preface: Preface,
): Promise<Secured> {
  return upgrader(plan).secure(carrier, signal, preface);
}

/** Begins to listen. */
export function openSource(
  place: Place,
  plan: ServerPlan,
  pairs: readonly CheckedPair[],
): TlsSource {
  if (plan.native) return new NativeSource(place, plan, pairs[0]);
  return new NodeSource(place, plan, pairs);
}

/**
 * The certificates of a client on Node's TLS. Its option `ca` stands in place of the authorities
 * that Deno was told of (`--cert`, `DENO_CERT`, `DENO_TLS_CA_STORE`, `NODE_EXTRA_CA_CERTS`), of
 * which `--cert` and `DENO_CERT` cannot be asked for; and all of them would be parsed again for
 * every connection. So the plan's are added to a context that has them already, by the method that
 * Node's contexts have for this.
 */
function clientContext({ pair, ca }: ClientPlan): SecureContext {
  const { createSecureContext, getCACertificates } = nodeTls() as NodeTlsOfNow;
  const certificate = pair && { cert: pair.cert, key: pair.key };
  if (ca.length === 0) return createSecureContext(certificate);
  const secure = createSecureContext(certificate);
  const context = secure.context as { addCACert?: (pem: string) => void };
  if (typeof context.addCACert !== "function") {
    return createSecureContext({ ...certificate, ca: [...getCACertificates("default"), ...ca] });
  }
  for (const pem of ca) context.addCACert(pem);
  return secure;
}

type NodeTlsOfNow = typeof import("node:tls") & {
  getCACertificates(type: "default"): string[];
};
