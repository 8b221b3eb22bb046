import { refuseOptions } from "./core/check.ts";
import type { SocketId, TaskId } from "../task/core/mod.ts";
import * as verbs from "./core/verbs.ts";

/**
 * Waits until the next recv, or of a listener the next accept, need not wait: there are bytes, the end of
 * the stream, a failure, or a connection. It takes nothing. Any number may be outstanding, beside receives
 * and accepts, which go first: it completes when none of those waits and something is left. What was there
 * then may be gone when the task is looked at, if a receive came in between.
 *
 * One that is Running makes the socket look, as {@linkcode peek} does, and keeps the process alive; a
 * cancelled one does not, except on a listener of Deno's own TLS.
 *
 * Cancel safety: loses nothing, since it takes nothing. What arrives goes to the next recv or accept. Limit
 * its time with `task.await(id, { timeout, cancel: true })`.
 *
 * State: of a connection or a listener: stays as it is. A failure completes it, too: the next recv or
 * accept tells which. During a `starttls`, which it does not hinder, it waits for what comes decrypted.
 * Faults `EBADF` if the socket is closed or unknown, `ENOTCONN` if it neither listens nor is connected yet,
 * `ECONNABORTED` when it is closed meanwhile; `ENOMEM` if there is no memory to receive to. In a
 * `CompletionQueue` it comes once, as any task: watch again by calling again.
 *
 * @param id A connection or a listener.
 * @returns The task; its result is nothing.
 * @throws {TypeError} If `id` is not an integer, or if options are given: it has none.
 *
 * @example Which connection has something to say?
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const [one, other] = await socket.pair();
 * const [two, another] = await socket.pair();
 * socket.send(another, "hello");
 * const ready = [one, two].map(socket.ready);
 * assertEquals(await task.settled(ready), [ready[1]]);
 * assertEquals((await task.await(socket.recv(two))).length, 5);
 * [one, other, two, another].forEach(socket.close);
 * ready.forEach(task.forget);
 * ```
 */
export function ready(id: SocketId): TaskId<void> {
  if (arguments.length > 1) refuseOptions("ready", arguments[1]);
  return verbs.ready(verbs.anySocket, id);
}
