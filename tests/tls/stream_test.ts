// An encrypted stream: how it ends, what becomes of it when it is tampered with, what is known of it.
// That it carries bytes as a plain one does is for tests/socket/duplex_test.ts.

import { assertEquals, assertThrows } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { receive, receiveAll, textOf } from "../bytes.ts";
import { type Pair, pairOf, starttlsPair, tcpPair, tlsPair, type Transport } from "../pair.ts";
import { type Proxy, serveProxy, type Troubles } from "../proxy.ts";
import { codeOf, faultOf, leavingNothing, thrownBy, turn, until } from "../settle.ts";
import {
  assertCarries,
  authority,
  ca,
  clientKinds,
  clientPair,
  pair,
  serverKinds,
} from "./helpers.ts";

const test = (name: string, run: () => Promise<void>) => Deno.test(name, () => leavingNothing(run));

/** Every combination of implementations. */
const kinds: readonly (Transport & {
  readonly server: tls.TlsListenOptions;
  readonly client: tls.TlsClientOptions;
})[] = clientKinds.flatMap(([clientKind, own]) =>
  serverKinds.map(([serverKind, serve]) => {
    const [server, client] = [serve(pair), { ca, ...own }];
    const name = `${clientKind} to ${serverKind}`;
    return { name, server, client, makePair: () => tlsPair(server, client) };
  })
);

/** A pair with a proxy in between. */
async function proxied(
  server: tls.TlsListenOptions,
  client: tls.TlsClientOptions,
  troubles: Troubles = {},
): Promise<{ pair: Pair; proxy: Proxy }> {
  const listener = tls.tcpserver("127.0.0.1", 0, server);
  const proxy = await serveProxy(tls.getlocal(listener), troubles);
  const accepting = tls.accept(listener);
  const id = await tls.tcpconnect(...proxy.address, "localhost", client);
  const pair = pairOf(id, await task.await(accepting));
  tls.close(listener);
  return { pair, proxy };
}

for (const { name, server, client, makePair } of kinds) {
  for (const [end, other] of [["client", "peer"], ["peer", "client"]] as const) {
    test(`recv() by the ${end} gives what came, then EUNEXPECTEDEOF when cut [${name}]`, async () => {
      const link = await proxied(server, client);
      await using proxy = link.proxy;
      using ends = link.pair;
      await task.await(tls.send(ends[other], "last words"));
      // TLS 1.3 session tickets and the like have gone through, too.
      await until(() => socket.peek(ends[end])?.length === 10);
      proxy.cut();
      assertEquals(textOf(await receive(ends[end], 10)), "last words");
      for (let time = 0; time < 3; time++) {
        assertEquals(await codeOf(tls.recv(ends[end])), "EUNEXPECTEDEOF");
        const into = tls.recvInto(ends[end], new Uint8Array(20_000));
        assertEquals(await codeOf(into), "EUNEXPECTEDEOF");
        assertEquals(await codeOf(tls.recvLine(ends[end])), "EUNEXPECTEDEOF");
        assertEquals(thrownBy(() => tls.peek(ends[end])), "EUNEXPECTEDEOF");
      }
      const error = await task.await(tls.recv(ends[end])).catch((error) => error);
      assertEquals(/: connection was cut without close_notify \(/.test(error.message), true);
      // A send finds that nobody is there, at the first try or soon.
      let sending = "";
      while (sending === "") {
        sending = await task.await(tls.send(ends[end], "hello?"))
          .then(() => turn().then(() => ""), ({ code }) => code);
      }
      assertEquals(["EPIPE", "ECONNRESET"].includes(sending), true, sending);
      assertEquals([socket.isopen(ends[end]), socket.istls(ends[end])], [true, true]);
    });

    test(`recv() by the ${end} that waits faults EUNEXPECTEDEOF when cut [${name}]`, async () => {
      const link = await proxied(server, client);
      await using proxy = link.proxy;
      using ends = link.pair;
      await assertCarries(ends.client, ends.peer);
      const ids = [tls.recv(ends[end]), tls.recvExact(ends[end], 5), tls.recvUntil(ends[end], ";")];
      proxy.cut();
      for (const id of ids) assertEquals(await codeOf(id), "EUNEXPECTEDEOF");
    });

    test(`recv() by the ${end} gives ECONNRESET when reset [${name}]`, async () => {
      const link = await proxied(server, client);
      await using proxy = link.proxy;
      using ends = link.pair;
      await assertCarries(ends.client, ends.peer);
      const receiving = tls.recv(ends[end]);
      proxy.reset();
      assertEquals(await codeOf(receiving), "ECONNRESET");
    });

    test(`recv() by the ${end} gives the end when the other closes [${name}]`, async () => {
      using ends = await makePair();
      await task.await(tls.send(ends[other], "bye"));
      tls.close(ends[other]);
      assertEquals(textOf(await receiveAll(ends[end])), "bye");
      assertEquals(await codeOf(tls.recv(ends[end])), "completed with ");
    });

    test(`shutdown() by the ${other} ends one way only [${name}]`, async () => {
      using ends = await makePair();
      tls.send(ends[other], "question");
      await task.await(tls.shutdown(ends[other]));
      assertEquals(textOf(await receiveAll(ends[end])), "question");
      assertEquals(await codeOf(tls.send(ends[other], "more")), "EPIPE");
      await task.await(tls.write(ends[end], "answer"));
      assertEquals(textOf(await receive(ends[other], 6)), "answer");
      await task.await(tls.shutdown(ends[end]));
      assertEquals(textOf(await receiveAll(ends[other])), "");
    });

    test(`recv() by the ${end} faults EPROTO when a byte is flipped [${name}]`, async () => {
      // Behind the handshakes and tickets of either implementation.
      const flipAt = 20_000;
      const way = end === "client" ? "toClient" : "toServer";
      const link = await proxied(server, client, { [way]: { flipAt } });
      await using _proxy = link.proxy;
      using ends = link.pair;
      const sending = tls.send(ends[other], new Uint8Array(100_000));
      let code = "";
      for (let got = 0; code === "";) {
        await task.await(tls.recv(ends[end])).then(
          ({ length }) => got += length,
          (error) => code = error.code,
        );
        // Records before the one that was altered may come through.
        assertEquals(got < flipAt, true);
      }
      assertEquals(code, "EPROTO");
      assertEquals(await codeOf(tls.recv(ends[end])), "EPROTO");
      tls.close(ends[end]);
      await task.await(sending).catch(() => {});
    });

    for (const size of [1, 16383, 16384, 16385, 32767, 32768, 32769, 65537]) {
      test(`send() by the ${other} carries records of ${size} bytes [${name}]`, async () => {
        using ends = await makePair();
        const data = crypto.getRandomValues(new Uint8Array(size < 65536 ? size : 65536));
        for (let time = 0; time < 3; time++) {
          const sending = tls.send(ends[other], data);
          assertEquals(await task.await(tls.recvExact(ends[end], data.length)), data);
          assertEquals(await task.await(sending), data.length);
        }
      });
    }
  }

  test(`recvExact() keeps what came when the stream is cut [${name}]`, async () => {
    const link = await proxied(server, client);
    await using proxy = link.proxy;
    using ends = link.pair;
    await task.await(tls.send(ends.client, "abc"));
    await until(() => socket.peek(ends.peer)?.length === 3);
    const id = tls.recvExact(ends.peer, 10);
    proxy.cut();
    const error = await task.await(id).catch((error) => error);
    assertEquals([error.code, textOf(error.partial)], ["EUNEXPECTEDEOF", "abc"]);
    assertEquals(textOf(await receive(ends.peer, 3)), "abc");
  });

  test(`every receiving call works on an encrypted connection [${name}]`, async () => {
    using ends = await makePair();
    const { client: from, peer: to } = ends;
    await task.await(tls.send(from, "exact|until|line\r\nrest"));
    await until(() => tls.peek(to)?.length === 22);
    assertEquals(textOf(tls.peek(to, 5)!), "exact");
    assertEquals(textOf(await task.await(tls.recvExact(to, 6))), "exact|");
    assertEquals(textOf(await task.await(tls.recvUntil(to, "|"))), "until|");
    assertEquals(await task.await(tls.recvLine(to)), "line");
    const buffer = new Uint8Array(2);
    assertEquals([await task.await(tls.recvInto(to, buffer)), textOf(buffer)], [2, "re"]);
    tls.unrecv(to, "ju");
    assertEquals(textOf(await task.await(tls.recv(to))), "ju");
    assertEquals(textOf(await task.await(tls.recv(to, 9))), "st");
    assertEquals(tls.getpeer(to), tls.getlocal(from));
  });

  test(`istls() and inspect() say that it is encrypted [${name}]`, async () => {
    using ends = await makePair();
    for (const id of [ends.client, ends.peer]) {
      assertEquals(socket.istls(id), true);
      assertEquals((socket.inspect(id) as socket.StreamRecord).tls, true);
    }
    ends.close();
    assertEquals([socket.istls(ends.client), socket.istls(ends.peer)], [false, false]);
  });

  test(`info() tells the same all the time [${name}]`, async () => {
    using ends = await makePair();
    for (const id of [ends.client, ends.peer]) assertEquals(tls.info(id), tls.info(id));
  });
}

test("info() tells a client of Deno's the server's certificate", async () => {
  const shown = authority.issue(["server.test", "127.0.0.1", "*.server.test"]);
  const listener = tls.tcpserver("127.0.0.1", 0, { ...shown, native: true, alpn: ["echo"] });
  const accepting = tls.accept(listener);
  const address = tls.getlocal(listener);
  const client = await tls.tcpconnect(...address, "server.test", { ca, alpn: ["echo"] });
  const { protocol, cipher, alpn, sni, peerCertificate } = tls.info(client);
  assertEquals([protocol, cipher, alpn, sni], [null, null, "echo", "server.test"]);
  assertEquals(peerCertificate!.subject, "server.test");
  assertEquals(peerCertificate!.issuer, authority.name);
  assertEquals(peerCertificate!.names, ["server.test", "127.0.0.1", "*.server.test"]);
  assertEquals(peerCertificate!.validFrom < new Date(), true);
  assertEquals(peerCertificate!.validTo > new Date(), true);
  assertEquals(/^[0-9A-F]+$/i.test(peerCertificate!.serialNumber), true);
  const der = Uint8Array.fromBase64(shown.cert.replace(/-----.*?-----|\s/g, ""));
  assertEquals(peerCertificate!.raw, der);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", der));
  assertEquals(peerCertificate!.fingerprint256.replaceAll(":", "").toLowerCase(), hash.toHex());
  const peer = await task.await(accepting);
  assertEquals(tls.info(peer), {
    protocol: null,
    cipher: null,
    alpn: "echo",
    sni: null,
    peerCertificate: null,
  });
  [client, peer, listener].forEach(tls.close);
});

test("info() tells more of Node's connections", async () => {
  const server = { certs: [pair], requestCert: true, ca, alpn: ["echo"] };
  using ends = await tlsPair(server, { ca, ...clientPair, alpn: ["echo"] });
  const [client, peer] = [tls.info(ends.client), tls.info(ends.peer)];
  for (const { protocol, cipher, alpn, sni } of [client, peer]) {
    assertEquals([protocol, alpn, sni], ["TLSv1.3", "echo", "localhost"]);
    assertEquals(/^TLS_\w+$/.test(cipher!), true, String(cipher));
  }
  assertEquals(client.peerCertificate!.subject, "server.test");
  assertEquals(client.peerCertificate!.names, ["server.test", "localhost", "127.0.0.1"]);
  assertEquals(peer.peerCertificate!.subject, "client.test");
});

test("info() tells no sni when the client asked for an address", async () => {
  for (const [, own] of clientKinds) {
    for (const [, serve] of serverKinds) {
      const listener = tls.tcpserver("127.0.0.1", 0, serve(pair));
      const accepting = tls.accept(listener);
      const client = await tls.tcpconnect(...tls.getlocal(listener), "", { ca, ...own });
      const peer = await task.await(accepting);
      assertEquals([tls.info(client).sni, tls.info(peer).sni], [null, null]);
      [client, peer, listener].forEach(tls.close);
    }
  }
});

test("info() throws a code when there is nothing to tell", async () => {
  using plain = await tcpPair();
  const listener = tls.tcpserver("127.0.0.1", 0, pair);
  assertEquals(thrownBy(() => tls.info(plain.client)), "EPROTO");
  assertEquals(thrownBy(() => tls.info(listener)), "EOPNOTSUPP");
  tls.close(listener);
  assertEquals(thrownBy(() => tls.info(listener)), "EBADF");
  assertThrows(() => tls.info(1.5 as socket.SocketId), TypeError, '"id"');
});

// Nothing in clear by mistake

const taskCalls: Record<string, (id: socket.SocketId) => task.TaskId> = {
  recv: (id) => tls.recv(id),
  recvInto: (id) => tls.recvInto(id, new Uint8Array(8)),
  recvExact: (id) => tls.recvExact(id, 3),
  recvUntil: (id) => tls.recvUntil(id, ";"),
  recvLine: (id) => tls.recvLine(id),
  send: (id) => tls.send(id, "secret"),
  write: (id) => tls.write(id, "secret"),
  shutdown: (id) => tls.shutdown(id),
};

const plainCalls: Record<string, (id: socket.SocketId) => unknown> = {
  peek: (id) => tls.peek(id),
  unrecv: (id) => tls.unrecv(id, "x"),
};

for (const [name, call] of Object.entries(taskCalls)) {
  test(`${name}() of tls faults EPROTO and changes nothing when the socket is plain`, async () => {
    using pair = await tcpPair();
    await task.await(socket.send(pair.peer, "abc;\n"));
    const id = call(pair.client);
    assertEquals([task.status(id), faultOf(id)], ["Faulted", "EPROTO"]);
    const error = task.error(id) as socket.SocketError;
    assertEquals([error.op, error.socket], [name, pair.client]);
    task.forget(id);
    const { bytesOut, queuedOut, pending } = socket.inspect(pair.client) as socket.StreamRecord;
    assertEquals([bytesOut, queuedOut, pending], [0, 0, []]);
    // Nothing went out, nothing was taken, and the socket is as usable as before.
    await task.await(socket.send(pair.client, "clear"));
    await task.await(socket.shutdown(pair.client));
    assertEquals(textOf(await receiveAll(pair.peer)), "clear");
    assertEquals(textOf(await receive(pair.client, 5)), "abc;\n");
  });

  test(`${name}() of tls faults with the codes of socket when the ID is another`, async () => {
    const listener = tls.tcpserver("127.0.0.1", 0, pair);
    assertEquals(faultOf(call(listener)), "EOPNOTSUPP");
    tls.close(listener);
    assertEquals(faultOf(call(listener)), "EBADF");
    assertEquals(faultOf(call(task.spawn(() => {}) as unknown as socket.SocketId)), "EBADF");
    assertThrows(() => call("1" as unknown as socket.SocketId), TypeError, '"id"');
    await task.wait();
  });
}

for (const [name, call] of Object.entries(plainCalls)) {
  test(`${name}() of tls throws EPROTO when the socket is plain`, async () => {
    using pair = await tcpPair();
    assertEquals(thrownBy(() => call(pair.client)), "EPROTO");
    assertEquals((socket.inspect(pair.client) as socket.StreamRecord).queuedIn, 0);
    pair.close();
    assertEquals(thrownBy(() => call(pair.client)), "EBADF");
  });
}

test("accept() and its kin of tls refuse a plain listener", async () => {
  const listener = socket.tcpserver("127.0.0.1", 0);
  const client = await socket.tcpconnect(...socket.getlocal(listener));
  assertEquals(faultOf(tls.accept(listener)), "EPROTO");
  assertEquals(faultOf(tls.serve(listener, () => {})), "EPROTO");
  assertEquals(thrownBy(() => tls.hasconnection(listener)), "EPROTO");
  assertEquals(faultOf(tls.accept(client)), "EPROTO");
  // The connection is still there for a plain accept.
  socket.close(await task.await(socket.accept(listener)));
  [client, listener].forEach(socket.close);
});

test("socket's calls work on encrypted sockets as well", async () => {
  const listener = tls.tcpserver("127.0.0.1", 0, pair);
  const accepting = socket.accept(listener);
  const client = await tls.tcpconnect(...socket.getlocal(listener), "localhost", { ca });
  const peer = await task.await(accepting);
  await task.await(socket.send(client, "hello"));
  assertEquals(textOf(await task.await(socket.recv(peer))), "hello");
  assertEquals(socket.getpeer(peer), socket.getlocal(client));
  [client, peer, listener].forEach(socket.close);
});

test("serve() of tls gives the handler encrypted connections", async () => {
  for (const [, options] of serverKinds) {
    const listener = tls.tcpserver("127.0.0.1", 0, options(pair));
    const serving = tls.serve(listener, async (id) => {
      assertEquals(socket.istls(id), true);
      await task.await(tls.send(id, await task.await(tls.recv(id))));
    });
    const client = await tls.tcpconnect(...tls.getlocal(listener), "localhost", { ca });
    await task.await(tls.send(client, "echo"));
    assertEquals(textOf(await receiveAll(client)), "echo");
    tls.close(client);
    tls.close(listener);
    await task.await(serving).catch(() => {});
    await task.wait();
  }
});

test("inspect() counts bytes as they are, not as they travel", async () => {
  // A read that is under way at an upgrade brings a part of the handshake.
  for (const makePair of [tlsPair, starttlsPair, () => starttlsPair(true)]) {
    using ends = await makePair();
    await assertCarries(ends.client, ends.peer, 1000);
    const records = [ends.client, ends.peer].map((id) => socket.inspect(id) as socket.StreamRecord);
    assertEquals(records.map(({ bytesIn }) => bytesIn), [1000, 1000]);
    assertEquals(records.map(({ bytesOut }) => bytesOut), [1000, 1000]);
  }
});
