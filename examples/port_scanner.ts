// A concurrent TCP port scanner. Each probe is a task: it connects, then polls the status of a
// recv.
//
//     deno run --allow-net examples/port_scanner.ts --from 1 --to 1024
//
// The rules, in the order in which they are tried:
//
// - The connection is refused -> closed.
// - Nobody answers the connect within the timeout (a firewall drops it) -> filtered. Such a port
//   counts as closed: it is not listed, only counted apart.
// - The recv is Completed, by a banner or because the server ends the connection at once -> open.
// - The recv is Faulted, because the connection is reset -> closed.
// - The recv is still Running at the timeout: the service waits for us to speak -> open.
//
// Scan only machines that you may scan.
//
// One file to copy: all it needs is `deno add jsr:@taskio/net`.

import { socket, task } from "@taskio/net";

const HELP = `Finds the open TCP ports of a host. Scan only machines that you may scan.

Usage: deno run --allow-net examples/port_scanner.ts [flags]

  --host <text>             Host to scan (default: 127.0.0.1)
  --from <1..65535>         First port (default: 1)
  --to <1..65535>           Last port (default: 1024)
  --timeout <1..3600000>    Longest wait for each connect and reply, in ms (default: 500)
  --concurrency <1..10000>  How many ports to probe at once (default: 100)
  --help, -h                Show this text`;

export type PortState = "open" | "closed" | "filtered";

/** What a probe found out; `error` is why nothing could be found out. */
export interface Probed {
  readonly port: number;
  readonly state?: PortState;
  readonly error?: unknown;
}

/** The codes of a connect that say something about the port. All others end the scan. */
const STATES: Record<string, PortState> = {
  ECONNREFUSED: "closed",
  ECONNRESET: "closed",
  EHOSTUNREACH: "filtered",
  ETIMEDOUT: "filtered",
};

/** Probes one port and sends what it found on the channel. */
export async function probe(
  host: string,
  port: number,
  results: task.Channel<Probed>,
  timeout: number,
): Promise<void> {
  try {
    const conn = await socket.tcpconnect(host, port, { timeout });
    const receiving = socket.recv(conn, 1);
    const start = performance.now();
    while (task.status(receiving) === "Running" && performance.now() - start < timeout) {
      await task.sleep(10);
    }
    const state = task.status(receiving) === "Faulted" ? "closed" : "open";
    task.forget(receiving);
    socket.close(conn); // faults the recv if it is still running
    await results.send({ port, state });
  } catch (error) {
    const state = error instanceof socket.SocketError ? STATES[error.code] : undefined;
    await results.send(state === undefined ? { port, error } : { port, state });
  }
}

export interface ScanOptions {
  /** Milliseconds for the connect, and again for the silence after it. */
  timeout: number;
  /** How many probes at once. */
  concurrency: number;
}

/** Probes the ports and gives each result as it comes. */
export async function* scan(
  host: string,
  ports: readonly number[],
  { timeout, concurrency }: ScanOptions,
): AsyncGenerator<Probed> {
  const results = task.channel<Probed>();
  const start = (port: number) => {
    task.forget(task.spawn(probe, [host, port, results, timeout]));
  };
  ports.slice(0, concurrency).forEach(start);
  for (let received = 0; received < ports.length; received++) {
    const result = (await results.recv())!;
    if (result.error !== undefined) throw result.error;
    // One probe has ended, so another may begin
    const next = received + concurrency;
    if (next < ports.length) start(ports[next]);
    yield result;
  }
}

async function scanAndPrint(
  host: string,
  first: number,
  last: number,
  options: ScanOptions,
): Promise<void> {
  if (first > last) throw new UsageError("--from must not be greater than --to");
  const ports = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const found: Record<PortState, number[]> = { open: [], closed: [], filtered: [] };
  const began = performance.now();
  let received = 0;
  const progress = task.interval(100, () => {
    showProgress(`  ${received} of ${ports.length} ports, ${found.open.length} open`);
  });
  try {
    for await (const { port, state } of scan(host, ports, options)) {
      received++;
      found[state!].push(port);
      if (state === "open") {
        showProgress("");
        console.log(`  [open] port ${port}`);
      }
    }
  } finally {
    task.cancel(progress);
    showProgress("");
  }
  const { open, closed, filtered } = found;
  open.sort((a, b) => a - b);
  console.log(`Open ports: ${open.join(", ") || "none"}`);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(
    `Scanned ${ports.length} ports of ${host} in ${seconds} s: ` +
      `${open.length} open, ${closed.length} closed, ${filtered.length} filtered`,
  );
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

if (import.meta.main) {
  await run(HELP, ({ host, from, to, timeout, concurrency }) => {
    const options = { timeout: Number(timeout), concurrency: Number(concurrency) };
    return scanAndPrint(host, Number(from), Number(to), options);
  });
}
