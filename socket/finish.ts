import { awaitTask } from "../task/await.ts";
import { Bound } from "../task/bound.ts";
import { cancel } from "../task/cancel.ts";
import { checkOptions, checkTimeout } from "../task/check.ts";
import type { SocketId, TaskId } from "../task/id.ts";
import { complete, fault, type Owner, RUNNING, Task } from "../task/record.ts";
import { findStream, refuse } from "./lookup.ts";
import type { Stream } from "./stream.ts";

/** How long a gentle close may take. */
export interface FinishOptions {
  /**
   * The longest that it may take until the peer has ended, in milliseconds; up to 0 closes at once.
   *
   * @default {5000}
   */
  timeout?: number;
}

/** The most that is received at once, to be dropped. */
const CHUNK = 64 * 1024;

/**
 * Closes a connection gently: sends what is queued, ends the sending side, receives and drops until the
 * peer has ended, then closes. {@linkcode close} alone drops what is queued here, and if the peer had
 * sent anything that was not received, the system also drops what it has not delivered yet.
 *
 * Cancel safety: the socket stays open. What is queued is still sent, and the sending side has ended;
 * what comes goes to the next recv.
 *
 * State: of a connection: → closed. Receives that were called before come first. Faults `ETIMEDOUT` when
 * the time runs out, with the failure when receiving or sending fails (`ECONNRESET`, `EPIPE`; over TLS
 * `EUNEXPECTEDEOF` if the peer does not end with close_notify): closed all the same. Faults
 * `ECONNABORTED` when it is closed meanwhile, `EBADF` if the socket is closed or unknown, `EOPNOTSUPP` if
 * it is a listener, `ENOTCONN` if it is not connected yet.
 *
 * @param id A connection.
 * @param options `timeout` in milliseconds (default: 5000).
 * @returns The task, Completed when the peer has ended and the connection is closed.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `timeout` is out of range.
 *
 * @example Say good-bye
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const [one, other] = await socket.pair();
 * socket.send(one, "good-bye");
 * const finishing = socket.finish(one);
 * assertEquals((await task.await(socket.recv(other))).length, 8);
 * await task.all([finishing, socket.finish(other)]);
 * assertEquals([one, other].map(socket.isopen), [false, false]);
 * ```
 */
export function finish(id: SocketId, options: FinishOptions = {}): TaskId<void> {
  checkFinish(options);
  const stream = findStream(id);
  return stream === undefined ? refuse("finish", id) : finishStream(stream, options.timeout);
}

export function checkFinish(options: FinishOptions): void {
  checkOptions(options, ["timeout"]);
  if (options.timeout !== undefined) checkTimeout("timeout", options.timeout);
}

/** Closes a connection gently. */
export function finishStream(stream: Stream, timeout: number = 5000): TaskId<void> {
  return new Finish(stream, timeout).task.id;
}

class Finish implements Owner {
  readonly task: Task;
  readonly #stream: Stream;
  readonly #bound: Bound;
  #receiving: TaskId | undefined;
  readonly #onClose = () => this.#failed(this.#fail("ECONNABORTED", "socket was closed"));

  constructor(stream: Stream, timeout: number) {
    this.task = new Task("finish", stream.id, this);
    this.#stream = stream;
    this.#bound = new Bound(this, "finish", { timeout });
    if (isOver(stream)) this.#finished();
    else this.#begin();
  }

  #begin(): void {
    this.#stream.watch(this.#onClose);
    this.#bound.arm();
    if (this.task.state === RUNNING) this.#run();
  }

  async #run(): Promise<void> {
    try {
      // Side by side: a peer may first want to be rid of what it sends.
      await Promise.all([awaitTask(this.#stream.sender.shutdown()), this.#drain()]);
      this.#finished();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Receives until the end. */
  async #drain(): Promise<void> {
    while (this.task.state === RUNNING) {
      const id = this.#receiving = this.#stream.receiver.receive<Uint8Array>("recv", CHUNK);
      if ((await awaitTask(id)).length === 0) return;
    }
  }

  #finished(): void {
    if (this.task.state !== RUNNING) return;
    this.#leave();
    this.#stream.close();
    complete(this.task, undefined);
  }

  #failed(error: unknown): void {
    if (this.task.state !== RUNNING) return;
    this.#leave();
    this.#stream.close();
    fault(this.task, error);
  }

  #leave(): void {
    this.#bound.disarm();
    this.#stream.unwatch(this.#onClose);
  }

  #fail(code: string, text: string): Error {
    return this.#stream.fail(code, "finish", text);
  }

  /** Time ran out. */
  expired(): void {
    this.#failed(this.#fail("ETIMEDOUT", "time ran out before the peer had ended"));
  }

  cancelled(): void {
    this.#leave();
    if (this.#receiving !== undefined) cancel(this.#receiving, "finish was cancelled");
  }

  discarded(): void {}
}

/** Whether the peer has ended and nothing is to be sent but the end, which a close sends as well. */
function isOver({ receiver, sender, tls, upgrade }: Stream): boolean {
  return receiver.ended && !receiver.failed && !sender.busy && !sender.shut && !tls &&
    upgrade === undefined;
}
