// Runs a Python program that uses sockets. See README.md.
//
//     deno run --allow-net --allow-read examples/python_host/host.ts --host example.com

import { Failure, fileFailure, integer, run, text } from "../cli.ts";
import { Python } from "./python.ts";
import fetch from "./fetch.py" with { type: "text" };

interface Options {
  program: string;
  host: string;
  port: number;
  path: string;
}

async function host({ program, host, port, path }: Options): Promise<void> {
  let source = fetch;
  try {
    if (program !== "fetch.py") source = await Deno.readTextFile(program);
  } catch (error) {
    throw fileFailure("--program: cannot read", program, error);
  }
  // What it may reach is what Deno lets this program reach.
  using python = await Python.load({ allow: () => true });
  try {
    await python.run(source, program, host, `${port}`, path);
  } catch (error) {
    if ((error as Error).name !== "PythonError") throw error;
    throw new Failure((error as Error).message.trimEnd());
  }
}

if (import.meta.main) {
  await run({
    name: "python_host/host",
    about: "Runs a Python program with these arguments; without one, it fetches a page over HTTP.",
    permissions: "--allow-net --allow-read",
    flags: {
      program: text("fetch.py", "File of the program"),
      host: text("127.0.0.1", "Its first argument"),
      port: integer(80, 1, 65535, "Its second argument"),
      path: text("/", "Its third argument"),
    },
    main: host,
  });
}
