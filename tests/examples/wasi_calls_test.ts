// What the WASI host lets a program do, call by call: good and bad.

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { socket, task } from "@taskio/net";
import { promising } from "../../examples/wasi_host/jspi.ts";
import { TerminatedError, Wasi, type WasiOptions } from "../../examples/wasi_host/wasi.ts";
import { leavingNothing, turn, until } from "../settle.ts";
import { assemble } from "../../examples/wasm_guest/assemble.ts";

/** The calls, with the types of their arguments; those of the second kind may wait. */
const IMMEDIATE = {
  args_sizes_get: "i32 i32",
  args_get: "i32 i32",
  environ_sizes_get: "i32 i32",
  environ_get: "i32 i32",
  clock_res_get: "i32 i32",
  clock_time_get: "i32 i64 i32",
  random_get: "i32 i32",
  fd_close: "i32",
  fd_renumber: "i32 i32",
  fd_fdstat_get: "i32 i32",
  fd_fdstat_set_flags: "i32 i32",
  fd_filestat_get: "i32 i32",
  fd_prestat_get: "i32 i32",
  fd_seek: "i32 i64 i32 i32",
  fd_sync: "i32",
  path_open: "i32 i32 i32 i32 i32 i64 i64 i32 i32",
  sock_shutdown: "i32 i32",
} as const;
const WAITING = {
  fd_read: "i32 i32 i32 i32",
  fd_write: "i32 i32 i32 i32",
  poll_oneoff: "i32 i32 i32 i32",
  sched_yield: "",
  sock_accept: "i32 i32 i32",
  sock_recv: "i32 i32 i32 i32 i32 i32",
  sock_send: "i32 i32 i32 i32 i32",
} as const;

const SUCCESS = 0, AGAIN = 6, BADF = 8, CONNRESET = 15, FAULT = 21, INVAL = 28, MFILE = 33;
const NOSYS = 52, NOTSOCK = 57, NOTSUP = 58, PIPE = 64, SPIPE = 70;
const NONBLOCK = 4;

/** A program that does nothing by itself: it exports what it was given, for the test to call. */
const PUPPET = `(module
  ${
  Object.entries({ ...IMMEDIATE, ...WAITING }).map(([name, types]) =>
    `(import "wasi_snapshot_preview1" "${name}" (func $${name} (param ${types}) (result i32)))`
  ).join("\n")
}
  (memory (export "memory") 2)
  (func (export "_start") unreachable)
  ${
  Object.entries({ ...IMMEDIATE, ...WAITING }).map(([name, types]) => {
    const args = types === "" ? "" : types.split(" ").map((_, i) => `(local.get ${i})`).join(" ");
    return `(func (export "${name}") (param ${types}) (result i32) (call $${name} ${args}))`;
  }).join("\n")
})`;

/** The end of the puppet's memory. */
const END = 2 * 65_536;

/** The puppet's program and what a test needs to play with it. */
class Puppet implements Disposable {
  readonly wasi: Wasi;
  readonly #memory: WebAssembly.Memory;

  private constructor(wasi: Wasi) {
    this.wasi = wasi;
    this.#memory = wasi.exports.memory as WebAssembly.Memory;
  }

  static async make(options: WasiOptions): Promise<Puppet> {
    return new Puppet(new Wasi(await WebAssembly.compile(await assemble(PUPPET)), options));
  }

  [Symbol.dispose](): void {
    this.wasi[Symbol.dispose]();
  }

  /** A call that never waits. */
  call(name: keyof typeof IMMEDIATE, ...args: (number | bigint)[]): number {
    return (this.wasi.exports[name] as (...args: (number | bigint)[]) => number)(...args);
  }

  /** A call that may wait. */
  wait(name: keyof typeof WAITING, ...args: number[]): Promise<number> {
    return promising(this.wasi.exports[name])(...args) as Promise<number>;
  }

  get view(): DataView {
    return new DataView(this.#memory.buffer);
  }

  uint32(at: number): number {
    return this.view.getUint32(at, true);
  }

  bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, at, length);
  }

  text(at: number, length: number): string {
    return new TextDecoder().decode(this.bytes(at, length));
  }

  /** Writes a list of one buffer to address 0. */
  part(at: number, length: number): void {
    this.view.setUint32(0, at, true);
    this.view.setUint32(4, length, true);
  }

  /** Receives into address 100, up to 1000 bytes; gives the failure or the text. */
  async recv(fd: number, max = 1000, flags = 0): Promise<number | string> {
    this.part(100, max);
    const errno = await this.wait("sock_recv", fd, 0, 1, flags, 8, 12);
    return errno === SUCCESS ? this.text(100, this.uint32(8)) : errno;
  }

  /** Sends that much from address 100; gives the failure, or how much was sent. */
  async send(fd: number, length: number): Promise<{ errno: number; sent: number }> {
    this.part(100, length);
    const errno = await this.wait("sock_send", fd, 0, 1, 0, 8);
    return { errno, sent: this.uint32(8) };
  }

  /** Polls for these; gives what was found by userdata. */
  async poll(
    subscriptions: Subscription[],
  ): Promise<Record<string, [errno: number, size: number]>> {
    const { view } = this;
    const from = 10_000, to = 50_000;
    for (const [i, { kind, fd = 0, ms = 0, flags = 0, clock = 1 }] of subscriptions.entries()) {
      const at = from + i * 48;
      this.bytes(at, 48).fill(0);
      view.setBigUint64(at, BigInt(i), true);
      view.setUint8(at + 8, kind);
      view.setUint32(at + 16, kind === 0 ? clock : fd, true);
      view.setBigUint64(at + 24, BigInt(Math.round(ms * 1e6)), true);
      view.setUint16(at + 40, flags, true);
    }
    const errno = await this.wait("poll_oneoff", from, to, subscriptions.length, 8);
    assertEquals(errno, SUCCESS);
    const found: Record<string, [number, number]> = {};
    for (let at = to; at < to + this.uint32(8) * 32; at += 32) {
      const index = Number(view.getBigUint64(at, true));
      assertEquals(view.getUint8(at + 10), subscriptions[index].kind);
      found[index] = [view.getUint16(at + 8, true), Number(view.getBigUint64(at + 16, true))];
    }
    return found;
  }
}

interface Subscription {
  kind: number;
  fd?: number;
  ms?: number;
  flags?: number;
  clock?: number;
}

const CLOCK = 0, READ = 1, WRITE = 2;

/** Runs a test with a puppet that has a listener, 3, and a connection, 4; nothing may be left. */
function testPuppet(
  name: string,
  run: (scene: { puppet: Puppet; client: number; address: socket.Address }) => Promise<void>,
  options: WasiOptions = {},
): void {
  Deno.test(`wasi_host's ${name}`, () =>
    leavingNothing(async () => {
      const before = task.list();
      const listener = socket.tcpserver("127.0.0.1", 0);
      const address = socket.getlocal(listener);
      const client = await socket.tcpconnect(...address);
      {
        using puppet = await Puppet.make({ preopened: [listener], ...options });
        assertEquals(await puppet.wait("sock_accept", 3, 0, 8), SUCCESS);
        assertEquals(puppet.uint32(8), 4);
        await run({ puppet, client, address });
      }
      socket.close(client);
      await until(() => task.list().length === before.length);
    }));
}

testPuppet("sock_recv and sock_send block until something was done", async ({ puppet, client }) => {
  const receiving = puppet.recv(4);
  await turn();
  await task.await(socket.send(client, "hello"));
  assertEquals(await receiving, "hello");
  puppet.bytes(100, 3).set([97, 98, 99]);
  assertEquals(await puppet.send(4, 3), { errno: SUCCESS, sent: 3 });
  assertEquals(await task.await(socket.recvExact(client, 3)), new Uint8Array([97, 98, 99]));
  await task.await(socket.shutdown(client));
  assertEquals([await puppet.recv(4), await puppet.recv(4)], ["", ""]);
});

testPuppet("fd_read and fd_write are recv and send, over several buffers", async (scene) => {
  const { puppet, client } = scene;
  await task.await(socket.send(client, "one two three"));
  // Buffers of 3, 0, 5 and 100 bytes
  for (const [i, [at, length]] of [[1000, 3], [0, 0], [2000, 5], [3000, 100]].entries()) {
    puppet.view.setUint32(200 + i * 8, at, true);
    puppet.view.setUint32(204 + i * 8, length, true);
  }
  assertEquals([await puppet.wait("fd_read", 4, 200, 4, 8), puppet.uint32(8)], [SUCCESS, 13]);
  const texts = [puppet.text(1000, 3), puppet.text(2000, 5), puppet.text(3000, 5)];
  assertEquals(texts, ["one", " two ", "three"]);
  assertEquals([await puppet.wait("fd_write", 4, 200, 3, 8), puppet.uint32(8)], [SUCCESS, 8]);
  assertEquals(await task.await(socket.recvExact(client, 8)), new TextEncoder().encode("one two "));
});

testPuppet("sock_recv looks with PEEK and fills the buffer with WAITALL", async (scene) => {
  const { puppet, client } = scene;
  const peeking = puppet.recv(4, 1000, 1);
  await task.await(socket.send(client, "abc"));
  assertEquals(await peeking, "abc");
  assertEquals(await puppet.recv(4, 2, 1), "ab");
  const all = puppet.recv(4, 6, 2);
  await turn();
  await task.await(socket.send(client, "defgh"));
  assertEquals(await all, "abcdef");
  const rest = puppet.recv(4, 6, 2);
  await task.await(socket.shutdown(client));
  assertEquals(await rest, "gh"); // all that there is
});

testPuppet("non-blocking calls say AGAIN and lose nothing", async ({ puppet, client, address }) => {
  for (const fd of [3, 4]) assertEquals(puppet.call("fd_fdstat_set_flags", fd, NONBLOCK), SUCCESS);
  assertEquals(puppet.call("fd_fdstat_get", 4, 200), SUCCESS);
  assertEquals([puppet.view.getUint8(200), puppet.view.getUint16(202, true)], [6, NONBLOCK]);

  assertEquals([await puppet.recv(4), await puppet.recv(4, 10, 1)], [AGAIN, AGAIN]);
  assertEquals(await puppet.wait("sock_accept", 3, 0, 8), AGAIN);
  await task.await(socket.send(client, "hello"));
  const second = await socket.tcpconnect(...address);
  let received: number | string;
  // It asks without a pause; what arrives finds its way all the same.
  while ((received = await puppet.recv(4)) === AGAIN);
  assertEquals(received, "hello");
  while (await puppet.wait("sock_accept", 3, NONBLOCK, 8) === AGAIN);
  assertEquals(puppet.uint32(8), 5);
  assertEquals(await puppet.recv(5), AGAIN); // as accept() was asked to make it
  socket.close(second);
});

testPuppet("sock_send queues so much and no more", async ({ puppet, client }) => {
  puppet.call("fd_fdstat_set_flags", 4, NONBLOCK);
  const size = 100_000;
  puppet.bytes(100, size).forEach((_, i, bytes) => bytes[i] = i % 251);
  let total = 0;
  for (let full = 0; full < 200;) { // until the system takes no more either
    const { errno, sent } = await puppet.send(4, size);
    assertEquals(sent <= 65_536, true);
    if (errno === AGAIN) full++;
    else [total, full] = [total + sent, 0];
    puppet.bytes(100, size).copyWithin(0, sent % 251); // goes on where it stopped
    puppet.bytes(100, size).forEach((_, i, bytes) => bytes[i] = (total + i) % 251);
  }
  assertEquals(await puppet.poll([{ kind: WRITE, fd: 4 }, { kind: CLOCK }]), { 1: [SUCCESS, 0] });
  // The close waits for what was queued, and the descriptor is free at once.
  assertEquals([puppet.call("fd_close", 4), puppet.call("fd_close", 4)], [SUCCESS, BADF]);
  let received = 0;
  for (let data; (data = await task.await(socket.recv(client, 65_536))).length > 0;) {
    assertEquals(data.every((byte, i) => byte === (received + i) % 251), true);
    received += data.length;
  }
  assertEquals(received, total);
});

testPuppet("poll_oneoff waits for the first of many", async ({ puppet, client, address }) => {
  const polling = puppet.poll([
    { kind: READ, fd: 3 },
    { kind: READ, fd: 4 },
    { kind: CLOCK, ms: 60_000 },
    { kind: CLOCK, ms: 60_000, clock: 0 },
  ]);
  await turn();
  await task.await(socket.send(client, "hello"));
  assertEquals(await polling, { 1: [SUCCESS, 5] });
  // Until it is received, and no longer
  const read: Subscription[] = [{ kind: READ, fd: 4 }, { kind: CLOCK }];
  assertEquals(await puppet.poll(read), { 0: [SUCCESS, 5], 1: [SUCCESS, 0] });
  assertEquals(await puppet.recv(4, 2), "he");
  assertEquals((await puppet.poll(read))[0], [SUCCESS, 3]);
  assertEquals(await puppet.recv(4), "llo");
  assertEquals((await puppet.poll(read))[0], undefined);

  const accepting = puppet.poll([{ kind: READ, fd: 3 }]);
  const second = await socket.tcpconnect(...address);
  assertEquals(await accepting, { 0: [SUCCESS, 0] });
  assertEquals(await puppet.wait("sock_accept", 3, 0, 8), SUCCESS);
  const ending = puppet.poll([{ kind: READ, fd: 4 }, { kind: READ, fd: 5 }]);
  socket.close(second);
  assertEquals(await ending, { 1: [SUCCESS, 0] }); // the end can be received
  assertEquals(await puppet.recv(5), "");
});

testPuppet("poll_oneoff knows clocks, outputs and what is wrong", async ({ puppet, client }) => {
  const now = performance.timeOrigin + performance.now();
  const began = performance.now();
  assertEquals(
    await puppet.poll([
      { kind: CLOCK, ms: 20 },
      { kind: CLOCK, ms: now + 60_000, clock: 0, flags: 1 },
    ]),
    { 0: [SUCCESS, 0] },
  );
  assertEquals(performance.now() - began >= 20, true);
  const found = await puppet.poll([
    { kind: CLOCK, ms: now, clock: 0, flags: 1 }, // is over
    { kind: CLOCK, clock: 7 },
    { kind: READ, fd: 99 },
    { kind: WRITE, fd: 4 },
    { kind: 9 },
    { kind: READ, fd: 0 },
    { kind: WRITE, fd: 1 },
  ]);
  assertEquals(Object.values(found).map(([errno]) => errno), [
    SUCCESS,
    INVAL,
    BADF,
    SUCCESS,
    INVAL,
    SUCCESS,
    SUCCESS,
  ]);
  assertEquals(await puppet.wait("poll_oneoff", 0, 0, 0, 8), INVAL);
  // A program that polls without waiting holds up nobody.
  const echo = task.await(socket.recv(client));
  await puppet.send(4, 1);
  let got = false;
  echo.then(() => got = true);
  while (!got) await puppet.poll([{ kind: CLOCK }]);
});

testPuppet("sock_shutdown ends one side or both", async ({ puppet, client }) => {
  assertEquals([puppet.call("sock_shutdown", 4, 0), puppet.call("sock_shutdown", 4, 4)], [
    INVAL,
    INVAL,
  ]);
  assertEquals(puppet.call("sock_shutdown", 4, 2), SUCCESS);
  assertEquals((await task.await(socket.recv(client))).length, 0);
  assertEquals((await puppet.send(4, 1)).errno, PIPE);
  await task.await(socket.send(client, "still"));
  assertEquals(await puppet.recv(4), "still");
  assertEquals(puppet.call("sock_shutdown", 4, 1), SUCCESS);
  assertEquals(await puppet.recv(4), "");
  assertEquals(await puppet.poll([{ kind: READ, fd: 4 }]), { 0: [SUCCESS, 0] });
});

testPuppet("calls refuse what the program was not given", async ({ puppet, client }) => {
  // The client is the test's: its ID is no number of the program's.
  for (const fd of [client, 5, -1, 2 ** 31 - 1]) {
    assertEquals([await puppet.recv(fd), (await puppet.send(fd, 1)).errno], [BADF, BADF]);
    assertEquals(await puppet.wait("sock_accept", fd, 0, 8), BADF);
    assertEquals(await puppet.wait("fd_read", fd, 0, 1, 8), BADF);
    assertEquals(await puppet.wait("fd_write", fd, 0, 1, 8), BADF);
    assertEquals(puppet.call("sock_shutdown", fd, 2), BADF);
    assertEquals(puppet.call("fd_close", fd), BADF);
    assertEquals([puppet.call("fd_renumber", fd, 4), puppet.call("fd_renumber", 4, fd)], [
      BADF,
      BADF,
    ]);
    assertEquals(puppet.call("fd_fdstat_get", fd, 200), BADF);
    assertEquals(puppet.call("fd_fdstat_set_flags", fd, 0), BADF);
    assertEquals(puppet.call("fd_filestat_get", fd, 200), BADF);
    assertEquals(puppet.call("fd_seek", fd, 0n, 0, 8), BADF);
  }
  assertEquals(socket.isopen(client), true);
  assertEquals([puppet.call("fd_prestat_get", 3, 200), puppet.call("fd_seek", 4, 0n, 0, 8)], [
    BADF,
    SPIPE,
  ]);
  assertEquals([puppet.call("path_open", 3, 0, 0, 1, 0, 0n, 0n, 0, 8), puppet.call("fd_sync", 4)], [
    BADF,
    NOSYS,
  ]);
  // What is not of the kind
  assertEquals([await puppet.recv(3), await puppet.recv(1)], [NOTSUP, NOTSOCK]);
  assertEquals([
    await puppet.wait("sock_accept", 4, 0, 8),
    await puppet.wait("sock_accept", 1, 0, 8),
  ], [
    INVAL,
    NOTSOCK,
  ]);
});

testPuppet("calls refuse memory outside the program's, and lose nothing", async (scene) => {
  const { puppet, client, address } = scene;
  await task.await(socket.send(client, "hello"));
  const recv = (...args: number[]) => puppet.wait("sock_recv", 4, ...args);
  puppet.part(100, 10);
  assertEquals(await recv(END - 4, 1, 0, 8, 12), FAULT); // where the list is
  assertEquals(await recv(-8, 1, 0, 8, 12), FAULT);
  assertEquals(await recv(0, 1, 0, END - 3, 12), FAULT); // where the size goes
  assertEquals(await recv(0, 1, 0, 8, END - 1), FAULT);
  assertEquals(await recv(0, 1025, 0, 8, 12), INVAL);
  assertEquals(await recv(0, -1, 0, 8, 12), INVAL);
  for (const [at, length] of [[END - 5, 6], [-1, 1], [100, -1], [END + 1, 0]]) {
    puppet.part(at, length);
    assertEquals(await recv(0, 1, 0, 8, 12), FAULT);
    assertEquals(await puppet.wait("sock_send", 4, 0, 1, 0, 8), FAULT);
    assertEquals(await puppet.wait("fd_write", 1, 0, 1, 8), FAULT);
  }
  puppet.part(END - 5, 5);
  assertEquals([await recv(0, 1, 0, 8, 12), puppet.text(END - 5, 5)], [SUCCESS, "hello"]);

  const second = await socket.tcpconnect(...address);
  assertEquals(await puppet.wait("sock_accept", 3, 0, END - 3), FAULT);
  assertEquals([await puppet.wait("sock_accept", 3, 0, 8), puppet.uint32(8)], [SUCCESS, 5]);
  socket.close(second);

  assertEquals(await puppet.wait("poll_oneoff", END - 47, 0, 1, 8), FAULT);
  assertEquals(await puppet.wait("poll_oneoff", 0, END - 31, 1, 8), FAULT);
  assertEquals(await puppet.wait("poll_oneoff", 0, 1000, 1, END - 3), FAULT);
  assertEquals(await puppet.wait("poll_oneoff", 0, 0, -1, 8), INVAL);
  assertEquals(puppet.call("random_get", END - 10, 11), FAULT);
  assertEquals(puppet.call("random_get", 0, -1), FAULT);
  assertEquals(puppet.call("clock_time_get", 1, 0n, END - 7), FAULT);
  assertEquals(puppet.call("fd_fdstat_get", 4, END - 23), FAULT);
  assertEquals(puppet.call("fd_filestat_get", 4, END - 63), FAULT);
  assertEquals(puppet.call("args_sizes_get", 0, END), FAULT);
  assertEquals([puppet.call("args_get", 0, END - 3), puppet.call("args_get", END, 0)], [
    FAULT,
    FAULT,
  ]);
});

testPuppet("calls tell of a reset", async ({ puppet, client }) => {
  puppet.call("fd_fdstat_set_flags", 4, NONBLOCK);
  await puppet.send(4, 100_000);
  socket.close(client); // with bytes unread, or bytes on their way
  let errno = SUCCESS;
  while (errno === SUCCESS || errno === AGAIN) ({ errno } = await puppet.send(4, 100_000));
  assertEquals(errno === PIPE || errno === CONNRESET, true);
  assertEquals(
    await puppet.poll([{ kind: WRITE, fd: 4 }, { kind: READ, fd: 4 }]) !== undefined,
    true,
  );
});

testPuppet("descriptors are bounded, and the lowest number is used again", async (scene) => {
  const { puppet, address } = scene;
  const clients = [await socket.tcpconnect(...address), await socket.tcpconnect(...address)];
  const accept = () => puppet.wait("sock_accept", 3, 0, 8);
  assertEquals([await accept(), puppet.uint32(8)], [SUCCESS, 5]);
  assertEquals(await accept(), MFILE);
  assertEquals(puppet.call("fd_close", 4), SUCCESS);
  assertEquals([await accept(), puppet.uint32(8)], [SUCCESS, 4]); // the one that had to wait
  await task.await(socket.send(clients[1], "second"));
  assertEquals(await puppet.recv(4), "second");
  assertEquals(puppet.call("fd_renumber", 4, 5), SUCCESS);
  assertEquals((await task.await(socket.recv(clients[0]))).length, 0); // 5 was closed
  await task.await(socket.send(clients[1], "moved"));
  assertEquals([await puppet.recv(5), await puppet.recv(4)], ["moved", BADF]);
  clients.forEach(socket.close);
}, { maxDescriptors: 6 });

testPuppet("program that traps leaves nothing and disturbs nobody", async ({ puppet, client }) => {
  const pair = socket.tcpserver("127.0.0.1", 0);
  await assertRejects(() => puppet.wasi.run(), WebAssembly.RuntimeError, "unreachable");
  assertEquals((await task.await(socket.recv(client))).length, 0);
  assertEquals([socket.isopen(client), socket.isopen(pair)], [true, true]);
  socket.close(pair);
  await assertRejects(() => puppet.recv(4), TerminatedError);
  assertThrows(() => puppet.call("fd_close", 4), TerminatedError);
});

for (const name of ["sock_accept", "sock_recv", "sock_send", "poll_oneoff"] as const) {
  testPuppet(`program can be ended while it waits in ${name}`, async ({ puppet }) => {
    const call = {
      sock_accept: () => puppet.wait("sock_accept", 3, 0, 8),
      sock_recv: () => puppet.recv(4),
      sock_send: async () => {
        for (;;) await puppet.send(4, 100_000);
      },
      poll_oneoff: () => puppet.poll([{ kind: READ, fd: 4 }, { kind: CLOCK, ms: 60_000 }]),
    }[name];
    const ended = assertRejects(call, TerminatedError);
    for (let i = 0; i < 50; i++) await turn();
    puppet.wasi[Symbol.dispose]();
    await ended;
  });
}

Deno.test("wasi_host refuses sockets that cannot be preopened, and foreign imports", async () => {
  const module = await WebAssembly.compile(await assemble(PUPPET));
  assertThrows(() => new Wasi(module, { preopened: [2 ** 40] }), TypeError, "Cannot preopen");
  const foreign = await WebAssembly.compile(
    await assemble(`(module (import "env" "f" (func)) (memory (export "memory") 1))`),
  );
  assertThrows(() => new Wasi(foreign), WebAssembly.LinkError, `"f" of "env"`);
  const library = await WebAssembly.compile(
    await assemble(`(module (memory (export "memory") 1))`),
  );
  assertThrows(() => new Wasi(library), WebAssembly.LinkError, 'no "_start"');
});
