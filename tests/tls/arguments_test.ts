// Wrong arguments throw at the call, with the name of what is wrong, and begin nothing.

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { leavingNothing } from "../settle.ts";
import { tcpPair } from "../pair.ts";
import { ca, clientPair, pair } from "./helpers.ts";

// deno-lint-ignore no-explicit-any
type Loose = any;

type Wrong = [options: Loose, error: typeof TypeError | typeof RangeError, name: string];

const both: Wrong[] = [
  [null, TypeError, "options"],
  ["", TypeError, "options"],
  [7n, TypeError, "options"],
  [{ alpn: "h2" }, TypeError, "alpn"],
  [{ alpn: [2] }, TypeError, "alpn"],
  [{ alpn: [""] }, RangeError, "alpn"],
  [{ alpn: ["x".repeat(256)] }, RangeError, "alpn"],
  [{ alpn: ["é".repeat(128)] }, RangeError, "alpn"],
  [{ alpn: null }, TypeError, "alpn"],
  [{ ca: 5 }, TypeError, "ca"],
  [{ ca: null }, TypeError, "ca"],
  [{ ca: [ca, 5] }, TypeError, "ca"],
  [{ ca: new TextEncoder().encode(ca) }, TypeError, "ca"],
];

const halves: Wrong[] = [
  [{ cert: pair.cert }, TypeError, `"cert" and "key" belong together: "key" is missing`],
  [{ key: pair.key }, TypeError, `"cert" and "key" belong together: "cert" is missing`],
  [{ cert: pair.cert, key: 5 }, TypeError, "key"],
  [{ cert: ["x"], key: pair.key }, TypeError, "cert"],
];

/** For connect and the client's side of starttls. */
const forClients: Wrong[] = [
  ...both,
  [{ timeout: "1" }, TypeError, "timeout"],
  [{ timeout: NaN }, RangeError, "timeout"],
  [{ timeout: 2 ** 31 }, RangeError, "timeout"],
  [{ timeout: null }, TypeError, "timeout"],
  [{ signal: {} }, TypeError, "signal"],
  [{ signal: null }, TypeError, "signal"],
  [{ unsafelyIgnoreHostname: 1 }, TypeError, "unsafelyIgnoreHostname"],
  [{ unsafelyIgnoreHostname: "false" }, TypeError, "unsafelyIgnoreHostname"],
  [{ unsafelyIgnoreHostname: null }, TypeError, "unsafelyIgnoreHostname"],
  ...["caCerts", "rejectUnauthorized", "CA", "verify", "hostname", "noDelay", "Timeout"]
    .map((name): Wrong => [{ [name]: true }, TypeError, `Unknown option "${name}"`]),
];

/** For tcpserver and, with a certificate, the server's side of starttls. */
const forServers: Wrong[] = [
  [{ certs: pair }, TypeError, "certs"],
  [{ certs: null }, TypeError, "certs"],
  [{ certs: [] }, RangeError, "certs"],
  [{ certs: [null] }, TypeError, "options"],
  [{ certs: ["pem"] }, TypeError, "options"],
  [{ certs: [{ cert: pair.cert }] }, TypeError, 'belong together: "key" is missing'],
  [{ certs: [{ key: pair.key }] }, TypeError, 'belong together: "cert" is missing'],
  [{ certs: [{ ...pair, name: "a.test" }] }, TypeError, 'Unknown option "name"'],
  [{ certs: [pair], ...pair }, TypeError, "not both"],
  [{ certs: [pair], ca }, TypeError, "requestCert"],
  [{ certs: [pair], ca, requestCert: false }, TypeError, "requestCert"],
  [{ certs: [pair], requestCert: 1 }, TypeError, "requestCert"],
  [{ certs: [pair], requestCert: null }, TypeError, "requestCert"],
  [{ certs: [pair], handshakeTimeout: "1" }, TypeError, "handshakeTimeout"],
  [{ certs: [pair], handshakeTimeout: NaN }, RangeError, "handshakeTimeout"],
  [{ certs: [pair], handshakeTimeout: 2 ** 31 }, RangeError, "handshakeTimeout"],
  ...both.slice(3).map(([options, error, name]): Wrong => [
    { certs: [pair], requestCert: true, ...options },
    error,
    name,
  ]),
  ...["timeout", "signal", "sni", "host", "unsafelyIgnoreHostname", "rejectUnauthorized"]
    .map((name): Wrong => [{ certs: [pair], [name]: 1 }, TypeError, `"${name}"`]),
];

/** Says what was given, for the name of a test. */
function show(options: Loose): string {
  return typeof options !== "object" ? typeof options : JSON.stringify(
    options,
    (_key, value) => typeof value === "string" && value.length > 30 ? "…" : value,
  );
}

function assertWrong([options, error, name]: Wrong, call: (options: Loose) => unknown): void {
  const { message } = assertThrows(() => call(options), error) as Error;
  assertStringIncludes(message, name);
  assertEquals(/[A-Z"]/.test(message[0]), true, message);
}

/** Nothing was begun: no socket, no task. */
const test = (name: string, run: () => Promise<void> | void) =>
  Deno.test(name, () =>
    leavingNothing(async () => {
      const tasks = task.list().length;
      await run();
      assertEquals(task.list().length, tasks);
    }));

for (const wrong of [...forClients, ...halves]) {
  test(`connect() and tcpconnect() throw ${wrong[1].name} for ${show(wrong[0])}`, () => {
    assertWrong(wrong, (options) => tls.connect("127.0.0.1", 9, "", options));
    assertWrong(wrong, (options) => tls.tcpconnect("127.0.0.1", 9, "", options));
  });
}

test("every call throws RangeError for more protocol names than a hello has room for", async () => {
  using ends = await tcpPair();
  const alpn = Array.from({ length: 400 }, () => "x".repeat(149));
  const calls: ((options: Loose) => unknown)[] = [
    (options) => tls.connect("127.0.0.1", 9, "", options),
    (options) => tls.tcpserver("127.0.0.1", 0, { ...options, native: true }),
    (options) => tls.tcpserver("127.0.0.1", 0, options),
    (options) => socket.starttls(ends.client, options),
    (options) => socket.starttls(ends.peer, { ...options, ...pair }),
  ];
  for (const call of calls) {
    assertWrong([{ alpn: [...alpn, "y"] }, RangeError, "at most 60000 bytes in all"], call);
  }
  tls.close(tls.tcpserver("127.0.0.1", 0, { ...pair, alpn }));
});

test('connect() throws for "host", an option of starttls only', () => {
  const options = { host: "a.test" } as Loose;
  assertThrows(() => tls.connect("127.0.0.1", 9, "", options), TypeError, 'Unknown option "host"');
});

for (const wrong of forClients.slice(1)) {
  if (wrong[2] === "options") continue;
  test(`starttls() of the client throws ${wrong[1].name} for ${show(wrong[0])}`, async () => {
    using ends = await tcpPair();
    assertWrong(wrong, (options) => socket.starttls(ends.client, options));
    assertWrong(wrong, (options) => socket.starttls(ends.client, { ...options, host: "a.test" }));
    assertEquals([socket.isopen(ends.client), socket.istls(ends.client)], [true, false]);
  });
}

for (const wrong of forServers) {
  test(`starttls() of the server throws ${wrong[1].name} for ${show(wrong[0])}`, async () => {
    using ends = await tcpPair();
    assertWrong(wrong, (options) => socket.starttls(ends.peer, options));
    assertEquals([socket.isopen(ends.peer), socket.istls(ends.peer)], [true, false]);
  });
}

for (
  const wrong of [
    ...both.slice(0, 1),
    ...forServers,
    ...halves,
    [{ backlog: 0 }, RangeError, "backlog"],
    [{ backlog: 1.5 }, RangeError, "backlog"],
    [{ backlog: 65536 }, RangeError, "backlog"],
    [{ backlog: "1" }, TypeError, "backlog"],
    [{ alpnProtocols: ["h2"] }, TypeError, 'Unknown option "alpnProtocols"'],
    [0, RangeError, "backlog"],
    [NaN, RangeError, "backlog"],
    ["128", TypeError, "options"],
  ] as Wrong[]
) {
  test(`tcpserver() throws ${wrong[1].name} for ${show(wrong[0])}`, () => {
    assertWrong(wrong, (options) => tls.tcpserver("127.0.0.1", 0, options));
  });
}

for (const wrong of [null, "", 5, undefined] as Loose[]) {
  test(`starttls() throws TypeError for options that are ${wrong}`, async () => {
    if (wrong === undefined) return; // an empty bag
    using ends = await tcpPair();
    assertThrows(() => socket.starttls(ends.client, wrong), TypeError, "options");
  });
}

test("starttls() throws when the server's side is given no certificate", async () => {
  using ends = await tcpPair();
  for (const options of [{ requestCert: true }, { handshakeTimeout: 5 }] as Loose[]) {
    assertThrows(() => socket.starttls(ends.peer, options), TypeError, '"certs"');
  }
  assertThrows(() => socket.starttls(ends.peer, { backlog: 5 } as Loose), TypeError, "backlog");
  assertThrows(
    () => socket.starttls(ends.peer, { certs: [pair], backlog: 5 } as Loose),
    TypeError,
    'Unknown option "backlog"',
  );
});

for (const host of ["a b", "a..b", "-", "*", "1.2.3", "[::1", 5, null] as Loose[]) {
  test(`connect() and starttls() throw for the name ${show(host)} ${host}`, async () => {
    using ends = await tcpPair();
    const error = typeof host === "string" ? RangeError : TypeError;
    assertThrows(() => tls.connect("127.0.0.1", 9, host), error, '"sni"');
    assertThrows(() => tls.tcpconnect("127.0.0.1", 9, host), error, '"sni"');
    if (host === null) return; // for "none given"
    assertThrows(() => socket.starttls(ends.client, { host }), error, '"host"');
  });
}

for (
  const [host, port, error, name] of [
    [5, 443, TypeError, "host"],
    [undefined, 443, TypeError, "host"],
    ["", 443, RangeError, "host"],
    ["127.0.0.1", "443", TypeError, "port"],
    ["127.0.0.1", 0, RangeError, "port"],
    ["127.0.0.1", 65536, RangeError, "port"],
    ["127.0.0.1", 1.5, RangeError, "port"],
  ] as [Loose, Loose, typeof TypeError, string][]
) {
  test(`connect() throws ${error.name} for ${show(host)} ${host} and port ${port}`, () => {
    assertThrows(() => tls.connect(host, port), error, `"${name}"`);
    assertThrows(() => tls.tcpconnect(host, port), error, `"${name}"`);
  });
}

test("tcpserver() throws for a wrong host or port", () => {
  const loose = tls.tcpserver as Loose;
  assertThrows(() => loose(5, 0), TypeError, '"host"');
  assertThrows(() => loose("127.0.0.1", "0"), TypeError, '"port"');
  assertThrows(() => loose("127.0.0.1", -1), RangeError, '"port"');
  assertThrows(() => loose("127.0.0.1", 65536), RangeError, '"port"');
  assertThrows(() => loose("127.0.0.1"), TypeError, '"port"');
});

test("setcerts() and certificate() throw for wrong arguments", () => {
  const server = tls.tcpserver("127.0.0.1", 0, { certs: [pair] });
  const loose = tls.setcerts as Loose;
  assertThrows(() => loose(server), TypeError, "options");
  assertThrows(() => loose(server, null), TypeError, "options");
  assertThrows(() => loose(server, []), RangeError, '"certs"');
  assertThrows(() => loose(server, [pair, { cert: "x" }]), TypeError, '"key"');
  assertThrows(() => loose(server, { ...pair, alpn: [] }), TypeError, 'Unknown option "alpn"');
  assertThrows(() => loose("x", pair), TypeError, '"server"');
  assertThrows(() => (tls.certificate as Loose)("x"), TypeError, '"server"');
  assertEquals(tls.certificate(server), pair.cert);
  tls.close(server);
});

test("every other call throws for an ID that is no integer", () => {
  const calls: Record<string, (id: Loose) => unknown> = {
    accept: tls.accept,
    hasconnection: tls.hasconnection,
    serve: (id) => tls.serve(id, () => {}),
    recv: tls.recv,
    send: (id) => tls.send(id, "x"),
    write: (id) => tls.write(id, "x"),
    shutdown: tls.shutdown,
    close: tls.close,
    peek: tls.peek,
    ready: tls.ready,
    unrecv: (id) => tls.unrecv(id, "x"),
    info: tls.info,
    getpeer: tls.getpeer,
    getlocal: tls.getlocal,
    getside: tls.getside,
    starttls: (id) => tls.starttls(id),
    "starttls as a server": (id) => tls.starttls(id, { certs: [clientPair] }),
  };
  for (const call of Object.values(calls)) {
    for (const id of ["1", 1.5, NaN, null, undefined, {}, 1n]) {
      assertThrows(() => call(id), TypeError);
    }
  }
});

Deno.test("tls calls throw for a wrong argument when the connection is not encrypted too", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const client = await socket.tcpconnect(...socket.getlocal(server));
  // deno-lint-ignore no-explicit-any
  const wrong = (value: unknown) => value as any;
  assertThrows(() => tls.recv(client, 0), RangeError, '"max"');
  assertThrows(() => tls.peek(client, 0), RangeError, '"max"');
  assertThrows(() => tls.recvInto(client, new Uint8Array(0)), RangeError, '"buffer"');
  assertThrows(() => tls.recvExact(client, -1), RangeError, '"n"');
  assertThrows(() => tls.recvUntil(client, ""), RangeError, '"delimiter"');
  assertThrows(() => tls.recvLine(client, { max: 0 }), RangeError, '"max"');
  assertThrows(() => tls.send(client, wrong(5)), TypeError, '"data"');
  assertThrows(() => tls.write(client, wrong(5)), TypeError, '"data"');
  assertThrows(() => tls.unrecv(client, wrong(5)), TypeError, '"data"');
  assertThrows(() => tls.serve(server, wrong(5)), TypeError, '"handler"');
  [client, server].forEach(socket.close);
});

test("accept(), hasconnection() and serve() name the same argument as those of socket", () => {
  for (const { accept, hasconnection, serve } of [socket, tls]) {
    const calls = [accept, hasconnection, (id: never) => serve(id, () => {})] as Loose[];
    for (const call of calls as ((id: unknown) => unknown)[]) {
      const { message } = assertThrows(() => call("x"), TypeError);
      assertEquals(message, '"server" must be an integer ID: current value is "x"');
    }
  }
});

test("lists and bytes that are empty are named as they are", () => {
  const values: [() => unknown, string][] = [
    [() => tls.tcpserver("127.0.0.1", 0, { certs: [] }), "an empty array"],
    [() => tls.recvUntil(0, ""), '""'],
    [() => tls.recvUntil(0, new Uint8Array(0)), "an empty Uint8Array"],
    [() => tls.recvInto(0, new Uint8Array(0)), "an empty Uint8Array"],
  ];
  for (const [call, shown] of values) {
    const { message } = assertThrows(call, RangeError);
    assertEquals(message.slice(message.indexOf("current")), `current value is ${shown}`);
  }
});

/** A bag whose every option is a getter that notes that it was asked. */
function askedBag(options: Record<string, unknown>, asked: string[]): Loose {
  const ask = (name: string, value: unknown) => {
    asked.push(name);
    return value;
  };
  return Object.defineProperties(
    {},
    Object.fromEntries(
      Object.entries(options)
        .map(([name, value]) => [name, { enumerable: true, get: () => ask(name, value) }]),
    ),
  );
}

test("every option of every call is asked for once", async () => {
  using ends = await tcpPair();
  const { client, peer } = ends;
  const { signal } = new AbortController();
  const limit = { timeout: 5, signal };
  const forClient = { ...limit, ...clientPair, ca, alpn: ["a"], unsafelyIgnoreHostname: false };
  const forServer = { ca, requestCert: true, alpn: ["a"], handshakeTimeout: 5 };
  const listen = { ...forServer, backlog: 5, native: false, maxHandshakes: 5, proxyProtocol: true };
  const plain = { backlog: 5, reusePort: false, proxyProtocol: true, handshakeTimeout: 5 };
  const forget = (id: unknown) => task.forget(id as task.TaskId);
  const folder = await Deno.makeTempDir({ prefix: "taskio_" });
  const calls: [(bag: Loose) => unknown, Record<string, unknown>][] = [
    [(bag) => forget(tls.connect("127.0.0.1", 9, "", bag)), forClient],
    [(bag) => tls.tcpconnect("127.0.0.1", 9, "", bag).catch(() => {}), forClient],
    [(bag) => tls.close(tls.tcpserver("127.0.0.1", 0, bag)), { ...listen, ...pair }],
    [(bag) => tls.close(tls.tcpserver("127.0.0.1", 0, bag)), { ...listen, certs: [pair] }],
    [(bag) => tls.close(tls.tcpserver("127.0.0.1", 0, { certs: [bag] })), { ...pair }],
    [(bag) => forget(socket.starttls(client, bag)), {
      side: "client",
      host: "a.test",
      ...forClient,
    }],
    [(bag) => forget(socket.starttls(peer, bag)), { side: "server", ...forServer, ...pair }],
    [(bag) => socket.close(socket.tcpserver("127.0.0.1", 0, bag)), plain],
    [(bag) => socket.close(socket.unixserver(`${folder}/s`, bag)), { backlog: 5 }],
    [(bag) => socket.unixconnect(`${folder}/s`, bag).catch(() => {}), limit],
    [(bag) => forget(socket.connect("127.0.0.1", 9, bag)), { ...limit, noDelay: false }],
    [(bag) => socket.tcpconnect("127.0.0.1", 9, bag).catch(() => {}), { ...limit, noDelay: false }],
    [(bag) => forget(socket.send(0, "x", bag)), { transfer: false }],
    [(bag) => forget(socket.finish(0, bag)), { timeout: 5 }],
    [(bag) => forget(tls.finish(0, bag)), { timeout: 5 }],
    [(bag) => forget(socket.serve(0, () => {}, bag)), {
      grace: 5,
      maxConnections: 5,
      onError: () => {},
    }],
    [(bag) => forget(socket.recvLine(0, bag)), { max: 5 }],
    [(bag) => forget(socket.recvUntil(0, "x", bag)), { max: 5 }],
  ];
  for (const [call, options] of calls) {
    const asked: string[] = [];
    await call(askedBag(options, asked));
    assertEquals(asked.toSorted(), Object.keys(options).toSorted(), String(call));
  }
  await Deno.remove(folder, { recursive: true });
  ends.close();
  await task.wait();
});

test("what was checked is what is used, whatever an option says when asked again", () => {
  let asked = 0;
  const fickle = {
    native: true,
    ca,
    ...pair,
    get requestCert() {
      return asked++ === 0;
    },
  } as Loose;
  assertThrows(() => tls.tcpserver("127.0.0.1", 0, fickle), TypeError, 'no "requestCert"');
  // Whatever a bag inherits counts as well.
  const inherited = Object.create({ requestCert: true, ca, native: true }) as Loose;
  assertThrows(() => tls.tcpserver("127.0.0.1", 0, inherited), TypeError, 'no "requestCert"');
});
