// Asks a mail server for STARTTLS, upgrades the connection in place and shows its certificate.
//
//     deno run --allow-net examples/starttls_smtp_probe.ts --host mail.example.com --port 25
//
// The conversation is that of RFC 3207: EHLO, STARTTLS, the handshake, and EHLO again, since
// nothing that was said in clear counts any more.
//
// One file to copy: all it needs is `deno add jsr:@taskio/net jsr:@std/cli`.

import { parseArgs } from "@std/cli/parse-args";
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
  /** Whom the certificate must be for, if it is not the host. */
  sni: string;
  name: string;
  /** Path of the certificates to trust besides the system's. */
  caFile?: string;
  timeout: number;
  anyName: boolean;
}

async function probe(options: Options): Promise<void> {
  const { host, port, name, timeout } = options;
  const ca = readFile("ca", options.caFile);
  const conn = await socket.tcpconnect(host, port, { timeout });
  try {
    const smtp = new Conversation(conn, timeout);
    await smtp.expect(220);
    const extensions = await smtp.say(`EHLO ${name}`, 250);
    if (!extensions.some((line) => /^STARTTLS\b/i.test(line))) {
      throw new Error("server does not offer STARTTLS");
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
      if (line === null) throw new Error("server ended the connection");
      console.log(`< ${printable(line)}`);
      const [, replied, more, text] = line.match(/^(\d{3})([ -]?)(.*)$/) ?? [];
      if (Number(replied) !== code) throw new Error(`server did not reply ${code}`);
      lines.push(text);
      if (lines.length > 100) throw new Error("reply of the server has no end");
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
function readFile(flag: string, path: string | undefined): string | undefined {
  try {
    return path === undefined ? undefined : Deno.readTextFileSync(path);
  } catch (error) {
    throw new Error(`--${flag}: cannot read "${path}": ${(error as Error).message}`);
  }
}

// The command line

/** Ends the program: with 1 for a failure, with 2 and its usage for a wrong command line. */
function fail(code: 1 | 2, message: string): never {
  console.error(`starttls_smtp_probe: ${message}${code === 2 ? `\n\n${HELP}` : ""}`);
  Deno.exit(code);
}

/** What to do about a failure, where its message does not say so. */
const ADVICE: Record<string, string> = {
  UNABLE_TO_GET_ISSUER_CERT: ". If you trust it, give its certificate, or its issuer's, with --ca.",
  ERR_TLS_CERT_ALTNAME_INVALID: ". Give the name that its certificate is for with --sni.",
};

/** A host name or IP address, or nothing. */
const NAME = /^((?!-)[\w:[\]-]+(\.[\w\]-]+)*\.?)?$/;

if (import.meta.main) {
  const unknown = (arg: unknown) => fail(2, `Unknown flag or argument "${arg}"`);
  const flags = parseArgs(Deno.args, {
    string: ["host", "port", "sni", "name", "ca", "timeout"],
    boolean: ["any-name", "help"],
    alias: { help: "h" },
    default: { host: "127.0.0.1", port: "25", name: "localhost", timeout: "10000" },
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
  const { host, sni = "", name, ca: caFile, "any-name": anyName } = flags;
  if (!NAME.test(sni)) fail(2, `--sni takes name: current value is "${sni}"`);
  if (!/^[!-~]+$/.test(name)) fail(2, `--name takes word: current value is "${name}"`);
  const [port, timeout] = [integer("port", 1, 65535), integer("timeout", 1, 3600000)];
  if (flags.help) console.log(HELP);
  else {
    const probing = probe({ host, port, sni, name, caFile, timeout, anyName });
    await probing.catch((error) => fail(1, `${error.message}${ADVICE[error.code] ?? ""}`));
  }
}
