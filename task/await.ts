import { Bound, checkWaitOptions, type WaitOptions } from "./bound.ts";
import { checkId } from "./check.ts";
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

/**
 * Waits for a task and claims its result: afterwards the ID is Unknown. Several awaits
 * made before the task settles all get the result. A task that has settled already is claimed
 * within the call, so a program that polls may look at `result` and claim by an await that it ignores.
 *
 * Exported as `await`: `task.await(id)`.
 *
 * @typeParam T What the task gives.
 * @param id The task.
 * @param options `timeout` in milliseconds (default: none) and `signal`. When either ends
 * the wait the task goes on as it was, still to be awaited.
 * @returns The task's result.
 * @throws {TypeError} If `id` is not an integer or an option has the wrong type or name.
 * @throws {RangeError} If `timeout` is out of range.
 *
 * The promise rejects with the task's fault; with {@linkcode UnknownTaskError} if there is
 * no such task (any more); with {@linkcode TimeoutError} or the signal's reason.
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
 * const data = await task.await(socket.recv(client), { timeout: 1000 });
 * assertEquals(new TextDecoder().decode(data), "hello");
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function awaitTask<T>(id: TaskId<T>, options?: WaitOptions): Promise<T> {
  if (options !== undefined) checkWaitOptions(options);
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

function outcome<T>(task: Task): Promise<T> {
  return task.state === COMPLETED
    ? Promise.resolve(task.value as T)
    : Promise.reject(task.value as Error);
}

/** An await that can be given up: it then leaves the task without claiming it. */
class BoundedAwait<T> implements Waiter {
  readonly #task: Task;
  readonly #bound: Bound;
  readonly #resolve: (value: T) => void;
  readonly #reject: (reason: unknown) => void;

  constructor(
    task: Task,
    options: WaitOptions,
    resolve: (value: T) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#task = task;
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
  }
}
