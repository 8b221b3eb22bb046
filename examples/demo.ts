// The main job in one command, on loopback: `deno task demo`. It needs no input, ends by itself in
// a few seconds, and ends with a non-zero exit code if anything is not as expected.

import { assert, assertEquals, AssertionError } from "@std/assert";
import { parseArgs } from "@std/cli/parse-args";
import { socket, task, tls } from "@taskio/net";
import { serveEcho } from "./persistent_echo_server.ts";
import { type PortState, scan } from "./port_scanner.ts";

const HOST = "127.0.0.1";

const HELP = `Shows the main job on loopback, in a second or two: deno task demo

Usage: deno run --allow-net=${HOST} examples/demo.ts [flags]

  --help, -h  Show this text`;

/** Prints a call, or whatever it was, and what came of it. */
function show(what: string, outcome: string): void {
  console.log(`  ${what.padEnd(34)} → ${outcome}`);
}

function section(title: string): void {
  console.log(`\n${title}`);
}

/** A task as the demo prints it: `task 7: Running`. */
function describe(id: task.TaskId): string {
  return `task ${id}: ${task.status(id)}`;
}

function decode(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}

/** Waits until a task has settled, without claiming it. */
async function settled(id: task.TaskId): Promise<void> {
  while (task.status(id) === "Running") await task.sleep(1);
}

/** A connection over loopback, both ends of it. */
async function pair(): Promise<[client: socket.SocketId, peer: socket.SocketId]> {
  const server = socket.tcpserver(HOST, 0);
  const client = await socket.tcpconnect(...socket.getlocal(server));
  const peer = await task.await(socket.accept(server));
  socket.close(server);
  return [client, peer];
}

async function integers(): Promise<void> {
  section("Every socket and every operation is an integer");
  const server = socket.tcpserver(HOST, 0);
  const [, port] = socket.getlocal(server);
  show(`tcpserver("${HOST}", 0)`, `socket ${server}, listens on ${HOST}:${port}`);

  const accepting = socket.accept(server);
  show(`accept(${server})`, describe(accepting));
  assertEquals(task.status(accepting), "Running");

  const client = await socket.tcpconnect(HOST, port);
  show(`tcpconnect("${HOST}", ${port})`, `socket ${client}, the ${socket.getside(client)}`);

  await settled(accepting);
  show(`status(${accepting})`, task.status(accepting));
  assertEquals(task.status(accepting), "Completed");

  const peer = await task.await(accepting);
  show(`await(${accepting})`, `socket ${peer}, the ${socket.getside(peer)}'s end`);
  show(`status(${accepting})`, `${task.status(accepting)}, for its result was claimed`);
  assertEquals(task.status(accepting), "Unknown");

  const sending = socket.send(client, "hello");
  show(`send(${client}, "hello")`, `task ${sending}`);
  const sent = await task.await(sending);
  show(`await(${sending})`, `${sent} bytes`);
  assertEquals(sent, 5);

  const receiving = socket.recv(peer);
  show(`recv(${peer})`, `task ${receiving}`);
  const text = decode(await task.await(receiving));
  show(`await(${receiving})`, `"${text}"`);
  assertEquals(text, "hello");

  const last = socket.recv(peer);
  socket.close(client);
  show(`close(${client})`, "the peer sees the end of the stream");
  const end = await task.await(last);
  show(`await(${last}), a recv of ${peer}`, `${end.length} bytes: the end`);
  assertEquals(end.length, 0);
  [peer, server].forEach(socket.close);
}

async function manyClients(): Promise<void> {
  section("A persistent echo server, several clients at once");
  const server = socket.tcpserver(HOST, 0);
  const address = socket.getlocal(server);
  const serving = task.spawn(serveEcho, [server]);
  show(`spawn(serveEcho, [${server}])`, `${describe(serving)}, on ${address.join(":")}`);

  const client = async (name: string) => {
    const id = await socket.tcpconnect(...address);
    show(`${name} connects`, `socket ${id}`);
    await task.await(socket.send(id, `I am ${name}`));
    const reply = decode(await task.await(socket.recv(id)));
    show(`${name} receives on socket ${id}`, `"${reply}"`);
    socket.close(id);
    return reply;
  };
  const names = ["Ada", "Ben", "Cleo", "Dan", "Eva"];
  const replies = await task.all(names.map((name) => task.spawn(client, [name])));
  assertEquals(replies, names.map((name) => `I am ${name}`));

  socket.close(server);
  await settled(serving);
  const { code } = task.error(serving) as socket.SocketError;
  show(`close(${server})`, `${describe(serving)}, ${code}`);
  assertEquals(code, "ECONNABORTED");

  task.forget(serving);
  const handlers = task.list();
  show("task.list()", `${handlers.join(", ")}: a handler per client, done, unclaimed`);
  assertEquals(handlers.map(task.status), names.map(() => "Completed"));
  handlers.forEach(task.forget);
  show("forget(…)", `${task.list().length} unclaimed tasks`);
}

async function polling(): Promise<void> {
  section("A recv, polled while it waits");
  const [client, peer] = await pair();
  const receiving = socket.recv(client);
  show(`recv(${client})`, describe(receiving));
  for (let poll = 1; poll <= 3; poll++) {
    await task.sleep(5);
    show(`status(${receiving}), ${5 * poll} ms later`, task.status(receiving));
    assertEquals(task.status(receiving), "Running");
  }
  await task.await(socket.send(peer, "at last"));
  show(`send(${peer}, "at last")`, "by the other end");
  await settled(receiving);
  show(`status(${receiving})`, task.status(receiving));
  const seen = decode(task.result(receiving)!);
  show(`result(${receiving})`, `"${seen}", not claimed yet`);
  const claimed = decode(await task.await(receiving));
  show(`await(${receiving})`, `"${claimed}", claimed: ${describe(receiving)}`);
  assertEquals([seen, claimed, task.status(receiving)], ["at last", "at last", "Unknown"]);
  [client, peer].forEach(socket.close);
}

async function cancelling(): Promise<void> {
  section("A cancelled recv loses nothing");
  const [client, peer] = await pair();
  const cancelled = socket.recv(client);
  show(`recv(${client})`, describe(cancelled));
  assert(task.cancel(cancelled, "tired of waiting"));
  show(`cancel(${cancelled})`, describe(cancelled));
  const error = task.error(cancelled) as task.CancelledError;
  show(`error(${cancelled})`, error.message);
  assertEquals(error.code, "ECANCELED");
  task.forget(cancelled);

  await task.await(socket.send(peer, "still here"));
  show(`send(${peer}, "still here")`, "by the other end, after the cancel");
  const next = socket.recv(client);
  const text = decode(await task.await(next));
  show(`await(${next}), the next recv of ${client}`, `"${text}"`);
  assertEquals(text, "still here");
  [client, peer].forEach(socket.close);
}

async function scanning(): Promise<void> {
  section("The port scanner, over ports of the demo's own");
  /** A server that does this to every client. */
  const serve = (handle: (client: socket.SocketId) => void) => {
    const server = socket.tcpserver(HOST, 0);
    const serving = task.spawn(async () => {
      for (;;) handle(await task.await(socket.accept(server)));
    });
    task.forget(serving);
    return server;
  };
  const clients: socket.SocketId[] = [];
  const banner = serve((client) => {
    clients.push(client);
    task.forget(socket.send(client, "220 ready\r\n"));
  });
  const silent = serve((client) => clients.push(client));
  const curt = serve(socket.close);
  const gone = [socket.tcpserver(HOST, 0), socket.tcpserver(HOST, 0)];

  const expected = new Map<number, [what: string, state: PortState]>();
  const expect = (id: socket.SocketId, what: string, state: PortState) => {
    expected.set(socket.getlocal(id)[1], [what, state]);
  };
  expect(banner, "greets", "open");
  expect(silent, "is silent", "open");
  expect(curt, "ends the connection at once", "open");
  for (const id of gone) expect(id, "nobody listens", "closed");
  gone.forEach(socket.close);

  for await (
    const { port, state, error } of scan(HOST, [...expected.keys()], {
      timeout: 200,
      concurrency: 3,
    })
  ) {
    if (error !== undefined) throw error;
    const [what, right] = expected.get(port)!;
    show(`${HOST}:${port}`, `${state} (${what})`);
    assertEquals(state, right);
  }
  [banner, silent, curt, ...clients].forEach(socket.close);
}

async function encrypted(): Promise<void> {
  section("An echo over TLS, the certificate chosen by name (SNI)");
  const certs = ["alpha.test", "beta.test"].map((name) => tls.selfsigned([name]));
  const server = tls.tcpserver(HOST, 0, { certs });
  const [, port] = tls.getlocal(server);
  show(`tls.tcpserver("${HOST}", 0, …)`, `socket ${server}, with certificates for two names`);
  const serving = tls.serve(server, async (id) => {
    await task.await(tls.send(id, await task.await(tls.recv(id))));
  });
  show(`tls.serve(${server}, …)`, describe(serving));

  const ca = certs.map(({ cert }) => cert);
  for (const name of ["alpha.test", "beta.test"]) {
    const client = await tls.tcpconnect(HOST, port, name, { ca });
    const subject = tls.info(client).peerCertificate?.subject;
    show(`tls.tcpconnect(…, "${name}")`, `socket ${client}, its certificate is for ${subject}`);
    assertEquals(subject, name);
    await task.await(tls.send(client, `hello, ${name}`));
    const reply = decode(await task.await(tls.recv(client)));
    show(`tls.recv(${client})`, `"${reply}"`);
    assertEquals(reply, `hello, ${name}`);
    tls.close(client);
  }
  const connecting = tls.connect(HOST, port, "gamma.test", { ca });
  await settled(connecting);
  const { code } = task.error(connecting) as socket.SocketError;
  show(`tls.connect(…, "gamma.test")`, `${describe(connecting)}, ${code}`);
  assertEquals(code, "ERR_TLS_CERT_ALTNAME_INVALID");
  task.forget(connecting);

  tls.close(server);
  await task.await(serving);
  show(`close(${server})`, `task ${serving}, the server, is done`);
}

async function upgrading(): Promise<void> {
  section("A plain connection, upgraded on both sides (STARTTLS)");
  const [client, peer] = await pair();
  const { cert, key } = tls.selfsigned(["mail.test"]);
  await task.await(socket.send(client, "STARTTLS\r\n"));
  const command = await task.await(socket.recvLine(peer));
  show(`recvLine(${peer})`, `"${command}", istls(${peer}) is ${socket.istls(peer)}`);
  assertEquals([command, socket.istls(peer)], ["STARTTLS", false]);

  const upgrades = [
    socket.starttls(peer, { cert, key }),
    socket.starttls(client, { host: "mail.test", ca: cert }),
  ];
  show(`starttls(${peer}, {cert, key})`, describe(upgrades[0]));
  show(`starttls(${client}, {host: "mail.test"})`, describe(upgrades[1]));
  assertEquals(await task.all(upgrades), [true, true]);
  show(`istls(${client}), istls(${peer})`, "true, true: the same two sockets, encrypted");
  assertEquals([socket.istls(client), socket.istls(peer)], [true, true]);

  await task.await(socket.send(client, "a secret"));
  const secret = decode(await task.await(socket.recv(peer)));
  show(`recv(${peer})`, `"${secret}"`);
  await task.await(socket.send(peer, secret));
  const reply = decode(await task.await(socket.recv(client)));
  show(`recv(${client})`, `"${reply}"`);
  assertEquals(reply, "a secret");
  [client, peer].forEach(socket.close);
}

async function leftovers(): Promise<void> {
  section("Nothing is left behind");
  await task.wait();
  const sockets = socket.list();
  const tasks = task.list();
  show("socket.list()", `${sockets.length} sockets`);
  show("task.list()", `${tasks.length} unclaimed tasks`);
  assertEquals([sockets, tasks], [[], []]);
}

/** Ends the demo if it hangs. */
function watch(seconds: number): void {
  const timer = setTimeout(() => {
    console.error(`demo: not done after ${seconds} seconds`);
    Deno.exit(1);
  }, seconds * 1000);
  Deno.unrefTimer(timer);
}

async function main(): Promise<void> {
  watch(14);
  await integers();
  await manyClients();
  await polling();
  await cancelling();
  await scanning();
  await encrypted();
  await upgrading();
  await leftovers();
  console.log("\nAll as expected.");
}

// The command line

/** Ends the program: with 1 for a failure, with 2 and its usage for a wrong command line. */
function fail(code: 1 | 2, message: string): never {
  console.error(`demo: ${message}${code === 2 ? `\n\n${HELP}` : ""}`);
  Deno.exit(code);
}

if (import.meta.main) {
  const unknown = (arg: unknown) => fail(2, `Unknown flag or argument "${arg}"`);
  const flags = parseArgs(Deno.args, { boolean: ["help"], alias: { help: "h" }, unknown });
  flags._.forEach(unknown); // what follows "--"
  if (flags.help) console.log(HELP);
  else {
    await main().catch((error) => {
      if (error instanceof AssertionError) throw error; // its stack says what is not as expected
      fail(1, error.message);
    });
  }
}
