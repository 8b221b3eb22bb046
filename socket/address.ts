import type { SocketId } from "../task/core/mod.ts";
import type { Address, Side } from "./core/types.ts";
import { handles } from "./core/handle.ts";
import { Listener } from "./core/listener.ts";
import { getStream, noSuch } from "./core/lookup.ts";
import { Stream } from "./core/stream.ts";
import { anyAddress, Unbound } from "./core/unbound.ts";

/**
 * The far end of a connection. It still answers after the peer has gone.
 *
 * @param id A connection.
 * @returns The peer's IP address and port; over a Unix socket its path and 0, `["", 0]` for an end
 * that has no name, which is that of whoever connected.
 * @throws {TypeError} If `id` is not an integer.
 * @throws {SocketError} `EBADF` if the socket is closed or unknown; `ENOTCONN` for a listener.
 *
 * @example Who is it?
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * assertEquals(socket.getpeer(peer), socket.getlocal(client));
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function getpeer(id: SocketId): Address {
  return [...connection("getpeer", id).remote];
}

/**
 * The near end of a connection, or where a listener listens.
 *
 * @param id A connection, a listener, or a socket that was created.
 * @returns The IP address and port; of a created socket, where it is bound, if it is. Over a Unix
 * socket the path and 0, `["", 0]` for an end that has no name.
 * @throws {TypeError} If `id` is not an integer.
 * @throws {SocketError} `EBADF` if the socket is closed or unknown.
 *
 * @example Which port is it?
 * ```ts
 * import { socket } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const [ip, port] = socket.getlocal(server);
 * assertEquals([ip, port > 0], ["127.0.0.1", true]);
 * socket.close(server);
 * ```
 */
export function getlocal(id: SocketId): Address {
  const handle = handles.get(id);
  if (handle instanceof Stream || handle instanceof Listener) return [...handle.local];
  if (handle instanceof Unbound) {
    return handle.local === undefined ? [anyAddress(handle.family), 0] : [...handle.local];
  }
  throw noSuch("getlocal", id);
}

/**
 * Which end of its connection a socket is.
 *
 * @param id A connection.
 * @returns `"client"` if it connected, `"server"` if it was accepted.
 * @throws {TypeError} If `id` is not an integer.
 * @throws {SocketError} `EBADF` if the socket is closed or unknown; `ENOTCONN` for a listener.
 *
 * @example Both ends
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * assertEquals([socket.getside(client), socket.getside(peer)], ["client", "server"]);
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function getside(id: SocketId): Side {
  return connection("getside", id).side;
}

function connection(op: string, id: SocketId): Stream {
  const handle = handles.get(id);
  if (handle instanceof Listener) {
    throw handle.fail("ENOTCONN", op, `${id} is a listener, not a connection`);
  }
  return getStream(op, id);
}
