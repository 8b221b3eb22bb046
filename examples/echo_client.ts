// A TCP client: connects, sends a message, prints what comes back.
//
//     deno run --allow-net examples/echo_client.ts --port 8080 --message Hello
//
// One file to copy: all it needs is `deno add jsr:@taskio/net jsr:@std/cli`.

import { parseArgs } from "@std/cli/parse-args";
import { socket, task } from "@taskio/net";

const HELP = `Connects to an echo server, sends a message and prints the reply.

Usage: deno run --allow-net examples/echo_client.ts [flags]

  --host <text>           Address or name of the server (default: 127.0.0.1)
  --port <1..65535>       Port of the server (default: 8080)
  --message <text>        What to send (default: Hello)
  --timeout <1..3600000>  Longest wait for each step, in milliseconds (default: 5000)
  --help, -h              Show this text`;

async function echoClient(
  host: string,
  port: number,
  message: string,
  timeout: number,
): Promise<void> {
  const conn = await socket.tcpconnect(host, port, { timeout });
  try {
    console.log("Connected to server");

    const sent = await task.await(socket.send(conn, message), { timeout, cancel: true });

    // An echo may come in pieces: receive as many bytes as were sent
    const decoder = new TextDecoder();
    let reply = "";
    let received = 0;
    while (received < sent) {
      const data = await task.await(socket.recv(conn), { timeout, cancel: true });
      if (data.length === 0) break;
      received += data.length;
      reply += decoder.decode(data, { stream: true });
    }
    console.log(`Server replied: ${reply + decoder.decode()}`);
    if (received < sent) {
      console.log(`(${received} of ${sent} bytes, then the server ended the connection)`);
    }
  } finally {
    socket.close(conn);
  }
}

// The command line

/** Ends the program: with 1 for a failure, with 2 and its usage for a wrong command line. */
function fail(code: 1 | 2, message: string): never {
  console.error(`echo_client: ${message}${code === 2 ? `\n\n${HELP}` : ""}`);
  Deno.exit(code);
}

/** What to do about a failure, where its message does not say so. */
const ADVICE: Record<string, string> = {
  ECONNREFUSED: ". Start the server first, or check --host and --port.",
  ETIMEDOUT: ". Check --host and --port, or raise --timeout.",
};

if (import.meta.main) {
  const unknown = (arg: unknown) => fail(2, `Unknown flag or argument "${arg}"`);
  const flags = parseArgs(Deno.args, {
    string: ["host", "port", "message", "timeout"],
    boolean: ["help"],
    alias: { help: "h" },
    default: { host: "127.0.0.1", port: "8080", message: "Hello", timeout: "5000" },
    unknown,
  });
  flags._.forEach(unknown); // what follows "--"
  for (const [flag, value] of Object.entries(flags)) {
    if (value === "") fail(2, `--${flag} takes a value: current value is ""`);
  }
  const integer = (flag: "port" | "timeout", min: number, max: number): number => {
    const value = /^\d+$/.test(flags[flag]) ? Number(flags[flag]) : NaN;
    if (value >= min && value <= max) return value;
    return fail(2, `--${flag} takes ${min}..${max}: current value is "${flags[flag]}"`);
  };
  const [port, timeout] = [integer("port", 1, 65535), integer("timeout", 1, 3600000)];
  if (flags.help) console.log(HELP);
  else {
    const sending = echoClient(flags.host, port, flags.message, timeout);
    await sending.catch((error) => fail(1, `${error.message}${ADVICE[error.code] ?? ""}`));
  }
}
