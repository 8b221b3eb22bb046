// Nothing is left of a handshake that failed, and whoever has not said what it wants costs next to
// nothing.

import { assert, assertEquals } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { receiveAll, textOf } from "../bytes.ts";
import { canCount } from "../descriptors.ts";
import { leavingNothing, turn, until } from "../settle.ts";
import {
  assertCarries,
  ca,
  clientHello,
  clientPair,
  completeKinds,
  inspectListener,
  pair,
  serveTcp,
  settled,
} from "./helpers.ts";
import { doorNames, kinds } from "./strangers.ts";

const strangers = new URL("strangers.ts", import.meta.url).pathname;

for (const door of doorNames) {
  Deno.test({
    name: `nothing is left of strangers of any kind [${door}]`,
    ignore: !canCount,
    fn: async () => {
      const args = ["run", "-A", "--v8-flags=--expose-gc", strangers, door, "100"];
      // What a timer holds does not end, and fails the test.
      const signal = AbortSignal.timeout(60_000);
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, signal }).output();
      const lines = new TextDecoder().decode(stdout).trim().split("\n");
      assertEquals(lines.length, Object.keys(kinds).length, new TextDecoder().decode(stderr));
      for (const line of lines) {
        const { heap, external, descriptors } = JSON.parse(line);
        // A TLS object that stayed would be 78 KiB; a few hundred bytes are noise.
        assert(heap < 8192 && external < 8192 && descriptors === 0, line);
      }
    },
  });
}

const test = (name: string, run: () => Promise<void>) => Deno.test(name, () => leavingNothing(run));

/** A client that says nothing, or what it is given. */
async function stranger(server: socket.SocketId, ...says: Uint8Array[]): Promise<Deno.TcpConn> {
  const [hostname, port] = tls.getlocal(server);
  const conn = await Deno.connect({ hostname, port });
  for (const bytes of says) await conn.write(bytes);
  return conn;
}

/** A server in a process that may have few descriptors: serves until something is typed. */
const server = `
  import { socket, task, tls } from ${
  JSON.stringify(new URL("../../mod.ts", import.meta.url).href)
};
  const server = tls.tcpserver("127.0.0.1", 0, { ...JSON.parse(Deno.args[0]), handshakeTimeout: 200 });
  tls.serve(server, async (id) => { await task.await(tls.send(id, "served")); }, { onError() {} });
  console.log(JSON.stringify([tls.getlocal(server), tls.certificate(server)]));
  await Deno.stdin.read(new Uint8Array(1));
  console.log(socket.inspect(server).dropped);
  Deno.exit();
`;

const ways: [string, tls.TlsListenOptions][] = [
  ["nothing", {}],
  ...completeKinds.map(([name, serve]) => [name, serve(pair)] as [string, tls.TlsListenOptions]),
  ["requestCert", { ...pair, requestCert: true, ca }],
];

for (const [way, options] of ways) {
  Deno.test(`silent clients do not use up the descriptors of a listener given ${way}`, async () => {
    const path = await Deno.makeTempFile({ suffix: ".ts" });
    await Deno.writeTextFile(path, server);
    const run = [Deno.execPath(), "run", "-A", "--no-config", path, JSON.stringify(options)];
    const process = new Deno.Command("sh", {
      args: ["-c", 'ulimit -n 100 && exec "$@"', "sh", ...run],
      // Deno looks for a newer one of itself by and by, and does not get over it when that fails.
      env: { DENO_NO_UPDATE_CHECK: "1" },
      stdin: "piped",
      stdout: "piped",
      signal: AbortSignal.timeout(60_000),
    }).spawn();
    const output = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const [[hostname, port], shown] = JSON.parse((await output.read()).value!);
    const visit = async (): Promise<void> => {
      const trust = { ca: [ca, shown], ...clientPair };
      const id = await tls.tcpconnect(hostname, port, "localhost", trust);
      // On a busy machine it may be too slow for so short a handshakeTimeout: then it comes again.
      const answer = await receiveAll(id).then(textOf, () => "");
      tls.close(id);
      if (answer === "") return await visit();
      assertEquals(answer, "served");
    };
    await visit();
    // They are closed only at the end, and more than the server can have: it has to be rid of them.
    const silent: Deno.TcpConn[] = [];
    for (let batch = 0; batch < 6; batch++) {
      const some = await Promise.all(
        Array.from({ length: 50 }, () => Deno.connect({ hostname, port })),
      );
      silent.push(...some);
      const ends = await Promise.all(some.map((conn) => conn.read(new Uint8Array(1))));
      assertEquals(new Set(ends), new Set([null]));
    }
    await visit();
    const input = process.stdin.getWriter();
    await input.write(new Uint8Array(1));
    const dropped = Number((await output.read()).value);
    assert(dropped >= 300, `${dropped} were dropped`);
    await input.close().catch(() => {});
    await process.status;
    while (!(await output.read()).done);
    silent.forEach((conn) => conn.close());
    await Deno.remove(path);
  });
}

test("accept() drops the client that has been silent longest when there are too many", async () => {
  const server = tls.tcpserver("127.0.0.1", 0, {
    ...pair,
    maxHandshakes: 3,
    handshakeTimeout: Infinity,
  });
  const accepting = tls.accept(server);
  const hello = await clientHello();
  // Whoever has said what it wants does not count.
  const talking = [await stranger(server, hello), await stranger(server, hello)];
  await Promise.all(talking.map((conn) => conn.read(new Uint8Array(1))));
  const silent: Deno.TcpConn[] = [];
  for (let i = 0; i < 5; i++) {
    silent.push(await stranger(server, hello.subarray(0, i * 20)));
    await until(() => inspectListener(server).handshaking === 2 + Math.min(i + 1, 3));
  }
  assertEquals(inspectListener(server).dropped, 2);
  for (const conn of silent.slice(0, 2)) assertEquals(await conn.read(new Uint8Array(1)), null);
  // An honest client is the fourth, and gets in.
  const client = await tls.tcpconnect(...tls.getlocal(server), "localhost", { ca });
  const peer = await task.await(accepting);
  await assertCarries(client, peer);
  assertEquals(inspectListener(server).dropped, 3);
  assertEquals(await silent[2].read(new Uint8Array(1)), null);
  [client, peer, server].forEach(tls.close);
  [...talking, ...silent].forEach((conn) => conn.close());
});

test("accept() drops the client that said hello first when too many stop there", async () => {
  const server = tls.tcpserver("127.0.0.1", 0, {
    ...pair,
    maxHandshakes: 2,
    handshakeTimeout: Infinity,
  });
  const accepting = tls.accept(server);
  const hello = await clientHello();
  const stalled: Deno.TcpConn[] = [];
  const stall = async () => {
    const conn = await stranger(server, hello);
    stalled.push(conn);
    await conn.read(new Uint8Array(1)); // it has been answered
  };
  for (let i = 0; i < 8; i++) await stall();
  // Silence counts apart: it pushes out none of these.
  const silent: Deno.TcpConn[] = [];
  for (let i = 0; i < 4; i++) {
    silent.push(await stranger(server, hello.subarray(0, 20)));
    await until(() => inspectListener(server).dropped === Math.max(0, i - 1));
  }
  await until(() => inspectListener(server).handshaking === 8 + 2);
  for (let i = 0; i < 20; i++) await stall();
  // The first of them was silent for a moment, and one of the silent ones went for it.
  await until(() => inspectListener(server).dropped === 2 + 1 + 20);
  assertEquals(inspectListener(server).handshaking, 8 + 1);
  for (const conn of stalled.slice(0, 20)) await ended(conn);
  // An honest client pushes one out and gets in.
  const client = await tls.tcpconnect(...tls.getlocal(server), "localhost", { ca });
  const peer = await task.await(accepting);
  await assertCarries(client, peer);
  await until(() => inspectListener(server).dropped === 24);
  assertEquals(inspectListener(server).handshaking, 7 + 1);
  [client, peer, server].forEach(tls.close);
  [...stalled, ...silent].forEach((conn) => conn.close());
});

/** Reads what was answered, until the connection is gone. */
async function ended(conn: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(4096);
  try {
    while (await conn.read(buffer) !== null);
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
  }
}

for (const door of ["listener", "starttls"]) {
  test(`a ClientHello may come in any number of pieces [${door}]`, async () => {
    const listener = door === "starttls"
      ? socket.tcpserver("127.0.0.1", 0)
      : tls.tcpserver("127.0.0.1", 0, { certs: [pair] });
    /** Connects through a proxy that hands on what the client says so many bytes at a time. */
    const connect = async (size: number) => {
      const [hostname, port] = socket.getlocal(listener);
      await using proxy = serveTcp(async (near) => {
        const far = await Deno.connect({ hostname, port });
        far.setNoDelay(true);
        const back = far.readable.pipeTo(near.writable).catch(() => {});
        const buffer = new Uint8Array(4096);
        for (let n; (n = await near.read(buffer)) !== null;) {
          for (let at = 0; at < n; at += size) {
            await far.write(buffer.subarray(at, Math.min(n, at + size)));
            await turn();
          }
        }
        await far.closeWrite().catch(() => {});
        await back;
      });
      const accepting = socket.accept(listener);
      const connecting = tls.tcpconnect(...proxy.address, "localhost", { ca });
      const peer = await task.await(accepting);
      if (door === "starttls") await task.await(socket.starttls(peer, { certs: [pair] }));
      const client = await connecting;
      await assertCarries(client, peer, 100);
      [peer, client].forEach(tls.close);
    };
    for (const size of [1, 5, 200]) await connect(size);
    socket.close(listener);
  });
}

test("accept() is held up by nobody whose ClientHello never ends", async () => {
  const server = tls.tcpserver("127.0.0.1", 0, { ...pair, handshakeTimeout: Infinity });
  const accepting = tls.accept(server);
  // A record of the largest size whose message says that it is larger, and one that is all promise.
  const endless = new Uint8Array(20_000);
  endless.set([22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff]);
  const liar = new Uint8Array([22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff]);
  const rude = [await stranger(server, endless), await stranger(server, liar)];
  await until(() => inspectListener(server).dropped === 2);
  assertEquals(task.status(accepting), "Running");
  rude.forEach((conn) => conn.close());
  tls.close(server);
  await settled(accepting);
});
