// An echo server that uses every core: one process for each, all on one port, among which the
// system spreads the connections (SO_REUSEPORT, on Linux). A process that dies is started again.
// Ctrl-C ends all of them gently, and each tells whom it served.
//
//     deno run --allow-net --allow-run examples/multicore_server.ts --port 9000
//
// The first process, which you start, serves nobody: it starts the others from this same file, with
// --unstable-net, which Deno asks for to share a port. They end when their standard input does, so
// none is left behind, whatever ends the first.
//
// One file to copy: all it needs is `deno add jsr:@taskio/net jsr:@std/cli`.

import { parseArgs } from "@std/cli/parse-args";
import { socket, task } from "@taskio/net";

const CORES = navigator.hardwareConcurrency;

const HELP = `Echoes by one process per core on one port, until Ctrl-C.

Usage: deno run --allow-net --allow-run examples/multicore_server.ts [flags]

  --host <text>          Address to listen on (default: 127.0.0.1)
  --port <0..65535>      Port to listen on, 0 for any free one (default: 9000)
  --processes <1..1024>  How many processes (default: ${CORES})
  --grace <0..3600000>   How long clients may go on at the end, in ms (default: 5000)
  --one                  Be one of the processes, as the first one starts them
  --help, -h             Show this text`;

/** What a process has done so far. */
interface Totals {
  connections: number;
  bytes: number;
}

/** What a process tells the first one, a line each. */
type Report = { listening: socket.Address } | { ended: Totals };

// ── One of the processes ──

async function serve(host: string, port: number, grace: number): Promise<void> {
  // Ctrl-C in a terminal goes to every process; the first one says when to end
  Deno.addSignalListener("SIGINT", () => {});
  const totals: Totals = { connections: 0, bytes: 0 };
  const server = socket.tcpserver(host, port, { reusePort: true });
  const serving = socket.serve(server, async (client) => {
    totals.connections++;
    for (;;) {
      const data = await task.await(socket.recv(client));
      if (data.length === 0) return;
      const sent = await task.await(socket.send(client, data));
      totals.bytes += sent;
    }
  }, { grace });
  report({ listening: socket.getlocal(server) });
  for await (const _ of Deno.stdin.readable); // until the first process ends it
  socket.close(server);
  await task.await(serving);
  report({ ended: totals });
}

function report(report: Report): void {
  console.log(JSON.stringify(report));
}

// ── The first process ──

/** The place of one process, which is filled again when that dies. */
class Place {
  readonly name: string;
  readonly #args: () => string[];
  #process: Deno.ChildProcess | undefined;
  #stopped = false;
  #totals: Totals | undefined;

  constructor(name: string, args: () => string[]) {
    this.name = name;
    this.#args = args;
  }

  /**
   * Runs processes, one after the other, until `stop`. Each one's address goes to `onListening`.
   */
  async run(onListening: (address: socket.Address) => void): Promise<void> {
    while (!this.#stopped) {
      const began = performance.now();
      this.#process = new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--no-prompt",
          "--unstable-net",
          "--allow-net",
          import.meta.filename!,
          ...this.#args(),
        ],
        stdin: "piped",
        stdout: "piped",
      }).spawn();
      const { pid } = this.#process;
      for await (const line of linesOf(this.#process.stdout)) {
        const report: Report = JSON.parse(line);
        if ("ended" in report) this.#totals = report.ended;
        else {
          console.log(`${this.name} listens, process ${pid}`);
          onListening(report.listening);
        }
      }
      const { code, signal } = await this.#process.status;
      if (this.#stopped) break;
      console.error(`${this.name} died (${signal ?? `exit code ${code}`}), process ${pid}`);
      // One that cannot even start must not keep a core busy
      if (performance.now() - began < 1000) await task.sleep(1000);
    }
  }

  /** Lets the process end, and starts no other. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#process?.stdin.close().catch(() => {}); // it has died
  }

  /** Whom its last process served. */
  toString(): string {
    if (this.#totals === undefined) return `${this.name} did not tell whom it served`;
    const { connections, bytes } = this.#totals;
    return `${this.name} served ${connections} connections, ${bytes} bytes`;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream() as never)) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

async function multicoreServer(
  host: string,
  port: number,
  processes: number,
  grace: number,
): Promise<void> {
  const interrupted = new Promise<void>((resolve) => {
    const onInterrupt = () => {
      Deno.removeSignalListener("SIGINT", onInterrupt); // a second one kills
      resolve();
    };
    Deno.addSignalListener("SIGINT", onInterrupt);
  });
  // Port 0: the first process finds a free one, which the others share
  const args = () => [`--host=${host}`, `--port=${port}`, `--grace=${grace}`, "--one"];
  const places = Array.from({ length: processes }, (_, i) => new Place(`Server ${i + 1}`, args));
  const listening = Promise.withResolvers<void>();
  let count = 0;
  const onListening = ([, bound]: socket.Address) => {
    port = bound;
    count++;
    listening.resolve();
    if (count === processes) {
      console.log(`${processes} processes running on ${formatAddress([host, port])}`);
    }
  };
  const [first, ...others] = places;
  const running = [first.run(onListening)];
  await Promise.race([listening.promise, interrupted]);
  running.push(...others.map((place) => place.run(onListening)));

  await interrupted;
  await Promise.all(places.map((place) => place.stop()));
  await Promise.all(running);
  for (const place of places) console.log(String(place));
}

/** An address as it is usually written. */
function formatAddress([ip, port]: socket.Address): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

// The command line

/** Ends the program: with 1 for a failure, with 2 and its usage for a wrong command line. */
function fail(code: 1 | 2, message: string): never {
  console.error(`multicore_server: ${message}${code === 2 ? `\n\n${HELP}` : ""}`);
  Deno.exit(code);
}

if (import.meta.main) {
  const unknown = (arg: unknown) => fail(2, `Unknown flag or argument "${arg}"`);
  const flags = parseArgs(Deno.args, {
    string: ["host", "port", "processes", "grace"],
    boolean: ["one", "help"],
    alias: { help: "h" },
    default: { host: "127.0.0.1", port: "9000", processes: `${CORES}`, grace: "5000" },
    unknown,
  });
  flags._.forEach(unknown); // what follows "--"
  if (flags.host === "") fail(2, `--host takes a value: current value is ""`);
  const integer = (flag: "port" | "processes" | "grace", min: number, max: number): number => {
    const value = /^\d+$/.test(flags[flag]) ? Number(flags[flag]) : NaN;
    if (value >= min && value <= max) return value;
    return fail(2, `--${flag} takes ${min}..${max}: current value is "${flags[flag]}"`);
  };
  const [port, processes] = [integer("port", 0, 65535), integer("processes", 1, 1024)];
  const grace = integer("grace", 0, 3600000);
  if (flags.help) console.log(HELP);
  else {
    const serving = flags.one
      ? serve(flags.host, port, grace)
      : multicoreServer(flags.host, port, processes, grace);
    await serving.catch((error) => fail(1, error.message));
  }
}
