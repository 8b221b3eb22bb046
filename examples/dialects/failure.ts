import { socket, task } from "@taskio/net";

/**
 * Whether an error is a failure, of which a script is told in the way of its language: the network's, or
 * that of a wait which the host has ended (`task.cancel`). Anything else is a mistake in the program.
 */
export function isFailure(error: unknown): error is socket.SocketError | task.CancelledError {
  return error instanceof socket.SocketError || error instanceof task.CancelledError;
}
