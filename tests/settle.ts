// Waiting for what has no promise, and looking at what is left.

import { assertEquals, assertInstanceOf } from "@std/assert";
import { socket, task } from "../mod.ts";

/**
 * Waits, a turn of the event loop at a time, until a condition holds. One that never does must not
 * hang the run: past the limit, in milliseconds, the wait fails and says what it waited for.
 */
export async function until(
  condition: () => boolean,
  what: string = String(condition),
  limit: number = 25_000,
): Promise<void> {
  const end = performance.now() + limit;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`Still not so after ${limit} ms: ${what}`);
    await turn();
  }
}

/** One turn of the event loop: what the system had ready has been dealt with. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** Waits until the connection has bytes, its end or a failure to give. */
export async function arrival(id: socket.SocketId): Promise<void> {
  await until(() => {
    try {
      return socket.peek(id) !== undefined;
    } catch {
      return true;
    }
  });
}

/** The code of the fault of a task, which has settled. */
export function faultOf(id: task.TaskId): string {
  const error = task.error(id);
  assertInstanceOf(error, Error, `task ${id} is ${task.status(id)}`);
  return (error as { code?: string }).code ?? error.name;
}

/** Waits for a task to fault and claims it. */
export async function codeOf(id: task.TaskId): Promise<string> {
  try {
    const value = await task.await(id);
    return `completed with ${value}`;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

/** The code of what a function throws. */
export function thrownBy(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return "nothing thrown";
}

/** Runs a test and checks that it leaves no open socket and no running task behind. */
export async function leavingNothing(run: () => Promise<void>): Promise<void> {
  const before = socket.list();
  await run();
  assertEquals(socket.list(), before, "open sockets");
  const running = task.inspect().filter(({ status }) => status === "Running");
  assertEquals(running, [], "running tasks");
}
