import { socket } from "@taskio/net";

/** What the hosts say themselves, as Linux numbers. */
export const EBADF = 9,
  EAGAIN = 11,
  EACCES = 13,
  EFAULT = 14,
  EINVAL = 22,
  EOVERFLOW = 75,
  EMSGSIZE = 90,
  ENOBUFS = 105;

/** The number of a failure of taskio's. What is none is thrown: the host is wrong. */
export function errnoOf(error: unknown): number {
  if (error instanceof socket.SocketError) return error.errno;
  if (error instanceof Deno.errors.NotCapable) return EACCES;
  // Such as a recv of no bytes or a connect to port 0
  if (error instanceof RangeError || error instanceof TypeError) return EINVAL;
  throw error;
}
