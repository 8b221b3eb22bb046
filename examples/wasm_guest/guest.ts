import { socket, task } from "@taskio/net";

/** How the guest reads the status of a task. */
const STATUS: Record<task.TaskStatus, number> = {
  Running: 0,
  Completed: 1,
  Faulted: 2,
  Unknown: 3,
};

/** What the host says itself, as Linux numbers. */
const EBADF = 9,
  EAGAIN = 11,
  EFAULT = 14,
  EINVAL = 22,
  EOVERFLOW = 75,
  EMSGSIZE = 90,
  ENOBUFS = 105;

const MAX_I32 = 2 ** 31 - 1;

/** So many tasks a guest may have at once, under way and unclaimed. */
const MAX_TASKS = 10_000;

/** What a guest exports. */
export interface GuestExports {
  memory: WebAssembly.Memory;
  start(listener: number): void;
  step(): number;
}

/**
 * A WebAssembly guest and the calls of taskio that it is given.
 *
 * - The guest gets the very integers of taskio. It reaches only those that it was given: any other is
 *   `EBADF` to it, be it a socket of somebody else's.
 * - Its memory is its own. What it sends is copied when it calls `send`, what it received when it
 *   calls `result`. So no operation under way points into the memory, which may grow meanwhile.
 * - `result` claims, and `close` forgets the socket's tasks. Nothing is left that nobody will claim.
 * - A failure is a negative errno. No call throws into the guest. A call that could begin nothing gives
 *   one in place of a task, and `status` and `result` take it for a task that Faulted with it.
 */
export class Guest implements Disposable {
  /** The guest's sockets, each with its tasks that were not claimed yet. */
  readonly #sockets = new Map<socket.SocketId, Set<task.TaskId>>();
  /** The socket of each of these tasks. */
  readonly #tasks = new Map<task.TaskId, socket.SocketId>();
  /** The tasks whose result is a socket. */
  readonly #accepts = new Set<task.TaskId>();
  /** What the guest's module exports. */
  readonly exports: GuestExports;

  private constructor(module: WebAssembly.Module) {
    const taskio = {
      accept: (id: number) => this.#start(id, () => socket.accept(id), this.#accepts),
      recv: (id: number, max: number) => this.#start(id, () => socket.recv(id, max)),
      send: (id: number, from: number, length: number) => {
        const view = this.#view(from, length);
        if (view === undefined) return -EFAULT;
        return this.#start(id, () => socket.send(id, view.slice()));
      },
      status: (id: number) => STATUS[this.#status(id)],
      result: (id: number, to: number, size: number) => this.#result(id, to, size),
      close: (id: number) => this.#close(id),
    };
    const { exports } = new WebAssembly.Instance(module, { taskio });
    this.exports = exports as unknown as GuestExports;
  }

  /** Makes a guest, which has nothing yet. */
  static async load(binary: Uint8Array<ArrayBuffer>): Promise<Guest> {
    return new Guest(await WebAssembly.compile(binary));
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

  /** Takes everything from the guest: at its end, and when it has trapped. */
  [Symbol.dispose](): void {
    for (const id of this.#sockets.keys()) this.#close(id);
  }

  #start(id: socket.SocketId, begin: () => task.TaskId, kind?: Set<task.TaskId>): number {
    const tasks = this.#sockets.get(id);
    if (tasks === undefined) return -EBADF;
    if (this.#tasks.size >= MAX_TASKS) return -ENOBUFS;
    let started: task.TaskId;
    try {
      started = begin();
    } catch (error) {
      if (error instanceof RangeError) return -EINVAL; // such as a recv of no bytes
      throw error;
    }
    if (started > MAX_I32) {
      task.cancel(started);
      task.forget(started);
      return -EOVERFLOW;
    }
    tasks.add(started);
    this.#tasks.set(started, id);
    kind?.add(started);
    return started;
  }

  #status(id: task.TaskId): task.TaskStatus {
    // What a call gave that began nothing can be asked like a task
    if (id < 0) return "Faulted";
    return this.#tasks.has(id) ? task.status(id) : "Unknown";
  }

  #result(id: task.TaskId, to: number, size: number): number {
    if (id < 0) return id;
    const status = this.#status(id);
    if (status === "Running") return -EAGAIN;
    if (status === "Unknown") {
      this.#drop(id);
      return -EBADF;
    }
    if (status === "Faulted") {
      const { errno } = task.error(id) as socket.SocketError;
      task.forget(id);
      this.#drop(id);
      return -errno;
    }
    let value = task.result(id) as Uint8Array | number;
    if (typeof value !== "number") {
      // Only now does it matter where the memory is
      const view = this.#view(to, size);
      if (view === undefined) return -EFAULT; // and it can be asked for again
      if (view.length < value.length) return -EMSGSIZE;
      view.set(value);
      value = value.length;
    }
    // Claims at once, for it has settled: the ID is Unknown when this returns
    task.await(id);
    if (this.#accepts.has(id)) this.#sockets.set(value, new Set());
    this.#drop(id);
    return value;
  }

  #close(id: socket.SocketId): void {
    const tasks = this.#sockets.get(id);
    if (tasks === undefined) return;
    socket.close(id);
    for (const pending of tasks) {
      task.forget(pending);
      this.#drop(pending);
    }
    this.#sockets.delete(id);
  }

  #drop(id: task.TaskId): void {
    this.#sockets.get(this.#tasks.get(id)!)?.delete(id);
    this.#tasks.delete(id);
    this.#accepts.delete(id);
  }

  /** A part of the memory as it is now; `undefined` if there is no such part. */
  #view(at: number, length: number): Uint8Array | undefined {
    const { buffer } = this.exports.memory;
    // The guest's integers are unsigned here, but come signed
    [at, length] = [at >>> 0, length >>> 0];
    return at + length <= buffer.byteLength ? new Uint8Array(buffer, at, length) : undefined;
  }
}
