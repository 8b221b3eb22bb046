// What holds memory or a connection, and lets go of it.

import { assert, assertEquals } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { receive, receiveText } from "../bytes.ts";
import { tcpPair } from "../pair.ts";
import { leavingNothing, until } from "../settle.ts";
import { connectionPrototypes, spyOn } from "../spy.ts";

/** Registers a test; all sockets that it opens are closed afterwards. */
function test(name: string, run: () => Promise<void>): void {
  Deno.test(name, () =>
    leavingNothing(async () => {
      const before = new Set(socket.list());
      try {
        await run();
      } finally {
        socket.list().filter((id) => !before.has(id)).forEach(socket.close);
        task.list().forEach(task.forget);
      }
    }));
}

/** Its peer has closed the connection; one that did not must not hang the run. */
async function assertEnded(client: socket.SocketId): Promise<void> {
  const end = await task.await(socket.recv(client), { timeout: 20_000 });
  assertEquals(end, new Uint8Array(0));
}

/** What the system's listeners have in common. */
function listenerPrototype(): { accept: () => Promise<Deno.Conn> } {
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  probe.close();
  return Object.getPrototypeOf(probe);
}

test("recv() reads into a large buffer while much comes, and into a small one afterwards", async () => {
  const { any } = await connectionPrototypes();
  using pair = await tcpPair();
  using reads = spyOn(any, "read");
  const sizes = () => reads.calls.map(([buffer]) => (buffer as Uint8Array).length);
  const much = 4 * 1024 * 1024;
  socket.send(pair.peer, new Uint8Array(much));
  await receive(pair.client, much);
  const largest = Math.max(...sizes());
  assert(largest >= 32 * 1024, `${largest} bytes at once, of many`);
  for (let i = 0; i < 200; i++) {
    await task.await(socket.send(pair.peer, "few"));
    assertEquals(await receiveText(pair.client, 3), "few");
  }
  const last = sizes().at(-1)!;
  assert(last <= 8 * 1024, `${last} bytes at once, of few`);
});

for (
  const [code, make] of [
    ["ECONNABORTED", () => new Deno.errors.ConnectionAborted("software caused connection abort")],
    ["ECONNRESET", () => new Deno.errors.ConnectionReset("connection reset by peer")],
    ["EPROTO", () => new Error("protocol error")],
  ] as const
) {
  test(`accept() goes on when the system says ${code} of a connection`, async () => {
    const server = socket.tcpserver("127.0.0.1", 0);
    const prototype = listenerPrototype();
    const { accept } = prototype;
    let failures = 0;
    prototype.accept = function () {
      if (failures++ < 3) return Promise.reject(Object.assign(make(), { code }));
      return accept.call(this);
    };
    try {
      const accepting = [socket.accept(server), socket.accept(server)];
      const client = await socket.tcpconnect(...socket.getlocal(server));
      const peer = await task.await(accepting[0]);
      assertEquals(socket.getpeer(peer), socket.getlocal(client));
      assertEquals(task.status(accepting[1]), "Running");
      assert(failures > 3);
      task.cancel(accepting[1]);
      socket.close(server);
    } finally {
      prototype.accept = accept;
    }
  });
}

test("accept() closes its connection when its task was forgotten before it came", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const accepting = socket.accept(server);
  task.forget(accepting);
  const client = await socket.tcpconnect(...socket.getlocal(server));
  await assertEnded(client);
  assertEquals([task.status(accepting), socket.list()], ["Unknown", [server, client]]);
});

test("accept() closes its connection when its task is forgotten after it came", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const accepting = socket.accept(server);
  const client = await socket.tcpconnect(...socket.getlocal(server));
  await until(() => task.status(accepting) === "Completed");
  const peer = task.result(accepting)!;
  assert(socket.list().includes(peer));
  task.forget(accepting);
  assertEquals(socket.list(), [server, client]);
  await assertEnded(client);
});

const { SOL_SOCKET, SO_KEEPALIVE } = socket;

/** What a program may do with a connection that an accept gave, and has not used it. */
const looks: Record<string, (id: socket.SocketId) => unknown> = {
  isopen: socket.isopen,
  istls: socket.istls,
  list: () => socket.list(),
  inspect: (id) => socket.inspect(id),
  getlocal: socket.getlocal,
  getsockopt: (id) => socket.getsockopt(id, SOL_SOCKET, SO_KEEPALIVE),
  setsockopt: (id) => socket.setsockopt(id, SOL_SOCKET, SO_KEEPALIVE),
};

/** What makes the connection the program's. */
const uses: Record<string, (id: socket.SocketId) => unknown> = {
  getpeer: socket.getpeer,
  getside: socket.getside,
  recv: (id) => socket.recv(id),
  peek: (id) => socket.peek(id),
  ready: (id) => socket.ready(id),
  send: (id) => socket.send(id, "x"),
  unrecv: (id) => socket.unrecv(id, "x"),
  streams: (id) => socket.streams(id),
  "recv of tls": (id) => tls.recv(id), // a use, though it faults
};

for (const [calls, stays] of [[looks, false], [uses, true]] as const) {
  for (const [name, call] of Object.entries(calls)) {
    const does = stays ? "leaves a connection open" : "closes a connection";
    test(`forget() of an accept ${does} after ${name}()`, async () => {
      const server = socket.tcpserver("127.0.0.1", 0);
      const accepting = socket.accept(server);
      await socket.tcpconnect(...socket.getlocal(server));
      await until(() => task.status(accepting) === "Completed");
      const peer = task.result(accepting)!;
      call(peer);
      task.forget(accepting);
      assertEquals(socket.isopen(peer), stays);
    });
  }
}

test("close() of a listener closes the connections that are ready", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const client = await socket.tcpconnect(...socket.getlocal(server));
  await until(() => socket.hasconnection(server));
  assertEquals((socket.inspect(server) as socket.ListenerRecord).ready, 1);
  socket.close(server);
  await assertEnded(client);
});

test("listen() and unixserver() ask for a backlog of 128, or of as many as they are told", async () => {
  const folder = await Deno.makeTempDir({ prefix: "taskio_" });
  try {
    for (const backlog of [undefined, 9]) {
      const bound = socket.create(socket.AF_INET, socket.SOCK_STREAM);
      socket.bind(bound, "127.0.0.1", 0);
      using listens = spyOn(Deno, "listen");
      socket.listen(bound, backlog);
      if (Deno.build.os !== "windows") socket.unixserver(`${folder}/${backlog}.sock`, { backlog });
      for (const [options] of listens.calls) {
        assertEquals((options as Deno.TcpListenOptions).tcpBacklog, backlog ?? 128);
      }
      assert(listens.calls.length > 0);
    }
  } finally {
    socket.list().forEach(socket.close);
    await Deno.remove(folder, { recursive: true });
  }
});
