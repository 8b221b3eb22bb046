/**
 * Connecting, as a task.
 *
 * Theory of operation. The task settles when its time runs out, when it is cancelled or when the
 * connection is made, whatever comes first; the attempt underneath is then told to give up, and
 * what it brings too late is closed. So no connection is lost and none is left open.
 */
import type { Opened } from "./transport.ts";
import {
  Bound,
  complete,
  fault,
  type Owner,
  RUNNING,
  Shelf,
  type SocketId,
  Task,
  type TaskId,
  TimeoutError,
  type WaitOptions,
} from "../../task/core/mod.ts";
import type { Address } from "./types.ts";
import { failure, translate } from "./failure.ts";
import { closeGiven } from "./handle.ts";
import type { Unbound } from "./unbound.ts";
import { Stream } from "./stream.ts";

/** How long connecting may take unless the program says otherwise, in milliseconds. */
export const CONNECT_TIMEOUT = 30_000;

/**
 * Makes the connection; gives up, leaving nothing open, when the signal aborts. What `waitsFor` is
 * told last is what time ran out on.
 */
type Open = (signal: AbortSignal, waitsFor: (what: string) => void) => Promise<Opened>;

/** Completed connects whose connection nobody has claimed. */
const shelf: Shelf = new Shelf(closeGiven);

/**
 * Connects as a task.
 *
 * @param remote What is connected to, for errors.
 * @param bounds The `timeout` and `signal` of the caller.
 * @param created The created socket that becomes the connection, if there is one.
 */
export function dial(
  remote: Address,
  bounds: WaitOptions,
  open: Open,
  created?: Unbound,
): TaskId<SocketId> {
  return new Dial(remote, bounds, open, created).task.id;
}

class Dial implements Owner {
  readonly task: Task;
  readonly #created: Unbound | undefined;
  readonly #remote: Address;
  readonly #controller = new AbortController();
  readonly #bound: Bound;
  #waitsFor: string | undefined = undefined;

  constructor(remote: Address, bounds: WaitOptions, open: Open, created: Unbound | undefined) {
    this.task = new Task("connect", created?.id ?? 0, this);
    this.#created = created;
    if (created !== undefined) created.attempt = this;
    this.#remote = remote;
    this.#bound = new Bound(this, "connect", bounds);
    this.#bound.arm();
    if (this.task.state === RUNNING) this.#dial(open);
  }

  async #dial(open: Open): Promise<void> {
    let opened: Opened;
    try {
      opened = await open(this.#controller.signal, (what) => this.#waitsFor = what);
      if (this.#created !== undefined) opened = this.#created.configure(opened);
    } catch (cause) {
      this.#end();
      if (this.task.state === RUNNING) fault(this.task, this.#translate(cause));
      return;
    }
    this.#end();
    if (this.task.state === RUNNING) this.#connected(opened);
    else opened.transport.close();
  }

  #connected(opened: Opened): void {
    const { transport, local, remote, session, noDelay = true, keepAlive = false } = opened;
    const id = this.#created?.giveUpId();
    const stream = new Stream(transport, "client", local, remote, session, id);
    const [host, port] = this.#remote;
    if (port !== 0) stream.host = host; // of a Unix socket it is a path
    stream.noDelay = noDelay;
    stream.keepAlive = keepAlive;
    // The program has known the ID of a created socket all along.
    if (id !== undefined) return complete(this.task, id);
    stream.givenBy = this.task;
    complete(this.task, stream.id, shelf);
  }

  /** The created socket was closed. */
  abandon(): void {
    this.#end();
    this.#controller.abort();
    const details = { socket: this.#created?.id, remote: this.#remote, text: "socket was closed" };
    fault(this.task, failure("ECONNABORTED", "connect", details));
  }

  /** The attempt is over, whatever it came to. */
  #end(): void {
    this.#bound.disarm();
    // Another attempt may have begun since this one was cancelled.
    if (this.#created?.attempt === this) this.#created.attempt = undefined;
  }

  #translate(cause: unknown): Error {
    return translate(cause, "connect", { remote: this.#remote, socket: this.#created?.id });
  }

  /** Time ran out, or the caller's signal aborted. */
  expired(reason: unknown): void {
    this.#end();
    this.#controller.abort();
    if (!(reason instanceof TimeoutError)) return fault(this.task, reason, false);
    const text = this.#waitsFor && `timed out waiting for ${this.#waitsFor}`;
    const details = { remote: this.#remote, cause: reason, text };
    fault(this.task, failure("ETIMEDOUT", "connect", details));
  }

  cancelled(): void {
    this.#end();
    this.#controller.abort();
  }
}
