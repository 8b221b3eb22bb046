/**
 * Accepting connections that must be prepared before they are anybody's: by a handshake, or by the
 * header of a load balancer.
 *
 * Theory of operation. Preparations run side by side. As long as a connection is wanted, the next
 * one is accepted while those before are prepared: a peer that stays silent or talks nonsense holds
 * up nobody, and is dropped when its preparation fails or its time is up. Whoever is done first is
 * given first; those that are done and that nobody wants yet are kept. Of peers that have not said
 * anything yet only so many are kept: past that the one that has been silent longest goes. Those
 * that have spoken are counted apart, so that silence, which costs nothing, pushes none of them
 * out; past four times as many the one that spoke first goes. An honest one is done in a round trip
 * or two, long before that. What is dropped is counted, and that is all: it is nobody's accept.
 *
 * No preparation keeps the process alive. While somebody wants a connection the source's accept
 * does, and when nobody does nothing shall.
 */
import type { Acceptor, Opened } from "./transport.ts";

/** Where the connections come from. */
export type Source = Pick<Acceptor, "accept" | "dropped" | "close" | "ref" | "unref">;

/** How many may have spoken and not be done, for each that may be silent. */
const SPEAKING = 4;

export abstract class PreparingAcceptor implements Acceptor {
  abstract readonly tls: boolean;
  readonly #source: Source;
  readonly #timeout: number;
  readonly #maxSilent: number;
  /** Each aborts its own preparation. */
  readonly #preparing: Set<AbortController> = new Set();
  /** Those whose peer has not said anything, the oldest first. */
  readonly #silent: Set<AbortController> = new Set();
  /** Those whose peer has, the one first that spoke first. */
  readonly #speaking: Set<AbortController> = new Set();
  readonly #finished: Opened[] = [];
  #wanted: PromiseWithResolvers<Opened> | undefined;
  #accepting = false;
  /** Whether an accept keeps the process alive. */
  #referenced = true;
  /** A failure that came when nothing was wanted. */
  #cause: unknown = undefined;
  #dropped = 0;
  #closed = false;

  /**
   * @param timeout How long a preparation may take, in milliseconds.
   * @param maxSilent How many peers may be silent at a time.
   */
  constructor(source: Source, timeout: number, maxSilent: number) {
    this.#source = source;
    this.#timeout = timeout;
    this.#maxSilent = maxSilent;
  }

  /**
   * Prepares a connection. Whatever goes wrong, and when the signal aborts, the connection is
   * closed.
   *
   * @param greeted Called when the peer has said something of use.
   */
  protected abstract prepare(
    opened: Opened,
    signal: AbortSignal,
    greeted: () => void,
  ): Promise<Opened>;

  get handshaking(): number {
    return this.#preparing.size;
  }

  get dropped(): number {
    return this.#dropped + this.#source.dropped;
  }

  accept(): Promise<Opened> {
    const finished = this.#finished.shift();
    if (finished !== undefined) return Promise.resolve(given(finished));
    if (this.#cause !== undefined) {
      const cause = this.#cause;
      this.#cause = undefined;
      return Promise.reject(cause);
    }
    this.#wanted = Promise.withResolvers();
    if (this.#referenced) this.#source.ref?.();
    this.#accept();
    return this.#wanted.promise;
  }

  ref(): void {
    this.#referenced = true;
    this.#source.ref?.();
  }

  unref(): void {
    this.#referenced = false;
    this.#source.unref?.();
  }

  close(): void {
    this.#closed = true;
    for (const preparation of this.#preparing) preparation.abort();
    for (const { transport } of this.#finished.splice(0)) transport.close();
    this.#source.close();
    this.#wanted?.reject(new Deno.errors.BadResource("Listener was closed"));
  }

  #accept(): void {
    if (this.#accepting || this.#wanted === undefined) return;
    this.#accepting = true;
    this.#source.accept().then((opened) => this.#accepted(opened), (cause) => this.#failed(cause));
  }

  #accepted(opened: Opened): void {
    this.#accepting = false;
    if (this.#closed) return opened.transport.close();
    this.#prepare(opened);
    this.#accept();
  }

  #failed(cause: unknown): void {
    this.#accepting = false;
    if (this.#closed) return;
    const wanted = this.#take();
    if (wanted === undefined) this.#cause = cause;
    else wanted.reject(cause);
  }

  async #prepare(opened: Opened): Promise<void> {
    const preparation = new AbortController();
    this.#preparing.add(preparation);
    enter(this.#silent, preparation, this.#maxSilent);
    opened.transport.unref?.();
    const timer = this.#startTimer(preparation);
    let prepared: Opened | undefined;
    try {
      const greeted = () => {
        this.#silent.delete(preparation);
        if (preparation.signal.aborted) return;
        enter(this.#speaking, preparation, SPEAKING * this.#maxSilent);
      };
      prepared = await this.prepare(opened, preparation.signal, greeted);
    } catch {
      // Counted: that is all the accepting side can do about a stranger.
      if (!this.#closed) this.#dropped++;
    }
    clearTimeout(timer);
    this.#preparing.delete(preparation);
    this.#silent.delete(preparation);
    this.#speaking.delete(preparation);
    if (prepared !== undefined) this.#finish(prepared);
  }

  #startTimer(preparation: AbortController): ReturnType<typeof setTimeout> | undefined {
    if (this.#timeout === Infinity) return undefined;
    const timer = setTimeout(() => preparation.abort(), Math.max(0, this.#timeout));
    Deno.unrefTimer(timer);
    return timer;
  }

  #finish(opened: Opened): void {
    if (this.#closed) return opened.transport.close();
    const wanted = this.#take();
    if (wanted === undefined) this.#finished.push(opened);
    else wanted.resolve(given(opened));
  }

  #take(): PromiseWithResolvers<Opened> | undefined {
    const wanted = this.#wanted;
    this.#wanted = undefined;
    this.#source.unref?.(); // the next one may be on its way, but nobody waits for it
    return wanted;
  }
}

/** Adds one to those of its kind; if they are too many, the first of them goes. */
function enter(kind: Set<AbortController>, preparation: AbortController, max: number): void {
  kind.add(preparation);
  if (kind.size <= max) return;
  const [first] = kind;
  kind.delete(first);
  first.abort();
}

/** A connection that is given out: its reads count from now on. */
function given(opened: Opened): Opened {
  opened.transport.ref?.();
  return opened;
}
