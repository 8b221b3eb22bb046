// The echo servers and their client, each a process of its own.

import { assertEquals, assertMatch } from "@std/assert";
import { once } from "node:events";
import net from "node:net";
import { portOf, Program, refusingPort, runProgram } from "./program.ts";

const ignore = Deno.build.os === "windows"; // has no SIGINT to send

/** Sends text and the end over a connection of Deno's own, and reads until the end. */
async function exchange(port: number, text: string): Promise<string> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  await conn.write(new TextEncoder().encode(text));
  await conn.closeWrite();
  const data = new Uint8Array(1024);
  let reply = "";
  for (let n; (n = await conn.read(data)) !== null;) {
    reply += new TextDecoder().decode(data.subarray(0, n));
  }
  return reply;
}

Deno.test("echo_server echoes to echo_client and ends", async () => {
  await using server = new Program("echo_server", "--port=0");
  const listening = await server.line();
  assertMatch(listening, /^Server listening on 127\.0\.0\.1:\d+$/);

  const args = [`--port=${portOf(listening)}`, "--message", "Grüezi mitenand"];
  assertEquals(await runProgram("echo_client", ...args), {
    code: 0,
    stdout: "Connected to server\nServer replied: Grüezi mitenand\n",
    stderr: "",
  });

  assertMatch(await server.line(), /^Client connected: \d+$/);
  assertEquals(await server.line(), "Received: Grüezi mitenand");
  assertEquals(await server.ended(), { code: 0, stdout: "Done.\n", stderr: "" });
});

Deno.test("echo_server ends when its client says nothing", async () => {
  await using server = new Program("echo_server", "--port=0");
  const port = portOf(await server.line());
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  await conn.closeWrite();
  assertMatch(await server.line(), /^Client connected/);
  assertEquals(await server.ended(), { code: 0, stdout: "Received: \nDone.\n", stderr: "" });
});

Deno.test("echo_server says what to do when its port is in use", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  assertEquals(await runProgram("echo_server", `--port=${port}`), {
    code: 1,
    stdout: "",
    stderr: `echo_server: listen 127.0.0.1:${port}: address already in use, ` +
      `choose another port, or 0 for any free one (EADDRINUSE)\n`,
  });
});

for (const name of ["echo_server", "persistent_echo_server"]) {
  Deno.test({
    name: `${name} closes its sockets on Ctrl-C`,
    ignore,
    async fn() {
      await using server = new Program(name, "--port=0");
      const port = portOf(await server.line());
      using conn = await Deno.connect({ hostname: "127.0.0.1", port });
      if (name === "echo_server") await server.line(); // "Client connected"
      server.kill("SIGINT");
      const stdout = "Interrupted: every socket is closed.\n";
      assertEquals(await server.ended(), { code: 0, stdout, stderr: "" });
      // An end or, if nobody had accepted it yet, a reset.
      await conn.read(new Uint8Array(1)).then((n) => assertEquals(n, null), () => {});
    },
  });
}

Deno.test("persistent_echo_server echoes to many clients at once", async () => {
  await using server = new Program("persistent_echo_server", "--port=0");
  const listening = await server.line();
  assertMatch(listening, /^Echo server running on 127\.0\.0\.1:\d+$/);
  const port = portOf(listening);

  // A client that never speaks holds up nobody.
  using _silent = await Deno.connect({ hostname: "127.0.0.1", port });
  const texts = Array.from({ length: 20 }, (_, i) => `message ${i}`);
  assertEquals(await Promise.all(texts.map((text) => exchange(port, text))), texts);

  const logged = [];
  for (const _ of texts) logged.push((await server.line()).replace(/^Client \d+: /, ""));
  assertEquals(logged.sort(), texts.map((text) => `"${text}"`).sort());

  const { stdout } = await runProgram("echo_client", `--port=${port}`);
  assertEquals(stdout, "Connected to server\nServer replied: Hello\n");
});

Deno.test("persistent_echo_server goes on after a client that ends without a word", async () => {
  await using server = new Program("persistent_echo_server", "--port=0");
  const port = portOf(await server.line());
  assertEquals(await exchange(port, ""), "");
  assertEquals(await exchange(port, "next"), "next");
});

Deno.test("persistent_echo_server reports a client that resets, and goes on", async () => {
  await using server = new Program("persistent_echo_server", "--port=0");
  const port = portOf(await server.line());
  const client = net.connect(port, "127.0.0.1");
  await once(client, "connect");
  // Once a later one has been served, this one has been accepted.
  assertEquals(await exchange(port, "first"), "first");
  client.resetAndDestroy();
  assertMatch(
    await server.errorLine(),
    /^Client \d+: recv 127\.0\.0\.1:\d+: connection reset by peer \(ECONNRESET\)$/,
  );
  assertEquals(await exchange(port, "next"), "next");
});

Deno.test("persistent_echo_server outlives clients that reset at once", async () => {
  await using server = new Program("persistent_echo_server", "--port=0");
  const port = portOf(await server.line());
  for (let i = 0; i < 50; i++) {
    const client = net.connect(port, "127.0.0.1");
    await once(client, "connect");
    client.resetAndDestroy();
  }
  assertEquals(await exchange(port, "next"), "next");
});

Deno.test("echo_client says what to do when it is refused", async () => {
  const port = refusingPort;
  assertEquals(await runProgram("echo_client", `--port=${port}`), {
    code: 1,
    stdout: "",
    stderr: `echo_client: connect 127.0.0.1:${port}: connection refused (ECONNREFUSED). ` +
      `Start the server first, or check --host and --port.\n`,
  });
});

Deno.test("echo_client says what to do when nobody answers in time", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const outcome = await runProgram("echo_client", `--port=${port}`, "--timeout=2000");
  assertEquals([outcome.code, outcome.stdout], [1, "Connected to server\n"]);
  assertMatch(
    outcome.stderr,
    /^echo_client: await of recv task \d+ timed out after 2000 ms \(ETIMEDOUT\)\. Check .+\n$/,
  );
});

Deno.test("echo_client says so when the server ends the connection early", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const server = (async () => {
    using conn = await listener.accept();
    await conn.read(new Uint8Array(10));
    await conn.write(new TextEncoder().encode("Hel"));
  })();
  const args = [`--port=${listener.addr.port}`, "--message=Hello"];
  const [{ code, stdout }] = await Promise.all([runProgram("echo_client", ...args), server]);
  assertEquals(code, 0);
  assertEquals(
    stdout,
    "Connected to server\nServer replied: Hel\n" +
      "(3 of 5 bytes, then the server ended the connection)\n",
  );
});

Deno.test("echo_client passes on what Deno says about a missing permission", async () => {
  assertEquals(await runProgram("echo_client", "--host=127.0.0.2"), {
    code: 1,
    stdout: "",
    stderr: `echo_client: Requires net access to "127.0.0.2:8080", ` +
      `run again with the --allow-net flag\n`,
  });
});
