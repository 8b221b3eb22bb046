/**
 * Tasks: operations under way, each known by an integer. Await it, poll it, cancel it, wait
 * for several; and what goes with them: spawn, timers, channels, a mutex.
 *
 * A task is Running until it settles, then Completed or Faulted until its result is claimed,
 * then Unknown. `await`, `take`, `all`, `any`, `race`, `select` and the `take` of a
 * {@linkcode CompletionQueue} claim; `status`, `result`, `error`, `inspect` and `settled` only look.
 *
 * | call | Running | Completed | Faulted | Unknown |
 * | --- | --- | --- | --- | --- |
 * | `status` | `"Running"` | `"Completed"` | `"Faulted"` | `"Unknown"` |
 * | `result` | `undefined` | the result | `undefined` | `undefined` |
 * | `error` | `undefined` | `undefined` | the fault | `undefined` |
 * | `await` | waits, → Unknown | the result, → Unknown | rejects, → Unknown | rejects `Task N not found.` |
 * | `take` | `undefined` | the outcome, → Unknown | the outcome, → Unknown | `undefined` |
 * | `settled` | waits | gives the ID | gives the ID | gives the ID |
 * | `add` to a queue | watched, comes when it settles | comes at once | comes at once | throws `Task N not found.` |
 * | `take` of its queue | does not give it | the outcome, → Unknown | the outcome, → Unknown | does not give it |
 * | `delete` from its queue | unwatched | to be claimed by its ID | to be claimed by its ID | `false` |
 * | `cancel` | `true`, → Faulted | `false` | `false` | `false` |
 * | `forget` | → Unknown when it settles | → Unknown | → Unknown | nothing |
 *
 * A settled task stays until it is claimed, forgotten, or the oldest of too many
 * ({@linkcode setUnclaimedLimit}); one that waits in a completion queue, or whose loss would lose bytes
 * or a connection, is not counted and stays.
 *
 * @example Poll, then await
 * ```ts
 * import { task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const id = task.spawn(async () => {
 *   await task.sleep(3);
 *   return "done";
 * });
 * while (task.status(id) === "Running") await task.sleep(1);
 * assertEquals(await task.await(id), "done");
 * assertEquals(task.status(id), "Unknown");
 * ```
 *
 * @module
 */
export type { SocketId, TaskId } from "./id.ts";
export { type AwaitOptions, awaitTask as await } from "./await.ts";
export { type Outcome, take } from "./take.ts";
export { settled } from "./settled.ts";
export { CompletionQueue, completions } from "./completions.ts";
export { error, result, status, type TaskStatus } from "./status.ts";
export { busy, inspect, list, type TaskRecord } from "./inspect.ts";
export { wait } from "./wait.ts";
export { cancel, forget } from "./cancel.ts";
export { spawn } from "./spawn.ts";
export { after } from "./after.ts";
export { interval, sleep, type SleepOptions, timer } from "./clock.ts";
export { all, any, type AnyTask, race, type ResultOf, type Winner } from "./combine.ts";
export { Channel, channel, type ChannelWaitOptions } from "./channel.ts";
export { select, type Selected, type Source, type SourceValue } from "./select.ts";
export { Mutex, mutex } from "./mutex.ts";
export { setUnclaimedLimit } from "./record.ts";
export { setFaultHandler, type UnseenFaultHandler } from "./faults.ts";
export type { WaitOptions } from "./bound.ts";
export { CancelledError, ChannelClosedError, TimeoutError, UnknownTaskError } from "./errors.ts";
