/**
 * Accepting for ever.
 *
 * Theory of operation. One loop accepts, and for each connection a task runs the handler and then
 * closes the connection: gently if the handler returned, so that what it sent arrives, at once if
 * it threw. The loop ends when its task is cancelled or the listener closed; the handlers then have
 * their time to end. What is left after that is closed, and its tasks are cancelled: a function
 * that never ends cannot be stopped, but nothing waits for it. A connection belongs to its handler:
 * it is also closed when the handler's task is cancelled.
 *
 * A handler's signal is made when it asks for it. One for all handlers would cost each of them time
 * in proportion to their number.
 *
 * Error handling: what a handler throws goes to `onError`; without one it is printed, unless it is
 * a failure of its own connection that the peer or the network brought about: that says nothing
 * about the program. How the gentle close ends is nobody's news. A shortage of the system's
 * (descriptors, memory) makes the loop pause; no failure of an accept ends it.
 */
import {
  CancelledError,
  complete,
  find,
  forgetTask,
  type Owner,
  reportFault,
  type SocketId,
  start,
  Task,
  type TaskId,
} from "../../task/core/mod.ts";
import type { Served } from "./check.ts";
import type { Handler, HandlerContext, ServeOptions } from "./types.ts";
import { await as awaitTask } from "../../task/await.ts";
import { cancel } from "../../task/cancel.ts";
import { sleep } from "../../task/clock.ts";
import { SocketError } from "./error.ts";
import { finishStream } from "./finishing.ts";
import { handles } from "./handle.ts";
import { handOver } from "./handover.ts";
import type { Listener } from "./listener.ts";
import { Stream } from "./stream.ts";

/** After a shortage of the system's, so long until the next accept, in milliseconds. */
const PAUSE = 100;
const SHORTAGES = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);

/** What becomes of a connection whatever the program does. */
const OF_THE_PEER = new Set([
  "ECONNRESET",
  "EUNEXPECTEDEOF",
  "ETIMEDOUT",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETRESET",
  "ENETUNREACH",
  "ENONET",
]);
/** The same if the system or TLS says so; a program brings them about as well. */
const OF_EITHER = new Set(["ENOTCONN", "EPIPE", "EPROTO"]);
/** What TLS has to say of a peer: the alert that it sent, or what is wrong with its certificate. */
const OF_TLS = /^(ERR_SSL|ERR_TLS_CERT|CERT|UNABLE|DEPTH|SELF|INVALID|HOSTNAME)_/;

export class Service implements Owner {
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
  /** Begins to handle a connection, as it comes: `task.wait` waits for it from then on. */
  readonly #handle = (id: SocketId): void => {
    const handling = new Handling(this, id, this.#grace);
    this.#handlings.add(handling);
    start(handling.task, () => handling.run(this.#handler), []);
  };

  constructor(listener: Listener, handler: Handler, served: Served) {
    const { maxConnections, grace, onError } = served;
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

  /** Accepts a connection, which is handled. */
  async #acceptOne(): Promise<void> {
    this.#accepting = this.#listener.accept();
    try {
      await handOver(find(this.#accepting)!, this.#handle);
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

  /** Lets the handlers end, and leaves alone those that do not. */
  async #drain(): Promise<void> {
    if (this.#handlings.size === 0) return;
    if (this.#grace !== Infinity) {
      this.#graceTimer = setTimeout(() => this.#closeRest(), Math.max(0, this.#grace));
    }
    while (this.#handlings.size > 0) await this.#change();
    clearTimeout(this.#graceTimer);
  }

  #closeRest(): void {
    for (const { task } of [...this.#handlings]) cancel(task.id, "grace is over");
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
    if (this.#onError === undefined) {
      if (!isOfPeer(error, id)) reportFault(error, task.id, task.kind);
      return;
    }
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
    if (this.#stopped.signal.aborted) return;
    this.#stopped.abort();
    for (const handling of this.#handlings) handling.warn();
    if (this.#accepting !== undefined) cancel(this.#accepting);
    this.#wake?.();
  }
}

/** Whether a failure is one of this connection that the program has no part in. */
function isOfPeer(error: unknown, id: SocketId): boolean {
  if (!(error instanceof SocketError) || error.socket !== id) return false;
  const { code, cause } = error;
  return OF_THE_PEER.has(code) ||
    (cause !== undefined && (OF_EITHER.has(code) || OF_TLS.test(code)));
}

/** What the handler of a connection is given: nothing but its signal, made when it is asked for. */
function contextOf(handling: Handling): HandlerContext {
  return {
    get signal() {
      return handling.signal;
    },
  };
}

/** One connection and the task of its handler, which nobody needs to claim. */
class Handling implements Owner {
  readonly task: Task;
  readonly #service: Service;
  readonly #id: SocketId;
  readonly #grace: number;
  /** There once the handler has asked for its signal. */
  #controller: AbortController | undefined;
  #warned = false;
  #stopped = false;

  constructor(service: Service, id: SocketId, grace: number) {
    this.task = new Task("handler", id, this);
    forgetTask(this.task);
    this.#service = service;
    this.#id = id;
    this.#grace = grace;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#warned) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  /** The end is near: aborts the signal. */
  warn(): void {
    this.#warned = true;
    this.#controller?.abort();
  }

  async run(handler: Handler): Promise<void> {
    try {
      await handler(this.#id, contextOf(this));
      await this.#finish();
    } catch (error) {
      if (!this.#isNoNews(error)) this.#service.report(error, this.#id, this.task);
    } finally {
      handles.get(this.#id)?.close();
      this.#service.ended(this);
    }
  }

  /** Closes the connection so that what was sent arrives; that it does not is the peer's doing. */
  async #finish(): Promise<void> {
    const stream = handles.get(this.#id);
    if (stream instanceof Stream) {
      await awaitTask(finishStream(stream, this.#grace)).catch(() => {});
    }
  }

  /** Whether a failure only tells that its own connection was closed under the handler. */
  #isNoNews(error: unknown): boolean {
    if (this.#warned && error === this.signal.reason) return true;
    if (!(error instanceof SocketError) || error.socket !== this.#id) return false;
    return this.#stopped || error.code === "ECONNABORTED";
  }

  /** Closes the connection, which makes whatever the handler awaits of it fail. */
  cancelled(): void {
    this.#stopped = true;
    this.warn();
    handles.get(this.#id)?.close();
    this.#service.ended(this);
  }
}
