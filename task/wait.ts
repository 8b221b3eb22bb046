import { Bound, checkWaitOptions, type WaitOptions } from "./bound.ts";
import { addIdle, removeIdle, runningCount } from "./record.ts";
import { givenUp } from "./stack.ts";

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
  checkWaitOptions(options);
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
    const bound = new Bound({ expired }, "wait for all tasks", options);
    addIdle(idle);
    bound.arm();
  });
}
