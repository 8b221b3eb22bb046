// Runs an example as a process of its own, as its user would.

const root = new URL("../../", import.meta.url);

/** What the examples may do besides `--allow-net`, as their help says. */
export const PERMISSIONS: Readonly<Record<string, readonly string[]>> = {
  https_get: ["--allow-read"],
  "python_host/host": ["--allow-read"],
  "monitor/monitor": ["--allow-read", "--allow-write"],
  "monitor/sample": ["--allow-read", "--allow-write"],
  multicore_server: ["--allow-run"],
  starttls_smtp_probe: ["--allow-read"],
  tcp_proxy: ["--allow-read"],
  tls_echo_server: ["--allow-read", "--allow-write"],
  "wasi_host/host": ["--allow-read"],
  "lua_host/main": ["--allow-read"],
};

/** Whose Unix sockets count as any address to Deno. */
const ANYWHERE = /^monitor\//;

/** How long an example may take before it counts as hanging. */
const PATIENCE = 30_000;

/** What an example left when it ended. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** An example under way. Disposing of it ends it, if it has not ended by itself. */
export class Program implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #lines: AsyncGenerator<string, void>;
  readonly #errorLines: AsyncGenerator<string, void>;
  readonly #watchdog: ReturnType<typeof setTimeout>;

  constructor(name: string, ...args: string[]) {
    const path = `examples/${name}.ts`;
    const net = ANYWHERE.test(name) ? "--allow-net" : "--allow-net=127.0.0.1";
    const permissions = [net, ...PERMISSIONS[name] ?? []];
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", ...permissions, path, ...args],
      cwd: root,
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#lines = lines(this.#process.stdout);
    this.#errorLines = lines(this.#process.stderr);
    this.#watchdog = setTimeout(() => this.#process.kill("SIGKILL"), PATIENCE);
  }

  /** The next line of its standard output. */
  line(): Promise<string> {
    return this.#next(this.#lines);
  }

  /** The next line of its standard error. */
  errorLine(): Promise<string> {
    return this.#next(this.#errorLines);
  }

  async #next(lines: AsyncGenerator<string, void>): Promise<string> {
    const { value, done } = await lines.next();
    if (done) throw new Error(`The example has ended: ${JSON.stringify(await this.ended())}`);
    return value;
  }

  kill(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** Waits until it ends by itself; the outcome holds the lines that were not read before. */
  async ended(): Promise<Outcome> {
    const [stdout, stderr, { code }] = await Promise.all([
      rest(this.#lines),
      rest(this.#errorLines),
      this.#process.status,
    ]);
    clearTimeout(this.#watchdog);
    return { code, stdout, stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.ended();
  }
}

/** Runs an example to its end. */
export async function runProgram(name: string, ...args: string[]): Promise<Outcome> {
  await using program = new Program(name, ...args);
  return await program.ended();
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream() as never)) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
  if (rest !== "") yield rest;
}

async function rest(lines: AsyncIterable<string>): Promise<string> {
  return (await Array.fromAsync(lines)).map((line) => `${line}\n`).join("");
}

/** The port at the end of a line like `Server listening on 127.0.0.1:8080`. */
export function portOf(line: string): number {
  return Number(line.slice(line.lastIndexOf(":") + 1));
}

/**
 * A port of 127.0.0.1 that refuses connections. It is below those that a system gives out: another test run
 * on the same machine may listen on any of these, or a connect even meet itself there.
 */
export const refusingPort = 1;
