import { claim, find, outcomeOf, RUNNING } from "./core/record.ts";
import type { Outcome, TaskId } from "./core/types.ts";
import { checkId } from "./core/check.ts";
import { markSeen } from "./core/unseen.ts";

/**
 * Claims what a task came to, without waiting and without a promise: for hosts that poll.
 * Afterwards the ID is Unknown. A Faulted task does not throw here: its fault is part of the
 * outcome.
 *
 * A task that waits in a {@linkcode CompletionQueue} leaves it.
 *
 * @typeParam T What the task gives.
 * @param id The task.
 * @returns The outcome, or `undefined` while the task is Running or if it is Unknown. Ask
 * {@linkcode status} which of the two.
 * @throws {TypeError} If `id` is not an integer.
 *
 * @example Poll a receive
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * const id = socket.recv(client);
 * assertEquals(task.take(id), undefined); // still Running
 * socket.send(peer, "hello");
 *
 * let outcome;
 * while ((outcome = task.take(id)) === undefined) await task.sleep(1); // once a frame, say
 * if (outcome.status === "Faulted") throw outcome.error;
 * assertEquals(new TextDecoder().decode(outcome.value), "hello");
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function take<T>(id: TaskId<T>): Outcome<T> | undefined {
  const task = find(id);
  if (task === undefined) {
    checkId("id", id);
    return undefined;
  }
  if (task.state === RUNNING) return undefined;
  if (task.unseen) markSeen(task);
  claim(task);
  return outcomeOf<T>(task, take);
}
