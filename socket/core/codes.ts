/**
 * Error codes, their numbers and texts: those of Linux, on every system, so that a ported script
 * sees the numbers it knows. Codes that no kernel has get numbers beyond the kernel's range.
 */

const TABLE: readonly (readonly [code: string, errno: number, text: string])[] = [
  ["EPERM", 1, "operation not permitted"],
  ["ENOENT", 2, "no such file or directory"],
  ["ESRCH", 3, "no such task"],
  ["EINTR", 4, "interrupted system call"],
  ["EIO", 5, "input/output error"],
  ["EBADF", 9, "bad socket ID"],
  ["EAGAIN", 11, "resource temporarily unavailable"],
  ["ENOMEM", 12, "cannot allocate memory"],
  ["EACCES", 13, "permission denied"],
  ["EBUSY", 16, "device or resource busy"],
  ["EEXIST", 17, "file exists"],
  ["ENOTDIR", 20, "not a directory"],
  ["EINVAL", 22, "invalid argument"],
  ["ENFILE", 23, "too many open files in system"],
  ["EMFILE", 24, "too many open files"],
  ["ENOSPC", 28, "no space left on device"],
  ["EROFS", 30, "read-only file system"],
  ["EPIPE", 32, "broken pipe"],
  ["ENAMETOOLONG", 36, "file name too long"],
  ["ELOOP", 40, "too many levels of symbolic links"],
  ["ENOSR", 63, "out of streams resources"],
  ["ENONET", 64, "machine is not on the network"],
  ["EPROTO", 71, "protocol error"],
  ["EOVERFLOW", 75, "value too large for defined data type"],
  ["ENOTSOCK", 88, "socket operation on non-socket"],
  ["EDESTADDRREQ", 89, "destination address required"],
  ["EMSGSIZE", 90, "message too long"],
  ["EPROTOTYPE", 91, "protocol wrong type for socket"],
  ["ENOPROTOOPT", 92, "protocol not available"],
  ["EPROTONOSUPPORT", 93, "protocol not supported"],
  ["ESOCKTNOSUPPORT", 94, "socket type not supported"],
  ["EOPNOTSUPP", 95, "operation not supported"],
  ["EAFNOSUPPORT", 97, "address family not supported by protocol"],
  ["EADDRINUSE", 98, "address already in use"],
  ["EADDRNOTAVAIL", 99, "cannot assign requested address"],
  ["ENETDOWN", 100, "network is down"],
  ["ENETUNREACH", 101, "network is unreachable"],
  ["ENETRESET", 102, "network dropped connection on reset"],
  ["ECONNABORTED", 103, "software caused connection abort"],
  ["ECONNRESET", 104, "connection reset by peer"],
  ["ENOBUFS", 105, "no buffer space available"],
  ["EISCONN", 106, "transport endpoint is already connected"],
  ["ENOTCONN", 107, "transport endpoint is not connected"],
  ["ESHUTDOWN", 108, "cannot send after transport endpoint shutdown"],
  ["ETIMEDOUT", 110, "connection timed out"],
  ["ECONNREFUSED", 111, "connection refused"],
  ["EHOSTDOWN", 112, "host is down"],
  ["EHOSTUNREACH", 113, "no route to host"],
  ["EALREADY", 114, "operation already in progress"],
  ["EINPROGRESS", 115, "operation now in progress"],
  ["EDQUOT", 122, "disk quota exceeded"],
  ["ECANCELED", 125, "operation canceled"],
  ["ENOTFOUND", 4001, "unknown host"],
  ["EAI_AGAIN", 4002, "temporary failure in name resolution"],
  ["EUNEXPECTEDEOF", 4003, "unexpected end of stream"],
  ["EUNKNOWN", 4004, "unknown error"],
];

let last = 0;

/** The number and text of a code; an unlisted one (of TLS) counts as a protocol error. */
export function lookUp(code: string): { readonly errno: number; readonly text: string } {
  const found = TABLE.find(([known]) => known === code);
  if (found === undefined) return lookUp("EPROTO");
  return { errno: found[1], text: found[2] };
}

// Searched, since failures are rare: maps of it would be made at every start.
function byNumber(errno: number): (typeof TABLE)[number] | undefined {
  return TABLE.find(([, known]) => known === errno);
}

/** The code that Linux gives a number, if it is a known one. */
export function codeFor(errno: number): string | undefined {
  return byNumber(errno)?.[0];
}

export function setErrno(errno: number): void {
  last = errno;
}

/** The number of the last failure; 0 at the start. */
export function lastErrno(): number {
  return last;
}

/** The text of a number, `undefined` if no code has it. */
export function textOf(errno: number): string | undefined {
  return byNumber(errno)?.[2];
}
