// Programs that run in a process of their own: with other permissions, limits or flags.

const root = new URL("../", import.meta.url);

/** What a program printed and how it ended. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs TypeScript source, which imports `socket` and `task` already.
 *
 * @param flags Deno's, such as `--allow-net`.
 * @param limits A shell command to run before it, such as `ulimit -n 40`.
 */
export async function runProgram(source: string, flags: string[], limits = ""): Promise<Outcome> {
  const file = await Deno.makeTempFile({ prefix: "taskio_", suffix: ".ts" });
  const path = JSON.stringify(new URL("mod.ts", root).href);
  try {
    await Deno.writeTextFile(file, `import { socket, task } from ${path};\n${source}`);
    const run = [Deno.execPath(), "run", "--no-config", "--no-prompt", ...flags, file];
    const [command, args] = limits === ""
      ? [run[0], run.slice(1)]
      : ["sh", ["-c", `${limits} && exec "$@"`, "sh", ...run]];
    // A program that hangs is killed, and so fails its test.
    const signal = AbortSignal.timeout(60_000);
    const env = { NO_COLOR: "1" };
    const output = await new Deno.Command(command, { args, env, signal }).output();
    const decoder = new TextDecoder();
    return {
      code: output.code,
      stdout: decoder.decode(output.stdout),
      stderr: decoder.decode(output.stderr),
    };
  } finally {
    await Deno.remove(file);
  }
}
