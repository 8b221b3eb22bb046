import dns from "node:dns/promises";
import { assert, assertEquals, assertGreater, assertRejects, assertThrows } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { textOf } from "../bytes.ts";
import { canCount, descriptorsBackTo, openDescriptors } from "../descriptors.ts";
import { hasIpv6 } from "../ipv6.ts";
import { tcpPair } from "../pair.ts";
import { resettable } from "../reset.ts";
import { codeOf, faultOf, leavingNothing, thrownBy, turn, until } from "../settle.ts";
import { runProgram } from "../subprocess.ts";

const { AF_INET, AF_INET6, AF_UNIX, SOCK_STREAM } = socket;

/** Registers a test; its sockets are closed afterwards. */
function test(name: string, run: () => Promise<void> | void, ignore = false): void {
  Deno.test({
    name,
    ignore,
    fn: () =>
      leavingNothing(async () => {
        const before = new Set(socket.list());
        try {
          await run();
        } finally {
          socket.list().filter((id) => !before.has(id)).forEach(socket.close);
          await turn();
        }
      }),
  });
}

const create = (family = AF_INET) => socket.create(family, SOCK_STREAM);

/** A listener made by the whole sequence. */
function listening(): socket.SocketId {
  const server = create();
  socket.bind(server, "127.0.0.1", 0);
  socket.listen(server);
  return server;
}

/** A port at which nobody listens. */
function freePort(): number {
  const server = socket.tcpserver("127.0.0.1", 0);
  const [, port] = socket.getlocal(server);
  socket.close(server);
  return port;
}

test("constants have the numbers of Linux", () => {
  const { SOL_SOCKET, IPPROTO_TCP, SO_REUSEADDR, SO_KEEPALIVE, SO_REUSEPORT, TCP_NODELAY } = socket;
  assertEquals([AF_UNIX, AF_INET, AF_INET6, SOCK_STREAM], [1, 2, 10, 1]);
  assertEquals([SOL_SOCKET, SO_REUSEADDR, SO_KEEPALIVE, SO_REUSEPORT], [1, 2, 9, 15]);
  assertEquals([IPPROTO_TCP, TCP_NODELAY], [6, 1]);
});

for (const [family, ip] of [[AF_INET, "127.0.0.1"], [AF_INET6, "::1"]] as const) {
  test(`create(), bind(), listen(), accept() and connect() work over ${ip}`, async () => {
    const server = create(family);
    assertEquals(socket.bind(server, ip, 0), undefined);
    const [host, port] = socket.getlocal(server);
    assertEquals([host, port > 0], [ip, true]);
    assertEquals(socket.listen(server, 5), undefined);
    // The IDs and the address stay the same.
    assertEquals([socket.isopen(server), socket.getlocal(server)], [true, [ip, port]]);
    const client = create(family);
    const connecting = socket.connect(client, ip, port);
    assertEquals(task.inspect(connecting)!.socket, client);
    assertEquals(await task.await(connecting), client);
    const peer = await task.await(socket.accept(server));
    assertEquals([socket.getside(client), socket.getside(peer)], ["client", "server"]);
    assertEquals([socket.getpeer(client), socket.getpeer(peer)], [
      [ip, port],
      socket.getlocal(client),
    ]);
    socket.send(client, "over");
    assertEquals(textOf(await task.await(socket.recv(peer))), "over");
    socket.send(peer, "back");
    assertEquals(textOf(await task.await(socket.recv(client))), "back");
  }, family === AF_INET6 && !hasIpv6);
}

test("create() gives a socket that inspect() tells as unbound", () => {
  const id = create();
  const { age, ...rest } = socket.inspect(id) as socket.UnboundRecord;
  assert(age >= 0);
  assertEquals(rest, { id, kind: "unbound", local: undefined, pending: [] });
  assertEquals([socket.list().includes(id), socket.isopen(id), socket.istls(id)], [
    true,
    true,
    false,
  ]);
  socket.bind(id, "127.0.0.1");
  assertEquals(socket.inspect(id)!.local, socket.getlocal(id));
  socket.inspect(id)!.local![1] = 0; // a snapshot of it: the socket stays where it is
  assert(socket.getlocal(id)[1] > 0);
  socket.listen(id);
  assertEquals(socket.inspect(id)!.kind, "listener");
  socket.close(id);
  assertEquals([socket.inspect(id), socket.isopen(id)], [undefined, false]);
  socket.close(id);
});

test("create() throws for what it does not know", () => {
  for (const family of [0, 3, 17, 65535]) {
    const error = assertThrows(() => socket.create(family, SOCK_STREAM), socket.SocketError);
    assertEquals([error.code, error.op], ["EAFNOSUPPORT", "create"]);
  }
  for (const type of [0, 2, 3, 65535]) {
    const error = assertThrows(() => socket.create(AF_INET, type), socket.SocketError);
    assertEquals([error.code, error.op], ["ESOCKTNOSUPPORT", "create"]);
  }
});

test("bind() tells the port when it is 0 or not given", () => {
  const [a, b] = [create(), create()];
  socket.bind(a, "127.0.0.1");
  socket.bind(b, "127.0.0.1", 0);
  assertGreater(socket.getlocal(a)[1], 0);
  assertGreater(socket.getlocal(b)[1], 0);
});

test("bind() takes the port that it is given", async () => {
  const port = freePort();
  const server = create();
  socket.bind(server, "127.0.0.1", port);
  assertEquals(socket.getlocal(server), ["127.0.0.1", port]);
  assertEquals(socket.inspect(server)!.kind, "unbound");
  socket.listen(server);
  await socket.tcpconnect("127.0.0.1", port);
});

/**
 * What a client in a thread of its own does: tries a port as fast as it can until it is let in, and tells
 * whether anybody then serves it.
 */
const EAGER_CLIENT = `onmessage = async ({ data: port }) => {
  for (let tried = false;;) {
    try {
      const conn = await Deno.connect({ hostname: "127.0.0.1", port });
      const n = await conn.read(new Uint8Array(1)).catch(() => null);
      conn.close();
      return postMessage(n === 1 ? "served" : "dropped");
    } catch {
      if (!tried) postMessage("trying");
      tried = true;
    }
  }
};`;

test("bind() and listen() drop no client that connects in between", async () => {
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(EAGER_CLIENT)}`, {
    type: "module",
  });
  const next = () =>
    new Promise<string>((resolve) => worker.onmessage = ({ data }) => resolve(data));
  const outcomes = [];
  for (let n = 0; n < 100; n++) {
    const port = freePort();
    const trying = next();
    worker.postMessage(port);
    await trying;
    const outcome = next();
    const server = create();
    socket.bind(server, "127.0.0.1", port);
    socket.listen(server);
    const serving = socket.serve(server, (id) => task.await(socket.send(id, "x")));
    outcomes.push(await outcome);
    socket.close(server);
    await task.await(serving);
  }
  worker.terminate();
  assertEquals(outcomes.filter((outcome) => outcome !== "served"), []);
});

test("bind() lets a client wait that connects before listen()", async () => {
  const server = create();
  socket.bind(server, "127.0.0.1");
  const client = await socket.tcpconnect(...socket.getlocal(server));
  socket.send(client, "early");
  await turn();
  socket.listen(server);
  const peer = await task.await(socket.accept(server));
  assertEquals(textOf(await task.await(socket.recv(peer))), "early");
});

test("bind() holds the address until the socket is closed", async () => {
  const server = create();
  socket.bind(server, "127.0.0.1");
  const address = socket.getlocal(server);
  assertEquals(thrownBy(() => socket.tcpserver(...address)), "EADDRINUSE");
  socket.close(server);
  await turn();
  socket.close(socket.tcpserver(...address));
});

test("listen() of a bound socket lets more than its backlog wait", async () => {
  const server = create();
  socket.bind(server, "127.0.0.1");
  socket.listen(server, 1);
  const address = socket.getlocal(server);
  const clients = [];
  for (let n = 0; n < 20; n++) clients.push(await socket.tcpconnect(...address, { timeout: 5000 }));
  assertEquals(clients.length, 20);
});

test("bind() and getlocal() mean any address when host is empty", () => {
  for (const [family, any] of [[AF_INET, "0.0.0.0"], [AF_INET6, "::"]] as const) {
    if (family === AF_INET6 && !hasIpv6) continue;
    const server = create(family);
    assertEquals(socket.getlocal(server), [any, 0]);
    socket.bind(server, "");
    assertEquals(socket.getlocal(server)[0], any);
    socket.listen(server);
    assertEquals(socket.getlocal(server)[0], any);
    const unbound = create(family);
    // One that is not bound gets a free port.
    socket.listen(unbound);
    const [ip, port] = socket.getlocal(unbound);
    assertEquals([ip, port > 0], [any, true]);
  }
});

test("bind() throws when the address will not do and leaves the socket as it was", () => {
  const taken = socket.tcpserver("127.0.0.1", 0);
  const server = create();
  const wrong: [string, number, string][] = [
    ["127.0.0.1", socket.getlocal(taken)[1], "EADDRINUSE"],
    ["192.0.2.1", 0, "EADDRNOTAVAIL"],
    [`${"x".repeat(64)}.invalid`, 0, "ENOTFOUND"],
    ["not a host", 0, "EINVAL"],
  ];
  for (const [host, port, code] of wrong) {
    const error = assertThrows(() => socket.bind(server, host, port), socket.SocketError);
    assertEquals([error.code, error.op], [code, "bind"]);
    assertEquals((socket.inspect(server) as socket.UnboundRecord).local, undefined);
  }
  socket.bind(server, "127.0.0.1");
  socket.listen(server);
});

test("connect() by ID leaves the socket created when it is refused", async () => {
  const port = freePort();
  const client = create();
  const failed = socket.connect(client, "127.0.0.1", port);
  const error = await task.await(failed).catch((error) => error);
  assertEquals([error.code, error.op, error.socket, error.remote], [
    "ECONNREFUSED",
    "connect",
    client,
    ["127.0.0.1", port],
  ]);
  assertEquals(socket.inspect(client)!.kind, "unbound");
  const server = socket.tcpserver("127.0.0.1", port);
  assertEquals(await task.await(socket.connect(client, "127.0.0.1", port)), client);
  assertEquals(socket.getpeer(client), ["127.0.0.1", port]);
  // Or become a listener instead.
  const other = create();
  assertEquals(await codeOf(socket.connect(other, "127.0.0.1", freePort())), "ECONNREFUSED");
  socket.bind(other, "127.0.0.1");
  socket.listen(other);
  socket.close(server);
});

test("close() while it connects faults the connect at once", async () => {
  const server = listening();
  for (const wait of [false, true]) {
    const client = create();
    const connecting = socket.connect(client, ...socket.getlocal(server));
    if (wait) await Promise.resolve();
    socket.close(client);
    assertEquals(faultOf(connecting), "ECONNABORTED");
    assertEquals((task.error(connecting) as socket.SocketError).socket, client);
    assertEquals(socket.isopen(client), false);
    for (let n = 0; n < 5; n++) await turn();
    // Nor does it come to life again.
    assertEquals([socket.isopen(client), socket.list()], [false, [server]]);
  }
});

test("connect() by ID can be cancelled and begun again", async () => {
  const server = listening();
  const address = socket.getlocal(server);
  const client = create();
  for (let n = 0; n < 10; n++) {
    const cancelled = socket.connect(client, ...address);
    for (let m = n; m > 0; m--) await Promise.resolve();
    if (task.cancel(cancelled)) assertEquals(faultOf(cancelled), "ECANCELED");
    else break;
  }
  assertEquals(socket.inspect(client)!.kind, "unbound");
  assertEquals(await task.await(socket.connect(client, ...address)), client);
  // Of all that reached the listener, one is open.
  const peers = [];
  for (;;) {
    const peer = await task.await(socket.accept(server));
    peers.push(peer);
    if (socket.getpeer(peer)[1] === socket.getlocal(client)[1]) break;
  }
  socket.send(client, "alive");
  assertEquals(textOf(await task.await(socket.recv(peers.at(-1)!))), "alive");
});

test("connect() by ID is one at a time, also after another was cancelled", async () => {
  const server = listening();
  const address = socket.getlocal(server);
  const client = create();
  task.cancel(socket.connect(client, ...address));
  const connecting = socket.connect(client, ...address);
  assertEquals(faultOf(socket.connect(client, ...address)), "EALREADY");
  // The end of the cancelled one changes nothing.
  for (let n = 0; n < 4 && task.status(connecting) === "Running"; n++) {
    assertEquals(faultOf(socket.connect(client, ...address)), "EALREADY");
    assertEquals(thrownBy(() => socket.bind(client, "127.0.0.1")), "EINVAL");
    await Promise.resolve();
  }
  assertEquals(await task.await(connecting), client);
});

test("close() closes for good when a connect came after a cancelled one", async () => {
  const server = listening();
  for (let wait = 0; wait < 12; wait++) {
    const client = create();
    const cancelled = socket.connect(client, ...socket.getlocal(server));
    task.cancel(cancelled);
    const connecting = socket.connect(client, ...socket.getlocal(server));
    for (let n = 0; n < wait; n++) await Promise.resolve();
    if (wait > 8) await turn();
    socket.close(client);
    assertEquals(task.status(connecting) === "Running", false);
    for (let n = 0; n < 3; n++) await turn();
    assertEquals([socket.isopen(client), socket.inspect(client)], [false, undefined]);
  }
});

/** Makes the first connect of the system's wait for its signal, and the second for a gate. */
function slowConnects(): Disposable & { open(): void } {
  const { connect } = Deno;
  const gate = Promise.withResolvers<void>();
  let calls = 0;
  Deno.connect = ((options: Deno.ConnectOptions & { signal: AbortSignal }) => {
    if (calls++ > 0) return gate.promise.then(() => connect(options));
    const { promise, reject } = Promise.withResolvers();
    options.signal.addEventListener("abort", () => reject(options.signal.reason));
    return promise;
  }) as typeof Deno.connect;
  return { open: gate.resolve, [Symbol.dispose]: () => void (Deno.connect = connect) };
}

test("close() abandons a connect that was begun while a cancelled one gave up", async () => {
  const server = listening();
  const address = socket.getlocal(server);
  const client = create();
  using slow = slowConnects();
  assertEquals(task.cancel(socket.connect(client, ...address)), true);
  const connecting = socket.connect(client, ...address);
  await turn();
  assertEquals(faultOf(socket.connect(client, ...address)), "EALREADY");
  socket.close(client);
  assertEquals(faultOf(connecting), "ECONNABORTED");
  slow.open();
  for (let n = 0; n < 5; n++) await turn();
  assertEquals([socket.isopen(client), socket.list()], [false, [server]]);
});

test("connect() by ID gives a connection that an unclaimed task does not close", async () => {
  const server = listening();
  const client = create();
  const connecting = socket.connect(client, ...socket.getlocal(server));
  task.forget(connecting);
  const peer = await task.await(socket.accept(server));
  await until(() => socket.inspect(client)!.kind === "stream");
  socket.send(peer, "mine");
  assertEquals(textOf(await task.await(socket.recv(client))), "mine");
});

/** How to make a socket in each state. */
const states: Record<string, () => Promise<socket.SocketId> | socket.SocketId> = {
  created: create,
  bound: () => {
    const id = create();
    socket.bind(id, "127.0.0.1");
    return id;
  },
  connecting: () => {
    const id = create();
    // It is refused, but not before this turn is over.
    task.forget(socket.connect(id, "127.0.0.1", freePort()));
    return id;
  },
  listener: listening,
  open: async () => {
    const server = listening();
    const id = create();
    return await task.await(socket.connect(id, ...socket.getlocal(server)));
  },
  "sending side shut down": async () => {
    const { client } = await tcpPair();
    await task.await(socket.shutdown(client));
    return client;
  },
  "peer ended": async () => {
    const { client, peer } = await tcpPair();
    await task.await(socket.shutdown(peer));
    await task.await(socket.recv(client));
    return client;
  },
  closed: () => {
    const id = create();
    socket.close(id);
    return id;
  },
  unknown: () => 2 ** 40,
};

const codes = (...[created, bound, connecting, listener, connection, gone]: string[]) => ({
  created,
  bound,
  connecting,
  listener,
  open: connection,
  "sending side shut down": connection,
  "peer ended": connection,
  closed: gone,
  unknown: gone,
});

const port = freePort();
const handler = () => {};

/** The calls of the sequence in every state, in order and out of it. */
const sequence: [string, (id: socket.SocketId) => unknown, Record<string, string>][] = [
  [
    "bind",
    (id) => socket.bind(id, "127.0.0.1"),
    codes("done", "EINVAL", "EINVAL", "EINVAL", "EISCONN", "EBADF"),
  ],
  [
    "listen",
    (id) => socket.listen(id),
    codes("done", "done", "EINVAL", "EINVAL", "EISCONN", "EBADF"),
  ],
  [
    "connect",
    (id) => socket.connect(id, "127.0.0.1", port),
    codes("runs", "EOPNOTSUPP", "EALREADY", "EINVAL", "EISCONN", "EBADF"),
  ],
  [
    "accept",
    (id) => socket.accept(id),
    codes("EINVAL", "EINVAL", "EINVAL", "runs", "EOPNOTSUPP", "EBADF"),
  ],
  [
    "hasconnection",
    (id) => socket.hasconnection(id),
    codes("EINVAL", "EINVAL", "EINVAL", "done", "EOPNOTSUPP", "EBADF"),
  ],
  [
    "serve",
    (id) => socket.serve(id, handler),
    codes("EINVAL", "EINVAL", "EINVAL", "runs", "EOPNOTSUPP", "EBADF"),
  ],
];

/** What is only for connections. */
const forConnections: Record<string, (id: socket.SocketId) => unknown> = {
  recv: (id) => socket.recv(id),
  recvInto: (id) => socket.recvInto(id, new Uint8Array(1)),
  recvExact: (id) => socket.recvExact(id, 1),
  recvUntil: (id) => socket.recvUntil(id, "\n"),
  recvLine: (id) => socket.recvLine(id),
  peek: (id) => socket.peek(id),
  ready: (id) => socket.ready(id),
  unrecv: (id) => socket.unrecv(id, "x"),
  send: (id) => socket.send(id, "x"),
  write: (id) => socket.write(id, "x"),
  shutdown: (id) => socket.shutdown(id),
  relay: (id) => socket.relay(id, other!),
  streams: (id) => socket.streams(id),
  getpeer: (id) => socket.getpeer(id),
  getside: (id) => socket.getside(id),
  starttls: (id) => socket.starttls(id, { host: "localhost" }),
  "tls.info": (id) => tls.info(id),
  "tls.certificate": (id) => tls.certificate(id),
  "tls.setcerts": (id) => tls.setcerts(id, CERTS),
  "tls.recv": (id) => tls.recv(id),
  "tls.send": (id) => tls.send(id, "x"),
};

const CERTS = [tls.selfsigned(["localhost"])];

/** For calls that take a second connection. */
let other: socket.SocketId | undefined;

/** What a call does right away: its code, `runs` for a task that does, `done` for all else. */
function outcome(call: () => unknown, name: string): string {
  let value: unknown;
  try {
    value = call();
  } catch (error) {
    const { code, op } = error as socket.SocketError;
    assertEquals(op, name);
    return code;
  }
  if (typeof value !== "number" || task.status(value) === "Unknown") return "done";
  if (task.status(value) === "Running") {
    task.cancel(value);
    return "runs";
  }
  if (task.status(value) === "Completed") return "done";
  assertEquals((task.error(value) as socket.SocketError).op, name);
  return faultOf(value);
}

for (const [name, call, expected] of sequence) {
  test(`${name}() gives what the table of states says`, async () => {
    assertEquals(Object.keys(expected), Object.keys(states));
    for (const [state, make] of Object.entries(states)) {
      const id = await make();
      assertEquals(outcome(() => call(id), name), expected[state], state);
    }
    await task.wait();
  });
}

test("bind(), listen() and connect() give EISCONN when the connection is broken", async () => {
  await using broken = await resettable();
  await broken.reset();
  assertEquals(await codeOf(socket.recv(broken.client)), "ECONNRESET");
  for (const [name, call, { open }] of sequence) {
    assertEquals(outcome(() => call(broken.client), name), open, name);
  }
});

for (const [name, call] of Object.entries(forConnections)) {
  test(`${name}() gives ENOTCONN when the socket is only created`, async () => {
    const pair = await tcpPair();
    other = pair.client;
    for (const state of ["created", "bound", "connecting"]) {
      const id = await states[state]();
      assertEquals(outcome(() => call(id), name.replace("tls.", "")), "ENOTCONN", state);
    }
    await task.wait();
    assertEquals(socket.isopen(pair.client), true);
  });
}

test("getlocal(), isopen() and close() work in every state", async () => {
  for (const [state, make] of Object.entries(states)) {
    const id = await make();
    const open = state !== "closed" && state !== "unknown";
    assertEquals(socket.isopen(id), open, state);
    assertEquals(thrownBy(() => socket.getlocal(id)), open ? "nothing thrown" : "EBADF", state);
    socket.close(id);
    assertEquals(socket.isopen(id), false, state);
  }
  await task.wait();
});

// deno-lint-ignore no-explicit-any
type Anything = any;

test("create(), bind(), listen() and connect() throw when an argument is wrong", () => {
  const id = create();
  for (const value of [undefined, null, "2", {}, true] as Anything[]) {
    assertThrows(() => socket.create(value, SOCK_STREAM), TypeError, `"family" must be`);
    assertThrows(() => socket.create(AF_INET, value), TypeError, `"type" must be`);
  }
  for (const value of [1.5, NaN, -1, 65536]) {
    assertThrows(() => socket.create(value, SOCK_STREAM), RangeError, `"family" must be`);
    assertThrows(() => socket.create(AF_INET, value), RangeError, `"type" must be`);
  }
  for (const value of [undefined, null, 5, {}] as Anything[]) {
    assertThrows(() => socket.bind(id, value), TypeError, `"host" must be a string`);
    assertThrows(() => socket.connect(id, value, 5), TypeError, `"host" must be a string`);
  }
  assertThrows(() => socket.connect(id, "", 5), RangeError, `"host" must be`);
  for (const value of [-1, 1.5, 65536, NaN]) {
    assertThrows(() => socket.bind(id, "127.0.0.1", value), RangeError, `"port" must be`);
    assertThrows(() => socket.connect(id, "127.0.0.1", value), RangeError, `"port" must be`);
  }
  assertThrows(() => socket.connect(id, "127.0.0.1", 0), RangeError, `"port" must be`);
  // @ts-expect-error: a host needs a port
  assertThrows(() => socket.connect(id, "127.0.0.1"), TypeError, `"port" must be`);
  for (const value of [null, "5", {}] as Anything[]) {
    assertThrows(() => socket.bind(id, "127.0.0.1", value), TypeError, `"port" must be`);
    assertThrows(() => socket.connect(id, "127.0.0.1", value), TypeError, `"port" must be`);
    assertThrows(() => socket.listen(id, value), TypeError, `"backlog" must be`);
  }
  for (const value of [-1, 1.5, 65536]) {
    assertThrows(() => socket.listen(id, value), RangeError, `"backlog" must be`);
  }
  for (const value of [undefined, null, "1", 1.5, NaN] as Anything[]) {
    assertThrows(() => socket.bind(value, "127.0.0.1"), TypeError, `must be an integer ID`);
    assertThrows(() => socket.listen(value), TypeError, `must be an integer ID`);
  }
  assertThrows(() => socket.connect(1.5, "127.0.0.1", 5), TypeError, `must be an integer ID`);
  assertEquals((socket.inspect(id) as socket.UnboundRecord).local, undefined);
  assertEquals(task.inspect().filter(({ status }) => status === "Running"), []);
});

test("connect() throws when an argument is wrong, whatever the socket is", async () => {
  for (const [state, make] of Object.entries(states)) {
    const id = await make();
    const tasks = task.list();
    for (const port of [-1, 1.5, 65536, NaN]) {
      assertThrows(
        () => socket.connect(id, "127.0.0.1", port),
        RangeError,
        `"port" must be`,
        state,
      );
    }
    for (const port of [undefined, null, "5", {}] as Anything[]) {
      assertThrows(() => socket.connect(id, "127.0.0.1", port), TypeError, `"port" must be`, state);
    }
    assertEquals(task.list(), tasks);
  }
  await task.wait();
});

test("bind() throws for a path with a port, or none, when it is bound already", () => {
  const id = create(AF_UNIX);
  socket.bind(id, "a.sock");
  assertThrows(() => socket.bind(id, "b.sock", 5), RangeError, "since the address is a path");
  assertThrows(() => socket.bind(id, ""), RangeError, `"host" must be a path`);
  assertEquals(thrownBy(() => socket.bind(id, "b.sock")), "EINVAL");
});

test("errno() and strerror() tell what went wrong with the sequence", () => {
  const id = create();
  socket.bind(id, "127.0.0.1");
  thrownBy(() => socket.bind(id, "127.0.0.1"));
  assertEquals([socket.errno(), socket.strerror()], [22, "Invalid argument"]);
  thrownBy(() => socket.create(3, SOCK_STREAM));
  assertEquals([socket.errno(), socket.strerror()], [
    97,
    "Address family not supported by protocol",
  ]);
});

Deno.test("bind() and connect() pass NotCapable through when --allow-net is missing", async () => {
  const { stdout, stderr, code } = await runProgram(
    `
    const id = socket.create(socket.AF_INET, socket.SOCK_STREAM);
    const tell = (error) => console.log(error instanceof Deno.errors.NotCapable);
    for (const call of [() => socket.bind(id, "127.0.0.1"), () => socket.listen(id)]) {
      try {
        call();
      } catch (error) {
        tell(error);
      }
    }
    await task.await(socket.connect(id, "127.0.0.1", 9)).catch(tell);
    console.log(socket.inspect(id).kind, socket.errno());
    `,
    ["--no-check"],
  );
  assertEquals([stdout, stderr, code], ["true\ntrue\ntrue\nunbound 0\n", "", 0]);
});

Deno.test({
  name: "create() and the sequence leave no descriptor behind",
  ignore: !canCount,
  fn: () =>
    leavingNothing(async () => {
      const before = openDescriptors();
      for (let n = 0; n < 40; n++) {
        const server = create();
        socket.bind(server, "127.0.0.1");
        if (n % 3 === 0) {
          // What is only bound holds its address, until it is closed.
          socket.close(server);
          await turn();
          continue;
        }
        socket.listen(server);
        const client = create();
        const connecting = socket.connect(client, ...socket.getlocal(server));
        if (n % 4 === 0) task.cancel(connecting);
        if (n % 4 === 1) await task.await(connecting);
        if (n % 4 === 2) await Promise.resolve();
        [client, server].forEach(socket.close);
        await turn();
      }
      await descriptorsBackTo(before);
    }),
});

test("listen() takes a backlog of 0 as the smallest", async () => {
  const id = create();
  socket.bind(id, "127.0.0.1", 0);
  socket.listen(id, 0);
  const client = await socket.tcpconnect(...socket.getlocal(id));
  const peer = await task.await(socket.accept(id));
  [client, peer, id].forEach(socket.close);
});

test("bind() and connect() fail EAFNOSUPPORT when the address is of another family", () => {
  for (const [family, host] of [[AF_INET, "::1"], [AF_INET6, "127.0.0.1"]] as const) {
    const id = socket.create(family, SOCK_STREAM);
    const error = assertThrows(() => socket.bind(id, host, 0), socket.SocketError);
    assertEquals(error.code, "EAFNOSUPPORT");
    const connecting = socket.connect(id, host, 9);
    assertEquals((task.error(connecting) as socket.SocketError).code, "EAFNOSUPPORT");
    task.forget(connecting);
    socket.close(id);
  }
});

test("connect() takes for a path what looks like an address when the family is AF_UNIX", async () => {
  for (const path of ["192.0.2.1", "2001:db8::1"]) {
    const id = socket.create(AF_UNIX, SOCK_STREAM);
    const error = await assertRejects(
      () => task.await(socket.connect(id, path, 0)),
      socket.SocketError,
    );
    assertEquals([error.code, error.remote], ["ENOENT", [path, 0]]);
    socket.close(id);
  }
});

Deno.test("bind() and connect() throw RangeError for a path with a port", () => {
  const id = socket.create(AF_UNIX, SOCK_STREAM);
  for (const call of [() => socket.bind(id, "a.sock", 1), () => socket.connect(id, "a.sock", 1)]) {
    assertThrows(call, RangeError, "since the address is a path");
  }
  socket.close(id);
});

/** A name of one family only: in a spelling that is not known as an address. */
const V4_NAMES = ["127.1", "2130706433"];

test("bind() fails EAFNOSUPPORT for a name of another family and holds nothing", () => {
  for (const name of V4_NAMES) {
    const id = create(AF_INET6);
    const error = assertThrows(() => socket.bind(id, name, 0), socket.SocketError);
    assertEquals([error.code, error.op, error.local], ["EAFNOSUPPORT", "bind", [name, 0]]);
    assertEquals(error.message.includes(`${name} gives no address of family 10`), true);
    assertEquals((socket.inspect(id) as socket.UnboundRecord).local, undefined);
    const port = freePort();
    assertEquals(thrownBy(() => socket.bind(id, name, port)), "EAFNOSUPPORT");
    socket.close(socket.tcpserver("127.0.0.1", port));
    const other = create(AF_INET);
    socket.bind(other, name, 0);
    assertEquals(socket.getlocal(other)[0], "127.0.0.1");
  }
});

for (const [family, ip] of [[AF_INET, "127.0.0.1"], [AF_INET6, "::1"]] as const) {
  test(`bind() takes localhost for ${ip} when the family is ${family}`, () => {
    for (const name of ["localhost", "LOCALHOST"]) {
      const id = create(family);
      socket.bind(id, name, 0);
      assertEquals(socket.getlocal(id)[0], ip);
    }
  }, family === AF_INET6 && !hasIpv6);
}

test("bind() and connect() take an IPv4 address in an IPv6 socket as IPv6 spells it", async () => {
  const server = create(AF_INET6);
  socket.bind(server, "::ffff:127.0.0.1", 0);
  socket.listen(server);
  const client = create(AF_INET6);
  const [, port] = socket.getlocal(server);
  await task.await(socket.connect(client, "::ffff:127.0.0.1", port));
  assertEquals(socket.getpeer(client), ["127.0.0.1", port]);
}, !hasIpv6);

test("connect() fails EAFNOSUPPORT for a name of another family and leaves nothing open", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const [, port] = socket.getlocal(server);
  for (const name of V4_NAMES) {
    const id = create(AF_INET6);
    const connecting = socket.connect(id, name, port);
    const error = await assertRejects(() => task.await(connecting), socket.SocketError);
    assertEquals([error.code, error.socket, error.remote], ["EAFNOSUPPORT", id, [name, port]]);
    assertEquals(socket.inspect(id)!.kind, "unbound");
    const peer = await task.await(socket.accept(server));
    assertEquals(await task.await(socket.recv(peer)), new Uint8Array(0));
    const other = create(AF_INET);
    await task.await(socket.connect(other, name, port));
    assertEquals(socket.getpeer(other), ["127.0.0.1", port]);
    task.forget(socket.accept(server));
  }
});

test("connect() looks for an address of its family when Deno took one of the other", async () => {
  const v4 = socket.tcpserver("127.0.0.1", 0);
  const [, port] = socket.getlocal(v4);
  const v6 = socket.tcpserver("::1", port);
  const { connect } = Deno;
  const { lookup } = dns;
  const asked: unknown[] = [];
  for (
    const [family, first, other] of [[AF_INET6, "127.0.0.1", "::1"], [
      AF_INET,
      "::1",
      "127.0.0.1",
    ]] as const
  ) {
    Deno.connect = ((options: Deno.ConnectOptions) => {
      asked.push(options.hostname);
      if (options.hostname === "refused.test") {
        return Promise.reject(new Deno.errors.ConnectionRefused("refused"));
      }
      const hostname = options.hostname === "dual.test" ? first : options.hostname;
      return connect({ ...options, hostname });
    }) as typeof connect;
    const addresses = ["refused.test", other];
    dns.lookup = ((name: string, { family }: { family: number }) => {
      asked.push([name, family]);
      return Promise.resolve(addresses.map((address) => ({ address, family })));
    }) as unknown as typeof lookup;
    try {
      const client = create(family);
      await task.await(socket.connect(client, "dual.test", port));
      assertEquals(socket.getpeer(client), [other, port]);
      assertEquals(asked.splice(0), [
        "dual.test",
        ["dual.test", family === AF_INET ? 4 : 6],
        ...addresses,
      ]);
      addresses.pop();
      const failing = socket.connect(create(family), "dual.test", port);
      assertEquals(await codeOf(failing), "ECONNREFUSED");
      asked.length = 0;
    } finally {
      Deno.connect = connect;
      dns.lookup = lookup;
    }
  }
  [v4, v6].forEach(socket.close);
}, !hasIpv6);
