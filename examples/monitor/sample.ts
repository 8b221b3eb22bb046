// A program to look at with the monitor: an echo server and a few clients of its own that keep it
// busy.
//
//     deno run --allow-net --allow-read --allow-write examples/monitor/sample.ts

import { socket, task } from "@taskio/net";
import { closeOnInterrupt, formatAddress, integer, run, text } from "../cli.ts";
import { publish } from "./publish.ts";

/** Sends this many bytes and has them echoed, over and over. */
async function keepBusy(server: socket.SocketId, size: number): Promise<never> {
  const id = await socket.tcpconnect(...socket.getlocal(server));
  const message = new Uint8Array(size);
  for (;;) {
    await task.await(socket.send(id, message));
    await task.await(socket.recvExact(id, size));
    await task.sleep(20);
  }
}

async function sample(path: string, port: number, clients: number): Promise<void> {
  closeOnInterrupt();
  const server = socket.tcpserver("127.0.0.1", port);
  publish(path); // this is all
  const serving = socket.serve(server, async (id) => {
    for (;;) {
      const data = await task.await(socket.recv(id, 65536));
      if (data.length === 0) return;
      await task.await(socket.send(id, data));
    }
  });
  for (let i = 1; i <= clients; i++) task.forget(task.spawn(keepBusy, [server, i * 1000]));
  console.log(`Echo server running on ${formatAddress(socket.getlocal(server))}, look at ${path}`);
  await task.await(serving);
}

if (import.meta.main) {
  await run({
    name: "monitor/sample",
    about: "An echo server with clients of its own, to be looked at with the monitor.",
    permissions: "--allow-net --allow-read --allow-write",
    flags: {
      path: text("/tmp/taskio_monitor.sock", "Where to publish"),
      port: integer(0, 0, 65535, "Port to listen on, 0 for any free one"),
      clients: integer(5, 0, 1000, "How many clients"),
    },
    main: ({ path, port, clients }) => sample(path, port, clients),
  });
}
