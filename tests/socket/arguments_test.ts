import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { textOf } from "../bytes.ts";
import { type Pair, tcpPair, tlsPair } from "../pair.ts";
import { leavingNothing } from "../settle.ts";

/** Values that are no integer at all. */
const NO_INTEGER = [undefined, null, "1", "", true, {}, [], () => {}, 1n, Symbol("one")];

/** Numbers that are no integer. */
const FRACTIONS = [1.5, NaN, Infinity, -Infinity];

// deno-lint-ignore no-explicit-any
type Anything = any;

/** How a message shows a wrong value. */
function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof Object) {
    return typeof value === "function" ? "a function" : `an instance of ${value.constructor.name}`;
  }
  return String(value);
}

/** A call with one argument to be replaced, and what it is called. */
type Call = readonly [name: string, parameter: string, call: (value: Anything) => unknown];

function refuses(calls: readonly Call[], values: readonly unknown[], type: typeof RangeError) {
  for (const [name, parameter, call] of calls) {
    for (const value of values) {
      const error = assertThrows(() => call(value), type, undefined, `${name}(${shown(value)})`);
      const start = `"${parameter}" must be `;
      assert(error.message.startsWith(start), `${name}: ${error.message}`);
      assert(error.message.endsWith(`: current value is ${shown(value)}`), error.message);
    }
  }
}

/** Registers a test that must leave a connection beside it as it was. */
function test(name: string, run: (pair: Pair) => void | Promise<void>): void {
  Deno.test(name, () =>
    leavingNothing(async () => {
      using pair = await tcpPair();
      const receiving = socket.recv(pair.peer);
      const [sockets, tasks, errno] = [socket.list(), task.list(), socket.errno()];
      await run(pair);
      // No socket and no task was made, nothing was changed, and misuse is no failure of a socket.
      assertEquals([socket.list(), task.list(), socket.errno()], [sockets, tasks, errno]);
      socket.send(pair.client, "unharmed");
      assertEquals(textOf(await task.await(receiving)), "unharmed");
    }));
}

const buffer = new Uint8Array(1);

/** Every call that takes an ID. */
const ofId: readonly Call[] = [
  ["accept", "server", (id) => socket.accept(id)],
  ["hasconnection", "server", (id) => socket.hasconnection(id)],
  ["serve", "server", (id) => socket.serve(id, () => {})],
  ["recv", "id", (id) => socket.recv(id)],
  ["recvInto", "id", (id) => socket.recvInto(id, buffer)],
  ["peek", "id", (id) => socket.peek(id)],
  ["ready", "id", (id) => socket.ready(id)],
  ["unrecv", "id", (id) => socket.unrecv(id, "x")],
  ["send", "id", (id) => socket.send(id, "x")],
  ["write", "id", (id) => socket.write(id, "x")],
  ["shutdown", "id", (id) => socket.shutdown(id)],
  ["close", "id", (id) => socket.close(id)],
  ["getpeer", "id", (id) => socket.getpeer(id)],
  ["getlocal", "id", (id) => socket.getlocal(id)],
  ["getside", "id", (id) => socket.getside(id)],
];

test("every call throws TypeError when id is no integer", () => {
  refuses(ofId, [...NO_INTEGER, ...FRACTIONS], TypeError);
  // Without an ID, inspect describes all.
  const inspect: Call = ["inspect", "id", (id) => socket.inspect(id)];
  refuses([inspect], [...NO_INTEGER, ...FRACTIONS].slice(1), TypeError);
});

test("isopen() and istls() give false for anything", () => {
  for (const value of [...NO_INTEGER, ...FRACTIONS, 0, -1, 2 ** 53] as Anything[]) {
    assertEquals([socket.isopen(value), socket.istls(value)], [false, false]);
  }
});

test("close() ignores an integer that stands for nothing", () => {
  for (const id of [0, -1, -0, 2 ** 31, 2 ** 32 + 1, 2 ** 53, -(2 ** 53), 1e300]) socket.close(id);
});

test("close() ignores a task", async ({ client }) => {
  const id = task.spawn(() => "unharmed");
  socket.close(id as number);
  assertEquals(await task.await(id), "unharmed");
  socket.close(client + 2 ** 32);
  assertEquals(socket.isopen(client), true);
});

/** Every operation that is waited for, with something behind its last argument. */
const withMore: Record<string, (id: Anything, more: Anything) => unknown> = {};
for (const [name, verbs] of [["socket", socket], ["tls", tls]] as [string, Anything][]) {
  const rest: Record<string, unknown[]> = {
    accept: [],
    ready: [],
    shutdown: [],
    recv: [100],
    recvInto: [buffer],
    recvExact: [1],
    recvUntil: [";"],
    recvLine: [],
    send: ["x"],
    write: ["x"],
  };
  for (const [verb, args] of Object.entries(rest)) {
    withMore[`${name}.${verb}`] = (id, more) => verbs[verb](id, ...args, more);
  }
}
// The place of `max`.
withMore["recv"] = (id, more) => socket.recv(id, more);
withMore["tls.recv of one"] = (id, more) => tls.recv(id, more);

/** The operations that do take options, and which. */
const KNOWN: Record<string, string> = {
  recvUntil: "max",
  recvLine: "max",
  send: "transfer",
  write: "transfer",
};

test("every operation names the idiom when it is given a limit of time", async ({ client }) => {
  const encrypted = await tlsPair();
  for (const [name, call] of Object.entries(withMore)) {
    const id = name.startsWith("tls") ? encrypted.client : client;
    for (const option of ["timeout", "signal"]) {
      const error = assertThrows(() => call(id, { [option]: 100 }), TypeError, undefined, name);
      const verb = /[a-z]*$/i.exec(name.replace("recv of one", "recv"))![0];
      const start = `Unknown option "${option}" of ${verb}: `;
      assert(error.message.startsWith(start), `${name}: ${error.message}`);
      assert(error.message.includes("task.await(id, { timeout, signal, cancel: true })"));
    }
    assertThrows(() => call(id, AbortSignal.abort()), TypeError, 'Unknown option "signal"', name);
    const known = KNOWN[name.split(".").at(-1)!];
    const instead = known === undefined ? "it takes no options" : `expected one of ${known}`;
    const unknown = assertThrows(() => call(id, { other: 1 }), TypeError, undefined, name);
    assert(unknown.message.startsWith('Unknown option "other" of '), unknown.message);
    assert(unknown.message.endsWith(`: ${instead}`), unknown.message);
  }
  encrypted.close();
});

/** Calls that take no options, with something behind their last argument, and what to do instead. */
const withNone: Record<string, [call: (id: Anything, more: Anything) => unknown, instead: string]> =
  {
    relay: [(id, more) => (socket.relay as Anything)(id, id, more), "limit the wait"],
    streams: [(id, more) => (socket.streams as Anything)(id, more), "cancel the readable"],
    connections: [(id, more) => (socket.connections as Anything)(id, more), "write the loop"],
    chunks: [(id, more) => (socket.chunks as Anything)(id, 1, more), "write the loop"],
    "tls.connections": [(id, more) => (tls.connections as Anything)(id, more), "write the loop"],
    "tls.chunks": [(id, more) => (tls.chunks as Anything)(id, 1, more), "write the loop"],
  };

test("what takes no options says what to do instead", async ({ client }) => {
  for (const [name, [call, instead]] of Object.entries(withNone)) {
    for (const options of [{ timeout: 100 }, AbortSignal.abort()]) {
      const error = assertThrows(() => call(client, options), TypeError, undefined, name);
      assert(error.message.includes(`of ${name.replace("tls.", "")}: ${instead}`), error.message);
    }
    assertThrows(() => call(client, { other: 1 }), TypeError, "it takes no options", name);
  }
  await assertRejects(() => (socket.pair as Anything)({ timeout: 1 }), TypeError, "of pair");
});

test("receives say that their max is a number when it is given as an option", ({ client }) => {
  for (const verbs of [socket, tls] as Anything[]) {
    for (const verb of ["recv", "peek", "chunks"]) {
      const text = `"max" is no option of ${verb}: give it as a number, ${verb}(id, `;
      assertThrows(() => verbs[verb](client, { max: 5 }), TypeError, `${text}5)`);
      assertThrows(() => verbs[verb](client, { max: "5", timeout: 1 }), TypeError, `${text}max)`);
    }
  }
});

Deno.test("operations work as callbacks of map and forEach", () =>
  leavingNothing(async () => {
    using pair = await tcpPair();
    const server = socket.tcpserver("127.0.0.1", 0);
    const ids: task.TaskId[] = [server].map(socket.accept);
    new Set([server]).forEach((...args: Parameters<typeof socket.ready>) => {
      ids.push(socket.ready(...args));
    });
    ids.push(...[pair.client].map(socket.shutdown));
    assertEquals(ids.map(task.status), ["Running", "Running", "Running"]);
    await task.await(ids[2]);
    socket.close(server);
    ids.forEach(task.forget);
  }));

test("every call says that a promise was not awaited", () => {
  const promise = Promise.resolve(1) as Anything;
  const ofTask: Call[] = [
    ["await", "id", (id) => task.await(id)],
    ["cancel", "id", (id) => task.cancel(id)],
    ["forget", "id", (id) => task.forget(id)],
    ["take", "id", (id) => task.take(id)],
    ["result", "id", (id) => task.result(id)],
    ["error", "id", (id) => task.error(id)],
    ["inspect", "id", (id) => task.inspect(id)],
    ["add", "id", (id) => task.completions().add(id)],
  ];
  const ofInspect: Call = ["inspect", "id", (id) => socket.inspect(id)];
  for (const [name, parameter, call] of [...ofId, ofInspect, ...ofTask]) {
    const message =
      `"${parameter}" must be an integer ID: current value is a promise, await it first`;
    const error = assertThrows(() => call(promise), TypeError, undefined, name);
    assertEquals(error.message, message, name);
  }
  for (const several of [task.all, task.any, task.race, task.select, task.settled]) {
    const error = assertThrows(() => void (several as Anything)([promise]), TypeError);
    assert(error.message.endsWith("current value is a promise, await it first"), error.message);
  }
  const data = () => socket.send(1, promise);
  assertThrows(data, TypeError, "current value is a promise, await it first");
  assertEquals([task.status(promise), socket.isopen(promise)], ["Unknown", false]);
});

const ofPort: readonly Call[] = [
  ["tcpserver", "port", (port) => socket.tcpserver("127.0.0.1", port)],
  ["connect", "port", (port) => socket.connect("127.0.0.1", port)],
  ["tcpconnect", "port", (port) => socket.tcpconnect("127.0.0.1", port)],
];

test("tcpserver() and connect() throw when port is wrong", () => {
  refuses(ofPort, NO_INTEGER, TypeError);
  refuses(ofPort, [...FRACTIONS, -1, 65536, 70000], RangeError);
  refuses(ofPort.slice(1), [0], RangeError);
});

const ofHost: readonly Call[] = [
  ["tcpserver", "host", (host) => socket.tcpserver(host, 0)],
  ["connect", "host", (host) => socket.connect(host, 9)],
  ["tcpconnect", "host", (host) => socket.tcpconnect(host, 9)],
];

test("tcpserver() and connect() throw when host is wrong", () => {
  refuses(ofHost, [undefined, null, {}, [], true, 1n, Symbol("host")], TypeError);
  refuses(ofHost.slice(1), [""], RangeError);
});

test("tcpserver() throws when the backlog is wrong", () => {
  const positional: Call = ["tcpserver", "backlog", (n) => socket.tcpserver("127.0.0.1", 0, n)];
  const named: Call = [
    "tcpserver",
    "backlog",
    (backlog) => socket.tcpserver("127.0.0.1", 0, { backlog }),
  ];
  refuses([positional, named], [...FRACTIONS, 0, -1, 65536], RangeError);
  refuses([named], NO_INTEGER.slice(1), TypeError);
});

test("tcpserver() throws TypeError when reusePort is no boolean", () => {
  const call: Call = [
    "tcpserver",
    "reusePort",
    (reusePort) => socket.tcpserver("127.0.0.1", 0, { reusePort }),
  ];
  refuses([call], [null, 1, 0, "yes", {}], TypeError);
});

const ofOptions: readonly Call[] = [
  ["tcpserver", "options", (options) => socket.tcpserver("127.0.0.1", 0, options)],
  ["connect", "options", (options) => socket.connect("127.0.0.1", 9, options)],
  ["tcpconnect", "options", (options) => socket.tcpconnect("127.0.0.1", 9, options)],
];

test("tcpserver() and connect() throw TypeError when options are wrong", () => {
  refuses(ofOptions, [null, "x", true, () => {}, 1n], TypeError);
  refuses(ofOptions.slice(1), [5], TypeError);
  for (const [name, , call] of ofOptions) {
    const message = `Unknown option "timeOut"`;
    assertThrows(() => call({ timeOut: 1 }), TypeError, message, name);
  }
});

const connectWith = (name: string): Call[] => [
  ["connect", name, (value) => socket.connect("127.0.0.1", 9, { [name]: value })],
  ["tcpconnect", name, (value) => socket.tcpconnect("127.0.0.1", 9, { [name]: value })],
];

test("connect() throws when an option is wrong", () => {
  refuses(connectWith("timeout"), [null, "1", true, {}, 1n, Symbol("one")], TypeError);
  refuses(connectWith("timeout"), [NaN, 2 ** 31], RangeError);
  refuses(connectWith("signal"), [null, 1, "x", {}, new AbortController()], TypeError);
  refuses(connectWith("noDelay"), [null, 1, 0, "yes", {}], TypeError);
});

test("recv() and peek() throw when max is wrong", ({ client }) => {
  for (const id of [client, 0]) {
    const calls: Call[] = [
      ["recv", "max", (max) => socket.recv(id, max)],
      ["peek", "max", (max) => socket.peek(id, max)],
    ];
    refuses(calls, NO_INTEGER.slice(1), TypeError);
    refuses(calls, [...FRACTIONS, 0, -1, 2 ** 53], RangeError);
  }
});

test("recvInto() throws when buffer is wrong", ({ client }) => {
  for (const id of [client, 0]) {
    const call: Call = ["recvInto", "buffer", (value) => socket.recvInto(id, value)];
    const others = [new ArrayBuffer(8), new DataView(new ArrayBuffer(8)), new Uint16Array(8)];
    refuses([call], [...NO_INTEGER, ...others, new Uint8ClampedArray(8)], TypeError);
    const error = assertThrows(() => socket.recvInto(id, new Uint8Array(0)), RangeError);
    assertEquals(
      error.message,
      `"buffer" must be at least one byte long: current value is an empty Uint8Array`,
    );
  }
});

test("send(), write() and unrecv() throw when data is wrong", ({ client }) => {
  for (const id of [client, 0]) {
    const calls: Call[] = [
      ["send", "data", (data) => socket.send(id, data)],
      ["write", "data", (data) => socket.write(id, data)],
      ["unrecv", "data", (data) => socket.unrecv(id, data)],
    ];
    const others = [new ArrayBuffer(8), new DataView(new ArrayBuffer(8)), new Uint16Array(8)];
    const values = [undefined, null, 5, true, {}, [1, 2], 1n, Symbol("data"), ...others];
    refuses(calls, values, TypeError);
  }
});

test("strerror() throws when n is wrong", () => {
  const call: Call = ["strerror", "n", (n) => socket.strerror(n)];
  refuses([call], NO_INTEGER.slice(1), TypeError);
  refuses([call], [...FRACTIONS, -1, 2 ** 31], RangeError);
});

Deno.test("connect() takes the first port and the last", () =>
  leavingNothing(async () => {
    for (const port of [1, 65535]) {
      const id = socket.connect("127.0.0.1", port);
      task.cancel(id);
      task.forget(id);
    }
    const id = socket.create(socket.AF_UNIX, socket.SOCK_STREAM);
    for (const wrong of ["0", null]) {
      assertThrows(() => socket.connect(id, "path", wrong as never), TypeError, '"port"');
    }
    socket.close(id);
    await task.wait();
  }));

test("recvUntil() says which kind of delimiter was empty", ({ client }) => {
  for (const [empty, shown] of [["", '""'], [new Uint8Array(0), "an empty Uint8Array"]] as const) {
    const error = assertThrows(() => socket.recvUntil(client, empty), RangeError);
    assert(error.message.endsWith(`current value is ${shown}`), error.message);
  }
});

Deno.test("send() and recvInto() take views of any kind of memory", () =>
  leavingNothing(async () => {
    using pair = await tcpPair();
    const kinds: Record<string, () => ArrayBufferLike> = {
      shared: () => new SharedArrayBuffer(32 * 1024),
      WebAssembly: () => new WebAssembly.Memory({ initial: 1 }).buffer,
      resizable: () => new ArrayBuffer(32 * 1024, { maxByteLength: 64 * 1024 }),
    };
    for (const [kind, memory] of Object.entries(kinds)) {
      for (const length of [7, 20 * 1024]) {
        const out = new Uint8Array(memory(), 10, length).fill(length);
        const back = new Uint8Array(memory(), 100, length);
        assertEquals(await task.await(socket.send(pair.client, out)), length, kind);
        for (let at = 0; at < length;) {
          at += await task.await(socket.recvInto(pair.peer, back.subarray(at)));
        }
        assertEquals(back.every((byte) => byte === length % 256), true, kind);
      }
    }
  }));
