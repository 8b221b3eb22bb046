import { assert, assertEquals, assertThrows } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { starttlsPair, tcpPair, tlsPair, unixPair } from "../pair.ts";
import { connectionPrototypes, spyOn } from "../spy.ts";
import { leavingNothing, thrownBy, turn } from "../settle.ts";
import { runProgram } from "../subprocess.ts";

const { SOL_SOCKET, IPPROTO_TCP, SO_REUSEADDR, SO_REUSEPORT, SO_KEEPALIVE, TCP_NODELAY } = socket;
const { AF_INET, AF_UNIX, SOCK_STREAM } = socket;

/** Registers a test; its sockets are closed afterwards. */
function test(name: string, run: () => Promise<void> | void): void {
  Deno.test(name, () =>
    leavingNothing(async () => {
      const before = new Set(socket.list());
      try {
        await run();
      } finally {
        socket.list().filter((id) => !before.has(id)).forEach(socket.close);
        await turn();
      }
    }));
}

/** Every option there is, and some that there are not. */
const options = {
  SO_REUSEADDR: [SOL_SOCKET, SO_REUSEADDR],
  SO_REUSEPORT: [SOL_SOCKET, SO_REUSEPORT],
  SO_KEEPALIVE: [SOL_SOCKET, SO_KEEPALIVE],
  TCP_NODELAY: [IPPROTO_TCP, TCP_NODELAY],
  // SO_RCVBUF, the levels swapped, IPPROTO_IP.
  "another option": [SOL_SOCKET, 8],
  "an option of another level": [IPPROTO_TCP, SO_KEEPALIVE],
  "another level": [0, TCP_NODELAY],
} as const;

type Option = keyof typeof options;

/** What getting it, turning it on and turning it off give, and what getting it gives then. */
type Cell = [get: string, on: string, off: string];

const NO = "ENOPROTOOPT";
const none: Cell = [NO, NO, NO];
const nothing = {
  SO_REUSEADDR: none,
  SO_REUSEPORT: none,
  SO_KEEPALIVE: none,
  TCP_NODELAY: none,
  "another option": none,
  "an option of another level": none,
  "another level": none,
};

const bad: Cell = ["EBADF", "EBADF", "EBADF"];

/** Each kind of socket, how to make one, and what the options do; without --unstable-net. */
const kinds: Record<string, [
  make: () => Promise<socket.SocketId> | socket.SocketId,
  cells: Record<Option, Cell>,
]> = {
  "was created": [() => socket.create(AF_INET, SOCK_STREAM), {
    ...nothing,
    SO_REUSEADDR: ["1", "1", NO],
    SO_REUSEPORT: ["0", NO, "0"],
    SO_KEEPALIVE: ["0", "1", "0"],
    TCP_NODELAY: ["1", "1", "0"],
  }],
  "was created for a path": [() => socket.create(AF_UNIX, SOCK_STREAM), {
    ...nothing,
    SO_REUSEADDR: ["1", "1", NO],
  }],
  listens: [() => socket.tcpserver("127.0.0.1", 0), {
    ...nothing,
    SO_REUSEADDR: ["1", "1", NO],
    SO_REUSEPORT: [NO, "EINVAL", "EINVAL"],
  }],
  "has connected": [async () => (await tcpPair()).client, {
    ...nothing,
    SO_KEEPALIVE: ["0", "1", "0"],
    TCP_NODELAY: ["1", "1", "0"],
  }],
  "was accepted": [async () => (await tcpPair()).peer, {
    ...nothing,
    SO_KEEPALIVE: ["0", "1", "0"],
    TCP_NODELAY: ["1", "1", "0"],
  }],
  "is of TLS": [async () => (await tlsPair()).client, nothing],
  "is of TLS since starttls": [async () => (await starttlsPair()).peer, nothing],
  "is of a path": [async () => (await unixPair()).client, nothing],
  "is closed": [() => {
    const id = socket.create(AF_INET, SOCK_STREAM);
    socket.close(id);
    return id;
  }, {
    SO_REUSEADDR: bad,
    SO_REUSEPORT: bad,
    SO_KEEPALIVE: bad,
    TCP_NODELAY: bad,
    "another option": bad,
    "an option of another level": bad,
    "another level": bad,
  }],
};

for (const [kind, [make, cells]] of Object.entries(kinds)) {
  for (const [name, [get, on, off]] of Object.entries(cells) as [Option, Cell][]) {
    test(`setsockopt() and getsockopt() do as the table says with ${name} when the socket ${kind}`, async () => {
      const [level, option] = options[name];
      const id = await make();
      const read = () => {
        try {
          return String(socket.getsockopt(id, level, option));
        } catch (error) {
          const { code, op } = error as socket.SocketError;
          assertEquals(op, "getsockopt");
          return code;
        }
      };
      /** What it reads once it is set, or why it could not be. */
      const write = (...value: number[]) => {
        try {
          assertEquals(socket.setsockopt(id, level, option, ...value), undefined);
        } catch (error) {
          const { code, op, socket } = error as socket.SocketError;
          assertEquals([op, socket], ["setsockopt", id]);
          return code;
        }
        const now = read();
        return /^E/.test(now) ? `set, but ${now}` : now;
      };
      assertEquals(read(), get);
      // On unless told, and by any number but 0.
      for (const value of [[], [1], [2], [-1], [2 ** 31 - 1], [-(2 ** 31)]]) {
        assertEquals(write(...value), on);
        assertEquals(write(0), off);
      }
      assertEquals(write(), on);
    });
  }
}

test("setsockopt() and getsockopt() give EBADF for what is no socket", async () => {
  const spawned = task.spawn(() => {});
  for (const id of [0, -1, 2 ** 40, spawned as number]) {
    assertEquals(thrownBy(() => socket.setsockopt(id, SOL_SOCKET, SO_KEEPALIVE)), "EBADF");
    assertEquals(thrownBy(() => socket.getsockopt(id, SOL_SOCKET, SO_KEEPALIVE)), "EBADF");
  }
  await task.await(spawned);
});

test("setsockopt() sets the option of the system's socket", async () => {
  const { tcp } = await connectionPrototypes();
  const { client } = await tcpPair();
  using noDelay = spyOn(tcp, "setNoDelay");
  using keepAlive = spyOn(tcp, "setKeepAlive");
  socket.setsockopt(client, IPPROTO_TCP, TCP_NODELAY, 0);
  socket.setsockopt(client, IPPROTO_TCP, TCP_NODELAY);
  assertEquals([noDelay.calls, keepAlive.calls], [[[false], [true]], []]);
  socket.setsockopt(client, SOL_SOCKET, SO_KEEPALIVE);
  socket.setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, 0);
  assertEquals([noDelay.calls.length, keepAlive.calls], [2, [[true], [false]]]);
});

test("setsockopt() throws a SocketError, and changes nothing, when the system refuses", async () => {
  const { tcp } = await connectionPrototypes();
  const { client } = await tcpPair();
  const { setNoDelay } = tcp as Deno.TcpConn;
  Object.assign(tcp, {
    setNoDelay() { // as where a connection that the peer has reset takes no options
      throw new TypeError("Invalid argument (os error 22)");
    },
  });
  try {
    const set = () => socket.setsockopt(client, IPPROTO_TCP, TCP_NODELAY, 0);
    const { op, socket: id, remote } = assertThrows(set, socket.SocketError);
    assertEquals([op, id, remote], ["setsockopt", client, socket.getpeer(client)]);
  } finally {
    Object.assign(tcp, { setNoDelay });
  }
  assertEquals(socket.getsockopt(client, IPPROTO_TCP, TCP_NODELAY), 1);
});

test("setsockopt() of a socket that is connecting is for its connection", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const [hostname, port] = socket.getlocal(server);
  const { connect } = Deno;
  // At each moment until it is connected, and beyond.
  for (let moment = 0; moment < 15; moment++) {
    const client = socket.create(AF_INET, SOCK_STREAM);
    const made = await connect({ hostname, port });
    using noDelay = spyOn(made, "setNoDelay");
    using keepAlive = spyOn(made, "setKeepAlive");
    Deno.connect = (() => Promise.resolve(made)) as unknown as typeof connect;
    let connecting;
    try {
      connecting = socket.connect(client, hostname, port);
    } finally {
      Deno.connect = connect;
    }
    for (let n = 0; n < moment; n++) await Promise.resolve();
    socket.setsockopt(client, IPPROTO_TCP, TCP_NODELAY, 0);
    socket.setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, 1);
    await task.await(connecting);
    const set = [
      socket.getsockopt(client, IPPROTO_TCP, TCP_NODELAY),
      socket.getsockopt(client, SOL_SOCKET, SO_KEEPALIVE),
      noDelay.calls.at(-1) ?? [false],
      keepAlive.calls.at(-1),
    ];
    assertEquals(set, [0, 1, [false], [true]], `${moment}`);
  }
});

test("setsockopt() of a created socket is for its connection", async () => {
  const { tcp } = await connectionPrototypes();
  const server = socket.tcpserver("127.0.0.1", 0);
  for (const [delay, alive] of [[0, 1], [1, 0]]) {
    const client = socket.create(AF_INET, SOCK_STREAM);
    socket.setsockopt(client, IPPROTO_TCP, TCP_NODELAY, delay);
    socket.setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, alive);
    using noDelay = spyOn(tcp, "setNoDelay");
    using keepAlive = spyOn(tcp, "setKeepAlive");
    await task.await(socket.connect(client, ...socket.getlocal(server)));
    assertEquals(noDelay.calls, delay ? [[true]] : []);
    assertEquals(keepAlive.calls, alive ? [[true]] : []);
    assertEquals(socket.getsockopt(client, IPPROTO_TCP, TCP_NODELAY), delay);
    assertEquals(socket.getsockopt(client, SOL_SOCKET, SO_KEEPALIVE), alive);
  }
});

test("getsockopt() knows the noDelay of tcpconnect()", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  for (const noDelay of [true, false]) {
    const client = await socket.tcpconnect(...socket.getlocal(server), { noDelay });
    assertEquals(socket.getsockopt(client, IPPROTO_TCP, TCP_NODELAY), noDelay ? 1 : 0);
  }
});

test("setsockopt() and getsockopt() say what a socket has when it does not have an option", async () => {
  const has: Record<string, string> = {
    "was created": "a created socket has SO_REUSEADDR, SO_REUSEPORT, SO_KEEPALIVE and TCP_NODELAY",
    "was created for a path": "a created Unix socket has SO_REUSEADDR alone",
    listens: "a listener has SO_REUSEADDR alone, which is on",
    "has connected": "a connection has SO_KEEPALIVE and TCP_NODELAY",
    "is of TLS": "a connection over TLS or a Unix socket has none",
    "is of a path": "a connection over TLS or a Unix socket has none",
  };
  for (const [kind, text] of Object.entries(has)) {
    const id = await kinds[kind][0]();
    for (const call of [socket.setsockopt, socket.getsockopt]) {
      const error = assertThrows(() => call(id, SOL_SOCKET, 99), socket.SocketError);
      const reason = `Deno cannot do level ${SOL_SOCKET}, option 99 here: ${text} (ENOPROTOOPT)`;
      assertEquals(error.message.slice(-reason.length), reason);
    }
    if (kind.startsWith("was")) continue;
    const option = kind === "listens" ? SO_KEEPALIVE : SO_REUSEADDR;
    const { message } = assertThrows(() => socket.setsockopt(id, SOL_SOCKET, option)) as Error;
    const reason = `: ${text} (ENOPROTOOPT)`;
    assertEquals(message.slice(-reason.length), reason);
  }
});

test("setsockopt() says what SO_REUSEPORT needs when Deno does not have it", () => {
  const id = socket.create(AF_INET, SOCK_STREAM);
  const error = assertThrows(() => socket.setsockopt(id, SOL_SOCKET, SO_REUSEPORT));
  assert((error as Error).message.includes("--unstable-net"));
});

Deno.test({
  name: "setsockopt() of SO_REUSEPORT lets sockets share a port with --unstable-net",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const { stdout, stderr, code } = await runProgram(
      `
      const { AF_INET, SOCK_STREAM, SOL_SOCKET, SO_REUSEPORT } = socket;
      const create = (port, share) => {
        const id = socket.create(AF_INET, SOCK_STREAM);
        socket.setsockopt(id, SOL_SOCKET, SO_REUSEPORT, share);
        console.log("option", socket.getsockopt(id, SOL_SOCKET, SO_REUSEPORT));
        socket.bind(id, "127.0.0.1", port);
        socket.listen(id);
        return id;
      };
      const first = create(0, 1);
      const [ip, port] = socket.getlocal(first);
      const second = create(port, 1);
      console.log(socket.getlocal(second)[1] === port);
      try {
        create(port, 0);
      } catch (error) {
        console.log(error.code, error.op);
      }
      const bound = socket.create(AF_INET, SOCK_STREAM);
      socket.bind(bound, "127.0.0.1");
      for (const id of [first, bound]) {
        try {
          socket.setsockopt(id, SOL_SOCKET, SO_REUSEPORT);
        } catch (error) {
          console.log(error.code);
        }
      }
      const ids = [first, second].map((server) => socket.accept(server));
      while (ids.some((id) => task.status(id) === "Running")) await socket.tcpconnect(ip, port);
      console.log(...ids.map((id) => task.status(id)));
      socket.list().forEach(socket.close);
      `,
      ["--allow-net", "--unstable-net", "--no-check"],
    );
    assertEquals([stderr, code], ["", 0]);
    assertEquals(stdout.trim().split("\n"), [
      "option 1",
      "option 1",
      "true",
      "option 0",
      "EADDRINUSE bind",
      "EINVAL",
      "EINVAL",
      "Completed Completed",
    ]);
  },
});

// deno-lint-ignore no-explicit-any
type Anything = any;

test("setsockopt() and getsockopt() throw when an argument is wrong", () => {
  const id = socket.create(AF_INET, SOCK_STREAM);
  const calls: [string, (value: Anything) => unknown][] = [
    ["level", (value) => socket.setsockopt(id, value, SO_KEEPALIVE)],
    ["level", (value) => socket.getsockopt(id, value, SO_KEEPALIVE)],
    ["option", (value) => socket.setsockopt(id, SOL_SOCKET, value)],
    ["option", (value) => socket.getsockopt(id, SOL_SOCKET, value)],
    ["value", (value) => socket.setsockopt(id, SOL_SOCKET, SO_KEEPALIVE, value)],
    ["value", (value) => socket.setsockopt(0, SOL_SOCKET, SO_KEEPALIVE, value)],
  ];
  for (const [name, call] of calls) {
    for (const value of [null, "1", true, {}, 1n]) {
      assertThrows(() => call(value), TypeError, `"${name}" must be an integer`);
    }
    for (const value of [1.5, NaN, Infinity, 2 ** 31, -(2 ** 31) - 1]) {
      assertThrows(() => call(value), RangeError, `"${name}" must be an integer`);
    }
  }
  for (const value of [undefined, null, "1", 1.5] as Anything[]) {
    const set = () => socket.setsockopt(value, SOL_SOCKET, SO_KEEPALIVE);
    assertThrows(set, TypeError, "must be an integer ID");
    const get = () => socket.getsockopt(value, SOL_SOCKET, SO_KEEPALIVE);
    assertThrows(get, TypeError, "must be an integer ID");
  }
  assertEquals(socket.getsockopt(id, SOL_SOCKET, SO_KEEPALIVE), 0);
});
