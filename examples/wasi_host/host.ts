// Runs a wasm32-wasi program that is a server: it is given a listener as file descriptor 3. See
// README.md.
//
//     clang --target=wasm32-wasi -O2 -o poll_server.wasm examples/wasi_host/poll_server.c
//     deno run --allow-net --allow-read examples/wasi_host/host.ts --program poll_server.wasm
//     deno run --allow-net examples/echo_client.ts --port 9000      (in another terminal)

import { socket, tls } from "@taskio/net";
import {
  closeOnInterrupt,
  Failure,
  fileFailure,
  formatAddress,
  integer,
  run,
  text,
  toggle,
} from "../cli.ts";
import { TerminatedError, Wasi } from "./wasi.ts";

async function load(path: string): Promise<WebAssembly.Module> {
  let binary;
  try {
    binary = await Deno.readFile(path);
  } catch (error) {
    throw fileFailure("--program: cannot read", path, error);
  }
  try {
    return await WebAssembly.compile(binary);
  } catch (error) {
    throw new Failure(`--program: "${path}" is no WebAssembly: ${(error as Error).message}`);
  }
}

/** A way to write all that a program prints. */
function printer(to: { writeSync(bytes: Uint8Array): number }): (bytes: Uint8Array) => void {
  return (bytes) => {
    for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
  };
}

interface Options {
  program: string;
  host: string;
  port: number;
  tls: boolean;
}

async function host({ program, host, port, tls: encrypted }: Options): Promise<void> {
  const module = await load(program);
  const listener = (encrypted ? tls : socket).tcpserver(host, port);
  console.log(`File descriptor 3 listens on ${formatAddress(socket.getlocal(listener))}`);
  using wasi = new Wasi(module, {
    args: [program],
    preopened: [listener],
    stdout: printer(Deno.stdout),
    stderr: printer(Deno.stderr),
  });
  closeOnInterrupt();
  const end = () => wasi[Symbol.dispose]();
  Deno.addSignalListener("SIGINT", end);
  try {
    const code = await wasi.run();
    if (code !== 0) throw new Failure(`"${program}" ended with code ${code}`);
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) {
      throw new Failure(`"${program}" trapped: ${error.message}`);
    }
    if (!(error instanceof TerminatedError)) throw error;
  } finally {
    Deno.removeSignalListener("SIGINT", end);
  }
}

if (import.meta.main) {
  await run({
    name: "wasi_host/host",
    about: "Runs a wasm32-wasi program that is a server, until it ends or Ctrl-C.",
    permissions: "--allow-net --allow-read",
    flags: {
      program: text("poll_server.wasm", "File of the program"),
      host: text("127.0.0.1", "Address to listen on"),
      port: integer(9000, 0, 65535, "Port to listen on, 0 for any free one"),
      tls: toggle("Listen with TLS, with a certificate for development: the program need not know"),
    },
    main: host,
  });
}
