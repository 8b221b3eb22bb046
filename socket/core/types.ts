/** The types that several calls take and give. Public, every one of them. */
import type { SocketId } from "../../task/core/mod.ts";

/** An IP address and a port; for a Unix socket its path, `""` if it has none, and 0. */
export type Address = [ip: string, port: number];

/** Which end of a connection began it: the `"client"` connected, the `"server"` accepted. */
export type Side = "client" | "server";

/** How much to look through for a delimiter. */
export interface UntilOptions {
  /**
   * The longest result, in bytes with the delimiter, from 1.
   *
   * @default {65536}
   */
  max?: number;
}

/** What a send may be told besides its data. */
export interface SendOptions {
  /**
   * Whether the data's memory is given up, as to `postMessage`: the whole `ArrayBuffer` is detached
   * at the call, and serves later receives.
   *
   * @default {false}
   */
  transfer?: boolean;
}

/** How long a gentle close may take. */
export interface FinishOptions {
  /**
   * The longest that it may take until the peer has ended, in milliseconds, at most `2 ** 31 - 1`;
   * up to 0 closes at once. `Infinity` sets no limit.
   *
   * @default {5000}
   */
  timeout?: number;
}

/** What a handler is given besides its connection. */
export interface HandlerContext {
  /**
   * Aborts when serving ends, or the handler's task is cancelled: the handler has `grace`
   * milliseconds from then on.
   */
  readonly signal: AbortSignal;
}

/** What is done with each connection. It is closed when the function ends or its promise settles. */
export type Handler = (id: SocketId, context: HandlerContext) => unknown;

/** How to serve. */
export interface ServeOptions {
  /**
   * How many connections are served at once, until each is closed; the next wait in the system's
   * backlog.
   *
   * @default {Infinity}
   */
  maxConnections?: number;
  /**
   * How long the handlers may go on after the end of serving, in milliseconds, before their
   * connections are closed; and how long, after a handler returned, what it sent may take to arrive
   * and the peer to end. At most `2 ** 31 - 1`; up to 0 closes at once, `Infinity` sets no limit.
   *
   * @default {5000}
   */
  grace?: number;
  /**
   * Is told what a handler throws (but not that its own connection was closed meanwhile, nor the
   * reason of its signal), and of accepts that fail otherwise than by a shortage (then with the
   * listener's ID). Without it, it is reported like the unseen fault of a spawned task; but not a
   * failure of the handler's own connection that is the peer's doing or the network's, such as
   * `ECONNRESET`, an alert of TLS, or a certificate that is refused.
   */
  onError?: (error: unknown, id: SocketId) => void;
}
