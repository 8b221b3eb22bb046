/** The family of IPv4 addresses, for {@linkcode create}. The numbers are those of Linux. */
export const AF_INET = 2;
/** The family of IPv6 addresses, for {@linkcode create}. */
export const AF_INET6 = 10;
/** The family of paths in the file system, for {@linkcode create}. */
export const AF_UNIX = 1;
/** A connected stream of bytes, for {@linkcode create}. */
export const SOCK_STREAM = 1;
/** The level of options of any socket, for {@linkcode setsockopt}. */
export const SOL_SOCKET = 1;
/** The level of options of TCP, for {@linkcode setsockopt}. */
export const IPPROTO_TCP = 6;
/** Listen although connections of an earlier listener linger. Deno always does. */
export const SO_REUSEADDR = 2;
/** Send a probe now and then on an idle connection. Off unless set. */
export const SO_KEEPALIVE = 9;
/** Several listeners share a port. To be set before `listen`; needs `--unstable-net`. */
export const SO_REUSEPORT = 15;
/** Send small data at once. On unless turned off. */
export const TCP_NODELAY = 1;
