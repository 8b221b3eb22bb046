// A TCP echo server for one client: accepts a connection, receives once, sends that back, ends.
//
//     deno run --allow-net examples/echo_server.ts
//     deno run --allow-net examples/echo_client.ts      (in another terminal)

import { socket, task } from "@taskio/net";
import { closeOnInterrupt, formatAddress, integer, run, text } from "./cli.ts";

async function echoServer(host: string, port: number): Promise<void> {
  closeOnInterrupt();

  // Bind and listen
  const server = socket.tcpserver(host, port);
  console.log(`Server listening on ${formatAddress(socket.getlocal(server))}`);

  // Wait until a client connects
  const client = await task.await(socket.accept(server));
  console.log(`Client connected: ${client}`);

  // Receive up to 4096 bytes
  const data = await task.await(socket.recv(client));
  console.log(`Received: ${new TextDecoder().decode(data)}`);

  // Echo back
  await task.await(socket.send(client, data));

  socket.close(client);
  socket.close(server);
  console.log("Done.");
}

if (import.meta.main) {
  await run({
    name: "echo_server",
    about: "Accepts one client, echoes what it sends first, and ends.",
    flags: {
      host: text("127.0.0.1", "Address to listen on"),
      port: integer(8080, 0, 65535, "Port to listen on, 0 for any free one"),
    },
    main: ({ host, port }) => echoServer(host, port),
  });
}
