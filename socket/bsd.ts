/**
 * The BSD sequence: create, then bind and listen, or connect.
 *
 * Deno has no socket between creating and listening. So `bind` has the system listen already, which
 * tells at once what is wrong with the address and holds it, and `listen` takes that over. A client
 * that connects in between is not refused, as it would be in C: it waits for an accept like all
 * others, and none is lost. A path is only noted by `bind`: there is no port to be found out and
 * nothing to hold.
 */
import { checkHost, checkNoPort, checkPort } from "./core/check.ts";
import { isOtherFamily, notUnbound, otherFamily } from "./core/created.ts";
import { checkInteger, type SocketId, wrongRange } from "../task/core/mod.ts";
import { AF_INET, AF_INET6, AF_UNIX, SOCK_STREAM } from "./constants.ts";
import type { Address } from "./core/types.ts";
import { failure } from "./core/failure.ts";
import { handles } from "./core/handle.ts";
import type { Acceptor } from "./core/transport.ts";
import { Listener } from "./core/listener.ts";
import { listenOn } from "./core/tcp.ts";
import { anyAddress, Unbound } from "./core/unbound.ts";
import { listenAtPath } from "./core/unix.ts";

/** As many connections as the system lets wait. */
const MAX_BACKLOG = 65535;

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
 * Gives a created socket its address, and holds it: a client that connects before
 * {@linkcode listen} waits. A path is only noted: a relative one counts from the current folder at
 * {@linkcode listen}.
 *
 * @param id A socket that was created.
 * @param host An address or host name; `""` for any address of the family. Of an `AF_UNIX` socket:
 * the path.
 * @param port The port, 0 for a free one, which `getlocal` then tells; of an `AF_UNIX` socket 0.
 * Default: 0.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If `port` is out of range or the path is empty.
 * @throws {SocketError} `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, `ENOTFOUND`; `EAFNOSUPPORT` for an
 * address of another family, or a name whose first address is one; `EINVAL` if the socket is bound,
 * is connecting or listens, `EISCONN` if it is connected; `EBADF` if it is closed or unknown.
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
  const path = host;
  host = checkHost(host);
  checkPort(port);
  const socket = unbound("bind", id);
  if (socket.family === AF_UNIX) {
    checkNoPort(port);
    if (path === "") throw wrongRange("host", "a path", path);
  }
  if (socket.local !== undefined) throw socket.fail("EINVAL", "bind", "socket is bound already");
  if (socket.attempt !== undefined) throw socket.fail("EINVAL", "bind", "socket is connecting");
  if (socket.family === AF_UNIX) {
    socket.local = [path, 0];
    return;
  }
  host ||= anyAddress(socket.family);
  checkFamily("bind", socket, host);
  const { family, reusePort } = socket;
  const place = { host, port, backlog: MAX_BACKLOG, reusePort, family };
  const { acceptor, local } = listenOn("bind", place);
  socket.held = acceptor;
  socket.local = local;
}

/**
 * Makes a created socket a listener, under the same ID. One that is not bound gets a free port.
 *
 * @param id A socket that was created.
 * @param backlog How many connections the system lets wait for an accept, to 65535; 0 counts as 1.
 * Default: 128. It counts for a socket that is not bound: of a bound one, connections wait since
 * `bind`, as many as the system allows.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If `backlog` is out of range.
 * @throws {SocketError} Those of `unixserver` for an `AF_UNIX` socket, `EDESTADDRREQ` if it is not
 * bound; `EINVAL` if the socket listens already or is connecting, `EISCONN`
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
  const { acceptor, local } = listening(socket, backlog);
  new Listener(acceptor, local, socket.giveUpId());
}

/** The system's part of making a created socket listen. */
function listening(socket: Unbound, backlog: number): { acceptor: Acceptor; local: Address } {
  const { family, held, local, reusePort } = socket;
  if (held !== undefined) return { acceptor: held, local: local! };
  if (family !== AF_UNIX) {
    return listenOn("listen", { host: anyAddress(family), port: 0, backlog, reusePort });
  }
  if (local === undefined) throw socket.fail("EDESTADDRREQ", "listen", "bind it to a path first");
  return listenAtPath(local[0], backlog);
}

function checkFamily(op: string, socket: Unbound, host: string): void {
  if (isOtherFamily(socket.family, host)) throw otherFamily(op, socket, host);
}

function unbound(op: string, id: SocketId): Unbound {
  const handle = handles.get(id);
  if (handle instanceof Unbound) return handle;
  throw notUnbound(op, id);
}
