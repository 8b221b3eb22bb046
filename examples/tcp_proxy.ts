// A TCP proxy: relays every connection to a target, with or without TLS on either side.
//
//     deno run --allow-net examples/tcp_proxy.ts --listen 127.0.0.1:9000 --target 127.0.0.1:8080
//
// With --cert and --key it is a TLS terminator: clients speak TLS to it, the target need not.
// With --target-tls it is the reverse: the target speaks TLS, clients need not.
//
// One file to copy: all it needs is `deno add jsr:@taskio/net`.

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
  pair: tls.CertificatePair | undefined;
  connect(): Promise<socket.SocketId>;
}

async function tcpProxy({ listen, target, pair, connect }: Options): Promise<void> {
  // As a list, the certificate is served by Node's TLS, which is rid of silent clients at once
  const server = pair === undefined
    ? socket.tcpserver(...listen)
    : tls.tcpserver(...listen, { certs: [pair] });
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
function readPair(files: Record<string, string>): tls.CertificatePair | undefined {
  if ((files.cert === "") !== (files.key === "")) {
    throw new UsageError("--cert and --key belong together");
  }
  const cert = readFile("cert", files.cert);
  const key = readFile("key", files.key);
  return cert === undefined || key === undefined ? undefined : { cert, key };
}

/** The text of a file that a flag names; `undefined` if the flag was left out. */
function readFile(flag: string, path: string): string | undefined {
  if (path === "") return undefined;
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw fileFailure(`--${flag}: cannot read`, path, error);
  }
}

/** A failure to read or write a file, in words; a missing permission is left in Deno's. */
function fileFailure(what: string, path: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Deno.errors.NotCapable) return error;
  return new Failure(`${what} "${path}": ${error.message}`);
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

// The command line. The same lines are in every example, so that each is one file to copy.

/** A wrong command line. */
class UsageError extends Error {}

/** A failure that its message explains. */
class Failure extends Error {}

/** What to do about a failure, where its message does not say so. */
const ADVICE: Record<string, string> = {
  ECONNREFUSED: "Start the server first, or check --host and --port.",
  ECONNRESET: "Try again, or see what the other side says.",
  EMFILE: "Allow more open files (ulimit -n), or do less at once.",
  ENETUNREACH: "Check --host and the network.",
  EHOSTUNREACH: "Check --host and the network.",
  ENOTFOUND: "Check --host.",
  EAI_AGAIN: "Check --host and the network.",
  EINVAL: "Check --host.",
  ETIMEDOUT: "Check --host and --port, or raise --timeout.",
  UNABLE_TO_GET_ISSUER_CERT: "If you trust it, give its certificate, or its issuer's, with --ca.",
  ERR_TLS_CERT_ALTNAME_INVALID: "Give the name that its certificate is for with --sni.",
  EUNEXPECTEDEOF: "What came before may be incomplete.",
};

/** What a flag may be, by the word in the help; `1..9` is a range. */
const KINDS: Record<string, RegExp> = {
  "text": /./s,
  "file": /./s,
  "word": /^[!-~]+$/,
  "/text": /^\/[!-~]*$/,
  "name": /^(\w([\w-]*\w)?(\.|$))+$|^\[?[\da-f.]*:[\da-f:.]*\]?$/i,
  "host:port": /^(\[[\da-f.:]+\]|[^:[\]\s]+):\d{1,5}$/i,
};

function matches(kind: string, text: string): boolean {
  const [, min, max] = /^(\d+)\.\.(\d+)$/.exec(kind) ?? [];
  if (min === undefined) return KINDS[kind].test(text);
  return /^\d+$/.test(text) && Number(text) >= Number(min) && Number(text) <= Number(max);
}

/** The flags that a help text lists, from the command line; `undefined` if help was asked for. */
function readFlags(help: string, args: string[]): Record<string, string> | undefined {
  const kinds = new Map<string, string | undefined>();
  const values: Record<string, string> = {};
  const rows = help.matchAll(/^ {2}--([\w-]+)(?: <(.+?)>)? .*?(?:\(default: (.*)\))?$/gm);
  for (const [, name, kind, initial = ""] of rows) {
    kinds.set(name, kind);
    values[name] = initial === "none" ? "" : initial;
  }
  const rest = args.filter((arg) => arg !== "--");
  for (let arg; (arg = rest.shift()) !== undefined;) {
    if (arg === "--help" || arg === "-h") return undefined;
    const [, name, text] = /^--([\w-]+)(?:=(.*))?$/s.exec(arg) ?? [];
    if (!kinds.has(name)) throw new UsageError(`Unknown flag or argument "${arg}"`);
    const kind = kinds.get(name);
    if (kind === undefined) {
      values[name] = text ?? "true";
      continue;
    }
    const value = text ?? (rest[0]?.startsWith("-") === false ? rest.shift()! : "");
    if (!matches(kind, value)) {
      throw new UsageError(`--${name} takes ${kind}: current value is "${value}"`);
    }
    values[name] = value;
  }
  return values;
}

/** A failure in one line. Whatever is not a known failure is a bug, and thrown on. */
function explain(error: unknown): string {
  if (error instanceof Deno.errors.NotCapable || error instanceof Failure) return error.message;
  if (error instanceof Deno.errors.BrokenPipe) return "nobody reads the output";
  if (error instanceof socket.SocketError || error instanceof task.TimeoutError) {
    const advice = ADVICE[error.code];
    return advice === undefined ? error.message : `${error.message}. ${advice}`;
  }
  throw error;
}

/**
 * Runs a program with the flags that its help lists. The exit code is 1 if it failed, which one
 * line on standard error explains, and 2 if the flags were wrong.
 */
async function run(
  help: string,
  main: (flags: Record<string, string>) => Promise<void>,
): Promise<void> {
  const name = /(\w+)\.ts \[flags\]/.exec(help)?.[1];
  try {
    const flags = readFlags(help, Deno.args);
    if (flags === undefined) console.log(help);
    else await main(flags);
  } catch (error) {
    const wrong = error instanceof UsageError;
    console.error(`${name}: ${wrong ? `${error.message}\n\n${help}` : explain(error)}`);
    Deno.exit(wrong ? 2 : 1);
  }
}

/** The address in a flag. */
function addressOf(flag: string, text: string): socket.Address {
  const at = text.lastIndexOf(":");
  const [host, port] = [text.slice(0, at).replace(/^\[|\]$/g, ""), Number(text.slice(at + 1))];
  if (port <= 65535 && (port > 0 || flag === "listen")) return [host, port];
  throw new UsageError(`--${flag} takes host:port: current value is "${text}"`);
}

if (import.meta.main) {
  await run(HELP, (flags) => {
    const secure = flags["target-tls"] === "true";
    if (!secure && flags.sni + flags.ca !== "") {
      throw new UsageError("--sni and --ca belong to --target-tls");
    }
    const listen = addressOf("listen", flags.listen);
    const target = addressOf("target", flags.target);
    const timeout = Number(flags.timeout);
    const ca = readFile("ca", flags.ca);
    const connect = secure
      ? () => tls.tcpconnect(...target, flags.sni, { ca, timeout })
      : () => socket.tcpconnect(...target, { timeout });
    const pair = readPair(flags);
    return untilInterrupt(() => tcpProxy({ listen, target, pair, connect }));
  });
}
