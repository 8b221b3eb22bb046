import { checkId } from "./check.ts";
import { markSeen } from "./faults.ts";
import type { TaskId } from "./id.ts";
import { claim, COMPLETED, find, RUNNING, type Task } from "./record.ts";

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

/**
 * Claims what a task came to, without waiting and without a promise: for hosts that poll.
 * Afterwards the ID is Unknown. A Faulted task does not throw here: its fault is part of the outcome.
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
  return outcomeOf<T>(task);
}

/** What a task that has settled came to. */
export function outcomeOf<T>(task: Task): Outcome<T> {
  return task.state === COMPLETED
    ? { id: task.id, status: "Completed", value: task.value as T }
    : { id: task.id, status: "Faulted", error: task.value };
}
