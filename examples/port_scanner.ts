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
// One file to copy: all it needs is `deno add jsr:@taskio/net jsr:@std/cli`.

import { parseArgs } from "@std/cli/parse-args";
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

// The command line

/** Ends the program: with 1 for a failure, with 2 and its usage for a wrong command line. */
function fail(code: 1 | 2, message: string): never {
  console.error(`port_scanner: ${message}${code === 2 ? `\n\n${HELP}` : ""}`);
  Deno.exit(code);
}

if (import.meta.main) {
  const unknown = (arg: unknown) => fail(2, `Unknown flag or argument "${arg}"`);
  const flags = parseArgs(Deno.args, {
    string: ["host", "from", "to", "timeout", "concurrency"],
    boolean: ["help"],
    alias: { help: "h" },
    default: { host: "127.0.0.1", from: "1", to: "1024", timeout: "500", concurrency: "100" },
    unknown,
  });
  flags._.forEach(unknown); // what follows "--"
  if (flags.host === "") fail(2, `--host takes a value: current value is ""`);
  const integer = (
    flag: "from" | "to" | "timeout" | "concurrency",
    min: number,
    max: number,
  ): number => {
    const value = /^\d+$/.test(flags[flag]) ? Number(flags[flag]) : NaN;
    if (value >= min && value <= max) return value;
    return fail(2, `--${flag} takes ${min}..${max}: current value is "${flags[flag]}"`);
  };
  const [from, to] = [integer("from", 1, 65535), integer("to", 1, 65535)];
  const [timeout, concurrency] = [integer("timeout", 1, 3600000), integer("concurrency", 1, 10000)];
  if (from > to) fail(2, "--from must not be greater than --to");
  if (flags.help) console.log(HELP);
  else {
    const scanning = scanAndPrint(flags.host, from, to, { timeout, concurrency });
    await scanning.catch((error) => fail(1, error.message));
  }
}
