/**
 * Accepting for ever.
 *
 * Theory of operation. One loop accepts, and for each connection a task runs the handler. The loop
 * ends when its task is cancelled or the listener closed; the handlers then have their time to end. A
 * connection belongs to its handler: it is closed when the handler ends, however it ends, and when
 * the handler's task is cancelled.
 *
 * Error handling: what a handler throws goes to `onError` and nowhere else. A shortage of the system's
 * (descriptors, memory) makes the loop pause; no failure of an accept ends it.
 */
import { awaitTask } from "../task/await.ts";
import { checkFunction, checkInteger, checkOptions, checkTimeout } from "../task/check.ts";
import { cancel } from "../task/cancel.ts";
import { sleep } from "../task/clock.ts";
import { CancelledError } from "../task/errors.ts";
import { reportFault } from "../task/faults.ts";
import type { SocketId, TaskId } from "../task/id.ts";
import { complete, type Owner, Task } from "../task/record.ts";
import { start } from "../task/spawn.ts";
import { SocketError } from "./error.ts";
import { handles } from "./handle.ts";
import type { Listener } from "./listener.ts";
import { findListener, refuse } from "./lookup.ts";

/** What is done with each connection. It is closed when the function ends or its promise settles. */
export type Handler = (id: SocketId) => unknown;

/** How to serve. */
export interface ServeOptions {
  /**
   * How many connections are served at once; the next wait in the system's backlog.
   *
   * @default {Infinity}
   */
  maxConnections?: number;
  /**
   * How long the handlers may go on after the end of serving, in milliseconds, before their
   * connections are closed.
   *
   * @default {5000}
   */
  grace?: number;
  /**
   * Is told what a handler throws (but not that its own connection was closed meanwhile), and of
   * accepts that fail otherwise than by a shortage (then with the listener's ID). Without it, it is
   * reported like the unseen fault of a spawned task.
   */
  onError?: (error: unknown, id: SocketId) => void;
}

/** After a shortage of the system's, so long until the next accept, in milliseconds. */
const PAUSE = 100;
const SHORTAGES = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);

/**
 * Accepts connections for ever and runs a handler for each, side by side. A connection is closed when
 * its handler ends or throws, at once: a handler awaits its last send, or what is still queued is
 * dropped. A throw goes to `onError` and disturbs nobody else.
 *
 * Cancel safety: cancelling stops accepting at once, lets the handlers end for up to `grace`
 * milliseconds, then closes what is left. `task.wait` waits for that. The listener stays open.
 *
 * State: of a listener. Closing it ends serving in the same way, and the task is Completed once the
 * last handler has ended. When the system is short of descriptors or memory (`EMFILE`, `ENFILE`,
 * `ENOBUFS`, `ENOMEM`) it waits 100 ms and goes on. Faults `EBADF` if the socket is closed or unknown,
 * `EOPNOTSUPP` if it is a connection.
 *
 * @param server A listener.
 * @param handler What to do with each connection; it is given its ID and runs as a task.
 * @param options `maxConnections`, `grace` in milliseconds (default: 5000), `onError`.
 * @returns The task, which goes on until it is cancelled or the listener closed.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If an option is out of range.
 *
 * @example An echo server for any number of clients
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const serving = socket.serve(server, async (id) => {
 *   for (;;) {
 *     const data = await task.await(socket.recv(id));
 *     if (data.length === 0) return; // and the connection is closed
 *     await task.await(socket.send(id, data));
 *   }
 * });
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * socket.send(client, "hello");
 * assertEquals((await task.await(socket.recv(client))).length, 5);
 * socket.close(client);
 * socket.close(server);
 * await task.await(serving);
 * ```
 */
export function serve(
  server: SocketId,
  handler: Handler,
  options: ServeOptions = {},
): TaskId<void> {
  checkServe(handler, options);
  const listener = findListener(server);
  return listener === undefined
    ? refuse("serve", server)
    : new Service(listener, handler, options).task.id;
}

export function checkServe(handler: Handler, options: ServeOptions): void {
  checkFunction("handler", handler);
  checkOptions(options, ["maxConnections", "grace", "onError"]);
  const { maxConnections = Infinity, grace = 0, onError } = options;
  if (maxConnections !== Infinity) {
    checkInteger("maxConnections", maxConnections, 1, Number.MAX_SAFE_INTEGER);
  }
  checkTimeout("grace", grace);
  if (onError !== undefined) checkFunction("onError", onError);
}

class Service implements Owner {
  readonly task: Task;
  readonly #listener: Listener;
  readonly #handler: Handler;
  readonly #max: number;
  readonly #grace: number;
  readonly #onError: ServeOptions["onError"];
  readonly #handlings: Set<Handling> = new Set();
  /** Ends a pause, a wait for a free place or for the last handler. */
  #wake: (() => void) | undefined;
  #accepting: TaskId<SocketId> | undefined;
  #graceTimer: ReturnType<typeof setTimeout> | undefined;
  /** Aborts when there will be no more connections. */
  readonly #stopped = new AbortController();
  readonly #onClose = () => this.#stop();

  constructor(listener: Listener, handler: Handler, options: ServeOptions) {
    const { maxConnections = Infinity, grace = 5000, onError } = options;
    this.task = new Task("serve", listener.id, this);
    this.#listener = listener;
    this.#handler = handler;
    this.#max = maxConnections;
    this.#grace = grace;
    this.#onError = onError;
    listener.watch(this.#onClose);
    this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      if (this.#handlings.size >= this.#max) await this.#change();
      else await this.#acceptOne();
    }
    this.#listener.unwatch(this.#onClose);
    await this.#drain();
    complete(this.task, undefined);
  }

  /** Accepts a connection and begins to handle it. */
  async #acceptOne(): Promise<void> {
    this.#accepting = this.#listener.accept();
    try {
      this.#handle(await awaitTask(this.#accepting));
    } catch (error) {
      if (this.#stopped.signal.aborted || error instanceof CancelledError) return;
      if (!(error instanceof SocketError && SHORTAGES.has(error.code))) {
        this.report(error, this.#listener.id, this.task);
      }
      await sleep(PAUSE, { signal: this.#stopped.signal }).catch(() => {});
    } finally {
      this.#accepting = undefined;
    }
  }

  #handle(id: SocketId): void {
    const handling = new Handling(this, id);
    this.#handlings.add(handling);
    start(handling.task, () => handling.run(this.#handler), []);
  }

  /** Lets the handlers end, and closes the connections of those that do not. */
  async #drain(): Promise<void> {
    if (this.#handlings.size === 0) return;
    if (this.#grace !== Infinity) {
      this.#graceTimer = setTimeout(() => this.#closeRest(), Math.max(0, this.#grace));
    }
    while (this.#handlings.size > 0) await this.#change();
    clearTimeout(this.#graceTimer);
  }

  #closeRest(): void {
    for (const handling of this.#handlings) handling.stop();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake = resolve);
  }

  /** A handler has ended. */
  ended(handling: Handling): void {
    this.#handlings.delete(handling);
    this.#wake?.();
  }

  async report(error: unknown, id: SocketId, task: Task): Promise<void> {
    if (this.#onError === undefined) return reportFault(error, task.id, task.kind);
    try {
      await this.#onError(error, id); // it may be async, and reject
    } catch (error) {
      reportFault(error, task.id, "onError of");
    }
  }

  cancelled(): void {
    this.#stop();
  }

  /** Ends accepting. */
  #stop(): void {
    this.#stopped.abort();
    if (this.#accepting !== undefined) cancel(this.#accepting);
    this.#wake?.();
  }
}

/** One connection and the task of its handler, which nobody needs to claim. */
class Handling implements Owner {
  readonly task: Task;
  readonly #service: Service;
  readonly #id: SocketId;
  #stopped = false;

  constructor(service: Service, id: SocketId) {
    this.task = new Task("handler", id, this);
    this.task.forgotten = true;
    this.#service = service;
    this.#id = id;
  }

  async run(handler: Handler): Promise<void> {
    try {
      await handler(this.#id);
    } catch (error) {
      if (!this.#isNoNews(error)) this.#service.report(error, this.#id, this.task);
    } finally {
      handles.get(this.#id)?.close();
      this.#service.ended(this);
    }
  }

  /** Whether a failure only tells that its own connection was closed under the handler. */
  #isNoNews(error: unknown): boolean {
    if (!(error instanceof SocketError) || error.socket !== this.#id) return false;
    return this.#stopped || error.code === "ECONNABORTED";
  }

  /** Closes the connection, which makes whatever the handler awaits of it fail. */
  stop(): void {
    this.#stopped = true;
    handles.get(this.#id)?.close();
  }

  cancelled(): void {
    this.stop();
    this.#service.ended(this);
  }
}
