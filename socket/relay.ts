import { await as awaitTask } from "../task/await.ts";
import { cancel } from "../task/cancel.ts";
import {
  checkId,
  complete,
  fault,
  type Owner,
  refuseOptions,
  RUNNING,
  type SocketId,
  Task,
  type TaskId,
  wrongRange,
} from "../task/core/mod.ts";
import { countAgain } from "./core/failure.ts";
import { handOver } from "./core/handover.ts";
import { findStream, refuse } from "./core/lookup.ts";
import type { Stream } from "./core/stream.ts";

/** The most that is held of each direction, in bytes. */
const CHUNK = 64 * 1024;
/** Bytes that come in chunks of this size or more share one buffer: new memory costs more than they. */
const BULK = 16 * 1024;

/**
 * Copies bytes between two connections, both ways, until both have ended; then closes both. The end
 * of one side is passed on to the other as `shutdown`, so that the way back goes on. Of each
 * direction at most 64 KiB are held: a slow receiver makes its sender slow.
 *
 * Cancel safety: loses nothing and closes nothing. What was received is still sent; both sockets
 * stay open, and what comes next goes to the next recv.
 *
 * State: of two connections. If one fails, both are closed, and the task faults with the failure:
 * `ECONNRESET`, `EPIPE` ... Faults `EBADF` if a socket is closed or unknown, `EOPNOTSUPP` if it is
 * a listener, `ECONNABORTED` when one is closed meanwhile. Over TLS, too, the other side then sees
 * its stream end as if it were whole: what must not be cut unnoticed says how long it is.
 *
 * @param a A connection.
 * @param b Another one.
 * @returns The task; its result is how many bytes went from `a` to `b` and from `b` to `a`.
 * @throws {TypeError} If an argument is not an integer.
 * @throws {RangeError} If both are the same.
 *
 * @example In the middle of a connection
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const pair = async () => {
 *   const client = await socket.tcpconnect(...socket.getlocal(server));
 *   return [client, await task.await(socket.accept(server))];
 * };
 * const [client, a] = await pair();
 * const [b, backend] = await pair();
 * const relaying = socket.relay(a, b);
 *
 * socket.send(client, "ping");
 * assertEquals((await task.await(socket.recv(backend))).length, 4);
 * [client, backend].forEach(socket.shutdown);
 * assertEquals(await task.await(relaying), [4, 0]);
 * [client, backend, server].forEach(socket.close);
 * ```
 */
export function relay(a: SocketId, b: SocketId): TaskId<[number, number]> {
  if (arguments.length > 2) refuseOptions("relay", arguments[2]);
  checkId("a", a);
  checkId("b", b);
  const [one, other] = [findStream(a), findStream(b)];
  if (one === undefined) return refuse("relay", a);
  if (other === undefined) return refuse("relay", b);
  if (one === other) throw wrongRange("b", "another connection than a", b);
  return new Relay(one, other).task.id;
}

class Relay implements Owner {
  readonly task: Task;
  readonly #a: Stream;
  readonly #b: Stream;
  /** The receives under way, for cancelling them. */
  readonly #receiving: Set<TaskId> = new Set();
  readonly #onClose = () => this.#failed(this.#aborted());

  constructor(a: Stream, b: Stream) {
    this.task = new Task("relay", a.id, this);
    this.#a = a;
    this.#b = b;
    for (const stream of [a, b]) stream.watch(this.#onClose);
    this.#run();
  }

  async #run(): Promise<void> {
    try {
      const counts = await Promise.all([
        this.#copy(this.#a, this.#b),
        this.#copy(this.#b, this.#a),
      ]);
      if (this.task.state !== RUNNING) return;
      this.#close();
      complete(this.task, counts);
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (this.task.state !== RUNNING) return;
    fault(this.task, error);
    this.#close();
    countAgain(error);
  }

  #aborted(): Error {
    const closed = this.#a.closed ? this.#a : this.#b;
    return closed.fail("ECONNABORTED", "relay", "socket was closed");
  }

  async #copy(from: Stream, to: Stream): Promise<number> {
    let count = 0;
    let buffer: Uint8Array | undefined;
    while (this.task.state === RUNNING) {
      const passed = await this.#receive(from, to, buffer);
      if (to.closed || (passed === undefined && this.task.state !== RUNNING)) {
        passed?.sent.catch(() => {}); // the close says it all
        return count;
      }
      if (passed === undefined) {
        await awaitTask(to.sender.shutdown());
        return count;
      }
      const sent = await passed.sent;
      count += sent;
      buffer = sent < BULK ? undefined : buffer ?? new Uint8Array(CHUNK);
    }
    return count;
  }

  /**
   * Receives once, and begins at once to send that: what the program then sends comes after it. It
   * is awaited at once, too, since nobody else claims it; in an object, or this would wait for it.
   */
  async #receive(
    { receiver }: Stream,
    to: Stream,
    buffer: Uint8Array | undefined,
  ): Promise<{ sent: Promise<number> } | undefined> {
    const task = receiver.begin("recv", CHUNK, buffer);
    this.#receiving.add(task.id);
    try {
      return await handOver(task, (received: Uint8Array | number) => {
        const data = typeof received === "number" ? buffer!.subarray(0, received) : received;
        if (data.length === 0 || to.closed) return undefined;
        return { sent: awaitTask(to.sender.send(data, "send")) };
      });
    } finally {
      this.#receiving.delete(task.id);
    }
  }

  #close(): void {
    this.#leave();
    this.#a.close();
    this.#b.close();
  }

  #leave(): void {
    for (const stream of [this.#a, this.#b]) stream.unwatch(this.#onClose);
  }

  cancelled(): void {
    this.#leave();
    this.#receiving.forEach((id) => cancel(id, "relay was cancelled"));
  }
}
