/**
 * Accepting TLS connections.
 *
 * Theory of operation. Handshakes run side by side. As long as a connection is wanted, the next one
 * is accepted while the handshakes of those before go on: a client that stays silent or talks
 * nonsense holds up nobody, and is dropped when its handshake fails or its time is up. Whoever has
 * finished first is given first; finished ones that nobody wants yet are kept. Of clients that have
 * not said anything yet only so many are kept: past that the one that has been silent longest goes.
 */
import type { Acceptor, Opened } from "../../socket/core/transport.ts";
import type { Address } from "../../socket/core/types.ts";
import type { CheckedPair } from "./certificate.ts";
import type { ServerPlan } from "./plan.ts";

/** Where connections come from, and how they are secured. */
export interface Source {
  readonly local: Address;
  /** The certificates it shows, the default first. */
  readonly pairs: readonly CheckedPair[];
  /** Connections that were gone before their handshake began. */
  readonly dropped: number;
  accept(): Promise<Opened>;
  /** @param greeted Called when the client has said what it wants. */
  secure(opened: Opened, signal: AbortSignal, greeted: () => void): Promise<Opened>;
  /** Shows other certificates from now on; tells whether it can. */
  replace(pairs: readonly CheckedPair[]): boolean;
  close(): void;
  ref(): void;
  unref(): void;
}

/** The place that a listener has. */
export interface Place {
  readonly host: string;
  readonly port: number;
  readonly backlog: number;
  readonly proxyProtocol: boolean;
}

export class TlsAcceptor implements Acceptor {
  readonly tls = true;
  readonly source: Source;
  #dropped = 0;
  readonly #timeout: number;
  readonly #maxSilent: number;
  readonly #handshakes: Set<AbortController> = new Set();
  /** Those that have not said what they want, the oldest first. */
  readonly #silent: Set<AbortController> = new Set();
  readonly #finished: Opened[] = [];
  #wanted: PromiseWithResolvers<Opened> | undefined;
  #accepting = false;
  /** Whether an accept keeps the process alive. */
  #referenced = true;
  /** A failure that came when nothing was wanted. */
  #cause: unknown = undefined;
  #closed = false;

  constructor(source: Source, { handshakeTimeout, maxHandshakes }: ServerPlan) {
    this.source = source;
    this.#timeout = handshakeTimeout;
    this.#maxSilent = maxHandshakes;
  }

  /** Connections in the middle of their handshake. */
  get handshaking(): number {
    return this.#handshakes.size;
  }

  /** Connections that were dropped because their handshake failed or took too long. */
  get dropped(): number {
    return this.#dropped + this.source.dropped;
  }

  /** Until when all of the certificates are valid. */
  get validTo(): Date {
    return new Date(Math.min(...this.source.pairs.map(({ notAfter }) => notAfter.getTime())));
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
    if (this.#referenced) this.source.ref();
    this.#accept();
    return this.#wanted.promise;
  }

  ref(): void {
    this.#referenced = true;
    this.source.ref();
  }

  unref(): void {
    this.#referenced = false;
    this.source.unref();
  }

  close(): void {
    this.#closed = true;
    for (const handshake of this.#handshakes) handshake.abort();
    for (const { transport } of this.#finished.splice(0)) transport.close();
    this.source.close();
    this.#wanted?.reject(new Deno.errors.BadResource("Listener was closed"));
  }

  #accept(): void {
    if (this.#accepting || this.#wanted === undefined) return;
    this.#accepting = true;
    this.source.accept().then((opened) => {
      this.#accepting = false;
      if (this.#closed) return opened.transport.close();
      this.#handshake(opened);
      this.#accept();
    }, (cause) => {
      this.#accepting = false;
      if (this.#closed) return;
      const wanted = this.#take();
      if (wanted === undefined) this.#cause = cause;
      else wanted.reject(cause);
    });
  }

  async #handshake(opened: Opened): Promise<void> {
    const handshake = new AbortController();
    this.#handshakes.add(handshake);
    this.#silent.add(handshake);
    if (this.#silent.size > this.#maxSilent) {
      const [oldest] = this.#silent;
      this.#silent.delete(oldest);
      oldest.abort();
    }
    const timer = this.#timeout === Infinity
      ? undefined
      : setTimeout(() => handshake.abort(), this.#timeout);
    let secured: Opened | undefined;
    try {
      const greeted = () => this.#silent.delete(handshake);
      secured = await this.source.secure(opened, handshake.signal, greeted);
    } catch {
      // Counted: that is all the accepting side can do about a stranger.
      if (!this.#closed) this.#dropped++;
    }
    clearTimeout(timer);
    this.#handshakes.delete(handshake);
    this.#silent.delete(handshake);
    if (secured !== undefined) this.#finish(secured);
  }

  #finish(opened: Opened): void {
    if (this.#closed) return opened.transport.close();
    const wanted = this.#take();
    if (wanted === undefined) this.#finished.push(opened);
    else wanted.resolve(opened);
  }

  #take(): PromiseWithResolvers<Opened> | undefined {
    const wanted = this.#wanted;
    this.#wanted = undefined;
    this.source.unref(); // the next one may be on its way, but nobody waits for it
    return wanted;
  }
}
