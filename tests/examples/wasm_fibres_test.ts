// The WebAssembly guest that waits: as a program with many clients, and what its host lets it do.

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { socket, task } from "@taskio/net";
import { once } from "node:events";
import net from "node:net";
import { assemble } from "../../examples/wasm_guest/assemble.ts";
import { FibreGuest } from "../../examples/wasm_guest/fibres.ts";
import echo from "../../examples/wasm_guest/fibres.wat" with { type: "text" };
import type { GuestOptions } from "../../examples/wasm_guest/guest.ts";
import { leavingNothing, turn, until } from "../settle.ts";
import { exchange, pattern, readFull } from "./peer.ts";
import { portOf, Program, refusingPort } from "./program.ts";

Deno.test("wasm_guest's fibres echo to many clients at once, each from a stack of its own", async () => {
  await using server = new Program("wasm_guest/fibres_host", "--port=0");
  const listening = await server.line();
  assertMatch(listening, /^WebAssembly echo server running on 127\.0\.0\.1:\d+$/);
  const port = portOf(listening);
  const held = await Promise.all(
    Array.from({ length: 50 }, () => Deno.connect({ hostname: "127.0.0.1", port })),
  );
  const sent = Array.from({ length: 30 }, (_, i) => pattern(i * 20_000, i));
  const replies = await Promise.all(sent.map((data) => exchange(port, data)));
  for (const [i, reply] of replies.entries()) assertEquals(reply, sent[i]);

  // Those that were silent so far are as well served.
  await Promise.all(held.map(async (conn, i) => {
    for (let round = 0; round < 3; round++) {
      await conn.write(pattern(100, i + round));
      assertEquals(await readFull(conn, 100), pattern(100, i + round));
    }
    conn.close();
  }));
});

Deno.test("wasm_guest's fibres go on after clients that reset", async () => {
  await using server = new Program("wasm_guest/fibres_host", "--port=0");
  const port = portOf(await server.line());
  for (let i = 0; i < 30; i++) {
    const client = net.connect(port, "127.0.0.1");
    await once(client, "connect");
    // At once, while it sends, and while it is sent to
    if (i % 3 > 0) client.write(new Uint8Array(1_000_000));
    if (i % 3 > 1) await once(client, "data");
    client.resetAndDestroy();
  }
  assertEquals(await exchange(port, pattern(1000, 1)), pattern(1000, 1));
});

Deno.test({
  name: "wasm_guest's fibres end on Ctrl-C",
  ignore: Deno.build.os === "windows", // has no SIGINT to send
  async fn() {
    await using server = new Program("wasm_guest/fibres_host", "--port=0");
    const port = portOf(await server.line());
    using conn = await Deno.connect({ hostname: "127.0.0.1", port });
    await conn.write(new Uint8Array(5));
    assertEquals(await conn.read(new Uint8Array(10)), 5);
    server.kill("SIGINT");
    const stdout = "Interrupted: every socket is closed.\n";
    assertEquals(await server.ended(), { code: 0, stdout, stderr: "" });
    assertEquals(await conn.read(new Uint8Array(1)).catch(() => null), null);
  },
});

/** The calls and how many arguments they take. */
const CALLS = { accept: 1, connect: 3, recv: 3, send: 3, shutdown: 1, spawn: 1, close: 1 };

/** A guest that does nothing by itself: it exports what it was given, for the test to call. */
const PUPPET = `(module
  ${
  Object.entries(CALLS).map(([name, count]) =>
    `(import "taskio" "${name}" (func $${name} (param ${"i32 ".repeat(count)})
      ${name === "close" ? "" : "(result i32)"}))`
  ).join("\n")
}
  (memory (export "memory") 1 100)
  (func (export "fibre") (param i32)
    (drop (call $recv (local.get 0) (i32.const 60000) (i32.const 10)))
    (if (i32.eq (i32.load8_u (i32.const 60000)) (i32.const 33)) (then unreachable)))
  ${
  Object.entries(CALLS).map(([name, count]) => {
    const args = Array.from({ length: count }, (_, i) => `(local.get ${i})`).join(" ");
    return `(func (export "${name}") (param ${"i32 ".repeat(count)}) (result i32)
      (call $${name} ${args}) ${name === "close" ? "(i32.const 0)" : ""})`;
  }).join("\n")
})`;

interface Scene {
  guest: FibreGuest;
  /** Makes a call in a fibre of its own. */
  call(name: keyof typeof CALLS, ...args: number[]): Promise<number>;
  memory: WebAssembly.Memory;
  /** The guest's listener and its connection. */
  listener: number;
  conn: number;
  /** The other end of the connection, which is not the guest's. */
  client: number;
}

/** Runs a test with a puppet that has a connection, and checks that nothing is left behind. */
function testPuppet(
  name: string,
  run: (scene: Scene) => Promise<void>,
  options: GuestOptions = {},
): void {
  Deno.test(`wasm_guest's host of fibres ${name}`, () =>
    leavingNothing(async () => {
      const before = task.list();
      const listener = socket.tcpserver("127.0.0.1", 0);
      const client = await socket.tcpconnect(...socket.getlocal(listener));
      using guest = await FibreGuest.load(await assemble(PUPPET), options);
      guest.give(listener);
      const call: Scene["call"] = (name, ...args) => guest.run(name, ...args);
      const memory = guest.exports.memory as WebAssembly.Memory;
      const conn = await call("accept", listener);
      await run({ guest, call, memory, listener, conn, client });
      guest[Symbol.dispose]();
      socket.close(client);
      await until(() => guest.fibres === 0 && task.list().length === before.length);
    }));
}

function text({ buffer }: WebAssembly.Memory, at: number, length: number): string {
  return new TextDecoder().decode(new Uint8Array(buffer, at, length).slice());
}

testPuppet("gives results when there are some", async ({ call, memory, conn, client }) => {
  const receiving = [call("recv", conn, 0, 5), call("recv", conn, 100, 100)];
  await turn();
  await task.await(socket.send(client, "hello world"));
  assertEquals(await Promise.all(receiving), [5, 6]);
  assertEquals([text(memory, 0, 5), text(memory, 100, 6)], ["hello", " world"]);
  assertEquals(await call("send", conn, 1, 4), 4);
  assertEquals(await task.await(socket.recvExact(client, 4)), new TextEncoder().encode("ello"));
  assertEquals(await call("shutdown", conn), 0);
  assertEquals((await task.await(socket.recv(client))).length, 0);
  assertEquals(await call("send", conn, 0, 1), -32); // EPIPE
  await task.await(socket.shutdown(client));
  assertEquals(await call("recv", conn, 0, 10), 0);
  assertEquals(await call("close", conn), 0);
  assertEquals(await call("recv", conn, 0, 10), -9); // EBADF
});

for (const size of [1000, 32_768]) {
  testPuppet(`receives ${size} bytes into memory that grows meanwhile`, async (scene) => {
    const { call, memory, conn, client } = scene;
    const at = 65_536 - size;
    for (let round = 1; round < 10; round++) {
      const receiving = call("recv", conn, at, size);
      for (let i = 0; i < 10; i++) await turn(); // the read is under way
      memory.grow(round);
      task.forget(socket.send(client, new Uint8Array(size).fill(round)));
      for (
        let n = await receiving, received = 0;;
        n = await call("recv", conn, at + received, size - received)
      ) {
        assertEquals(n > 0, true, `recv gave ${n}`);
        received += n;
        if (received === size) break;
      }
      const bytes = new Uint8Array(memory.buffer, at, size);
      assertEquals(bytes.every((byte) => byte === round), true);
      // A place that is new, and out of it
      const far = memory.buffer.byteLength - 10;
      await task.await(socket.send(client, "0123456789"));
      assertEquals([await call("recv", conn, far, 10), text(memory, far, 10)], [10, "0123456789"]);
      const sending = call("send", conn, far, 10);
      memory.grow(1);
      assertEquals(await sending, 10);
      const reply = await task.await(socket.recvExact(client, 10));
      assertEquals(new TextDecoder().decode(reply), "0123456789");
    }
  });
}

testPuppet("refuses what is not the guest's", async ({ call, listener, conn, client }) => {
  for (const id of [client, 0, -1, 2 ** 31 - 1]) {
    assertEquals(await call("accept", id), -9); // EBADF
    assertEquals([await call("recv", id, 0, 10), await call("send", id, 0, 10)], [-9, -9]);
    assertEquals([await call("shutdown", id), await call("close", id)], [-9, 0]);
  }
  assertEquals(socket.isopen(client), true);
  assertEquals([await call("recv", listener, 0, 10), await call("accept", conn)], [-95, -95]);
  for (const [at, size] of [[65_536, 1], [65_530, 7], [-1, 1], [0, -1], [-1, -1]]) {
    assertEquals([await call("recv", conn, at, size), await call("send", conn, at, size)], [
      -14, // EFAULT
      -14,
    ]);
    assertEquals(await call("connect", at, size, 80), -14);
  }
  assertEquals(await call("recv", conn, 0, 0), -22); // EINVAL
  await task.await(socket.send(client, "hello"));
  assertEquals(await call("recv", conn, 65_530, 6), 5); // nothing was lost
});

testPuppet("lets a guest connect where it may", async ({ call, memory }) => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const [, port] = socket.getlocal(server);
  const connect = (host: string, port: number) => {
    new Uint8Array(memory.buffer).set(new TextEncoder().encode(host));
    return call("connect", 0, host.length, port);
  };
  const conn = await connect("127.0.0.1", port);
  const peer = await task.await(socket.accept(server));
  assertEquals(await call("send", conn, 0, 9), 9);
  assertEquals((await task.await(socket.recvExact(peer, 9))).length, 9);
  [server, peer].forEach(socket.close);
  assertEquals(await connect("127.0.0.1", port), -111); // ECONNREFUSED
  assertEquals([await connect("127.0.0.2", port), await connect("127.0.0.1", -1)], [-13, -22]);
}, { allow: (host) => host === "127.0.0.1" });

testPuppet("lets a guest connect nowhere unless it is told", async ({ call }) => {
  assertEquals(await call("connect", 0, 9, 80), -13); // EACCES
});

testPuppet("bounds how many fibres a guest has", async ({ guest, call, conn }) => {
  for (let i = 0; i < 10_000 - 1; i++) assertEquals(await call("spawn", conn), 0);
  assertEquals(guest.fibres, 10_000 - 1);
  const receiving = call("recv", conn, 0, 1);
  assertEquals(await call("spawn", conn), -11); // EAGAIN
  await call("close", conn);
  assertEquals(await receiving, -103); // ECONNABORTED
  await until(() => guest.fibres === 0);
});

testPuppet("ends a guest of which a fibre has trapped, and nothing else", async (scene) => {
  const { guest, call, listener, conn, client } = scene;
  const other = await socket.tcpconnect(...socket.getlocal(listener));
  const second = await call("accept", listener);
  const waiting = [call("recv", second, 0, 10), call("accept", listener)];
  const ended = waiting.map((fibre) => assertRejects(() => fibre, WebAssembly.RuntimeError));
  assertEquals(await call("spawn", conn), 0);
  await turn();
  await task.await(socket.send(client, "!")); // at which it traps
  await Promise.all(ended);
  assertEquals([socket.isopen(conn), socket.isopen(second), socket.isopen(listener)], [
    false,
    false,
    false,
  ]);
  assertEquals([socket.isopen(client), socket.isopen(other)], [true, true]);
  assertEquals((await task.await(socket.recv(other))).length, 0);
  await assertRejects(() => guest.run("accept", listener), WebAssembly.RuntimeError);
  socket.close(other);
});

testPuppet("ends fibres that wait when it is disposed of", async (scene) => {
  const { guest, call, memory, listener, conn, client } = scene;
  new Uint8Array(memory.buffer).set(new TextEncoder().encode("127.0.0.1"));
  const [, port] = socket.getlocal(listener);
  const waiting = [
    call("recv", conn, 0, 40_000),
    call("accept", listener),
    call("connect", 0, 9, port),
  ];
  const ended = waiting.map((fibre) => assertRejects(() => fibre, Error, "The guest was ended"));
  guest[Symbol.dispose]();
  await Promise.all(ended);
  assertEquals((await task.await(socket.recv(client))).length, 0);
}, { allow: () => true });

Deno.test("wasm_guest's fibres can connect by themselves", () =>
  leavingNothing(async () => {
    using guest = await FibreGuest.load(await assemble(echo), { allow: () => true });
    const listener = socket.tcpserver("127.0.0.1", 0);
    guest.give(listener);
    const serving = guest.run("main", listener);
    const { buffer } = guest.exports.memory as WebAssembly.Memory;
    new TextEncoder().encodeInto("127.0.0.1", new Uint8Array(buffer as ArrayBuffer, 0, 9).fill(0));
    const [, port] = socket.getlocal(listener);
    assertEquals(await guest.run("ask", 0, 9, port), 9); // its own server answers
    socket.close(listener);
    assertEquals(await serving, -103); // ECONNABORTED
    assertEquals(await guest.run("ask", 0, 9, refusingPort), -111); // ECONNREFUSED
  }));

Deno.test("wasm_guest's host of fibres refuses a memory without a maximum", async () => {
  const binary = await assemble(`(module (memory (export "memory") 1))`);
  await assertRejects(() => FibreGuest.load(binary), TypeError, "maximum");
});
