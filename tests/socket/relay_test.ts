import { assert, assertEquals, assertGreater, assertLessOrEqual, assertThrows } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { HUGE, randomBytes, receive, receiveAll, sha256, textOf } from "../bytes.ts";
import { canCount, descriptorsBackTo, openDescriptors } from "../descriptors.ts";
import { type Pair, tcpPair, transports } from "../pair.ts";
import { resettable } from "../reset.ts";
import { codeOf, faultOf, leavingNothing, turn, until } from "../settle.ts";
import { runProgram } from "../subprocess.ts";

/** A relay between two connections, and what is at the far end of each. */
interface Relayed {
  /** What is relayed. */
  readonly a: socket.SocketId;
  readonly b: socket.SocketId;
  /** The other ends. */
  readonly left: socket.SocketId;
  readonly right: socket.SocketId;
  readonly relaying: task.TaskId<[number, number]>;
}

type MakePair = () => Promise<Pair>;

/** Registers a test of a relay, whose sockets are closed afterwards; nothing may be left of it. */
function test(
  name: string,
  run: (relayed: Relayed) => Promise<void>,
  makeA: MakePair = tcpPair,
  makeB: MakePair = tcpPair,
): void {
  Deno.test(name, () =>
    leavingNothing(async () => {
      using one = await makeA();
      using other = await makeB();
      const [left, a, b, right] = [one.client, one.peer, other.client, other.peer];
      await run({ a, b, left, right, relaying: socket.relay(a, b) });
    }));
}

const record = (id: socket.SocketId) => socket.inspect(id) as socket.StreamRecord;

async function recvText(id: socket.SocketId, length: number): Promise<string> {
  return textOf(await receive(id, length));
}

/** Sends random bytes both ways, ends both, and compares. */
async function exchange({ left, right, relaying, a, b }: Relayed, there: number, back: number) {
  const [out, answer] = [randomBytes(there), randomBytes(back)];
  const sending = [socket.send(left, out), socket.send(right, answer)];
  const ending = [socket.shutdown(left), socket.shutdown(right)];
  const [atRight, atLeft] = await Promise.all([receiveAll(right), receiveAll(left)]);
  assertEquals([sha256(atRight), sha256(atLeft)], [sha256(out), sha256(answer)]);
  assertEquals(await task.await(relaying), [there, back]);
  assertEquals([a, b].map(socket.isopen), [false, false]);
  assertEquals(await task.all(sending), [there, back]);
  await task.all(ending);
}

for (const one of transports) {
  for (const other of transports) {
    test(
      `relay() copies both ways between ${one.name} and ${other.name}`,
      (relayed) => exchange(relayed, 300_000, 200_000),
      one.makePair,
      other.makePair,
    );
  }
}

test("relay() carries ping-pong", async ({ left, right, relaying }) => {
  assertEquals(task.status(relaying), "Running");
  for (let n = 0; n < 100; n++) {
    socket.send(left, `ping ${n % 10}`);
    assertEquals(await recvText(right, 6), `ping ${n % 10}`);
    socket.send(right, "pong");
    assertEquals(await recvText(left, 4), "pong");
  }
  [left, right].forEach(socket.shutdown);
  assertEquals(await task.await(relaying), [600, 400]);
});

test("relay() passes on what had been received before, and what was put back", async (relayed) => {
  const { left, right, a } = relayed;
  socket.send(left, "later");
  socket.unrecv(a, "first ");
  assertEquals(await recvText(right, 11), "first later");
});

test("relay() leaves the first bytes to a recv that waited before", async () => {
  using one = await tcpPair();
  using other = await tcpPair();
  const receiving = socket.recv(one.peer, 5);
  const relaying = socket.relay(one.peer, other.client);
  socket.send(one.client, "firstsecond");
  assertEquals(textOf(await task.await(receiving)), "first");
  assertEquals(await recvText(other.peer, 6), "second");
  [one.client, other.peer].forEach(socket.shutdown);
  assertEquals(await task.await(relaying), [6, 0]);
});

for (const first of ["left", "right"] as const) {
  for (const [what, sizes] of [["one byte", [1]], ["many chunks", new Array(30).fill(50_000)]]) {
    test(`relay() passes the end of the ${first} on when ${what} comes back`, async (relayed) => {
      const { a, b, relaying } = relayed;
      const ends = [relayed.left, relayed.right];
      const [from, to] = first === "left" ? ends : ends.toReversed();
      await task.await(socket.shutdown(from));
      assertEquals(await task.await(socket.recv(to)), new Uint8Array(0));
      assertEquals([task.status(relaying), socket.isopen(a), socket.isopen(b)], [
        "Running",
        true,
        true,
      ]);
      const chunks = (sizes as number[]).map(randomBytes);
      const total = chunks.reduce((sum, { length }) => sum + length, 0);
      const ids = chunks.map((chunk) => socket.send(to, chunk));
      const ending = socket.shutdown(to);
      assertEquals(sha256(await receiveAll(from)), sha256(...chunks));
      assertEquals(await task.await(relaying), first === "left" ? [0, total] : [total, 0]);
      await task.all([...ids, ending]);
      assertEquals([a, b].map(socket.isopen), [false, false]);
    });
  }
}

test("relay() makes a sender slow when the receiver is", async (relayed) => {
  const { a, b, left, right } = relayed;
  const sending = socket.send(left, HUGE);
  const held = () => {
    const [one, other] = [record(a), record(b)];
    // Of this direction, whether received or about to be sent.
    return one.queuedIn + other.queuedOut;
  };
  for (let still = 0, before = -1; still < 20; await turn()) {
    assertLessOrEqual(held(), 64 * 1024);
    const { bytesOut } = record(left);
    still = bytesOut === before ? still + 1 : 0;
    before = bytesOut;
  }
  assertEquals(task.status(sending), "Running");
  assertGreater(record(left).queuedOut, 0);
  // The other direction is not concerned.
  socket.send(right, "swift");
  assertEquals(await recvText(left, 5), "swift");
  const buffer = new Uint8Array(1024 * 1024);
  for (let got = 0; got < HUGE.length;) {
    got += await task.await(socket.recvInto(right, buffer));
    assertLessOrEqual(held(), 64 * 1024);
  }
  assertEquals(await task.await(sending), HUGE.length);
});

/** How much to carry: `TASKIO_RELAY_MIB=1024` makes it a GiB. */
const MIB = Number(Deno.env.get("TASKIO_RELAY_MIB") ?? 192);

Deno.test("relay() carries a lot in flat memory", async () => {
  const { stdout, stderr, code } = await runProgram(
    `
    const server = socket.tcpserver("127.0.0.1", 0);
    const pair = async () => {
      const client = await socket.tcpconnect(...socket.getlocal(server));
      return [client, await task.await(socket.accept(server))];
    };
    const [left, a] = await pair();
    const [b, right] = await pair();
    const relaying = socket.relay(a, b);
    const MIB = 1024 * 1024;
    const [chunk, buffer] = [new Uint8Array(MIB).map((_, i) => i % 251), new Uint8Array(MIB)];
    task.spawn(async () => {
      for (let n = 0; n < ${MIB}; n++) await task.await(socket.send(left, chunk));
      socket.shutdown(left);
    });
    socket.shutdown(right);
    let [got, most, wrong, before, peak] = [0, 0, 0, 0, 0];
    for (;;) {
      const n = await task.await(socket.recvInto(right, buffer));
      if (n === 0) break;
      if (buffer[0] !== got % MIB % 251) wrong++;
      got += n;
      const [one, other] = [socket.inspect(a), socket.inspect(b)];
      // At the very end they are closed.
      if (one && other) most = Math.max(most, one.queuedIn + other.queuedOut);
      const { rss } = Deno.memoryUsage();
      // After a quarter everything has its size.
      if (got < ${MIB} * MIB / 4) before = Math.max(before, rss);
      peak = Math.max(peak, rss);
    }
    const [there, back] = await task.await(relaying);
    console.log(JSON.stringify({ got, wrong, most, there, back, growth: peak - before }));
    socket.list().forEach(socket.close);
    `,
    ["--allow-net", "--no-check"],
  );
  assertEquals([stderr, code], ["", 0]);
  const { most, growth, ...rest } = JSON.parse(stdout);
  const bytes = MIB * 1024 * 1024;
  assertEquals(rest, { got: bytes, wrong: 0, there: bytes, back: 0 });
  assertLessOrEqual(most, 64 * 1024);
  assertLessOrEqual(growth, 48 * 1024 * 1024);
});

for (const { name, makePair } of transports) {
  Deno.test(`relay() closes both and faults with the failure when a side is reset [${name}]`, () =>
    leavingNothing(async () => {
      for (const order of ["reset first", "reset second"]) {
        await using broken = await resettable();
        using other = await makePair();
        const relaying = order === "reset first"
          ? socket.relay(broken.client, other.client)
          : socket.relay(other.client, broken.client);
        await turn();
        await broken.reset();
        const error = await task.await(relaying).catch((error) => error);
        assertEquals([error.code, error.socket], ["ECONNRESET", broken.client]);
        assertEquals([broken.client, other.client].map(socket.isopen), [false, false]);
        // To the other side it is an end like any other.
        assertEquals(await receiveAll(other.peer), new Uint8Array(0));
      }
    }));
}

Deno.test("relay() closes both when a side fails while it is sent to", () =>
  leavingNothing(async () => {
    await using broken = await resettable();
    using other = await tcpPair();
    const relaying = socket.relay(other.peer, broken.client);
    // It has ended its own side, so that only a send can notice.
    broken.far.end();
    assertEquals(await receiveAll(other.client), new Uint8Array(0));
    const sending = socket.send(other.client, HUGE);
    await until(() => record(broken.client).queuedOut > 0 && record(other.peer).bytesOut === 0);
    broken.reset();
    assert(["ECONNRESET", "EPIPE"].includes(await codeOf(relaying)));
    assertEquals([broken.client, other.peer].map(socket.isopen), [false, false]);
    assert(["ECONNRESET", "EPIPE"].includes(await codeOf(sending)));
  }));

for (const which of ["a", "b"] as const) {
  test(`relay() faults ECONNABORTED and closes the other when ${which} is closed`, async (all) => {
    const { a, b, left, right, relaying } = all;
    await turn();
    socket.close(all[which]);
    assertEquals(faultOf(relaying), "ECONNABORTED");
    assertEquals((task.error(relaying) as socket.SocketError).socket, all[which]);
    assertEquals([a, b].map(socket.isopen), [false, false]);
    for (const end of [left, right]) assertEquals(await receiveAll(end), new Uint8Array(0));
  });

  test(`relay() faults ECONNABORTED when ${which} is closed after its peer ended`, async (all) => {
    const { a, b, left, right, relaying } = all;
    const [near, far] = which === "a" ? [left, right] : [right, left];
    await task.await(socket.shutdown(near));
    assertEquals(await receiveAll(far), new Uint8Array(0));
    await turn();
    socket.close(all[which]);
    assertEquals(faultOf(relaying), "ECONNABORTED");
    assertEquals([a, b].map(socket.isopen), [false, false]);
    await gone(far);
  });
}

/** Waits until the other end is gone, politely or not. */
async function gone(id: socket.SocketId): Promise<void> {
  while (await task.await(socket.recv(id)).then((data) => data.length > 0, () => false));
}

test("relay() faults ECONNABORTED when a side is closed in the middle of a send", async (all) => {
  const { a, b, left, right, relaying } = all;
  const sending = socket.send(left, HUGE);
  await until(() => record(b).queuedOut > 0);
  socket.close(b);
  assertEquals(faultOf(relaying), "ECONNABORTED");
  assertEquals([a, b].map(socket.isopen), [false, false]);
  await gone(right);
  assert(["ECONNRESET", "EPIPE"].includes(await codeOf(sending)));
});

for (const which of ["a", "b"] as const) {
  test(`relay() leaves no task when ${which} is closed in the turn of a receive`, async (all) => {
    const before = new Set(task.list());
    await turn();
    socket.unrecv(all.a, "passed on at once");
    socket.close(all[which]);
    assertEquals(await codeOf(all.relaying), "ECONNABORTED");
    await turn();
    assertEquals(task.list().filter((id) => !before.has(id)), []);
  });
}

Deno.test("relay() faults with its own failure when nothing unclaimed is kept", () =>
  leavingNothing(async () => {
    const limit = task.setUnclaimedLimit(0);
    try {
      using one = await tcpPair();
      using other = await tcpPair();
      await task.await(socket.shutdown(other.client));
      const failing = codeOf(socket.relay(one.peer, other.client));
      socket.send(one.client, "x");
      assertEquals(await failing, "EPIPE");
      assertEquals(task.list(), []);
    } finally {
      task.setUnclaimedLimit(limit);
    }
  }));

for (const { name, makePair } of transports) {
  const title = `relay(), streams() and serve() work when nothing unclaimed is kept [${name}]`;
  Deno.test(title, () =>
    leavingNothing(async () => {
      const limit = task.setUnclaimedLimit(0);
      try {
        using one = await makePair();
        using other = await makePair();
        const relaying = task.await(socket.relay(one.peer, other.client));
        const { readable, writable } = socket.streams(other.peer);
        const echoing = readable.pipeTo(writable);
        const server = socket.tcpserver("127.0.0.1", 0);
        const serving = task.await(socket.serve(server, async (id) => {
          const data = await task.await(socket.recvExact(id, 5));
          await task.await(socket.send(id, data));
        }));
        const client = await socket.tcpconnect(...socket.getlocal(server));
        const data = randomBytes(300_000);
        const sending = task.await(socket.send(one.client, data));
        const ending = task.await(socket.shutdown(one.client));
        const asking = task.await(socket.send(client, "hello"));
        assertEquals(sha256(await receiveAll(one.client)), sha256(data));
        assertEquals(await recvText(client, 5), "hello");
        assertEquals(await relaying, [data.length, data.length]);
        socket.close(client);
        socket.close(server);
        await Promise.all([sending, ending, asking, echoing, serving]);
      } finally {
        task.setUnclaimedLimit(limit);
      }
    }));
}

test("relay() closes nothing and loses nothing when it is cancelled", async (relayed) => {
  const { a, b, left, right, relaying } = relayed;
  socket.send(left, "before");
  assertEquals(await recvText(right, 6), "before");
  assertEquals(task.cancel(relaying), true);
  assertEquals(faultOf(relaying), "ECANCELED");
  assertEquals([record(a).pending, record(b).pending], [[], []]);
  // It has nothing to do with them any more.
  const receiving = socket.recv(a);
  socket.unrecv(a, "put back");
  assertEquals(textOf(await task.await(receiving)), "put back");
  socket.send(left, "to a");
  assertEquals(await recvText(a, 4), "to a");
  socket.send(b, "to the right");
  assertEquals(await recvText(right, 12), "to the right");
  socket.shutdown(left);
  assertEquals(await receiveAll(a), new Uint8Array(0));
  assertEquals([a, b].map(socket.isopen), [true, true]);
  socket.send(b, "still open");
  assertEquals(await recvText(right, 10), "still open");
  socket.close(a);
  assertEquals(socket.isopen(b), true);
});

test("relay() sends what it has received before what is sent after its cancel", async () => {
  using one = await tcpPair();
  using other = await tcpPair();
  const earlier = task.await(socket.recv(one.peer, 1)).then(() => {
    task.cancel(relaying);
    socket.send(other.client, "after");
  });
  const relaying = socket.relay(one.peer, other.client);
  socket.send(one.client, "xrelayed ");
  await earlier;
  assertEquals(await recvText(other.peer, 13), "relayed after");
});

test("relay() passes no end on when it is cancelled at the moment it comes", async () => {
  using one = await tcpPair();
  using other = await tcpPair();
  const earlier = task.await(socket.recv(one.peer)).then(() => task.cancel(relaying));
  const relaying = socket.relay(one.peer, other.client);
  socket.shutdown(one.client);
  assertEquals(await earlier, true);
  await turn(); // the relay has seen the end by now
  socket.send(other.client, "still open");
  assertEquals(await recvText(other.peer, 10), "still open");
});

test("relay() sends what it has received when it is cancelled at the moment it comes", async () => {
  using one = await tcpPair();
  using other = await tcpPair();
  const earlier = task.await(socket.recv(one.peer, 1)).then(() => task.cancel(relaying));
  const relaying = socket.relay(one.peer, other.client);
  socket.send(one.client, "1234");
  assertEquals(await earlier, true);
  socket.send(one.client, "56");
  assertEquals(await recvText(other.peer, 3), "234");
  assertEquals(await recvText(one.peer, 2), "56");
});

test("relay() loses and swaps nothing in a hundred cancels and new relays", async (relayed) => {
  const { a, b, left, right } = relayed;
  const data = randomBytes(6 * 1024 * 1024);
  const sending = socket.send(left, data);
  let over = false;
  const churn = task.spawn(async () => {
    let { relaying } = relayed;
    for (let n = 0; !over; n++) {
      await turn();
      task.cancel(relaying);
      // What was under way goes out first.
      await until(() => record(b).queuedOut === 0);
      if (n % 3 === 0) socket.unrecv(a, await task.await(socket.recv(a, 1 + n % 1000)));
      relaying = socket.relay(a, b);
    }
    return relaying;
  });
  const got = [];
  for (let size = 0; size < data.length;) {
    const chunk = await task.await(socket.recv(right, 60_000));
    got.push(chunk);
    size += chunk.length;
    if (size === data.length) over = true;
  }
  assertEquals(sha256(...got), sha256(data));
  await task.await(sending);
  // The last round of the churn may wait for bytes that never come.
  socket.send(left, "last");
  task.cancel(await task.await(churn));
});

Deno.test("relay() faults when a socket will not do", () =>
  leavingNothing(async () => {
    using pair = await tcpPair();
    using server = pairless(socket.tcpserver("127.0.0.1", 0));
    using created = pairless(socket.create(socket.AF_INET, socket.SOCK_STREAM));
    const closed = socket.tcpserver("127.0.0.1", 0);
    socket.close(closed);
    const spawned = task.spawn(() => {}) as number;
    const codes: [socket.SocketId, string][] = [
      [server.id, "EOPNOTSUPP"],
      [created.id, "ENOTCONN"],
      [closed, "EBADF"],
      [spawned, "EBADF"],
      [0, "EBADF"],
      [2 ** 40, "EBADF"],
    ];
    for (const [id, code] of codes) {
      for (const relaying of [socket.relay(id, pair.client), socket.relay(pair.client, id)]) {
        assertEquals(task.status(relaying), "Faulted");
        const error = task.error(relaying) as socket.SocketError;
        assertEquals([error.code, error.op, error.socket], [code, "relay", id]);
      }
      assertEquals(faultOf(socket.relay(id, id)), code);
    }
    assertEquals([record(pair.client).pending, socket.isopen(pair.client)], [[], true]);
    await task.await(spawned);
  }));

/** A socket that is closed at the end of its scope. */
function pairless(id: socket.SocketId): Disposable & { id: socket.SocketId } {
  return { id, [Symbol.dispose]: () => socket.close(id) };
}

Deno.test("relay() throws when an argument is wrong", () =>
  leavingNothing(async () => {
    using pair = await tcpPair();
    const tasks = task.list();
    // deno-lint-ignore no-explicit-any
    for (const value of [undefined, null, "1", 1.5, NaN, {}] as any[]) {
      for (const other of [pair.client, 0]) {
        assertThrows(() => socket.relay(value, other), TypeError, `"a" must be an integer`);
        assertThrows(() => socket.relay(other, value), TypeError, `"b" must be an integer`);
      }
    }
    assertThrows(() => socket.relay(pair.client, pair.client), RangeError, `"b" must be another`);
    assertEquals([task.list(), record(pair.client).pending], [tasks, []]);
  }));

Deno.test({
  name: "relay() leaves nothing behind, however it ends",
  ignore: !canCount,
  fn: () =>
    leavingNothing(async () => {
      const descriptors = openDescriptors();
      for (let n = 0; n < 30; n++) {
        using one = await tcpPair();
        using other = await tcpPair();
        const relaying = socket.relay(one.peer, other.client);
        socket.send(one.client, HUGE.subarray(0, 100_000));
        if (n % 2) await turn();
        if (n % 5 === 0) task.cancel(relaying);
        else if (n % 5 === 1) socket.close(one.peer);
        else if (n % 5 === 2) socket.close(other.peer);
        else [one.client, other.peer].forEach(socket.shutdown);
        if (n % 5 === 4) await receiveAll(other.peer);
        if (n % 5 === 4) await task.await(relaying);
      }
      await turn();
      await descriptorsBackTo(descriptors);
    }),
});
