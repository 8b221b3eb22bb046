// Runs guest.wat, an echo server in WebAssembly that polls: its step function is called once a
// frame, and when something has arrived. See README.md.
//
//     deno run --allow-net examples/wasm_guest/host.ts
//     deno run --allow-net examples/echo_client.ts --port 9000      (in another terminal)

import { socket } from "@taskio/net";
import { closeOnInterrupt, formatAddress, integer, run, text } from "../cli.ts";
import { assemble } from "./assemble.ts";
import { Guest } from "./guest.ts";
import source from "./guest.wat" with { type: "text" };

async function host(address: string, port: number, frame: number): Promise<void> {
  closeOnInterrupt();
  using guest = await Guest.load(await assemble(source));
  const listener = socket.tcpserver(address, port);
  guest.start(listener);
  console.log(`WebAssembly echo server running on ${formatAddress(socket.getlocal(listener))}`);

  let before = 0;
  while (socket.isopen(listener)) {
    const count = guest.step();
    if (count !== before && count >= 0) console.log(`Connections: ${count}`);
    if (count !== before && count < 0) console.error(`Accept: ${socket.strerror(-count)}`);
    before = count;
    await guest.frame(frame);
  }
}

if (import.meta.main) {
  await run({
    name: "wasm_guest/host",
    about: "Echoes by a WebAssembly guest that polls, many clients at once, until Ctrl-C.",
    flags: {
      host: text("127.0.0.1", "Address to listen on"),
      port: integer(9000, 0, 65535, "Port to listen on, 0 for any free one"),
      frame: integer(
        5,
        1,
        1000,
        "Milliseconds from one step of the guest to the next at the latest",
      ),
    },
    main: ({ host: address, port, frame }) => host(address, port, frame),
  });
}
