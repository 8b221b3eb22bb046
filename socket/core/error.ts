import type { SocketId } from "../../task/core/mod.ts";
import type { Address } from "./types.ts";
import { lookUp } from "./codes.ts";

/** What a {@linkcode SocketError} says besides its code. */
export interface SocketErrorDetails {
  /** The socket, if there was one. */
  socket?: SocketId;
  /** This end of the connection, or where it listens. */
  local?: Address;
  /** The other end of the connection, or what was to be connected to. */
  remote?: Address;
  /** Says more than the code's own text. */
  text?: string;
  /** The error underneath. */
  cause?: unknown;
}

/**
 * The failure of a socket operation.
 *
 * @example Tell failures apart
 * ```ts
 * import { socket } from "@taskio/net";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const [host, port] = socket.getlocal(server);
 * socket.close(server);
 * const error = await assertRejects(() => socket.tcpconnect(host, port), socket.SocketError);
 * assertEquals([error.code, error.errno, error.op], ["ECONNREFUSED", 111, "connect"]);
 * assertEquals(error.message, `connect 127.0.0.1:${port}: connection refused (ECONNREFUSED)`);
 * ```
 */
export class SocketError extends Error {
  /** Always `"SocketError"`. */
  override readonly name = "SocketError";
  /** What went wrong: `"ECONNREFUSED"`, `"ENOTFOUND"` ... */
  readonly code: string;
  /**
   * The number Linux gives the code. Codes that Linux does not have: those of TLS 71, as `EPROTO`;
   * `ENOTFOUND` (no such host) 4001, `EAI_AGAIN` (the name cannot be looked up now) 4002,
   * `EUNEXPECTEDEOF` 4003, `EUNKNOWN` 4004.
   */
  readonly errno: number;
  /** The operation: `"connect"`, `"recv"` ... */
  readonly op: string;
  /** The socket, `undefined` if there was none. */
  readonly socket: SocketId | undefined;
  /** This end of the connection, or where it listens; `undefined` if not known. */
  readonly local: Address | undefined;
  /** The other end of the connection; `undefined` if not known. */
  readonly remote: Address | undefined;
  /** What had come when a `recvExact` or `recvUntil` failed: a copy, it is still to be received. */
  partial: Uint8Array<ArrayBuffer> | undefined;

  /**
   * Made by the calls of this package.
   *
   * @param code What went wrong.
   * @param op The operation.
   * @param details On what, and why.
   */
  constructor(code: string, op: string, details: SocketErrorDetails = {}) {
    const { errno, text } = lookUp(code);
    super(
      printable(`${op}${subject(details)}: ${details.text ?? text} (${code})`),
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.code = code;
    this.errno = errno;
    this.op = op;
    this.socket = details.socket;
    this.local = details.local && [...details.local];
    this.remote = details.remote && [...details.remote];
  }
}

/** On what: the far end if there is one with a name, else the near end, else the socket's ID. */
function subject({ socket, local, remote }: SocketErrorDetails): string {
  const address = [remote, local].find((address) => address !== undefined && address[0] !== "");
  if (address !== undefined) return ` ${formatAddress(address)}`;
  return socket === undefined ? "" : ` socket ${socket}`;
}

/** Names may come from anywhere: in a message they are neither lines nor orders to a terminal. */
function printable(message: string): string {
  return message.replace(UNPRINTABLE, (found) => {
    const code = found.codePointAt(0)!;
    return `\\u{${code.toString(16)}}`;
  });
}

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** A name with a colon is no address, and a mistake to be shown as it is. */
const IPV6 = /^[\da-f]*:[\da-f:.]*(%\w+)?$/i;

function formatAddress([ip, port]: Address): string {
  if (port === 0) return ip; // a path, or an address with any port
  return IPV6.test(ip) ? `[${ip}]:${port}` : `${ip}:${port}`;
}
