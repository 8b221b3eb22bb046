/**
 * Pluto's `socket` library on taskio. Its scheduler is in `pluto_scheduler.ts`.
 *
 * | Pluto | here | taskio underneath |
 * | --- | --- | --- |
 * | `local { scheduler, socket } = require "*"` | `const { scheduler, socket } = openPluto();` | |
 * | `socket.connect(host, port)` | `await`, → socket or `null` | `tcpconnect` |
 * | `socket.listen(port)` | the same, → listener or `null` | `tcpserver` |
 * | `socket.bind(sched, port, fn)` | the same, → listener, or throws | `tcpserver`, `serve` |
 * | `s:send(data)` | `s.send(data)`; may be awaited | `send` |
 * | `s:recv()` | `await s.recv()`, → string or `null` | `recv` |
 * | `s:peek()` | `s.peek()`, → string or `null` | `peek` |
 * | `s:unrecv(data)` | `s.unrecv(data)` | `unrecv` |
 * | `s:starttls(host)`, `s:starttls(certs)` | `await`, → `true`, `false` or `null` | `starttls` |
 * | `s:close()` | `s.close()`; may be awaited | `finish` |
 * | `local ip, port = s:getpeer()` | `const [ip, port] = s.getpeer()` | `getpeer` |
 * | `s:getside()` | `s.getside()` | `getside` |
 * | `l:accept()` | `await l.accept()`, → socket or `null` | `accept` |
 * | `l:hasconnection()` | `l.hasconnection()` | `hasconnection` |
 * | `nil` | `null` | |
 *
 * - **Waiting.** Where a Pluto function yields inside a coroutine and blocks outside one, it gives a promise
 *   here. `send` and `close` do not wait in Pluto; await them to be slowed down by a slow peer, or do not.
 * - **Failures** are `null`, or show as the end of what there is to receive. Arguments of the wrong type or
 *   range throw.
 * - **Chunks.** `recv` takes no size: it gives what one read brought, or what one `unrecv` put back.
 * - **Strings** are bytes, see `bytestring.ts`.
 *
 * Better than Pluto: everything that was sent arrives, also before a close; a callback that throws, or a
 * client that misbehaves, stops nobody else; the socket of a callback that returns is closed; a client that
 * shuts down its sending side is still answered; clear text in front of a handshake is refused; failing to
 * `bind` is raised to the caller; sockets that come from `accept` can `starttls` too.
 *
 * @module
 */
import { socket, task, type tls } from "@taskio/net";
import { fromBytes, toBytes } from "./bytestring.ts";
import { whenCollected } from "./collected.ts";
import { isFailure } from "./failure.ts";
import { Scheduler } from "./pluto_scheduler.ts";

/** What the host decides and a script cannot say. */
export interface PlutoSettings {
  /**
   * The address that `listen` and `bind` use.
   *
   * @default {any address}
   */
  address?: string;
  /** Authorities that `starttls` trusts besides the system's, PEM. */
  ca?: string;
}

/** What `require "*"` gives, as far as it is here. */
export interface PlutoLibrary {
  scheduler: typeof Scheduler;
  socket: PlutoSocketLibrary;
}

/** The library for one program. */
export function openPluto(settings: PlutoSettings = {}): PlutoLibrary {
  return { scheduler: Scheduler, socket: new PlutoSocketLibrary(settings) };
}

/** What `require "socket"` gives. */
export class PlutoSocketLibrary {
  readonly #settings: PlutoSettings;

  constructor(settings: PlutoSettings) {
    this.#settings = settings;
  }

  async connect(host: string, port: number): Promise<PlutoSocket | null> {
    const id = await orNull(socket.tcpconnect(host, port));
    return id === null ? null : new PlutoSocket(id, this.#settings);
  }

  listen(port: number): Listener | null {
    try {
      const listener = this.#listen(port);
      const { id } = listener;
      whenCollected(listener, () => socket.close(id));
      return listener;
    } catch (error) {
      return nullOf(error);
    }
  }

  bind(sched: Scheduler, port: number, fn: (s: PlutoSocket) => unknown): Listener {
    const listener = this.#listen(port);
    const serving = socket.serve(listener.id, async (id) => {
      const s = new PlutoSocket(id, this.#settings);
      await sched.add(() => fn(s));
      await s.close();
    }, { grace: Infinity, onError: (error) => void sched.add(() => Promise.reject(error)) });
    sched.add(() => task.await(serving));
    return listener;
  }

  #listen(port: number): Listener {
    return new Listener(socket.tcpserver(this.#settings.address ?? "", port), this.#settings);
  }
}

/** A listener instance. */
export class Listener {
  /** The integer that it stands for, for the host: `getlocal` tells its port, `close` ends it. */
  readonly id: socket.SocketId;
  readonly #settings: PlutoSettings;

  constructor(id: socket.SocketId, settings: PlutoSettings) {
    this.id = id;
    this.#settings = settings;
  }

  async accept(): Promise<PlutoSocket | null> {
    const id = await orNull(task.await(socket.accept(this.id)));
    return id === null ? null : new PlutoSocket(id, this.#settings);
  }

  hasconnection(): boolean {
    return socket.isopen(this.id) && socket.hasconnection(this.id);
  }
}

/** One of the certificates a server may show: PEM. */
export interface PlutoCertificate {
  chain: string;
  private_key: string;
}

/** A socket instance. */
export class PlutoSocket {
  /** The integer that it stands for, for the host. */
  readonly id: socket.SocketId;
  readonly #ca: string | undefined;
  readonly #peer: socket.Address;
  readonly #side: socket.Side;
  /** The last send, which ends after all the others. */
  #sent: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(id: socket.SocketId, { ca }: PlutoSettings) {
    this.id = id;
    this.#ca = ca;
    this.#peer = socket.getpeer(id);
    this.#side = socket.getside(id);
    whenCollected(this, () => closeGently(id));
  }

  send(data: string): Promise<void> {
    const sending = orNull(task.await(socket.send(this.id, toBytes(data))));
    return this.#sent = sending.then(() => {});
  }

  async recv(): Promise<string | null> {
    if (this.#closing !== undefined) return null;
    return chunkOf(await orNull(task.await(socket.recv(this.id, WHOLE))));
  }

  peek(): string | null {
    if (this.#closing !== undefined) return null;
    try {
      return chunkOf(socket.peek(this.id, WHOLE));
    } catch (error) {
      return nullOf(error);
    }
  }

  unrecv(data: string): void {
    if (socket.isopen(this.id)) socket.unrecv(this.id, toBytes(data));
  }

  async starttls(remote: string | PlutoCertificate[]): Promise<boolean | null> {
    if (typeof remote !== "string" && !Array.isArray(remote)) {
      throw new TypeError("starttls takes a host name or a list of certificates");
    }
    if (socket.istls(this.id)) return null;
    const options: tls.StarttlsOptions = typeof remote === "string"
      ? { side: "client", host: remote, ca: this.#ca }
      : {
        side: "server",
        certs: remote.map(({ chain, private_key }) => ({ cert: chain, key: private_key })),
      };
    await this.#sent;
    try {
      return await task.await(socket.starttls(this.id, options));
    } catch (error) {
      nullOf(error); // throws on what is no failure
      socket.close(this.id);
      return false;
    }
  }

  close(): Promise<void> {
    return this.#closing ??= closeGently(this.id);
  }

  getpeer(): socket.Address {
    return [...this.#peer];
  }

  getside(): socket.Side {
    return this.#side;
  }
}

/** More than any chunk has. */
const WHOLE = Number.MAX_SAFE_INTEGER;
/** The longest that a peer may take to end its side of a connection that was closed, in milliseconds. */
const LINGER = 1000;

/**
 * Closes a connection once what was sent has gone out. A peer that does not receive what was sent keeps
 * the connection open, as it keeps a send waiting; from then on it has its time to end.
 */
async function closeGently(id: socket.SocketId): Promise<void> {
  await orNull(task.await(socket.shutdown(id)));
  await orNull(task.await(socket.finish(id, { timeout: LINGER })));
}

/** A chunk for a script; the end of the stream, and nothing, is `null`. */
function chunkOf(data: Uint8Array | null | undefined): string | null {
  return data === null || data === undefined || data.length === 0 ? null : fromBytes(data);
}

/** What a promise gives, or `null` for a failure. */
function orNull<T>(promise: Promise<T>): Promise<T | null> {
  return promise.catch(nullOf);
}

/** `null` for a failure; whatever else was thrown is thrown on. */
function nullOf(error: unknown): null {
  if (!isFailure(error)) throw error;
  return null;
}
