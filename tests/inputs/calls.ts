// The table of every function that the module exports, and of what each of its parameters is. A function, a
// method or a parameter that is missing here makes a test fail: see `inputs_test.ts`.

import { socket, task } from "../../mod.ts";
import { certificate, type Fixture } from "./fixture.ts";

/** One parameter of a call. */
export interface Parameter {
  readonly name: string;
  /** A value that will do. */
  readonly good: (fixture: Fixture) => unknown;
  /** It is an options bag: a value that will do for each of its options. */
  readonly options?: Record<string, (fixture: Fixture) => unknown>;
  /** Values of another type than the good one that it takes as well. */
  readonly also?: (value: unknown) => boolean;
  /** It is looked into: a getter or an iterator of the program's runs, and what it throws comes out. */
  readonly read?: boolean;
  /** It is a function that is called: what it throws is a task's fault or a rejection. */
  readonly called?: boolean;
  /** It is whatever the program likes. */
  readonly anything?: boolean;
  /** It goes to the resolver: names are left out, since the question would leave this machine. */
  readonly resolved?: boolean;
}

/** One way of calling a function. */
export interface Call {
  /** As it is exported: `"socket.recv"`; of a method, `"task.Channel.send"`. */
  readonly name: string;
  readonly parameters: readonly Parameter[];
  /** For a method: whose it is. */
  readonly self?: (fixture: Fixture) => object;
  /** It gives an answer to whatever it is asked, and never throws. */
  readonly neverThrows?: boolean;
  /** Undoes what the call did to the state of the module. */
  readonly after?: (self: never) => void;
}

type Good = (fixture: Fixture) => unknown;

const of = (name: string, good: Good, more: Partial<Parameter> = {}): Parameter => ({
  name,
  good,
  ...more,
});
const bag = (options: Record<string, Good>, needed: Good = () => ({})): Parameter =>
  of("options", needed, { options, read: true });
/** A bag, or the backlog alone. */
const bagOrNumber = (options: Record<string, Good>, needed?: Good): Parameter => ({
  ...bag(options, needed),
  also: (value) => typeof value === "number",
});
const call = (name: string, ...parameters: Parameter[]): Call => ({ name, parameters });

const id = of("id", (f) => f.connection);
const server = of("server", (f) => f.listener);
const created = of("id", (f) => f.created);
const secure = of("id", (f) => f.encrypted);
const secureServer = of("server", (f) => f.tlsListener);
const max = of("max", () => 10);
const count = of("n", () => 10);
const isObject = (value: unknown) => typeof value === "object" && value !== null; // maybe bytes
const data = of("data", () => "data", { also: isObject });
const buffer = of("buffer", () => new Uint8Array(8));
const delimiter = of("delimiter", () => "\n", { also: isObject });
const handler = of("handler", () => () => {}, { called: true });
const host = of("host", () => "127.0.0.1", { resolved: true });
const port = of("port", () => 0);
const remotePort = of("port", (f) => f.port);
const path = of("path", (f) => `${f.folder}/socket`);
const backlog = of("backlog", () => 5);
const level = of("level", () => socket.SOL_SOCKET);
const option = of("option", () => socket.SO_KEEPALIVE);
const names = of("names", () => ["a.test"], { read: true });

const taskId = of("id", (f) => f.completed);
const runningId = of("id", (f) => f.running);
const isText = (value: unknown) => typeof value === "string"; // an iterable, too
const ids = of("ids", (f) => [f.running, f.completed], { read: true, also: isText });
const ms = of("ms", () => 1);
const fn = of("fn", () => () => {}, { called: true });

const timeout: Good = () => 10;
const signal: Good = () => new AbortController().signal;
const yes: Good = () => true;
const no: Good = () => false;

const until = bag({ max: () => 10 });
const waiting = bag({ timeout, signal });
const aborting = bag({ signal });
const connecting = bag({ timeout, signal, noDelay: no });
const finishing = bag({ timeout });
const sending = bag({ transfer: () => false });
const serving = bag({ maxConnections: () => 1, grace: timeout, onError: () => () => {} });

const { cert, key } = certificate;
const pem = { cert: () => cert, key: () => key, certs: () => [certificate], ca: () => cert };
const alpn: Good = () => ["h2"];
const forClient = {
  ca: pem.ca,
  cert: pem.cert,
  key: pem.key,
  alpn,
  timeout,
  signal,
  unsafelyIgnoreHostname: no,
};
const forServer = { ...pem, alpn, requestCert: yes, handshakeTimeout: timeout };
const listening = {
  backlog: () => 5,
  native: no,
  maxHandshakes: () => 5,
  proxyProtocol: no,
};
const sides = { side: () => "client", host: () => "localhost" };

const starting = call("starttls", id, bag({ ...sides, ...forClient, certs: pem.certs }));

/** The calls of a connection, which `socket` and `tls` have in common. */
function ofConnection(id: Parameter, server: Parameter): Call[] {
  return [
    call("accept", server),
    call("connections", server),
    call("hasconnection", server),
    call("serve", server, handler, serving),
    call("recv", id, max),
    call("recvInto", id, buffer),
    call("recvExact", id, count),
    call("recvUntil", id, delimiter, until),
    call("recvLine", id, until),
    call("ready", id),
    call("chunks", id, max),
    call("lines", id, until),
    call("peek", id, max),
    call("unrecv", id, data),
    call("send", id, data, sending),
    call("write", id, data, sending),
    call("shutdown", id),
    call("finish", id, finishing),
    call("close", id),
    call("getpeer", id),
    call("getlocal", id),
    call("getside", id),
    starting,
  ];
}

const within = (space: string, calls: Call[]): Call[] =>
  calls.map((call) => ({ ...call, name: `${space}.${call.name}` }));

const ofSockets: Call[] = [
  ...ofConnection(id, server),
  call(
    "tcpserver",
    host,
    port,
    bagOrNumber({ backlog: () => 5, reusePort: no, proxyProtocol: no, handshakeTimeout: timeout }),
  ),
  call("tcpconnect", host, remotePort, connecting),
  call("connect", host, remotePort, connecting),
  call("connect", created, host, remotePort),
  call("unixserver", path, bagOrNumber({ backlog: () => 5 })),
  call("unixconnect", path, waiting),
  call("pair"),
  call("relay", of("a", (f) => f.connection), of("b", (f) => f.other)),
  call("streams", id),
  call("create", of("family", () => socket.AF_INET), of("type", () => socket.SOCK_STREAM)),
  call("bind", created, host, port),
  call("listen", of("id", (f) => f.bound), backlog),
  call("setsockopt", id, level, option, of("value", () => 1)),
  call("getsockopt", id, level, option),
  call("errno"),
  call("strerror", of("n", () => 5)),
  { ...call("isopen", id), neverThrows: true },
  { ...call("istls", id), neverThrows: true },
  call("list"),
  call("inspect", id),
];

const ofTls: Call[] = [
  ...ofConnection(secure, secureServer),
  call("tcpserver", host, port, bagOrNumber({ ...forServer, ...listening }, () => ({ cert, key }))),
  call("tcpconnect", host, remotePort, of("sni", () => "localhost"), bag(forClient)),
  call("connect", host, remotePort, of("sni", () => "localhost"), bag(forClient)),
  call("info", secure),
  call("selfsigned", names),
  call("certificate", secureServer),
  call(
    "setcerts",
    secureServer,
    of("certs", () => certificate, { options: { cert: pem.cert, key: pem.key }, read: true }),
  ),
];

const ofTasks: Call[] = [
  call("await", runningId, bag({ timeout, signal, cancel: yes })),
  call("take", taskId),
  call("settled", ids, waiting),
  call("completions"),
  call("after", ms),
  { ...call("status", taskId), neverThrows: true },
  call("result", taskId),
  call("error", taskId),
  call("list"),
  call("inspect", taskId),
  call("busy"),
  call("wait", waiting),
  call("cancel", runningId, of("reason", () => "reason", { anything: true })),
  call("forget", runningId),
  call("spawn", fn, of("args", () => [1], { read: true, called: true })),
  call("sleep", ms, aborting),
  call("timer", ms, fn),
  call("interval", ms, fn),
  call("all", ids),
  call("any", ids),
  call("race", ids),
  call("channel", of("capacity", () => 1)),
  call(
    "select",
    of("sources", (f) => [f.running, task.channel()], { read: true }),
    waiting,
  ),
  call("mutex"),
  {
    ...call(
      "setFaultHandler",
      of("report", () => null, { called: true, also: (value) => typeof value === "function" }),
    ),
    after: () => task.setFaultHandler(null),
  },
  {
    ...call("setUnclaimedLimit", of("count", () => 5)),
    after: () => task.setUnclaimedLimit(65_536),
  },
];

const anything = of("value", () => "value", { anything: true });
const CALLS_OF_CHANNEL = ["trySend", "tryRecv", "close", "closed"];

function ofChannel(): Call[] {
  const self = () => task.channel(1);
  const after = (channel: task.Channel<unknown>) => channel.close();
  return [
    ...CALLS_OF_CHANNEL.map((name) => call(name, ...(name === "trySend" ? [anything] : []))),
    call("send", anything, aborting),
    call("recv", aborting),
  ].map((call) => ({ ...call, self, after }));
}

function ofMutex(): Call[] {
  const after = (mutex: task.Mutex) => {
    while (mutex.locked) mutex.release();
  };
  const held = () => {
    const mutex = task.mutex();
    mutex.acquire();
    return mutex;
  };
  return [
    { ...call("acquire", waiting), self: held, after },
    { ...call("tryAcquire", of("timeout", () => 1)), self: held, after },
    { ...call("release"), self: held },
    { ...call("synchronize", fn), self: () => task.mutex() },
  ];
}

function ofQueue(): Call[] {
  const self = () => task.completions();
  const after = (queue: task.CompletionQueue) => {
    queue.add(task.after(0)); // whoever waits has something to wait for
    queue[Symbol.dispose]();
  };
  return [
    call("add", runningId),
    call("delete", runningId),
    call("take"),
    call("wait", waiting),
    call(
      "onready",
      of("onready", () => () => {}, { called: true, also: (value) => value === null }),
    ),
  ].map((call) => ({ ...call, self, after }));
}

/** Every function of the module. */
export const calls: readonly Call[] = [
  ...within("socket", ofSockets),
  ...within("tls", ofTls),
  ...within("task", ofTasks),
  ...within("task.Channel", ofChannel()),
  ...within("task.Mutex", ofMutex()),
  ...within("task.CompletionQueue", ofQueue()),
];

/** What the module makes and hands out: programs ask for what they are, and make none. */
export const made: readonly string[] = [
  "socket.SocketError",
  "tls.SocketError",
  "task.CancelledError",
  "task.TimeoutError",
  "task.UnknownTaskError",
  "task.ChannelClosedError",
];
