import { socket, task } from "@taskio/net";
import { EACCES, EAGAIN, EBADF, EFAULT, EMSGSIZE, ENOBUFS, EOVERFLOW, errnoOf } from "./errno.ts";

/** How the guest reads the status of a task. */
const STATUS: Record<task.TaskStatus, number> = {
  Running: 0,
  Completed: 1,
  Faulted: 2,
  Unknown: 3,
};

const MAX_I32 = 2 ** 31 - 1;

/** So many tasks a guest may have at once, under way and unclaimed. */
const MAX_TASKS = 10_000;

/** What a guest exports. */
export interface GuestExports {
  memory: WebAssembly.Memory;
  start(listener: number): void;
  step(): number;
}

/** What a guest may do besides working with what it is handed. */
export interface GuestOptions {
  /**
   * Whether it may connect there.
   *
   * @default {() => false}
   */
  allow?: (host: string, port: number) => boolean;
}

/** A task of the guest's that it has not claimed. */
interface Pending {
  /** The socket that it works on; a connect has none. */
  readonly socket: socket.SocketId | undefined;
  /** Whether its result is a socket. */
  readonly opens: boolean;
  /** What has come of it, once the host has seen that. */
  outcome: task.Outcome | undefined;
}

/**
 * A WebAssembly guest that polls, and the calls of taskio that it is given.
 *
 * - The guest gets the very integers of taskio. It reaches only those that it was given: any other is
 *   `EBADF` to it, be it a socket of somebody else's.
 * - Its memory is its own. What it sends is copied when it calls `send`, what it received when it
 *   calls `result`. So no operation under way points into the memory, which may grow meanwhile.
 * - Its tasks are in a completion queue, so the host knows when it is worth while to `step`.
 * - `result` claims, and `close` forgets the socket's tasks. Nothing is left that nobody will claim.
 * - A failure is a negative errno. No call throws into the guest. A call that could begin nothing gives
 *   one in place of a task, and `status` and `result` take it for a task that Faulted with it.
 */
export class Guest implements Disposable {
  /** The guest's sockets, each with its tasks that were not claimed yet. */
  readonly #sockets = new Map<socket.SocketId, Set<task.TaskId>>();
  readonly #tasks = new Map<task.TaskId, Pending>();
  readonly #queue: task.CompletionQueue = task.completions();
  readonly #allow: (host: string, port: number) => boolean;
  /** The next frame. */
  #clock: task.TaskId<void> | undefined;
  /** What the guest's module exports. */
  readonly exports: GuestExports;

  private constructor(module: WebAssembly.Module, options: GuestOptions) {
    this.#allow = options.allow ?? (() => false);
    const taskio = {
      accept: (id: number) => this.#start(id, () => socket.accept(id), true),
      connect: (at: number, size: number, port: number) => this.#connect(at, size, port),
      recv: (id: number, max: number) => this.#start(id, () => socket.recv(id, max)),
      send: (id: number, from: number, length: number) => {
        const view = this.#view(from, length);
        if (view === undefined) return -EFAULT;
        return this.#start(id, () => socket.send(id, view.slice()));
      },
      shutdown: (id: number) => this.#start(id, () => socket.shutdown(id)),
      status: (id: number) => STATUS[this.#status(id)],
      result: (id: number, to: number, size: number) => this.#result(id, to, size),
      close: (id: number) => this.#close(id),
    };
    const { exports } = new WebAssembly.Instance(module, { taskio });
    this.exports = exports as unknown as GuestExports;
  }

  /** Makes a guest, which has nothing yet. */
  static async load(
    binary: Uint8Array<ArrayBuffer>,
    options: GuestOptions = {},
  ): Promise<Guest> {
    return new Guest(await WebAssembly.compile(binary), options);
  }

  /** Hands a listener over to the guest. */
  start(listener: socket.SocketId): void {
    this.#sockets.set(listener, new Set());
    this.exports.start(listener);
  }

  /** One turn of the guest: it does what it can and returns. */
  step(): number {
    return this.exports.step();
  }

  /**
   * Waits for the next frame, or until one of the guest's tasks has settled. Frames are `ms` apart
   * however often something settles in between.
   */
  async frame(ms: number): Promise<void> {
    this.#clock ??= this.#queue.add(task.after(ms));
    await this.#queue.wait();
    // All of it, so that the next wait is one for something new
    for (let outcome; (outcome = this.#queue.take()) !== undefined;) {
      if (outcome.id === this.#clock) this.#clock = undefined;
      else this.#tasks.get(outcome.id)!.outcome = outcome;
    }
  }

  /** Takes everything from the guest: at its end, and when it has trapped. */
  [Symbol.dispose](): void {
    for (const id of this.#sockets.keys()) this.#close(id);
    for (const id of this.#tasks.keys()) this.#forget(id); // connects
    if (this.#clock !== undefined) task.cancel(this.#clock);
    this.#queue[Symbol.dispose]();
  }

  #start(id: socket.SocketId, begin: () => task.TaskId, opens = false): number {
    const tasks = this.#sockets.get(id);
    if (tasks === undefined) return -EBADF;
    const started = this.#begin(id, begin, opens);
    if (started > 0) tasks.add(started);
    return started;
  }

  #connect(at: number, size: number, port: number): number {
    const name = this.#view(at, size);
    if (name === undefined) return -EFAULT;
    const host = new TextDecoder().decode(name);
    if (!this.#allow(host, port)) return -EACCES;
    return this.#begin(undefined, () => socket.connect(host, port), true);
  }

  #begin(id: socket.SocketId | undefined, begin: () => task.TaskId, opens: boolean): number {
    if (this.#tasks.size >= MAX_TASKS) return -ENOBUFS;
    let started: task.TaskId;
    try {
      started = begin();
    } catch (error) {
      return -errnoOf(error);
    }
    if (started > MAX_I32) {
      task.cancel(started);
      task.forget(started);
      return -EOVERFLOW;
    }
    this.#tasks.set(started, { socket: id, opens, outcome: undefined });
    return this.#queue.add(started);
  }

  #status(id: task.TaskId): task.TaskStatus {
    // What a call gave that began nothing can be asked like a task
    if (id < 0) return "Faulted";
    const pending = this.#tasks.get(id);
    return pending === undefined ? "Unknown" : pending.outcome?.status ?? task.status(id);
  }

  #result(id: task.TaskId, to: number, size: number): number {
    if (id < 0) return id;
    const pending = this.#tasks.get(id);
    if (pending === undefined) return -EBADF;
    const outcome = pending.outcome ??= task.take(id);
    if (outcome === undefined) return -EAGAIN;
    if (outcome.status === "Faulted") {
      this.#drop(id);
      return -errnoOf(outcome.error);
    }
    // What a shutdown gives is nothing
    let value = (outcome.value ?? 0) as Uint8Array | number;
    if (typeof value !== "number") {
      // Only now does it matter where the memory is
      const view = this.#view(to, size);
      if (view === undefined) return -EFAULT; // and it can be asked for again
      if (view.length < value.length) return -EMSGSIZE;
      view.set(value);
      value = value.length;
    } else if (value > MAX_I32) {
      this.#forget(id);
      return -EOVERFLOW;
    }
    if (pending.opens) this.#sockets.set(value, new Set());
    this.#drop(id);
    return value;
  }

  #close(id: socket.SocketId): void {
    const tasks = this.#sockets.get(id);
    if (tasks === undefined) return;
    socket.close(id);
    for (const pending of tasks) this.#forget(pending);
    this.#sockets.delete(id);
  }

  /** Drops a task and what it gives. */
  #forget(id: task.TaskId): void {
    const { outcome, opens } = this.#tasks.get(id)!;
    task.cancel(id);
    task.forget(id);
    if (opens && outcome?.status === "Completed") socket.close(outcome.value as socket.SocketId);
    this.#drop(id);
  }

  #drop(id: task.TaskId): void {
    const { socket } = this.#tasks.get(id)!;
    if (socket !== undefined) this.#sockets.get(socket)?.delete(id);
    this.#tasks.delete(id);
  }

  /** A part of the memory as it is now; `undefined` if there is no such part. */
  #view(at: number, length: number): Uint8Array | undefined {
    const { buffer } = this.exports.memory;
    // The guest's integers are unsigned here, but come signed
    [at, length] = [at >>> 0, length >>> 0];
    return at + length <= buffer.byteLength ? new Uint8Array(buffer, at, length) : undefined;
  }
}
