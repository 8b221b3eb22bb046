import { assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { CodedError, codeOf as codeOfCause, translate } from "../../socket/core/failure.ts";
import { HUGE } from "../bytes.ts";
import { type Pair, tcpPair } from "../pair.ts";
import { resettable } from "../reset.ts";
import { codeOf, leavingNothing, turn } from "../settle.ts";
import { runProgram } from "../subprocess.ts";

const test = (name: string, run: () => Promise<void> | void) =>
  Deno.test(name, () => leavingNothing(async () => await run()));

test("SocketError shows what cannot be printed", async () => {
  const [host, shown] = ["a\n\x1b[2J\u202eb", "a\\u{a}\\u{1b}[2J\\u{202e}b"];
  const error = await assertRejects(() => task.await(socket.connect(host, 80)), socket.SocketError);
  assertEquals(error.message.includes(`connect ${shown}:80: `), true);
});

test("SocketError has the fields and the message of the failure", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const [host, port] = socket.getlocal(server);
  socket.close(server);
  const error = await assertRejects(() => socket.tcpconnect(host, port), socket.SocketError);
  assertInstanceOf(error, Error);
  assertEquals(error.message, `connect 127.0.0.1:${port}: connection refused (ECONNREFUSED)`);
  assertEquals(error.name, "SocketError");
  assertEquals([error.code, error.errno, error.op], ["ECONNREFUSED", 111, "connect"]);
  assertEquals([error.socket, error.local, error.remote], [undefined, undefined, [host, port]]);
  assertInstanceOf(error.cause, Deno.errors.ConnectionRefused);
  assertEquals(`${error}`, `SocketError: ${error.message}`);
});

test("a connection that was reset before Deno could look at it was reset", () => {
  // A matter of microseconds, so that no peer brings it about for sure.
  const cause = new Deno.errors.NotConnected("Transport endpoint is not connected (os error 107)");
  const codeFor = (op: string) => (translate(cause, op, {}) as socket.SocketError).code;
  assertEquals(["connect", "starttls"].map(codeFor), ["ECONNRESET", "ECONNRESET"]);
  assertEquals(codeFor("shutdown"), "ENOTCONN");
  const unwritten = new Deno.errors.BrokenPipe("Broken pipe (os error 32)");
  const unwrittenAt = (op: string) => (translate(unwritten, op, {}) as socket.SocketError).code;
  assertEquals(["connect", "starttls", "send"].map(unwrittenAt), [
    "ECONNRESET",
    "ECONNRESET",
    "EPIPE",
  ]);
});

test("every failure has a code, whether Deno gives it one, a class, a text or nothing", () => {
  const { errors } = Deno;
  const classes: [new (message: string) => Error, string][] = [
    [errors.AddrInUse, "EADDRINUSE"],
    [errors.AddrNotAvailable, "EADDRNOTAVAIL"],
    [errors.BadResource, "EBADF"],
    [errors.BrokenPipe, "EPIPE"],
    [errors.Busy, "EBUSY"],
    [errors.ConnectionAborted, "ECONNABORTED"],
    [errors.ConnectionRefused, "ECONNREFUSED"],
    [errors.ConnectionReset, "ECONNRESET"],
    [errors.Interrupted, "ECONNABORTED"],
    [errors.NotConnected, "ENOTCONN"],
    [errors.NotFound, "ENOENT"],
    [errors.NotSupported, "EOPNOTSUPP"],
    [errors.PermissionDenied, "EACCES"],
    [errors.TimedOut, "ETIMEDOUT"],
    [errors.UnexpectedEof, "EUNEXPECTEDEOF"],
    [URIError, "EINVAL"],
    [Error, "EUNKNOWN"],
  ];
  for (const [Class, code] of classes) assertEquals(codeOfCause(new Class("why")), code);
  assertEquals(codeOfCause(Object.assign(new Error("why"), { code: "ESRCH" })), "ESRCH");
  assertEquals(codeOfCause(new DOMException("why", "AbortError")), "EUNKNOWN"); // its code is 20
  assertEquals(codeOfCause("why"), "EUNKNOWN");
  const lookup = "failed to lookup address information: ";
  assertEquals(codeOfCause(new Error(`${lookup}Name or service not known`)), "ENOTFOUND");
  assertEquals(
    codeOfCause(new Error(`${lookup}Temporary failure in name resolution`)),
    "EAI_AGAIN",
  );
});

test("a failure says what its cause says when no code tells", () => {
  const of = (cause: unknown) => translate(cause, "recv", {}) as socket.SocketError;
  const unknown = new Error("the moon is full");
  assertEquals(
    [of(unknown).message, of(unknown).cause],
    ["recv: the moon is full (EUNKNOWN)", unknown],
  );
  assertEquals([of("a text").message, of("a text").cause], ["recv: a text (EUNKNOWN)", "a text"]);
  assertEquals(of(undefined).message, "recv: undefined (EUNKNOWN)");
  const coded = new CodedError("ESHY", "it does not want to");
  assertEquals([of(coded).message, of(coded).cause], ["recv: it does not want to (ESHY)", coded]);
  const origin = new CodedError("ESHY", "it does not want to", { cause: unknown });
  assertEquals(of(origin).cause, unknown);
});

test("SocketError takes its parts from what it is made of", () => {
  const bare = new socket.SocketError("EPIPE", "send");
  assertEquals(bare.message, "send: broken pipe (EPIPE)");
  assertEquals([bare.errno, bare.socket, bare.local, bare.remote], [32, ...new Array(3)]);
  assertEquals("cause" in bare, false);
  const about = (details: socket.SocketErrorDetails) =>
    new socket.SocketError("EPIPE", "send", details).message;
  assertEquals(about({ socket: 7 }), "send socket 7: broken pipe (EPIPE)");
  assertEquals(about({ local: ["::1", 80] }), "send [::1]:80: broken pipe (EPIPE)");
  assertEquals(
    about({ socket: 7, local: ["10.0.0.1", 1], remote: ["10.0.0.2", 2] }),
    "send 10.0.0.2:2: broken pipe (EPIPE)",
  );
  assertEquals(about({ local: ["/run/socket", 0] }), "send /run/socket: broken pipe (EPIPE)");
  assertEquals(about({ text: "nobody is there" }), "send: nobody is there (EPIPE)");
  const cause = new Error("why");
  assertEquals(new socket.SocketError("EPIPE", "send", { cause }).cause, cause);
});

test("SocketError tells what an ID is that will not do", async () => {
  const sleeping: number = task.spawn(() => {});
  const of = (id: number) => assertThrows(() => socket.getpeer(id), socket.SocketError);
  const message = (id: number) => of(id).message;
  assertEquals(
    message(sleeping),
    `getpeer socket ${sleeping}: ${sleeping} is a task, not a socket (EBADF)`,
  );
  assertEquals([of(sleeping).code, of(sleeping).socket], ["EBADF", sleeping]);
  const text = `recv socket ${sleeping}: ${sleeping} is a task, not a socket (EBADF)`;
  const error = await assertRejects(() => task.await(socket.recv(sleeping)), socket.SocketError);
  assertEquals(error.message, text);

  const server = socket.tcpserver("127.0.0.1", 0);
  const address = socket.getlocal(server).join(":");
  assertEquals(
    (task.error(socket.recv(server)) as Error).message,
    `recv ${address}: ${server} is a listener, not a connection (EOPNOTSUPP)`,
  );
  for (const [name, call] of Object.entries({ getpeer: socket.getpeer, getside: socket.getside })) {
    assertEquals(
      assertThrows(() => call(server), socket.SocketError).message,
      `${name} ${address}: ${server} is a listener, not a connection (ENOTCONN)`,
    );
  }
  const client = await socket.tcpconnect(...socket.getlocal(server));
  assertEquals(
    (task.error(socket.accept(client)) as Error).message,
    `accept ${address}: ${client} is a connection, not a listener (EOPNOTSUPP)`,
  );
  [client, server].forEach(socket.close);
  const closed = `getpeer socket ${server}: ${server} is no socket: it was closed, or was a task`;
  assertEquals(message(server), `${closed} (EBADF)`);
  await task.await(sleeping);
  assertEquals(message(sleeping).includes("it was closed, or was a task"), true);

  for (const id of [0, -1, 2 ** 40, -(2 ** 31), Number.MAX_SAFE_INTEGER]) {
    const text = `getpeer socket ${id}: ${id} is no socket: no such ID was ever given out (EBADF)`;
    assertEquals(message(id), text);
  }
});

test("errno() is left alone by a close that leaves nobody waiting", async () => {
  using pair = await tcpPair();
  const server = socket.tcpserver("127.0.0.1", 0);
  assertThrows(() => socket.getpeer(0), socket.SocketError);
  [pair.client, pair.peer, server].forEach(socket.close);
  assertEquals(socket.errno(), 9);
  const waiting = socket.tcpserver("127.0.0.1", 0);
  const ready = socket.ready(waiting);
  socket.close(waiting);
  assertEquals([socket.errno(), await codeOf(ready)], [103, "ECONNABORTED"]);
});

test("errno() is the number of the last failure and success leaves it", async () => {
  assertThrows(() => socket.getpeer(0), socket.SocketError);
  assertEquals([socket.errno(), socket.strerror()], [9, "Bad socket ID"]);
  using pair = await tcpPair();
  await task.await(socket.send(pair.client, "x"));
  await task.await(socket.recv(pair.peer));
  assertEquals(socket.errno(), 9);
  await task.await(socket.shutdown(pair.client));
  const faulted = socket.send(pair.client, "x");
  // Set by the fault, not by whoever looks at it.
  assertEquals([socket.errno(), socket.strerror()], [32, "Broken pipe"]);
  assertEquals((task.error(faulted) as socket.SocketError).errno, 32);
  socket.accept(pair.client);
  assertEquals(socket.errno(), 95);
  const closed = socket.recv(pair.client);
  socket.close(pair.client);
  assertEquals(socket.errno(), 103);
  assertThrows(() => socket.getpeer(0), socket.SocketError);
  assertEquals((task.error(closed) as socket.SocketError).errno, 103);
  assertEquals(socket.errno(), 9, "the later failure counts, whichever is looked at");
});

/** Operations that close their socket when they fail, and with it what else is pending there. */
const failing: Record<string, (stack: AsyncDisposableStack) => Promise<task.TaskId>> = {
  "a finish that runs out of time": async (stack) => {
    const pair = stack.use(await tcpPair());
    return socket.finish(pair.client, { timeout: 1 });
  },
  "a finish that runs out of time behind a receive": async (stack) => {
    const pair = stack.use(await tcpPair());
    socket.recvExact(pair.client, 10);
    return socket.finish(pair.client, { timeout: 1 });
  },
  "a finish that is reset": async (stack) => {
    const peer = stack.use(await resettable());
    socket.send(peer.client, HUGE);
    const finishing = socket.finish(peer.client);
    await peer.reset();
    return finishing;
  },
  "a starttls that is answered in clear": async (stack) => {
    const pair = stack.use(await tcpPair());
    socket.send(pair.peer, "this is no TLS at all\r\n\r\n");
    return socket.starttls(pair.client, { host: "localhost" });
  },
  "a starttls that runs out of time": async (stack) => {
    const pair = stack.use(await tcpPair());
    return socket.starttls(pair.client, { host: "localhost", timeout: 1 });
  },
  "a starttls that a receive waits for": async (stack) => {
    const pair = stack.use(await tcpPair());
    const upgrading = socket.starttls(pair.client, { host: "localhost", timeout: 1 });
    socket.recv(pair.client);
    return upgrading;
  },
  "a relay to a side that is shut down": async (stack) => {
    const [one, other] = [stack.use(await tcpPair()), stack.use(await tcpPair())];
    await task.await(socket.shutdown(other.client));
    const relaying = socket.relay(one.peer, other.client);
    socket.send(one.client, "x");
    return relaying;
  },
  "a relay that is reset": async (stack) => {
    const [peer, other] = [stack.use(await resettable()), stack.use(await tcpPair())];
    const relaying = socket.relay(peer.client, other.client);
    await peer.reset();
    return relaying;
  },
};

for (const [what, begin] of Object.entries(failing)) {
  test(`errno() is the number that the task faulted with after ${what}`, async () => {
    await using stack = new AsyncDisposableStack();
    const id = await begin(stack);
    const error = await assertRejects(() => task.await(id), socket.SocketError);
    assertEquals([socket.errno(), error.code === "ECONNABORTED"], [error.errno, false]);
    task.list().forEach(task.forget);
  });
}

Deno.test("errno() is 0 at the start", async () => {
  const source = "console.log(socket.errno(), socket.strerror(), task.list(), socket.list())";
  const { stdout, stderr } = await runProgram(source, []);
  assertEquals([stdout, stderr], ["0 Success [] []\n", ""]);
});

test("strerror() gives the text of a number", () => {
  const texts: Record<number, string> = {
    0: "Success",
    9: "Bad socket ID",
    13: "Permission denied",
    22: "Invalid argument",
    24: "Too many open files",
    32: "Broken pipe",
    95: "Operation not supported",
    98: "Address already in use",
    103: "Software caused connection abort",
    104: "Connection reset by peer",
    107: "Transport endpoint is not connected",
    110: "Connection timed out",
    111: "Connection refused",
    125: "Operation canceled",
    4001: "Unknown host",
    9999: "Unknown error 9999",
  };
  const got = Object.keys(texts).map((n) => [n, socket.strerror(Number(n))]);
  assertEquals(Object.fromEntries(got), texts);
});

/** The states of the table in socket/mod.ts; each makes a socket in that state. */
const states = {
  listener: () => socket.tcpserver("127.0.0.1", 0),
  open: async () => keep(await tcpPair()).client,
  "sending side shut down": async () => {
    const { client } = keep(await tcpPair());
    await task.await(socket.shutdown(client));
    return client;
  },
  "peer ended": async () => {
    const { client, peer } = keep(await tcpPair());
    await task.await(socket.send(peer, "left"));
    await task.await(socket.shutdown(peer));
    return client;
  },
  broken: async () => {
    const connection = await resettable();
    kept.push(() => connection[Symbol.asyncDispose]());
    const { client } = connection;
    connection.reset();
    assertEquals(await codeOf(socket.recv(client)), "ECONNRESET");
    socket.unrecv(client, "left");
    return client;
  },
  closed: async () => {
    const { client } = keep(await tcpPair());
    socket.close(client);
    return client;
  },
  unknown: () => 2 ** 40,
} satisfies Record<string, () => socket.SocketId | Promise<socket.SocketId>>;

type State = keyof typeof states;

/** How to get rid of what a state needed. */
const kept: (() => unknown)[] = [];

function keep(pair: Pair): Pair {
  kept.push(pair.close);
  return pair;
}

/** How a call turns out: a code, or its result in a word. */
function outcome(run: () => unknown): string {
  try {
    return describe(run());
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

function describe(value: unknown): string {
  if (value instanceof Uint8Array) return value.length === 0 ? "empty" : "bytes";
  if (Array.isArray(value)) return "address";
  return String(value);
}

/** The outcome of a call that gives a task, which may also be left waiting. */
const byTask = (run: (id: socket.SocketId) => task.TaskId) => async (id: socket.SocketId) => {
  const started = run(id);
  for (let n = 0; n < 10 && task.status(started) === "Running"; n++) await turn();
  const waits = task.cancel(started);
  const error = task.error(started) as socket.SocketError | undefined;
  const result = task.result(started);
  task.forget(started);
  return waits ? "waits" : error?.code ?? describe(result);
};

const plainly = (run: (id: socket.SocketId) => unknown) => (id: socket.SocketId) =>
  Promise.resolve(outcome(() => run(id)));

const calls: Record<string, (id: socket.SocketId) => Promise<string>> = {
  accept: byTask(socket.accept),
  hasconnection: plainly(socket.hasconnection),
  recv: byTask(socket.recv),
  recvInto: byTask((id) => socket.recvInto(id, new Uint8Array(4))),
  peek: async (id) => {
    let seen = outcome(() => socket.peek(id));
    for (let n = 0; n < 10 && seen === "undefined"; n++) {
      await turn();
      seen = outcome(() => socket.peek(id));
    }
    return seen;
  },
  ready: byTask(socket.ready),
  unrecv: plainly((id) => socket.unrecv(id, "x")),
  send: byTask((id) => socket.send(id, "four")),
  write: byTask((id) => socket.write(id, "four")),
  shutdown: byTask(socket.shutdown),
  getpeer: plainly(socket.getpeer),
  getside: plainly(socket.getside),
  getlocal: plainly(socket.getlocal),
  isopen: plainly(socket.isopen),
  istls: plainly(socket.istls),
  close: plainly(socket.close),
};

/** What each call does in each state, one after the other on a fresh socket, as the table says. */
const table: Record<string, Record<State, string[]>> = {
  accept: row("waits", "EOPNOTSUPP", "EOPNOTSUPP", "EOPNOTSUPP", "EOPNOTSUPP", "EBADF"),
  hasconnection: row("false", "EOPNOTSUPP", "EOPNOTSUPP", "EOPNOTSUPP", "EOPNOTSUPP", "EBADF"),
  recv: row("EOPNOTSUPP", "waits", "waits", "bytes, empty", "bytes, ECONNRESET", "EBADF"),
  recvInto: row("EOPNOTSUPP", "waits", "waits", "4, 0", "4, ECONNRESET", "EBADF"),
  peek: row("EOPNOTSUPP", "undefined", "undefined", "bytes, bytes", "bytes, bytes", "EBADF"),
  ready: row("waits", "waits", "waits", "undefined", "undefined", "EBADF"),
  unrecv: row("EOPNOTSUPP", ...new Array(4).fill("undefined"), "EBADF"),
  send: row("EOPNOTSUPP", "4, 4", "EPIPE, EPIPE", "4, 4", "EPIPE, EPIPE", "EBADF"),
  write: row("EOPNOTSUPP", "4, 4", "EPIPE, EPIPE", "4, 4", "EPIPE, EPIPE", "EBADF"),
  shutdown: row(
    "EOPNOTSUPP",
    "undefined, undefined",
    "undefined, undefined",
    "undefined, undefined",
    "ENOTCONN, ENOTCONN",
    "EBADF",
  ),
  getpeer: row("ENOTCONN", "address", "address", "address", "address", "EBADF"),
  getside: row("ENOTCONN", "client", "client", "client", "client", "EBADF"),
  getlocal: row("address", "address", "address", "address", "address", "EBADF"),
  isopen: row("true", "true", "true", "true", "true", "false"),
  istls: row("false", "false", "false", "false", "false", "false"),
  close: row(...new Array(6).fill("undefined, undefined")),
};

/** The cells of a row; "a, b" is what the first and the second of two calls give. */
function row(...cells: string[]): Record<State, string[]> {
  const names = Object.keys(states) as State[];
  const all = [...cells, cells.at(-1)!];
  return Object.fromEntries(names.map((name, i) => [name, all[i].split(", ")])) as never;
}

for (const [name, call] of Object.entries(calls)) {
  for (const [state, make] of Object.entries(states) as [State, typeof states[State]][]) {
    const expected = table[name][state];
    test(`${name}() gives ${expected.join(", then ")} when the socket is ${state}`, async () => {
      const id = await make();
      const got: string[] = [];
      while (got.length < expected.length) got.push(await call(id));
      socket.close(id);
      await Promise.all(kept.splice(0).map((close) => close()));
      assertEquals(got, expected);
    });
  }
}

test("shutdown() and send() keep the state that the other left", async () => {
  // Both columns at once: the sending side shut down and the peer ended.
  using pair = await tcpPair();
  await task.all([socket.shutdown(pair.client), socket.shutdown(pair.peer)]);
  assertEquals(await codeOf(socket.send(pair.client, "x")), "EPIPE");
  assertEquals(await task.await(socket.recv(pair.client)), new Uint8Array(0));
  assertEquals(socket.isopen(pair.client), true);
});

Deno.test("NotCapable passes through as Deno's own when --allow-net is missing", async () => {
  const source = `
    try {
      socket.tcpserver("127.0.0.1", 0);
    } catch (error) {
      console.log(error instanceof Deno.errors.NotCapable, error.name, error.message);
    }
    const id = socket.connect("127.0.0.1", 9);
    try {
      await task.await(id);
    } catch (error) {
      console.log(error instanceof Deno.errors.NotCapable, error.name, error.message);
    }
    console.log(socket.errno(), socket.list());
  `;
  const { stdout, stderr, code } = await runProgram(source, []);
  assertEquals([stderr, code], ["", 0]);
  const [server, client, rest] = stdout.trim().split("\n");
  const text = (address: string) =>
    `true NotCapable Requires net access to "${address}", run again with the --allow-net flag`;
  assertEquals([server, client, rest], [text("127.0.0.1:0"), text("127.0.0.1:9"), "0 []"]);
});
