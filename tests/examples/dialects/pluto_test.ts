// The samples of Pluto's manual, and what its functions give.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { once } from "node:events";
import https from "node:https";
import type { AddressInfo } from "node:net";
import {
  openPluto,
  type PlutoCertificate,
  type PlutoSocket,
} from "../../../examples/dialects/pluto.ts";
import { socket, task, tls } from "../../../mod.ts";
import { until } from "../../settle.ts";
import { refusingPort } from "../program.ts";
import { PAGE, portOf, test } from "./helpers.ts";

const address = "127.0.0.1";
const pair = tls.selfsigned(["localhost"]);
const certs: PlutoCertificate[] = [{ chain: pair.cert, private_key: pair.key }];
const require = openPluto({ address, ca: pair.cert });

/** Both ends of a connection between two scripts. */
async function connected(): Promise<{ client: PlutoSocket; server: PlutoSocket }> {
  const l = require.socket.listen(0)!;
  const client = (await require.socket.connect(address, portOf(l)))!;
  const server = (await l.accept())!;
  socket.close(l.id);
  return { client, server };
}

/** Closes both ends of a connection. */
async function closeBoth(...sockets: PlutoSocket[]): Promise<void> {
  await Promise.all(sockets.map((s) => s.close()));
}

/** Runs a script that is a client of a server that greets, and says goodbye at the end. */
async function withServer(
  serve: (s: PlutoSocket) => unknown,
  script: (port: number) => Promise<void>,
): Promise<void> {
  const { scheduler, socket: sockets } = require;
  const sched = new scheduler();
  const errors: unknown[] = [];
  sched.errorfunc = (err) => errors.push(err);
  const l = sockets.bind(sched, 0, serve);
  await script(portOf(l));
  socket.close(l.id);
  await sched.run();
  assertEquals(errors, []);
}

/** A page as Deno's own HTTP client sees it. */
async function fetchText(url: string, caCerts: string[] = []): Promise<string> {
  using client = Deno.createHttpClient({ caCerts });
  return await (await fetch(url, { client })).text();
}

test("sample: socket.bind serves a page", async () => {
  const { scheduler, socket: sockets } = require;

  const sched = new scheduler();
  const l = sockets.bind(sched, 0, (s) => {
    const content = "Hello, world!";
    s.send(
      "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: " + content.length + "\r\n\r\n" +
        content,
    );
  });
  const running = sched.run();

  const url = `http://127.0.0.1:${portOf(l)}/`;
  const texts = await Promise.all([fetchText(url), fetchText(url), fetchText(url)]);
  assertEquals(texts, ["Hello, world!", "Hello, world!", "Hello, world!"]);
  socket.close(l.id);
  await running;
});

test("sample: socket.recv", async () => {
  await withServer((s) => s.send(PAGE), async (port) => {
    const printed: unknown[] = [];
    const print = (value: unknown) => printed.push(value);

    const s = (await require.socket.connect("localhost", port))!;
    s.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    print(await s.recv());

    assertEquals(printed, [PAGE]);
    await s.close();
  });
});

test("sample: socket.unrecv", async () => {
  await withServer((s) => s.recv(), async (port) => {
    const printed: unknown[] = [];
    const print = (value: unknown) => printed.push(value);

    const sock = (await require.socket.connect("localhost", port))!;
    sock.unrecv("World");
    sock.unrecv("Hello");
    print(await sock.recv()); // --> Hello
    print(await sock.recv()); // --> World

    assertEquals(printed, ["Hello", "World"]);
    await sock.close();
  });
});

test("sample: starttls, client", async () => {
  const server = https.createServer(pair, (_request, response) => response.end("Hello, world!"));
  server.listen(0, address);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  let printed = "";
  const print = (text: string) => printed += text;

  const s = (await require.socket.connect(address, port))!;
  assert(await s.starttls("localhost"), "Failed to establish secure connection.");
  s.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  for (let data; (data = await s.recv());) {
    print(data);
  }

  assertEquals(printed.startsWith("HTTP/1.1 200 OK\r\n"), true);
  assertEquals(printed.endsWith("\r\n\r\nHello, world!"), true);
  await s.close();
  const closed = once(server, "close");
  server.close();
  await closed;
});

test("sample: starttls, server", async () => {
  const { scheduler, socket: sockets } = require;

  const certs = [
    {
      chain: pair.cert,
      private_key: pair.key,
    },
  ];

  const sched = new scheduler();
  const l = sockets.bind(sched, 0, async (s) => {
    if (await s.starttls(certs)) {
      const content = "Hello, world!";
      s.send(
        "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: " + content.length + "\r\n\r\n" +
          content,
      );
    }
  });
  const running = sched.run();

  assertEquals(await fetchText(`https://localhost:${portOf(l)}/`, [pair.cert]), "Hello, world!");
  socket.close(l.id);
  await running;
});

test("samples: socket.getpeer, socket.getside", async () => {
  await withServer((s) => s.recv(), async (serverPort) => {
    const printed: unknown[] = [];
    const print = (value: unknown) => printed.push(value);

    const sock = (await require.socket.connect("127.0.0.1", serverPort))!;
    const [ip, port] = sock.getpeer();
    print(ip); // --> 127.0.0.1
    print(port);
    print(sock.getside()); // --> client

    assertEquals(printed, ["127.0.0.1", serverPort, "client"]);
    await sock.close();
    assertEquals(sock.getpeer(), ["127.0.0.1", serverPort]);
    assertEquals(sock.getside(), "client");
  });
});

test("sample: hasconnection", async () => {
  const sockets = require.socket;
  const os = { sleep: task.sleep };
  const printed: unknown[] = [];
  const print = (value: unknown) => printed.push(value);
  const error = (message: string): never => {
    throw new Error(message);
  };

  const l = sockets.listen(0) || error("Failed to bind");
  const client = (await sockets.connect(address, portOf(l)))!;
  client.send("knock knock");
  while (!l.hasconnection()) {
    await os.sleep(1);
  }
  const s = (await l.accept())!;
  print(await s.recv());

  assertEquals(printed, ["knock knock"]);
  assertEquals(s.getside(), "server");
  assertEquals(l.hasconnection(), false);
  socket.close(l.id);
  assertEquals(l.hasconnection(), false);
  assertEquals(await l.accept(), null);
  await closeBoth(s, client);
});

test("connect() and listen() give null on failure", async () => {
  const sockets = require.socket;
  assertEquals(await sockets.connect(address, refusingPort), null);
  const l = sockets.listen(0)!;
  assertEquals(sockets.listen(portOf(l)), null);
  socket.close(l.id);
});

test("recv() gives the oldest chunk, then null, and peek() shows it", async () => {
  const { client, server } = await connected();
  assertEquals(client.peek(), null);
  await server.send("first");
  await until(() => client.peek() !== null);
  await server.send("second");
  assertEquals([client.peek(), client.peek()], ["first", "first"]);
  assertEquals(await client.recv(), "first");
  assertEquals(await client.recv(), "second");

  client.unrecv("pushed");
  assertEquals([client.peek(), await client.recv()], ["pushed", "pushed"]);

  await server.send("the last");
  const closing = server.close();
  assertEquals(await client.recv(), "the last");
  assertEquals([await client.recv(), await client.recv(), client.peek()], [null, null, null]);
  await closeBoth(client);
  await closing;
});

test("a chunk may be larger than the 4096 bytes of a recv by default", async () => {
  const { client, server } = await connected();
  const large = "x".repeat(100_000);
  client.unrecv(large);
  assertEquals([client.peek()?.length, (await client.recv())?.length], [100_000, 100_000]);
  await closeBoth(client, server);
});

test("a closed socket receives null and sends nothing", async () => {
  const { client, server } = await connected();
  await server.send("never received");
  const pending = client.recv();
  await closeBoth(client, server);
  await pending;
  assertEquals([await client.recv(), client.peek()], [null, null]);
  await client.send("x");
  client.unrecv("x");
  assertEquals([await client.recv(), await client.starttls("localhost")], [null, false]);
});

test("starttls() throws for nil and says what it takes", async () => {
  const { client, server } = await connected();
  for (const nothing of [undefined, null, 7]) {
    const upgrading = client.starttls(nothing as unknown as string);
    await assertRejects(() => upgrading, TypeError, "a host name or a list of certificates");
  }
  assertEquals(socket.isopen(client.id), true);
  await closeBoth(client, server);
});

test("starttls() is true, then null; false closes the socket", async () => {
  const { client, server } = await connected();
  const both = () => Promise.all([client.starttls("localhost"), server.starttls(certs)]);
  assertEquals(await both(), [true, true]);
  assertEquals(await both(), [null, null]);
  await client.send("secret");
  assertEquals(await server.recv(), "secret");
  await closeBoth(client, server);

  const wrong = await connected();
  const upgrading = wrong.server.starttls(certs);
  assertEquals(await wrong.client.starttls("elsewhere.test"), false);
  assertEquals([socket.isopen(wrong.client.id), await wrong.client.recv()], [false, null]);
  await upgrading;
  await wrong.server.close();
});

test("starttls() waits for what was sent before it", async () => {
  const { client, server } = await connected();
  server.send("220 go ahead\r\n");
  const upgrading = server.starttls(certs);
  assertEquals(await client.recv(), "220 go ahead\r\n");
  assertEquals([await client.starttls("localhost"), await upgrading], [true, true]);
  await closeBoth(client, server);
});

test("starttls() takes back a handshake that a server has looked at", async () => {
  const { client, server } = await connected();
  const upgrading = client.starttls("localhost");
  const hello = (await server.recv())!;
  assertEquals(hello.charCodeAt(0), 0x16);
  server.unrecv(hello);
  assertEquals([await server.starttls(certs), await upgrading], [true, true]);
  await closeBoth(client, server);
});

test("starttls() chooses among certificates by name; one alone serves any name", async () => {
  const other = tls.selfsigned(["other.test"]);
  const both = [{ chain: other.cert, private_key: other.key }, ...certs];
  for (const [shown, name] of [[both, "localhost"], [certs, "localhost"]] as const) {
    const { client, server } = await connected();
    const upgrading = server.starttls([...shown]);
    assertEquals(await client.starttls(name), true);
    assertEquals(tls.info(client.id).peerCertificate?.subject, "localhost");
    assertEquals(await upgrading, true);
    await closeBoth(client, server);
  }
});
