// A TLS echo server for any number of clients at once, until Ctrl-C. Without --cert and --key it
// makes a certificate for localhost, which clients trust that are given it:
//
//     deno run --allow-net --allow-write examples/tls_echo_server.ts --save cert.pem
//     openssl s_client -connect 127.0.0.1:8443 -CAfile cert.pem -quiet      (in another terminal)
//
// One file to copy: all it needs is `deno add jsr:@taskio/net jsr:@std/cli`.

import { parseArgs } from "@std/cli/parse-args";
import { socket, task, tls } from "@taskio/net";

const HELP = `Echoes over TLS what each client sends, many clients at once, until Ctrl-C.

Usage: deno run --allow-net --allow-read --allow-write examples/tls_echo_server.ts [flags]

  --host <text>      Address to listen on (default: 127.0.0.1)
  --port <0..65535>  Port to listen on, 0 for any free one (default: 8443)
  --cert <file>      Certificate to show, PEM; made in memory without (default: none)
  --key <file>       Private key of --cert, PEM (default: none)
  --save <file>      Where to save the certificate instead of printing it (default: none)
  --help, -h         Show this text`;

/** Echoes until the client ends its side. When it returns, the connection is closed. */
async function echo(client: socket.SocketId): Promise<void> {
  for (;;) {
    const data = await task.await(tls.recv(client));
    if (data.length === 0) return;
    await task.await(tls.send(client, data));
  }
}

interface Options {
  host: string;
  port: number;
  /** Paths. */
  cert?: string;
  key?: string;
  save?: string;
}

async function tlsEchoServer({ host, port, cert, key, save }: Options): Promise<void> {
  // Without a certificate, the server makes one in memory
  const server = tls.tcpserver(host, port, readPair(cert, key));
  showCertificate(tls.certificate(server), save);
  console.log(`TLS echo server running on ${formatAddress(tls.getlocal(server))}`);

  const serving = tls.serve(server, async (client) => {
    console.log(`Client ${client} connected from ${formatAddress(tls.getpeer(client))}`);
    await echo(client);
    console.log(`Client ${client} has ended`);
  }, {
    // What happens to one client is no concern of the others
    onError(error, client) {
      if (socket.isopen(server)) console.error(`Client ${client}:`, (error as Error).message);
    },
  });
  await task.await(serving);
}

/** Saves the certificate, or prints it. The key stays in memory. */
function showCertificate(cert: string, path: string | undefined): void {
  if (path === undefined) return console.log(cert.trimEnd());
  try {
    Deno.writeTextFileSync(path, cert);
  } catch (error) {
    throw new Error(`--save: cannot write "${path}": ${(error as Error).message}`);
  }
  console.log(`Certificate saved to ${path}`);
}

/** The certificate and its key that `--cert` and `--key` name; `undefined` without them. */
function readPair(certPath?: string, keyPath?: string): tls.CertificatePair | undefined {
  const [cert, key] = [readFile("cert", certPath), readFile("key", keyPath)];
  return cert === undefined || key === undefined ? undefined : { cert, key };
}

/** The text of a file that a flag names; `undefined` if the flag was left out. */
function readFile(flag: string, path: string | undefined): string | undefined {
  try {
    return path === undefined ? undefined : Deno.readTextFileSync(path);
  } catch (error) {
    throw new Error(`--${flag}: cannot read "${path}": ${(error as Error).message}`);
  }
}

/** An address as it is usually written. */
function formatAddress([ip, port]: socket.Address): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** Lets the first Ctrl-C close every socket, which ends every wait; a second one kills. */
async function untilInterrupt(main: () => Promise<void>): Promise<void> {
  let interrupted = false;
  const close = () => {
    Deno.removeSignalListener("SIGINT", close);
    interrupted = true;
    socket.list().forEach(socket.close);
  };
  Deno.addSignalListener("SIGINT", close);
  try {
    await main();
  } catch (error) {
    if (!interrupted) throw error;
  }
  if (interrupted) console.log("Interrupted: every socket is closed.");
}

// The command line

/** Ends the program: with 1 for a failure, with 2 and its usage for a wrong command line. */
function fail(code: 1 | 2, message: string): never {
  console.error(`tls_echo_server: ${message}${code === 2 ? `\n\n${HELP}` : ""}`);
  Deno.exit(code);
}

if (import.meta.main) {
  const unknown = (arg: unknown) => fail(2, `Unknown flag or argument "${arg}"`);
  const flags = parseArgs(Deno.args, {
    string: ["host", "port", "cert", "key", "save"],
    boolean: ["help"],
    alias: { help: "h" },
    default: { host: "127.0.0.1", port: "8443" },
    unknown,
  });
  flags._.forEach(unknown); // what follows "--"
  for (const [flag, value] of Object.entries(flags)) {
    if (value === "") fail(2, `--${flag} takes a value: current value is ""`);
  }
  const { host, port, cert, key, save } = flags;
  if (!/^\d+$/.test(port) || Number(port) > 65535) {
    fail(2, `--port takes 0..65535: current value is "${port}"`);
  }
  if (!cert !== !key) fail(2, "--cert and --key belong together");
  if (flags.help) console.log(HELP);
  else {
    const options = { host, port: Number(port), cert, key, save };
    const serving = untilInterrupt(() => tlsEchoServer(options));
    await serving.catch((error) => fail(1, error.message));
  }
}
