/**
 * TLS by `node:tls`, for what Deno's own cannot: it carries its ciphertext over any transport, and
 * so can take over a connection in the middle, choose a certificate by name and ask the client for
 * one.
 *
 * Theory of operation. A `Duplex` stands between the transport and Node's TLS socket.
 *
 * - It reads the transport only during the handshake and while a `read` waits: Deno's `node:tls` has
 *   no back-pressure of its own.
 * - It never tells the TLS socket that the transport ended. So the TLS socket's `end` means
 *   close_notify and nothing else, and a transport that ended without it is a stream that was cut.
 * - Its destroy waits for a turn of the event loop: Deno destroys the transport before the alert
 *   that says why has been written.
 * - On the server side the TLS socket comes out of a `tls.Server` that never listens: a bare
 *   `TLSSocket` would not check the client's certificate.
 */
import type { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import type { ConnectionOptions, TlsOptions, TLSSocket } from "node:tls";
import type { Transport } from "../socket/stream.ts";
import { nodeStream, nodeTimers, nodeTls } from "./builtins.ts";
import { TlsError } from "./codes.ts";

/** What was read from the transport before, and what a read under way will bring. */
export interface Preface {
  readonly buffered: Uint8Array;
  readonly arriving: Promise<Uint8Array | null> | undefined;
}

const BUFFER = 64 * 1024;

export class NodeTransport implements Transport {
  /** The TLS socket; on the server side only once the handshake is done. */
  socket: TLSSocket | undefined;
  readonly #carrier: Transport;
  readonly #duplex: Duplex;
  readonly #buffer = new Uint8Array(BUFFER);
  #preface: Uint8Array | undefined;
  #arriving: Promise<Uint8Array | null> | undefined;
  /** Plaintext is wanted, or the handshake still runs. */
  #wanted = true;
  /** Whether a read keeps the process alive. */
  #referenced = true;
  /** The duplex wants ciphertext. */
  #asked = false;
  #reading = false;
  /** The transport ended. */
  #cut = false;
  /** close_notify came. */
  #ended = false;
  #secure = false;
  #closed = false;
  /** What ended the connection; and what ended its sending side alone. */
  #error: unknown = undefined;
  #broken: unknown = undefined;
  #changed: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #writes: Set<(reason: unknown) => void> = new Set();

  private constructor(carrier: Transport, preface?: Preface) {
    this.#carrier = carrier;
    this.#preface = preface?.buffered.length ? preface.buffered : undefined;
    this.#arriving = preface?.arriving;
    this.#duplex = this.#makeDuplex();
    this.#duplex.on("error", () => {}); // whatever matters has been noted by #fail
  }

  /** Begins a handshake as the client. */
  static client(carrier: Transport, options: ConnectionOptions, preface?: Preface): NodeTransport {
    const transport = new NodeTransport(carrier, preface);
    const socket = nodeTls().connect({ ...options, socket: transport.#duplex as never });
    transport.#attach(socket);
    socket.on("secureConnect", () => transport.#established());
    return transport;
  }

  /** Begins a handshake as the server. */
  static server(carrier: Transport, options: TlsOptions, preface?: Preface): NodeTransport {
    const transport = new NodeTransport(carrier, preface);
    const server = nodeTls().createServer(options, (socket) => {
      transport.#attach(socket);
      transport.#established();
    });
    server.on("tlsClientError", (error, socket) => {
      socket.on("error", () => {});
      const refused = socket.authorizationError;
      transport.#fail(
        refused ? new TlsError(String(refused), "client certificate refused") : error,
      );
    });
    server.emit("connection", transport.#duplex);
    return transport;
  }

  /** Resolves once the handshake is done. */
  async handshake(): Promise<void> {
    for (;;) {
      const failure = this.#error ?? this.#broken;
      if (failure !== undefined) throw failure;
      if (this.#secure) return;
      if (this.#cut) {
        await turn(); // what came last may still be on its way through the decoder
        if (!this.#secure) this.#fail(cutOff());
      } else await this.#changed.promise;
    }
  }

  ref(): void {
    this.#referenced = true;
    this.#carrier.ref?.();
  }

  unref(): void {
    this.#referenced = false;
    this.#carrier.unref?.();
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    if (this.#referenced) this.#carrier.ref?.();
    try {
      for (;;) {
        const socket = this.socket!;
        const chunk: Buffer | null = socket.read(Math.min(buffer.length, socket.readableLength));
        if (chunk !== null) {
          buffer.set(chunk);
          return chunk.length;
        }
        if (this.#ended) return null;
        if (this.#error !== undefined) throw this.#error;
        if (this.#cut && this.#duplex.readableLength === 0) {
          await turn(); // what came last may still be on its way through the decoder
          if (socket.readableLength === 0 && !this.#ended) this.#fail(cutOff());
          continue;
        }
        this.#wanted = true;
        this.#pull();
        await this.#changed.promise;
      }
    } finally {
      this.#wanted = false;
      this.#carrier.unref?.(); // the next ciphertext may be on its way, but nobody waits for it
    }
  }

  write(data: Uint8Array): Promise<number> {
    const failure = this.#error ?? this.#broken;
    if (failure !== undefined) return Promise.reject(failure);
    // A part at a time: TLS would encrypt all of it at once and hold it until the peer takes it.
    const part = data.subarray(0, BUFFER);
    return new Promise((resolve, reject) => {
      this.#writes.add(reject);
      this.socket!.write(part, (error) => {
        this.#writes.delete(reject);
        const failure = this.#error ?? this.#broken ?? error;
        if (failure !== undefined && failure !== null) reject(failure);
        else resolve(part.length);
      });
    });
  }

  async closeWrite(): Promise<void> {
    await new Promise<void>((resolve) => this.socket!.end(resolve));
    await turn(); // close_notify reaches the duplex in a later turn
    while (this.#duplex.writableLength > 0 && (this.#error ?? this.#broken) === undefined) {
      await this.#changed.promise;
    }
    if (this.#broken !== undefined) throw this.#broken;
    if (!this.#closed) await this.#carrier.closeWrite();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const clean = this.#secure && (this.#error ?? this.#broken) === undefined &&
      this.#duplex.writableLength === 0;
    this.#fail(new TlsError("ECONNABORTED", "socket was closed"));
    for (const reject of this.#writes) reject(this.#error);
    if (clean) this.socket!.end(); // sends close_notify, within a turn
    nodeTimers().setImmediate(() => {
      this.socket?.destroy();
      this.#duplex.destroy();
      this.#carrier.close();
    });
  }

  #makeDuplex(): Duplex {
    const { Duplex } = nodeStream();
    const duplex = new Duplex({
      read: () => {
        this.#asked = true;
        this.#pull();
      },
      write: (chunk: Uint8Array, _encoding, done) => {
        writeAll(this.#carrier, chunk).then(() => {
          done();
          this.#notify();
        }, (error) => {
          this.#broken = error; // receiving may go on
          done();
          this.#notify();
        });
      },
    });
    const destroy = duplex.destroy.bind(duplex);
    duplex.destroy = (error) => {
      nodeTimers().setImmediate(destroy, error);
      return duplex;
    };
    return duplex;
  }

  #attach(socket: TLSSocket): void {
    this.socket = socket;
    socket.on("error", (error) => this.#fail(error));
    socket.on("readable", () => this.#notify());
    socket.on("end", () => {
      this.#ended = true;
      this.#notify();
    });
    socket.on("close", (hadError) => {
      // After close_notify Node may close before the peer's last words have been read.
      if (!hadError && !this.#cut) this.#ended = true;
      if (!this.#ended) this.#fail(new TlsError("ECONNABORTED", "TLS ended"));
      else this.#notify();
    });
  }

  #established(): void {
    this.#secure = true;
    this.#wanted = false;
    this.#notify();
  }

  /** Brings ciphertext to the duplex, if it asks and somebody wants what it will become. */
  #pull(): void {
    if (!this.#asked) return;
    if (this.#preface !== undefined) {
      const preface = this.#preface;
      this.#preface = undefined;
      this.#push(preface);
    } else if (!this.#reading && !this.#cut && !this.#closed && this.#wanted) {
      this.#reading = true;
      this.#next().then((data) => {
        this.#reading = false;
        if (data === null) {
          this.#cut = true;
          this.#notify();
        } else {
          this.#push(data);
          this.#pull();
        }
      }, (error) => {
        this.#reading = false;
        this.#fail(error);
      });
    }
  }

  #push(data: Uint8Array): void {
    this.#asked = false;
    this.#duplex.push(data);
  }

  /** The next ciphertext: from a read that was under way before, or from a read of our own. */
  async #next(): Promise<Uint8Array | null> {
    if (this.#arriving !== undefined) {
      const arriving = this.#arriving;
      this.#arriving = undefined;
      return await arriving;
    }
    const n = await this.#carrier.read(this.#buffer);
    return n === null ? null : this.#buffer.slice(0, n);
  }

  #fail(error: unknown): void {
    this.#error ??= error;
    this.#notify();
  }

  #notify(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }
}

function cutOff(): TlsError {
  return new TlsError("EUNEXPECTEDEOF", "connection was cut without close_notify");
}

function turn(): Promise<void> {
  return new Promise((resolve) => nodeTimers().setImmediate(resolve));
}

async function writeAll(carrier: Transport, data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length;) at += await carrier.write(data.subarray(at));
}
