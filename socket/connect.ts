import { awaitTask } from "../task/await.ts";
import { Bound } from "../task/bound.ts";
import { checkBoolean, checkOptions, checkSignal, checkTimeout } from "../task/check.ts";
import { TimeoutError } from "../task/errors.ts";
import type { SocketId, TaskId } from "../task/id.ts";
import { complete, fault, type Owner, RUNNING, Task } from "../task/record.ts";
import { Queue } from "../task/queue.ts";
import { addressOf } from "./address.ts";
import { checkRemoteHost, checkRemotePort } from "./check.ts";
import { type Address, failure, translate } from "./error.ts";
import { handles } from "./handle.ts";
import { Stream } from "./stream.ts";

/** How to connect. */
export interface ConnectOptions {
  /**
   * The longest that connecting may take, in milliseconds; up to 0 fails at once.
   *
   * @default {Infinity}
   */
  timeout?: number;
  /** Gives up, with the signal's reason, when it aborts. */
  signal?: AbortSignal;
  /**
   * Whether small sends go out at once (`TCP_NODELAY`) instead of waiting for an acknowledgement.
   *
   * @default {true}
   */
  noDelay?: boolean;
}

/**
 * Connects to a TCP server.
 *
 * @param host A host name or an IPv4 or IPv6 address. The addresses of a name are tried side by
 * side with a short head start each.
 * @param port The port, 1 to 65535.
 * @param options `timeout` in milliseconds (default: none, the system gives up after minutes),
 * `signal`, `noDelay` (default: `true`).
 * @returns The connected socket. Rejects with `SocketError`: `ECONNREFUSED`, `ENOTFOUND` (no such
 * host), `EHOSTUNREACH`, `ENETUNREACH`, `ETIMEDOUT`, `EMFILE` …; with the signal's reason; or with
 * Deno's `NotCapable` if `--allow-net` is missing.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `host` is empty, or `port` or `timeout` is out of range.
 *
 * @example Connect, or give up after a second
 * ```ts
 * import { socket } from "@taskio/net";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const [host, port] = socket.getlocal(server);
 * const client = await socket.tcpconnect(host, port, { timeout: 1000 });
 * socket.close(client);
 * socket.close(server);
 * ```
 */
export function tcpconnect(
  host: string,
  port: number,
  options: ConnectOptions = {},
): Promise<SocketId> {
  return awaitTask(connect(host, port, options));
}

/**
 * Connects to a TCP server, as a task: {@linkcode tcpconnect} for programs that poll.
 *
 * Cancel safety: a connection that is established after the cancel is closed at once.
 *
 * State: the result is a connected socket. It is closed again if the task is forgotten before
 * anything was done with the socket. The task faults with the codes of `tcpconnect`.
 *
 * @param host A host name or an IPv4 or IPv6 address.
 * @param port The port, 1 to 65535.
 * @param options `timeout` in milliseconds (default: none), `signal`, `noDelay` (default: `true`).
 * @returns The task; its result is the socket.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `host` is empty, or `port` or `timeout` is out of range.
 *
 * @example Poll a connect
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const id = socket.connect(...socket.getlocal(server));
 * while (task.status(id) === "Running") await task.sleep(1);
 * const client = await task.await(id);
 * assertEquals(socket.getside(client), "client");
 * [client, server].forEach(socket.close);
 * ```
 */
export function connect(
  host: string,
  port: number,
  options: ConnectOptions = {},
): TaskId<SocketId> {
  checkRemoteHost(host);
  checkRemotePort(port);
  checkConnectOptions(options);
  return new Dial(host, port, options).task.id;
}

function checkConnectOptions(options: ConnectOptions): void {
  checkOptions(options, ["timeout", "signal", "noDelay"]);
  if (options.timeout !== undefined) checkTimeout("timeout", options.timeout);
  if (options.signal !== undefined) checkSignal("signal", options.signal);
  if (options.noDelay !== undefined) checkBoolean("noDelay", options.noDelay);
}

/** Completed connects whose connection nobody has claimed. */
const shelf: Queue<Task> = new Queue();

/** One attempt to connect: the owner of its task, its timer and the system's attempt. */
class Dial implements Owner {
  readonly task: Task = new Task("connect", 0, this);
  readonly #remote: Address;
  readonly #noDelay: boolean;
  readonly #controller = new AbortController();
  readonly #bound: Bound;

  constructor(host: string, port: number, options: ConnectOptions) {
    this.#remote = [host, port];
    this.#noDelay = options.noDelay ?? true;
    this.#bound = new Bound(this, "connect", options);
    this.#bound.arm();
    if (this.task.state === RUNNING) this.#dial(host, port);
  }

  async #dial(hostname: string, port: number): Promise<void> {
    let conn: Deno.TcpConn;
    try {
      conn = await Deno.connect({ hostname, port, signal: this.#controller.signal });
    } catch (cause) {
      this.#bound.disarm();
      if (this.task.state === RUNNING) {
        fault(this.task, translate(cause, "connect", { remote: this.#remote }));
      }
      return;
    }
    this.#bound.disarm();
    if (this.task.state === RUNNING) this.#connected(conn);
    else conn.close();
  }

  #connected(conn: Deno.TcpConn): void {
    if (this.#noDelay) conn.setNoDelay(true);
    const local = addressOf(conn.localAddr);
    const stream = new Stream(conn, "client", local, addressOf(conn.remoteAddr));
    complete(this.task, stream.id, shelf);
    if (this.task.queue === shelf) stream.offer = this.task;
  }

  /** Time ran out, or the caller's signal aborted. */
  expired(reason: unknown): void {
    this.#abort();
    if (!(reason instanceof TimeoutError)) return fault(this.task, reason);
    const details = { remote: this.#remote, cause: reason };
    fault(this.task, failure("ETIMEDOUT", "connect", details));
  }

  cancelled(): void {
    this.#bound.disarm();
    this.#abort();
  }

  discarded(task: Task): void {
    handles.get(task.value as SocketId)?.close();
  }

  /**
   * Gives up the system's attempt, but not inside this call: if it has just succeeded, Deno would
   * see the abort before it hands the connection over, and lose it open.
   */
  #abort(): void {
    queueMicrotask(() => this.#controller.abort());
  }
}
