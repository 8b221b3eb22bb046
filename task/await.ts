import { Bound, checkWaitOptions } from "./core/bound.ts";
import type { TaskId, WaitOptions } from "./core/types.ts";
import {
  addIdle,
  addWaiter,
  claim,
  COMPLETED,
  errorOf,
  find,
  promiseOf,
  rejectionOf,
  removeIdle,
  removeWaiter,
  RUNNING,
  runningCount,
  type Task,
  type Waiter,
} from "./core/record.ts";
import { givenUp } from "./core/stack.ts";
import { cancelTask, forgetTask } from "./core/work.ts";
import { checkBoolean, checkId } from "./core/check.ts";
import { UnknownTaskError } from "./core/errors.ts";
import { markSeen } from "./core/unseen.ts";

/** How long to wait for a task, and what becomes of it when the wait is given up. */
export interface AwaitOptions extends WaitOptions {
  /**
   * Whether giving up cancels the task, and forgets it. Without it the task goes on: an abandoned
   * recv takes the bytes that the next one was to have.
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
 * The promise rejects with the task's fault; with {@linkcode UnknownTaskError} if there is no such
 * task (any more); with {@linkcode TimeoutError} or the signal's reason, with `cancel: true`, too.
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
function awaitTask<T>(id: TaskId<T>, options?: AwaitOptions): Promise<T> {
  const checked = options === undefined ? undefined : checkAwaitOptions(options);
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
  if (checked === undefined) return promiseOf(task) as Promise<T>;
  return new Promise((resolve) => new BoundedAwait(task, checked, resolve));
}

function checkAwaitOptions(options: AwaitOptions): AwaitOptions {
  const { timeout, signal } = checkWaitOptions(options, AWAIT_OPTIONS);
  const { cancel = false } = options;
  checkBoolean("cancel", cancel);
  return { timeout, signal, cancel };
}

function outcome<T>(task: Task): Promise<T> {
  return task.state === COMPLETED
    ? Promise.resolve(task.value as T)
    : Promise.reject(errorOf(task, awaitTask));
}

/** An await that can be given up: it then leaves the task without claiming it, or cancels it. */
class BoundedAwait<T> implements Waiter {
  readonly #task: Task;
  readonly #bound: Bound;
  readonly #cancel: boolean;
  readonly #resolve: (value: T | Promise<never>) => void;

  constructor(
    task: Task,
    options: AwaitOptions,
    resolve: (value: T | Promise<never>) => void,
  ) {
    this.#task = task;
    this.#cancel = options.cancel ?? false;
    this.#resolve = resolve;
    this.#bound = new Bound(this, `await of ${task.kind} task ${task.id}`, options);
    addWaiter(task, this);
    this.#bound.arm();
  }

  settled(task: Task): boolean {
    this.#bound.disarm();
    this.#resolve(task.state === COMPLETED ? task.value as T : rejectionOf(task));
    return true;
  }

  expired(reason: unknown): void {
    removeWaiter(this.#task, this);
    this.#resolve(givenUp(reason));
    if (!this.#cancel) return;
    forgetTask(this.#task);
    cancelTask(this.#task, reason);
  }
}

/**
 * Waits until no task is Running. Settled tasks that nobody has claimed do not count; a
 * spawned function that calls this waits for itself, so give it a `timeout`.
 *
 * @param options `timeout` in milliseconds (default: none) and `signal`.
 * @returns A promise that resolves at the moment the last Running task settles.
 * @throws {TypeError} If an option has the wrong type or name.
 * @throws {RangeError} If `timeout` is out of range.
 *
 * The promise rejects with {@linkcode TimeoutError} or the signal's reason; all tasks go on.
 *
 * @example Wait for everything that was started
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const ids = [3, 1, 2].map((n) => task.spawn(() => task.sleep(n).then(() => n)));
 * await task.wait({ timeout: 1000 });
 * assertEquals(ids.map((id) => task.result(id)), [3, 1, 2]);
 * ids.forEach(task.forget);
 * ```
 */
export function wait(options: WaitOptions = {}): Promise<void> {
  const checked = checkWaitOptions(options);
  if (runningCount() === 0) return Promise.resolve();
  return new Promise((resolve) => {
    const idle = () => {
      bound.disarm();
      resolve();
    };
    const expired = (reason: unknown) => {
      removeIdle(idle);
      resolve(givenUp(reason));
    };
    const bound = new Bound({ expired }, "wait for all tasks", checked);
    addIdle(idle);
    bound.arm();
  });
}

export { awaitTask as await };
