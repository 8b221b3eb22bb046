/** The types that all of this package speaks. Public, every one of them. */

/**
 * The integer that stands for a task whose result is a `T`.
 *
 * At run time it is a plain `number`. The phantom properties only carry the
 * result's type to {@linkcode await} and keep task and socket IDs apart for the
 * compiler; a plain `number`, from a WebAssembly guest say, is accepted too.
 *
 * @typeParam T What the task gives once it is Completed.
 */
export type TaskId<T = unknown> = number & {
  readonly __kind?: "task";
  readonly __result?: T;
};

/**
 * The integer that stands for a socket: a connection or a listener.
 *
 * At run time it is a plain `number`. It comes from the same counter as
 * {@linkcode TaskId}, so no socket ever has the number of a task.
 */
export type SocketId = number & {
  readonly __kind?: "socket";
};

/** A task of whatever result. */
// deno-lint-ignore no-explicit-any -- a TaskId<unknown> would lose the result's type
export type AnyTask = TaskId<any>;

/** What a task gives. */
export type ResultOf<S> = S extends TaskId<infer T> ? T : never;

/**
 * What a task came to: its result, or its fault.
 *
 * @typeParam T What the task gives.
 */
export type Outcome<T = unknown> =
  | {
    /** The task. It is claimed, so the ID is Unknown now. */
    readonly id: TaskId<T>;
    /** How it settled. */
    readonly status: "Completed";
    /** Its result. */
    readonly value: T;
  }
  | {
    /** The task. It is claimed, so the ID is Unknown now. */
    readonly id: TaskId<T>;
    /** How it settled. */
    readonly status: "Faulted";
    /** Its fault: a `SocketError`, a {@linkcode CancelledError}, whatever a spawned function threw. */
    readonly error: unknown;
  };

/** How long to wait. Giving up changes nothing about what was waited for. */
export interface WaitOptions {
  /**
   * The longest wait, in milliseconds, at most `2 ** 31 - 1`; up to 0 gives up unless the result is
   * there already. `Infinity` sets no limit.
   *
   * @default {Infinity}
   */
  timeout?: number;
  /**
   * Gives up with the signal's reason when it aborts, unless the result is there already. An
   * earlier listener of the signal's that calls `stopImmediatePropagation` keeps the abort from the
   * wait; it cannot from one on `AbortSignal.any([signal])`.
   */
  signal?: AbortSignal;
}
