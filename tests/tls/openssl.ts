// The openssl program, as a peer that shares no code with this module.

import { clientPair, pair } from "./helpers.ts";
import { ca } from "./helpers.ts";

/** Whether there is one. */
export const available: boolean = await runs("openssl", ["version"]);

/** Whether a program is there and ends well. */
async function runs(program: string, args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false; // thrown at the call, not rejected with
    throw error;
  }
}

/** The certificates of the tests as files, for the program to read. */
export interface Files extends Disposable {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly clientCert: string;
  readonly clientKey: string;
  /** Writes one more, and gives its path. */
  write(name: string, text: string): string;
}

export function writeFiles(): Files {
  const folder = Deno.makeTempDirSync({ prefix: "taskio_" });
  const write = (name: string, text: string) => {
    Deno.writeTextFileSync(`${folder}/${name}`, text);
    return `${folder}/${name}`;
  };
  return {
    ca: write("ca.pem", ca),
    cert: write("cert.pem", pair.cert),
    key: write("key.pem", pair.key),
    clientCert: write("client.pem", clientPair.cert),
    clientKey: write("client.key", clientPair.key),
    write,
    [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }),
  };
}

/** A run of the program. */
export class OpenSsl implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #outputs: Promise<void>[];
  #output = "";
  #ended = false;
  #changed = Promise.withResolvers<void>();

  constructor(...args: string[]) {
    this.#process = new Deno.Command("openssl", {
      args,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#outputs = [this.#process.stdout, this.#process.stderr].map((s) => this.#collect(s));
    Promise.all(this.#outputs).then(() => {
      this.#ended = true;
      this.#changed.resolve();
    });
  }

  /** Resolves when it has closed its output. */
  get ended(): Promise<unknown> {
    return Promise.all(this.#outputs);
  }

  /** What it printed so far. */
  get output(): string {
    return this.#output;
  }

  /** Types for it. */
  async type(text: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(text));
  }

  /** Waits until it has printed something. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.#output);
      if (found !== null) return found;
      if (this.#ended) throw new Error(`openssl ended without ${pattern}:\n${this.#output}`);
      await this.#changed.promise;
    }
  }

  /** Ends its input, upon which it ends in good order, and waits for that. */
  async finish(): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#process.status;
  }

  /** Ends it on the spot. */
  kill(): void {
    this.#process.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#process.status;
    await Promise.all(this.#outputs);
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream() as never)) {
      this.#output += text;
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
  }
}
