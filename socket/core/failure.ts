/** Failures as they are reported: from a code, or from an error of Deno's. */
import { codeFor, lastErrno, lookUp, setErrno } from "./codes.ts";
import { DeferredFault } from "../../task/core/mod.ts";
import { SocketError, type SocketErrorDetails } from "./error.ts";

/** A failure that counts: it sets `errno()`. */
export function failure(code: string, op: string, details: SocketErrorDetails): SocketError {
  const error = new SocketError(code, op, details);
  setErrno(error.errno);
  return error;
}

/** A failure is the last one still: what the close for its sake faulted has counted since. */
export function countAgain(error: unknown): void {
  if (error instanceof SocketError) setErrno(error.errno);
}

/** A failure of many tasks at once: it counts now, and a task's error is made when somebody looks. */
export function deferFailure(make: (op: string) => Error): DeferredFault {
  make(""); // which counts
  return new DeferredFault(({ kind }) => {
    const before = lastErrno();
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
  if (PEER_GONE.has(code) && (op === "connect" || op === "starttls")) code = "ECONNRESET";
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
const PEER_GONE = new Set(["ENOTCONN", "EPIPE"]);

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
