import { socket } from "@taskio/net";
import { clockNow } from "./clock.ts";
import { type Descriptor, DescriptorTable, Socket, Stdio } from "./descriptor.ts";
import { BADF, errnoOf, Failure, INVAL, NOSYS, NOTSOCK, NOTSUP, SPIPE, SUCCESS } from "./errno.ts";
import { promising, suspending } from "./jspi.ts";
import { lengthOf, Memory } from "./memory.ts";
import { poll } from "./poll.ts";
import type { Program } from "./program.ts";
import { accept, close, receive, send, shutdown } from "./sockets.ts";
import { type Result, Waiting } from "./waiting.ts";

export { TerminatedError } from "./waiting.ts";

const MODULE = "wasi_snapshot_preview1";

const CHARACTER_DEVICE = 2, SOCKET_STREAM = 6;
const SHUT_RD = 1, SHUT_WR = 2;
/** All but fd_seek and fd_tell: by this wasi-libc tells that lines are to be written at once. */
const RIGHTS = 2n ** 64n - 1n - (1n << 2n) - (1n << 5n);

/** What a program is given. */
export interface WasiOptions {
  /** Its name and its arguments. */
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** Listeners and connections, which are the program's from now on: file descriptors 3, 4 … */
  preopened?: readonly socket.SocketId[];
  stdout?: (bytes: Uint8Array) => void;
  stderr?: (bytes: Uint8Array) => void;
  /**
   * How many file descriptors it may have at once.
   *
   * @default {1024}
   */
  maxDescriptors?: number;
}

/** How `proc_exit` leaves the program. */
class Exit extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/**
 * A `wasm32-wasi` program (WASI preview 1) and the calls that it is given: an ordinary program with
 * blocking and non-blocking sockets and `poll`, suspended while it waits.
 *
 * - It knows file descriptors, numbers of its own: the IDs of sockets and tasks do not reach it.
 * - It runs on one stack, `_start`'s. So nothing of it runs while a call of its waits, and the
 *   memory stays where it is.
 * - Sends are copied and queued, up to 64 KiB for each connection; then a blocking send waits and
 *   a non-blocking one is `EAGAIN`. What was queued still goes out after a close.
 * - A program that asks again and again without waiting lets the event loop turn now and then.
 * - When it ends, exits, traps or is disposed of, its sockets are closed.
 */
export class Wasi implements Disposable {
  /** What the program exports. */
  readonly exports: WebAssembly.Exports;
  readonly #memory = new Memory();
  readonly #descriptors: DescriptorTable;
  readonly #waiting = new Waiting();
  readonly #program: Program;
  readonly #args: readonly Uint8Array[];
  readonly #env: readonly Uint8Array[];

  /**
   * Links a program, which has not begun.
   *
   * @throws {TypeError} If what is preopened is no listener or connection.
   * @throws {WebAssembly.LinkError} If it is no program, or wants calls that are not WASI's.
   */
  constructor(module: WebAssembly.Module, options: WasiOptions = {}) {
    this.#args = (options.args ?? ["program"]).map(encode);
    this.#env = Object.entries(options.env ?? {}).map(([name, value]) =>
      encode(`${name}=${value}`)
    );
    this.#descriptors = new DescriptorTable(options.maxDescriptors ?? 1024);
    this.#descriptors.add(new Stdio());
    this.#descriptors.add(new Stdio(options.stdout));
    this.#descriptors.add(new Stdio(options.stderr));
    for (const id of options.preopened ?? []) {
      const kind = socket.inspect(id)?.kind;
      if (kind !== "listener" && kind !== "stream") {
        throw new TypeError(`Cannot preopen ${id}: it neither listens nor is connected`);
      }
      this.#descriptors.add(new Socket(kind === "listener" ? kind : "connection", id, 0));
    }
    const [memory, descriptors, waiting] = [this.#memory, this.#descriptors, this.#waiting];
    this.#program = { memory, descriptors, waiting };
    const imports = { [MODULE]: this.#imports(module) };
    this.exports = new WebAssembly.Instance(module, imports).exports;
    if (!("_start" in this.exports && "memory" in this.exports)) {
      throw new WebAssembly.LinkError(
        `Cannot run a module that exports no "_start" or no "memory"`,
      );
    }
    this.#memory.attach(this.exports.memory as WebAssembly.Memory);
  }

  /**
   * Runs the program, until its end and until what it has sent has gone out.
   *
   * @returns Its exit code.
   * @throws {WebAssembly.RuntimeError} If it trapped.
   * @throws {TerminatedError} If it was disposed of.
   */
  async run(): Promise<number> {
    try {
      await promising(this.exports._start)();
      return 0;
    } catch (error) {
      if (error instanceof Exit) return error.code;
      throw error;
    } finally {
      this[Symbol.dispose]();
      await this.#waiting.rest();
    }
  }

  /** Ends the program, at the call that it waits for or else at its next one. */
  [Symbol.dispose](): void {
    if (this.#waiting.ended) return;
    for (const descriptor of this.#descriptors) this.#release(descriptor);
    this.#waiting[Symbol.dispose]();
  }

  #release(descriptor: Descriptor): void {
    if (descriptor.kind !== "stdio") close(this.#waiting, descriptor);
  }

  #imports(module: WebAssembly.Module): WebAssembly.ModuleImports {
    const imports: WebAssembly.ModuleImports = {};
    // What deals with files: the program has none.
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
      if (from !== MODULE) {
        throw new WebAssembly.LinkError(
          `Cannot import "${name}" of "${from}": only ${MODULE} is here`,
        );
      }
      imports[name] = () => name.startsWith("path_") ? BADF : NOSYS;
    }
    for (const [name, call] of Object.entries(this.#immediate)) {
      imports[name] = (...args: never[]) => {
        try {
          this.#waiting.checkAlive();
          return (call as (...args: never[]) => number)(...args);
        } catch (error) {
          return this.#explain(error);
        }
      };
    }
    const explain = (error: unknown) => this.#explain(error);
    for (const [name, call] of Object.entries(this.#suspending)) {
      imports[name] = suspending((...args) => {
        try {
          this.#waiting.checkAlive();
          const result = (call as (...args: never[]) => Result)(...args);
          return typeof result === "number" ? result : result.catch(explain);
        } catch (error) {
          return this.#explain(error);
        }
      }) as never;
    }
    return imports;
  }

  /** The number of a failure. What is none ends the program: it was ended, or the host is wrong. */
  #explain(error: unknown): number {
    this.#waiting.checkAlive();
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    return errno;
  }

  /** The calls that never wait. */
  readonly #immediate = {
    args_sizes_get: (countAt: number, sizeAt: number) => this.#sizes(this.#args, countAt, sizeAt),
    args_get: (listAt: number, textAt: number) => this.#texts(this.#args, listAt, textAt),
    environ_sizes_get: (countAt: number, sizeAt: number) => this.#sizes(this.#env, countAt, sizeAt),
    environ_get: (listAt: number, textAt: number) => this.#texts(this.#env, listAt, textAt),

    clock_res_get: (clock: number, at: number) => {
      clockNow(clock);
      this.#memory.setUint64(at, 1000n);
      return SUCCESS;
    },
    clock_time_get: (clock: number, _precision: bigint, at: number) => {
      this.#memory.setUint64(at, BigInt(Math.round(clockNow(clock) * 1e6)));
      return SUCCESS;
    },
    random_get: (at: number, length: number) => {
      const bytes = this.#memory.bytes(at, length);
      for (let from = 0; from < bytes.length; from += 65_536) {
        crypto.getRandomValues(bytes.subarray(from, from + 65_536));
      }
      return SUCCESS;
    },
    proc_exit: (code: number) => {
      throw new Exit(code);
    },

    fd_close: (fd: number) => {
      const descriptor = this.#find(fd);
      this.#descriptors.delete(fd);
      this.#release(descriptor);
      return SUCCESS;
    },
    fd_renumber: (from: number, to: number) => {
      const descriptor = this.#find(from);
      const replaced = this.#find(to);
      if (from === to) return SUCCESS;
      this.#descriptors.delete(from);
      this.#descriptors.set(to, descriptor);
      this.#release(replaced);
      return SUCCESS;
    },
    fd_fdstat_get: (fd: number, at: number) => {
      const { kind, flags } = this.#find(fd);
      const stat = this.#memory.view(at, 24);
      stat.setUint16(0, kind === "stdio" ? CHARACTER_DEVICE : SOCKET_STREAM, true);
      stat.setUint32(2, flags, true);
      stat.setUint16(6, 0, true);
      stat.setBigUint64(8, RIGHTS, true);
      stat.setBigUint64(16, RIGHTS, true);
      return SUCCESS;
    },
    fd_fdstat_set_flags: (fd: number, flags: number) => {
      this.#find(fd).flags = flags & 0xffff;
      return SUCCESS;
    },
    fd_filestat_get: (fd: number, at: number) => {
      const { kind } = this.#find(fd);
      this.#memory.bytes(at, 64).fill(0);
      this.#memory.view(at, 64).setUint8(16, kind === "stdio" ? CHARACTER_DEVICE : SOCKET_STREAM);
      return SUCCESS;
    },
    // No descriptor is a directory, by which programs know that there are none.
    fd_prestat_get: () => BADF,
    fd_prestat_dir_name: () => BADF,
    fd_seek: (fd: number) => this.#find(fd) && SPIPE,
    fd_tell: (fd: number) => this.#find(fd) && SPIPE,

    sock_shutdown: (fd: number, how: number) => {
      const connection = this.#connection(fd);
      if (how === 0 || (how & ~(SHUT_RD | SHUT_WR)) !== 0) return INVAL;
      if (how & SHUT_RD) connection.deaf = true;
      if (how & SHUT_WR) shutdown(this.#program, connection);
      return SUCCESS;
    },
  };

  /** The calls during which the program may be suspended. */
  readonly #suspending = {
    sock_accept: (fd: number, flags: number, at: number) => {
      const listener = this.#find(fd);
      if (listener.kind === "stdio") return NOTSOCK;
      if (listener.kind === "connection") return INVAL;
      return accept(this.#program, listener, flags, at);
    },
    sock_recv: (
      fd: number,
      partsAt: number,
      count: number,
      flags: number,
      sizeAt: number,
      flagsAt: number,
    ) => {
      this.#memory.view(flagsAt, 2).setUint16(0, 0, true);
      return receive(this.#program, this.#connection(fd), partsAt, count, flags, sizeAt);
    },
    sock_send: (fd: number, partsAt: number, count: number, _flags: number, sizeAt: number) =>
      send(this.#program, this.#connection(fd), partsAt, count, sizeAt),

    fd_read: (fd: number, partsAt: number, count: number, sizeAt: number) => {
      const descriptor = this.#find(fd);
      if (descriptor.kind !== "stdio") {
        return receive(this.#program, this.#connection(fd), partsAt, count, 0, sizeAt);
      }
      this.#memory.setUint32(sizeAt, 0);
      return SUCCESS;
    },
    fd_write: (fd: number, partsAt: number, count: number, sizeAt: number) => {
      const descriptor = this.#find(fd);
      if (descriptor.kind !== "stdio") {
        return send(this.#program, this.#connection(fd), partsAt, count, sizeAt);
      }
      const parts = this.#memory.parts(partsAt, count);
      this.#memory.setUint32(sizeAt, lengthOf(parts));
      for (const part of parts) descriptor.write?.(part.slice());
      return SUCCESS;
    },

    poll_oneoff: (from: number, to: number, count: number, sizeAt: number) =>
      poll(this.#program, from, to, count, sizeAt),
    sched_yield: async () => {
      await this.#waiting.turn();
      return SUCCESS;
    },
  };

  #find(fd: number): Descriptor {
    const descriptor = this.#descriptors.get(fd);
    if (descriptor === undefined) throw new Failure(BADF);
    return descriptor;
  }

  #connection(fd: number): Socket {
    const descriptor = this.#find(fd);
    if (descriptor.kind === "stdio") throw new Failure(NOTSOCK);
    if (descriptor.kind === "listener") throw new Failure(NOTSUP);
    return descriptor;
  }

  #sizes(texts: readonly Uint8Array[], countAt: number, sizeAt: number): number {
    this.#memory.setUint32(countAt, texts.length);
    this.#memory.setUint32(sizeAt, lengthOf(texts));
    return SUCCESS;
  }

  #texts(texts: readonly Uint8Array[], listAt: number, textAt: number): number {
    for (const text of texts) {
      this.#memory.setUint32(listAt, textAt);
      this.#memory.bytes(textAt, text.length).set(text);
      listAt += 4;
      textAt += text.length;
    }
    return SUCCESS;
  }
}

/** Text as C has it. */
function encode(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}
