// Runs a Lua script that has Pluto's socket and scheduler libraries. See README.md.
//
//     deno run --allow-net --allow-read examples/lua_host/main.ts examples/lua_host/samples/hello.lua 8080

import { LuaProgram } from "./program.ts";

const USAGE = `Runs a Lua script that has Pluto's socket and scheduler libraries.

Usage: deno run --allow-net --allow-read examples/lua_host/main.ts [options] script.lua [arguments]

Needs --allow-net for what the script connects to and listens on, and --allow-read for the script and
what --ca names. The exit code is the script's; 1 if an error has ended it, 130 after Ctrl-C.

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
  const source = await readOrSay(script);
  const authorities = ca === undefined ? undefined : await readOrSay(ca);
  if (source === undefined || (ca !== undefined && authorities === undefined)) return 1;
  const program = await LuaProgram.create({
    ...host !== undefined && { address: host },
    ...authorities !== undefined && { ca: new TextDecoder().decode(authorities) },
  });
  let interrupted = false;
  const interrupt = () => {
    interrupted = true;
    program.stop(130);
  };
  Deno.addSignalListener("SIGINT", interrupt);
  const code = await program.run(source, script, scriptArgs);
  Deno.removeSignalListener("SIGINT", interrupt);
  if (interrupted) console.error("lua: interrupted, every socket is closed");
  return code;
}

/** The bytes of a file; if it cannot be read, says so and gives `undefined`. */
async function readOrSay(path: string): Promise<Uint8Array | undefined> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    console.error(`lua: cannot read "${path}": ${(error as Error).message}`);
    return undefined;
  }
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);
