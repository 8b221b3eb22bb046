/**
 * Accepting connections that a load balancer passes on.
 *
 * Theory of operation. As with handshakes of TLS, headers are waited for side by side: as long as a
 * connection is wanted, the next is accepted while those before have not told whose they are. So a
 * silent one holds up nobody; it is dropped when its time is up, or earlier, if too many wait: the one
 * that has waited longest goes first. What is bad is dropped at once. All are counted, and that is all:
 * they are nobody's accept.
 */
import type { Acceptor, Opened } from "./transport.ts";
import { readProxyHeader } from "./proxy_header.ts";

/** How many may wait for their header at a time. */
const MAX_WAITING = 1000;

export class ProxyAcceptor implements Acceptor {
  readonly tls = false;
  readonly #inner: Acceptor;
  readonly #timeout: number;
  /** Connections whose header has not come, the oldest first. */
  readonly #waiting: Set<AbortController> = new Set();
  readonly #finished: Opened[] = [];
  #wanted: PromiseWithResolvers<Opened> | undefined;
  #accepting = false;
  /** A failure that came when nothing was wanted. */
  #cause: unknown = undefined;
  #dropped = 0;
  #closed = false;

  /** @param timeout How long a header may take, in milliseconds. */
  constructor(inner: Acceptor, timeout: number) {
    this.#inner = inner;
    this.#timeout = timeout;
  }

  get handshaking(): number {
    return this.#waiting.size;
  }

  get dropped(): number {
    return this.#inner.dropped + this.#dropped;
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
    this.#accept();
    return this.#wanted.promise;
  }

  close(): void {
    this.#closed = true;
    for (const waiting of this.#waiting) waiting.abort();
    for (const { transport } of this.#finished.splice(0)) transport.close();
    this.#inner.close();
    this.#wanted?.reject(new Deno.errors.BadResource("Listener was closed"));
  }

  #accept(): void {
    if (this.#accepting || this.#wanted === undefined) return;
    this.#accepting = true;
    this.#inner.accept().then((opened) => this.#accepted(opened), (cause) => this.#failed(cause));
  }

  #accepted(opened: Opened): void {
    this.#accepting = false;
    if (this.#closed) return opened.transport.close();
    this.#read(opened);
    this.#accept();
  }

  #failed(cause: unknown): void {
    if (this.#closed) return;
    this.#accepting = false;
    const wanted = this.#take();
    if (wanted === undefined) this.#cause = cause;
    else wanted.reject(cause);
  }

  /** Waits for the header of a connection. */
  async #read(opened: Opened): Promise<void> {
    const waiting = new AbortController();
    this.#waiting.add(waiting);
    if (this.#waiting.size > MAX_WAITING) {
      const [oldest] = this.#waiting;
      this.#waiting.delete(oldest);
      oldest.abort();
    }
    const timer = this.#timeout === Infinity
      ? undefined
      : setTimeout(() => waiting.abort(), Math.max(0, this.#timeout));
    try {
      const { transport, remote } = opened;
      const { peer, proxy, rest } = await readProxyHeader(transport, remote, waiting.signal);
      this.#finish({ ...opened, remote: peer, proxy, first: rest });
    } catch {
      // Counted: that is all the accepting side can do about a stranger.
      if (!this.#closed) this.#dropped++;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(waiting);
    }
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
    return wanted;
  }
}
