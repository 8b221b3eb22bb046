/**
 * TLS by `node:tls`, for what Deno's own cannot: it carries its ciphertext over any transport, and
 * so can take over a connection in the middle, choose a certificate by name and ask the client for
 * one.
 *
 * Theory of operation. A `TLSSocket` of Node's stands on a wire (`wire.ts`), which carries its
 * ciphertext; what the program sends and receives goes through the socket.
 *
 * - Ciphertext is read only during the handshake and while a `read` waits. What was decrypted and
 *   nobody took is held for the next.
 * - close_notify is the end of the stream; a transport that ended without it is a stream that was
 *   cut.
 * - A write is done when its ciphertext has been written. If that is known before Node says so, the
 *   program need not wait for Node, which is told when there is something for it to do.
 * - Nothing is taken away at once: the last words, close_notify or the alert that says what is
 *   wrong, reach the wire in a later turn, and are waited for, for a limited time.
 */
import type { Duplex } from "node:stream";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import type { Transport } from "../../socket/core/transport.ts";
import { nodeTimers, nodeTls } from "./builtins.ts";
import { TlsError } from "./codes.ts";
import { NodeSession } from "./session.ts";
import { type Preface, Wire, type WireOwner } from "./wire.ts";

/** Says what is wrong with a client whose handshake is done. */
export type Admit = (socket: TLSSocket) => TlsError | undefined;

/** The most that is encrypted at once, what Deno does in one go; it is held until the peer takes it. */
const PART = 48 * 1024;
/** What a record adds to what it carries, at most, unless it is padded. */
const RECORD = 32;
/** How long the last words may take, in milliseconds. */
const LINGER = 1000;
/** A write of at most this size is done before Node says so; of memory of which Node may hold so much. */
const SMALL = 16 * 1024;
const MAX_KEPT = 64 * 1024;

export class NodeTransport implements Transport, WireOwner {
  readonly #carrier: Transport;
  readonly #wire: Wire;
  readonly #admit: Admit | undefined;
  /** On the server side only there once the handshake is done. */
  #socket: TLSSocket | undefined;
  /** Plaintext that nobody has taken, the first of it up to `#at`. */
  readonly #held: Uint8Array[] = [];
  #at = 0;
  /** So much came of the ciphertext that is being decrypted. */
  #plain = 0;
  /** close_notify came. */
  #ended = false;
  #secure = false;
  /** Resolves when Node has made close_notify; and how often it had sent until then. */
  #ending: Promise<void> | undefined;
  #said = 0;
  #closed = false;
  #left = false;
  /** What ended the connection; and what ended its sending side alone. */
  #error: unknown = undefined;
  #broken: unknown = undefined;
  /** The handshake waits for news. */
  #changed: PromiseWithResolvers<void> | undefined;
  /** The read that waits, and where it wants its bytes. */
  #reader: PromiseWithResolvers<unknown> | undefined;
  #into: Uint8Array | undefined;
  /** The write that waits, how long it is, and whether it is small. */
  #write: PromiseWithResolvers<number> | undefined;
  #part = 0;
  #small = false;
  /** The last write was done before Node said so. */
  #early = false;
  #session: NodeSession | undefined;
  // One handler per connection, not per operation.
  readonly #onWritten = (error?: Error | null) => this.#written(error);

  /** For a handshake as the server, which begins when a `tls.Server` has the {@linkcode stream}. */
  constructor(carrier: Transport, preface?: Preface, admit?: Admit) {
    this.#carrier = carrier;
    this.#admit = admit;
    this.#wire = new Wire(carrier, this, preface);
  }

  /** Begins a handshake as the client. */
  static client(carrier: Transport, options: ConnectionOptions, preface?: Preface): NodeTransport {
    const transport = new NodeTransport(carrier, preface);
    const socket = nodeTls().connect({ ...options, socket: transport.stream as never });
    transport.#socket = socket;
    transport.#watch(socket);
    socket.on("secureConnect", () => transport.#established(socket));
    return transport;
  }

  /** The ciphertext, as Node takes it. */
  get stream(): Duplex {
    return this.#wire as unknown as Duplex;
  }

  /** Resolves once the handshake is done. */
  async handshake(): Promise<NodeSession> {
    while (!this.#secure) {
      const failure = this.#error ?? this.#broken;
      if (failure !== undefined) throw failure;
      if (this.#wire.ended) {
        await turn(); // what came last may still be on its way through the decoder
        if (!this.#secure) this.failed(cutOff());
      } else await this.#news();
    }
    return this.#session = new NodeSession(this.#socket!);
  }

  // The transport is read only while a `read` waits, so whoever waits for that is the one who counts.
  ref(): void {
    this.#carrier.ref?.();
  }

  unref(): void {
    this.#carrier.unref?.();
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return this.#receive(buffer) as Promise<number | null>;
  }

  readOwned(): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.#receive(undefined) as Promise<Uint8Array<ArrayBuffer> | null>;
  }

  /** One is under way at a time. */
  #receive(into: Uint8Array | undefined): Promise<unknown> {
    if (this.#held.length > 0) return Promise.resolve(this.#take(into));
    if (this.#ended) return Promise.resolve(null);
    if (this.#error !== undefined) return Promise.reject(this.#error);
    const { promise } = this.#reader = Promise.withResolvers<unknown>();
    this.#into = into;
    if (this.#wire.ended) this.#afterCut();
    else this.#wire.pull();
    return promise;
  }

  /** One is under way at a time. */
  write(data: Uint8Array): Promise<number> {
    const failure = this.#error ?? this.#broken;
    if (failure !== undefined) return Promise.reject(failure);
    const part = data.length > PART ? data.subarray(0, PART) : data;
    this.#part = part.length;
    this.#small = this.#wire.isIdle && part.length <= SMALL &&
      part.buffer.byteLength <= MAX_KEPT;
    const { promise } = this.#write = Promise.withResolvers<number>();
    this.#socket!.write(part, this.#onWritten);
    this.#wire.tell(); // in this order Node finds something to send
    return promise;
  }

  async closeWrite(): Promise<void> {
    this.#session?.remember();
    await this.#lastWords(true);
    if (this.#broken !== undefined) throw this.#broken;
    if (!this.#closed) await this.#carrier.closeWrite();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#wire.stop();
    // Behind what the peer does not take there is no room for last words.
    const clogged = this.#write !== undefined;
    const failed = (this.#error ?? this.#broken) !== undefined;
    this.failed(CLOSED);
    this.#write?.reject(this.#error);
    this.#leave(clogged ? turn() : this.#lastWords(this.#secure && !failed));
  }

  async #leave(lastWords: Promise<void>): Promise<void> {
    const timer = setTimeout(() => this.#letGo(), LINGER);
    await lastWords;
    clearTimeout(timer);
    this.#letGo();
  }

  #letGo(): void {
    if (this.#left) return;
    this.#left = true;
    this.#socket?.destroy();
    this.#held.length = 0;
    this.#wire.close();
  }

  /** Resolves when the last that there is to say has been written: close_notify, or an alert. */
  async #lastWords(clean: boolean): Promise<void> {
    let said = this.#wire.sends;
    if (clean) {
      if (this.#ending === undefined) {
        this.#said = said;
        this.#ending = new Promise((resolve) => this.#socket!.end(() => resolve()));
      }
      said = this.#said;
      this.#wire.tell();
      await this.#ending;
    } else this.#wire.tell();
    if (this.#wire.sends === said) await turn(); // they reach the wire in a later turn
    await this.#wire.idle();
  }

  /** A server's handshake is done. */
  accepted(socket: TLSSocket): void {
    this.#socket = socket;
    this.#watch(socket);
    let objection: unknown;
    try {
      objection = this.#admit?.(socket);
    } catch (error) {
      objection = error;
    }
    if (objection === undefined) this.#established(socket);
    else this.failed(objection);
  }

  /** Notes what ended the connection. */
  failed(error: unknown): void {
    this.#error ??= error;
    this.#notify();
    this.#answer();
  }

  #watch(socket: TLSSocket): void {
    socket.on("error", (error) => this.failed(error));
    socket.on("close", (hadError) => {
      // After close_notify Node may close before the peer's last words have been read.
      if (!hadError && !this.#wire.ended) this.#ended = true;
      if (!this.#ended) return this.failed(new TlsError("ECONNABORTED", "TLS ended"));
      this.#notify();
      this.#answer();
    });
  }

  #established(socket: TLSSocket): void {
    this.#secure = true;
    const take = (chunk: Uint8Array) => {
      this.#plain += chunk.length;
      this.#held.push(chunk);
      this.#answer();
    };
    socket.on("data", take);
    // It need not go through the queue of a stream that is always empty.
    const { push } = socket;
    if (socket.readableLength === 0) {
      socket.push = (chunk: Uint8Array | null) => {
        if (chunk === null) return push.call(socket, null);
        take(chunk);
        return true;
      };
    }
    socket.on("end", () => {
      this.#ended = true;
      this.#answer();
    });
    this.#notify();
  }

  /** Waits until something has changed, and brings ciphertext that it may. */
  #news(): Promise<void> {
    const { promise } = this.#changed ??= Promise.withResolvers();
    this.#wire.pull();
    return promise;
  }

  #notify(): void {
    const changed = this.#changed;
    this.#changed = undefined;
    changed?.resolve();
  }

  /** Gives the read that waits what there is, if there is anything. */
  #answer(): void {
    const reader = this.#reader;
    if (reader === undefined) return;
    if (this.#held.length > 0) reader.resolve(this.#take(this.#into));
    else if (this.#ended) reader.resolve(null);
    else if (this.#error !== undefined) reader.reject(this.#error);
    else return;
    this.#reader = this.#into = undefined;
  }

  async #afterCut(): Promise<void> {
    await turn(); // what came last may still be on its way through the decoder
    this.#reader?.reject(cutOff());
    this.#reader = this.#into = undefined;
  }

  #take(into: Uint8Array | undefined): number | Uint8Array<ArrayBuffer> {
    if (into?.length === 0) return 0; // detached meanwhile: nothing goes there
    const chunk = this.#held[0];
    const at = this.#at;
    const left = chunk.length - at;
    if (into === undefined || left <= into.length) {
      this.#held.shift();
      this.#at = 0;
      if (into === undefined) return owned(chunk, at);
      into.set(at === 0 ? chunk : chunk.subarray(at));
      return left;
    }
    into.set(chunk.subarray(at, this.#at += into.length));
    return into.length;
  }

  /** Reads on if nothing came of it. */
  fed(length: number): void {
    const waits = this.#changed !== undefined || this.#reader !== undefined;
    // What brought nothing, more than a record of data, or a failure may want an answer of Node's own.
    const plain = this.#plain;
    this.#plain = 0;
    if (waits || length > plain + RECORD || this.#error !== undefined) this.#wire.tell();
    if (waits) this.#wire.pull();
  }

  wireEnded(): void {
    this.#notify();
    if (this.#reader !== undefined) this.#afterCut();
  }

  broke(error: unknown): void {
    this.#broken = error;
    this.#notify();
  }

  /**
   * Node encrypts what it takes at once, and it has taken it if nothing before it is left; what it
   * had to say of its own comes before it. Ciphertext is longer than what it is of.
   */
  isWhole(chunk: Uint8Array): boolean {
    return this.#write !== undefined && this.#small && chunk.length > this.#part &&
      this.#socket!.writableLength === this.#part;
  }

  doneEarly(): boolean {
    const write = this.#write;
    if (write === undefined) return false;
    this.#early = true;
    this.#write = undefined;
    write.resolve(this.#part);
    return true;
  }

  /** A part of the program's has been written, or will not be. */
  #written(error: Error | null | undefined): void {
    if (this.#early) {
      this.#early = false;
      return;
    }
    const write = this.#write;
    this.#write = undefined;
    const failure = this.#error ?? this.#broken ?? error;
    if (failure !== undefined && failure !== null) write?.reject(failure);
    else write?.resolve(this.#part);
  }
}

/** The rest of a chunk, in memory that it shares with nobody. */
function owned(chunk: Uint8Array, at: number): Uint8Array<ArrayBuffer> {
  const { buffer } = chunk;
  if (at === 0 && chunk.length === buffer.byteLength) return new Uint8Array(buffer as ArrayBuffer);
  return new Uint8Array(at === 0 ? chunk : chunk.subarray(at));
}

/** Nobody sees where it was made. */
const CLOSED = new TlsError("ECONNABORTED", "socket was closed");

function cutOff(): TlsError {
  return new TlsError("EUNEXPECTEDEOF", "connection was cut without close_notify");
}

function turn(): Promise<void> {
  return new Promise((resolve) => nodeTimers().setImmediate(resolve));
}
