/**
 * The BSD sequence: create, then bind and listen, or connect.
 *
 * Deno has no socket between creating and listening. So `bind` asks the system for the address by
 * listening there for an instant, which tells at once what is wrong with it, and `listen` listens there
 * for good. In between the address is not held: `listen` may still find it taken.
 */
import { checkInteger, wrongRange } from "../task/check.ts";
import type { SocketId, TaskId } from "../task/id.ts";
import { checkHost, checkPort, checkRemoteHost, checkRemotePort } from "./check.ts";
import { AF_INET, AF_INET6, AF_UNIX, SOCK_STREAM } from "./constants.ts";
import { dial } from "./dial.ts";
import { failure, type SocketError } from "./error.ts";
import { handles } from "./handle.ts";
import { Listener } from "./listener.ts";
import { faulted, noSuch } from "./lookup.ts";
import { Stream } from "./stream.ts";
import { listenOn, openTcp } from "./tcp.ts";
import { anyAddress, Unbound } from "./unbound.ts";
import { listenAtPath, openUnix } from "./unix.ts";

/**
 * Creates a socket that neither listens nor is connected: {@linkcode bind} and {@linkcode listen}
 * make it a listener, {@linkcode connect} a connection. Until then receives and sends fault
 * `ENOTCONN`, accepts `EINVAL`.
 *
 * @param family `AF_INET`, `AF_INET6` or `AF_UNIX`.
 * @param type `SOCK_STREAM`.
 * @returns The socket.
 * @throws {TypeError} If an argument is not a number.
 * @throws {RangeError} If an argument is not an integer.
 * @throws {SocketError} `EAFNOSUPPORT` or `ESOCKTNOSUPPORT` for anything else than these.
 *
 * @example As in C
 * ```ts
 * import { socket } from "@taskio/net";
 *
 * const server = socket.create(socket.AF_INET, socket.SOCK_STREAM);
 * socket.setsockopt(server, socket.SOL_SOCKET, socket.SO_REUSEADDR);
 * socket.bind(server, "127.0.0.1", 0);
 * socket.listen(server);
 * socket.close(server);
 * ```
 */
export function create(family: number, type: number): SocketId {
  checkInteger("family", family, 0, 65535);
  checkInteger("type", type, 0, 65535);
  if (![AF_INET, AF_INET6, AF_UNIX].includes(family)) {
    const text = `family ${family} is not AF_INET, AF_INET6 or AF_UNIX`;
    throw failure("EAFNOSUPPORT", "create", { text });
  }
  if (type !== SOCK_STREAM) {
    throw failure("ESOCKTNOSUPPORT", "create", { text: `type ${type} is not SOCK_STREAM` });
  }
  return new Unbound(family).id;
}

/**
 * Gives a created socket its address. The address is checked now and taken by {@linkcode listen}; a
 * path is only noted.
 *
 * @param id A socket that was created.
 * @param host An address or host name; `""` for any address. Of an `AF_UNIX` socket: the path.
 * @param port The port, 0 for a free one, which `getlocal` then tells. Default: 0.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If `port` is out of range or the path is empty.
 * @throws {SocketError} `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, `ENOTFOUND`; `EAFNOSUPPORT` for an
 * address of another family; `EINVAL` if the socket is
 * bound, is connecting or listens, `EISCONN` if it is connected; `EBADF` if it is closed or unknown.
 *
 * @example Bind to a free port
 * ```ts
 * import { socket } from "@taskio/net";
 * import { assertGreater } from "@std/assert";
 *
 * const server = socket.create(socket.AF_INET, socket.SOCK_STREAM);
 * socket.bind(server, "127.0.0.1", 0);
 * assertGreater(socket.getlocal(server)[1], 0);
 * socket.close(server);
 * ```
 */
export function bind(id: SocketId, host: string, port: number = 0): void {
  checkHost(host);
  checkPort(port);
  const socket = unbound("bind", id);
  if (socket.local !== undefined) throw socket.fail("EINVAL", "bind", "socket is bound already");
  if (socket.attempt !== undefined) throw socket.fail("EINVAL", "bind", "socket is connecting");
  if (socket.family === AF_UNIX) {
    if (host === "") throw wrongRange("host", "a path", host);
    socket.local = [host, 0];
    return;
  }
  const hostname = host || anyAddress(socket.family);
  checkFamily("bind", socket, hostname);
  const { reusePort } = socket;
  const { acceptor, local } = listenOn("bind", { hostname, port, backlog: 1, reusePort });
  acceptor.close();
  socket.local = local;
}

/**
 * Makes a created socket a listener, under the same ID. One that is not bound gets a free port.
 *
 * @param id A socket that was created.
 * @param backlog How many connections the system lets wait for an accept, to 65535; 0 counts as 1. Default: 128.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If `backlog` is out of range.
 * @throws {SocketError} `EADDRINUSE` if somebody has taken the address since `bind`; `EDESTADDRREQ` if
 * an `AF_UNIX` socket is not bound; `EINVAL` if the socket listens already or is connecting, `EISCONN`
 * if it is connected; `EBADF` if it is closed or unknown.
 *
 * @example Listen and accept
 * ```ts
 * import { socket, task } from "@taskio/net";
 *
 * const server = socket.create(socket.AF_INET, socket.SOCK_STREAM);
 * socket.bind(server, "127.0.0.1", 0);
 * socket.listen(server, 5);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function listen(id: SocketId, backlog: number = 128): void {
  checkInteger("backlog", backlog, 0, 65535);
  backlog = Math.max(1, backlog);
  const socket = unbound("listen", id);
  if (socket.attempt !== undefined) throw socket.fail("EINVAL", "listen", "socket is connecting");
  const [hostname, port] = socket.local ?? [anyAddress(socket.family), 0];
  if (socket.family === AF_UNIX && socket.local === undefined) {
    throw socket.fail("EDESTADDRREQ", "listen", "bind it to a path first");
  }
  const { acceptor, local } = socket.family === AF_UNIX
    ? listenAtPath(hostname, backlog)
    : listenOn("listen", { hostname, port, backlog, reusePort: socket.reusePort });
  new Listener(acceptor, local, socket.vacate());
}

/** Makes a created socket a connection, under the same ID: `connect` documents it. */
export function connectCreated(id: SocketId, host: string, port: number): TaskId<SocketId> {
  checkRemoteHost(host);
  const handle = handles.get(id);
  if (!(handle instanceof Unbound)) return faulted("connect", id, notUnbound("connect", id));
  const remote: [string, number] = [host, handle.family === AF_UNIX ? 0 : port];
  if (handle.family !== AF_UNIX) checkRemotePort(port);
  if (handle.attempt !== undefined) {
    return faulted("connect", id, handle.fail("EALREADY", "connect", "socket is connecting"));
  }
  if (isOtherFamily(handle.family, host)) {
    return faulted("connect", id, otherFamily("connect", handle, host));
  }
  if (handle.local !== undefined) {
    const text = "Deno cannot connect from an address of choice: connect without bind";
    return faulted("connect", id, handle.fail("EOPNOTSUPP", "connect", text));
  }
  return dial(remote, {}, async (signal) => {
    if (handle.family === AF_UNIX) return await openUnix(host);
    const opened = await openTcp(host, port, handle.noDelay, signal);
    if (handle.keepAlive) opened.transport.setKeepAlive(true);
    return { ...opened, keepAlive: handle.keepAlive };
  }, handle);
}

function checkFamily(op: string, socket: Unbound, host: string): void {
  if (isOtherFamily(socket.family, host)) throw otherFamily(op, socket, host);
}

/** Whether a host is an address of another family; a name may turn out to be either. */
function isOtherFamily(family: number, host: string): boolean {
  if (family === AF_INET) return host.includes(":");
  return family === AF_INET6 && /^\d+(\.\d+){3}$/.test(host);
}

function otherFamily(op: string, socket: Unbound, host: string): SocketError {
  const text = `${host} is not an address of family ${socket.family}`;
  return socket.fail("EAFNOSUPPORT", op, text);
}

function unbound(op: string, id: SocketId): Unbound {
  const handle = handles.get(id);
  if (handle instanceof Unbound) return handle;
  throw notUnbound(op, id);
}

function notUnbound(op: string, id: SocketId): SocketError {
  const handle = handles.get(id);
  if (handle instanceof Stream) return handle.fail("EISCONN", op);
  if (handle instanceof Listener) return handle.fail("EINVAL", op, "socket listens already");
  return noSuch(op, id);
}
