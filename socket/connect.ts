import { await as awaitTask } from "../task/await.ts";
import { checkBoolean, checkWaitOptions, type SocketId, type TaskId } from "../task/core/mod.ts";
import { connectCreated } from "./core/created.ts";
import { checkRemoteHost, checkRemotePort } from "./core/check.ts";
import { CONNECT_TIMEOUT, dial } from "./core/dial.ts";
import { openTcp } from "./core/tcp.ts";

/** How to connect. */
export interface ConnectOptions {
  /**
   * The longest that connecting may take, in milliseconds, at most `2 ** 31 - 1`; up to 0 fails at
   * once. `Infinity` leaves it to the system, which gives up after minutes.
   *
   * @default {30_000}
   */
  timeout?: number;
  /** Gives up, with the signal's reason, when it aborts. */
  signal?: AbortSignal;
  /**
   * Whether small sends go out at once (`TCP_NODELAY`) instead of waiting for an acknowledgement.
   *
   * @default {true}
   */
  noDelay?: boolean;
}

/**
 * Connects to a TCP server.
 *
 * @param host A host name or an IPv4 or IPv6 address. The addresses of a name are tried side by
 * side with a short head start each.
 * @param port The port, 1 to 65535.
 * @param options `timeout` in milliseconds (default: 30,000), `signal`, `noDelay` (default:
 * `true`).
 * @returns The connected socket. Rejects with `SocketError`: `ECONNREFUSED`, `ENOTFOUND` (no such
 * host), `EHOSTUNREACH`, `ENETUNREACH`, `ETIMEDOUT`, `EMFILE` ...; with the signal's reason; or
 * with Deno's `NotCapable` if `--allow-net` is missing.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `host` is empty, or `port` or `timeout` is out of range.
 *
 * @example Connect, or give up after a second
 * ```ts
 * import { socket } from "@taskio/net";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const [host, port] = socket.getlocal(server);
 * const client = await socket.tcpconnect(host, port, { timeout: 1000 });
 * socket.close(client);
 * socket.close(server);
 * ```
 */
export function tcpconnect(
  host: string,
  port: number,
  options: ConnectOptions = {},
): Promise<SocketId> {
  return awaitTask(connect(host, port, options));
}

/**
 * Connects to a TCP server, as a task: {@linkcode tcpconnect} for programs that poll.
 *
 * Cancel safety: a connection that is established after the cancel is closed at once.
 *
 * State: the result is a connected socket. It is closed again if the task is forgotten before
 * anything was done with the socket, or a `CompletionQueue` is disposed of in which it waits. The
 * task faults with the codes of `tcpconnect`.
 *
 * @param host A host name or an IPv4 or IPv6 address.
 * @param port The port, 1 to 65535.
 * @param options `timeout` in milliseconds (default: 30,000), `signal`, `noDelay` (default:
 * `true`).
 * @returns The task; its result is the socket.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `host` is empty, or `port` or `timeout` is out of range.
 *
 * @example Poll a connect
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const id = socket.connect(...socket.getlocal(server));
 * while (task.status(id) === "Running") await task.sleep(1);
 * const client = await task.await(id);
 * assertEquals(socket.getside(client), "client");
 * [client, server].forEach(socket.close);
 * ```
 */
export function connect(
  host: string,
  port: number,
  options?: ConnectOptions,
): TaskId<SocketId>;
/**
 * Connects a socket that was created: the result is the same ID, now a connection. A failed connect
 * leaves the socket as it was created.
 *
 * Cancel safety: a connection that is established after the cancel is closed at once.
 *
 * State: of a socket that was created and is not bound: Deno cannot connect from an address of
 * choice, `EOPNOTSUPP`. Faults `EAFNOSUPPORT` if the host has no address of the socket's family,
 * `EALREADY` if it is connecting, `EISCONN` if it is connected, `EINVAL` if it listens, `EBADF` if
 * it is closed or unknown, otherwise with the codes of `tcpconnect`; `ETIMEDOUT` after 30 s.
 *
 * @param id A socket that was created.
 * @param host A host name or an address; of an `AF_UNIX` socket, the path.
 * @param port The port, 1 to 65535; of an `AF_UNIX` socket 0, as `getlocal` of its listener tells
 * it.
 * @returns The task; its result is `id`.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If `host` is empty or `port` out of range.
 */
export function connect(id: SocketId, host: string, port: number): TaskId<SocketId>;
export function connect(
  first: string | SocketId,
  second: number | string,
  third?: ConnectOptions | number,
): TaskId<SocketId> {
  return typeof first === "number"
    ? connectCreated(first, second as string, third as number)
    : connectTo(first, second as number, third as ConnectOptions | undefined);
}

function connectTo(
  host: string,
  port: number,
  options: ConnectOptions = {},
): TaskId<SocketId> {
  host = checkRemoteHost(host);
  checkRemotePort(port);
  const checked = checkConnectOptions(options);
  return dial([host, port], checked, (signal) => openTcp(host, port, checked, signal));
}

/** Gives the options as they were checked: a getter might give something else when it is asked again. */
function checkConnectOptions(options: ConnectOptions): ConnectOptions {
  const { timeout, signal } = checkWaitOptions(options, ["timeout", "signal", "noDelay"]);
  const { noDelay } = options;
  if (noDelay !== undefined) checkBoolean("noDelay", noDelay);
  return { timeout: timeout ?? CONNECT_TIMEOUT, signal, noDelay };
}
