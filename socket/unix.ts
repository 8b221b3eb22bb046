import { listenAtPath, openUnix } from "./core/unix.ts";
import { await as awaitTask } from "../task/await.ts";
import {
  checkInteger,
  checkOptions,
  checkString,
  checkWaitOptions,
  type SocketId,
  type WaitOptions,
  wrongRange,
} from "../task/core/mod.ts";
import { dial } from "./core/dial.ts";
import { Listener } from "./core/listener.ts";

/** How to listen at a path. */
export interface UnixListenOptions {
  /**
   * How many connections the system lets wait for an accept, 1 to 65535. Deno takes note of it for
   * TCP only.
   *
   * @default {128}
   */
  backlog?: number;
}

/**
 * Listens for connections at a path of the file system. The socket's file is removed when the
 * listener is closed, unless something else has taken its place. One that a crashed program left
 * behind is replaced, on Linux, if a connect to it is refused: nothing else proves that nobody
 * listens there. That takes some 20 ms, and somebody who does listen there sees a connection come
 * and go. In any other case, also when a worker or a change of the folder is not allowed, the path
 * is in use.
 *
 * Needs `--allow-net`, and `--allow-read` and `--allow-write` for the path; for its whole folder,
 * if the path is to be taken again as soon as the listener is closed, or after a crash.
 *
 * @param path The path.
 * @param options The backlog, or a bag with `backlog`. Default: 128.
 * @returns The listener, which listens already.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `path` is empty or the backlog out of range.
 * @throws {SocketError} `EADDRINUSE` if somebody listens there, or may, or the path is something
 * else than a socket: remove it if it is nobody's; `ENOENT` if the folder is missing; `EACCES`;
 * `ENAMETOOLONG` for a path of more than 107 bytes, `EINVAL` for one with a NUL.
 *
 * @example Over a path
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const path = `${Deno.makeTempDirSync()}/echo.sock`;
 * const server = socket.unixserver(path);
 * const client = await socket.unixconnect(path);
 * const peer = await task.await(socket.accept(server));
 * socket.send(peer, "hello");
 * assertEquals((await task.await(socket.recv(client))).length, 5);
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function unixserver(path: string, options: number | UnixListenOptions = {}): SocketId {
  checkPath(path);
  if (typeof options === "number") options = { backlog: options };
  checkOptions(options, ["backlog"]);
  const { backlog = 128 } = options;
  checkInteger("backlog", backlog, 1, 65535);
  const { acceptor, local } = listenAtPath(path, backlog);
  return new Listener(acceptor, local).id;
}

/**
 * Connects to a listener at a path of the file system.
 *
 * Needs `--allow-net`, and `--allow-read` and `--allow-write` for the path.
 *
 * @param path The path.
 * @param options `timeout` in milliseconds (default: none) and `signal`.
 * @returns The connected socket. Rejects with `SocketError`: `ENOENT` (no such file),
 * `ECONNREFUSED` (nobody listens), `EAGAIN` (too many wait for an accept), `EACCES`,
 * `ENAMETOOLONG`, `EINVAL`, `ETIMEDOUT`; or with the signal's reason.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `path` is empty or `timeout` out of range.
 *
 * @example Nobody there
 * ```ts
 * import { socket } from "@taskio/net";
 * import { assertRejects } from "@std/assert";
 *
 * const path = `${Deno.makeTempDirSync()}/nobody.sock`;
 * await assertRejects(() => socket.unixconnect(path), socket.SocketError, "ENOENT");
 * ```
 */
export function unixconnect(path: string, options: WaitOptions = {}): Promise<SocketId> {
  checkPath(path);
  const checked = checkWaitOptions(options);
  return awaitTask(dial([path, 0], checked, () => openUnix(path)));
}

function checkPath(path: unknown): void {
  checkString("path", path);
  if (path === "") throw wrongRange("path", "not empty", path);
}
