/**
 * Upgrading a connection in place.
 *
 * Theory of operation. The socket keeps its ID and its two halves; only the transport underneath is
 * exchanged, while both halves stand still: receives and sends called meanwhile wait, and go on
 * over TLS. Three things could go wrong, and are ruled out:
 *
 * - Bytes in clear must never pass for bytes that came through TLS (CVE-2011-0411). A client that
 *   has received any already is being attacked or has lost count: `EPROTO`. A server's may be the
 *   beginning of the handshake, and are read as that, as everything that comes until the
 *   ClientHello is complete; if they are none, `EPROTO`.
 * - A recv that was cancelled, or a peek, may have left a read under way, and what it brings
 *   belongs to the handshake. Deno's TLS cannot take such a connection; Node's can, and is given
 *   what the read brings as its first bytes. If that is clear text after all, it is no TLS:
 *   `EPROTO`.
 * - A handshake that fails leaves a connection that neither side understands. So it is closed, and
 *   so it is when the task is cancelled or its time is up.
 */
import {
  Bound,
  checkString,
  complete,
  fault,
  type Owner,
  readOptions,
  RUNNING,
  type SocketId,
  Task,
  type TaskId,
  TimeoutError,
  wrongRange,
} from "../task/core/mod.ts";
import { countAgain } from "../socket/core/failure.ts";
import { faulted, findStream, refuse } from "../socket/core/lookup.ts";
import type { Side } from "../socket/core/types.ts";
import type { Stream } from "../socket/core/stream.ts";
import type { Transport, Upgrading } from "../socket/core/transport.ts";
import { TlsError } from "./core/codes.ts";
import { checkServerName, nameOfHost } from "./core/names.ts";
import type { Preface } from "./core/wire.ts";
import { guarded, type Secured } from "./core/secured.ts";
import { checkClient, checkServer, CLIENT, SERVER } from "./core/plan.ts";
import type {
  StarttlsClientOptions,
  StarttlsOptions,
  StarttlsServerOptions,
} from "./core/types.ts";

/**
 * Upgrades a connected plain socket to TLS, in place: the ID stays the same. The side of the
 * handshake is the connection's, as `getside` tells it: who connected is the client, whether it
 * shows a certificate or not. `side` says otherwise (the one that is connected to by an FTP server
 * is the server). Receives and sends called meanwhile wait for it.
 *
 * Cancel safety: a handshake cannot be undone: cancelling, or running out of time, closes the
 * socket.
 *
 * State: of a plain connection with nothing pending: a pending receive or send (await the last one)
 * faults `EBUSY` and leaves the socket as it was; a read left behind by a cancelled recv or a peek
 * is no obstacle, nor is a pending `ready`. Afterwards the connection is encrypted. Faults
 * `EISCONN` if it is already, `EALREADY` if another starttls is under way, `EBADF` if the socket is
 * closed or unknown, `EOPNOTSUPP` if it is a listener, `ENOTCONN` if it was only created; `EPIPE`
 * after a `shutdown`, since a handshake takes both directions; these change nothing. Every other
 * failure closes the socket: `EPROTO` for bytes in clear that came before the handshake,
 * `ETIMEDOUT`, and the codes of `tls.tcpconnect`.
 *
 * @param id A connection.
 * @param options As the client: `host` (default: the one that was connected to; needed where there
 * is none, on a connection that was accepted or is over a Unix socket), `ca`, `cert` and `key`,
 * `alpn`, `timeout`, `signal`, `unsafelyIgnoreHostname`. As the server: `certs`, or `cert` and
 * `key`; `alpn`, `ca`, `requestCert`, `handshakeTimeout` (default: 10,000 ms). As either: `side`.
 * @returns The task; its result is `true`.
 * @throws {TypeError} If an argument has the wrong type, or an option is unknown or of the other
 * side, or there is no name to verify.
 * @throws {RangeError} If an option is out of range.
 * @throws {SocketError} If `ca`, `cert` or `key` cannot be used.
 *
 * @example Both sides
 * ```ts
 * import { socket, task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const { cert, key } = tls.selfsigned(["mail.example.com"]);
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * await task.all([
 *   socket.starttls(peer, { certs: [{ cert, key }] }),
 *   socket.starttls(client, { host: "mail.example.com", ca: cert }),
 * ]);
 * assertEquals([socket.istls(client), socket.istls(peer)], [true, true]);
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function starttls(id: SocketId, options: StarttlsOptions = {}): TaskId<true> {
  const stream = findStream(id);
  options = readOptions(options, ALL);
  const side = checkSide(options, stream?.side);
  if (stream === undefined) return refuse("starttls", id);
  const plan = side === "server"
    ? serverPlan(options as StarttlsServerOptions)
    : clientPlan(options as StarttlsClientOptions, stream);
  const fail = (code: string, text?: string) =>
    faulted("starttls", id, stream.fail(code, "starttls", text));
  if (stream.session !== undefined) return fail("EISCONN", "connection is encrypted already");
  if (stream.upgrade !== undefined) return fail("EALREADY", "another starttls is under way");
  if (stream.receiver.busy) return fail("EBUSY", "a receive is pending, await or cancel it first");
  if (stream.sender.shut) return fail("EPIPE", "sending side was shut down");
  if (stream.sender.busy) return fail("EBUSY", "a send is pending, await it first");
  return new Upgrade(stream, plan).task.id;
}

/** One side of the handshake. */
interface Plan {
  readonly timeout: number;
  readonly signal?: AbortSignal;
  /** What is wrong with bytes that were received in clear. */
  objection(buffered: Uint8Array): string | undefined;
  secure(carrier: Transport, signal: AbortSignal, preface: Preface): Promise<Secured>;
}

/** The options that one side has. */
const OPTIONS: Record<Side, readonly string[]> = {
  client: ["side", "host", ...CLIENT],
  server: ["side", ...SERVER],
};

/** The options that there are. */
const ALL: readonly string[] = [...new Set([...OPTIONS.client, ...OPTIONS.server])];

/** Which side to take; every option must be one of that side's. */
function checkSide(
  options: StarttlsOptions,
  ofConnection: Side | undefined,
): Side | undefined {
  if (options.side !== undefined) {
    checkString("side", options.side);
    if (!Object.hasOwn(OPTIONS, options.side)) {
      throw wrongRange("side", '"client" or "server"', options.side);
    }
  }
  const side = options.side ?? ofConnection;
  if (side === undefined) return undefined; // there is no connection
  const other = side === "client" ? "server" : "client";
  const foreign = Object.keys(options).find((name) => !OPTIONS[side].includes(name));
  if (foreign !== undefined) {
    throw new TypeError(
      `Option "${foreign}" is the ${other}'s: ` +
        (options.side === undefined
          ? `this end is the ${side}, since it ${
            side === "client" ? "connected" : "was accepted"
          }; give side: "${other}" to take the other side of the handshake`
          : `side is "${side}"`),
    );
  }
  return side;
}

function serverPlan(options: StarttlsServerOptions): Plan {
  const plan = checkServer("starttls", options, ["side"]);
  if (plan.pairs.length === 0) {
    throw new TypeError('The server needs a certificate: give "cert" and "key", or "certs"');
  }
  return {
    timeout: plan.handshakeTimeout,
    objection: () => undefined, // what was received must be a ClientHello: it is read as one
    async secure(carrier, signal, preface) {
      const { secureServer } = await engines(carrier, signal);
      return await secureServer(carrier, plan, signal, preface);
    },
  };
}

function clientPlan(options: StarttlsClientOptions, stream: Stream): Plan {
  const plan = checkClient("starttls", options, OPTIONS.client);
  const { host = "" } = options;
  const name = checkServerName("host", host) ?? nameOfHost(stream.host ?? "");
  if (name === undefined && !plan.ignoreHostname) {
    throw new TypeError(
      "This end connected to no host whose certificate could be verified: " +
        'give "host", the name that it must be for',
    );
  }
  return {
    timeout: plan.timeout,
    signal: plan.signal,
    objection: (buffered) =>
      buffered.length === 0
        ? undefined
        : "received clear text before the handshake, maybe injected",
    async secure(carrier, signal, preface) {
      const { secureClient } = await engines(carrier, signal);
      // Where no name counts, an address will do: of one the server is told nothing.
      const [address] = stream.proxy ?? stream.remote;
      return await secureClient(carrier, name ?? address, plan, signal, preface);
    },
  };
}

/**
 * Loads what encrypts, for the start's sake: of the programs that import `socket` alone, few
 * upgrade. The connection stands still meanwhile, and is closed if the upgrade is given up or the
 * engines are not to be had.
 */
function engines(
  carrier: Transport,
  signal: AbortSignal,
): Promise<typeof import("./core/backend.ts")> {
  return guarded(carrier, import("./core/backend.ts"), signal);
}

/** Stands in for the transport while it is exchanged. The halves stand still, so nothing calls it. */
const NOWHERE: Transport = {
  read: () => Promise.resolve(null),
  write: () => Promise.reject(new TlsError("EBUSY", "transport is being exchanged")),
  closeWrite: () => Promise.resolve(),
  close: () => {},
};

class Upgrade implements Owner, Upgrading {
  readonly task: Task;
  readonly #stream: Stream;
  readonly #plan: Plan;
  readonly #bound: Bound;
  readonly #controller = new AbortController();
  #cancelled = false;

  constructor(stream: Stream, plan: Plan) {
    this.task = new Task("starttls", stream.id, this);
    this.#stream = stream;
    this.#plan = plan;
    this.#bound = new Bound(this, "starttls", plan);
    stream.upgrade = this;
    this.#exchange(stream.transport);
  }

  pending(): Iterable<TaskId> {
    return [this.task.id];
  }

  async #exchange(carrier: Transport): Promise<void> {
    const stream = this.#stream;
    const preface = stream.receiver.pause();
    stream.sender.pause();
    stream.transport = NOWHERE;
    const objection = this.#plan.objection(preface.buffered);
    if (objection !== undefined) {
      carrier.close();
      return this.#failed(new TlsError("EPROTO", objection));
    }
    if (stream.reset !== undefined) {
      carrier.close(); // which would only tell the server's side of an end
      return this.#failed(stream.reset);
    }
    this.#bound.arm();
    const { signal } = this.#controller;
    let secured: Secured;
    try {
      secured = await this.#plan.secure(carrier, signal, preface);
    } catch (cause) {
      return this.#failed(cause);
    }
    if (signal.aborted) return secured.transport.close();
    this.#bound.disarm();
    stream.upgrade = undefined;
    stream.transport = secured.transport;
    stream.session = secured.session;
    stream.receiver.resume();
    stream.sender.resume();
    complete(this.task, true);
  }

  /** The connection is lost: what carried it has been closed. */
  #failed(cause: unknown): void {
    this.#bound.disarm();
    if (this.task.state !== RUNNING) return;
    const error = this.#stream.translate(cause, "starttls");
    fault(this.task, error);
    this.#stream.close();
    countAgain(error);
  }

  /** Time ran out, or the caller's signal aborted. */
  expired(reason: unknown): void {
    const error = reason instanceof TimeoutError
      ? this.#stream.translate(new TlsError("ETIMEDOUT", "handshake timed out"), "starttls")
      : reason;
    fault(this.task, error, error !== reason);
    this.#stream.close();
    countAgain(error);
  }

  closed(): void {
    this.#bound.disarm();
    if (this.task.state === RUNNING && !this.#cancelled) {
      fault(this.task, this.#stream.fail("ECONNABORTED", "starttls", "socket was closed"));
    }
    this.#controller.abort();
  }

  cancelled(): void {
    this.#cancelled = true; // the canceller faults the task
    this.#stream.close();
  }
}
