import { checkInteger, type SocketId } from "../task/core/mod.ts";
import {
  AF_UNIX,
  IPPROTO_TCP,
  SO_KEEPALIVE,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOL_SOCKET,
  TCP_NODELAY,
} from "./constants.ts";
import type { SocketError } from "./core/error.ts";
import { type Handle, handles } from "./core/handle.ts";
import { Listener } from "./core/listener.ts";
import { noSuch } from "./core/lookup.ts";
import { Stream } from "./core/stream.ts";
import { canReusePort } from "./core/tcp.ts";
import { Unbound } from "./core/unbound.ts";

/**
 * Sets an option of a socket. What Deno cannot set is refused, never ignored:
 *
 * | option | created | listener | connection |
 * | --- | --- | --- | --- |
 * | `SOL_SOCKET`, `SO_REUSEADDR` | 1 only: Deno always sets it | 1 only | `ENOPROTOOPT` |
 * | `SOL_SOCKET`, `SO_REUSEPORT` | with `--unstable-net`, before `bind` | `EINVAL` | `ENOPROTOOPT` |
 * | `SOL_SOCKET`, `SO_KEEPALIVE` | for its connection | `ENOPROTOOPT` | plain TCP |
 * | `IPPROTO_TCP`, `TCP_NODELAY` | for its connection | `ENOPROTOOPT` | plain TCP |
 *
 * An `AF_UNIX` socket has the first of them only; what is for its connection does not go to those
 * that a listener accepts.
 *
 * @param id A socket.
 * @param level `SOL_SOCKET` or `IPPROTO_TCP`.
 * @param option The option.
 * @param value 0 turns it off, anything else on. Default: 1.
 * @throws {TypeError} If an argument is not a number.
 * @throws {RangeError} If an argument is not an integer.
 * @throws {SocketError} `ENOPROTOOPT` for what cannot be set; `EINVAL` for what it is too late for,
 * on some systems also once the peer is gone; `EBADF` if the socket is closed or unknown.
 *
 * @example Probe an idle connection
 * ```ts
 * import { socket } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * socket.setsockopt(client, socket.SOL_SOCKET, socket.SO_KEEPALIVE);
 * assertEquals(socket.getsockopt(client, socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1);
 * [client, server].forEach(socket.close);
 * ```
 */
export function setsockopt(id: SocketId, level: number, option: number, value: number = 1): void {
  checkInteger("value", value, -(2 ** 31), 2 ** 31 - 1);
  const handle = socketWith("setsockopt", id, level, option);
  const name = nameOf(level, option);
  const refused = name === undefined || lacks(handle, name)
    ? refusal(handle, "setsockopt", level, option)
    : handle instanceof Unbound
    ? setCreated(handle, name, value !== 0)
    : handle instanceof Stream
    ? setConnected(handle, name, value !== 0)
    : setListening(handle as Listener, name, value !== 0);
  if (refused !== undefined) throw refused;
}

/**
 * Reads an option of a socket.
 *
 * @param id A socket.
 * @param level `SOL_SOCKET` or `IPPROTO_TCP`.
 * @param option The option.
 * @returns 1 if it is on, 0 if it is off.
 * @throws {TypeError} If an argument is not a number.
 * @throws {RangeError} If an argument is not an integer.
 * @throws {SocketError} `ENOPROTOOPT` for what the socket does not have; `EBADF` if it is closed or
 * unknown.
 *
 * @example Small sends go out at once
 * ```ts
 * import { socket } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * assertEquals(socket.getsockopt(client, socket.IPPROTO_TCP, socket.TCP_NODELAY), 1);
 * [client, server].forEach(socket.close);
 * ```
 */
export function getsockopt(id: SocketId, level: number, option: number): number {
  const handle = socketWith("getsockopt", id, level, option);
  const name = nameOf(level, option);
  if (handle instanceof Listener && name === "reuseAddr") return 1;
  if (handle instanceof Unbound && name !== undefined && !lacks(handle, name)) {
    return name === "reuseAddr" || handle[name] ? 1 : 0;
  }
  if (handle instanceof Stream && (name === "noDelay" || name === "keepAlive")) {
    if (isPlainTcp(handle)) return handle[name] ? 1 : 0;
  }
  throw refusal(handle, "getsockopt", level, option);
}

type Name = "reuseAddr" | "reusePort" | "keepAlive" | "noDelay";

function nameOf(level: number, option: number): Name | undefined {
  if (level === IPPROTO_TCP) return option === TCP_NODELAY ? "noDelay" : undefined;
  if (level !== SOL_SOCKET) return undefined;
  if (option === SO_REUSEADDR) return "reuseAddr";
  if (option === SO_REUSEPORT) return "reusePort";
  return option === SO_KEEPALIVE ? "keepAlive" : undefined;
}

function socketWith(op: string, id: SocketId, level: number, option: number): Handle {
  checkInteger("level", level, 0, 65535);
  checkInteger("option", option, 0, 65535);
  const handle = handles.get(id);
  if (handle === undefined) throw noSuch(op, id);
  return handle;
}

function setCreated(socket: Unbound, name: Name, on: boolean): SocketError | undefined {
  if (name === "reuseAddr") {
    return on
      ? undefined
      : socket.fail("ENOPROTOOPT", "setsockopt", "Deno always sets SO_REUSEADDR");
  }
  if (name === "reusePort" && on && !canReusePort()) {
    const text = "SO_REUSEPORT needs Deno to be run with --unstable-net";
    return socket.fail("ENOPROTOOPT", "setsockopt", text);
  }
  if (name === "reusePort" && socket.held !== undefined) {
    return socket.fail("EINVAL", "setsockopt", "set SO_REUSEPORT before bind");
  }
  socket[name] = on;
}

function setConnected(stream: Stream, name: Name, on: boolean): Error | undefined {
  const { transport } = stream;
  if ((name !== "noDelay" && name !== "keepAlive") || !isPlainTcp(stream)) {
    const text = `Deno cannot set this on the connection: ${possible(stream)}`;
    return stream.fail("ENOPROTOOPT", "setsockopt", text);
  }
  try {
    if (name === "noDelay") (transport as Deno.TcpConn).setNoDelay(on);
    else (transport as Deno.TcpConn).setKeepAlive(on);
  } catch (cause) {
    return stream.translate(cause, "setsockopt");
  }
  stream[name] = on;
}

function setListening(listener: Listener, name: Name, on: boolean): SocketError | undefined {
  if (name === "reuseAddr" && on) return undefined;
  if (name === "reusePort") {
    return listener.fail("EINVAL", "setsockopt", "set SO_REUSEPORT before listen");
  }
  const text = `Deno cannot set this on a listener: ${possible(listener)}`;
  return listener.fail("ENOPROTOOPT", "setsockopt", text);
}

/** Whether it is a created Unix socket, which has nothing of this. */
function lacks(handle: Handle, name: Name): boolean {
  return handle instanceof Unbound && handle.family === AF_UNIX && name !== "reuseAddr";
}

function isPlainTcp(stream: Stream): boolean {
  return "setNoDelay" in stream.transport;
}

function refusal(handle: Handle, op: string, level: number, option: number): SocketError {
  const text = `Deno cannot do level ${level}, option ${option} here: ${possible(handle)}`;
  return (handle as Stream | Listener | Unbound).fail("ENOPROTOOPT", op, text);
}

/** Which options a socket has. */
function possible(handle: Handle): string {
  if (handle instanceof Listener) return "a listener has SO_REUSEADDR alone, which is on";
  if (handle instanceof Unbound) {
    return handle.family === AF_UNIX
      ? "a created Unix socket has SO_REUSEADDR alone"
      : "a created socket has SO_REUSEADDR, SO_REUSEPORT, SO_KEEPALIVE and TCP_NODELAY";
  }
  return isPlainTcp(handle as Stream)
    ? "a connection has SO_KEEPALIVE and TCP_NODELAY"
    : "a connection over TLS or a Unix socket has none";
}
