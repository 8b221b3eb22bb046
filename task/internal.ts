/**
 * The door of `task/` for `socket/` and `tls/`: all that they take from its inside, and nothing else
 * of it. Programs use `mod.ts`.
 *
 * What passes here is the seam between the two: whoever does an operation makes a {@linkcode Task},
 * keeps it in a {@linkcode Queue} while it is pending, is told by {@linkcode Owner.cancelled} when nobody
 * wants it any more, and ends it with {@linkcode complete} or {@linkcode fault}. A result that must not
 * be dropped for want of room goes on a {@linkcode Shelf}.
 *
 * @module
 */

// Tasks: made, settled, found, let go of.
export {
  complete,
  DeferredFault,
  drop,
  fault,
  find,
  makeDroppable,
  type Owner,
  RUNNING,
  Task,
} from "./record.ts";
export { nothingHeld, Shelf } from "./shelf.ts";
export { type Link, Queue } from "./queue.ts";
export { type AwaitOptions, awaitTask } from "./await.ts";
export { cancel, forgetTask } from "./cancel.ts";
export { start } from "./spawn.ts";
export { reportFault } from "./faults.ts";
export { CancelledError, TimeoutError } from "./errors.ts";

// IDs and the tables that they are keys of.
export { nextId, type SocketId, type TaskId, wasIssued } from "./id.ts";
export { IdTable } from "./table.ts";

// Time, and the bounds of a wait.
export { Bound, checkWaitOptions, type WaitOptions } from "./bound.ts";
export { sleep } from "./clock.ts";
export { now } from "./now.ts";

// Checks of arguments.
export {
  checkBoolean,
  checkFunction,
  checkId,
  checkInteger,
  checkOptions,
  checkSignal,
  checkString,
  checkTimeout,
  wrongRange,
  wrongType,
} from "./check.ts";
