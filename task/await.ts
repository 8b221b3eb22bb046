import { Bound, checkWaitOptions, type WaitOptions } from "./bound.ts";
import { cancelTask, forgetTask } from "./cancel.ts";
import { checkBoolean, checkId } from "./check.ts";
import { UnknownTaskError } from "./errors.ts";
import { markSeen } from "./faults.ts";
import type { TaskId } from "./id.ts";
import {
  addWaiter,
  claim,
  COMPLETED,
  find,
  promiseOf,
  removeWaiter,
  RUNNING,
  type Task,
  type Waiter,
} from "./record.ts";

/** How long to wait for a task, and what becomes of it when the wait is given up. */
export interface AwaitOptions extends WaitOptions {
  /**
   * Whether giving up cancels the task, and forgets it. Without it the task goes on: an abandoned recv
   * takes the bytes that the next one was to have.
   *
   * @default {false}
   */
  cancel?: boolean;
}

const AWAIT_OPTIONS = ["timeout", "signal", "cancel"];

/**
 * Waits for a task and claims its result: afterwards the ID is Unknown. Several awaits
 * made before the task settles all get the result. A task that has settled already is claimed
 * within the call. A task in a {@linkcode CompletionQueue} does not come there any more, unless the
 * await gives up.
 *
 * Whoever gives up an operation after a time says `{ timeout, cancel: true }`: nothing is lost by
 * that, while a recv that is only abandoned goes on and takes the bytes of the next one.
 *
 * Exported as `await`: `task.await(id)`.
 *
 * @typeParam T What the task gives.
 * @param id The task.
 * @param options `timeout` in milliseconds (default: none) and `signal`. When either ends
 * the wait the task goes on as it was, still to be awaited; with `cancel: true` it is cancelled and
 * forgotten, and other awaits of it get the {@linkcode CancelledError}.
 * @returns The task's result.
 * @throws {TypeError} If `id` is not an integer or an option has the wrong type or name.
 * @throws {RangeError} If `timeout` is out of range.
 *
 * The promise rejects with the task's fault; with {@linkcode UnknownTaskError} if there is
 * no such task (any more); with {@linkcode TimeoutError} or the signal's reason, with `cancel: true`, too.
 *
 * @example Await a received message
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * socket.send(peer, "hello");
 * const data = await task.await(socket.recv(client), { timeout: 1000, cancel: true });
 * assertEquals(new TextDecoder().decode(data), "hello");
 * [client, peer, server].forEach(socket.close);
 * ```
 *
 * @example A timeout and a retry that lose nothing
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * const receive = (timeout: number) =>
 *   task.await(socket.recvLine(client), { timeout, cancel: true });
 * await assertRejects(() => receive(1), task.TimeoutError);
 * socket.send(peer, "late\n");
 * assertEquals(await receive(1000), "late");
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function awaitTask<T>(id: TaskId<T>, options?: AwaitOptions): Promise<T> {
  if (options !== undefined) checkAwaitOptions(options);
  const task = find(id);
  if (task === undefined) {
    checkId("id", id);
    return Promise.reject(new UnknownTaskError(id));
  }
  if (task.state !== RUNNING) {
    markSeen(task);
    claim(task);
    return outcome<T>(task);
  }
  if (options === undefined) return promiseOf(task) as Promise<T>;
  return new Promise((resolve, reject) => new BoundedAwait(task, options, resolve, reject));
}

function checkAwaitOptions(options: AwaitOptions): void {
  checkWaitOptions(options, AWAIT_OPTIONS);
  if (options.cancel !== undefined) checkBoolean("cancel", options.cancel);
}

function outcome<T>(task: Task): Promise<T> {
  return task.state === COMPLETED
    ? Promise.resolve(task.value as T)
    : Promise.reject(task.value as Error);
}

/** An await that can be given up: it then leaves the task without claiming it, or cancels it. */
class BoundedAwait<T> implements Waiter {
  readonly #task: Task;
  readonly #bound: Bound;
  readonly #cancel: boolean;
  readonly #resolve: (value: T) => void;
  readonly #reject: (reason: unknown) => void;

  constructor(
    task: Task,
    options: AwaitOptions,
    resolve: (value: T) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#task = task;
    this.#cancel = options.cancel ?? false;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#bound = new Bound(this, `await of ${task.kind} task ${task.id}`, options);
    addWaiter(task, this);
    this.#bound.arm();
  }

  settled(task: Task): boolean {
    this.#bound.disarm();
    if (task.state === COMPLETED) this.#resolve(task.value as T);
    else this.#reject(task.value);
    return true;
  }

  expired(reason: unknown): void {
    removeWaiter(this.#task, this);
    this.#reject(reason);
    if (!this.#cancel) return;
    forgetTask(this.#task);
    cancelTask(this.#task, reason);
  }
}
