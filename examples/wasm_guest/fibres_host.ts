// Runs fibres.wat, an echo server in WebAssembly that waits, with a fibre for every client. See
// README.md.
//
//     deno run --allow-net examples/wasm_guest/fibres_host.ts
//     deno run --allow-net examples/echo_client.ts --port 9000      (in another terminal)

import { socket } from "@taskio/net";
import { closeOnInterrupt, Failure, formatAddress, integer, run, text } from "../cli.ts";
import { assemble } from "./assemble.ts";
import { FibreGuest } from "./fibres.ts";
import source from "./fibres.wat" with { type: "text" };

async function host(address: string, port: number): Promise<void> {
  closeOnInterrupt();
  using guest = await FibreGuest.load(await assemble(source));
  const listener = socket.tcpserver(address, port);
  guest.give(listener);
  console.log(`WebAssembly echo server running on ${formatAddress(socket.getlocal(listener))}`);
  const errno = -await guest.run("main", listener);
  if (socket.isopen(listener)) throw new Failure(`Accept: ${socket.strerror(errno)}`);
}

if (import.meta.main) {
  await run({
    name: "wasm_guest/fibres_host",
    about: "Echoes by a WebAssembly guest that waits, many clients at once, until Ctrl-C.",
    flags: {
      host: text("127.0.0.1", "Address to listen on"),
      port: integer(9000, 0, 65535, "Port to listen on, 0 for any free one"),
    },
    main: ({ host: address, port }) => host(address, port),
  });
}
