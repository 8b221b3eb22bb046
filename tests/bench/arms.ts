import { cpus } from "node:os";

/** The arms: the same servers written for each system. */

const here = (path: string) => new URL(`./arms/${path}`, import.meta.url).pathname;
/** The command that runs a script in arms/ with this Deno. */
export const deno = (path: string) => [
  Deno.execPath(),
  "run",
  "-A",
  "--no-config",
  "--no-lock",
  "--unstable-net", // for reusePort
  "--v8-flags=--expose-gc",
  here(path),
];

/** The systems that can be measured, with the command that starts a server. */
export const ARMS: Record<string, string[]> = {
  raw: deno("raw.ts"),
  again: deno("raw.ts"),
  taskio: deno("taskio.ts"),
  "node:net": deno("node_net.mjs"),
  node: ["node", "--expose-gc", here("node_net.mjs")],
  bun: ["bun", here("bun.mjs")],
};

/** Whether the files at these paths from the project's root are there. */
export function exists(...paths: string[]): boolean {
  try {
    for (const path of paths) Deno.statSync(new URL(`../../${path}`, import.meta.url));
    return true;
  } catch {
    return false;
  }
}

/** Why an arm cannot be measured here, or `undefined` if it can. */
export function missing(arm: string): string | undefined {
  if (arm === "taskio" && !exists("mod.ts")) return "there is no mod.ts yet";
  if ((arm === "node" || arm === "bun") && !version(ARMS[arm][0])) return "it is not installed";
}

/** What was measured, and on what. */
export function versions(arms: string[]): Record<string, string> {
  const found: Record<string, string> = {
    kernel: Deno.osRelease(),
    cpu: `${navigator.hardwareConcurrency} × ${cpus()[0]?.model}`,
    deno: Deno.version.deno,
  };
  for (const arm of arms.filter((arm) => arm === "node" || arm === "bun")) {
    found[arm] = version(ARMS[arm][0]) ?? "";
  }
  return found;
}

function version(program: string): string | undefined {
  try {
    const { success, stdout } = new Deno.Command(program, { args: ["--version"] }).outputSync();
    return success ? new TextDecoder().decode(stdout).trim().replace(/^v/, "") : undefined;
  } catch {
    return undefined;
  }
}
