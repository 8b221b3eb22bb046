/**
 * Tasks: operations under way, each known by an integer. Await it, poll it, cancel it, wait
 * for several; and what goes with them: spawn, timers, channels, a mutex.
 *
 * A task is Running until it settles, then Completed or Faulted until its result is claimed,
 * then Unknown. `await`, `all`, `any`, `race` and `select` claim; `status`, `result`, `error`
 * and `inspect` only look.
 *
 * | call | Running | Completed | Faulted | Unknown |
 * | --- | --- | --- | --- | --- |
 * | `status` | `"Running"` | `"Completed"` | `"Faulted"` | `"Unknown"` |
 * | `result` | `undefined` | the result | `undefined` | `undefined` |
 * | `error` | `undefined` | `undefined` | the fault | `undefined` |
 * | `await` | waits, → Unknown | the result, → Unknown | rejects, → Unknown | rejects `Task N not found.` |
 * | `cancel` | `true`, → Faulted | `false` | `false` | `false` |
 * | `forget` | → Unknown when it settles | → Unknown | → Unknown | nothing |
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
export { awaitTask as await } from "./await.ts";
export { error, result, status, type TaskStatus } from "./status.ts";
export { busy, inspect, list, type TaskRecord } from "./inspect.ts";
export { wait } from "./wait.ts";
export { cancel, forget } from "./cancel.ts";
export { spawn } from "./spawn.ts";
export { interval, sleep, type SleepOptions, timer } from "./clock.ts";
export { all, any, type AnyTask, race, type ResultOf, type Winner } from "./combine.ts";
export { Channel, channel, type ChannelWaitOptions } from "./channel.ts";
export { select, type Selected, type Source, type SourceValue } from "./select.ts";
export { Mutex, mutex } from "./mutex.ts";
export { setUnclaimedLimit } from "./record.ts";
export { setFaultHandler, type UnseenFaultHandler } from "./faults.ts";
export type { WaitOptions } from "./bound.ts";
export { CancelledError, ChannelClosedError, TimeoutError, UnknownTaskError } from "./errors.ts";
