import { socket, task } from "@taskio/net";
import { EACCES, EAGAIN, EBADF, EFAULT, EINVAL, EOVERFLOW, errnoOf } from "./errno.ts";
import type { GuestOptions } from "./guest.ts";
import { promising, suspending } from "./jspi.ts";

const MAX_I32 = 2 ** 31 - 1;

/** So many fibres a guest may have at once. */
const MAX_FIBRES = 10_000;

/** A buffer that a memory grows along with: views of it stay. TypeScript does not know it yet. */
interface ResizableMemory extends WebAssembly.Memory {
  toResizableBuffer(): ArrayBuffer;
}

/**
 * A WebAssembly guest that waits, and the calls of taskio that it is given: each gives its result,
 * and suspends the guest's fibre until there is one.
 *
 * - `run` begins the first fibre; the guest's `spawn` begins others. All are one program, in one memory.
 *   So they share the stack that compilers keep there: the guest gives each a region, and puts its
 *   stack pointer back after every call that suspends; or else runs one fibre only.
 * - Bytes are received into the memory and sent from it, where the guest says. What a fibre has handed
 *   over it cannot touch, since it is suspended; that other fibres leave it alone is the guest's care.
 * - The memory may grow meanwhile. Its views are of the buffer that grows along, so none is detached.
 * - The guest reaches only sockets that it was given: any other is `EBADF`.
 * - A failure is a negative errno. When a fibre traps the whole guest ends, for its memory may be
 *   anyhow; its sockets are closed, and nobody else's.
 */
export class FibreGuest implements Disposable {
  readonly #sockets = new Set<socket.SocketId>();
  readonly #connecting = new Set<task.TaskId>();
  readonly #memory: ArrayBuffer;
  readonly #allow: (host: string, port: number) => boolean;
  #fibres = 0;
  /** Why the guest has ended. */
  #reason: { readonly error: unknown } | undefined;
  /** What the guest's module exports. */
  readonly exports: WebAssembly.Exports;

  private constructor(module: WebAssembly.Module, options: GuestOptions) {
    this.#allow = options.allow ?? (() => false);
    const { exports } = new WebAssembly.Instance(module, {
      taskio: {
        accept: this.#suspending((id: number) => this.#accept(id)),
        connect: this.#suspending((at: number, size: number, port: number) =>
          this.#connect(at, size, port)
        ),
        recv: this.#suspending((id: number, at: number, size: number) => {
          const view = this.#view(at, size);
          if (view === undefined) return -EFAULT;
          if (view.length === 0) return -EINVAL;
          return this.#own(id) ? task.await(socket.recvInto(id, view)) : -EBADF;
        }),
        send: this.#suspending((id: number, from: number, size: number) => {
          const view = this.#view(from, size);
          if (view === undefined) return -EFAULT;
          return this.#own(id) ? task.await(socket.send(id, view)) : -EBADF;
        }),
        shutdown: this.#suspending(async (id: number) => {
          if (!this.#own(id)) return -EBADF;
          await task.await(socket.shutdown(id));
          return 0;
        }),
        close: (id: number) => {
          if (this.#sockets.delete(id)) socket.close(id);
        },
        spawn: (argument: number) => this.#spawn(argument),
      },
    });
    this.exports = exports;
    // Throws a TypeError if the memory has no maximum
    this.#memory = (exports.memory as ResizableMemory).toResizableBuffer();
  }

  /** Makes a guest, which has nothing yet and does nothing. */
  static async load(
    binary: Uint8Array<ArrayBuffer>,
    options: GuestOptions = {},
  ): Promise<FibreGuest> {
    return new FibreGuest(await WebAssembly.compile(binary), options);
  }

  /** Fibres that have begun and not ended. */
  get fibres(): number {
    return this.#fibres;
  }

  /** Hands a socket over to the guest. */
  give(id: socket.SocketId): void {
    this.#sockets.add(id);
  }

  /**
   * Runs a function that the guest exports as a fibre.
   *
   * @returns What it gives.
   * @throws {WebAssembly.RuntimeError} If this or another fibre trapped: the guest has ended.
   */
  run(name: string, ...args: number[]): Promise<number> {
    this.#fibres++;
    return this.#fibre(name, args);
  }

  /** Takes everything from the guest, and ends its fibres. */
  [Symbol.dispose](): void {
    this.#end(new Error("The guest was ended"));
  }

  async #fibre(name: string, args: number[]): Promise<number> {
    try {
      this.#checkAlive();
      return await promising(this.exports[name])(...args) as number;
    } catch (error) {
      this.#end(error);
      throw error;
    } finally {
      this.#fibres--;
    }
  }

  #end(error: unknown): void {
    if (this.#reason !== undefined) return;
    this.#reason = { error };
    // Whatever a fibre waits for ends by this
    this.#sockets.forEach(socket.close);
    this.#sockets.clear();
    this.#connecting.forEach((id) => task.cancel(id));
  }

  #checkAlive(): void {
    if (this.#reason !== undefined) throw this.#reason.error;
  }

  /** An import that suspends. It throws only if the guest has ended: that unwinds the fibre. */
  #suspending(call: (...args: number[]) => number | Promise<number>): () => unknown {
    return suspending(async (...args: number[]) => {
      this.#checkAlive();
      let result;
      try {
        result = await call(...args);
      } catch (error) {
        this.#checkAlive();
        result = -errnoOf(error);
      }
      this.#checkAlive();
      return result;
    });
  }

  #own(id: socket.SocketId): boolean {
    return this.#sockets.has(id);
  }

  async #accept(id: socket.SocketId): Promise<number> {
    if (!this.#own(id)) return -EBADF;
    return this.#receive(await task.await(socket.accept(id)));
  }

  async #connect(at: number, size: number, port: number): Promise<number> {
    const name = this.#view(at, size);
    if (name === undefined) return -EFAULT;
    const host = new TextDecoder().decode(name);
    if (!this.#allow(host, port)) return -EACCES;
    const id = socket.connect(host, port);
    this.#connecting.add(id);
    try {
      return this.#receive(await task.await(id));
    } finally {
      this.#connecting.delete(id);
    }
  }

  /** A new socket of the guest's. */
  #receive(id: socket.SocketId): number {
    if (this.#reason !== undefined || id > MAX_I32) {
      socket.close(id);
      return -EOVERFLOW;
    }
    this.#sockets.add(id);
    return id;
  }

  #spawn(argument: number): number {
    if (this.#fibres >= MAX_FIBRES) return -EAGAIN;
    this.#fibres++;
    // Not inside the call, in the midst of another fibre. A failure of it ends the guest, as which
    // every other fibre sees it.
    Promise.resolve().then(() => this.#fibre("fibre", [argument])).catch(() => {});
    return 0;
  }

  /** A part of the memory, for as long as the guest lives; `undefined` if there is no such part. */
  #view(at: number, length: number): Uint8Array | undefined {
    // The guest's integers are unsigned here, but come signed
    [at, length] = [at >>> 0, length >>> 0];
    if (at + length > this.#memory.byteLength) return undefined;
    return new Uint8Array(this.#memory, at, length); // of that length, whatever the buffer's
  }
}
