import type { SocketId } from "../task/id.ts";
import { DeferredFault } from "../task/record.ts";
import { codeFor, errno, lookUp, setErrno } from "./errno.ts";

/** An IP address and a port; for a Unix socket its path and 0. */
export type Address = [ip: string, port: number];

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
  /** What went wrong: `"ECONNREFUSED"`, `"ENOTFOUND"` … */
  readonly code: string;
  /**
   * The number Linux gives the code. Codes that Linux does not have: those of TLS 71, as `EPROTO`;
   * others from 4001.
   */
  readonly errno: number;
  /** The operation: `"connect"`, `"recv"` … */
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
      `${op}${subject(details)}: ${details.text ?? text} (${code})`,
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.code = code;
    this.errno = errno;
    this.op = op;
    this.socket = details.socket;
    this.local = details.local;
    this.remote = details.remote;
  }
}

/** On what: the far end if there is one with a name, else the near end, else the socket's ID. */
function subject({ socket, local, remote }: SocketErrorDetails): string {
  const address = [remote, local].find((address) => address !== undefined && address[0] !== "");
  if (address !== undefined) return ` ${formatAddress(address)}`;
  return socket === undefined ? "" : ` socket ${socket}`;
}

function formatAddress([ip, port]: Address): string {
  if (port === 0) return ip; // a path, or an address with any port
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** A failure that counts: it sets `errno()`. */
export function failure(code: string, op: string, details: SocketErrorDetails): SocketError {
  const error = new SocketError(code, op, details);
  setErrno(error.errno);
  return error;
}

/** A failure of many tasks at once: it counts now, and a task's error is made when somebody looks. */
export function deferFailure(make: (op: string) => Error): DeferredFault {
  make(""); // which counts
  return new DeferredFault(({ kind }) => {
    const before = errno();
    const error = make(kind);
    setErrno(before);
    return error;
  });
}

/** An error of a transport whose code and text are already those to report. */
export class CodedError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * What to report for an error of Deno's. A missing permission passes through as it is: Deno's
 * text tells the user what to do.
 */
export function translate(cause: unknown, op: string, details: SocketErrorDetails): Error {
  if (cause instanceof Deno.errors.NotCapable) return cause;
  let code = codeOf(cause);
  if (GONE.has(code) && (op === "connect" || op === "starttls")) code = "ECONNRESET";
  if (cause instanceof CodedError) details.text ??= cause.message;
  if (code === "EUNKNOWN") details.text ??= String((cause as Error)?.message ?? cause);
  const text = details.text ?? hintFor(code, op, details);
  const origin = cause instanceof CodedError ? cause.cause ?? cause : cause;
  return failure(code, op, { ...details, text, cause: origin });
}

/**
 * What the system also says of a connection that the peer resets while it is being established: it
 * has no peer any more when Deno asks for the address, or the handshake cannot be written.
 */
const GONE = new Set(["ENOTCONN", "EPIPE"]);

/** Deno's class of errors that carry no code of the system's. */
const BY_CLASS: Record<string, string> = {
  AddrInUse: "EADDRINUSE",
  AddrNotAvailable: "EADDRNOTAVAIL",
  BadResource: "EBADF",
  BrokenPipe: "EPIPE",
  Busy: "EBUSY",
  ConnectionAborted: "ECONNABORTED",
  ConnectionRefused: "ECONNREFUSED",
  ConnectionReset: "ECONNRESET",
  Interrupted: "ECONNABORTED",
  NotConnected: "ENOTCONN",
  NotFound: "ENOENT",
  NotSupported: "EOPNOTSUPP",
  PermissionDenied: "EACCES",
  TimedOut: "ETIMEDOUT",
  UnexpectedEof: "EUNEXPECTEDEOF",
  URIError: "EINVAL",
};

/** The code of an error of Deno's. */
export function codeOf(cause: unknown): string {
  if (!(cause instanceof Error)) return "EUNKNOWN";
  if ("code" in cause && typeof cause.code === "string") return cause.code;
  if (cause.message.startsWith("failed to lookup address information")) {
    return cause.message.includes("Temporary failure") ? "EAI_AGAIN" : "ENOTFOUND";
  }
  // Deno does not know all of the system's numbers by name.
  const number = /\(os error (\d+)\)$/.exec(cause.message)?.[1];
  const named = Deno.build.os === "linux" ? codeFor(Number(number)) : undefined;
  if (named !== undefined) return named;
  return BY_CLASS[cause.name] ?? "EUNKNOWN";
}

/** What to do about it, where that can be said in a few words. */
function hintFor(
  code: string,
  op: string,
  { local, remote }: SocketErrorDetails,
): string | undefined {
  const listens = op === "listen" || op === "bind";
  const hint = code === "EINVAL" && (listens || op === "connect")
    ? hintForHost((remote ?? local)?.[0] ?? "")
    : listens
    ? HINTS[code]
    : undefined;
  return hint === undefined ? undefined : `${lookUp(code).text}, ${hint}`;
}

/** What is wrong with a host that the system does not even look for. */
function hintForHost(host: string): string {
  if (host.includes("://")) return "give the host and the port apart, not a URL";
  if (/^([^:]*|\[.*\]):\d*$/.test(host)) return "give the host and the port apart";
  return "give an IP address or a host name";
}

const HINTS: Record<string, string> = {
  EADDRINUSE: "choose another port, or 0 for any free one",
  EADDRNOTAVAIL: "choose an address of this machine",
  EACCES: "choose a port from 1024 on, or run with more rights",
  ENOTFOUND: "give an IP address or a host name of this machine",
};
