// https_get against servers of Deno's own, for every way of telling how long an answer is.

import { assertEquals, assertStringIncludes } from "@std/assert";
import { tls } from "@taskio/net";
import { Folder } from "./folder.ts";
import { type Outcome, refusingPort, runProgram } from "./program.ts";

const { cert, key } = tls.selfsigned(["server.test", "127.0.0.1"]);

/** A server that gives this answer to every request, piece by piece, and ends the connection. */
class Server implements AsyncDisposable {
  readonly #listener: Deno.TlsListener;
  readonly #serving: Promise<void>;
  readonly #pieces: readonly (string | Uint8Array)[];
  request = "";

  constructor(...pieces: (string | Uint8Array)[]) {
    this.#pieces = pieces;
    this.#listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
    this.#serving = this.#serve();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  async #serve(): Promise<void> {
    for await (const conn of this.#listener) {
      await this.#answer(conn).catch(() => {}); // a client that distrusts it
      conn.close();
    }
  }

  async #answer(conn: Deno.TlsConn): Promise<void> {
    const encoder = new TextEncoder();
    const data = new Uint8Array(4096);
    this.request = "";
    while (!this.request.endsWith("\r\n\r\n")) {
      const n = await conn.read(data);
      if (n === null) return;
      this.request += new TextDecoder().decode(data.subarray(0, n));
    }
    for (const piece of this.#pieces) {
      const bytes = typeof piece === "string" ? encoder.encode(piece) : piece;
      for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
    }
    await conn.closeWrite();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving;
  }
}

async function get(port: number, ...args: string[]): Promise<Outcome> {
  using folder = new Folder();
  const ca = folder.write("ca.pem", cert);
  return await runProgram("https_get", "--host=127.0.0.1", `--port=${port}`, `--ca=${ca}`, ...args);
}

async function bodyOf(...pieces: (string | Uint8Array)[]): Promise<string> {
  await using server = new Server(...pieces);
  const { code, stdout, stderr } = await get(server.port);
  assertEquals(code, 0, stderr);
  return stdout;
}

/** The line that tells why there is no whole answer. */
async function complaintAbout(...pieces: string[]): Promise<string> {
  await using server = new Server(...pieces);
  const { code, stderr } = await get(server.port);
  assertEquals(code, 1, stderr);
  return stderr.trimEnd().split("\n").at(-1)!.replace(/^https_get: /, "");
}

Deno.test("https_get prints the body, and everything else on standard error", async () => {
  await using server = new Server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello");
  assertEquals(await get(server.port, "--path=/a?b=c"), {
    code: 0,
    stdout: "hello\n", // the newline is the test's
    stderr: "TLS connection established\nHTTP/1.1 200 OK\ncontent-length: 5\nx-a: b\n" +
      "Response length: 5 bytes\n",
  });
  const head = `GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nConnection: close\r\n\r\n`;
  assertEquals(server.request, head);
});

Deno.test("https_get asks for the name in --sni, which the certificate must be for", async () => {
  await using server = new Server("HTTP/1.1 204 No Content\r\n\r\n");
  const { code, stdout } = await get(server.port, "--sni=server.test");
  assertEquals([code, stdout], [0, ""]);
  assertStringIncludes(server.request, `\r\nHost: server.test:${server.port}\r\n`);

  const wrong = await get(server.port, "--sni=other.test");
  assertEquals([wrong.code, wrong.stdout], [1, ""]);
  assertStringIncludes(wrong.stderr, "(ERR_TLS_CERT_ALTNAME_INVALID). Give the name ");
});

Deno.test("https_get trusts nobody but whom it is told to", async () => {
  await using server = new Server("HTTP/1.1 204 No Content\r\n\r\n");
  const { code, stderr } = await runProgram(
    "https_get",
    "--host=127.0.0.1",
    `--port=${server.port}`,
  );
  assertEquals(code, 1);
  assertStringIncludes(stderr, "(UNABLE_TO_GET_ISSUER_CERT). If you trust it, ");
});

const bodies: [name: string, pieces: string[], body: string][] = [
  ["until the end", ["HTTP/1.0 200 OK\r\n\r\n", "one ", "two"], "one two\n"],
  ["of no length", ["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], ""],
  ["in chunks", [
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
    "4\r\none \r\n",
    '00a;ext="x"\r\ntwo, th',
    "ree\r\n0\r\nX-Trailer: yes\r\n\r\n",
  ], "one two, three\n"],
  ["with a length told twice", [
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
  ], "ok\n"],
  ["after interim answers", [
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
  ], "ok\n"],
  ["that a 304 does not have", ["HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"], ""],
];

for (const [name, pieces, body] of bodies) {
  Deno.test(`https_get reads a body ${name}`, async () => {
    assertEquals(await bodyOf(...pieces), body);
  });
}

Deno.test("https_get reads a body of megabytes however it is told", async () => {
  const text = Array.from({ length: 100_000 }, (_, i) => `line ${i} of a long answer`).join("\n");
  const bytes = new TextEncoder().encode(text);
  const length = `HTTP/1.1 200 OK\r\nContent-Length: ${bytes.length}\r\n\r\n`;
  assertEquals(await bodyOf(length, bytes) === `${text}\n`, true);
  const size = `${bytes.length.toString(16)}\r\n`;
  const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  assertEquals(await bodyOf(chunked, size, bytes, "\r\n0\r\n\r\n") === `${text}\n`, true);
  assertEquals(await bodyOf("HTTP/1.1 200 OK\r\n\r\n", bytes) === `${text}\n`, true);
});

Deno.test("https_get gets along with a real web server", async () => {
  const { promise: listening, resolve } = Promise.withResolvers<void>();
  const options = { hostname: "127.0.0.1", port: 0, cert, key, onListen: () => resolve() };
  await using server = Deno.serve(options, () => {
    const words = ["from ", "a ", "stream"].map((word) => new TextEncoder().encode(word));
    return new Response(ReadableStream.from(words));
  });
  await listening;
  const { code, stdout, stderr } = await get(server.addr.port);
  assertEquals([code, stdout], [0, "from a stream\n"]);
  assertStringIncludes(stderr, "transfer-encoding: chunked\n");
});

const complaints: [name: string, pieces: string[], complaint: string][] = [
  [
    "shorter than its length",
    ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"],
    "answer was cut short: 2 bytes are missing",
  ],
  [
    "without its last chunk",
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"],
    "answer was cut short: the server ended the connection",
  ],
  [
    "with a chunk longer than its size",
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nones\r\n"],
    "chunk is longer than its size",
  ],
  [
    "with a chunk size that is none",
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\n"],
    'not a chunk size: "-3"',
  ],
  [
    "with two lengths",
    ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"],
    'not a content length: "2, 3"',
  ],
  ["of another protocol", ["220 ready\r\n\r\n"], 'not an HTTP/1 answer: "220 ready"'],
  [
    "with too many header fields",
    ["HTTP/1.1 200 OK\r\n", "a: b\r\n".repeat(1001), "\r\n"],
    "more than 1000 header fields",
  ],
  ["of nothing", [], "answer was cut short: the server ended the connection"],
];

for (const [name, pieces, complaint] of complaints) {
  Deno.test(`https_get complains about an answer ${name}`, async () => {
    assertEquals(await complaintAbout(...pieces), complaint);
  });
}

Deno.test("https_get takes a stream cut without close_notify for no end", async () => {
  // A wire that is cut once the answer, which tells no length, has passed.
  await using server = new Server("HTTP/1.1 200 OK\r\n\r\n", new Uint8Array(100_000).fill(46));
  using wire = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const cut = (async () => {
    using client = await wire.accept();
    using target = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    const up = client.readable.pipeTo(target.writable, { preventClose: true }).catch(() => {});
    const data = new Uint8Array(4096);
    for (let passed = 0; passed < 50_000;) {
      const n = await target.read(data);
      if (n === null) break;
      for (let at = 0; at < n;) at += await client.write(data.subarray(at, n));
      passed += n;
    }
    await client.closeWrite();
    await up;
  })();
  const { code, stderr } = await get(wire.addr.port);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "(EUNEXPECTEDEOF). What came before may be incomplete.\n");
  await cut;
});

Deno.test("https_get says what to do when it is refused or meets another protocol", async () => {
  const refused = await get(refusingPort);
  assertEquals([refused.code, refused.stdout], [1, ""]);
  assertStringIncludes(refused.stderr, "connection refused (ECONNREFUSED). Start the server first");

  using plain = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served = (async () => {
    using conn = await plain.accept();
    await conn.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await conn.closeWrite();
    while (await conn.read(new Uint8Array(1024)).catch(() => null) !== null);
  })();
  const { code, stderr } = await get(plain.addr.port);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "(EPROTO)");
  await served;
});
