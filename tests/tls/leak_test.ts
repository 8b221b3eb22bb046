// Nothing outlives its socket: no descriptor, no task, no timer (the sanitizers see to those).

import { assertEquals } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { canCount, descriptorsBackTo, openDescriptors } from "../descriptors.ts";
import { tcpPair } from "../pair.ts";
import { serveProxy } from "../proxy.ts";
import { codeOf, leavingNothing, turn, until } from "../settle.ts";
import {
  assertCarries,
  ca,
  clientHello,
  clientKinds,
  clientPair,
  inspectListener,
  pair,
  refusal,
  serverKinds,
  serveTcp,
} from "./helpers.ts";

/** Runs a test and waits until descriptors are back to where they were, sockets and tasks too. */
const test = (name: string, run: () => Promise<void>) =>
  Deno.test({
    name,
    ignore: !canCount,
    fn: () =>
      leavingNothing(async () => {
        const [descriptors, tasks] = [openDescriptors(), task.list().length];
        await run();
        await descriptorsBackTo(descriptors);
        assertEquals(task.list().length, tasks);
      }),
  });

for (const [serverKind, serve] of serverKinds) {
  for (const [clientKind, own] of clientKinds) {
    const kinds = `[${clientKind} to ${serverKind}]`;

    test(`many good and bad handshakes leave nothing ${kinds}`, async () => {
      const server = tls.tcpserver("127.0.0.1", 0, serve(pair));
      const address = tls.getlocal(server);
      const hello = await clientHello();
      const serving = tls.serve(server, async (id) => {
        await task.await(tls.send(id, await task.await(tls.recv(id))));
      }, { onError: () => {} });
      const dialled: Promise<unknown>[] = [];
      const raw: Deno.Conn[] = [];
      const COUNT = 60;
      for (let i = 0; i < COUNT; i++) {
        if (i % 4 === 0) {
          dialled.push(
            tls.tcpconnect(...address, "localhost", { ca, ...own }).then(async (client) => {
              await task.await(tls.send(client, "hello"));
              assertEquals(await codeOf(tls.recv(client, 2)), "completed with 104,101");
              tls.close(client);
            }),
          );
        } else if (i % 4 === 1) {
          dialled.push(refusal(tls.tcpconnect(...address, "other.test", { ca, ...own })));
        } else {
          const conn = await Deno.connect({ hostname: address[0], port: address[1] });
          raw.push(conn);
          await conn.write(i % 4 === 2 ? hello.subarray(0, i) : new Uint8Array(i));
        }
      }
      await Promise.all(dialled);
      raw.forEach((conn) => conn.close());
      await until(() => {
        const { accepted, dropped } = inspectListener(server);
        return accepted + dropped === COUNT;
      });
      task.cancel(serving);
      await task.await(serving).catch(() => {});
      tls.close(server);
      await task.wait();
    });

    test(`connections closed by either end, or both, leave nothing ${kinds}`, async () => {
      const server = tls.tcpserver("127.0.0.1", 0, serve(pair));
      for (let i = 0; i < 12; i++) {
        const accepting = tls.accept(server);
        const client = await tls.tcpconnect(...tls.getlocal(server), "", { ca, ...own });
        const peer = await task.await(accepting);
        if (i % 2 === 0) await assertCarries(client, peer);
        const ends = i % 3 === 0 ? [client, peer] : [peer, client];
        tls.close(ends[0]);
        if (i % 4 === 0) await turn();
        tls.close(ends[1]);
      }
      tls.close(server);
    });
  }

  test(`silent clients of a closed listener leave nothing [${serverKind}]`, async () => {
    const before = openDescriptors();
    const server = tls.tcpserver("127.0.0.1", 0, { ...serve(pair), handshakeTimeout: Infinity });
    const accepting = tls.accept(server);
    const [hostname, port] = tls.getlocal(server);
    const silent = await Promise.all(
      Array.from({ length: 10 }, () => Deno.connect({ hostname, port })),
    );
    await until(() => inspectListener(server).handshaking === 10);
    tls.close(server);
    assertEquals(await codeOf(accepting), "ECONNABORTED");
    // Node's are gone while the clients are still there; Deno's go with the clients.
    if (serverKind === "node") await descriptorsBackTo(before + 10);
    silent.forEach((conn) => conn.close());
  });

  test(`clients whose time is over leave nothing [${serverKind}]`, async () => {
    const before = openDescriptors();
    const server = tls.tcpserver("127.0.0.1", 0, { ...serve(pair), handshakeTimeout: 20 });
    const accepting = tls.accept(server);
    const [hostname, port] = tls.getlocal(server);
    const silent = await Promise.all(
      Array.from({ length: 10 }, () => Deno.connect({ hostname, port })),
    );
    await until(() => inspectListener(server).dropped === 10);
    if (serverKind === "node") await descriptorsBackTo(before + 11);
    tls.close(server);
    await codeOf(accepting);
    silent.forEach((conn) => conn.close());
  });

  if (serverKind === "node") {
    test(`replaced certificates leave nothing [${serverKind}]`, async () => {
      const server = tls.tcpserver("127.0.0.1", 0, serve(pair));
      const accepting = tls.accept(server);
      for (let i = 0; i < 5; i++) {
        tls.setcerts(server, pair);
        if (i % 2 === 0) await turn();
      }
      tls.close(server);
      await codeOf(accepting);
    });

    test(`a listener closed right after setcerts leaves nothing [${serverKind}]`, async () => {
      const server = tls.tcpserver("127.0.0.1", 0, serve(pair));
      const accepting = tls.accept(server);
      tls.setcerts(server, pair);
      tls.close(server);
      assertEquals(await codeOf(accepting), "ECONNABORTED");
    });
  }

  test(`a forgotten accept leaves no connection [${serverKind}]`, async () => {
    const server = tls.tcpserver("127.0.0.1", 0, serve(pair));
    task.forget(tls.accept(server));
    const client = await tls.tcpconnect(...tls.getlocal(server), "", { ca });
    assertEquals(await codeOf(tls.recv(client)), "completed with ");
    tls.close(client);
    tls.close(server);
  });
}

for (const [kind, own] of clientKinds) {
  test(`connects that failed, timed out or were cancelled leave nothing [${kind}]`, async () => {
    await using silent = serveTcp(async (conn) => {
      while (await conn.read(new Uint8Array(1024)) !== null);
    });
    await using rude = serveTcp(async (conn) => {
      await conn.write(new TextEncoder().encode("HTTP/1.1 400\r\n\r\n"));
      while (await conn.read(new Uint8Array(1024)) !== null);
    });
    const ids: task.TaskId[] = [];
    const before = openDescriptors();
    for (let i = 0; i < 10; i++) {
      ids.push(tls.connect(...silent.address, "", { ca, ...own, timeout: 10 }));
      ids.push(tls.connect(...silent.address, "", { ca, ...own }));
      ids.push(tls.connect(...rude.address, "", { ca, ...own }));
    }
    await turn();
    ids.forEach((id, i) => i % 3 === 1 && task.cancel(id));
    const codes = await Promise.all(ids.map(codeOf));
    assertEquals([...new Set(codes)].sort(), ["ECANCELED", "EPROTO", "ETIMEDOUT"]);
    // Node's are gone while the servers are still there; Deno's go with the servers' ends.
    if (kind === "node") await descriptorsBackTo(before);
  });

  test(`upgrades good and bad leave nothing [${kind}]`, async () => {
    const forClient = { host: "server.test", ca, ...own };
    const forServer = { certs: [pair] };
    for (let i = 0; i < 24; i++) {
      using ends = await tcpPair();
      if (i % 2 === 1) [ends.client, ends.peer].forEach((id) => socket.peek(id));
      const host = i % 4 === 2 ? "other.test" : "server.test";
      const ids: task.TaskId[] = [socket.starttls(ends.client, { ...forClient, host })];
      if (i % 6 === 0) await task.await(socket.send(ends.peer, "injected"));
      else ids.push(socket.starttls(ends.peer, forServer));
      if (i % 5 === 0) task.cancel(ids[0]);
      await Promise.all(ids.map(codeOf));
    }
  });

  test(`clogged connections leave nothing when they are closed [${kind}]`, async () => {
    for (const [serverKind, serve] of serverKinds) {
      const server = tls.tcpserver("127.0.0.1", 0, serve(pair));
      const accepting = tls.accept(server);
      const client = await tls.tcpconnect(...tls.getlocal(server), "", { ca, ...own });
      const peer = await task.await(accepting);
      const data = new Uint8Array(16 * 1024 * 1024);
      // Two ends of Deno's that are clogged would wait for each other for ever: tls/core/backend.ts.
      const clogged = kind === "node" || serverKind === "node" ? [client, peer] : [client];
      const ids = clogged.flatMap((id) => [tls.send(id, data), tls.send(id, data)]);
      await turn();
      [client, peer, server].forEach(tls.close);
      assertEquals(new Set(await Promise.all(ids.map(codeOf))), new Set(["ECONNABORTED"]));
    }
  });

  test(`streams that were cut leave nothing when they are closed [${kind}]`, async () => {
    for (const [, serve] of serverKinds) {
      const server = tls.tcpserver("127.0.0.1", 0, serve(pair));
      await using proxy = await serveProxy(tls.getlocal(server));
      const accepting = tls.accept(server);
      const client = await tls.tcpconnect(...proxy.address, "", { ca, ...own });
      const peer = await task.await(accepting);
      await assertCarries(client, peer);
      proxy.cut();
      assertEquals(await codeOf(tls.recv(client)), "EUNEXPECTEDEOF");
      assertEquals(await codeOf(tls.recv(peer)), "EUNEXPECTEDEOF");
      [client, peer, server].forEach(tls.close);
    }
  });
}

test("a server's own starttls leaves nothing when a certificate is refused", async () => {
  for (let i = 0; i < 5; i++) {
    using ends = await tcpPair();
    const serving = socket.starttls(ends.peer, { certs: [pair], requestCert: true, ca });
    const own = i % 2 === 0 ? {} : tls.selfsigned(["client.test"]);
    const upgrading = socket.starttls(ends.client, { host: "server.test", ca, ...own });
    await Promise.all([serving, upgrading].map(codeOf));
    assertEquals(socket.isopen(ends.peer), false);
  }
});

test("connects cancelled at the moment when they succeed leave nothing", async () => {
  await using server = serveTcp(async (conn) => {
    while (await conn.read(new Uint8Array(1024)) !== null);
  });
  const begin = [
    () => socket.connect(...server.address),
    () => tls.connect(...server.address, "", { ca, ...clientPair }),
  ];
  for (let round = 0; round < 40; round++) {
    const ids = Array.from({ length: 20 }, begin[round % 2]);
    await turn();
    // The system has connected by now, but Deno may not have said so.
    for (const end = performance.now() + round / 8; performance.now() < end;);
    ids.forEach((id) => task.cancel(id));
    for (const id of ids) await task.await(id).then(socket.close, () => {});
  }
});

/** Calls a function so many microtasks from now. */
function soon(microtasks: number, run: () => void): void {
  if (microtasks === 0) run();
  else queueMicrotask(() => soon(microtasks - 1, run));
}

/** Runs a test with handshakes of Deno's that tell when they have succeeded. */
async function watchingHandshakes(succeeded: () => void, run: () => Promise<void>): Promise<void> {
  const { startTls } = Deno;
  Deno.startTls = async (...args) => {
    const conn = await startTls(...args);
    const handshake = conn.handshake.bind(conn);
    conn.handshake = async () => {
      const info = await handshake();
      succeeded();
      return info;
    };
    return conn;
  };
  try {
    await run();
  } finally {
    Deno.startTls = startTls;
  }
}

for (const microtasks of Array(12).keys()) {
  test(`a connect cancelled ${microtasks} microtasks after its handshake leaves nothing`, async () => {
    const server = tls.tcpserver("127.0.0.1", 0, pair);
    const accepting = tls.accept(server);
    let id = 0 as task.TaskId<socket.SocketId>;
    await watchingHandshakes(() => soon(microtasks, () => task.cancel(id)), async () => {
      id = tls.connect(...tls.getlocal(server), "", { ca });
      await task.await(id).then(tls.close, () => {});
    });
    tls.close(await task.await(accepting));
    tls.close(server);
  });

  test(`a starttls closed ${microtasks} microtasks after its handshake leaves nothing`, async () => {
    using ends = await tcpPair();
    const serving = socket.starttls(ends.peer, { certs: [pair] });
    await watchingHandshakes(() => soon(microtasks, () => socket.close(ends.client)), async () => {
      await codeOf(socket.starttls(ends.client, { host: "server.test", ca }));
    });
    await codeOf(serving);
    assertEquals(socket.isopen(ends.client), false);
  });
}
