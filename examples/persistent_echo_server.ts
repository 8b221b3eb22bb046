// A TCP echo server for any number of clients at once: every connection gets a spawned task, which
// receives once, sends that back and closes. It runs until Ctrl-C.
//
//     deno run --allow-net examples/persistent_echo_server.ts
//     deno run --allow-net examples/echo_client.ts --port 9000      (in another terminal)

import { socket, task } from "@taskio/net";
import { closeOnInterrupt, formatAddress, integer, run, text } from "./cli.ts";

async function handleClient(client: socket.SocketId): Promise<void> {
  try {
    const data = await task.await(socket.recv(client));
    if (data.length > 0) {
      console.log(`Client ${client}: ${JSON.stringify(new TextDecoder().decode(data))}`);
      await task.await(socket.send(client, data));
    }
  } catch (error) {
    // What happens to one client is no concern of the others
    if (socket.isopen(client)) console.error(`Client ${client}:`, (error as Error).message);
  } finally {
    socket.close(client);
  }
}

/** Echoes until the server socket is closed; then the wait for the next client rejects. */
export async function serveEcho(server: socket.SocketId): Promise<never> {
  // Accept connections indefinitely
  while (true) {
    const client = await task.await(socket.accept(server));
    task.spawn(handleClient, [client]);
  }
}

if (import.meta.main) {
  await run({
    name: "persistent_echo_server",
    about: "Echoes what each client sends first, many clients at once, until Ctrl-C.",
    flags: {
      host: text("127.0.0.1", "Address to listen on"),
      port: integer(9000, 0, 65535, "Port to listen on, 0 for any free one"),
    },
    main: ({ host, port }) => {
      closeOnInterrupt();
      const server = socket.tcpserver(host, port);
      console.log(`Echo server running on ${formatAddress(socket.getlocal(server))}`);
      return serveEcho(server);
    },
  });
}
