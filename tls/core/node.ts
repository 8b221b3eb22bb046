/**
 * TLS by `node:tls`, for what Deno's own cannot: it carries its ciphertext over any transport, and
 * so can take over a connection in the middle, choose a certificate by name and ask the client for
 * one.
 *
 * Theory of operation. A {@linkcode Wire} stands between the transport and Node's TLS socket, with
 * as much of a `stream.Duplex` as `node:tls` calls.
 *
 * - The transport is read only during the handshake and while a `read` waits: Deno's `node:tls` has
 *   no back-pressure of its own.
 * - The TLS socket is never told that the transport ended. So its `end` means close_notify and
 *   nothing else, and a transport that ended without it is a stream that was cut.
 * - A write of the program's is done when its ciphertext has been written, and Node is told so when
 *   it is needed again. Told at once, it would look for more to send, in vain, after each write and
 *   after each read.
 * - Nothing is taken away at once: the last words, close_notify or the alert that says what is
 *   wrong, reach the wire in a later turn, and are waited for, for a limited time.
 * - On the server side the TLS socket comes out of a `tls.Server` that never listens: a bare
 *   `TLSSocket` would not check the client's certificate. One server serves many handshakes: each
 *   has an object of its own that inherits from it, and the server's events tell by `this` whose
 *   they are.
 */
import type { Duplex } from "node:stream";
import type { ConnectionOptions, Server, TlsOptions, TLSSocket } from "node:tls";
import type { Transport } from "../../socket/core/transport.ts";
import { nodeTimers, nodeTls } from "./builtins.ts";
import { explain, TlsError } from "./codes.ts";
import { describe, type TlsSession } from "./session.ts";
import type { TlsInfo } from "./types.ts";

/** What was read from the transport before, and what a read under way will bring. */
export interface Preface {
  readonly buffered: Uint8Array;
  readonly arriving: Promise<Uint8Array | null> | undefined;
}

/** Says what is wrong with a client whose handshake is done. */
export type Admit = (socket: TLSSocket) => TlsError | undefined;

/** The most that is encrypted at once, what Deno does in one go; it is held until the peer takes it. */
const PART = 48 * 1024;
/** Reads begin small, and grow as long as they are filled. Much of what is received is sent again. */
const MIN_READ = 4 * 1024;
const MAX_READ = PART;
/** So many reads in a row that leave most of the buffer empty make it shrink. */
const PATIENCE = 16;
/** What a record adds to what it carries, at most, unless it is padded. */
const RECORD = 32;
/** How long the last words may take, in milliseconds. */
const LINGER = 1000;
/** A write of at most this size is done before Node says so; of memory of which Node may hold so much. */
const SMALL = 16 * 1024;
const MAX_KEPT = 64 * 1024;

/** What `node:tls` takes for a stream. Its ciphertext comes and goes by {@linkcode NodeTransport}. */
class Wire {
  readonly readable = true;
  readonly writable = true;
  readonly allowHalfOpen = true;
  readonly readableLength = 0;
  readonly write: (chunk: Uint8Array, done: () => void) => boolean;
  /** Takes ciphertext that was received; a copy is made of it. */
  feed: (chunk: Uint8Array) => void = () => {};
  /** Takes the news that the transport is gone, upon which TLS goes too. */
  closed: () => void = () => {};

  constructor(write: (chunk: Uint8Array, done: () => void) => boolean) {
    this.write = write;
  }

  on(event: string, listener: (chunk?: unknown) => void): this {
    if (event === "data") this.feed = listener;
    else if (event === "close") this.closed = listener;
    return this;
  }

  once(event: string, listener: () => void): this {
    return this.on(event, listener);
  }

  end(done?: () => void): void {
    done?.();
  }

  removeListener(): this {
    return this;
  }

  // Who holds back, how writes are joined and when it ends is for NodeTransport to say.
  pause(): void {}
  resume(): void {}
  cork(): void {}
  uncork(): void {}
  destroy(): void {}
}

/** What inherits from a server: it knows whose handshake the server's events are about. */
interface Handshake extends Server {
  transport?: NodeTransport;
}

/** Makes a server that never listens, for {@linkcode NodeTransport.server}. */
export function makeServer(options: TlsOptions): Server {
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

export class NodeTransport implements Transport {
  readonly #carrier: Transport;
  readonly #wire: Wire;
  readonly #admit: Admit | undefined;
  /** On the server side only there once the handshake is done. */
  #socket: TLSSocket | undefined;
  /** Ciphertext, and what was read of it before. */
  #buffer = new Uint8Array(0);
  #size = MIN_READ;
  #wasted = 0;
  #preface: Uint8Array | undefined;
  #arriving: Promise<Uint8Array | null> | undefined;
  #reading = false;
  /** Ciphertext that is being written, and whom to tell when it was; what came meanwhile. */
  #chunk: Uint8Array | undefined;
  #done: (() => void) | undefined;
  #later: [Uint8Array, () => void][] | undefined;
  /** Ciphertext was written, which Node has yet to be told. */
  #untold: (() => void) | undefined;
  /** Plaintext that nobody has taken, the first of it up to `#at`. */
  readonly #held: Uint8Array[] = [];
  #at = 0;
  /** So much came of the ciphertext that is being decrypted. */
  #plain = 0;
  /** The transport ended. */
  #cut = false;
  /** close_notify came. */
  #ended = false;
  #secure = false;
  /** Resolves when Node has made close_notify; and how often it had sent until then. */
  #ending: Promise<void> | undefined;
  #said = 0;
  #sends = 0;
  #closed = false;
  #left = false;
  /** What ended the connection; and what ended its sending side alone. */
  #error: unknown = undefined;
  #broken: unknown = undefined;
  /** The handshake waits for news; somebody for the wire to be idle. */
  #changed: PromiseWithResolvers<void> | undefined;
  #drained: PromiseWithResolvers<void> | undefined;
  /** The read that waits, and where it wants its bytes. */
  #reader: PromiseWithResolvers<unknown> | undefined;
  #into: Uint8Array | undefined;
  /** The write that waits, how long it is, whether it is small; and whether all of it is in the chunk. */
  #write: PromiseWithResolvers<number> | undefined;
  #part = 0;
  #small = false;
  #whole = false;
  /** The last write was done before Node said so. */
  #early = false;
  #session: NodeSession | undefined;
  // One set of handlers per connection, not per operation.
  readonly #onRead = (outcome: unknown) => {
    if (typeof outcome === "number" || outcome === null) this.#arrived(outcome);
    else this.failed(outcome);
  };
  readonly #onSent = (outcome: unknown) => {
    if (typeof outcome === "number") this.#sent(outcome);
    else this.#sendFailed(outcome);
  };
  readonly #onWritten = (error?: Error | null) => this.#written(error);

  private constructor(carrier: Transport, preface?: Preface, admit?: Admit) {
    this.#carrier = carrier;
    this.#preface = preface?.buffered.length ? preface.buffered : undefined;
    this.#arriving = preface?.arriving;
    this.#admit = admit;
    this.#wire = new Wire((chunk, done) => this.#send(chunk, done));
  }

  /** Begins a handshake as the client. */
  static client(carrier: Transport, options: ConnectionOptions, preface?: Preface): NodeTransport {
    const transport = new NodeTransport(carrier, preface);
    const stream = transport.#wire as unknown as Duplex;
    const socket = nodeTls().connect({ ...options, socket: stream as never });
    transport.#socket = socket;
    transport.#watch(socket);
    socket.on("secureConnect", () => transport.#established(socket));
    return transport;
  }

  /** Begins a handshake as the server, which {@linkcode makeServer} made. */
  static server(
    carrier: Transport,
    server: Server,
    preface: Preface,
    admit: Admit | undefined,
  ): NodeTransport {
    const transport = new NodeTransport(carrier, preface, admit);
    const handshake: Handshake = Object.create(server);
    handshake.transport = transport;
    handshake.emit("connection", transport.#wire);
    return transport;
  }

  /** Resolves once the handshake is done. */
  async handshake(): Promise<NodeSession> {
    while (!this.#secure) {
      const failure = this.#error ?? this.#broken;
      if (failure !== undefined) throw failure;
      if (this.#cut) {
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
    if (this.#cut) this.#afterCut();
    else this.#pull();
    return promise;
  }

  /** One is under way at a time. */
  write(data: Uint8Array): Promise<number> {
    const failure = this.#error ?? this.#broken;
    if (failure !== undefined) return Promise.reject(failure);
    const part = data.length > PART ? data.subarray(0, PART) : data;
    this.#part = part.length;
    this.#small = this.#chunk === undefined && part.length <= SMALL &&
      part.buffer.byteLength <= MAX_KEPT;
    const { promise } = this.#write = Promise.withResolvers<number>();
    this.#socket!.write(part, this.#onWritten);
    this.#tell(); // in this order Node finds something to send
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
    this.#wire.closed();
    this.#held.length = 0;
    this.#carrier.close();
  }

  /** Resolves when the last that there is to say has been written: close_notify, or an alert. */
  async #lastWords(clean: boolean): Promise<void> {
    let said = this.#sends;
    if (clean) {
      if (this.#ending === undefined) {
        this.#said = said;
        this.#ending = new Promise((resolve) => this.#socket!.end(() => resolve()));
      }
      said = this.#said;
      this.#tell();
      await this.#ending;
    } else this.#tell();
    if (this.#sends === said) await turn(); // they reach the wire in a later turn
    await this.#idle();
  }

  /** Resolves when all ciphertext has been written, or never will be. */
  async #idle(): Promise<void> {
    if (this.#chunk !== undefined) await (this.#drained ??= Promise.withResolvers()).promise;
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
      if (!hadError && !this.#cut) this.#ended = true;
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
    this.#pull();
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

  #pull(): void {
    if (this.#reading || this.#cut || this.#closed) return;
    if (this.#preface !== undefined) {
      const preface = this.#preface;
      this.#preface = undefined;
      return this.#feed(preface);
    }
    this.#reading = true;
    if (this.#arriving !== undefined) {
      const arriving = this.#arriving;
      this.#arriving = undefined;
      arriving.then((data) => {
        if (data !== null) this.#buffer = new Uint8Array(data);
        this.#arrived(data === null ? null : data.length);
      }, this.#onRead);
      return;
    }
    if (this.#buffer.length !== this.#size) this.#buffer = new Uint8Array(this.#size);
    this.#carrier.read(this.#buffer).then(this.#onRead, this.#onRead);
  }

  #arrived(n: number | null): void {
    this.#reading = false;
    if (this.#closed) return;
    if (n === null) {
      this.#cut = true;
      this.#notify();
      if (this.#reader !== undefined) this.#afterCut();
      return;
    }
    if (n === this.#size) {
      this.#size = Math.min(this.#size * 4, MAX_READ);
      this.#wasted = 0;
    } else if (n * 8 > this.#size || this.#size === MIN_READ) {
      this.#wasted = 0;
    } else if (++this.#wasted === PATIENCE) {
      this.#size /= 4;
      this.#wasted = 0;
    }
    this.#feed(this.#buffer.subarray(0, n));
  }

  /** Has ciphertext decrypted, and reads on if nothing came of it. */
  #feed(ciphertext: Uint8Array): void {
    this.#wire.feed(ciphertext);
    const waits = this.#changed !== undefined || this.#reader !== undefined;
    // What brought nothing, more than a record of data, or a failure may want an answer of Node's own.
    const plain = this.#plain;
    this.#plain = 0;
    if (waits || ciphertext.length > plain + RECORD || this.#error !== undefined) this.#tell();
    if (waits) this.#pull();
  }

  /** Writes ciphertext to the transport. */
  #send(chunk: Uint8Array, done: () => void): boolean {
    this.#sends++;
    if (this.#chunk !== undefined) (this.#later ??= []).push([chunk, done]);
    else {
      this.#chunk = chunk;
      this.#done = done;
      this.#whole = this.#holds(chunk);
      this.#carrier.write(chunk).then(this.#onSent, this.#onSent);
    }
    return true;
  }

  /**
   * Whether it is all of a small write. Node encrypts what it takes at once, and it has taken it if
   * nothing before it is left; what it had to say of its own comes before it. Ciphertext is longer
   * than what it is of.
   */
  #holds(chunk: Uint8Array): boolean {
    return this.#write !== undefined && this.#small && chunk.length > this.#part &&
      this.#socket!.writableLength === this.#part;
  }

  #sent(n: number): void {
    const chunk = this.#chunk!;
    if (n < chunk.length) {
      this.#chunk = chunk.subarray(n);
      this.#carrier.write(this.#chunk).then(this.#onSent, this.#onSent);
      return;
    }
    const done = this.#done!;
    this.#chunk = this.#done = undefined;
    const write = this.#write;
    if (this.#whole && write !== undefined && !this.#later?.length) {
      this.#untold = done;
      this.#early = true;
      this.#write = undefined;
      write.resolve(this.#part);
    } else this.#next(done);
    this.#checkIdle();
  }

  /** Receiving may go on. */
  #sendFailed(error: unknown): void {
    this.#broken = error;
    const done = this.#done!;
    this.#chunk = this.#done = undefined;
    this.#next(done);
    this.#checkIdle();
    this.#notify();
  }

  /** Tells Node, which may bring the next. */
  #next(done: () => void): void {
    const later = this.#later?.shift();
    if (later !== undefined) this.#send(...later);
    done();
  }

  #checkIdle(): void {
    if (this.#chunk !== undefined) return;
    this.#drained?.resolve();
    this.#drained = undefined;
  }

  /** Tells Node that its last ciphertext was written. */
  #tell(): void {
    const untold = this.#untold;
    this.#untold = undefined;
    untold?.();
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

/** A session of Node's TLS. */
export class NodeSession implements TlsSession {
  readonly explain = explain;
  readonly joins = true;
  #socket: TLSSocket | undefined;
  #info: TlsInfo | undefined;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
  }

  /** Asks for what the socket tells only as long as it is there. */
  remember(): TlsInfo {
    const socket = this.#socket;
    if (socket === undefined) return this.#info!;
    this.#socket = undefined;
    const { alpnProtocol, servername } = socket as TLSSocket & { servername?: string | false };
    return this.#info = {
      protocol: socket.getProtocol(),
      cipher: socket.getCipher()?.name ?? null,
      alpn: alpnProtocol || null,
      sni: servername || null,
      peerCertificate: describe(socket.getPeerCertificate()),
    };
  }

  info(): TlsInfo {
    return { ...this.remember() };
  }
}

/** Nobody sees where it was made. */
const CLOSED = new TlsError("ECONNABORTED", "socket was closed");

function cutOff(): TlsError {
  return new TlsError("EUNEXPECTEDEOF", "connection was cut without close_notify");
}

function turn(): Promise<void> {
  return new Promise((resolve) => nodeTimers().setImmediate(resolve));
}
