// Runs a Lua script that has Pluto's socket and scheduler libraries. See README.md.
//
//     deno run --allow-net --allow-read examples/lua_host/main.ts examples/lua_host/samples/hello.lua 8080

import { LuaProgram } from "./program.ts";

const USAGE = `Runs a Lua script that has Pluto's socket and scheduler libraries.

Usage: main.ts [options] script.lua [arguments of the script]

Options:
  --host <address>  Address that the script listens on (default: any)
  --ca <file>       Certificate authorities to trust besides the system's, PEM
  --help            Prints this`;

/** Splits the command line: the options come before the script. */
function parse(args: readonly string[]): { host?: string; ca?: string; rest: readonly string[] } {
  const options: { host?: string; ca?: string } = {};
  let at = 0;
  while (args[at] === "--host" || args[at] === "--ca") {
    options[args[at].slice(2) as "host" | "ca"] = args[at + 1];
    at += 2;
  }
  return { ...options, rest: args.slice(at) };
}

async function main(args: readonly string[]): Promise<number> {
  const { host, ca, rest: [script, ...scriptArgs] } = parse(args);
  if (script === "--help") {
    console.log(USAGE);
    return 0;
  }
  if (script === undefined || script.startsWith("--")) {
    console.error(USAGE);
    return 2;
  }
  const program = await LuaProgram.create({
    ...host !== undefined && { address: host },
    ...ca !== undefined && { ca: await Deno.readTextFile(ca) },
  });
  const interrupted = () => program.stop(130);
  Deno.addSignalListener("SIGINT", interrupted);
  const code = await program.run(await Deno.readFile(script), script, scriptArgs);
  Deno.removeSignalListener("SIGINT", interrupted);
  return code;
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);
