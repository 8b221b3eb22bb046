// Asks a mail server for STARTTLS, upgrades the connection in place and shows its certificate.
//
//     deno run --allow-net examples/starttls_smtp_probe.ts --host mail.example.com --port 25
//
// The conversation is that of RFC 3207: EHLO, STARTTLS, the handshake, and EHLO again, since
// nothing that was said in clear counts any more.
//
// One file to copy: all it needs is `deno add jsr:@taskio/net`.

import { socket, task, tls } from "@taskio/net";

const HELP = `Upgrades a connection to a mail server with STARTTLS and shows its certificate.

Usage: deno run --allow-net --allow-read examples/starttls_smtp_probe.ts [flags]

  --host <text>           Address or name of the mail server (default: 127.0.0.1)
  --port <1..65535>       Port of the mail server (default: 25)
  --sni <name>            Name that the certificate must be for, if it is not --host (default: none)
  --name <word>           How to introduce oneself in EHLO (default: localhost)
  --ca <file>             Certificates to trust besides the system's, PEM (default: none)
  --any-name              Accept a certificate that is for another name
  --timeout <1..3600000>  Longest wait for each step, in milliseconds (default: 10000)
  --help, -h              Show this text`;

interface Options {
  host: string;
  port: number;
  sni: string;
  name: string;
  ca: string | undefined;
  timeout: number;
  anyName: boolean;
}

async function probe(options: Options): Promise<void> {
  const { host, port, name, ca, timeout } = options;
  const conn = await socket.tcpconnect(host, port, { timeout });
  try {
    const smtp = new Conversation(conn, timeout);
    await smtp.expect(220);
    const extensions = await smtp.say(`EHLO ${name}`, 250);
    if (!extensions.some((line) => /^STARTTLS\b/i.test(line))) {
      throw new Failure("server does not offer STARTTLS");
    }
    await smtp.say("STARTTLS", 220);

    // The same ID, from now on encrypted
    const upgrading = socket.starttls(conn, {
      host: options.sni || host,
      ca,
      timeout,
      unsafelyIgnoreHostname: options.anyName,
    });
    await task.await(upgrading);
    show(tls.info(conn));

    await smtp.say(`EHLO ${name}`, 250);
    await smtp.say("QUIT", 221);
  } finally {
    socket.close(conn);
  }
}

/** What is said on both sides, printed. */
class Conversation {
  readonly #conn: socket.SocketId;
  readonly #timeout: number;

  constructor(conn: socket.SocketId, timeout: number) {
    this.#conn = conn;
    this.#timeout = timeout;
  }

  async say(command: string, code: number): Promise<string[]> {
    console.log(`> ${command}`);
    await task.await(socket.send(this.#conn, `${command}\r\n`), {
      timeout: this.#timeout,
      cancel: true,
    });
    return await this.expect(code);
  }

  /** Receives a reply, of one line or several, and gives its lines without the code. */
  async expect(code: number): Promise<string[]> {
    const lines: string[] = [];
    for (;;) {
      const receiving = socket.recvLine(this.#conn, { max: 2000 });
      const line = await task.await(receiving, { timeout: this.#timeout, cancel: true });
      if (line === null) throw new Failure("server ended the connection");
      console.log(`< ${printable(line)}`);
      const [, replied, more, text] = line.match(/^(\d{3})([ -]?)(.*)$/) ?? [];
      if (Number(replied) !== code) throw new Failure(`server did not reply ${code}`);
      lines.push(text);
      if (lines.length > 100) throw new Failure("reply of the server has no end");
      if (more !== "-") return lines;
    }
  }
}

/** Nothing that a server says gets to move the cursor. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, "\ufffd");
}

function show({ protocol, cipher, peerCertificate }: tls.TlsInfo): void {
  const rows: [string, string | undefined | null][] = [
    ["protocol", protocol],
    ["cipher", cipher],
    ["subject", peerCertificate?.subject],
    ["names", peerCertificate?.names.join(", ")],
    ["issuer", peerCertificate?.issuer],
    ["valid from", peerCertificate?.validFrom.toISOString()],
    ["valid to", peerCertificate?.validTo.toISOString()],
    ["fingerprint", peerCertificate?.fingerprint256],
  ];
  console.log("  The connection is encrypted, the server verified.");
  for (const [name, value] of rows) {
    if (value) console.log(`  ${`${name}:`.padEnd(13)}${printable(value)}`);
  }
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
  await run(HELP, ({ host, port, sni, name, ca, timeout, ...flags }) =>
    probe({
      host,
      port: Number(port),
      sni,
      name,
      ca: readFile("ca", ca),
      timeout: Number(timeout),
      anyName: flags["any-name"] === "true",
    }));
}
