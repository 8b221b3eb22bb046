// Programs on a terminal of their own, and what one would see there.

import { until } from "../settle.ts";

/** Whether there is a Python with which to make a terminal. */
export const hasPty: boolean = Deno.build.os !== "windows" && await (async () => {
  try {
    const args = ["-c", "import pty, fcntl, termios"];
    return (await new Deno.Command("python3", { args }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
})();

/** What becomes of the terminal when the program ends. */
export interface Ended {
  readonly code: number;
  /** Whether its modes are those from before. */
  readonly same: boolean;
}

const PYTHON = new URL("on_terminal.py", import.meta.url).pathname;

/** A program on a terminal. */
export class Pty implements AsyncDisposable {
  readonly screen: Screen = new Screen();
  /** All that the program has printed, as it came. */
  printed = "";
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #reading: Promise<void>;
  readonly #errors: Promise<string>;

  constructor(rows: number, columns: number, command: string[]) {
    this.#process = new Deno.Command("python3", {
      args: [PYTHON, String(rows), String(columns), ...command],
      cwd: new URL("../../", import.meta.url),
      env: { NO_COLOR: "1", TERM: "xterm" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#reading = this.#read();
    this.#errors = new Response(this.#process.stderr).text();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const data of this.#process.stdout) {
      const text = decoder.decode(data, { stream: true });
      this.printed += text;
      this.screen.print(text);
    }
  }

  async #order(order: object): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(order)}\n`));
  }

  press(keys: string): Promise<void> {
    return this.#order({ keys });
  }

  signal(signal: Deno.Signal): Promise<void> {
    return this.#order({ signal });
  }

  async resize(rows: number, columns: number): Promise<void> {
    await this.#order({ size: [rows, columns] });
  }

  /** Waits until the screen shows something. */
  async shows(pattern: RegExp): Promise<string> {
    await until(() => pattern.test(this.screen.text), `${pattern} on the screen`);
    return this.screen.text;
  }

  /** Waits until the program ends. */
  async ended(): Promise<Ended> {
    await this.#reading;
    const errors = (await this.#errors).trim();
    await this.#input.close().catch(() => {});
    await this.#process.status;
    const last = errors.split("\n").at(-1)!;
    if (!last.startsWith("{")) throw new Error(`No terminal could be made:\n${errors}`);
    return JSON.parse(last);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL"); // its terminal goes with it, and the program is hung up on
    } catch {
      // It has ended.
    }
    await this.#input.close().catch(() => {});
    await this.#reading;
    await this.#errors;
    await this.#process.status;
  }
}

/** A terminal's screen: the few sequences that the examples use, and no others. */
export class Screen {
  /** Whether the other screen is shown, the cursor hidden. */
  alternate = false;
  hidden = false;
  #lines: string[] = [""];
  #row = 0;
  #column = 0;
  #rest = "";

  get text(): string {
    return this.#lines.map((line) => line.trimEnd()).join("\n");
  }

  print(text: string): void {
    // deno-lint-ignore no-control-regex
    const tokens = (this.#rest + text).match(/\x1b(?:\[[?\d;]*[A-Za-z]?)?|[\r\n]|[^\x1b\r\n]+/g) ??
      [];
    this.#rest = "";
    for (const [i, token] of tokens.entries()) {
      if (token[0] === "\x1b" && i === tokens.length - 1 && !/[A-Za-z]$/.test(token)) {
        this.#rest = token;
      } else {
        this.#take(token);
      }
    }
  }

  #take(token: string): void {
    const line = this.#lines[this.#row] ?? "";
    switch (token) {
      case "\r":
        this.#column = 0;
        break;
      case "\n":
        this.#row++;
        break;
      case "\x1b[H":
        this.#row = this.#column = 0;
        break;
      case "\x1b[K":
        this.#lines[this.#row] = line.slice(0, this.#column);
        break;
      case "\x1b[J":
        this.#lines.length = this.#row + 1;
        this.#lines[this.#row] = line.slice(0, this.#column);
        break;
      case "\x1b[?1049h":
      case "\x1b[?1049l":
        this.alternate = token.endsWith("h");
        this.#lines = [""];
        this.#row = this.#column = 0;
        break;
      case "\x1b[?25h":
      case "\x1b[?25l":
        this.hidden = token.endsWith("l");
        break;
      case "\x1b[7m":
      case "\x1b[m":
      case "\x1b[?7h":
      case "\x1b[?7l":
        break;
      default:
        // Before that, Deno says what it loads.
        if (token[0] === "\x1b" && !this.alternate) break;
        if (token[0] === "\x1b") throw new Error(`Unknown sequence ${JSON.stringify(token)}`);
        this.#lines[this.#row] = line.slice(0, this.#column).padEnd(this.#column) + token +
          line.slice(this.#column + token.length);
        this.#column += token.length;
    }
    for (let i = 0; i <= this.#row; i++) this.#lines[i] ??= "";
  }
}
