/**
 * The door of `task/` for `socket/` and `tls/`: all that they take from its inside, and nothing
 * else of it. Programs use `mod.ts`.
 *
 * What passes here is the seam between the two: whoever does an operation makes a {@linkcode Task},
 * keeps it in a {@linkcode Queue} while it is pending, is told by {@linkcode Owner.cancelled} when
 * nobody wants it any more, and ends it with {@linkcode complete} or {@linkcode fault}. A result
 * that must not be dropped for want of room goes on a {@linkcode Shelf}.
 *
 * @module
 */

export type { SocketId, TaskId, WaitOptions } from "./types.ts";
export { CancelledError, TimeoutError } from "./errors.ts";

// Tasks: made, settled, found, claimed, let go of.
export {
  addWaiter,
  claim,
  complete,
  COMPLETED,
  DeferredFault,
  drop,
  fault,
  find,
  makeDroppable,
  nothingHeld,
  type Owner,
  rejectionOf,
  RUNNING,
  Shelf,
  Task,
  type Waiter,
} from "./record.ts";
export { type Link, Queue } from "./queue.ts";
export { cancelTask, forgetTask, start } from "./work.ts";
export { reportFault } from "./unseen.ts";

// IDs and the tables that they are keys of.
export { nameIds, nameOf, nextId, wasIssued } from "./ids.ts";
export { IdTable } from "./table.ts";

// Time, and the bounds of a wait.
export { Bound, checkWaitOptions } from "./bound.ts";
export { now, since } from "./now.ts";

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
  readOptions,
  refuseOptions,
  wrongEmpty,
  wrongRange,
  wrongType,
} from "./check.ts";

// The rest of the inside, which is nobody else's. All of it is named here, for the start's sake: Deno reads
// the source map of every module that is the first to name another, and this one is small.
import "./stack.ts"; // stacks that name the line which awaited
import "./sparse.ts"; // the table's part for what stays long
import "./channel.ts"; // the inside of a channel
