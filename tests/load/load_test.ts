// Many connections at once, of every kind: nobody's bytes are lost, and nobody waits for somebody else.

import { assert, assertEquals } from "@std/assert";
import net from "node:net";
import { socket, task, tls } from "../../mod.ts";
import { assertSame, bytesOf, randomBytes, receive, sha256 } from "../bytes.ts";
import { canCount, descriptorLimit, descriptorsBackTo, openDescriptors } from "../descriptors.ts";
import { ways } from "../listening.ts";
import { type Random, withSeed } from "../random.ts";
import { codeOf, leavingNothing, until } from "../settle.ts";
import { runProgram } from "../subprocess.ts";

/** Registers a test that must leave nothing behind, descriptors neither. */
function test(name: string, run: () => Promise<void>, enough = true): void {
  Deno.test({
    name,
    ignore: !enough,
    fn: () =>
      leavingNothing(async () => {
        const descriptors = canCount ? openDescriptors() : 0;
        await run();
        if (canCount) await descriptorsBackTo(descriptors);
      }),
  });
}

const certificate = tls.selfsigned(["localhost"]);
/** On a machine that has other things to do, a thousand handshakes take their time. */
const patience = { handshakeTimeout: 120_000 };
const trust = { ca: certificate.cert, timeout: 120_000 };

/** As many as a backlog holds connect at once. */
const WAVE = 100;

/** How many connections of each kind there are. */
const crowd: Record<string, [count: number, listen: () => socket.SocketId]> = {
  "tcp": [700, () => socket.tcpserver("127.0.0.1", 0)],
  "tls": [200, () => tls.tcpserver("127.0.0.1", 0, { ...certificate, ...patience })],
  "tls, native": [
    100,
    () => tls.tcpserver("127.0.0.1", 0, { ...certificate, ...patience, native: true }),
  ],
};

/** Sends back what comes, by a verb of its own for every connection. */
async function echo(id: socket.SocketId): Promise<void> {
  if (id % 3 === 0) {
    const { readable, writable } = socket.streams(id);
    return await readable.pipeTo(writable);
  }
  if (id % 3 === 1) {
    for await (const chunk of socket.chunks(id, 65536)) await task.await(socket.send(id, chunk));
  } else {
    const buffer = new Uint8Array(10_000);
    for (let n; (n = await task.await(socket.recvInto(id, buffer))) > 0;) {
      await task.await(socket.send(id, buffer.subarray(0, n)));
    }
  }
}

/** The ways in which a client sends some bytes and receives them again. */
const talks: ((id: socket.SocketId, data: Uint8Array, random: Random) => Promise<Uint8Array>)[] = [
  (id, data) => {
    socket.send(id, data);
    return task.await(socket.recvExact(id, data.length));
  },
  async (id, data, random) => {
    const chunks = [];
    for (let at = 0, left = data.length; left > 0;) {
      const piece = data.subarray(at, at + random.integer(1, 20_000));
      socket.send(id, piece);
      at += piece.length;
      left -= piece.length;
      chunks.push(await receive(id, piece.length));
    }
    return new Uint8Array(await new Blob(chunks as Uint8Array<ArrayBuffer>[]).arrayBuffer());
  },
  async (id, data, random) => {
    socket.send(id, data);
    const back = new Uint8Array(data.length);
    for (let at = 0; at < data.length;) {
      const receiving = socket.recvInto(id, back.subarray(at));
      if (random.oneIn(4) && task.cancel(receiving)) task.forget(receiving);
      else at += await task.await(receiving);
    }
    return back;
  },
  async (id, data) => {
    const { readable, writable } = socket.streams(id);
    const writing = writable.getWriter();
    writing.write(data).then(() => writing.close());
    return await new Response(readable).bytes();
  },
  async (id, data) => {
    // Both ends have a line of their own before the bytes.
    socket.send(id, "hello\r\n");
    assertEquals(await task.await(socket.recvLine(id)), "hello");
    socket.send(id, data);
    await task.await(socket.ready(id));
    return await receive(id, data.length);
  },
];

test(
  "1,000 connections over TCP and TLS carry what they are given with every verb",
  () =>
    withSeed(async (random) => {
      const talk = async (kind: string, [ip, port]: socket.Address) => {
        const id = kind === "tcp"
          ? await socket.tcpconnect(ip, port, { timeout: trust.timeout })
          : await tls.tcpconnect(ip, port, "localhost", trust);
        const data = randomBytes(random.integer(1, random.oneIn(20) ? 300_000 : 20_000));
        const back = await random.pick(talks)(id, data, random);
        assertEquals(sha256(back), sha256(data));
        return id;
      };
      const failures: unknown[] = [];
      const onError = (error: unknown) => void failures.push(error);
      await Promise.all(
        Object.entries(crowd).map(async ([kind, [count, listen]]) => {
          const server = listen();
          const address = socket.getlocal(server);
          const serving = socket.serve(server, echo, { onError });
          // All of them are open before the first is closed.
          const clients = [];
          for (let n = 0; n < count; n += WAVE) {
            clients.push(
              ...await Promise.all(Array.from({ length: WAVE }, () => talk(kind, address))),
            );
          }
          clients.forEach(socket.close);
          socket.close(server);
          await task.await(serving);
        }),
      );
      assertEquals(failures, []);
    }),
  !canCount || descriptorLimit() > 3000,
);

/** Connects and goes away without a word: RST. */
function connectAndReset(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const client = net.connect({ port, host: "127.0.0.1" }, () => {
      client.on("close", () => resolve());
      client.resetAndDestroy();
    });
    client.on("error", reject);
  });
}

for (const way of ways.filter(({ name }) => name !== "unix")) {
  test(`accept() [${way.name}] is not held up by connections that are reset before it`, async () => {
    using listener = way.listen();
    const [, port] = socket.getlocal(listener.id);
    for (let round = 0; round < 3; round++) {
      await Promise.all(Array.from({ length: 20 }, () => connectAndReset(port)));
      let accepting = socket.accept(listener.id);
      const client = await way.connect(listener.id);
      // Without TLS those that are gone may be accepted first, and end with their first receive.
      for (;;) {
        const peer = await task.await(accepting);
        const found = socket.getpeer(peer)[1] === socket.getlocal(client)[1];
        if (!found) assertEquals(await codeOf(socket.recv(peer)), "ECONNRESET");
        socket.close(peer);
        if (found) break;
        accepting = socket.accept(listener.id);
      }
      socket.close(client);
    }
  });
}

for (const way of ways) {
  test(`serve() [${way.name}] serves the fast while the slow hold what they are given`, async () => {
    const CHUNK = bytesOf("x".repeat(64 * 1024));
    using listener = way.listen();
    const slow = new Set<number>();
    const serving = socket.serve(listener.id, async (id, { signal }) => {
      const line = await task.await(socket.recvLine(id));
      if (line === "fast") return await echo(id);
      slow.add(id);
      // A peer that does not read: as much as the system takes, and no more than one chunk beyond.
      for (;;) await task.await(socket.send(id, CHUNK), { signal, cancel: true });
    }, { grace: 0, onError: () => {} });
    const connect = async (line: string) => {
      const id = await way.connect(listener.id);
      await task.await(socket.send(id, `${line}\n`));
      return id;
    };
    const readers = await Promise.all(Array.from({ length: 10 }, () => connect("slow")));
    // Their bytes have nowhere to go any more.
    let sent = -1;
    const stuck = () => {
      const records = [...slow].map((id) => socket.inspect(id) as socket.StreamRecord);
      return records.reduce((sum, { bytesOut }) => sum + bytesOut, 0);
    };
    await until(() => slow.size === 10 && stuck() > 0, "the slow are served");
    for (let same = 0; same < 10;) {
      await task.sleep(5);
      const now = stuck();
      same = now === sent ? same + 1 : 0;
      sent = now;
    }
    // A byte at a time comes from these.
    const writers = await Promise.all(Array.from({ length: 10 }, () => connect("fast")));
    writers.forEach((id) => socket.send(id, "x"));
    const fast = await Promise.all(Array.from({ length: 10 }, () => connect("fast")));
    await Promise.all(fast.map(async (id) => {
      for (let round = 0; round < 50; round++) {
        const data = randomBytes(1000);
        socket.send(id, data);
        assertSame(await task.await(socket.recvExact(id, data.length)), data, `round ${round}`);
      }
    }));
    for (const id of slow) {
      const { queuedOut, queuedIn } = socket.inspect(id) as socket.StreamRecord;
      assert(queuedOut <= CHUNK.length, `${queuedOut} bytes wait to be sent`);
      assertEquals(queuedIn, 0);
    }
    for (const id of readers) {
      const { queuedIn } = socket.inspect(id) as socket.StreamRecord;
      assert(queuedIn <= 2 * CHUNK.length, `${queuedIn} bytes wait to be received`);
    }
    [...readers, ...writers, ...fast].forEach(socket.close);
    socket.close(listener.id);
    await task.await(serving);
  });
}

/** Listeners, and how to connect to them, as the text of a program. */
const listeners: Record<string, [listen: string, connect: string]> = {
  "tls": [
    `tls.tcpserver("127.0.0.1", 0, certificate)`,
    `tls.tcpconnect(...socket.getlocal(server), "localhost", { ca: certificate.cert })`,
  ],
  "tls, native": [
    `tls.tcpserver("127.0.0.1", 0, { ...certificate, native: true })`,
    `tls.tcpconnect(...socket.getlocal(server), "localhost", { ca: certificate.cert })`,
  ],
  "tcp, with PROXY headers": [
    `socket.tcpserver("127.0.0.1", 0, { proxyProtocol: true })`,
    `socket.tcpconnect(...socket.getlocal(server)).then((id) => {
      socket.send(id, "PROXY UNKNOWN\\r\\n");
      return id;
    })`,
  ],
  "unix": [
    `socket.unixserver(folder + "/full.sock")`,
    `socket.unixconnect(socket.getlocal(server)[0])`,
  ],
};

for (const [name, [listen, connect]] of Object.entries(listeners)) {
  Deno.test({
    name: `accept() [${name}] faults EMFILE without descriptors and goes on when there are some`,
    ignore: !canCount,
    async fn() {
      const { stdout, stderr, code } = await runProgram(
        `
        import { tls } from ${JSON.stringify(new URL("../../mod.ts", import.meta.url))};
        const certificate = tls.selfsigned(["localhost"]);
        const folder = Deno.makeTempDirSync({ prefix: "taskio_" });
        const server = ${listen};
        // Once, so that whatever is needed is loaded.
        const first = socket.accept(server);
        const clients = [await ${connect}];
        clients.push(await task.await(first));

        const local = socket.getlocal(server);
        const early = await (local[1] === 0
          ? Deno.connect({ transport: "unix", path: local[0] })
          : Deno.connect({ hostname: local[0], port: local[1] }));
        const files = [];
        try {
          for (;;) files.push(Deno.openSync("/dev/null"));
        } catch { /* None are left. */ }
        for (let n = 0; n < 3; n++) {
          await task.await(socket.accept(server)).catch(({ code }) => console.log(code));
        }

        files.forEach((file) => file.close());
        early.close();
        const accepting = socket.accept(server);
        const client = await ${connect};
        let peer = await task.await(accepting);
        socket.send(client, "recovered");
        for (;;) {
          const data = await task.await(socket.recv(peer));
          if (data.length > 0) {
            console.log(new TextDecoder().decode(data));
            break;
          }
          peer = await task.await(socket.accept(server)); // that was the early one
        }
        console.log(socket.inspect(server).handshaking);
        socket.list().forEach(socket.close);
        Deno.removeSync(folder, { recursive: true });
        `,
        ["--allow-net", "--allow-read", "--allow-write"],
        "ulimit -n 80",
      );
      assertEquals([stderr, code], ["", 0]);
      assertEquals(stdout.trim().split("\n"), ["EMFILE", "EMFILE", "EMFILE", "recovered", "0"]);
    },
  });
}
