// A TCP echo server for one client: accepts a connection, receives once, sends that back, ends.
//
//     deno run --allow-net examples/echo_server.ts
//     deno run --allow-net examples/echo_client.ts      (in another terminal)
//
// One file to copy: all it needs is `deno add jsr:@taskio/net jsr:@std/cli`.

import { parseArgs } from "@std/cli/parse-args";
import { socket, task } from "@taskio/net";

const HELP = `Accepts one client, echoes what it sends first, and ends.

Usage: deno run --allow-net examples/echo_server.ts [flags]

  --host <text>      Address to listen on (default: 127.0.0.1)
  --port <0..65535>  Port to listen on, 0 for any free one (default: 8080)
  --help, -h         Show this text`;

async function echoServer(host: string, port: number): Promise<void> {
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

/** An address as it is usually written. */
function formatAddress([ip, port]: socket.Address): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** Lets the first Ctrl-C close every socket, which ends every wait; a second one kills. */
async function untilInterrupt(main: () => Promise<void>): Promise<void> {
  let interrupted = false;
  const close = () => {
    Deno.removeSignalListener("SIGINT", close);
    interrupted = true;
    socket.list().forEach(socket.close);
  };
  Deno.addSignalListener("SIGINT", close);
  try {
    await main();
  } catch (error) {
    if (!interrupted) throw error;
  }
  if (interrupted) console.log("Interrupted: every socket is closed.");
}

// The command line

/** Ends the program: with 1 for a failure, with 2 and its usage for a wrong command line. */
function fail(code: 1 | 2, message: string): never {
  console.error(`echo_server: ${message}${code === 2 ? `\n\n${HELP}` : ""}`);
  Deno.exit(code);
}

if (import.meta.main) {
  const unknown = (arg: unknown) => fail(2, `Unknown flag or argument "${arg}"`);
  const flags = parseArgs(Deno.args, {
    string: ["host", "port"],
    boolean: ["help"],
    alias: { help: "h" },
    default: { host: "127.0.0.1", port: "8080" },
    unknown,
  });
  flags._.forEach(unknown); // what follows "--"
  const { host, port } = flags;
  if (host === "") fail(2, `--host takes a value: current value is ""`);
  if (!/^\d+$/.test(port) || Number(port) > 65535) {
    fail(2, `--port takes 0..65535: current value is "${port}"`);
  }
  if (flags.help) console.log(HELP);
  else {
    const serving = untilInterrupt(() => echoServer(host, Number(port)));
    await serving.catch((error) => fail(1, error.message));
  }
}
