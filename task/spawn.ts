import { start } from "./core/work.ts";
import { checkFunction, refuseOptions, wrongType } from "./core/check.ts";
import type { TaskId } from "./core/types.ts";
import { Task } from "./core/record.ts";

/**
 * Runs a function as a task: soon, never inside this call. What it returns, or what the
 * promise it returns resolves to, is the result; a throw or a rejection faults the task.
 *
 * A fault that is neither awaited nor looked at within a second is reported once: see
 * {@linkcode setFaultHandler}.
 *
 * Cancel safety: cancelled before its turn, the function does not run. Later it cannot be
 * stopped; its result or fault is dropped. A {@linkcode sleep} or {@linkcode timer} that it began
 * before its first `await` then keeps the process alive no longer; later ones do.
 *
 * State: works on no socket; sockets that the function opened stay open.
 *
 * @typeParam A The function's parameters.
 * @typeParam T What the function gives.
 * @param fn The function.
 * @param args Its arguments, as they are at the call. Default: none.
 * @returns The task.
 * @throws {TypeError} If `fn` is not a function or `args` not an array.
 *
 * @example A task per client
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * async function echo(id: socket.SocketId) {
 *   await task.await(socket.send(id, await task.await(socket.recv(id))));
 *   socket.close(id);
 * }
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const serving = task.spawn(echo, [await task.await(socket.accept(server))]);
 * socket.send(client, "hi");
 * assertEquals(new TextDecoder().decode(await task.await(socket.recv(client))), "hi");
 * await task.await(serving);
 * [client, server].forEach(socket.close);
 * ```
 */
export function spawn<A extends unknown[] | [], T>(
  fn: (...args: A) => T,
  args: A = [] as unknown[] as A,
): TaskId<Awaited<T>> {
  checkFunction("fn", fn);
  if (arguments.length > 2) refuseOptions("spawn", arguments[2]);
  if (!Array.isArray(args)) throw wrongType("args", "an array", args);
  const task = new Task("spawn", 0, undefined);
  start(task, fn, [...args] as A); // as they are now: it runs later
  return task.id;
}
