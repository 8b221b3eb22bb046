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

let last = 0;

/** The next integer: one counter for sockets and tasks, from 1, never reused. */
export function nextId(): number {
  return ++last;
}

/** Whether this integer was ever given out, to a socket or to a task. */
export function wasIssued(id: number): boolean {
  return id >= 1 && id <= last;
}
