import { Bound, checkWaitOptions } from "./core/bound.ts";
import type { AnyTask, TaskId, WaitOptions } from "./core/types.ts";
import { checkId, wrongEmpty, wrongType } from "./core/check.ts";
import { markSeen } from "./core/unseen.ts";
import { addWaiter, find, removeWaiter, RUNNING, type Task, type Waiter } from "./core/record.ts";
import { givenUp } from "./core/stack.ts";

/**
 * Waits until at least one of several tasks is not Running, and claims nothing: who is told takes
 * the results with {@linkcode take}. Awaits of the same tasks keep their claim. For many tasks,
 * again and again, a {@linkcode CompletionQueue} costs less.
 *
 * @typeParam S The tasks.
 * @param ids The tasks, at least one.
 * @param options `timeout` in milliseconds (default: none; up to 0 only looks) and `signal`. When
 * either ends the wait the tasks go on as they were.
 * @returns Those that are not Running when the promise is fulfilled, in the order given. An
 * Unknown ID is not Running, so it is among them. Rejects with {@linkcode TimeoutError} or the
 * signal's reason.
 * @throws {TypeError} If `ids` is not iterable or holds something else than integers, or an option
 * has the wrong type or name.
 * @throws {RangeError} If `ids` is empty, which would never end, or `timeout` is out of range.
 *
 * @example Whichever of two clients speaks
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const [silent, client] = await Promise.all([pair(), pair()]);
 * const waiting = [socket.recv(silent[1]), socket.recv(client[1])];
 * socket.send(client[0], "hello");
 * const [first] = await task.settled(waiting);
 * assertEquals(first, waiting[1]);
 * const outcome = task.take(first)!;
 * assertEquals(outcome.status, "Completed");
 * assertEquals(task.status(waiting[0]), "Running");
 * [...silent, ...client].forEach(socket.close);
 *
 * async function pair() {
 *   const server = socket.tcpserver("127.0.0.1", 0);
 *   const client = await socket.tcpconnect(...socket.getlocal(server));
 *   const peer = await task.await(socket.accept(server));
 *   socket.close(server);
 *   return [client, peer];
 * }
 * ```
 */
export function settled<S extends AnyTask>(
  ids: Iterable<S>,
  options: WaitOptions = {},
): Promise<S[]> {
  if (typeof ids?.[Symbol.iterator] !== "function") {
    throw wrongType("ids", "an iterable of task IDs", ids);
  }
  const checked = checkWaitOptions(options);
  const list = [...ids];
  list.forEach((id) => checkId("ids", id));
  if (list.length === 0) throw wrongEmpty("ids", "at least one task", "an empty iterable");
  const now = list.filter(isNotRunning);
  if (now.length > 0) return Promise.resolve(now);
  return new Promise<void>((resolve) => {
    new FirstSettled(list.map((id) => find(id)!), checked, resolve);
  }).then(() => list.filter(isNotRunning)); // all that have settled in the same turn
}

/** Being told that a task has settled is a look at it. */
function isNotRunning(id: TaskId): boolean {
  const task = find(id);
  if (task === undefined) return true;
  if (task.unseen) markSeen(task);
  return task.state !== RUNNING;
}

/** One waiter on several Running tasks. */
class FirstSettled implements Waiter {
  readonly #tasks: readonly Task[];
  readonly #bound: Bound;
  readonly #resolve: (rejected?: Promise<never>) => void;

  constructor(
    tasks: readonly Task[],
    options: WaitOptions,
    resolve: (rejected?: Promise<never>) => void,
  ) {
    this.#tasks = tasks;
    this.#resolve = resolve;
    this.#bound = new Bound(this, "settled", options);
    for (const task of tasks) addWaiter(task, this);
    this.#bound.arm();
  }

  settled(): boolean {
    this.#bound.disarm();
    this.#leave();
    this.#resolve();
    return false;
  }

  expired(reason: unknown): void {
    this.#leave();
    this.#resolve(givenUp(reason));
  }

  #leave(): void {
    for (const task of this.#tasks) removeWaiter(task, this);
  }
}
