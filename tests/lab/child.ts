// A program in a process of its own that is talked with while it runs.

const root = new URL("../../", import.meta.url);

/** How a program ended. */
export interface Ended {
  readonly code: number;
  readonly signal: Deno.Signal | null;
  /** What it printed that nobody has taken as a line. */
  readonly stdout: string;
  readonly stderr: string;
}

export class Child implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #file: string;
  readonly #stdout: ReadableStreamDefaultReader<string>;
  readonly #stderr: Promise<string>;
  #text = "";
  #ended: Promise<Ended> | undefined;

  private constructor(child: Deno.ChildProcess, file: string) {
    this.#child = child;
    this.#file = file;
    this.#stdout = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#stderr = new Response(child.stderr).text();
  }

  /** Starts TypeScript source, which imports `socket`, `task` and `tls` already. */
  static async start(source: string, flags: string[] = ["--allow-all"]): Promise<Child> {
    const file = await Deno.makeTempFile({ prefix: "taskio_", suffix: ".ts" });
    const path = JSON.stringify(new URL("mod.ts", root).href);
    await Deno.writeTextFile(file, `import { socket, task, tls } from ${path};\n${source}`);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-config", "--no-prompt", ...flags, file],
      env: { NO_COLOR: "1" },
      stdout: "piped",
      stderr: "piped",
      // A program that hangs is killed, and so fails its test.
      signal: AbortSignal.timeout(60_000),
    }).spawn();
    return new Child(child, file);
  }

  /** The next line that it prints; fails if it ends before. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      const { value, done } = await this.#stdout.read();
      if (done) {
        throw new Error(`It ended without another line: ${this.#text}\n${await this.#stderr}`);
      }
      this.#text += value;
    }
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits until it has ended by itself. */
  ended(): Promise<Ended> {
    return this.#ended ??= this.#end();
  }

  async #end(): Promise<Ended> {
    for (let read; !(read = await this.#stdout.read()).done;) this.#text += read.value;
    const { code, signal } = await this.#child.status;
    return { code, signal, stdout: this.#text, stderr: await this.#stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.ended();
    await Deno.remove(this.#file);
  }
}
