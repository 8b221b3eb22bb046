// Clients as there are: each of them is served by each engine, and by an upgrade, and sees a good end.

import { assertEquals, assertMatch } from "@std/assert";
import { connect } from "node:tls";
import { socket, task, tls } from "../../mod.ts";
import { codeOf, leavingNothing } from "../settle.ts";
import { ca, pair, serverKinds } from "./helpers.ts";
import { type Files, writeFiles } from "./openssl.ts";

/** How a client that is a program of its own is run: it sends a request and prints the answer. */
interface Program {
  readonly command: string;
  readonly args: (port: number, files: Files) => string[];
  readonly input?: string;
}

const REQUEST = "GET / HTTP/1.1\r\nHost: server.test\r\nConnection: close\r\n\r\n";
const PYTHON = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as plain:
    with context.wrap_socket(plain, server_hostname="server.test") as conn:
        conn.sendall(b"""${REQUEST.replaceAll("\r\n", "\\r\\n")}""")
        answer = b""
        while True:
            data = conn.recv(4096)
            if not data: break
            answer += data
        print(answer.decode())
        conn.unwrap()
`;

const programs: Record<string, Program> = {
  "openssl s_client": {
    command: "openssl",
    args: (port, { ca }) => [
      ...["s_client", "-quiet", "-connect", `127.0.0.1:${port}`, "-servername", "server.test"],
      ...["-CAfile", ca, "-verify_return_error", "-ign_eof"],
    ],
    input: REQUEST,
  },
  "gnutls-cli": {
    command: "gnutls-cli",
    args: (port, { ca }) => [
      ...["--x509cafile", ca, "--sni-hostname", "server.test", "--verify-hostname", "server.test"],
      ...["--port", String(port), "127.0.0.1"],
    ],
    input: REQUEST,
  },
  "curl": {
    command: "curl",
    args: (port, { ca }) => [
      ...["-sS", "-i", "--cacert", ca, "--noproxy", "*", "--connect-to", `::127.0.0.1:${port}`],
      "https://server.test/",
    ],
  },
  "Python's ssl": {
    command: "python3",
    args: (port, { ca }) => ["-c", PYTHON, String(port), ca],
  },
};

/** Runs a client to its end; gives what it printed, `undefined` if there is no such program. */
async function run(program: Program, port: number, files: Files): Promise<string | undefined> {
  let process: Deno.ChildProcess;
  try {
    process = new Deno.Command(program.command, {
      args: program.args(port, files),
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.timeout(30_000),
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const input = process.stdin.getWriter();
  await input.write(new TextEncoder().encode(program.input ?? "")).catch(() => {});
  const [{ stdout, stderr }] = await Promise.all([
    process.output(),
    program.input === undefined ? input.close().catch(() => {}) : undefined,
  ]);
  await input.close().catch(() => {});
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

/** Answers a request, and ends the connection by leaving the handler. */
async function answer(id: socket.SocketId): Promise<void> {
  while (await task.await(socket.recvLine(id)) !== "");
  const body = `you came by ${tls.info(id).protocol}`;
  const headers = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  await task.await(socket.send(id, headers + body));
}

/** Every way to be served. */
const ways: [string, () => [server: socket.SocketId, serving: task.TaskId, errors: unknown[]]][] = [
  ...serverKinds.map(([kind, serve]): typeof ways[number] => [kind, () => {
    const server = tls.tcpserver("127.0.0.1", 0, serve(pair));
    const errors: unknown[] = [];
    return [server, tls.serve(server, answer, { onError: (e) => errors.push(e) }), errors];
  }]),
  ["starttls", () => {
    const server = socket.tcpserver("127.0.0.1", 0);
    const errors: unknown[] = [];
    const serving = socket.serve(server, async (id) => {
      await task.await(socket.starttls(id, { certs: [pair] }));
      await answer(id);
    }, { onError: (e) => errors.push(e) });
    return [server, serving, errors];
  }],
];

for (const [way, open] of ways) {
  for (const [name, program] of Object.entries(programs)) {
    Deno.test(`${name} is served [${way}]`, () =>
      leavingNothing(async () => {
        using files = writeFiles();
        const [server, serving, errors] = open();
        const printed = await run(program, socket.getlocal(server)[1], files);
        if (printed === undefined) console.log(`Skipped: there is no ${program.command} here`);
        else {
          assertMatch(printed, /you came by (TLSv1\.3|null)/);
          assertEquals(/unexpected eof|premature|not properly terminated/i.test(printed), false);
          assertEquals(errors, []);
        }
        socket.close(server);
        await codeOf(serving);
      }));
  }

  Deno.test(`Node's and Deno's clients are served [${way}]`, () =>
    leavingNothing(async () => {
      const [server, serving, errors] = open();
      const [hostname, port] = socket.getlocal(server);
      const answers: string[] = [];
      const client = connect({ host: hostname, port, ca, servername: "server.test" });
      client.end(REQUEST);
      let text = "";
      for await (const chunk of client) text += chunk;
      answers.push(text);
      const conn = await Deno.connectTls({ hostname, port, caCerts: [ca] });
      await conn.write(new TextEncoder().encode(REQUEST));
      answers.push(await new Response(conn.readable).text());
      for (const text of answers) assertMatch(text, /^HTTP\/1.1 200 OK[^]*you came by/);
      assertEquals(errors, []);
      socket.close(server);
      await codeOf(serving);
    }));
}
