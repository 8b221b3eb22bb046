// A TCP proxy: relays every connection to a target, with or without TLS on either side.
//
//     deno run --allow-net examples/tcp_proxy.ts --listen 127.0.0.1:9000 --target 127.0.0.1:8080
//
// With --cert and --key it is a TLS terminator: clients speak TLS to it, the target need not.
// With --target-tls it is the reverse: the target speaks TLS, clients need not.
//
// One file to copy: all it needs is `deno add jsr:@taskio/net jsr:@std/cli`.

import { parseArgs } from "@std/cli/parse-args";
import { socket, task, tls } from "@taskio/net";

const HELP = `Relays TCP connections to a target, with or without TLS on either side, until Ctrl-C.

Usage: deno run --allow-net --allow-read examples/tcp_proxy.ts [flags]

  --listen <host:port>    Address to listen on, port 0 for any free one (default: 127.0.0.1:9000)
  --target <host:port>    Where to relay to (default: 127.0.0.1:8080)
  --cert <file>           Certificate to listen with TLS, PEM (default: none)
  --key <file>            Private key of --cert, PEM (default: none)
  --target-tls            Connect to the target with TLS
  --sni <name>            Name to ask the target for, if it is not its host (default: none)
  --ca <file>             Certificates to trust besides the system's, PEM (default: none)
  --timeout <1..3600000>  Longest wait for the target, in milliseconds (default: 10000)
  --help, -h              Show this text`;

interface Options {
  listen: socket.Address;
  target: socket.Address;
  /** Whether the target speaks TLS. */
  secure: boolean;
  /** Paths, for TLS with the clients. */
  cert?: string;
  key?: string;
  /** For TLS with the target. */
  sni: string;
  caFile?: string;
  /** Longest wait for the target, in milliseconds. */
  timeout: number;
}

async function tcpProxy({ listen, target, ...options }: Options): Promise<void> {
  const pair = readPair(options.cert, options.key);
  const { secure, sni, timeout } = options;
  const ca = readFile("ca", options.caFile);
  const connect = () =>
    secure
      ? tls.tcpconnect(...target, sni, { ca, timeout })
      : socket.tcpconnect(...target, { timeout });

  const server = pair === undefined ? socket.tcpserver(...listen) : tls.tcpserver(...listen, pair);
  console.log(
    `Proxy to ${formatAddress(target)} running on ${formatAddress(socket.getlocal(server))}`,
  );

  const totals = { up: 0, down: 0 };
  const relaying = new Set<socket.SocketId>();

  /** Relays one connection. When it returns or throws, the client's connection is closed. */
  const handle = async (client: socket.SocketId) => {
    const from = formatAddress(socket.getpeer(client));
    say(`Client ${client} connected from ${from}`);
    const upstream = await connect();
    try {
      const relayed = socket.relay(client, upstream);
      relaying.add(client);
      const [up, down] = await task.await(relayed);
      totals.up += up;
      totals.down += down;
      say(`Client ${client} has ended: ${up} bytes to the target, ${down} bytes back`);
    } finally {
      relaying.delete(client);
      socket.close(upstream);
    }
  };
  const serving = socket.serve(server, handle, {
    // What happens to one client is no concern of the others
    onError(error, client) {
      showProgress("");
      if (socket.isopen(server)) console.error(`Client ${client}:`, (error as Error).message);
    },
  });
  const progress = Deno.stderr.isTerminal()
    ? task.interval(500, () => showProgress(describe(relaying, totals)))
    : undefined;
  try {
    await task.await(serving);
  } finally {
    if (progress !== undefined) task.cancel(progress);
    showProgress("");
  }
}

/** What is being relayed now, and how much it was since the start. */
function describe(
  relaying: Set<socket.SocketId>,
  { up, down }: { up: number; down: number },
): string {
  for (const client of relaying) {
    const record = socket.inspect(client);
    if (record?.kind !== "stream") continue;
    up += record.bytesIn;
    down += record.bytesOut;
  }
  return `  ${relaying.size} connections, ${up} bytes to the target, ${down} bytes back`;
}

/** Prints a line where the progress line is. */
function say(line: string): void {
  showProgress("");
  console.log(line);
}

/** The certificate and its key that `--cert` and `--key` name; `undefined` without them. */
function readPair(certPath?: string, keyPath?: string): tls.CertificatePair | undefined {
  const [cert, key] = [readFile("cert", certPath), readFile("key", keyPath)];
  return cert === undefined || key === undefined ? undefined : { cert, key };
}

/** The text of a file that a flag names; `undefined` if the flag was left out. */
function readFile(flag: string, path: string | undefined): string | undefined {
  try {
    return path === undefined ? undefined : Deno.readTextFileSync(path);
  } catch (error) {
    throw new Error(`--${flag}: cannot read "${path}": ${(error as Error).message}`);
  }
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

/** Replaces the progress line; an empty one takes it away. There is none but on a terminal. */
function showProgress(line: string): void {
  if (!Deno.stderr.isTerminal()) return;
  const width = (Deno.consoleSize().columns || 80) - 1; // what wraps cannot be taken away
  Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${line.slice(0, width)}`));
}

// The command line

/** Ends the program: with 1 for a failure, with 2 and its usage for a wrong command line. */
function fail(code: 1 | 2, message: string): never {
  console.error(`tcp_proxy: ${message}${code === 2 ? `\n\n${HELP}` : ""}`);
  Deno.exit(code);
}

/** A host name or IP address, or nothing. */
const NAME = /^((?!-)[\w:[\]-]+(\.[\w\]-]+)*\.?)?$/;

if (import.meta.main) {
  const unknown = (arg: unknown) => fail(2, `Unknown flag or argument "${arg}"`);
  const flags = parseArgs(Deno.args, {
    string: ["listen", "target", "cert", "key", "sni", "ca", "timeout"],
    boolean: ["target-tls", "help"],
    alias: { help: "h" },
    default: { listen: "127.0.0.1:9000", target: "127.0.0.1:8080", timeout: "10000" },
    unknown,
  });
  flags._.forEach(unknown); // what follows "--"
  for (const [flag, value] of Object.entries(flags)) {
    if (value === "") fail(2, `--${flag} takes a value: current value is ""`);
  }
  const address = (flag: "listen" | "target", least: number): socket.Address => {
    const [, host, port] = /^(\[[\da-f.:]+\]|[^:[\]\s]+):(\d{1,5})$/i.exec(flags[flag]) ?? [];
    const number = Number(port);
    if (number >= least && number <= 65535) return [host.replace(/^\[|\]$/g, ""), number];
    return fail(2, `--${flag} takes host:port: current value is "${flags[flag]}"`);
  };
  const { cert, key, sni = "", ca: caFile, "target-tls": secure } = flags;
  const [listen, target] = [address("listen", 0), address("target", 1)];
  if (!NAME.test(sni)) fail(2, `--sni takes name: current value is "${sni}"`);
  if (!/^[1-9]\d*$/.test(flags.timeout) || Number(flags.timeout) > 3600000) {
    fail(2, `--timeout takes 1..3600000: current value is "${flags.timeout}"`);
  }
  if (!cert !== !key) fail(2, "--cert and --key belong together");
  if (!secure && (sni || caFile)) fail(2, "--sni and --ca belong to --target-tls");
  if (flags.help) console.log(HELP);
  else {
    const timeout = Number(flags.timeout);
    const options = { listen, target, secure, cert, key, sni, caFile, timeout };
    const serving = untilInterrupt(() => tcpProxy(options));
    await serving.catch((error) => fail(1, error.message));
  }
}
