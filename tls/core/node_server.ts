/**
 * Servers on Node's TLS.
 *
 * Theory of operation. The ClientHello is read here, before there is any TLS: a client that stays
 * silent, a port scan, plain HTTP or garbage costs a small buffer and nothing else. The hello says
 * which certificate is asked for, and the TLS of that certificate then begins over the bytes that
 * were read. So there is one server of Node's for each certificate, none for each connection, and
 * certificates are replaced by exchanging the list.
 *
 * A server of Node's never listens, and is there because a bare `TLSSocket` would not check the
 * client's certificate. It serves many handshakes: each has an object of its own that inherits from
 * it, and the server's events tell by `this` whose they are.
 */
import type { Server, TlsOptions, TLSSocket } from "node:tls";
import type { Acceptor, Opened, Transport } from "../../socket/core/transport.ts";
import type { Address } from "../../socket/core/types.ts";
import { readProxyHeader } from "../../socket/core/proxy_header.ts";
import { listenOn } from "../../socket/core/tcp.ts";
import type { Place, TlsSource } from "./acceptor.ts";
import { nodeTls } from "./builtins.ts";
import type { CheckedPair } from "./certificate.ts";
import { type ClientHello, MAX_HELLO, readClientHello } from "./client_hello.ts";
import { TlsError } from "./codes.ts";
import { chooseByName } from "./names.ts";
import { type Admit, NodeTransport } from "./node.ts";
import type { ServerPlan } from "./plan.ts";
import { guarded, type Secured } from "./secured.ts";
import { Verified } from "./verified.ts";
import type { Preface } from "./wire.ts";

/** A certificate and the server that shows it. */
interface Choice {
  readonly names: readonly string[];
  readonly server: Server;
}

const NOTHING: Preface = { buffered: new Uint8Array(0), arriving: undefined };

/** Certificates by name, which may be replaced. */
export class NodeServer {
  readonly #plan: ServerPlan;
  readonly #admit: Admit | undefined;
  #pairs: readonly CheckedPair[] = [];
  #choices: readonly Choice[] = [];

  /** @param verified Which clients' certificates have been verified, if any are asked for. */
  constructor(plan: ServerPlan, pairs: readonly CheckedPair[], verified: Verified) {
    this.#plan = plan;
    if (plan.clientCa !== undefined) this.#admit = (socket) => verified.objection(socket);
    this.replace(pairs);
  }

  get pairs(): readonly CheckedPair[] {
    return this.#pairs;
  }

  /** Takes other certificates, for the connections to come; if it throws, the old ones stay. */
  replace(pairs: readonly CheckedPair[]): void {
    this.#choices = pairs.map((pair) => this.#choice(pair));
    this.#pairs = pairs;
  }

  #choice({ names, cert, key }: CheckedPair): Choice {
    const { alpn, clientCa } = this.#plan;
    const server = makeServer({
      cert,
      key,
      ca: clientCa?.length ? clientCa : undefined,
      ALPNProtocols: alpn,
      requestCert: clientCa !== undefined,
      rejectUnauthorized: clientCa !== undefined,
      handshakeTimeout: -1, // ours is enough; 0 would mean two minutes
    });
    return { names, server };
  }

  /**
   * Secures a connection and finishes the handshake. Whatever goes wrong, and when the signal
   * aborts, the connection is closed.
   *
   * @param preface What was received before.
   * @param greeted Called when the client has said what it wants.
   */
  async secure(
    carrier: Transport,
    signal: AbortSignal,
    preface: Preface = NOTHING,
    greeted?: () => void,
  ): Promise<Secured> {
    const choices = this.#choices; // those of the moment when the connection came
    let transport: Transport = carrier;
    const securing = async (): Promise<Secured> => {
      const { hello, bytes } = await hear(carrier, preface);
      if (signal.aborted) throw signal.reason; // nothing begins over what was just closed
      greeted?.();
      const { server } = chooseByName(choices, hello.serverName);
      const heard: Preface = { buffered: bytes, arriving: undefined };
      const secure = new NodeTransport(carrier, heard, this.#admit);
      begin(server, secure);
      transport = secure;
      return { transport, session: await secure.handshake() };
    };
    return await guarded({ close: () => transport.close() }, securing(), signal);
  }
}

/** What inherits from a server: it knows whose handshake the server's events are about. */
interface Handshake extends Server {
  transport?: NodeTransport;
}

/** Makes a server that never listens. */
function makeServer(options: TlsOptions): Server {
  const server = nodeTls().createServer(options);
  server.on("secureConnection", function (this: Handshake, socket: TLSSocket) {
    const { transport } = this;
    if (transport === undefined) socket.destroy();
    else transport.accepted(socket);
  });
  server.on("tlsClientError", function (this: Handshake, error: Error, socket: TLSSocket) {
    socket.on("error", () => {});
    const refused = socket.authorizationError;
    this.transport?.failed(
      refused ? new TlsError(String(refused), "client certificate refused") : error,
    );
  });
  return server;
}

/** Has such a server begin a handshake. */
function begin(server: Server, transport: NodeTransport): void {
  const handshake: Handshake = Object.create(server);
  handshake.transport = transport;
  handshake.emit("connection", transport.stream);
}

/** Hears a client out: its hello, and all that came with it. */
async function hear(
  carrier: Transport,
  preface: Preface,
): Promise<{ hello: ClientHello; bytes: Uint8Array }> {
  let memory = preface.buffered;
  let used = memory.length;
  let arriving = preface.arriving;
  for (;;) {
    const bytes = memory.subarray(0, used);
    const hello = readClientHello(bytes);
    if (hello !== undefined) return { hello, bytes };
    if (used > MAX_HELLO) throw new TlsError("EPROTO", "peer sends a ClientHello that never ends");
    let more: Uint8Array | null | undefined;
    if (arriving !== undefined) {
      more = await arriving;
      arriving = undefined;
    }
    const room = used + (more?.length ?? 1);
    if (memory.length < room) {
      const larger = new Uint8Array(Math.max(room, 2 * memory.length, 2048));
      larger.set(bytes);
      memory = larger;
    }
    if (more) memory.set(more, used);
    const n = more === undefined ? await carrier.read(memory.subarray(used)) : more?.length ?? null;
    if (n === null) {
      throw new TlsError("EUNEXPECTEDEOF", "connection was cut before the handshake");
    }
    used += n;
  }
}

/** Listens for plain connections, to be secured by Node. */
export class NodeSource implements TlsSource {
  readonly local: Address;
  readonly #server: NodeServer;
  readonly #acceptor: Acceptor;
  readonly #proxied: boolean;

  constructor(place: Place, plan: ServerPlan, pairs: readonly CheckedPair[]) {
    this.#server = new NodeServer(plan, pairs, new Verified(plan.clientCa ?? []));
    this.#proxied = place.proxyProtocol;
    const { acceptor, local } = listenOn("listen", { ...place, reusePort: false });
    this.#acceptor = acceptor;
    this.local = local;
  }

  get pairs(): readonly CheckedPair[] {
    return this.#server.pairs;
  }

  get dropped(): number {
    return this.#acceptor.dropped;
  }

  accept(): Promise<Opened> {
    return this.#acceptor.accept();
  }

  async secure(opened: Opened, signal: AbortSignal, greeted: () => void): Promise<Opened> {
    const { transport, remote } = opened;
    if (!this.#proxied) {
      return { ...opened, ...await this.#server.secure(transport, signal, undefined, greeted) };
    }
    const { peer, proxy, rest } = await readProxyHeader(transport, remote, signal);
    const preface = { buffered: rest, arriving: undefined };
    const secured = await this.#server.secure(transport, signal, preface, greeted);
    return { ...opened, ...secured, remote: peer, proxy };
  }

  ref(): void {
    this.#acceptor.ref?.();
  }

  unref(): void {
    this.#acceptor.unref?.();
  }

  replace(pairs: readonly CheckedPair[]): boolean {
    this.#server.replace(pairs);
    return true;
  }

  close(): void {
    this.#acceptor.close();
  }
}

/** How many different sets of options of `starttls` are remembered. */
const REMEMBERED = 32;

/** What upgrades have made, by what it was made of: programs upgrade every connection alike. */
const upgraders: Map<string, NodeServer> = new Map();
/** The certificates that upgrades have verified, by whom they trusted. */
const verifiedBy: Map<string, Verified> = new Map();

/** The server of an upgrade. */
export function upgrader(plan: ServerPlan): NodeServer {
  const { pairs, alpn, clientCa } = plan;
  const trust = JSON.stringify(clientCa?.toSorted() ?? null);
  const verified = remembered(verifiedBy, trust, () => new Verified(clientCa ?? []));
  const key = JSON.stringify([pairs.map(({ cert, key }) => [cert, key]), alpn, trust]);
  return remembered(upgraders, key, () => new NodeServer(plan, pairs, verified));
}

/** The entry of a map that holds the ones last used. */
function remembered<T>(map: Map<string, T>, key: string, make: () => T): T {
  const value = map.get(key) ?? make();
  map.delete(key);
  map.set(key, value);
  if (map.size > REMEMBERED) map.delete([...map.keys()][0]);
  return value;
}
