// A TCP echo server for any number of clients at once: every connection gets a spawned task, which
// receives once, sends that back and closes. It runs until Ctrl-C.
//
//     deno run --allow-net examples/persistent_echo_server.ts
//     deno run --allow-net examples/echo_client.ts --port 9000      (in another terminal)
//
// One file to copy: all it needs is `deno add jsr:@taskio/net jsr:@std/cli`.

import { parseArgs } from "@std/cli/parse-args";
import { socket, task } from "@taskio/net";

const HELP = `Echoes what each client sends first, many clients at once, until Ctrl-C.

Usage: deno run --allow-net examples/persistent_echo_server.ts [flags]

  --host <text>      Address to listen on (default: 127.0.0.1)
  --port <0..65535>  Port to listen on, 0 for any free one (default: 9000)
  --help, -h         Show this text`;

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

async function persistentEchoServer(host: string, port: number): Promise<void> {
  const server = socket.tcpserver(host, port);
  console.log(`Echo server running on ${formatAddress(socket.getlocal(server))}`);
  await serveEcho(server);
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
  console.error(`persistent_echo_server: ${message}${code === 2 ? `\n\n${HELP}` : ""}`);
  Deno.exit(code);
}

if (import.meta.main) {
  const unknown = (arg: unknown) => fail(2, `Unknown flag or argument "${arg}"`);
  const flags = parseArgs(Deno.args, {
    string: ["host", "port"],
    boolean: ["help"],
    alias: { help: "h" },
    default: { host: "127.0.0.1", port: "9000" },
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
    const serving = untilInterrupt(() => persistentEchoServer(host, Number(port)));
    await serving.catch((error) => fail(1, error.message));
  }
}
