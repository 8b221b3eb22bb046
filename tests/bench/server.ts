import { ARMS } from "./arms.ts";

/** What a server is asked to be; see arms/control.mjs. */
export interface ServerOptions {
  /** "echo", "burst" and others: see arms/taskio.ts. */
  kind: string;
  /** Bytes of the receive buffer. */
  size?: number;
  tls?: { cert: string; key: string };
  /** Of taskio: by Deno's own TLS. */
  native?: boolean;
  /** Of taskio: where to listen, and whether others may listen there, too. */
  port?: number;
  reusePort?: boolean;
}

export interface Memory {
  heap: number;
  external: number;
  rss: number;
}

const PATIENCE = 20_000;

/** A server process and the line to it. It ends when disposed of, at the latest after a second. */
export class Server implements AsyncDisposable {
  #child: Deno.ChildProcess;
  #input: WritableStreamDefaultWriter<Uint8Array>;
  #lines: ReadableStreamDefaultReader<string>;
  #rest = "";
  port = 0;

  private constructor(command: string[], options: ServerOptions) {
    const [program, ...args] = command;
    this.#child = new Deno.Command(program, {
      args: [...args, JSON.stringify({ size: 65536, ...options })],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Starts an arm's server and waits for its port. */
  static async start(arm: string, options: ServerOptions): Promise<Server> {
    const server = new Server(ARMS[arm], options);
    try {
      server.port = await server.#line() as number;
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** CPU time of the server so far, in µs. */
  cpu(): Promise<number> {
    return this.#ask("cpu") as Promise<number>;
  }

  /** How many connections it has accepted, if it counts them. */
  accepted(): Promise<number> {
    return this.#ask("accepted") as Promise<number>;
  }

  memory(): Promise<Memory> {
    return this.#ask("memory") as Promise<Memory>;
  }

  async #ask(question: string): Promise<unknown> {
    await this.#input.write(new TextEncoder().encode(question + "\n"));
    return await this.#line();
  }

  async #line(): Promise<unknown> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE);
    try {
      for (;;) {
        const end = this.#rest.indexOf("\n");
        if (end >= 0) {
          const line = this.#rest.slice(0, end);
          this.#rest = this.#rest.slice(end + 1);
          return JSON.parse(line);
        }
        const { value, done } = await this.#lines.read();
        if (done) throw new Error("The server ended");
        this.#rest += value;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 1_000);
    await this.#input.close().catch(() => {});
    await this.#lines.cancel().catch(() => {});
    await this.#child.status;
    clearTimeout(timer);
  }
}
