/**
 * What one script has been given: its sockets, its tasks, and the queue in which they come back.
 *
 * - The script gets the very integers of taskio, and reaches only those that it was given: any other is
 *   an error to it, be it a socket of somebody else's in the same process.
 * - Every task of the script that a coroutine sleeps on is in a completion queue, which costs what has
 *   settled and not what sleeps.
 * - When the script has ended, in whatever way, {@linkcode Guest.end} takes everything from it.
 *
 * @module
 */
import { socket, task, type tls } from "@taskio/net";
import { finish } from "./finish.ts";

/** The most that is received at once: all there is. */
const WHOLE = Number.MAX_SAFE_INTEGER;

/** How many tasks a script may have at once. */
const MAX_TASKS = 100_000;

/** With more than so many bytes that have not gone out, a connection asks its senders to wait. */
const HIGH_WATER = 1 << 20;

/** How long a peer may take to receive the rest and end its side of a closed connection, in ms. */
const LINGER = 5000;

/** What the script's libraries are told of a task. */
export type Outcome = task.Outcome;

/** What the sends of a connection are at. */
interface Sending {
  /** The last one, which ends after all the others; 0 if there was none. */
  last: task.TaskId;
  /** At most so many bytes have not gone out; none if the last has settled. */
  unsent: number;
}

/** What a script has. */
export class Guest {
  /** Settled tasks whose coroutines are to be resumed. */
  readonly queue: task.CompletionQueue = task.completions();
  /** The script's sockets. A listener does not send. */
  readonly #sockets = new Map<socket.SocketId, Sending | null>();
  /** The script's tasks that were not claimed yet, each with the coroutine that sleeps on it, or 0. */
  readonly #tasks = new Map<task.TaskId, number>();
  /** Those whose result is a socket, each with its listener, or 0. */
  readonly #arriving = new Map<task.TaskId, socket.SocketId>();
  /** What holds up the signals that were not raised yet. */
  readonly #signals = new Map<task.TaskId, () => void>();
  /** Connections that are being closed gently. */
  readonly #closing = new Set<Promise<void>>();
  /** Connections that came for an accept before its listener was closed. */
  readonly #early: Outcome[] = [];

  connect(host: string, port: number): task.TaskId {
    return this.#arrives(socket.connect(host, port), 0);
  }

  listen(address: string, port: number): socket.SocketId {
    const id = socket.tcpserver(address, port);
    this.#sockets.set(id, null);
    return id;
  }

  accept(id: socket.SocketId): task.TaskId {
    return this.#arrives(socket.accept(this.own(id)), id);
  }

  recv(id: socket.SocketId): task.TaskId {
    return this.#started(socket.recv(this.own(id), WHOLE));
  }

  /** Sends. Gives a task to wait for if too much is on its way. */
  send(id: socket.SocketId, data: Uint8Array): task.TaskId | undefined {
    const sending = this.#sendingOf(id);
    const sent = socket.send(id, data);
    // Sends end in order, and so the last one tells of them all
    const idle = task.status(sending.last) !== "Running";
    if (!this.#tasks.has(sending.last)) task.forget(sending.last);
    sending.last = sent;
    sending.unsent = idle ? data.length : sending.unsent + data.length;
    return sending.unsent > HIGH_WATER ? this.#started(sent) : undefined;
  }

  /** The send under way that ends last, if there is one. */
  sending(id: socket.SocketId): task.TaskId | undefined {
    const { last } = this.#sendingOf(id);
    return task.status(last) === "Running" ? this.#started(last) : undefined;
  }

  starttls(
    id: socket.SocketId,
    options: tls.StarttlsClientOptions | tls.TlsServerOptions,
  ): task.TaskId {
    return this.#started(socket.starttls(this.own(id), options));
  }

  after(ms: number): task.TaskId {
    return this.#started(task.after(ms));
  }

  /** A task that Completes when {@linkcode raise} is called. */
  signal(): task.TaskId {
    const { promise, resolve } = Promise.withResolvers<void>();
    const id = this.#started(task.spawn(() => promise));
    this.#signals.set(id, resolve);
    return id;
  }

  raise(id: task.TaskId): void {
    this.#signals.get(id)?.();
    this.#signals.delete(id);
  }

  /** The socket, if it is the script's. */
  own(id: socket.SocketId): socket.SocketId {
    if (!this.#sockets.has(id)) throw new RangeError(`${id} is not a socket of this script`);
    return id;
  }

  /** Puts a coroutine to sleep; `false` if the task is not the script's, or somebody sleeps on it. */
  sleep(co: number, id: task.TaskId): boolean {
    if (this.#tasks.get(id) !== 0) return false;
    if (task.status(id) === "Unknown") return false; // was dropped: nobody had claimed it
    this.#tasks.set(id, co);
    this.queue.add(id);
    return true;
  }

  /** The oldest outcome in the queue, to be claimed or dropped. */
  next(): Outcome | undefined {
    return this.#early.length > 0 ? this.#early.shift() : this.queue.take();
  }

  /** The coroutine that sleeps on a task of the script's, if one does. */
  sleeper(id: task.TaskId): number | undefined {
    return this.#tasks.get(id) || undefined;
  }

  /** The script is told of an outcome: a connection that has arrived is its own. */
  claim(outcome: Outcome): void {
    this.#tasks.delete(outcome.id);
    if (this.#arriving.size === 0 || !this.#arriving.delete(outcome.id)) return;
    if (outcome.status === "Faulted") return;
    this.#sockets.set(outcome.value as socket.SocketId, { last: 0 as task.TaskId, unsent: 0 });
  }

  /** Nobody is left to be told of an outcome: a connection that has arrived is closed. */
  drop(outcome: Outcome): void {
    const arriving = this.#arriving.has(outcome.id);
    this.claim(outcome);
    if (arriving && outcome.status === "Completed") this.close(outcome.value as socket.SocketId);
  }

  /** The outcome of one task, claimed; `undefined` while it runs. */
  take(id: task.TaskId): Outcome | undefined {
    if (!this.#tasks.has(id)) throw new RangeError(`${id} is not a task of this script`);
    const outcome = task.take(id);
    if (outcome !== undefined) this.claim(outcome);
    return outcome;
  }

  cancel(id: task.TaskId): boolean {
    return this.#tasks.has(id) && task.cancel(id);
  }

  /**
   * Closes a socket. What waits on it is told at once; a connection goes on behind the scenes until what
   * was sent has gone out.
   */
  close(id: socket.SocketId): void {
    const sending = this.#sockets.get(this.own(id));
    this.#sockets.delete(id);
    if (!sending) this.#closeListener(id);
    else this.#closeStream(id, sending);
  }

  /** Takes everything from the script, and waits until what it has sent has gone out. */
  async end(): Promise<void> {
    this.queue[Symbol.dispose]();
    for (const id of this.#tasks.keys()) {
      task.cancel(id);
      task.forget(id);
    }
    this.#tasks.clear();
    for (const raise of this.#signals.values()) raise();
    for (const { value } of this.#early as { value: number }[]) socket.close(value);
    for (const id of this.#sockets.keys()) this.close(id);
    await Promise.all(this.#closing);
  }

  #closeListener(id: socket.SocketId): void {
    // A listener's close takes with it what came for an accept and was not claimed
    for (const [accept, listener] of this.#arriving) {
      const outcome = listener === id ? task.take(accept) : undefined;
      if (outcome === undefined) continue;
      this.#early.push(outcome);
      queueMicrotask(() => this.queue.onready?.());
    }
    socket.close(id);
  }

  #closeStream(id: socket.SocketId, sending: Sending): void {
    const record = socket.inspect(id);
    for (const pending of record?.kind === "stream" ? record.pending : []) {
      if (task.inspect(pending)?.kind !== "send") task.cancel(pending);
    }
    if (!this.#tasks.has(sending.last)) task.forget(sending.last);
    const closing = finish(id, LINGER);
    this.#closing.add(closing);
    closing.finally(() => this.#closing.delete(closing));
  }

  #sendingOf(id: socket.SocketId): Sending {
    const sending = this.#sockets.get(id);
    if (!sending) throw new RangeError(`${id} is not a connection of this script`);
    return sending;
  }

  #arrives(id: task.TaskId<socket.SocketId>, listener: socket.SocketId): task.TaskId {
    this.#arriving.set(id, listener);
    return this.#started(id);
  }

  #started(id: task.TaskId): task.TaskId {
    if (this.#tasks.has(id)) return id;
    if (this.#tasks.size >= MAX_TASKS) {
      task.cancel(id);
      task.forget(id);
      this.#arriving.delete(id);
      throw new RangeError(`Too many tasks: a script may have ${MAX_TASKS} at once`);
    }
    this.#tasks.set(id, 0);
    return id;
  }
}
