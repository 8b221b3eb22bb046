// What the tests of the Lua host share: scripts under way in this process, and peers that share no code
// with this module.

import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { LuaProgram } from "../../../examples/lua_host/program.ts";
import { task } from "../../../mod.ts";
import { leavingNothing } from "../../settle.ts";

const samples = new URL("../../../examples/lua_host/samples/", import.meta.url);

/** The text of a sample. */
export const sample = (name: string): string => Deno.readTextFileSync(new URL(name, samples));

/** The path of a sample, as the command line takes it. */
export const samplePath = (name: string): string => `examples/lua_host/samples/${name}`;

/** How a script ended. Texts have a character per byte. */
export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** A Lua script under way. */
export class Script {
  readonly #program: LuaProgram;
  readonly #ended: Promise<number>;
  #text = { stdout: "", stderr: "" };
  #read = 0;
  #changed = Promise.withResolvers<void>();
  #running = true;

  private constructor(program: LuaProgram, source: string, args: string[]) {
    this.#program = program;
    this.#ended = program.run(Buffer.from(source, "latin1"), "script.lua", args);
    this.#ended.finally(() => {
      this.#running = false;
      this.#change();
    });
  }

  /** Starts a script, whose text has a character per byte. */
  static async start(source: string, args: unknown[] = [], ca?: string): Promise<Script> {
    const text = { stdout: "", stderr: "" };
    let changed = () => {};
    const keep = (which: "stdout" | "stderr") => (bytes: Uint8Array) => {
      text[which] += Buffer.from(bytes).toString("latin1");
      changed();
    };
    const program = await LuaProgram.create({
      address: "127.0.0.1",
      ca,
      write: keep("stdout"),
      warn: keep("stderr"),
    });
    const script = new Script(program, source, args.map(String));
    script.#text = text;
    changed = () => script.#change();
    return script;
  }

  /** The next line that it prints. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#text.stdout.indexOf("\n", this.#read);
      if (end >= 0) {
        const line = this.#text.stdout.slice(this.#read, end);
        this.#read = end + 1;
        return line;
      }
      if (!this.#running) throw new Error(`The script has ended: ${JSON.stringify(this.#text)}`);
      await this.#changed.promise;
    }
  }

  /** The port in the next line. */
  async port(): Promise<number> {
    return Number((await this.line()).match(/\d+$/)![0]);
  }

  stop(code = 0): void {
    this.#program.stop(code);
  }

  async ended(): Promise<Ended> {
    return { code: await this.#ended, ...this.#text };
  }

  /** Stops it, and checks that nothing was wrong so far. */
  async quit(): Promise<void> {
    this.stop();
    assertEquals((await this.ended()).stderr, "");
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** Runs a script to its end. */
export async function run(source: string, args: unknown[] = [], ca?: string): Promise<Ended> {
  return await (await Script.start(source, args, ca)).ended();
}

/** What a script prints that ends well. */
export async function output(source: string, args: unknown[] = [], ca?: string): Promise<string> {
  const { code, stdout, stderr } = await run(source, args, ca);
  assertEquals([code, stderr], [0, ""]);
  return stdout;
}

const installed = new Map<string, boolean>();

function isInstalled(program: string): boolean {
  if (!installed.has(program)) {
    const { success } = new Deno.Command("sh", { args: ["-c", `command -v ${program}`] })
      .outputSync();
    installed.set(program, success);
  }
  return installed.get(program)!;
}

/** A test that leaves no socket and no task behind; it is skipped if one of the programs is not here. */
export function test(name: string, needs: string[], fn: () => Promise<void>): void {
  const missing = needs.filter((program) => !isInstalled(program));
  const ignore = missing.length > 0;
  Deno.test({
    name: `lua_host ${name}${ignore ? ` (skipped: there is no ${missing.join(", ")} here)` : ""}`,
    ignore,
    fn: () =>
      leavingNothing(async () => {
        const before = task.list();
        await fn();
        assertEquals(task.list(), before, "tasks");
      }),
  });
}

/** How long a peer may take before it counts as hanging. */
const PATIENCE = 30_000;

/** Runs a peer with this input, and gives what it printed. Texts have a character per byte. */
export async function peer(command: string, args: unknown[], input = ""): Promise<string> {
  const process = new Deno.Command(command, {
    args: args.map(String),
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(PATIENCE),
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(Buffer.from(input, "latin1"));
  await writer.close();
  const { stdout, stderr } = await process.output();
  return Buffer.from(stdout).toString("latin1") + Buffer.from(stderr).toString("latin1");
}

/** Runs Python source. */
export function python(source: string, ...args: unknown[]): Promise<string> {
  return peer("python3", ["-c", source, ...args]);
}

/** Python source under way, a server that prints its port first. */
export class PythonServer implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #printed = "";
  port = 0;

  private constructor(source: string, args: unknown[]) {
    this.#process = new Deno.Command("python3", {
      args: ["-u", "-c", source, ...args.map(String)],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    this.#chunks = this.#process.stdout[Symbol.asyncIterator]();
  }

  static async start(source: string, ...args: unknown[]): Promise<PythonServer> {
    const server = new PythonServer(source, args);
    while (!server.#printed.includes("\n") && await server.#more());
    const end = server.#printed.indexOf("\n") + 1;
    server.port = Number(server.#printed.slice(0, end));
    server.#printed = server.#printed.slice(end);
    return server;
  }

  /** Waits for its end, and gives what it has printed after the port. */
  async ended(): Promise<string> {
    while (await this.#more());
    await this.#process.status;
    return this.#printed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.ended();
  }

  async #more(): Promise<boolean> {
    const { value, done } = await this.#chunks.next();
    if (!done) this.#printed += Buffer.from(value).toString("latin1");
    return !done;
  }
}
