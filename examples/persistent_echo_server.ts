// A TCP echo server for any number of clients at once: every connection gets a spawned task, which
// receives once, sends that back and closes. It runs until Ctrl-C.
//
//     deno run --allow-net examples/persistent_echo_server.ts
//     deno run --allow-net examples/echo_client.ts --port 9000      (in another terminal)
//
// One file to copy: all it needs is `deno add jsr:@taskio/net`.

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

if (import.meta.main) {
  await run(HELP, ({ host, port }) =>
    untilInterrupt(() => {
      const server = socket.tcpserver(host, Number(port));
      console.log(`Echo server running on ${formatAddress(socket.getlocal(server))}`);
      return serveEcho(server);
    }));
}
