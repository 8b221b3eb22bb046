// The WebAssembly guest: as a program with many clients, and what its host lets it do.

import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { socket, task } from "@taskio/net";
import { once } from "node:events";
import net from "node:net";
import { assemble } from "../../examples/wasm_guest/assemble.ts";
import { Guest, type GuestOptions } from "../../examples/wasm_guest/guest.ts";
import { until } from "../settle.ts";
import { readFull } from "./peer.ts";
import { portOf, Program } from "./program.ts";

/** Sends text and the end, and reads until the end. */
async function exchange(port: number, text: string): Promise<string> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const sending = (async () => {
    const data = new TextEncoder().encode(text);
    for (let at = 0; at < data.length;) at += await conn.write(data.subarray(at));
    await conn.closeWrite();
  })();
  const decoder = new TextDecoder();
  const data = new Uint8Array(65536);
  let reply = "";
  for (let n; (n = await conn.read(data)) !== null;) {
    reply += decoder.decode(data.subarray(0, n), { stream: true });
  }
  await sending;
  return reply;
}

Deno.test("wasm_guest echoes to many clients at once", async () => {
  await using server = new Program("wasm_guest/host", "--port=0", "--frame=1");
  const listening = await server.line();
  assertMatch(listening, /^WebAssembly echo server running on 127\.0\.0\.1:\d+$/);
  const port = portOf(listening);

  // More than the 16 that fit before its memory has to grow, most of them there all the time.
  const held = await Promise.all(
    Array.from({ length: 50 }, () => Deno.connect({ hostname: "127.0.0.1", port })),
  );
  const texts = Array.from({ length: 30 }, (_, i) => `client ${i} `.repeat(i * 1000));
  const replies = await Promise.all(texts.map((text) => exchange(port, text)));
  assertEquals(replies.map((reply, i) => reply === texts[i]), texts.map(() => true));

  // Those that were silent so far are as well served.
  await Promise.all(held.map(async (conn, i) => {
    const data = new TextEncoder().encode(`held ${i}`);
    await conn.write(data);
    const reply = new Uint8Array(100);
    const n = await conn.read(reply);
    assertEquals(new TextDecoder().decode(reply.subarray(0, n!)), `held ${i}`);
    conn.close();
  }));
  while (await server.line() !== "Connections: 0");
});

Deno.test("wasm_guest answers when something arrives, not at the next frame", async () => {
  await using server = new Program("wasm_guest/host", "--port=0", "--frame=1000");
  using conn = await Deno.connect({ port: portOf(await server.line()) });
  // A frame for each would take longer than the program has.
  for (let i = 0; i < 50; i++) {
    await conn.write(new Uint8Array(10));
    await readFull(conn, 10);
  }
});

Deno.test("wasm_guest goes on after a client that resets", async () => {
  await using server = new Program("wasm_guest/host", "--port=0", "--frame=1");
  const port = portOf(await server.line());
  const client = net.connect(port, "127.0.0.1");
  await once(client, "connect");
  assertEquals(await server.line(), "Connections: 1");
  client.resetAndDestroy();
  assertEquals(await server.line(), "Connections: 0");
  assertEquals(await exchange(port, "next"), "next");
});

Deno.test({
  name: "wasm_guest closes its sockets on Ctrl-C",
  ignore: Deno.build.os === "windows", // has no SIGINT to send
  async fn() {
    await using server = new Program("wasm_guest/host", "--port=0");
    const port = portOf(await server.line());
    using conn = await Deno.connect({ hostname: "127.0.0.1", port });
    await server.line(); // "Connections: 1"
    server.kill("SIGINT");
    const { code, stdout, stderr } = await server.ended();
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, /Interrupted: every socket is closed\.\n$/);
    assertEquals(await conn.read(new Uint8Array(1)).catch(() => null), null);
  },
});

/** A guest that does nothing by itself: it exports what it was given, for the test to call. */
const PUPPET = `(module
  (import "taskio" "accept" (func $accept (param i32) (result i32)))
  (import "taskio" "connect" (func $connect (param i32 i32 i32) (result i32)))
  (import "taskio" "shutdown" (func $shutdown (param i32) (result i32)))
  (import "taskio" "recv" (func $recv (param i32 i32) (result i32)))
  (import "taskio" "send" (func $send (param i32 i32 i32) (result i32)))
  (import "taskio" "status" (func $status (param i32) (result i32)))
  (import "taskio" "result" (func $result (param i32 i32 i32) (result i32)))
  (import "taskio" "close" (func $close (param i32)))
  (export "accept" (func $accept))
  (export "connect" (func $connect))
  (export "shutdown" (func $shutdown))
  (export "recv" (func $recv))
  (export "send" (func $send))
  (export "status" (func $status))
  (export "result" (func $result))
  (export "close" (func $close))
  (memory (export "memory") 1)
  (func (export "start") (param i32))
  (func (export "step") (result i32) unreachable))`;

interface Calls {
  memory: WebAssembly.Memory;
  accept(listener: number): number;
  connect(at: number, size: number, port: number): number;
  shutdown(id: number): number;
  recv(id: number, max: number): number;
  send(id: number, from: number, length: number): number;
  status(id: number): number;
  result(id: number, to: number, size: number): number;
  close(id: number): void;
}

const RUNNING = 0, COMPLETED = 1, FAULTED = 2, UNKNOWN = 3;

/** Runs a test with a puppet that has a connection, and checks that nothing is left behind. */
function testPuppet(
  name: string,
  run: (scene: {
    guest: Guest;
    calls: Calls;
    /** The guest's listener and its connection. */
    listener: number;
    conn: number;
    /** The other end of the connection, which is not the guest's. */
    client: number;
  }) => Promise<void> | void,
  options: GuestOptions = {},
): void {
  Deno.test(`wasm_guest's host ${name}`, async () => {
    const binary = await assemble(PUPPET);
    const before = task.list();
    const listener = socket.tcpserver("127.0.0.1", 0);
    const client = await socket.tcpconnect(...socket.getlocal(listener));
    {
      using guest = await Guest.load(binary, options);
      guest.start(listener);
      const calls = guest.exports as unknown as Calls;
      const accepting = calls.accept(listener);
      await settled(accepting);
      const conn = calls.result(accepting, 0, 0);
      await run({ guest, calls, listener, conn, client });
    }
    // What the guest had is closed and forgotten.
    assertEquals(socket.list(), [client]);
    socket.close(client);
    assertEquals(task.list(), before);
  });
}

/** For a task that nobody but its guest knows of. */
function settled(id: number): Promise<void> {
  return until(() => task.status(id) !== "Running");
}

function memoryAt({ memory }: Calls, at: number, length: number): string {
  return new TextDecoder().decode(new Uint8Array(memory.buffer, at, length));
}

testPuppet("hands over bytes both ways by copying", async ({ calls, conn, client }) => {
  new TextEncoder().encodeInto("to the client", new Uint8Array(calls.memory.buffer));
  const sending = calls.send(conn, 3, 3);
  new Uint8Array(calls.memory.buffer).fill(0); // it was copied
  assertEquals(new TextDecoder().decode(await task.await(socket.recv(client))), "the");
  assertEquals([calls.status(sending), calls.result(sending, 0, 0)], [COMPLETED, 3]);
  assertEquals(calls.status(sending), UNKNOWN);

  await task.await(socket.send(client, "to the guest"));
  const receiving = calls.recv(conn, 100);
  await settled(receiving);
  assertEquals(calls.result(receiving, 1000, 100), 12);
  assertEquals(memoryAt(calls, 1000, 12), "to the guest");
});

testPuppet("receives into a memory that has grown meanwhile", async ({ calls, conn, client }) => {
  const receiving = calls.recv(conn, 100);
  assertEquals([calls.status(receiving), calls.result(receiving, 0, 100)], [RUNNING, -11]);
  const old = calls.memory.buffer;
  calls.memory.grow(1);
  assertEquals(old.byteLength, 0); // detached
  await task.await(socket.send(client, "hello"));
  await settled(receiving);
  assertEquals(calls.result(receiving, 65536 + 100, 100), 5); // a place that is new
  assertEquals(memoryAt(calls, 65536 + 100, 5), "hello");
});

testPuppet("loses nothing when there is no room for a result", async ({ calls, conn, client }) => {
  await task.await(socket.send(client, "hello"));
  const receiving = calls.recv(conn, 100);
  await settled(receiving);
  assertEquals(calls.result(receiving, 0, 4), -90); // EMSGSIZE
  assertEquals(calls.result(receiving, 65536 - 4, 5), -14); // EFAULT: past the end
  assertEquals(calls.result(receiving, -1, 100), -14);
  assertEquals(calls.result(receiving, 65536 - 5, 5), 5);
  assertEquals(memoryAt(calls, 65536 - 5, 5), "hello");
});

testPuppet("tells failures as negative numbers", async ({ calls, listener, conn, client }) => {
  assertEquals(calls.recv(conn, 0), -22); // EINVAL
  assertEquals(calls.recv(conn, -1), -22);
  assertEquals(calls.send(conn, 65536, 1), -14); // EFAULT
  assertEquals(calls.send(conn, 0, -1), -14);

  // Such a number can be asked like a task.
  assertEquals([calls.status(-22), calls.result(-22, 0, 0)], [FAULTED, -22]);

  const confused = calls.recv(listener, 10);
  assertEquals([calls.status(confused), calls.result(confused, 0, 0)], [FAULTED, -95]); // EOPNOTSUPP
  assertEquals([calls.status(confused), calls.result(confused, 0, 0)], [UNKNOWN, -9]); // claimed

  await task.await(socket.shutdown(client));
  const ending = calls.recv(conn, 10);
  await settled(ending);
  assertEquals(calls.result(ending, 0, 10), 0); // the end, in order
});

testPuppet("lets a guest end its sending side", async ({ calls, conn, client }) => {
  const sending = calls.send(conn, 0, 100);
  const ending = calls.shutdown(conn);
  assertEquals((await task.await(socket.recvExact(client, 100))).length, 100);
  assertEquals((await task.await(socket.recv(client))).length, 0);
  await settled(ending);
  assertEquals([calls.result(sending, 0, 0), calls.result(ending, 0, 0)], [100, 0]);
  const late = calls.send(conn, 0, 1);
  assertEquals([calls.status(late), calls.result(late, 0, 0)], [FAULTED, -32]); // EPIPE
  await task.await(socket.send(client, "still"));
  const receiving = calls.recv(conn, 10);
  await settled(receiving);
  assertEquals(calls.result(receiving, 0, 10), 5);
  assertEquals(calls.shutdown(client), -9); // EBADF: not its own
});

testPuppet("lets a guest connect where it may", async ({ calls, client }) => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const [host, port] = socket.getlocal(server);
  const connect = (host: string, port: number) => {
    const { written } = new TextEncoder().encodeInto(host, new Uint8Array(calls.memory.buffer));
    return calls.connect(0, written, port);
  };
  const connecting = connect(host, port);
  const peer = await task.await(socket.accept(server));
  await settled(connecting);
  const conn = calls.result(connecting, 0, 0);
  const sending = calls.send(conn, 0, 9);
  assertEquals(new TextDecoder().decode(await task.await(socket.recv(peer))), "127.0.0.1");
  await settled(sending);
  assertEquals(calls.result(sending, 0, 0), 9);

  assertEquals(connect("127.0.0.2", port), -13); // EACCES
  assertEquals(connect("", port), -13);
  assertEquals(calls.connect(65536 - 8, 9, port), -14); // EFAULT
  assertEquals(connect(host, -1), -22); // EINVAL
  socket.close(server);
  const refused = connect(host, port);
  await settled(refused);
  assertEquals(calls.result(refused, 0, 0), -111); // ECONNREFUSED

  // Nobody takes the results of these.
  connect(...socket.getlocal(client));
  const late = socket.tcpserver("127.0.0.1", 0);
  const unclaimed = connect(...socket.getlocal(late));
  await settled(unclaimed);
  [peer, late].forEach(socket.close);
}, { allow: (host) => host === "127.0.0.1" });

testPuppet("lets a guest connect nowhere unless it is told", ({ calls }) => {
  new TextEncoder().encodeInto("127.0.0.1", new Uint8Array(calls.memory.buffer));
  assertEquals(calls.connect(0, 9, 80), -13); // EACCES
});

testPuppet("wakes when a task has settled, or else for the next frame", async (scene) => {
  const { guest, calls, conn, client } = scene;
  await guest.frame(1);
  const first = calls.recv(conn, 10);
  const second = calls.recv(conn, 10);
  await task.await(socket.send(client, "one"));
  await guest.frame(60_000);
  assertEquals([calls.status(first), calls.status(second)], [COMPLETED, RUNNING]);
  // What the guest leaves unclaimed does not wake anybody again.
  const frame = guest.frame(60_000);
  await task.await(socket.send(client, "two"));
  await frame;
  assertEquals([calls.result(second, 0, 10), calls.result(first, 0, 10)], [3, 3]);
  assertEquals(memoryAt(calls, 0, 3), "one");
});

testPuppet("gives a guest nothing that is not its own", ({ calls, client }) => {
  const foreign = socket.recv(client);
  assertEquals(calls.recv(client, 10), -9); // EBADF
  assertEquals(calls.send(client, 0, 1), -9);
  assertEquals(calls.accept(client), -9);
  assertEquals(calls.status(foreign), UNKNOWN);
  assertEquals(calls.result(foreign, 0, 10), -9);
  calls.close(client);
  assertEquals(socket.isopen(client), true);
  task.cancel(foreign);
  task.forget(foreign);
});

testPuppet("forgets a socket's tasks when the guest closes it", async ({ calls, conn }) => {
  const pending = [calls.recv(conn, 10), calls.send(conn, 0, 10)];
  await settled(pending[1]);
  calls.close(conn);
  assertEquals(pending.map(calls.status), [UNKNOWN, UNKNOWN]);
  assertEquals(pending.map(task.status), ["Unknown", "Unknown"]);
  assertEquals(calls.recv(conn, 10), -9);
  calls.close(conn);
});

testPuppet("bounds how many tasks a guest has at once", ({ calls, conn, listener }) => {
  const ids = Array.from({ length: 10_000 }, () => calls.recv(conn, 10));
  assertEquals([calls.recv(conn, 10), calls.accept(listener)], [-105, -105]); // ENOBUFS
  calls.close(conn);
  assertEquals(new Set(ids.map(calls.status)), new Set([UNKNOWN]));
  const accepting = calls.accept(listener);
  assertEquals(calls.status(accepting), RUNNING);
});

testPuppet("takes everything from a guest that has trapped", ({ guest, calls, listener }) => {
  calls.accept(listener);
  assertThrows(() => guest.step(), WebAssembly.RuntimeError);
});
