import { checkDelay } from "./check.ts";
import type { TaskId } from "./id.ts";
import { complete, type Owner, Task } from "./record.ts";

/**
 * A timer as a task: it Completes when the time is over. For hosts that wait for a time as they wait for
 * bytes, in a {@linkcode CompletionQueue} or a {@linkcode select}. While it is Running it keeps
 * the process alive.
 *
 * Cancel safety: cancelling clears the timer.
 *
 * State: works on no socket.
 *
 * @param ms How long, in milliseconds, at most 2³¹−1; up to 0: the task is Completed at once.
 * @returns The task.
 * @throws {TypeError} If `ms` is not a number.
 * @throws {RangeError} If `ms` is NaN or too large.
 *
 * @example A clock beside a socket
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const accepting = socket.accept(server);
 * const tick = task.after(2);
 * const { index } = await task.select([accepting, tick]);
 * assertEquals(index, 1);
 * socket.close(server);
 * ```
 */
export function after(ms: number): TaskId<void> {
  checkDelay("ms", ms);
  return new Alarm(ms).task.id;
}

/** The owner of a timer task. */
class Alarm implements Owner {
  readonly task: Task = new Task("after", 0, this);
  readonly #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ms: number) {
    if (ms <= 0) complete(this.task, undefined);
    else this.#timer = setTimeout(complete, ms, this.task, undefined);
  }

  cancelled(): void {
    clearTimeout(this.#timer);
  }
}
