// The scanner's rules, each against a real server on loopback.

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import net from "node:net";
import { once } from "node:events";
import { type Outcome, refusingPort, runProgram } from "./program.ts";

type Handler = (client: net.Socket) => void;

const greet: Handler = (client) => client.write("220 ready\r\n");
const stayQuiet: Handler = () => {};
const end: Handler = (client) => client.end();
const reset: Handler = (client) => client.resetAndDestroy();

/** A server on 127.0.0.1 that does the same to every client. */
class Server implements AsyncDisposable {
  readonly #server: net.Server;
  readonly #clients = new Set<net.Socket>();

  constructor(handler: Handler) {
    this.#server = net.createServer((client) => {
      this.#clients.add(client);
      client.on("error", () => {});
      client.on("close", () => this.#clients.delete(client));
      handler(client);
    });
  }

  async listen(port = 0): Promise<void> {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const client of this.#clients) client.destroy();
    await closed;
  }
}

/** Servers on ports that follow each other. */
async function adjacent(handlers: Handler[]): Promise<Server[]> {
  for (;;) {
    const first = 15_000 + Math.floor(Math.random() * 15_000);
    const servers = handlers.map((handler) => new Server(handler));
    try {
      for (const [i, server] of servers.entries()) await server.listen(first + i);
      return servers;
    } catch (error) {
      if ((error as { code?: string }).code !== "EADDRINUSE") throw error;
      for (const server of servers) await server[Symbol.asyncDispose]();
    }
  }
}

function scan(from: number, to: number, ...args: string[]): Promise<Outcome> {
  return runProgram("port_scanner", `--from=${from}`, `--to=${to}`, ...args);
}

/** Scans one port; what counts is the state that the summary names. */
async function stateOf(port: number, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await scan(port, port, ...args);
  assertEquals([code, stderr], [0, ""]);
  const counts = stdout.match(/(\d) open, (\d) closed, (\d) filtered\n$/)!.slice(1);
  const state = ["open", "closed", "filtered"][counts.indexOf("1")];
  const expected = state === "open"
    ? `  [open] port ${port}\nOpen ports: ${port}\n`
    : "Open ports: none\n";
  assertEquals(stdout.slice(0, expected.length), expected);
  return state;
}

const rules: [name: string, handler: Handler, state: string][] = [
  ["greets", greet, "open"],
  ["ends the connection at once", end, "open"],
  ["is silent until the timeout", stayQuiet, "open"],
  ["resets the connection", reset, "closed"],
  ["resets the connection after a while", (client) => setTimeout(reset, 50, client), "closed"],
];

for (const [name, handler, state] of rules) {
  Deno.test(`port_scanner reports ${state} when the server ${name}`, async () => {
    await using server = new Server(handler);
    await server.listen();
    assertEquals(await stateOf(server.port, "--timeout=1500"), state);
  });
}

Deno.test("port_scanner reports closed when the connection is refused", async () => {
  assertEquals(await stateOf(refusingPort), "closed");
});

Deno.test("port_scanner waits for nothing but the silent", async () => {
  // The timeout would outlast the test's patience.
  for (const handler of [greet, end, reset]) {
    await using server = new Server(handler);
    await server.listen();
    await stateOf(server.port, "--timeout=3600000");
  }
});

Deno.test({
  name: "port_scanner reports filtered when nobody answers the connect",
  ignore: Deno.build.os !== "linux", // drops connects to a listener whose backlog is full
  async fn() {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
    const { port } = listener.addr;
    using _first = await Deno.connect({ hostname: "127.0.0.1", port });
    using _second = await Deno.connect({ hostname: "127.0.0.1", port });
    assertEquals(await stateOf(port, "--timeout=100"), "filtered");
  },
});

Deno.test("port_scanner prints ports as they are found and sorts the result", async () => {
  const servers = await adjacent([stayQuiet, greet, reset, greet]);
  await using _ = new AsyncDisposableStack();
  for (const server of servers) _.use(server);
  const first = servers[0].port;

  const { code, stdout } = await scan(first, first + 3, "--timeout=1500");
  assertEquals(code, 0);
  const found = [...stdout.matchAll(/\[open\] port (\d+)/g)].map(([, port]) =>
    Number(port) - first
  );
  assertEquals([found.toSorted(), found.at(-1)], [[0, 1, 3], 0]);
  assertStringIncludes(stdout, `Open ports: ${first}, ${first + 1}, ${first + 3}\n`);
  assertMatch(
    stdout,
    /\nScanned 4 ports of 127\.0\.0\.1 in \d+\.\d s: 3 open, 1 closed, 0 filtered\n$/,
  );
});

Deno.test("port_scanner probes no more ports at once than --concurrency", async () => {
  const servers = await adjacent([stayQuiet, greet, stayQuiet, greet]);
  await using _ = new AsyncDisposableStack();
  for (const server of servers) _.use(server);
  const first = servers[0].port;

  // One at a time, a quick one has to wait for the silent one before it.
  const { stdout } = await scan(first, first + 3, "--timeout=500", "--concurrency=1");
  const found = [...stdout.matchAll(/\[open\] port (\d+)/g)].map(([, port]) =>
    Number(port) - first
  );
  assertEquals(found, [0, 1, 2, 3]);
});

Deno.test("port_scanner shows no progress line where there is no terminal", async () => {
  await using server = new Server(greet);
  await server.listen();
  const { stdout, stderr } = await scan(server.port, server.port);
  assertEquals([stdout.includes("\r"), stderr], [false, ""]);
});

const terminal = Deno.build.os === "linux" && await hasScript();
const progress = "port_scanner shows a progress line on a terminal and takes it away";

Deno.test({
  name: terminal ? progress : `${progress} (skipped: there is no script program of Linux here)`,
  ignore: !terminal,
  async fn() {
    await using server = new Server(greet);
    await server.listen();
    const range = `--from=${server.port} --to=${server.port}`;
    const command = `${Deno.execPath()} run --allow-net examples/port_scanner.ts ${range}`;
    const { code, stdout } = await new Deno.Command("script", {
      args: ["--quiet", "--return", "--command", command, "/dev/null"],
      cwd: new URL("../../", import.meta.url),
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const shown = new TextDecoder().decode(stdout);
    assertEquals(code, 0);
    assertStringIncludes(shown, "\r\x1b[K  0 of 1 ports, 0 open");
    assertStringIncludes(shown, `\r\x1b[KOpen ports: ${server.port}\r\nScanned`);
  },
});

/** Whether util-linux's `script`, which runs a command on a terminal, is installed. */
async function hasScript(): Promise<boolean> {
  try {
    return (await new Deno.Command("script", { args: ["--version"] }).output()).success;
  } catch {
    return false;
  }
}

Deno.test("port_scanner ends with what to do when no probe can succeed", async () => {
  const { code, stdout, stderr } = await runProgram("port_scanner", "--host=127.0.0.2");
  assertEquals([code, stdout], [1, ""]);
  assertMatch(
    stderr,
    /^port_scanner: Requires net access to "127\.0\.0\.2:\d+", .+--allow-net.+\n$/,
  );
});
