// A TCP client: connects, sends a message, prints what comes back.
//
//     deno run --allow-net examples/echo_client.ts --port 8080 --message Hello
//
// One file to copy: all it needs is `deno add jsr:@taskio/net`.

import { socket, task } from "@taskio/net";

const HELP = `Connects to an echo server, sends a message and prints the reply.

Usage: deno run --allow-net examples/echo_client.ts [flags]

  --host <text>           Address or name of the server (default: 127.0.0.1)
  --port <1..65535>       Port of the server (default: 8080)
  --message <text>        What to send (default: Hello)
  --timeout <1..3600000>  Longest wait for each step, in milliseconds (default: 5000)
  --help, -h              Show this text`;

async function echoClient(
  host: string,
  port: number,
  message: string,
  timeout: number,
): Promise<void> {
  const conn = await socket.tcpconnect(host, port, { timeout });
  try {
    console.log("Connected to server");

    const sent = await task.await(socket.send(conn, message), { timeout, cancel: true });

    // An echo may come in pieces: receive as many bytes as were sent
    const decoder = new TextDecoder();
    let reply = "";
    let received = 0;
    while (received < sent) {
      const data = await task.await(socket.recv(conn), { timeout, cancel: true });
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
  await run(HELP, ({ host, port, message, timeout }) => {
    return echoClient(host, Number(port), message, Number(timeout));
  });
}
