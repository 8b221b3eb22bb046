// A TCP client: connects, sends a message, prints what comes back.
//
//     deno run --allow-net examples/echo_client.ts --port 8080 --message Hello

import { socket, task } from "@taskio/net";
import { integer, run, text } from "./cli.ts";

async function echoClient(
  host: string,
  port: number,
  message: string,
  timeout: number,
): Promise<void> {
  const conn = await socket.tcpconnect(host, port, { timeout });
  try {
    console.log("Connected to server");

    const sent = await task.await(socket.send(conn, message), { timeout });

    // An echo may come in pieces: receive as many bytes as were sent
    const decoder = new TextDecoder();
    let reply = "";
    let received = 0;
    while (received < sent) {
      const data = await task.await(socket.recv(conn), { timeout });
      if (data.length === 0) break;
      received += data.length;
      reply += decoder.decode(data, { stream: true });
    }
    console.log(`Server replied: ${reply + decoder.decode()}`);
    if (received < sent) {
      console.log(`(${received} of ${sent} bytes, then the server ended the connection)`);
    }
  } finally {
    socket.close(conn);
  }
}

if (import.meta.main) {
  await run({
    name: "echo_client",
    about: "Connects to an echo server, sends a message and prints the reply.",
    flags: {
      host: text("127.0.0.1", "Address or name of the server"),
      port: integer(8080, 1, 65535, "Port of the server"),
      message: text("Hello", "What to send"),
      timeout: integer(5000, 1, 3_600_000, "Longest wait for each step, in milliseconds"),
    },
    main: ({ host, port, message, timeout }) => echoClient(host, port, message, timeout),
  });
}
