// tls_echo_server with clients of Deno's own.

import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { tls } from "@taskio/net";
import { Folder } from "./folder.ts";
import { portOf, Program, runProgram } from "./program.ts";

/** Reads lines up to the one that says where it runs; gives those before, and the port. */
async function started(server: Program): Promise<[before: string, port: number]> {
  const before: string[] = [];
  for (;;) {
    const line = await server.line();
    if (line.startsWith("TLS echo server running on ")) return [before.join("\n"), portOf(line)];
    before.push(line);
  }
}

/** Sends each text and reads it back, then ends. */
async function converse(port: number, ca: string, texts: string[]): Promise<string[]> {
  using conn = await Deno.connectTls({ hostname: "127.0.0.1", port, caCerts: [ca] });
  const replies: string[] = [];
  for (const text of texts) {
    const data = new TextEncoder().encode(text);
    await conn.write(data);
    let reply = "";
    while (reply.length < text.length) {
      const n = await conn.read(data);
      if (n === null) break;
      reply += new TextDecoder().decode(data.subarray(0, n));
    }
    replies.push(reply);
  }
  await conn.closeWrite();
  assertEquals(await conn.read(new Uint8Array(1)), null);
  return replies;
}

Deno.test("tls_echo_server prints a certificate that its clients can trust", async () => {
  await using server = new Program("tls_echo_server", "--port=0");
  const [ca, port] = await started(server);
  assertMatch(ca, /^-----BEGIN CERTIFICATE-----\n[^]+\n-----END CERTIFICATE-----$/);
  assertEquals(await converse(port, ca, ["one", "two"]), ["one", "two"]);
  assertMatch(await server.line(), /^Client \d+ connected from 127\.0\.0\.1:\d+$/);
  assertMatch(await server.line(), /^Client \d+ has ended$/);
});

Deno.test("tls_echo_server saves its certificate instead of printing it", async () => {
  using folder = new Folder();
  const path = `${folder.path}/cert.pem`;
  await using server = new Program("tls_echo_server", "--port=0", `--save=${path}`);
  const [before, port] = await started(server);
  assertEquals(before, `Certificate saved to ${path}`);
  assertEquals(await converse(port, Deno.readTextFileSync(path), ["saved"]), ["saved"]);
});

Deno.test("tls_echo_server shows the certificate it is given", async () => {
  using folder = new Folder();
  const { cert, key } = tls.selfsigned(["127.0.0.1"]);
  const files = [`--cert=${folder.write("c.pem", cert)}`, `--key=${folder.write("k.pem", key)}`];
  await using server = new Program("tls_echo_server", "--port=0", ...files);
  const [before, port] = await started(server);
  assertEquals(before, cert.trimEnd());
  assertEquals(await converse(port, cert, ["mine"]), ["mine"]);
});

Deno.test("tls_echo_server refuses a key of another certificate and a folder as a file", async () => {
  using folder = new Folder();
  const cert = folder.write("c.pem", tls.selfsigned(["a.test"]).cert);
  const key = folder.write("k.pem", tls.selfsigned(["a.test"]).key);
  const mismatch = await runProgram("tls_echo_server", `--cert=${cert}`, `--key=${key}`);
  assertEquals([mismatch.code, mismatch.stdout], [1, ""]);
  assertStringIncludes(mismatch.stderr, "(ERR_OSSL_X509_KEY_VALUES_MISMATCH)");

  const save = await runProgram("tls_echo_server", "--port=0", `--save=${folder.path}`);
  assertEquals([save.code, save.stdout], [1, ""]);
  assertStringIncludes(save.stderr, `tls_echo_server: --save: cannot write "${folder.path}": `);
});

Deno.test("tls_echo_server serves many clients, whatever becomes of some", async () => {
  await using server = new Program("tls_echo_server", "--port=0");
  const [ca, port] = await started(server);
  // One stays silent, one does not speak TLS, one distrusts the certificate.
  using _silent = await Deno.connect({ hostname: "127.0.0.1", port });
  using garbage = await Deno.connect({ hostname: "127.0.0.1", port });
  await garbage.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  await assertRejects(() => converse(port, tls.selfsigned(["127.0.0.1"]).cert, ["never"]));
  const texts = Array.from({ length: 20 }, (_, i) => [`client ${i}`, "x".repeat(10_000)]);
  assertEquals(await Promise.all(texts.map((list) => converse(port, ca, list))), texts);
});

Deno.test({
  name: "tls_echo_server closes its sockets on Ctrl-C",
  ignore: Deno.build.os === "windows", // has no SIGINT to send
  async fn() {
    await using server = new Program("tls_echo_server", "--port=0");
    const [ca, port] = await started(server);
    using conn = await Deno.connectTls({ hostname: "127.0.0.1", port, caCerts: [ca] });
    await conn.handshake();
    await server.line(); // "Client … connected"
    server.kill("SIGINT");
    const stdout = "Interrupted: every socket is closed.\n";
    assertEquals(await server.ended(), { code: 0, stdout, stderr: "" });
    await conn.read(new Uint8Array(1)).then((n) => assertEquals(n, null), () => {});
  },
});
