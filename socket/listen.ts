import {
  checkBoolean,
  checkInteger,
  checkOptions,
  checkTimeout,
  type SocketId,
} from "../task/core/mod.ts";
import { checkHost, checkPort } from "./core/check.ts";
import { Listener } from "./core/listener.ts";
import { ProxyAcceptor } from "./core/proxied.ts";
import { listenOn } from "./core/tcp.ts";

/** How to listen. */
export interface ListenOptions {
  /**
   * How many connections the system lets wait for an accept, 1 to 65535.
   *
   * @default {128}
   */
  backlog?: number;
  /**
   * Lets several listeners share the port; the system spreads connections among them. Deno does
   * this only when run with `--unstable-net`.
   *
   * @default {false}
   */
  reusePort?: boolean;
  /**
   * Whether every connection must begin with a PROXY header, of version 1 or 2, as HAProxy, nginx
   * and the load balancers of the clouds send it. An accept completes when the header has come;
   * `getpeer` is then the original client (of `UNKNOWN` and `LOCAL`: the balancer), `getlocal`
   * stays this end, and `inspect` shows the balancer as `proxy`. A connection without a header,
   * with a bad one or one of more than 4 KiB is dropped and counted. Headers are believed whoever
   * sends them: let nobody but the balancer connect.
   *
   * @default {false}
   */
  proxyProtocol?: boolean;
  /**
   * How long the PROXY header may take, in milliseconds, at most `2 ** 31 - 1`; up to 0 leaves no
   * time and drops clients whose header has not come yet, `Infinity` sets no limit. Without
   * `proxyProtocol` there is nothing to wait for. Of more than 1,000 that wait, the one that has
   * waited longest is dropped.
   *
   * @default {10_000}
   */
  handshakeTimeout?: number;
}

/**
 * Listens for TCP connections.
 *
 * @param host The address to listen on: an IPv4 or IPv6 address (`"::1"`, also `"[::1]"`), or a
 * host name. `""` means any address of this machine, over IPv6 and IPv4 (over IPv4 only where the
 * system has no IPv6); `getlocal` then tells `"::"`, and a client that came over IPv4 is known by
 * its IPv4 address. `"0.0.0.0"` means any IPv4 address.
 * @param port The port, 0 for any free one: {@linkcode getlocal} tells which.
 * @param options The backlog, default 128; or a bag with `backlog`, `reusePort`, and for use behind
 * a load balancer `proxyProtocol` and `handshakeTimeout` in milliseconds (default: 10,000).
 * @returns The listener, which listens already.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `port` or the backlog is out of range.
 * @throws {SocketError} `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, `ENOTFOUND`; `ENOPROTOOPT` for
 * `reusePort` without `--unstable-net`.
 *
 * @example Behind a load balancer
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0, { proxyProtocol: true });
 * const balancer = await socket.tcpconnect(...socket.getlocal(server));
 * socket.send(balancer, "PROXY TCP4 192.0.2.1 192.0.2.9 56324 443\r\nhello");
 * const client = await task.await(socket.accept(server));
 * assertEquals(socket.getpeer(client), ["192.0.2.1", 56324]);
 * assertEquals((await task.await(socket.recv(client))).length, 5);
 * [client, balancer, server].forEach(socket.close);
 * ```
 *
 * @example Listen on a free port
 * ```ts
 * import { socket } from "@taskio/net";
 * import { assertGreater } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * assertGreater(socket.getlocal(server)[1], 0);
 * socket.close(server);
 * ```
 */
export function tcpserver(
  host: string,
  port: number,
  options: number | ListenOptions = {},
): SocketId {
  host = checkHost(host);
  checkPort(port);
  const {
    backlog = 128,
    reusePort = false,
    proxyProtocol = false,
    handshakeTimeout = 10_000,
  } = checkListenOptions(options);
  const { acceptor, local } = listenOn("listen", { host, port, backlog, reusePort });
  const source = proxyProtocol ? new ProxyAcceptor(acceptor, handshakeTimeout) : acceptor;
  return new Listener(source, local).id;
}

/** Gives the options as they were checked: a getter might give something else when it is asked again. */
function checkListenOptions(options: number | ListenOptions): ListenOptions {
  if (typeof options === "number") options = { backlog: options };
  checkOptions(options, ["backlog", "reusePort", "proxyProtocol", "handshakeTimeout"]);
  const { backlog, reusePort, proxyProtocol, handshakeTimeout } = options;
  if (backlog !== undefined) checkInteger("backlog", backlog, 1, 65535);
  if (reusePort !== undefined) checkBoolean("reusePort", reusePort);
  if (proxyProtocol !== undefined) checkBoolean("proxyProtocol", proxyProtocol);
  if (handshakeTimeout !== undefined) checkTimeout("handshakeTimeout", handshakeTimeout);
  return { backlog, reusePort, proxyProtocol, handshakeTimeout };
}
