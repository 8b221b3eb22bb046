/**
 * Connecting, as a task.
 *
 * Theory of operation. The task settles when its time runs out, when it is cancelled or when the
 * connection is made, whatever comes first; the attempt underneath is then told to give up, and
 * what it brings too late is closed. So no connection is lost and none is left open.
 */
import { Bound, type WaitOptions } from "../task/bound.ts";
import { TimeoutError } from "../task/errors.ts";
import type { SocketId, TaskId } from "../task/id.ts";
import { Queue } from "../task/queue.ts";
import { complete, fault, type Owner, RUNNING, Task } from "../task/record.ts";
import { type Address, failure, translate } from "./error.ts";
import { handles } from "./handle.ts";
import { type Session, Stream, type Transport } from "./stream.ts";

/** A connection that was made. */
export interface Opened {
  readonly transport: Transport;
  readonly local: Address;
  readonly remote: Address;
  readonly session?: Session;
}

/** Makes the connection; gives up, leaving nothing open, when the signal aborts. */
type Open = (signal: AbortSignal) => Promise<Opened>;

/** Completed connects whose connection nobody has claimed. */
const shelf: Queue<Task> = new Queue();

/**
 * Connects as a task.
 *
 * @param remote What is connected to, for errors.
 * @param bounds The `timeout` and `signal` of the caller.
 */
export function dial(remote: Address, bounds: WaitOptions, open: Open): TaskId<SocketId> {
  return new Dial(remote, bounds, open).task.id;
}

class Dial implements Owner {
  readonly task: Task = new Task("connect", 0, this);
  readonly #remote: Address;
  readonly #controller = new AbortController();
  readonly #bound: Bound;

  constructor(remote: Address, bounds: WaitOptions, open: Open) {
    this.#remote = remote;
    this.#bound = new Bound(this, "connect", bounds);
    this.#bound.arm();
    if (this.task.state === RUNNING) this.#dial(open);
  }

  async #dial(open: Open): Promise<void> {
    let opened: Opened;
    try {
      opened = await open(this.#controller.signal);
    } catch (cause) {
      this.#bound.disarm();
      if (this.task.state === RUNNING) {
        fault(this.task, translate(cause, "connect", { remote: this.#remote }));
      }
      return;
    }
    this.#bound.disarm();
    if (this.task.state === RUNNING) this.#connected(opened);
    else opened.transport.close();
  }

  #connected({ transport, local, remote, session }: Opened): void {
    const stream = new Stream(transport, "client", local, remote, session);
    stream.host = this.#remote[0];
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
   * Tells the attempt to give up, but not inside this call: if it has just succeeded, Deno would
   * see the abort before it hands the connection over, and lose it open.
   */
  #abort(): void {
    queueMicrotask(() => this.#controller.abort());
  }
}
