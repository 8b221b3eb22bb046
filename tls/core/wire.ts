/**
 * Ciphertext on its way between a carrier and Node's TLS.
 *
 * Theory of operation. For `node:tls` a {@linkcode Wire} is a stream: it has as much of a
 * `stream.Duplex` as is called. Who holds back, how writes are joined and when it ends is for the
 * connection to say, its {@linkcode WireOwner}.
 *
 * - The carrier is read only when the owner pulls: Deno's `node:tls` has no back-pressure of its own.
 *   What comes is decrypted at once, and the owner looks at what came of it.
 * - Node's TLS is never told that the carrier ended; the owner is. So the TLS socket's `end` means
 *   close_notify and nothing else.
 * - Ciphertext is written chunk by chunk, in order, and Node is told of each, which may bring more.
 *   Of a chunk that is all of a write of the program's the program is told at once, and Node when it
 *   is needed again, which is for the owner to say. Told at once, it would look for more to send, in
 *   vain, after each write and after each read.
 */
import { ReadSize } from "../../socket/core/buffer.ts";
import type { Transport } from "../../socket/core/transport.ts";

/** What was read from the carrier before, and what a read under way will bring. */
export interface Preface {
  readonly buffered: Uint8Array;
  readonly arriving: Promise<Uint8Array | null> | undefined;
}

/** The connection that a wire belongs to. */
export interface WireOwner {
  /** So much ciphertext was given to TLS; what came of it is there. */
  fed(length: number): void;
  /** The carrier ended. */
  wireEnded(): void;
  /** Reading failed: it is over. */
  failed(error: unknown): void;
  /** Writing failed; receiving may go on. */
  broke(error: unknown): void;
  /** Whether this chunk, which is about to be written, is all of a write of the program's. */
  isWhole(chunk: Uint8Array): boolean;
  /** Such a chunk was written: ends the write, and tells whether it still waited. */
  doneEarly(): boolean;
}

/** Reads begin small, and grow as long as they are filled. Much of what is received is sent again. */
const MIN_READ = 4 * 1024;
const MAX_READ = 48 * 1024;

export class Wire {
  // What `node:tls` reads of a stream.
  readonly readable = true;
  readonly writable = true;
  readonly allowHalfOpen = true;
  readonly readableLength = 0;
  /** The carrier ended. */
  ended = false;
  /** How often Node has sent. */
  sends = 0;
  readonly #carrier: Transport;
  readonly #owner: WireOwner;
  /** Takes ciphertext that was received; a copy is made of it. */
  #decrypt: (chunk: Uint8Array) => void = () => {};
  /** Takes the news that the carrier is gone, upon which TLS goes too. */
  #closed: () => void = () => {};
  /** What was read before, and the read that was under way. */
  #buffered: Uint8Array | undefined;
  #arriving: Promise<Uint8Array | null> | undefined;
  #buffer = new Uint8Array(0);
  readonly #size = new ReadSize(MIN_READ, MAX_READ);
  /** Stays so when a read has failed. */
  #reading = false;
  #stopped = false;
  /** What is being written, whom to tell when it was, whether it is all of a write; what came meanwhile. */
  #chunk: Uint8Array | undefined;
  #done: (() => void) | undefined;
  #whole = false;
  #later: [Uint8Array, () => void][] | undefined;
  /** A chunk was written, of which Node has yet to be told. */
  #untold: (() => void) | undefined;
  /** Somebody waits until all is written. */
  #drained: PromiseWithResolvers<void> | undefined;
  // One set of handlers per connection, not per operation.
  readonly #onRead = (outcome: unknown) => {
    if (typeof outcome === "number") this.#arrived(outcome);
    else if (outcome === null || outcome instanceof Uint8Array) this.#came(outcome);
    else this.#owner.failed(outcome);
  };
  readonly #onWritten = (outcome: unknown) => {
    if (typeof outcome === "number") this.#written(outcome);
    else this.#failed(outcome);
  };

  constructor(carrier: Transport, owner: WireOwner, preface?: Preface) {
    this.#carrier = carrier;
    this.#owner = owner;
    this.#buffered = preface?.buffered.length ? preface.buffered : undefined;
    this.#arriving = preface?.arriving;
  }

  // For `node:tls`.

  on(event: string, listener: (chunk?: unknown) => void): this {
    if (event === "data") this.#decrypt = listener;
    else if (event === "close") this.#closed = listener;
    return this;
  }

  once(event: string, listener: () => void): this {
    return this.on(event, listener);
  }

  removeListener(): this {
    return this;
  }

  write(chunk: Uint8Array, done: () => void): boolean {
    this.sends++;
    if (this.#chunk === undefined) this.#begin(chunk, done);
    else (this.#later ??= []).push([chunk, done]);
    return true;
  }

  end(done?: () => void): void {
    done?.();
  }

  pause(): void {}
  resume(): void {}
  cork(): void {}
  uncork(): void {}
  destroy(): void {}

  // For the owner.

  /** Brings ciphertext, unless some is on its way or there will be none. */
  pull(): void {
    if (this.#reading || this.ended) return;
    const buffered = this.#buffered;
    if (buffered !== undefined) {
      this.#buffered = undefined;
      return this.#feed(buffered);
    }
    this.#reading = true;
    let reading: Promise<unknown> | undefined = this.#arriving;
    if (reading === undefined) {
      const { bytes } = this.#size;
      if (this.#buffer.length !== bytes) this.#buffer = new Uint8Array(bytes);
      reading = this.#carrier.read(this.#buffer);
    } else this.#arriving = undefined;
    reading.then(this.#onRead, this.#onRead);
  }

  /** Tells Node that its last chunk was written. */
  tell(): void {
    const untold = this.#untold;
    this.#untold = undefined;
    untold?.();
  }

  /** Whether all ciphertext has been written. */
  get isIdle(): boolean {
    return this.#chunk === undefined;
  }

  /** Resolves when all ciphertext has been written, or never will be. */
  async idle(): Promise<void> {
    if (!this.isIdle) await (this.#drained ??= Promise.withResolvers()).promise;
  }

  /** What is read from now on is for nobody. */
  stop(): void {
    this.#stopped = true;
  }

  /** Lets go of the carrier. */
  close(): void {
    this.#closed();
    this.#carrier.close();
  }

  #arrived(n: number): void {
    this.#size.note(n, this.#buffer.length);
    this.#came(this.#buffer.subarray(0, n));
  }

  #came(ciphertext: Uint8Array | null): void {
    this.#reading = false;
    if (this.#stopped) return;
    if (ciphertext !== null) return this.#feed(ciphertext);
    this.ended = true;
    this.#owner.wireEnded();
  }

  #feed(ciphertext: Uint8Array): void {
    this.#decrypt(ciphertext);
    this.#owner.fed(ciphertext.length);
  }

  #begin(chunk: Uint8Array, done: () => void): void {
    this.#done = done;
    this.#whole = this.#owner.isWhole(chunk);
    this.#send(chunk);
  }

  #send(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#carrier.write(chunk).then(this.#onWritten, this.#onWritten);
  }

  #written(n: number): void {
    const chunk = this.#chunk!;
    if (n < chunk.length) this.#send(chunk.subarray(n));
    else this.#next(this.#whole && !this.#later?.length && this.#owner.doneEarly());
  }

  #failed(error: unknown): void {
    this.#owner.broke(error);
    this.#next(false);
  }

  /** Goes on behind a chunk, after which Node may bring the next. */
  #next(early: boolean): void {
    const done = this.#done!;
    this.#chunk = this.#done = undefined;
    if (early) this.#untold = done;
    else {
      const later = this.#later?.shift();
      if (later !== undefined) this.#begin(...later);
      done();
    }
    if (!this.isIdle) return;
    this.#drained?.resolve();
    this.#drained = undefined;
  }
}
