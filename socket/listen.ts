import { checkBoolean, checkInteger, checkOptions } from "../task/check.ts";
import type { SocketId } from "../task/id.ts";
import { checkHost, checkPort } from "./check.ts";
import { Listener } from "./listener.ts";
import { listenOn } from "./tcp.ts";

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
}

/**
 * Listens for TCP connections.
 *
 * @param host The address to listen on: an IPv4 or IPv6 address (`"::1"`, also `"[::1]"`), or a host
 * name. `""` means any address of this machine, over IPv6 and IPv4 (over IPv4 only where the system
 * has no IPv6); `getlocal` then tells `"::"`, and a client that came over IPv4 is known by its IPv4
 * address. `"0.0.0.0"` means any IPv4 address.
 * @param port The port, 0 for any free one: {@linkcode getlocal} tells which.
 * @param options The backlog, default 128; or a bag with `backlog` and `reusePort`.
 * @returns The listener, which listens already.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `port` or the backlog is out of range.
 * @throws {SocketError} `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, `ENOTFOUND`; `ENOPROTOOPT` for
 * `reusePort` without `--unstable-net`.
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
  const { backlog = 128, reusePort = false } = checkListenOptions(options);
  const { acceptor, local } = listenOn("listen", { host, port, backlog, reusePort });
  return new Listener(acceptor, local).id;
}

function checkListenOptions(options: number | ListenOptions): ListenOptions {
  if (typeof options === "number") options = { backlog: options };
  checkOptions(options, ["backlog", "reusePort"]);
  if (options.backlog !== undefined) checkInteger("backlog", options.backlog, 1, 65535);
  if (options.reusePort !== undefined) checkBoolean("reusePort", options.reusePort);
  return options;
}
