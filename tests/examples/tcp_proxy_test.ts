// tcp_proxy between clients and targets of Deno's own, with and without TLS on either side.

import { assertEquals, assertMatch } from "@std/assert";
import { once } from "node:events";
import net from "node:net";
import { tls } from "@taskio/net";
import { Folder } from "./folder.ts";
import { portOf, Program, refusingPort } from "./program.ts";
import { hasPty, Pty } from "./pty.ts";

const target = tls.selfsigned(["target.test"]);
const front = tls.selfsigned(["127.0.0.1"]);

/** Reads until the end. */
async function readAll(conn: Deno.Conn): Promise<string> {
  const data = new Uint8Array(65536);
  const decoder = new TextDecoder();
  let text = "";
  for (let n; (n = await conn.read(data)) !== null;) {
    text += decoder.decode(data.subarray(0, n), { stream: true });
  }
  return text;
}

async function writeAll(conn: Deno.Conn, text: string): Promise<void> {
  const data = new TextEncoder().encode(text);
  for (let at = 0; at < data.length;) at += await conn.write(data.subarray(at));
}

/** A target that replies, once its client has ended its side, with all that came, twice. */
class Target implements AsyncDisposable {
  readonly #listener: Deno.Listener<Deno.TcpConn | Deno.TlsConn>;
  readonly #serving: Promise<void>;
  readonly port: number;

  constructor(secure = false) {
    const place = { hostname: "127.0.0.1", port: 0 };
    this.#listener = secure ? Deno.listenTls({ ...place, ...target }) : Deno.listen(place);
    this.port = (this.#listener.addr as Deno.NetAddr).port;
    this.#serving = this.#serve();
  }

  async #serve(): Promise<void> {
    const serving: Promise<void>[] = [];
    for await (const conn of this.#listener) serving.push(this.#reply(conn));
    await Promise.all(serving);
  }

  async #reply(conn: Deno.TcpConn | Deno.TlsConn): Promise<void> {
    try {
      const text = await readAll(conn);
      await writeAll(conn, text + text);
      await conn.closeWrite();
    } catch {
      // A client that is reset
    } finally {
      conn.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving;
  }
}

function proxyTo(port: number, ...args: string[]): Program {
  return new Program("tcp_proxy", "--listen=127.0.0.1:0", `--target=127.0.0.1:${port}`, ...args);
}

async function exchange(conn: Deno.TcpConn | Deno.TlsConn, text: string): Promise<string> {
  using _ = conn;
  await Promise.all([writeAll(conn, text), "handshake" in conn && conn.handshake()]);
  await conn.closeWrite();
  return await readAll(conn);
}

const connect = (port: number) => Deno.connect({ hostname: "127.0.0.1", port });
const connectTls = (port: number) =>
  Deno.connectTls({ hostname: "127.0.0.1", port, caCerts: [front.cert] });

for (const clientTls of [false, true]) {
  for (const targetTls of [false, true]) {
    const sides = `${clientTls ? "TLS" : "TCP"} clients to a ${targetTls ? "TLS" : "TCP"} target`;
    Deno.test(`tcp_proxy relays ${sides} and counts`, async () => {
      using folder = new Folder();
      await using server = new Target(targetTls);
      const args: string[] = [];
      if (clientTls) {
        args.push(`--cert=${folder.write("c.pem", front.cert)}`);
        args.push(`--key=${folder.write("k.pem", front.key)}`);
      }
      if (targetTls) {
        const ca = folder.write("ca.pem", target.cert);
        args.push("--target-tls", "--sni=target.test", `--ca=${ca}`);
      }
      await using proxy = proxyTo(server.port, ...args);
      const running = await proxy.line();
      assertMatch(running, /^Proxy to 127\.0\.0\.1:\d+ running on 127\.0\.0\.1:\d+$/);
      const dial = () => clientTls ? connectTls(portOf(running)) : connect(portOf(running));

      // The end of the client's side passes, and the way back goes on.
      assertEquals(await exchange(await dial(), "ping"), "pingping");
      assertMatch(await proxy.line(), /^Client \d+ connected from 127\.0\.0\.1:\d+$/);
      assertMatch(
        await proxy.line(),
        /^Client \d+ has ended: 4 bytes to the target, 8 bytes back$/,
      );

      const texts = Array.from({ length: 10 }, (_, i) => `${i},`.repeat(100_000));
      const replies = await Promise.all(texts.map(async (text) => exchange(await dial(), text)));
      assertEquals(replies.map((reply, i) => reply === texts[i] + texts[i]), texts.map(() => true));
    });
  }
}

Deno.test("tcp_proxy does not let the fault of one connection touch others", async () => {
  await using server = new Target();
  await using proxy = proxyTo(server.port);
  const port = portOf(await proxy.line());

  using steady = await connect(port);
  await writeAll(steady, "before ");
  assertMatch(await proxy.line(), /^Client \d+ connected/);

  const client = net.connect(port, "127.0.0.1");
  await once(client, "connect");
  client.write("half");
  assertMatch(await proxy.line(), /^Client \d+ connected/);
  client.resetAndDestroy();
  assertMatch(await proxy.errorLine(), /^Client \d+: recv .+connection reset by peer/);

  assertEquals(await exchange(steady, "after"), "before afterbefore after");
  assertMatch(await proxy.line(), /has ended: 12 bytes to the target, 24 bytes back$/);
});

Deno.test("tcp_proxy closes the connection of a client whose target cannot be reached", async () => {
  await using proxy = proxyTo(refusingPort);
  const port = portOf(await proxy.line());
  for (let i = 0; i < 2; i++) {
    using conn = await connect(port);
    assertEquals(await readAll(conn), "");
    assertMatch(await proxy.errorLine(), /^Client \d+: connect .+connection refused/);
  }
});

Deno.test("tcp_proxy verifies a TLS target", async () => {
  await using server = new Target(true);
  await using proxy = proxyTo(server.port, "--target-tls", "--sni=target.test");
  using conn = await connect(portOf(await proxy.line()));
  assertEquals(await readAll(conn), "");
  assertMatch(await proxy.errorLine(), /^Client \d+: .+\(UNABLE_TO_GET_ISSUER_CERT\)$/);
});

Deno.test("tcp_proxy serves others while clients keep it waiting for their handshake", async () => {
  using folder = new Folder();
  await using server = new Target();
  const files = [
    `--cert=${folder.write("c.pem", front.cert)}`,
    `--key=${folder.write("k.pem", front.key)}`,
  ];
  await using proxy = proxyTo(server.port, ...files);
  const port = portOf(await proxy.line());
  using _silent = await connect(port);
  using plain = await connect(port);
  await writeAll(plain, "no TLS");
  await readAll(plain).catch(() => {}); // it is given up: with an alert, or by a reset
  assertEquals(await exchange(await connectTls(port), "ping"), "pingping");
});

Deno.test({
  name: "tcp_proxy closes its sockets on Ctrl-C",
  ignore: Deno.build.os === "windows", // has no SIGINT to send
  async fn() {
    await using server = new Target();
    await using proxy = proxyTo(server.port);
    using conn = await connect(portOf(await proxy.line()));
    await proxy.line(); // "Client … connected"
    proxy.kill("SIGINT");
    const stdout = "Interrupted: every socket is closed.\n";
    assertEquals(await proxy.ended(), { code: 0, stdout, stderr: "" });
    assertEquals(await conn.read(new Uint8Array(1)).catch(() => null), null);
  },
});

const progress = "tcp_proxy shows on a terminal how things stand, and takes that away";

Deno.test({
  name: hasPty ? progress : `${progress} (skipped: no python3 to make a terminal with)`,
  ignore: !hasPty,
  async fn() {
    await using server = new Target();
    const flags = ["--listen=127.0.0.1:0", `--target=127.0.0.1:${server.port}`];
    const program = ["run", "--quiet", "--allow-net=127.0.0.1", "examples/tcp_proxy.ts", ...flags];
    await using pty = new Pty(24, 100, [Deno.execPath(), ...program]);
    const running = await pty.shows(/ running on 127\.0\.0\.1:\d+$/m);
    using conn = await connect(portOf(running.split("\n")[0]));
    await writeAll(conn, "ping");
    await pty.shows(/^ {2}1 connections, 4 bytes to the target, 0 bytes back$/m);
    await conn.closeWrite();
    assertEquals(await readAll(conn), "pingping");
    await pty.shows(/^ {2}0 connections, 4 bytes to the target, 8 bytes back$/m);
    // What it says takes the place of the progress, which goes on below.
    assertMatch(pty.screen.text, /^Client \d+ has ended: 4 bytes to the target, 8 bytes back$/m);
    await pty.press("\x03");
    assertEquals(await pty.ended(), { code: 0, same: true });
    assertMatch(pty.screen.text, /back\n(\^C)?Interrupted: every socket is closed\.\n$/);
  },
});
