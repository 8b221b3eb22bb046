import * as verbs from "./core/verbs.ts";
import type { FinishOptions } from "./core/types.ts";
import type { SocketId, TaskId } from "../task/core/mod.ts";

/**
 * Closes a connection gently: sends what is queued, ends the sending side, receives and drops until the
 * peer has ended, then closes. {@linkcode close} alone drops what is queued here, and if the peer had
 * sent anything that was not received, the system also drops what it has not delivered yet.
 *
 * Cancel safety: the socket stays open. What is queued is still sent, and the sending side has ended;
 * what comes goes to the next recv.
 *
 * State: of a connection: -> closed. Receives that were called before come first. Faults `ETIMEDOUT` when
 * the time runs out, with the failure when receiving or sending fails (`ECONNRESET`, `EPIPE`; over TLS
 * `EUNEXPECTEDEOF` if the peer does not end with close_notify): closed all the same. Faults
 * `ECONNABORTED` when it is closed meanwhile, `EBADF` if the socket is closed or unknown, `EOPNOTSUPP` if
 * it is a listener, `ENOTCONN` if it is not connected yet.
 *
 * @param id A connection.
 * @param options `timeout` in milliseconds (default: 5000).
 * @returns The task, Completed when the peer has ended and the connection is closed.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `timeout` is out of range.
 *
 * @example Say good-bye
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const [one, other] = await socket.pair();
 * socket.send(one, "good-bye");
 * const finishing = socket.finish(one);
 * assertEquals((await task.await(socket.recv(other))).length, 8);
 * await task.all([finishing, socket.finish(other)]);
 * assertEquals([one, other].map(socket.isopen), [false, false]);
 * ```
 */
export function finish(id: SocketId, options: FinishOptions = {}): TaskId<void> {
  return verbs.finish(verbs.anySocket, id, options);
}
