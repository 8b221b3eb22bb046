import { socket, task } from "@taskio/net";

/** Closes a connection once what was sent has gone out, or time runs out; how it ends concerns nobody. */
export async function finish(id: socket.SocketId, timeout: number): Promise<void> {
  try {
    await task.await(socket.finish(id, { timeout }));
  } catch (error) {
    if (!(error instanceof socket.SocketError)) throw error;
  }
}
