import { socket, task } from "@taskio/net";

/** The most that is received at once. */
const WHOLE = Number.MAX_SAFE_INTEGER;

/**
 * Closes a connection once what was sent has gone out. A system that is told to close a connection with
 * bytes in it that nobody has received resets it, and what the peer has not received yet is lost. So
 * this receives them first, up to the peer's end, and closes all the same when time runs out.
 */
export async function finish(id: socket.SocketId, timeout: number): Promise<void> {
  const timer = setTimeout(socket.close, timeout, id);
  try {
    await task.await(socket.shutdown(id));
    while ((await task.await(socket.recv(id, WHOLE))).length > 0);
  } catch (error) {
    if (!(error instanceof socket.SocketError)) throw error;
  } finally {
    clearTimeout(timer);
    socket.close(id);
  }
}
