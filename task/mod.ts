/**
 * Tasks: operations under way, each known by an integer. Await it, poll it, cancel it, wait
 * for several; and what goes with them: spawn, timers, channels, a mutex.
 *
 * A task is Running until it settles, then Completed or Faulted until its result is claimed, then
 * Unknown. `await`, `take`, `all`, `any`, `race`, `select` and the `take` of a
 * {@linkcode CompletionQueue} claim; `status`, `result`, `error`, `inspect` and `settled` only look.
 *
 * | call | Running | Completed | Faulted | Unknown |
 * | --- | --- | --- | --- | --- |
 * | `status` | `"Running"` | `"Completed"` | `"Faulted"` | `"Unknown"` |
 * | `result` | `undefined` | the result | `undefined` | `undefined` |
 * | `error` | `undefined` | `undefined` | the fault | `undefined` |
 * | `await` | waits, -> Unknown | the result, -> Unknown | rejects, -> Unknown | rejects `Task N not found.` |
 * | `take` | `undefined` | the outcome, -> Unknown | the outcome, -> Unknown | `undefined` |
 * | `settled` | waits | gives the ID | gives the ID | gives the ID |
 * | `add` to a queue | watched, comes when it settles | comes at once | comes at once | throws `Task N not found.` |
 * | `take` of its queue | does not give it | the outcome, -> Unknown | the outcome, -> Unknown | does not give it |
 * | `delete` from its queue | unwatched | to be claimed by its ID | to be claimed by its ID | `false` |
 * | `cancel` | `true`, -> Faulted | `false` | `false` | `false` |
 * | `forget` | -> Unknown when it settles | -> Unknown | -> Unknown | nothing |
 *
 * A settled task stays until it is claimed, forgotten, or the oldest of too many
 * ({@linkcode setUnclaimedLimit}); one that waits in a completion queue, or whose loss would lose bytes or a
 * connection, is not counted and stays.
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
import "./core/mod.ts"; // first, which makes a start quicker: it says why
export type * from "./core/types.ts"; // TaskId, SocketId, WaitOptions, Outcome ...
export * from "./core/errors.ts"; // CancelledError, TimeoutError, UnknownTaskError, ChannelClosedError

// One task: waiting for it, looking at it, giving it up.
export * from "./await.ts"; // await, wait
export * from "./take.ts";
export * from "./inspect.ts"; // status, result, error, list, inspect, busy
export * from "./cancel.ts"; // cancel, forget

// Making tasks.
export * from "./spawn.ts";
export * from "./clock.ts"; // after, sleep, timer, interval

// Several tasks.
export * from "./combine.ts"; // all, any, race
export * from "./settled.ts";
export * from "./select.ts";
export * from "./completions.ts"; // completions, CompletionQueue

// Between tasks.
export * from "./channel.ts"; // channel, Channel
export * from "./mutex.ts"; // mutex, Mutex

export * from "./settings.ts"; // setUnclaimedLimit, setFaultHandler
