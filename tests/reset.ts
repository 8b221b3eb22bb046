import net from "node:net";
import { socket } from "../mod.ts";

/** A connection whose far end, which is Node's, can be reset: Deno's own ends politely. */
export interface Resettable extends AsyncDisposable {
  readonly client: socket.SocketId;
  readonly far: net.Socket;
  /** Sends RST; resolves when the far end is gone. */
  reset(): Promise<unknown>;
}

/** Connects a socket to a far end that receives nothing. */
export async function resettable(): Promise<Resettable> {
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const connected = new Promise<net.Socket>((resolve) => server.once("connection", resolve));
  const { port } = server.address() as net.AddressInfo;
  const client = await socket.tcpconnect("127.0.0.1", port);
  const far = await connected;
  const gone = new Promise((resolve) => far.once("close", resolve));
  return {
    client,
    far,
    reset() {
      far.resetAndDestroy();
      return gone;
    },
    async [Symbol.asyncDispose]() {
      socket.close(client);
      far.destroy();
      await gone;
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
