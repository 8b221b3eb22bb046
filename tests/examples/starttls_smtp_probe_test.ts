// starttls_smtp_probe with a mail server that upgrades its side in place.

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { socket, task, tls } from "@taskio/net";
import { Folder } from "./folder.ts";
import { runProgram } from "./program.ts";

const pair = tls.selfsigned(["mail.test", "*.mail.test", "127.0.0.1"]);

interface Behaviour {
  /** The replies to EHLO in clear. */
  ehlo?: string;
  /** The reply to STARTTLS. */
  starttls?: string;
  greeting?: string;
}

/** A mail server for one client at a time; it notes what it is told. */
class MailServer implements AsyncDisposable {
  readonly #id = socket.tcpserver("127.0.0.1", 0);
  readonly port = socket.getlocal(this.#id)[1];
  readonly heard: string[] = [];
  readonly #behaviour: Behaviour;
  readonly #serving: task.TaskId<void>;

  constructor(behaviour: Behaviour = {}) {
    this.#behaviour = behaviour;
    this.#serving = socket.serve(this.#id, (client) => this.#converse(client), {
      onError: () => {}, // the client gave up
    });
  }

  async #converse(client: socket.SocketId): Promise<void> {
    const { greeting = "220 mail.test ESMTP\r\n", starttls = "220 Go ahead\r\n" } = this.#behaviour;
    const { ehlo = "250-mail.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n" } = this.#behaviour;
    await task.await(socket.send(client, greeting));
    for (;;) {
      const line = await task.await(socket.recvLine(client));
      if (line === null) return;
      const secure = socket.istls(client);
      this.heard.push(secure ? `${line}, encrypted` : line);
      if (line.startsWith("EHLO ")) {
        await task.await(socket.send(client, secure ? "250 mail.test\r\n" : ehlo));
      } else if (line === "STARTTLS") {
        await task.await(socket.send(client, starttls));
        if (starttls.startsWith("220")) await task.await(socket.starttls(client, pair));
      } else {
        await task.await(socket.send(client, "221 Bye\r\n"));
      }
    }
  }

  /** Probes it, trusting its certificate. */
  async probe(...args: string[]) {
    using folder = new Folder();
    const ca = folder.write("ca.pem", pair.cert);
    return await runProgram("starttls_smtp_probe", `--port=${this.port}`, `--ca=${ca}`, ...args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    socket.close(this.#id);
    await task.await(this.#serving);
  }
}

Deno.test("starttls_smtp_probe upgrades the connection and shows the certificate", async () => {
  await using server = new MailServer();
  const { code, stdout, stderr } = await server.probe("--sni=in.mail.test", "--name=probe.test");
  assertEquals([code, stderr], [0, ""]);
  const { fingerprint256, validFrom, validTo } = await certificateOf(pair);
  assertEquals(
    stdout,
    `\
< 220 mail.test ESMTP
> EHLO probe.test
< 250-mail.test
< 250-PIPELINING
< 250 STARTTLS
> STARTTLS
< 220 Go ahead
  The connection is encrypted, the server verified.
  subject:     mail.test
  names:       mail.test, *.mail.test, 127.0.0.1
  issuer:      mail.test
  valid from:  ${validFrom.toISOString()}
  valid to:    ${validTo.toISOString()}
  fingerprint: ${fingerprint256}
> EHLO probe.test
< 250 mail.test
> QUIT
< 221 Bye
`,
  );
  assertEquals(server.heard, [
    "EHLO probe.test",
    "STARTTLS",
    "EHLO probe.test, encrypted",
    "QUIT, encrypted",
  ]);
});

/** What a client sees of a certificate. */
async function certificateOf({ cert, key }: tls.CertificatePair): Promise<tls.PeerCertificate> {
  const server = tls.tcpserver("127.0.0.1", 0, { cert, key });
  const accepting = tls.accept(server);
  const client = await tls.tcpconnect(...tls.getlocal(server), "", { ca: cert });
  const { peerCertificate } = tls.info(client);
  [client, await task.await(accepting), server].forEach(tls.close);
  return peerCertificate!;
}

Deno.test("starttls_smtp_probe wants the certificate to be for the host or --sni", async () => {
  await using server = new MailServer();
  assertEquals((await server.probe()).code, 0);
  const { code, stderr } = await server.probe("--sni=other.test");
  assertEquals(code, 1);
  assertStringIncludes(stderr, "(ERR_TLS_CERT_ALTNAME_INVALID)");
  assertEquals((await server.probe("--sni=other.test", "--any-name")).code, 0);
});

Deno.test("starttls_smtp_probe trusts nobody but whom it is told to", async () => {
  await using server = new MailServer();
  const { code, stderr } = await runProgram("starttls_smtp_probe", `--port=${server.port}`);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "(UNABLE_TO_GET_ISSUER_CERT)");
});

const failures: [name: string, behaviour: Behaviour, stderr: RegExp][] = [
  ["that offers no STARTTLS", { ehlo: "250 mail.test\r\n" }, /: server does not offer STARTTLS\n$/],
  ["that refuses STARTTLS", { starttls: "454 Not now\r\n" }, /: server did not reply 220\n$/],
  ["that is busy", { greeting: "421 Too busy\r\n" }, /: server did not reply 220\n$/],
  [
    "whose replies have more in them, maybe injected",
    { starttls: "220 Go ahead\r\n250 You have mail\r\n" },
    /: starttls 127\.0\.0\.1:\d+: received clear text before the handshake.* \(EPROTO\)\n$/,
  ],
];

for (const [name, behaviour, expected] of failures) {
  Deno.test(`starttls_smtp_probe gives up on a server ${name}`, async () => {
    await using server = new MailServer(behaviour);
    const { code, stderr } = await server.probe();
    assertEquals(code, 1);
    assertMatch(stderr, expected);
    assertEquals(server.heard.filter((line) => line.endsWith("encrypted")), []);
  });
}

Deno.test("starttls_smtp_probe lets no server play with the terminal", async () => {
  await using server = new MailServer({ greeting: "554 \x1b[2Jgone\r\n" });
  const { stdout } = await server.probe();
  assertEquals(stdout, "< 554 \ufffd[2Jgone\n");
});

Deno.test("starttls_smtp_probe waits no longer than --timeout", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const args = [`--port=${listener.addr.port}`, "--timeout=50"];
  const { code, stderr } = await runProgram("starttls_smtp_probe", ...args);
  assertEquals(code, 1);
  assertMatch(stderr, /timed out after 50 ms \(ETIMEDOUT\)/);
});
