// A concurrent TCP port scanner. Each probe is a task: it connects, then polls the status of a recv.
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

import { socket, task } from "@taskio/net";
import { integer, run, text, UsageError } from "./cli.ts";

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

const encoder = new TextEncoder();

/** Replaces the progress line; an empty one takes it away. There is none but on a terminal. */
function showProgress(line: string): void {
  if (Deno.stderr.isTerminal()) Deno.stderr.writeSync(encoder.encode(`\r\x1b[K${line}`));
}

if (import.meta.main) {
  await run({
    name: "port_scanner",
    about: "Finds the open TCP ports of a host. Scan only machines that you may scan.",
    flags: {
      host: text("127.0.0.1", "Host to scan"),
      from: integer(1, 1, 65535, "First port"),
      to: integer(1024, 1, 65535, "Last port"),
      timeout: integer(500, 1, 3_600_000, "Longest wait for each connect and reply, in ms"),
      concurrency: integer(100, 1, 10_000, "How many ports to probe at once"),
    },
    main: ({ host, from, to, ...options }) => scanAndPrint(host, from, to, options),
  });
}
