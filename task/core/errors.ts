import { nameOf, wasIssued } from "./ids.ts";

/**
 * The fault of a task that was cancelled.
 *
 * @example Recognize a cancelled task
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const id = task.spawn(() => task.sleep(60_000));
 * task.cancel(id, "no longer needed");
 * assertEquals((task.error(id) as task.CancelledError).code, "ECANCELED");
 * ```
 */
export class CancelledError extends Error {
  /** Always `"CancelledError"`. */
  override readonly name = "CancelledError";
  /** Always `"ECANCELED"`. */
  readonly code = "ECANCELED";
  /** The number Linux gives this code: 125. */
  readonly errno = 125;

  /**
   * Made by {@linkcode cancel}.
   *
   * @param id The task that was cancelled.
   * @param kind What kind of task it was: `"recv"`, `"spawn"` ...
   * @param reason What was given to `cancel`; becomes the `cause`.
   */
  constructor(id: number, kind: string, reason?: unknown) {
    const why = typeof reason === "string" ? `: ${reason}` : "";
    super(
      `${kind} task ${id} was cancelled${why} (ECANCELED)`,
      reason === undefined ? undefined : { cause: reason },
    );
  }
}

/**
 * Rejects a wait whose `timeout` ran out. What was waited for is as it was, unless it was asked
 * for that it be cancelled. An operation that has a `timeout` of its own, such as `socket.connect`,
 * is given up with it, and faults with a `SocketError` of the same code instead.
 *
 * @example Give up waiting, not the task
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const id = task.spawn(() => task.sleep(20).then(() => "late"));
 * await assertRejects(() => task.await(id, { timeout: 1 }), task.TimeoutError);
 * assertEquals(await task.await(id), "late");
 * ```
 */
export class TimeoutError extends Error {
  /** Always `"TimeoutError"`. */
  override readonly name = "TimeoutError";
  /** Always `"ETIMEDOUT"`. */
  readonly code = "ETIMEDOUT";
  /** The number Linux gives this code: 110. */
  readonly errno = 110;

  /**
   * Made by every call that takes a `timeout`.
   *
   * @param what What was waited for: `"await of task 7"`.
   * @param timeout How long it waited, in milliseconds.
   */
  constructor(what: string, timeout: number) {
    super(`${what} timed out after ${timeout} ms (ETIMEDOUT)`);
  }
}

/**
 * There is no such task: its result was already claimed, forgotten or dropped as one of too many
 * unclaimed ones; or the ID is that of a socket, or was never given out. The message says which.
 *
 * @example Await twice
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertRejects } from "@std/assert";
 *
 * const id = task.spawn(() => 42);
 * await task.await(id);
 * await assertRejects(() => task.await(id), task.UnknownTaskError, `Task ${id} not found.`);
 * ```
 */
export class UnknownTaskError extends Error {
  /** Always `"UnknownTaskError"`. */
  override readonly name = "UnknownTaskError";
  /** Always `"ESRCH"`. */
  readonly code = "ESRCH";
  /** The number Linux gives this code: 3. */
  readonly errno = 3;

  /**
   * Made by {@linkcode await} and by the calls that wait for several tasks.
   *
   * @param id The ID that stands for no task.
   */
  constructor(id: number) {
    super(`Task ${id} not found. ${explain(id)}`);
  }
}

function explain(id: number): string {
  const name = nameOf(id);
  if (name !== undefined) return `It is ${name}`;
  return wasIssued(id)
    ? "It was claimed or dropped already, or was a socket"
    : "No such ID was ever given out";
}

/**
 * Rejects a send to a closed channel, and one that was still waiting for room when
 * the channel closed. The value was not delivered: here it is again.
 *
 * @typeParam T What the channel carries.
 *
 * @example Get the value back
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const jobs = task.channel<string>();
 * jobs.close();
 * await jobs.send("sweep").catch((error) => assertEquals(error.value, "sweep"));
 * ```
 */
export class ChannelClosedError<T = unknown> extends Error {
  /** Always `"ChannelClosedError"`. */
  override readonly name = "ChannelClosedError";
  /** Always `"EPIPE"`. */
  readonly code = "EPIPE";
  /** The number Linux gives this code: 32. */
  readonly errno = 32;
  /** The value that was not delivered. */
  readonly value: T;

  /**
   * Made by {@linkcode Channel.send}.
   *
   * @param value The value that was not delivered.
   */
  constructor(value: T) {
    super("Cannot send: the channel is closed (EPIPE)");
    this.value = value;
  }
}
