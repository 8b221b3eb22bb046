import {
  assert,
  assertEquals,
  assertGreater,
  assertNotEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { socket, task } from "../../mod.ts";
import { textOf } from "../bytes.ts";
import { canCount, descriptorsBackTo, openDescriptors } from "../descriptors.ts";
import { hasIpv6 } from "../ipv6.ts";
import { connectionPrototypes, spyOn } from "../spy.ts";
import { codeOf, faultOf, leavingNothing, thrownBy, turn, until } from "../settle.ts";
import { runProgram } from "../subprocess.ts";

type Listening = {
  server: socket.SocketId;
  /** Connects `count` clients, one after the other. */
  dial(count: number): Promise<socket.SocketId[]>;
};

/** Registers a test of a listener; all sockets are closed afterwards. */
function test(name: string, run: (listening: Listening) => Promise<void> | void): void {
  Deno.test(name, () =>
    leavingNothing(async () => {
      const before = new Set(socket.list());
      const server = socket.tcpserver("127.0.0.1", 0);
      const dial = async (count: number) => {
        const clients = [];
        while (count-- > 0) clients.push(await socket.tcpconnect(...socket.getlocal(server)));
        return clients;
      };
      try {
        await run({ server, dial });
      } finally {
        socket.list().filter((id) => !before.has(id)).forEach(socket.close);
      }
    }));
}

const listenerRecord = (id: socket.SocketId) => socket.inspect(id) as socket.ListenerRecord;

/** The port of the client's own end, which the other end knows as its peer's. */
const nearPort = (id: socket.SocketId) => socket.getlocal(id)[1];
const farPort = (id: socket.SocketId) => socket.getpeer(id)[1];

test("tcpserver() chooses a free port when port is 0", ({ server }) => {
  const other = socket.tcpserver("127.0.0.1", 0);
  const [[ip, port], [, otherPort]] = [socket.getlocal(server), socket.getlocal(other)];
  assertEquals(ip, "127.0.0.1");
  assertGreater(port, 0);
  assertNotEquals(port, otherPort);
});

test("tcpserver() listens on the port it is given", async ({ server }) => {
  const address = socket.getlocal(server);
  socket.close(server);
  const again = socket.tcpserver(...address);
  assertEquals(socket.getlocal(again), address);
  const accepting = socket.accept(again);
  await socket.tcpconnect(...address);
  await task.await(accepting);
});

test("tcpserver() throws EADDRINUSE when the port is in use", ({ server }) => {
  const [ip, port] = socket.getlocal(server);
  const error = assertThrows(() => socket.tcpserver(ip, port), socket.SocketError);
  assertEquals([error.code, error.errno, error.op], ["EADDRINUSE", 98, "listen"]);
  assertEquals(error.local, [ip, port]);
  assert(error.message.startsWith(`listen ${ip}:${port}: address already in use`), error.message);
  assertEquals(socket.isopen(server), true);
});

test("tcpserver() throws EADDRNOTAVAIL when the address is not this machine's", () => {
  // TEST-NET-1 is nobody's.
  assertEquals(thrownBy(() => socket.tcpserver("192.0.2.1", 0)), "EADDRNOTAVAIL");
});

test("tcpserver() throws ENOTFOUND when the host is unknown", () => {
  // A label this long is refused by the resolver without asking anybody.
  const host = `${"x".repeat(64)}.invalid`;
  assertEquals(thrownBy(() => socket.tcpserver(host, 0)), "ENOTFOUND");
});

test("tcpserver() throws EINVAL when the host cannot be one", () => {
  assertEquals(thrownBy(() => socket.tcpserver("not a host", 0)), "EINVAL");
});

for (const host of ["", "::", "[::]"]) {
  test(`tcpserver() listens on any address of both families when host is "${host}"`, async () => {
    if (!hasIpv6) return console.log("skipped: this system has no IPv6");
    const server = socket.tcpserver(host, 0);
    const [any, port] = socket.getlocal(server);
    assertEquals(any, "::");
    for (const ip of ["127.0.0.1", "::1"]) {
      const accepting = socket.accept(server);
      const client = await socket.tcpconnect(ip, port);
      const peer = await task.await(accepting);
      assertEquals([socket.getlocal(peer), socket.getpeer(client)], [[ip, port], [ip, port]]);
      assertEquals(socket.getpeer(peer), socket.getlocal(client));
      const { local, remote } = socket.inspect(peer) as socket.StreamRecord;
      assertEquals([local, remote], [socket.getlocal(peer), socket.getpeer(peer)]);
    }
  });
}

/** Makes listening at an IPv6 address fail, as where the system has none. */
function withoutIpv6(code: string): Disposable {
  const { listen } = Deno;
  Deno.listen = ((options: Deno.TcpListenOptions) => {
    if (options.hostname!.includes(":")) throw Object.assign(new Error("no IPv6"), { code });
    return listen(options);
  }) as typeof Deno.listen;
  return { [Symbol.dispose]: () => void (Deno.listen = listen) };
}

for (const code of ["EAFNOSUPPORT", "EADDRNOTAVAIL"]) {
  test(`tcpserver() listens over IPv4 when host is empty and IPv6 gives ${code}`, async () => {
    using _none = withoutIpv6(code);
    const server = socket.tcpserver("", 0);
    const [any, port] = socket.getlocal(server);
    assertEquals(any, "0.0.0.0");
    await socket.tcpconnect("127.0.0.1", port);
    // Who asks for IPv6 is told.
    assertEquals(thrownBy(() => socket.tcpserver("::", 0)), code);
  });
}

test("tcpserver() throws EADDRINUSE when host is empty and one family's port is taken", () => {
  for (const host of hasIpv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"]) {
    const [, port] = socket.getlocal(socket.tcpserver(host, 0));
    assertEquals(thrownBy(() => socket.tcpserver("", port)), "EADDRINUSE");
  }
});

test("tcpserver() and tcpconnect() take an IPv6 address in brackets", async () => {
  if (!hasIpv6) return console.log("skipped: this system has no IPv6");
  const server = socket.tcpserver("[::1]", 0);
  const [ip, port] = socket.getlocal(server);
  assertEquals(ip, "::1");
  const client = await socket.tcpconnect("[::1]", port);
  assertEquals(socket.getpeer(client), ["::1", port]);
  const created = socket.create(socket.AF_INET6, socket.SOCK_STREAM);
  assertEquals(await task.await(socket.connect(created, "[::1]", port)), created);
  const bound = socket.create(socket.AF_INET6, socket.SOCK_STREAM);
  socket.bind(bound, "[::1]");
  assertEquals(socket.getlocal(bound)[0], "::1");
  socket.close(server);
  const error = await assertRejects(() => socket.tcpconnect("[::1]", port), socket.SocketError);
  assertEquals(error.message, `connect [::1]:${port}: connection refused (ECONNREFUSED)`);
});

const apart = "invalid argument, give the host and the port apart";
const wrongHosts = {
  "http://localhost": `${apart}, not a URL (EINVAL)`,
  "https://localhost:80/": `${apart}, not a URL (EINVAL)`,
  "localhost:80": `${apart} (EINVAL)`,
  "127.0.0.1:80": `${apart} (EINVAL)`,
  "[::1]:80": `${apart} (EINVAL)`,
  "a b": "invalid argument, give an IP address or a host name (EINVAL)",
};
for (const [host, text] of Object.entries(wrongHosts)) {
  test(`tcpserver(), bind() and tcpconnect() say what is wrong when host is ${host}`, async () => {
    const created = socket.create(socket.AF_INET, socket.SOCK_STREAM);
    const error = await assertRejects(() => socket.tcpconnect(host, 9), socket.SocketError);
    const messages = [
      assertThrows(() => socket.tcpserver(host, 9), socket.SocketError).message,
      assertThrows(() => socket.tcpserver(host, 0), socket.SocketError).message,
      error.message,
    ];
    for (const message of messages) assert(message.endsWith(`: ${text}`), message);
    if (!host.includes("[")) {
      const { message, code } = assertThrows(() => socket.bind(created, host), socket.SocketError);
      if (code !== "EAFNOSUPPORT") assert(message.endsWith(`: ${text}`), message);
    }
  });
}

/** What the system says of the one connection that it was to give. */
const ofOneConnection = [
  "EPERM",
  "ECONNABORTED",
  "EPROTO",
  "ENETDOWN",
  "ENOPROTOOPT",
  "EHOSTDOWN",
  "ENONET",
  "EHOSTUNREACH",
  "EOPNOTSUPP",
  "ENETUNREACH",
  "ENOSR",
  "ESOCKTNOSUPPORT",
  "EPROTONOSUPPORT",
  "ETIMEDOUT",
  "ECONNRESET",
  "ENOTCONN",
];

for (const code of ofOneConnection) {
  test(`accept() takes the next connection when the system says ${code} of one`, async () => {
    const server = socket.tcpserver("127.0.0.1", 0);
    using failing = failAccepts(Object.assign(new Error("one"), { code }), 3);
    const accepting = socket.accept(server);
    const client = await socket.tcpconnect(...socket.getlocal(server));
    const peer = await task.await(accepting);
    assertEquals([socket.getpeer(peer), failing.calls], [socket.getlocal(client), 3]);
    assertEquals((socket.inspect(server) as socket.ListenerRecord).dropped, 3);
  });
}

for (const code of ["EPERM", "ENETDOWN"]) {
  test(`accept() tells ${code} when the system says it time after time`, async ({ server, dial }) => {
    await dial(1);
    const error = Object.assign(new Error("all"), { code });
    using failing = failAccepts(error, 200);
    assertEquals(await codeOf(socket.accept(server)), code);
    assertEquals([failing.calls, listenerRecord(server).dropped], [100, 99]);
    await task.await(socket.ready(server));
    assertEquals(await codeOf(socket.accept(server)), code);
    assertEquals(failing.calls, 200);
    await task.await(socket.accept(server));
    // The listener stays usable, and every connection begins the count anew.
    for (let n = 0; n < 3; n++) {
      using failing = failAccepts(error, 60);
      const accepting = socket.accept(server);
      await dial(1);
      await task.await(accepting);
      assertEquals(failing.calls, 60);
    }
  });
}

test("accept() does not fault however many peers go before they are accepted", async (context) => {
  const { server, dial } = context;
  using failing = failAccepts(new Deno.errors.ConnectionAborted("gone (os error 103)"), 1000);
  const accepting = socket.accept(server);
  await dial(1);
  await task.await(accepting);
  assertEquals([failing.calls, listenerRecord(server).dropped], [1000, 1000]);
});

test("serve() reports what the system says time after time, and goes on", async ({ server, dial }) => {
  using failing = failAccepts(Object.assign(new Error("all"), { code: "EPERM" }), 150);
  const { promise: served, resolve } = Promise.withResolvers<void>();
  const told: string[] = [];
  const serving = socket.serve(server, () => resolve(), {
    onError: (error) => void told.push((error as socket.SocketError).code),
  });
  const [client] = await dial(1);
  await served;
  assertEquals([told, failing.calls], [["EPERM"], 150]);
  socket.close(client);
  socket.close(server);
  await task.await(serving);
});

test("accept() knows the number of an error that Deno has no name for", async () => {
  if (Deno.build.os !== "linux") return console.log("skipped: the numbers are those of Linux");
  const server = socket.tcpserver("127.0.0.1", 0);
  using _one = failAccepts(new Error("Machine is not on the network (os error 64)"), 1);
  const accepting = socket.accept(server);
  await socket.tcpconnect(...socket.getlocal(server));
  assertEquals(socket.isopen(await task.await(accepting)), true);
  using _all = failAccepts(new Error("No medium found (os error 123)"), 1);
  assertEquals(await codeOf(socket.accept(server)), "EUNKNOWN");
});

for (
  const code of ["EBADF", "EINVAL", "ENOTSOCK", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EIO"]
) {
  test(`accept() faults when the system says ${code}`, async () => {
    const server = socket.tcpserver("127.0.0.1", 0);
    using _failing = failAccepts(Object.assign(new Error("all"), { code }), 1);
    assertEquals(await codeOf(socket.accept(server)), code);
  });
}

/** Makes the next accepts of the system's fail. */
function failAccepts(error: Error, count: number): Disposable & { calls: number } {
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const prototype = Object.getPrototypeOf(probe);
  probe.close();
  const { accept } = prototype;
  const failing = { calls: 0, [Symbol.dispose]: () => void (prototype.accept = accept) };
  prototype.accept = () => {
    if (++failing.calls === count) prototype.accept = accept;
    return Promise.reject(error);
  };
  return failing;
}

test("ready() completes when the next accept would fault", async ({ server, dial }) => {
  using failing = failAccepts(new Error("Too many open files (os error 24)"), 1);
  const watching = socket.ready(server);
  await task.await(watching);
  assertEquals(failing.calls, 1);
  assertEquals(await codeOf(socket.accept(server)), "EMFILE");
  const again = socket.ready(server);
  await dial(1);
  await task.await(again);
  assertEquals(task.status(socket.accept(server)), "Completed");
});

test("connections() throws EMFILE, and gives up the next that is pending", async ({ server }) => {
  using _failing = failAccepts(new Error("Too many open files (os error 24)"), 1);
  const loop = socket.connections(server);
  const nexts = [loop.next(), loop.next()];
  assertEquals(await nexts[0].catch(({ code }) => code), "EMFILE");
  assertEquals(await nexts[1], { done: true, value: undefined });
  assertEquals(listenerRecord(server).pending, []);
});

test("ready() waits on when the connection that came has failed", async ({ server, dial }) => {
  using failing = failAccepts(new Deno.errors.ConnectionReset("gone (os error 104)"), 2);
  const watching = socket.ready(server);
  await dial(1);
  await task.await(watching);
  assertEquals([failing.calls, socket.hasconnection(server)], [2, true]);
});

/** Makes the next call of a method of every TCP connection fail. */
async function failNext(method: "setNoDelay" | "setKeepAlive"): Promise<void> {
  const { tcp } = await connectionPrototypes();
  const methods = tcp as Record<string, unknown>;
  const original = methods[method];
  methods[method] = () => {
    methods[method] = original;
    throw new Deno.errors.ConnectionReset("it is gone");
  };
}

test("accept() leaves nothing open of a connection that takes no option", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const [host, port] = socket.getlocal(server);
  const far = await Deno.connect({ hostname: host, port });
  await failNext("setNoDelay");
  const accepting = socket.accept(server);
  assertEquals(await far.read(new Uint8Array(1)), null); // closed
  far.close();
  assertEquals((socket.inspect(server) as socket.ListenerRecord).dropped, 1);
  const next = await Deno.connect({ hostname: host, port });
  const peer = await task.await(accepting);
  assertEquals(socket.getpeer(peer)[1], (next.localAddr as Deno.NetAddr).port);
  next.close();
});

test("connect() leaves nothing open of a connection that takes no option", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const created = socket.create(socket.AF_INET, socket.SOCK_STREAM);
  socket.setsockopt(created, socket.SOL_SOCKET, socket.SO_KEEPALIVE);
  const attempts = [
    ["setNoDelay", () => socket.connect("127.0.0.1", port)],
    ["setNoDelay", () => socket.connect(created, "127.0.0.1", port)],
    ["setKeepAlive", () => socket.connect(created, "127.0.0.1", port)],
  ] as const;
  for (const [method, connect] of attempts) {
    await failNext(method);
    assertEquals(await codeOf(connect()), "ECONNRESET");
    const far = await listener.accept();
    assertEquals(await far.read(new Uint8Array(1)), null); // closed
    far.close();
  }
  assertEquals(socket.inspect(created)!.kind, "unbound");
  listener.close();
});

test("tcpserver() takes a host name", async () => {
  const server = socket.tcpserver("localhost", 0);
  const accepting = socket.accept(server);
  const client = await socket.tcpconnect(...socket.getlocal(server));
  const peer = await task.await(accepting);
  assertEquals(nearPort(client), farPort(peer));
});

Deno.test({
  name: "tcpserver() listens on an IPv6 address",
  ignore: !hasIpv6,
  fn: () =>
    leavingNothing(async () => {
      const server = socket.tcpserver("::1", 0);
      const [ip, port] = socket.getlocal(server);
      assertEquals(ip, "::1");
      const accepting = socket.accept(server);
      const client = await socket.tcpconnect("::1", port);
      const peer = await task.await(accepting);
      assertEquals(socket.getpeer(client), ["::1", port]);
      assertEquals(socket.getpeer(peer), socket.getlocal(client));
      socket.send(client, "six");
      assertEquals(textOf(await task.await(socket.recv(peer))), "six");
      [client, peer, server].forEach(socket.close);
      const error = await socket.tcpconnect("::1", port).catch((error) => error);
      assertEquals(error.message, `connect [::1]:${port}: connection refused (ECONNREFUSED)`);
    }),
});

Deno.test({
  name: "tcpserver() takes connections of either kind when host is ::",
  ignore: !hasIpv6,
  fn: () =>
    leavingNothing(async () => {
      const server = socket.tcpserver("::", 0);
      const [, port] = socket.getlocal(server);
      const clients = [await socket.tcpconnect("::1", port)];
      clients.push(await socket.tcpconnect("127.0.0.1", port));
      const peers = await task.all([socket.accept(server), socket.accept(server)]);
      assertEquals(peers.map(farPort), clients.map(nearPort));
      [...clients, ...peers, server].forEach(socket.close);
    }),
});

test("accept() gives connections in order when many are outstanding", async ({ server, dial }) => {
  const ids = Array.from({ length: 40 }, () => socket.accept(server));
  assertEquals(listenerRecord(server).pending, ids);
  const clients = await dial(40);
  const peers = await task.all(ids);
  assertEquals(peers.map(farPort), clients.map(nearPort));
  assertEquals(peers.map(socket.getside), new Array(40).fill("server"));
  assertEquals(clients.map(socket.getside), new Array(40).fill("client"));
  const { accepted, pending } = listenerRecord(server);
  assertEquals([accepted, pending], [40, []]);
});

test("accept() gives connections that were made before it", async ({ server, dial }) => {
  const clients = await dial(10);
  const peers = await task.all(clients.map(() => socket.accept(server)));
  assertEquals(peers.map(farPort), clients.map(nearPort));
});

test("accept() gives a connection whose client has closed meanwhile", async (listening) => {
  const [client] = await listening.dial(1);
  await task.await(socket.send(client, "hello and goodbye"));
  const port = nearPort(client);
  socket.close(client);
  const peer = await task.await(socket.accept(listening.server));
  assertEquals(socket.getpeer(peer), ["127.0.0.1", port]);
  assertEquals(textOf(await task.await(socket.recv(peer))), "hello and goodbye");
  assertEquals(await task.await(socket.recv(peer)), new Uint8Array(0));
});

test("accept() leaves its connection to the next when it is cancelled", async (listening) => {
  const { server, dial } = listening;
  const [first, second, third] = [0, 1, 2].map(() => socket.accept(server));
  await turn();
  assertEquals([task.cancel(first), task.cancel(third)], [true, true]);
  assertEquals([faultOf(first), faultOf(third)], ["ECANCELED", "ECANCELED"]);
  const clients = await dial(2);
  const peers = [await task.await(second), await task.await(socket.accept(server))];
  assertEquals(peers.map(farPort), clients.map(nearPort));
});

test("accept() leaves its connection to a later one when all are cancelled", async (listening) => {
  const { server, dial } = listening;
  for (let round = 0; round < 20; round++) {
    const id = socket.accept(server);
    if (round % 2) await turn();
    task.cancel(id);
  }
  const [client] = await dial(1);
  await until(() => listenerRecord(server).ready === 1);
  const id = socket.accept(server);
  assertEquals(task.status(id), "Completed");
  assertEquals(farPort(await task.await(id)), nearPort(client));
  assertEquals(listenerRecord(server).ready, 0);
});

test("accept() closes its connection when it was forgotten", async ({ server, dial }) => {
  const id = socket.accept(server);
  task.forget(id);
  const [client] = await dial(1);
  assertEquals(await task.await(socket.recv(client)), new Uint8Array(0));
  assertEquals(socket.list(), [server, client]);
  // The same if it is forgotten once it has settled.
  const settled = socket.accept(server);
  const [other] = await dial(1);
  await until(() => task.status(settled) === "Completed");
  task.forget(settled);
  assertEquals(await task.await(socket.recv(other)), new Uint8Array(0));
});

test("accept() keeps more than the limit of unclaimed connections", async ({ server, dial }) => {
  const limit = task.setUnclaimedLimit(2);
  try {
    const ids = Array.from({ length: 6 }, () => socket.accept(server));
    const clients = await dial(6);
    await until(() => task.status(ids[5]) === "Completed");
    assertEquals((await task.all(ids)).map(farPort), clients.map(nearPort));
  } finally {
    task.setUnclaimedLimit(limit);
  }
});

test("accept() frees its unclaimed task when the connection is used", async (listening) => {
  const { server, dial } = listening;
  const limit = task.setUnclaimedLimit(0);
  try {
    const id = socket.accept(server);
    const [client] = await dial(1);
    await until(() => task.status(id) === "Completed");
    const peer = task.result(id)!;
    socket.send(peer, "used");
    assertEquals(task.status(id), "Unknown");
    assertEquals(socket.isopen(peer), true);
    assertEquals(textOf(await task.await(socket.recv(client))), "used");
  } finally {
    task.setUnclaimedLimit(limit);
  }
});

test("accept() frees its unclaimed task when the connection is closed", async (listening) => {
  const { server, dial } = listening;
  const limit = task.setUnclaimedLimit(0);
  try {
    const id = socket.accept(server);
    await dial(1);
    await until(() => task.status(id) === "Completed");
    socket.close(task.result(id)!);
    assertEquals(task.status(id), "Unknown");
  } finally {
    task.setUnclaimedLimit(limit);
  }
});

test("hasconnection() is false at first and true once accept would not wait", async (listening) => {
  const { server, dial } = listening;
  assertEquals(socket.hasconnection(server), false);
  const clients = await dial(2);
  for (const client of clients) {
    await until(() => socket.hasconnection(server));
    assertEquals(socket.hasconnection(server), true);
    assertEquals(listenerRecord(server).ready, 1);
    const id = socket.accept(server);
    assertEquals(task.status(id), "Completed");
    assertEquals(farPort(await task.await(id)), nearPort(client));
    assertEquals(socket.hasconnection(server), false);
  }
});

test("hasconnection() takes nothing from an accept that waits", async ({ server, dial }) => {
  const id = socket.accept(server);
  assertEquals(socket.hasconnection(server), false);
  const [client] = await dial(1);
  assertEquals(farPort(await task.await(id)), nearPort(client));
  assertEquals(socket.hasconnection(server), false);
});

test("close() faults accepts that wait", async ({ server }) => {
  const local = socket.getlocal(server);
  const ids = Array.from({ length: 30 }, () => socket.accept(server));
  const awaited = task.await(ids[0]).catch((error) => error);
  socket.close(server);
  assertEquals(new Set(ids.slice(1).map(faultOf)), new Set(["ECONNABORTED"]));
  const error = await awaited;
  assertEquals([error.code, error.op, error.socket], ["ECONNABORTED", "accept", server]);
  assertEquals(error.local, local);
});

test("close() of a listener makes every other call fail with EBADF", async ({ server }) => {
  socket.close(server);
  socket.close(server);
  assertEquals(await codeOf(socket.accept(server)), "EBADF");
  assertEquals(thrownBy(() => socket.hasconnection(server)), "EBADF");
  assertEquals(thrownBy(() => socket.getlocal(server)), "EBADF");
  assertEquals([socket.isopen(server), socket.inspect(server)], [false, undefined]);
});

test("close() of a listener frees the port and the clients that wait", async (listening) => {
  const { server, dial } = listening;
  const address = socket.getlocal(server);
  const [client] = await dial(1);
  socket.close(server);
  assertEquals(await codeOf(socket.recv(client)), "ECONNRESET");
  assertEquals(await codeOf(socket.connect(...address)), "ECONNREFUSED");
});

test("close() of a listener closes a connection that is ready", async ({ server, dial }) => {
  socket.hasconnection(server);
  const [client] = await dial(1);
  await until(() => socket.hasconnection(server));
  socket.close(server);
  assertEquals(await task.await(socket.recv(client)), new Uint8Array(0));
});

test("close() of a listener closes connections that nobody claimed", async (listening) => {
  const { server, dial } = listening;
  const ids = [socket.accept(server), socket.accept(server)];
  const clients = await dial(2);
  await until(() => task.status(ids[1]) === "Completed");
  const peers = ids.map((id) => task.result(id)!);
  assertEquals(peers.map(socket.isopen), [true, true]);
  socket.close(server);
  assertEquals(peers.map(socket.isopen), [false, false]);
  assertEquals(ids.map(task.status), ["Unknown", "Unknown"]);
  for (const client of clients) {
    assertEquals(await task.await(socket.recv(client)), new Uint8Array(0));
  }
});

test("close() of a listener leaves connections that are claimed or in use", async (listening) => {
  const { server, dial } = listening;
  const ids = Array.from({ length: 4 }, () => socket.accept(server));
  const clients = await dial(4);
  const claimed = await task.await(ids[0]);
  await until(() => task.status(ids[3]) === "Completed");
  const [received, sent, looked] = ids.slice(1).map((id) => task.result(id)!);
  const receiving = socket.recv(received);
  socket.send(sent, "in use");
  socket.getpeer(looked);
  socket.close(server);
  assertEquals([claimed, received, sent, looked].map(socket.isopen), [true, true, true, true]);
  socket.send(clients[0], "claimed");
  assertEquals(textOf(await task.await(socket.recv(claimed))), "claimed");
  socket.send(clients[1], "received");
  assertEquals(textOf(await task.await(receiving)), "received");
  assertEquals(textOf(await task.await(socket.recv(clients[2]))), "in use");
});

test("tcpserver() asks the system for a backlog of 128 or what it is told", () => {
  using listens = spyOn(Deno, "listen");
  socket.tcpserver("127.0.0.1", 0);
  socket.tcpserver("127.0.0.1", 0, 7);
  socket.tcpserver("127.0.0.1", 0, { backlog: 65535 });
  const asked = listens.calls.map(([options]) => (options as { tcpBacklog: number }).tcpBacklog);
  assertEquals(asked, [128, 7, 65535]);
});

test("tcpserver() lets only as many wait as the backlog says", async ({ server }) => {
  // Linux keeps one more than it is told. Whoever finds no room hangs or is refused.
  const small = socket.tcpserver("127.0.0.1", 0, 1);
  const bag = socket.tcpserver("127.0.0.1", 0, { backlog: 1 });
  for (const [listener, room] of [[small, false], [bag, false], [server, true]] as const) {
    const ids = Array.from({ length: 12 }, () => socket.connect(...socket.getlocal(listener)));
    await until(() => task.status(ids[0]) === "Completed");
    if (room) {
      await task.all(ids);
      continue;
    }
    await turn();
    const waiting = ids.filter((id) => task.status(id) !== "Completed");
    assertGreater(waiting.length, 0);
    waiting.forEach((id) => task.cancel(id));
    ids.filter((id) => !waiting.includes(id)).forEach((id) => socket.close(task.result(id)!));
  }
});

Deno.test({
  name: "accept() faults EMFILE when descriptors run out and goes on when there are some again",
  ignore: !canCount,
  async fn() {
    const { stdout, stderr, code } = await runProgram(
      `
      const server = socket.tcpserver("127.0.0.1", 0);
      const [ip, port] = socket.getlocal(server);
      const clients = [await socket.tcpconnect(ip, port)];
      // Whatever is left goes to files.
      const files = [];
      try {
        for (;;) files.push(Deno.openSync("/dev/null"));
      } catch { /* None are left. */ }
      console.log("full");

      const failed = socket.accept(server);
      await task.await(failed).catch((error) => console.log(error.code, error.errno, error.op));
      await task.await(socket.connect(ip, port)).catch((error) => console.log(error.code));
      try {
        socket.tcpserver("127.0.0.1", 0);
      } catch (error) {
        console.log(error.code);
      }
      console.log(socket.errno(), socket.strerror());
      // A failure that nobody waits for does not stop a program that polls.
      socket.hasconnection(server);
      for (let turn = 0; turn < 5; turn++) await task.sleep(1);

      files.forEach((file) => file.close());
      while (!socket.hasconnection(server)) await task.sleep(1);
      const accepting = socket.accept(server);
      console.log(task.status(accepting));
      const peer = await task.await(accepting);
      socket.send(clients[0], "recovered");
      console.log(new TextDecoder().decode(await task.await(socket.recv(peer))));
      const another = socket.accept(server);
      clients.push(await socket.tcpconnect(ip, port));
      await task.await(another);
      socket.list().forEach(socket.close);
      `,
      ["--allow-net", "--allow-read"],
      "ulimit -n 64",
    );
    assertEquals([stderr, code], ["", 0]);
    assertEquals(stdout.trim().split("\n"), [
      "full",
      "EMFILE 24 accept",
      "EMFILE",
      "EMFILE",
      "24 Too many open files",
      "Completed",
      "recovered",
    ]);
  },
});

test("tcpserver() throws ENOPROTOOPT when reusePort is not to be had", () => {
  const error = assertThrows(
    () => socket.tcpserver("127.0.0.1", 0, { reusePort: true }),
    socket.SocketError,
    "--unstable-net",
  );
  assertEquals([error.code, error.errno, error.op], ["ENOPROTOOPT", 92, "listen"]);
});

Deno.test({
  name: "tcpserver() shares a port when reusePort is set",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const { stdout, stderr, code } = await runProgram(
      `
      const servers = [socket.tcpserver("127.0.0.1", 0, { reusePort: true })];
      const [ip, port] = socket.getlocal(servers[0]);
      servers.push(socket.tcpserver(ip, port, { reusePort: true, backlog: 9 }));
      console.log(socket.getlocal(servers[1])[1] === port);
      try {
        socket.tcpserver(ip, port);
      } catch (error) {
        console.log(error.code);
      }
      const ids = servers.map((server) => socket.accept(server));
      while (ids.some((id) => task.status(id) === "Running")) await socket.tcpconnect(ip, port);
      console.log(...ids.map((id) => task.status(id)));
      socket.list().forEach(socket.close);
      `,
      ["--allow-net", "--unstable-net"],
    );
    assertEquals([stderr, code], ["", 0]);
    assertEquals(stdout, "true\nEADDRINUSE\nCompleted Completed\n");
  },
});

Deno.test({
  name: "close() leaves no descriptor behind, whatever was under way",
  ignore: !canCount,
  async fn() {
    const before = openDescriptors();
    for (let round = 0; round < 20; round++) {
      const server = socket.tcpserver("127.0.0.1", 0);
      const accepting = Array.from({ length: 5 }, () => socket.accept(server));
      const clients = Array.from({ length: 7 }, () => socket.connect(...socket.getlocal(server)));
      await Promise.all(clients.map((id) => task.await(id)));
      if (round % 2) await task.await(accepting[0]);
      if (round % 3) await turn();
      socket.list().forEach(socket.close);
      accepting.forEach(task.forget);
      assertEquals(socket.list(), []);
    }
    await descriptorsBackTo(before);
  },
});
