// The two engines of servers: what is asked of each, and what each does for it.

import { assert, assertEquals, assertThrows } from "@std/assert";
import { connect } from "node:tls";
import { socket, task, tls } from "../../mod.ts";
import { receive, receiveAll, textOf } from "../bytes.ts";
import { openDescriptors } from "../descriptors.ts";
import { tcpPair } from "../pair.ts";
import { codeOf, leavingNothing, turn, until } from "../settle.ts";
import { connectionPrototypes, spyOn } from "../spy.ts";
import {
  assertCarries,
  authority,
  ca,
  clientHello,
  clientKinds,
  clientPair,
  completeKinds,
  inDays,
  inspectListener,
  pair,
  serverKinds,
} from "./helpers.ts";

const test = (name: string, run: () => Promise<void>) => Deno.test(name, () => leavingNothing(run));

/** Both ends of a connection through a listener. */
async function connected(
  server: socket.SocketId,
  options: tls.TlsClientOptions = {},
): Promise<[client: socket.SocketId, peer: socket.SocketId]> {
  const accepting = tls.accept(server);
  const client = await tls.tcpconnect(...tls.getlocal(server), "localhost", { ca, ...options });
  return [client, await task.await(accepting)];
}

test("tcpserver() refuses what does not go with native", async () => {
  const native = true;
  const wrong: tls.TlsListenOptions[] = [
    { ...pair, native, requestCert: true },
    { ...pair, native, requestCert: true, ca },
    { certs: [pair, clientPair], native },
    { ...pair, native, maxHandshakes: 5 },
    { ...pair, native, proxyProtocol: true },
  ];
  for (const options of wrong) {
    assertThrows(() => tls.tcpserver("127.0.0.1", 0, options), TypeError, '"native"');
  }
  assertThrows(() => tls.tcpserver("127.0.0.1", 0, { native: 1 as never }), TypeError, '"native"');
  for (const maxHandshakes of [0, 1.5, 2 ** 32]) {
    assertThrows(() => tls.tcpserver("127.0.0.1", 0, { maxHandshakes }), RangeError);
  }
  const client = await socket.tcpconnect(...socket.getlocal(socket.tcpserver("127.0.0.1", 0)));
  for (const option of ["native", "maxHandshakes"]) {
    const upgrade = () => socket.starttls(client, { certs: [pair], [option]: 1 });
    assertThrows(upgrade, TypeError, option);
  }
  socket.list().forEach(socket.close);
});

test("setcerts() throws EOPNOTSUPP when the listener is native, which goes on", async () => {
  for (const options of [{ ...pair, native: true }, { certs: [pair], native: true }]) {
    const server = tls.tcpserver("127.0.0.1", 0, options);
    const error = assertThrows(() => tls.setcerts(server, clientPair), socket.SocketError);
    assertEquals([error.code, error.op], ["EOPNOTSUPP", "setcerts"]);
    assertEquals(tls.certificate(server), pair.cert);
    const [client, peer] = await connected(server);
    await assertCarries(client, peer);
    [client, peer, server].forEach(tls.close);
  }
});

test("tcpserver() shows a native listener's development certificate", async () => {
  const server = tls.tcpserver("127.0.0.1", 0, { native: true });
  const [client, peer] = await connected(server, { ca: tls.certificate(server) });
  [client, peer, server].forEach(tls.close);
});

test("info() of an accepted connection tells everything, as soon and as long as it is there", async () => {
  for (const [, serve] of completeKinds) {
    const server = tls.tcpserver("127.0.0.1", 0, { ...serve(pair), alpn: ["echo"] });
    const [client, peer] = await connected(server, { alpn: ["echo"] });
    const told = tls.info(peer);
    assertEquals(told.protocol, "TLSv1.3");
    assert(/^TLS_\w+$/.test(told.cipher!));
    assertEquals([told.alpn, told.sni, told.peerCertificate], ["echo", "localhost", null]);
    // Node forgets it all when both ends have ended, and so it does if nobody has asked yet.
    const [other, unasked] = await connected(server, { alpn: ["echo"] });
    for (const [near, far] of [[client, peer], [other, unasked]]) {
      tls.shutdown(far);
      tls.close(near);
      assertEquals((await receiveAll(far)).length, 0);
      await turn();
      assertEquals(tls.info(far), told);
    }
    [peer, unasked, server].forEach(tls.close);
  }
});

test("inspect() tells until when the certificates of a listener are valid", async () => {
  const [sooner, later] = [inDays(5), inDays(9)];
  const [first, second] = [later, sooner].map((notAfter) =>
    authority.issue(["server.test"], { notAfter })
  );
  const seconds = (date?: Date) => Math.floor(Number(date) / 1000);
  const server = tls.tcpserver("127.0.0.1", 0, { certs: [first, second] });
  assertEquals(seconds(inspectListener(server).validTo), seconds(sooner));
  tls.setcerts(server, first);
  assertEquals(seconds(inspectListener(server).validTo), seconds(later));
  const native = tls.tcpserver("127.0.0.1", 0, { ...second, native: true });
  assertEquals(seconds(inspectListener(native).validTo), seconds(sooner));
  const plain = socket.tcpserver("127.0.0.1", 0);
  assertEquals(inspectListener(plain).validTo, undefined);
  [server, native, plain].forEach(socket.close);
  await turn();
});

for (const [kind, serve] of serverKinds) {
  test(`tcpserver() hands its backlog to the system [${kind}]`, async () => {
    const listen = kind === "deno" ? "listenTls" : "listen";
    for (const [options, expected] of [[7, 7], [{ backlog: 9 }, 9], [{}, 128]] as const) {
      using listening = spyOn(Deno, listen);
      const given = typeof options === "number" && kind === "node"
        ? options
        : { ...serve(pair), ...(typeof options === "number" ? { backlog: options } : options) };
      const server = tls.tcpserver("127.0.0.1", 0, given);
      const [{ tcpBacklog }] = listening.calls[0] as [{ tcpBacklog: number }];
      assertEquals(tcpBacklog, expected);
      tls.close(server);
    }
    await turn();
  });

  test(`sends of one turn travel together [${kind}]`, async () => {
    const server = tls.tcpserver("127.0.0.1", 0, serve(pair));
    const [client, peer] = await connected(server);
    await assertCarries(client, peer); // the tickets are out
    const { any } = await connectionPrototypes();
    using writing = spyOn(any, "write");
    const sends = ["one,", "two,", "three"].map((text) => tls.send(peer, text));
    assertEquals(await task.all(sends), [4, 4, 5]);
    assertEquals(writing.calls.length, 1);
    assertEquals(textOf(await receive(client, 13)), "one,two,three");
    // A cancelled one has not begun, and what follows a shutdown of the same turn is none of it.
    const cancelled = tls.send(peer, "never");
    const rest = tls.send(peer, "rest");
    const shutdown = tls.shutdown(peer);
    assertEquals(task.cancel(cancelled), true);
    await task.all([rest, shutdown]);
    assertEquals(textOf(await receiveAll(client)), "rest");
    await codeOf(cancelled);
    [client, peer, server].forEach(tls.close);
  });

  test(`a peer that offers 200 MB to a server that does not read costs a few buffers [${kind}]`, async () => {
    const server = tls.tcpserver("127.0.0.1", 0, serve(pair));
    const accepting = tls.accept(server);
    const [hostname, port] = tls.getlocal(server);
    const plain = await Deno.connect({ hostname, port });
    const flood = await Deno.startTls(plain, { hostname: "localhost", caCerts: [ca] });
    await flood.handshake();
    const peer = await task.await(accepting);
    assertEquals(tls.peek(peer), undefined); // leaves a read under way
    const { external } = Deno.memoryUsage();
    const chunk = new Uint8Array(1024 * 1024);
    let written = 0;
    const flooding = (async () => {
      while (written < 200e6) written += await flood.write(chunk);
    })().catch(() => {});
    // Until nothing more is taken.
    for (let before = -1; before !== written;) {
      before = written;
      for (let i = 0; i < 50; i++) await turn();
    }
    assert(written < 40e6, `${written} bytes were taken`);
    assert(Deno.memoryUsage().external - external < 8e6, "they are in memory");
    const record = socket.inspect(peer) as socket.StreamRecord;
    assert(record.queuedIn <= 256 * 1024, `${record.queuedIn} bytes wait`);
    // It goes on as soon as somebody reads.
    const least = written + 1e6;
    while (written < least) await task.await(tls.recv(peer, 1 << 20));
    [peer, server].forEach(tls.close);
    flood.close();
    await flooding;
  });
}

for (const [how, serve] of completeKinds) {
  test(`accepted connections have TCP_NODELAY [${how}]`, async () => {
    const server = tls.tcpserver("127.0.0.1", 0, serve(pair));
    const { tcp } = await connectionPrototypes();
    using setting = spyOn(tcp, "setNoDelay");
    const accepting = tls.accept(server);
    const hello = await clientHello();
    const before = setting.calls.length;
    const [hostname, port] = tls.getlocal(server);
    const conn = await Deno.connect({ hostname, port });
    await conn.write(hello);
    await conn.read(new Uint8Array(1));
    assertEquals(setting.calls.slice(before), [[true]]);
    conn.close();
    tls.close(server);
    await codeOf(accepting);
  });
}

for (const [kind, own] of clientKinds) {
  test(`clients have TCP_NODELAY before their handshake [${kind}]`, async () => {
    const server = tls.tcpserver("127.0.0.1", 0, { ...pair, native: true });
    const { tcp } = await connectionPrototypes();
    using setting = spyOn(tcp, "setNoDelay");
    const [client, peer] = await connected(server, own);
    assertEquals(setting.calls, [[true]]);
    [client, peer, server].forEach(tls.close);
  });
}

test("handshakes have ten seconds when nothing else is said", async () => {
  const { setTimeout } = globalThis;
  const times: unknown[] = [];
  globalThis.setTimeout = ((run: () => void, ms?: number) => {
    times.push(ms);
    return setTimeout(run, ms);
  }) as typeof setTimeout;
  try {
    for (const [, serve] of [...serverKinds, ...completeKinds]) {
      times.length = 0;
      const server = tls.tcpserver("127.0.0.1", 0, serve(pair));
      const [client, peer] = await connected(server);
      assert(times.includes(10_000), `${times}`);
      [client, peer, server].forEach(tls.close);
    }
    times.length = 0;
    using ends = await tcpPair();
    const upgrading = socket.starttls(ends.peer, { certs: [pair] });
    assert(times.includes(10_000), `${times}`);
    ends.close();
    await codeOf(upgrading);
  } finally {
    globalThis.setTimeout = setTimeout;
  }
});

// close_notify

for (const [kind, serve] of serverKinds) {
  for (const [client, own] of clientKinds) {
    test(`100 connections that are read to their end and closed end in good order [${client} to ${kind}]`, async () => {
      const server = tls.tcpserver("127.0.0.1", 0, serve(pair));
      const before = openDescriptors();
      const readToEnd = async (peer: socket.SocketId) => {
        while ((await task.await(tls.recv(peer))).length > 0);
        tls.close(peer);
      };
      const accepting = task.spawn(async () => {
        for (let i = 0; i < 100; i++) {
          task.forget(task.spawn(readToEnd, [await task.await(tls.accept(server))]));
        }
      });
      const clients = await Promise.all(
        Array.from(
          { length: 100 },
          () => tls.tcpconnect(...tls.getlocal(server), "localhost", { ca, ...own }),
        ),
      );
      const sends = clients.flatMap((id) => [tls.send(id, "x"), tls.shutdown(id)]);
      const ends = await Promise.all(clients.map((id) => codeOf(tls.recv(id))));
      assertEquals(new Set(ends), new Set(["completed with "]));
      await task.all([accepting, ...sends]);
      [...clients, server].forEach(tls.close);
      await until(() => openDescriptors() < before);
    });
  }
}

test("a connection closed the moment that it was accepted ends in good order", async () => {
  const server = tls.tcpserver("127.0.0.1", 0, pair);
  const serving = tls.serve(server, () => {}, { maxConnections: 1000 });
  const ends = await Promise.all(Array.from({ length: 60 }, async () => {
    const client = await tls.tcpconnect(...tls.getlocal(server), "localhost", { ca });
    const end = await codeOf(tls.recv(client));
    tls.close(client);
    return end;
  }));
  assertEquals(new Set(ends), new Set(["completed with "]));
  tls.close(server);
  await codeOf(serving);
});

test("close() of a connection whose peer takes nothing lets go all the same", async () => {
  const before = openDescriptors();
  const server = tls.tcpserver("127.0.0.1", 0, pair);
  const accepting = tls.accept(server);
  const [host, port] = tls.getlocal(server);
  const stuck = connect({ host, port, ca, servername: "localhost" });
  await new Promise<void>((resolve) => stuck.once("secureConnect", resolve));
  stuck.pause();
  const peer = await task.await(accepting);
  const sending = tls.send(peer, new Uint8Array(64 * 1024 * 1024));
  await turn();
  tls.close(peer);
  assertEquals(await codeOf(sending), "ECONNABORTED");
  tls.close(server);
  const gone = new Promise((resolve) => stuck.once("close", resolve));
  stuck.destroy();
  await gone;
  await until(() => openDescriptors() <= before);
});
