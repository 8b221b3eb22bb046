/**
 * The loops over what a socket gives: {@linkcode connections}, {@linkcode chunks} and {@linkcode lines}.
 *
 * Theory of operation. Each `next` begins one task and has its result at the very moment that it settles;
 * the order among several is the socket's own, which serves in order of calls. Nothing is begun ahead of a
 * `next`, so a loop that is left has nothing in hand. Leaving cancels what is pending, which by cancel
 * safety loses nothing.
 *
 * They are written by hand: an async generator cannot give up a pending `next`, and tells of a bad
 * argument only when it is first asked.
 */
import {
  addWaiter,
  cancelTask,
  checkId,
  claim,
  COMPLETED,
  find,
  rejectionOf,
  RUNNING,
  type SocketId,
  type Task,
  type TaskId,
  type Waiter,
} from "../task/core/mod.ts";
import { accept } from "./accept.ts";
import { checkUntilOptions, recvLine, type UntilOptions } from "./framing.ts";
import type { Listener } from "./core/listener.ts";
import { findListener } from "./core/lookup.ts";
import { checkMax, recv } from "./recv.ts";

/**
 * Accepts connections, one after the other, for `for await`. Any number of loops may run on one listener;
 * they share the connections.
 *
 * Cancel safety: leaving the loop cancels the accept that is pending, if any, and loses nothing: the next
 * accept gets the connection. `return` does so at once, and a pending `next` is done.
 *
 * State: of a listener, which stays open. The loop ends when the listener is closed. Otherwise as
 * {@linkcode accept}, whose codes it throws; the listener stays usable after `EMFILE` and the like, for
 * another loop. After a failure, too, every later `next` is done.
 *
 * @param server A listener.
 * @returns The connections. They are the caller's to close.
 * @throws {TypeError} If `server` is not an integer.
 *
 * @example Two clients
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const address = socket.getlocal(server);
 * const clients = [await socket.tcpconnect(...address), await socket.tcpconnect(...address)];
 * let count = 0;
 * for await (const id of socket.connections(server)) {
 *   socket.close(id);
 *   if (++count === 2) socket.close(server);
 * }
 * assertEquals(count, 2);
 * clients.forEach(socket.close);
 * ```
 */
export function connections(server: SocketId): AsyncIterableIterator<SocketId, undefined> {
  checkId("server", server);
  return new Connections(server, () => accept(server));
}

/**
 * Receives until the end of the stream, for `for await`: what {@linkcode recv} gives, time after time.
 * Loops and receives on one connection share what comes, in the order of their calls.
 *
 * Cancel safety: leaving the loop cancels the recv that is pending, if any, and loses nothing: the next
 * receive gets the bytes. `return` does so at once, and a pending `next` is done.
 *
 * State: of a connection, which stays open. The loop ends at the end of the stream. Otherwise as `recv`,
 * whose codes it throws: `ECONNRESET` …, `ECONNABORTED` or `EBADF` when the program closes the socket
 * meanwhile. After a failure every later `next` is done.
 *
 * @param id A connection.
 * @param max The most bytes to give at once, from 1. Default: 4096.
 * @returns The bytes, never none.
 * @throws {TypeError} If `id` is not an integer or `max` not a number.
 * @throws {RangeError} If `max` is not an integer from 1.
 *
 * @example Echo until the end
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const [client, peer] = await socket.pair();
 * socket.send(client, "hello");
 * socket.shutdown(client);
 * for await (const data of socket.chunks(peer)) await task.await(socket.send(peer, data));
 * assertEquals(await task.await(socket.recvExact(client, 5)), new TextEncoder().encode("hello"));
 * [client, peer].forEach(socket.close);
 * ```
 */
export function chunks(
  id: SocketId,
  max?: number,
): AsyncIterableIterator<Uint8Array<ArrayBuffer>, undefined> {
  checkId("id", id);
  if (max !== undefined) checkMax(max);
  return new Chunks(() => recv(id, max));
}

/**
 * Receives lines of text until the end of the stream, for `for await`: what {@linkcode recvLine} gives,
 * time after time.
 *
 * Cancel safety: leaving the loop cancels the receive that is pending, if any, and loses nothing: what has
 * come stays for the next receive. `return` does so at once, and a pending `next` is done.
 *
 * State: of a connection, which stays open. The loop ends at the end of the stream. Otherwise as
 * `recvLine`, whose codes it throws: `EMSGSIZE` for a line longer than `max`, which stays readable;
 * `ECONNABORTED` or `EBADF` when the program closes the socket meanwhile. After a failure every later
 * `next` is done.
 *
 * @param id A connection.
 * @param options `max`: the longest line in bytes, with its end. Default: 65536.
 * @returns The lines, without `\n` or `\r\n`.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `max` is not an integer from 1.
 *
 * @example Commands
 * ```ts
 * import { socket } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const [client, peer] = await socket.pair();
 * socket.send(client, "HELO\r\nQUIT\r\nignored");
 * const commands: string[] = [];
 * for await (const line of socket.lines(peer)) {
 *   commands.push(line);
 *   if (line === "QUIT") break;
 * }
 * assertEquals(commands, ["HELO", "QUIT"]);
 * [client, peer].forEach(socket.close);
 * ```
 */
export function lines(
  id: SocketId,
  options: UntilOptions = {},
): AsyncIterableIterator<string, undefined> {
  checkId("id", id);
  const max = checkUntilOptions(options);
  return new Lines(() => recvLine(id, { max }));
}

type Result<T> = IteratorResult<T, undefined>;
type Resolve<T> = (result: Result<T> | Promise<never>) => void;

const done = (): Result<never> => ({ done: true, value: undefined });

/** A loop over the results of tasks. */
abstract class Results<T> implements AsyncIterableIterator<T, undefined> {
  #done = false;
  /** Every `next` that is pending. */
  readonly #steps: Set<Step<T>> = new Set();
  readonly #begin: () => TaskId<T | null>;

  /** @param begin Begins the task of one `next`. */
  constructor(begin: () => TaskId<T | null>) {
    this.#begin = begin;
  }

  /** Whether this is the end of the stream and no result. */
  protected abstract isEnd(value: T | null): boolean;
  /** Whether a failure only tells that there will be no more. */
  protected isOver(): boolean {
    return false;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Result<T>> {
    if (this.#done) return Promise.resolve(done());
    const task = find(this.#begin())!; // not claimed yet
    return new Promise((resolve) => {
      const step = new Step(this, task, resolve);
      if (task.state === RUNNING) {
        this.#steps.add(step);
        addWaiter(task, step);
      } else {
        claim(task);
        step.settled(task);
      }
    });
  }

  return(): Promise<Result<T>> {
    this.#done = true;
    this.#leave();
    return Promise.resolve(done());
  }

  /** What one `next` gives. */
  resultOf(step: Step<T>, task: Task): Result<T> | Promise<never> {
    this.#steps.delete(step);
    if (task.state === COMPLETED && !this.isEnd(task.value as T | null)) {
      return { done: false, value: task.value as T };
    }
    if (this.#done) return done();
    this.#done = true;
    // Not now: the socket is in the midst of settling.
    if (this.#steps.size > 0) queueMicrotask(() => this.#leave());
    return task.state === COMPLETED || this.isOver() ? done() : rejectionOf(task);
  }

  /** Cancels what is pending. */
  #leave(): void {
    for (const { task } of [...this.#steps]) cancelTask(task, "the loop was left");
  }
}

/** A pending `next`. */
class Step<T> implements Waiter {
  readonly task: Task;
  readonly #results: Results<T>;
  readonly #resolve: Resolve<T>;

  constructor(results: Results<T>, task: Task, resolve: Resolve<T>) {
    this.task = task;
    this.#results = results;
    this.#resolve = resolve;
  }

  settled(task: Task): boolean {
    this.#resolve(this.#results.resultOf(this, task));
    return true;
  }
}

/** The loop over what a listener gives. */
export class Connections extends Results<SocketId> {
  readonly #server: SocketId;
  #listener: Listener | undefined;

  constructor(server: SocketId, begin: () => TaskId<SocketId>) {
    super(begin);
    this.#server = server;
  }

  override next(): Promise<Result<SocketId>> {
    this.#listener ??= findListener(this.#server);
    return super.next();
  }

  protected isEnd(): boolean {
    return false;
  }

  /** A listener ends when it is closed; what never was one is a failure. */
  protected override isOver(): boolean {
    return this.#listener?.closed ?? false;
  }
}

/** The loop over bytes. */
export class Chunks extends Results<Uint8Array<ArrayBuffer>> {
  protected isEnd(value: Uint8Array<ArrayBuffer>): boolean {
    return value.length === 0;
  }
}

/** The loop over lines. */
export class Lines extends Results<string> {
  protected isEnd(value: string | null): boolean {
    return value === null;
  }
}
