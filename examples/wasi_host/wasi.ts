import { socket, task } from "@taskio/net";
import { setImmediate } from "node:timers";
import { type Descriptor, DescriptorTable, SEND_BUFFER, Socket, Stdio } from "./descriptor.ts";
import {
  AGAIN,
  BADF,
  errnoOf,
  Failure,
  INVAL,
  MFILE,
  NOSYS,
  NOTSOCK,
  NOTSUP,
  SPIPE,
  SUCCESS,
} from "./errno.ts";
import { promising, suspending } from "./jspi.ts";
import { gather, lengthOf, Memory, scatter } from "./memory.ts";

const MODULE = "wasi_snapshot_preview1";

const NONBLOCK = 4;
const CHARACTER_DEVICE = 2, SOCKET_STREAM = 6;
const RECV_PEEK = 1, RECV_WAITALL = 2;
const SHUT_RD = 1, SHUT_WR = 2;
const CLOCK = 0, FD_READ = 1, FD_WRITE = 2;
const REALTIME = 0, MONOTONIC = 1;
const ABSOLUTE = 1;
/** Sizes of what `poll_oneoff` reads and writes. */
const SUBSCRIPTION = 48, EVENT = 32;
const MAX_SUBSCRIPTIONS = 65_536;
/** The most bytes that one call sends. */
const MAX_SIZE = 2 ** 31 - 1;
/** All but fd_seek and fd_tell: by this wasi-libc tells that lines are to be written at once. */
const RIGHTS = 2n ** 64n - 1n - (1n << 2n) - (1n << 5n);

/** So often a guest may ask in vain before everybody else has a turn. */
const PATIENCE = 16;
/** How long a connection that was closed may take to send what was queued, in ms. */
const LINGER = 5000;

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

/** The program was ended from outside. */
export class TerminatedError extends Error {
  override readonly name = "TerminatedError";
}

/** How `proc_exit` leaves the program. */
class Exit extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

type Result = number | Promise<number>;

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
  readonly #memory: Memory;
  readonly #args: readonly Uint8Array[];
  readonly #env: readonly Uint8Array[];
  readonly #descriptors: DescriptorTable;
  /** Sends, shutdowns, `ready`s and the clock of a poll. */
  readonly #queue: task.CompletionQueue = task.completions();
  /** What each of them is about. */
  readonly #watched = new Map<task.TaskId, Socket | undefined>();
  /** Calls in a row that found nothing to wait for. */
  #hurry = 0;
  #ended = false;

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
    const imports = { [MODULE]: this.#imports(module) };
    this.exports = new WebAssembly.Instance(module, imports).exports;
    if (!("_start" in this.exports && "memory" in this.exports)) {
      throw new WebAssembly.LinkError(
        `Cannot run a module that exports no "_start" or no "memory"`,
      );
    }
    this.#memory = new Memory(this.exports.memory as WebAssembly.Memory);
  }

  /**
   * Runs the program.
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
    }
  }

  /** Ends the program, at the call that it waits for or else at its next one. */
  [Symbol.dispose](): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const descriptor of this.#descriptors) this.#release(descriptor);
    for (const id of this.#watched.keys()) task.forget(id);
    this.#queue[Symbol.dispose]();
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
          this.#checkAlive();
          return (call as (...args: never[]) => number)(...args);
        } catch (error) {
          return this.#explain(error);
        }
      };
    }
    const explain = (error: unknown) => this.#explain(error);
    for (const [name, call] of Object.entries(this.#waiting)) {
      imports[name] = suspending((...args) => {
        try {
          this.#checkAlive();
          const result = (call as (...args: never[]) => Result)(...args);
          return typeof result === "number" ? result : result.catch(explain);
        } catch (error) {
          return this.#explain(error);
        }
      }) as never;
    }
    return imports;
  }

  #checkAlive(): void {
    if (this.#ended) throw new TerminatedError("The program was ended");
  }

  /** The number of a failure. What is none ends the program: it was ended, or the host is wrong. */
  #explain(error: unknown): number {
    this.#checkAlive();
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
      if (how & SHUT_WR) {
        const ending = socket.shutdown(connection.id);
        const outcome = task.take(ending);
        if (outcome?.status === "Faulted") throw outcome.error;
        if (outcome === undefined) this.#watch(ending, connection);
      }
      return SUCCESS;
    },
  };

  /** The calls during which the program may be suspended. */
  readonly #waiting = {
    sock_accept: (fd: number, flags: number, at: number) => this.#accept(fd, flags, at),
    sock_recv: (
      fd: number,
      partsAt: number,
      count: number,
      flags: number,
      sizeAt: number,
      flagsAt: number,
    ) => {
      this.#memory.view(flagsAt, 2).setUint16(0, 0, true);
      return this.#receive(this.#connection(fd), partsAt, count, flags, sizeAt);
    },
    sock_send: (fd: number, partsAt: number, count: number, _flags: number, sizeAt: number) =>
      this.#send(this.#connection(fd), partsAt, count, sizeAt),

    fd_read: (fd: number, partsAt: number, count: number, sizeAt: number) => {
      const descriptor = this.#find(fd);
      if (descriptor.kind !== "stdio") {
        return this.#receive(this.#connection(fd), partsAt, count, 0, sizeAt);
      }
      this.#memory.setUint32(sizeAt, 0);
      return SUCCESS;
    },
    fd_write: (fd: number, partsAt: number, count: number, sizeAt: number) => {
      const descriptor = this.#find(fd);
      if (descriptor.kind !== "stdio") {
        return this.#send(this.#connection(fd), partsAt, count, sizeAt);
      }
      const parts = this.#memory.parts(partsAt, count);
      this.#memory.setUint32(sizeAt, lengthOf(parts));
      for (const part of parts) descriptor.write?.(part.slice());
      return SUCCESS;
    },

    poll_oneoff: (from: number, to: number, count: number, sizeAt: number) =>
      this.#poll(from, to, count, sizeAt),
    sched_yield: () => this.#turn(),
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

  async #accept(fd: number, flags: number, at: number): Promise<number> {
    const listener = this.#find(fd);
    if (listener.kind === "stdio") return NOTSOCK;
    if (listener.kind === "connection") return INVAL;
    this.#memory.bytes(at, 4);
    if (this.#descriptors.full) return MFILE; // the connection stays in the backlog
    this.#settle();
    const accepting = socket.accept(listener.id);
    listener.readable = false;
    if (listener.flags & NONBLOCK && task.status(accepting) === "Running") {
      task.cancel(accepting);
      task.forget(accepting);
      return this.#again();
    }
    const id = await task.await(accepting);
    if (this.#ended) socket.close(id);
    else this.#memory.setUint32(at, this.#descriptors.add(new Socket("connection", id, flags)));
    return SUCCESS;
  }

  async #receive(
    connection: Socket,
    partsAt: number,
    count: number,
    flags: number,
    sizeAt: number,
  ): Promise<number> {
    const parts = this.#memory.parts(partsAt, count);
    const max = lengthOf(parts);
    this.#memory.setUint32(sizeAt, 0);
    if (max === 0 || connection.deaf) return SUCCESS;
    this.#settle();
    if (flags & RECV_PEEK) return this.#peek(connection, parts, max, sizeAt);

    let received = 0;
    do {
      const receiving = socket.recv(connection.id, max - received);
      connection.readable = false;
      if (connection.flags & NONBLOCK && task.status(receiving) === "Running") {
        task.cancel(receiving);
        task.forget(receiving);
        return received > 0 ? SUCCESS : this.#again();
      }
      const data = await task.await(receiving);
      scatter(data, parts, received);
      if (data.length === 0) break;
      this.#memory.setUint32(sizeAt, received += data.length);
    } while (flags & RECV_WAITALL && received < max);
    return SUCCESS;
  }

  async #peek(
    connection: Socket,
    parts: readonly Uint8Array[],
    max: number,
    sizeAt: number,
  ): Promise<number> {
    while (!this.#readable(connection)) {
      if (connection.flags & NONBLOCK) return this.#again();
      await this.#wait();
    }
    const data = socket.peek(connection.id, max) ?? new Uint8Array(0);
    scatter(data, parts);
    this.#memory.setUint32(sizeAt, data.length);
    return SUCCESS;
  }

  async #send(
    connection: Socket,
    partsAt: number,
    count: number,
    sizeAt: number,
  ): Promise<number> {
    const parts = this.#memory.parts(partsAt, count);
    const length = Math.min(lengthOf(parts), MAX_SIZE);
    this.#memory.setUint32(sizeAt, 0);
    this.#settle();
    for (let sent = 0; sent < length;) {
      if (connection.fault !== undefined) throw connection.fault;
      const room = SEND_BUFFER - connection.queued;
      if (room > 0) {
        const data = gather(parts, sent, Math.min(room, length - sent));
        const sending = socket.send(connection.id, data);
        if (task.status(sending) !== "Running") await task.await(sending);
        this.#watch(sending, connection);
        connection.queued += data.length;
        this.#memory.setUint32(sizeAt, sent += data.length);
      } else if (connection.flags & NONBLOCK) {
        return sent > 0 ? SUCCESS : this.#again();
      } else {
        await this.#wait();
      }
    }
    return SUCCESS;
  }

  async #poll(from: number, to: number, count: number, sizeAt: number): Promise<number> {
    count >>>= 0;
    if (count === 0 || count > MAX_SUBSCRIPTIONS) return INVAL;
    const poll: Poll = {
      subscriptions: this.#memory.view(from, count * SUBSCRIPTION),
      events: this.#memory.view(to, count * EVENT),
      began: performance.now(),
      found: 0,
      next: Infinity,
    };
    this.#memory.setUint32(sizeAt, 0);
    this.#settle();
    this.#look(poll);
    if (poll.found > 0) await this.#breathe();
    while (poll.found === 0) {
      await this.#waitUntil(poll.next);
      this.#look(poll);
    }
    this.#memory.setUint32(sizeAt, poll.found);
    return SUCCESS;
  }

  /** Writes an event for every subscription that has something to tell. */
  #look(poll: Poll): void {
    const { subscriptions, began } = poll;
    const now = performance.now();
    for (let at = 0; at < subscriptions.byteLength; at += SUBSCRIPTION) {
      const kind = subscriptions.getUint8(at + 8);
      if (kind === CLOCK) {
        const clock = subscriptions.getUint32(at + 16, true);
        const time = Number(subscriptions.getBigUint64(at + 24, true)) / 1e6;
        const absolute = subscriptions.getUint16(at + 40, true) & ABSOLUTE;
        if (clock !== REALTIME && clock !== MONOTONIC) {
          report(poll, at, INVAL);
          continue;
        }
        const due = absolute ? time + now - clockNow(clock) : time + began;
        if (due <= now) report(poll, at, SUCCESS);
        else poll.next = Math.min(poll.next, due);
        continue;
      }
      const descriptor = this.#descriptors.get(subscriptions.getUint32(at + 16, true));
      if (kind !== FD_READ && kind !== FD_WRITE) report(poll, at, INVAL);
      else if (descriptor === undefined) report(poll, at, BADF);
      else if (descriptor.kind === "stdio") report(poll, at, SUCCESS);
      else if (kind === FD_WRITE) {
        if (descriptor.writable) report(poll, at, SUCCESS, SEND_BUFFER - descriptor.queued);
      } else if (this.#readable(descriptor)) {
        report(poll, at, SUCCESS, available(descriptor));
      }
    }
  }

  /** Whether a receive or an accept would not wait; if it would, the queue will tell. */
  #readable(descriptor: Socket): boolean {
    if (descriptor.readable || descriptor.deaf) return true;
    if (descriptor.watch !== undefined) return false;
    const id = socket.ready(descriptor.id);
    if (task.take(id) !== undefined) return descriptor.readable = true;
    descriptor.watch = id;
    this.#watch(id, descriptor);
    return false;
  }

  #watch(id: task.TaskId, descriptor: Socket | undefined): void {
    this.#watched.set(id, descriptor);
    this.#queue.add(id);
  }

  /** Gives up what is watched and has not come. */
  #unwatch(id: task.TaskId): void {
    if (!this.#watched.delete(id)) return;
    task.cancel(id);
    task.forget(id);
  }

  /** Notes what has settled. */
  #settle(): void {
    for (let outcome; (outcome = this.#queue.take()) !== undefined;) {
      const descriptor = this.#watched.get(outcome.id);
      this.#watched.delete(outcome.id);
      if (descriptor === undefined) continue; // a clock
      if (descriptor.watch === outcome.id) {
        descriptor.watch = undefined;
        descriptor.readable = true;
      } else if (outcome.status === "Faulted") {
        descriptor.fault ??= outcome.error;
      } else if (typeof outcome.value === "number") {
        descriptor.queued -= outcome.value;
      }
    }
  }

  /** Waits until something settles. */
  async #wait(): Promise<void> {
    this.#hurry = 0;
    await this.#queue.wait();
    this.#checkAlive();
    this.#settle();
  }

  /** Waits until something settles, or the time on the monotonic clock has come. */
  async #waitUntil(time: number): Promise<void> {
    if (time === Infinity) return await this.#wait();
    const clock = task.after(Math.ceil(time - performance.now()));
    this.#watch(clock, undefined);
    try {
      await this.#wait();
    } finally {
      this.#unwatch(clock);
    }
  }

  /** Nothing can be done now: tells the program so. */
  async #again(): Promise<number> {
    await this.#breathe();
    return AGAIN;
  }

  /** Nothing arrives while the program runs: if it never waits, it has to stop at times. */
  async #breathe(): Promise<void> {
    if (++this.#hurry > PATIENCE) await this.#turn();
  }

  async #turn(): Promise<number> {
    this.#hurry = 0;
    await new Promise((resolve) => setImmediate(resolve));
    this.#checkAlive();
    return SUCCESS;
  }

  /** Closes what a number stood for. */
  #release(descriptor: Descriptor): void {
    if (descriptor.kind === "stdio") return;
    if (descriptor.watch !== undefined) this.#unwatch(descriptor.watch);
    if (descriptor.queued === 0 || descriptor.fault !== undefined) socket.close(descriptor.id);
    else linger(descriptor.id);
  }
}

/** A `poll_oneoff` under way. */
interface Poll {
  readonly subscriptions: DataView;
  readonly events: DataView;
  /** When it was called, on the monotonic clock. */
  readonly began: number;
  /** How many events were written. */
  found: number;
  /** When the next clock is due. */
  next: number;
}

function report(poll: Poll, subscription: number, errno: number, size = 0): void {
  const { subscriptions, events } = poll;
  const at = poll.found++ * EVENT;
  events.setUint32(at, subscriptions.getUint32(subscription));
  events.setUint32(at + 4, subscriptions.getUint32(subscription + 4));
  events.setUint16(at + 8, errno, true);
  events.setUint8(at + 10, subscriptions.getUint8(subscription + 8));
  events.setBigUint64(at + 16, BigInt(size), true);
  events.setUint16(at + 24, 0, true);
}

/** How many bytes a receive need not wait for. */
function available({ kind, id }: Socket): number {
  if (kind === "listener" || !socket.isopen(id)) return 0;
  return (socket.inspect(id) as socket.StreamRecord).queuedIn;
}

/** Lets what is queued go out before the connection is closed, as systems do. */
async function linger(id: socket.SocketId): Promise<void> {
  try {
    await task.await(socket.shutdown(id), { timeout: LINGER, cancel: true });
  } catch {
    // Nobody is there any more to be told: the program has closed it, or has ended.
  }
  socket.close(id);
}

/** A clock's time in ms. */
function clockNow(clock: number): number {
  if (clock === REALTIME) return performance.timeOrigin + performance.now();
  if (clock === MONOTONIC) return performance.now();
  throw new Failure(INVAL);
}

/** Text as C has it. */
function encode(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}
