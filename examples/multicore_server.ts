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
// One file to copy: all it needs is `deno add jsr:@taskio/net`.

import { socket, task } from "@taskio/net";

const HELP = `Echoes by one process per core on one port, until Ctrl-C.

Usage: deno run --allow-net --allow-run examples/multicore_server.ts [flags]

  --host <text>          Address to listen on (default: 127.0.0.1)
  --port <0..65535>      Port to listen on, 0 for any free one (default: 9000)
  --processes <1..1024>  How many processes (default: ${navigator.hardwareConcurrency})
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
  await run(HELP, ({ host, port, processes, grace, one }) => {
    if (one === "true") return serve(host, Number(port), Number(grace));
    return multicoreServer(host, Number(port), Number(processes), Number(grace));
  });
}
