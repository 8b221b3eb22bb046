/**
 * Accepting TLS connections.
 *
 * Theory of operation. Handshakes run side by side. As long as a connection is wanted, the next one
 * is accepted while the handshakes of those before go on: a client that stays silent or talks
 * nonsense holds up nobody, and is dropped when its handshake fails or its time is up. Whoever has
 * finished first is given first; finished ones that nobody wants yet are kept.
 */
import { addressOf } from "../socket/address.ts";
import type { Opened } from "../socket/dial.ts";
import type { Acceptor } from "../socket/listener.ts";
import { finishNatively, NodeServer, type Secured } from "./backend.ts";
import type { CheckedPair } from "./certificate.ts";
import type { ServerPlan } from "./options.ts";

/** Where connections come from, and how they are secured. */
interface Source {
  /** The certificate it shows by default. */
  readonly cert: string;
  accept(): Promise<Deno.TcpConn | Deno.TlsConn>;
  secure(conn: Deno.TcpConn | Deno.TlsConn, signal: AbortSignal): Promise<Secured>;
  /** Shows other certificates from now on; gives the source that does. */
  replace(pairs: readonly CheckedPair[]): Source;
  close(): void;
  ref(): void;
  unref(): void;
}

/** The place that a listener has. */
export interface Place {
  readonly hostname: string;
  readonly port: number;
  readonly backlog: number;
}

export class TlsAcceptor implements Acceptor {
  readonly tls = true;
  /** Connections that were dropped because their handshake failed or took too long. */
  dropped = 0;
  readonly #timeout: number;
  readonly #handshakes: Set<AbortController> = new Set();
  readonly #finished: Opened[] = [];
  #source: Source;
  #wanted: PromiseWithResolvers<Opened> | undefined;
  #accepting = false;
  /** Whether an accept keeps the process alive. */
  #referenced = true;
  /** A failure that came when nothing was wanted. */
  #cause: unknown = undefined;
  #closed = false;

  constructor(source: Source, timeout: number) {
    this.#source = source;
    this.#timeout = timeout;
  }

  /** Connections in the middle of their handshake. */
  get handshaking(): number {
    return this.#handshakes.size;
  }

  get cert(): string {
    return this.#source.cert;
  }

  replace(pairs: readonly CheckedPair[]): void {
    const before = this.#source;
    this.#source = before.replace(pairs);
    if (this.#source !== before) this.#accepting = false;
    this.#accept();
  }

  accept(): Promise<Opened> {
    const finished = this.#finished.shift();
    if (finished !== undefined) return Promise.resolve(finished);
    if (this.#cause !== undefined) {
      const cause = this.#cause;
      this.#cause = undefined;
      return Promise.reject(cause);
    }
    this.#wanted = Promise.withResolvers();
    if (this.#referenced) this.#source.ref();
    this.#accept();
    return this.#wanted.promise;
  }

  ref(): void {
    this.#referenced = true;
    this.#source.ref();
  }

  unref(): void {
    this.#referenced = false;
    this.#source.unref();
  }

  close(): void {
    this.#closed = true;
    for (const handshake of this.#handshakes) handshake.abort();
    for (const { transport } of this.#finished.splice(0)) transport.close();
    this.#source.close();
    this.#wanted?.reject(new Deno.errors.BadResource("Listener was closed"));
  }

  #accept(): void {
    if (this.#accepting || this.#wanted === undefined) return;
    this.#accepting = true;
    const source = this.#source;
    source.accept().then((conn) => {
      this.#accepted(source, conn);
    }, (cause) => {
      // The source was replaced: its successor is accepting.
      if (source !== this.#source || this.#closed) return;
      this.#accepting = false;
      const wanted = this.#take();
      if (wanted === undefined) this.#cause = cause;
      else wanted.reject(cause);
    });
  }

  #accepted(source: Source, conn: Deno.TcpConn | Deno.TlsConn): void {
    if (source === this.#source) this.#accepting = false;
    if (this.#closed) return conn.close();
    this.#handshake(source, conn);
    this.#accept();
  }

  async #handshake(source: Source, conn: Deno.TcpConn | Deno.TlsConn): Promise<void> {
    const handshake = new AbortController();
    this.#handshakes.add(handshake);
    const timer = this.#timeout === Infinity
      ? undefined
      : setTimeout(() => handshake.abort(), this.#timeout);
    let secured: Secured | undefined;
    try {
      secured = await source.secure(conn, handshake.signal);
    } catch {
      // Counted: that is all the accepting side can do about a stranger.
      if (!this.#closed) this.dropped++;
    }
    clearTimeout(timer);
    this.#handshakes.delete(handshake);
    if (secured !== undefined) this.#finish(conn, secured);
  }

  #finish(conn: Deno.TcpConn | Deno.TlsConn, { transport, session }: Secured): void {
    if (this.#closed) return transport.close();
    const local = addressOf(conn.localAddr);
    const opened = { transport, session, local, remote: addressOf(conn.remoteAddr) };
    const wanted = this.#take();
    if (wanted === undefined) this.#finished.push(opened);
    else wanted.resolve(opened);
  }

  #take(): PromiseWithResolvers<Opened> | undefined {
    const wanted = this.#wanted;
    this.#wanted = undefined;
    this.#source.unref(); // the next one may be on its way, but nobody waits for it
    return wanted;
  }
}

/** Listens with Deno's own TLS. */
export class NativeSource implements Source {
  readonly cert: string;
  readonly #listener: Deno.TlsListener;
  readonly #place: Place;
  readonly #plan: ServerPlan;
  /** The accept under way, as long as it is. */
  #accepting: Promise<unknown> | undefined;

  constructor(place: Place, plan: ServerPlan, { cert, key }: CheckedPair) {
    const { hostname, port, backlog } = place;
    const options = { hostname, port, tcpBacklog: backlog, cert, key };
    this.#listener = Deno.listenTls({ ...options, alpnProtocols: plan.alpn });
    this.#place = { ...place, port: this.addr.port };
    this.#plan = plan;
    this.cert = cert;
  }

  get addr(): Deno.NetAddr {
    return this.#listener.addr;
  }

  async accept(): Promise<Deno.TlsConn> {
    const accepting = this.#listener.accept();
    this.#accepting = accepting;
    try {
      return await accepting;
    } finally {
      this.#accepting = undefined;
    }
  }

  secure(conn: Deno.TlsConn, signal: AbortSignal): Promise<Secured> {
    return finishNatively(conn, null, signal);
  }

  /**
   * Deno's listener keeps its certificate, so another one takes its place: within this call, or
   * when an accept that is under way has let go of the port.
   */
  replace(pairs: readonly CheckedPair[]): Source {
    const accepting = this.#accepting;
    this.#listener.close();
    return new NodeSource(this.#place, this.#plan, pairs, accepting);
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

/** Listens for plain connections, to be secured by Node. */
export class NodeSource implements Source {
  readonly #server: NodeServer;
  readonly #listening: Promise<void>;
  #listener: Deno.TcpListener | undefined;
  #closed = false;

  /** @param before What the port is taken by until it settles. */
  constructor(
    place: Place,
    plan: ServerPlan,
    pairs: readonly CheckedPair[],
    before?: Promise<unknown>,
  ) {
    this.#server = new NodeServer(plan, pairs);
    const listen = () => this.#listen(place);
    if (before === undefined) listen();
    this.#listening = before?.then(listen, listen) ?? Promise.resolve();
    this.#listening.catch(() => {}); // accept sees the failure
  }

  #listen({ hostname, port, backlog }: Place): void {
    if (!this.#closed) this.#listener = Deno.listen({ hostname, port, tcpBacklog: backlog });
  }

  /** Of a source that took nobody's place. */
  get addr(): Deno.NetAddr {
    return this.#listener!.addr;
  }

  get cert(): string {
    return this.#server.cert;
  }

  async accept(): Promise<Deno.TcpConn> {
    await this.#listening;
    if (this.#closed) throw new Deno.errors.BadResource("Listener was closed");
    const conn = await this.#listener!.accept();
    conn.setNoDelay(true);
    return conn;
  }

  secure(conn: Deno.TcpConn, signal: AbortSignal): Promise<Secured> {
    return this.#server.secure(conn, signal);
  }

  replace(pairs: readonly CheckedPair[]): Source {
    this.#server.replace(pairs);
    return this;
  }

  ref(): void {
    this.#listener?.ref();
  }

  unref(): void {
    this.#listener?.unref();
  }

  close(): void {
    this.#closed = true;
    this.#listener?.close();
  }
}
