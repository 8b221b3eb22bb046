// Asks a mail server for STARTTLS, upgrades the connection in place and shows its certificate.
//
//     deno run --allow-net examples/starttls_smtp_probe.ts --host mail.example.com --port 25
//
// The conversation is that of RFC 3207: EHLO, STARTTLS, the handshake, and EHLO again, since nothing
// that was said in clear counts any more.

import { socket, task, tls } from "@taskio/net";
import {
  Failure,
  integer,
  matching,
  optional,
  readFile,
  run,
  serverName,
  text,
  toggle,
} from "./cli.ts";

interface Options {
  host: string;
  port: number;
  sni: string;
  name: string;
  ca: string | undefined;
  timeout: number;
  "any-name": boolean;
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
      unsafelyIgnoreHostname: options["any-name"],
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
    await task.await(socket.send(this.#conn, `${command}\r\n`), { timeout: this.#timeout });
    return await this.expect(code);
  }

  /** Receives a reply, of one line or several, and gives its lines without the code. */
  async expect(code: number): Promise<string[]> {
    const lines: string[] = [];
    for (;;) {
      const receiving = socket.recvLine(this.#conn, { max: 2000 });
      const line = await task.await(receiving, { timeout: this.#timeout });
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

if (import.meta.main) {
  await run({
    name: "starttls_smtp_probe",
    about: "Upgrades a connection to a mail server with STARTTLS and shows its certificate.",
    permissions: "--allow-net --allow-read",
    flags: {
      host: text("127.0.0.1", "Address or name of the mail server"),
      port: integer(25, 1, 65535, "Port of the mail server"),
      sni: serverName("Name that the certificate must be for, if it is not --host"),
      name: matching(/^[!-~]+$/, "name", "localhost", "How to introduce oneself in EHLO"),
      ca: optional("file", "Certificates to trust besides the system's, PEM"),
      "any-name": toggle("Accept a certificate that is for another name"),
      timeout: integer(10_000, 1, 3_600_000, "Longest wait for each step, in milliseconds"),
    },
    main: ({ ca, ...options }) => probe({ ...options, ca: readFile("ca", ca) }),
  });
}
