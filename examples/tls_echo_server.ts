// A TLS echo server for any number of clients at once, until Ctrl-C. Without --cert and --key it
// makes a certificate for localhost, which clients trust that are given it:
//
//     deno run --allow-net --allow-write examples/tls_echo_server.ts --save cert.pem
//     openssl s_client -connect 127.0.0.1:8443 -CAfile cert.pem -quiet      (in another terminal)
//
// One file to copy: all it needs is `deno add jsr:@taskio/net`.

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
  cert: string;
  key: string;
  save: string;
}

async function tlsEchoServer({ host, port, save, ...files }: Options): Promise<void> {
  // Without a certificate, the server makes one in memory
  const server = tls.tcpserver(host, port, readPair(files));
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
function showCertificate(cert: string, path: string): void {
  if (path === "") return console.log(cert.trimEnd());
  try {
    Deno.writeTextFileSync(path, cert);
  } catch (error) {
    throw fileFailure("--save: cannot write", path, error);
  }
  console.log(`Certificate saved to ${path}`);
}

/** The certificate and its key that `--cert` and `--key` name; `undefined` without them. */
function readPair(files: Record<string, string>): tls.CertificatePair | undefined {
  if ((files.cert === "") !== (files.key === "")) {
    throw new UsageError("--cert and --key belong together");
  }
  const cert = readFile("cert", files.cert);
  const key = readFile("key", files.key);
  return cert === undefined || key === undefined ? undefined : { cert, key };
}

/** The text of a file that a flag names; `undefined` if the flag was left out. */
function readFile(flag: string, path: string): string | undefined {
  if (path === "") return undefined;
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw fileFailure(`--${flag}: cannot read`, path, error);
  }
}

/** A failure to read or write a file, in words; a missing permission is left in Deno's. */
function fileFailure(what: string, path: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Deno.errors.NotCapable) return error;
  return new Failure(`${what} "${path}": ${error.message}`);
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

// The command line. The same lines are in every example, so that each is one file to copy.

/** A wrong command line. */
class UsageError extends Error {}

/** A failure that its message explains. */
class Failure extends Error {}

/** What to do about a failure, where its message does not say so. */
const ADVICE: Record<string, string> = {
  ECONNREFUSED: "Start the server first, or check --host and --port.",
  ECONNRESET: "Try again, or see what the other side says.",
  EMFILE: "Allow more open files (ulimit -n), or do less at once.",
  ENETUNREACH: "Check --host and the network.",
  EHOSTUNREACH: "Check --host and the network.",
  ENOTFOUND: "Check --host.",
  EAI_AGAIN: "Check --host and the network.",
  EINVAL: "Check --host.",
  ETIMEDOUT: "Check --host and --port, or raise --timeout.",
  UNABLE_TO_GET_ISSUER_CERT: "If you trust it, give its certificate, or its issuer's, with --ca.",
  ERR_TLS_CERT_ALTNAME_INVALID: "Give the name that its certificate is for with --sni.",
  EUNEXPECTEDEOF: "What came before may be incomplete.",
};

/** What a flag may be, by the word in the help; `1..9` is a range. */
const KINDS: Record<string, RegExp> = {
  "text": /./s,
  "file": /./s,
  "word": /^[!-~]+$/,
  "/text": /^\/[!-~]*$/,
  "name": /^(\w([\w-]*\w)?(\.|$))+$|^\[?[\da-f.]*:[\da-f:.]*\]?$/i,
  "host:port": /^(\[[\da-f.:]+\]|[^:[\]\s]+):\d{1,5}$/i,
};

function matches(kind: string, text: string): boolean {
  const [, min, max] = /^(\d+)\.\.(\d+)$/.exec(kind) ?? [];
  if (min === undefined) return KINDS[kind].test(text);
  return /^\d+$/.test(text) && Number(text) >= Number(min) && Number(text) <= Number(max);
}

/** The flags that a help text lists, from the command line; `undefined` if help was asked for. */
function readFlags(help: string, args: string[]): Record<string, string> | undefined {
  const kinds = new Map<string, string | undefined>();
  const values: Record<string, string> = {};
  const rows = help.matchAll(/^ {2}--([\w-]+)(?: <(.+?)>)? .*?(?:\(default: (.*)\))?$/gm);
  for (const [, name, kind, initial = ""] of rows) {
    kinds.set(name, kind);
    values[name] = initial === "none" ? "" : initial;
  }
  const rest = args.filter((arg) => arg !== "--");
  for (let arg; (arg = rest.shift()) !== undefined;) {
    if (arg === "--help" || arg === "-h") return undefined;
    const [, name, text] = /^--([\w-]+)(?:=(.*))?$/s.exec(arg) ?? [];
    if (!kinds.has(name)) throw new UsageError(`Unknown flag or argument "${arg}"`);
    const kind = kinds.get(name);
    if (kind === undefined) {
      values[name] = text ?? "true";
      continue;
    }
    const value = text ?? (rest[0]?.startsWith("-") === false ? rest.shift()! : "");
    if (!matches(kind, value)) {
      throw new UsageError(`--${name} takes ${kind}: current value is "${value}"`);
    }
    values[name] = value;
  }
  return values;
}

/** A failure in one line. Whatever is not a known failure is a bug, and thrown on. */
function explain(error: unknown): string {
  if (error instanceof Deno.errors.NotCapable || error instanceof Failure) return error.message;
  if (error instanceof Deno.errors.BrokenPipe) return "nobody reads the output";
  if (error instanceof socket.SocketError || error instanceof task.TimeoutError) {
    const advice = ADVICE[error.code];
    return advice === undefined ? error.message : `${error.message}. ${advice}`;
  }
  throw error;
}

/**
 * Runs a program with the flags that its help lists. The exit code is 1 if it failed, which one
 * line on standard error explains, and 2 if the flags were wrong.
 */
async function run(
  help: string,
  main: (flags: Record<string, string>) => Promise<void>,
): Promise<void> {
  const name = /(\w+)\.ts \[flags\]/.exec(help)?.[1];
  try {
    const flags = readFlags(help, Deno.args);
    if (flags === undefined) console.log(help);
    else await main(flags);
  } catch (error) {
    const wrong = error instanceof UsageError;
    console.error(`${name}: ${wrong ? `${error.message}\n\n${help}` : explain(error)}`);
    Deno.exit(wrong ? 2 : 1);
  }
}

if (import.meta.main) {
  await run(
    HELP,
    ({ host, port, cert, key, save }) =>
      untilInterrupt(() => tlsEchoServer({ host, port: Number(port), cert, key, save })),
  );
}
