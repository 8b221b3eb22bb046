// A TLS listener: which certificate it shows, whom it lets in, and that nobody holds it up.

import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import net from "node:net";
import { socket, task, tls } from "../../mod.ts";
import { codeOf, faultOf, leavingNothing, turn, until } from "../settle.ts";
import {
  assertCarries,
  Authority,
  authority,
  ca,
  clientHello,
  clientKinds,
  clientPair,
  completeKinds,
  inspectListener,
  pair,
  refusal,
  serverKinds,
  settled,
} from "./helpers.ts";

const test = (name: string, run: () => Promise<void>) => Deno.test(name, () => leavingNothing(run));

/** Whom the certificate is for that a client is shown. */
async function shownTo(server: socket.SocketId, sni: string, trusted = ca): Promise<string> {
  const accepting = tls.accept(server);
  const unsafe = { ca: trusted, unsafelyIgnoreHostname: true };
  const client = await tls.tcpconnect(...tls.getlocal(server), sni, unsafe);
  const subject = tls.info(client).peerCertificate!.subject;
  tls.close(await task.await(accepting));
  tls.close(client);
  return subject;
}

/** Both ends of a connection through a listener. */
async function connected(
  server: socket.SocketId,
  options: tls.TlsClientOptions = {},
): Promise<[client: socket.SocketId, peer: socket.SocketId]> {
  const accepting = tls.accept(server);
  const address = tls.getlocal(server);
  const client = await tls.tcpconnect(...address, "localhost", { ca, ...options });
  return [client, await task.await(accepting)];
}

for (const host of ["127.0.0.1", "localhost", "::1", "127.0.0.3", ""]) {
  test(`tcpserver() shows a certificate of its own when none is given for "${host}"`, async () => {
    const server = tls.tcpserver(host, 0);
    const [address, port] = tls.getlocal(server);
    const where = host === "" ? "127.0.0.1" : address;
    for (const sni of ["localhost", "127.0.0.1", "::1", host || "localhost"]) {
      const accepting = tls.accept(server);
      const client = await tls.tcpconnect(where, port, sni, { ca: tls.certificate(server) });
      const peer = await task.await(accepting);
      await assertCarries(client, peer);
      [client, peer].forEach(tls.close);
    }
    const accepting = tls.accept(server);
    const stranger = tls.tcpconnect(where, port, "localhost");
    assertEquals(await refusal(stranger), "UNABLE_TO_GET_ISSUER_CERT");
    const other = tls.tcpconnect(where, port, "other.test", { ca: tls.certificate(server) });
    assertEquals(await refusal(other), "ERR_TLS_CERT_ALTNAME_INVALID");
    tls.close(server);
    await settled(accepting);
  });
}

test("tcpserver() makes another certificate every time", async () => {
  const [a, b] = [tls.tcpserver("127.0.0.1", 0), tls.tcpserver("127.0.0.1", 0)];
  assertNotEquals(tls.certificate(a), tls.certificate(b));
  [a, b].forEach(tls.close);
  await turn();
});

test("tcpserver() takes a backlog as a number or an option", async () => {
  for (const options of [5, { backlog: 5 }, { backlog: 5, certs: [pair] }]) {
    const server = tls.tcpserver("127.0.0.1", 0, options);
    const [client, peer] = await connected(server, { ca: [ca, tls.certificate(server)] });
    [client, peer, server].forEach(tls.close);
  }
});

test("certificate() gives what is shown by default", () => {
  for (const [, options] of serverKinds) {
    const server = tls.tcpserver("127.0.0.1", 0, options(pair));
    assertEquals(tls.certificate(server), pair.cert);
    tls.close(server);
  }
  return Promise.resolve();
});

test("certificate() throws a code when the ID is no TLS listener", async () => {
  const plain = socket.tcpserver("127.0.0.1", 0);
  const client = await socket.tcpconnect(...socket.getlocal(plain));
  const code = (run: () => unknown) => assertThrows(run, socket.SocketError).code;
  for (
    const [id, expected] of [[plain, "EPROTO"], [client, "EOPNOTSUPP"], [999999999, "EBADF"]]
  ) {
    assertEquals(code(() => tls.certificate(id as socket.SocketId)), expected);
    assertEquals(code(() => tls.setcerts(id as socket.SocketId, pair)), expected);
  }
  [client, plain].forEach(socket.close);
});

test("tcpserver() throws the codes of a plain one", () => {
  const taken = socket.tcpserver("127.0.0.1", 0);
  const [, port] = socket.getlocal(taken);
  for (const [, options] of serverKinds) {
    const error = assertThrows(
      () => tls.tcpserver("127.0.0.1", port, options(pair)),
      socket.SocketError,
    );
    assertEquals([error.code, error.op, error.local], ["EADDRINUSE", "listen", [
      "127.0.0.1",
      port,
    ]]);
    const elsewhere = () => tls.tcpserver("192.0.2.1", 0, options(pair));
    assertEquals(assertThrows(elsewhere, socket.SocketError).code, "EADDRNOTAVAIL");
  }
  socket.close(taken);
  return Promise.resolve();
});

// Server names

const certs = ["default.test", "one.test", "*.wild.test", "exact.wild.test", "*.one.test"]
  .map((name) => authority.issue([name]));

const choices: [when: string, sni: string, expected: string][] = [
  ["the name is the first one's", "default.test", "default.test"],
  ["the name is another one's", "one.test", "one.test"],
  ["the case differs", "ONE.Test", "one.test"],
  ["the name ends in a dot", "one.test.", "one.test"],
  ["a wildcard covers the name", "a.wild.test", "*.wild.test"],
  ["a wildcard covers the name in another case", "A.WILD.TEST", "*.wild.test"],
  ["the very name stands behind a wildcard", "exact.wild.test", "exact.wild.test"],
  ["a wildcard would have to stand for two labels", "a.b.wild.test", "default.test"],
  ["a wildcard would have to stand for none", "wild.test", "default.test"],
  ["nobody knows the name", "unknown.test", "default.test"],
  ["the client asks for an address, which is no name", "127.0.0.1", "default.test"],
];

for (const [when, sni, expected] of choices) {
  test(`tcpserver() shows the certificate for ${expected} when ${when}`, async () => {
    const server = tls.tcpserver("127.0.0.1", 0, { certs });
    assertEquals(await shownTo(server, sni), expected);
    tls.close(server);
  });
}

test("tcpserver() chooses by every name of a certificate", async () => {
  const both = authority.issue(["a.test", "b.test", "*.c.test"]);
  const server = tls.tcpserver("127.0.0.1", 0, { certs: [certs[0], both] });
  for (const sni of ["a.test", "b.test", "d.c.test"]) {
    assertEquals(await shownTo(server, sni), "a.test");
  }
  tls.close(server);
});

test("tcpconnect() gives a client the certificate for its sni, not for its host", async () => {
  const certs = [authority.issue(["127.0.0.1"]), authority.issue(["api.example.com"])];
  const server = tls.tcpserver("127.0.0.1", 0, { certs });
  const accepting = [tls.accept(server), tls.accept(server)];
  const address = tls.getlocal(server);
  const client = await tls.tcpconnect(...address, "api.example.com", { ca });
  assertEquals(tls.info(client).peerCertificate!.subject, "api.example.com");
  const plain = await tls.tcpconnect(...address, "", { ca });
  assertEquals(tls.info(plain).peerCertificate!.subject, "127.0.0.1");
  [client, plain, ...await task.all(accepting), server].forEach(tls.close);
});

// ALPN

for (const [clientKind, own] of clientKinds) {
  for (const [serverKind, serve] of serverKinds) {
    const kinds = `[${clientKind} to ${serverKind}]`;

    for (
      const [when, offered, accepted, expected] of [
        ["both know it", ["h2", "http/1.1"], ["http/1.1"], "http/1.1"],
        ["only the client names protocols", ["h2"], undefined, null],
        ["only the server names protocols", undefined, ["h2"], null],
        ["nobody names protocols", undefined, undefined, null],
        ["the server prefers another", ["a", "b"], ["b", "a"], "b"],
      ] as [string, string[] | undefined, string[] | undefined, string | null][]
    ) {
      test(`tcpconnect() agrees on ${expected} when ${when} ${kinds}`, async () => {
        const server = tls.tcpserver("127.0.0.1", 0, { ...serve(pair), alpn: accepted });
        const [client, peer] = await connected(server, { ...own, alpn: offered });
        assertEquals([tls.info(client).alpn, tls.info(peer).alpn], [expected, expected]);
        [client, peer, server].forEach(tls.close);
      });
    }

    test(`tcpconnect() rejects when no protocol is agreed on ${kinds}`, async () => {
      const server = tls.tcpserver("127.0.0.1", 0, { ...serve(pair), alpn: ["h2"] });
      const accepting = tls.accept(server);
      const options = { ca, ...own, alpn: ["smtp"] };
      const code = await refusal(tls.tcpconnect(...tls.getlocal(server), "localhost", options));
      assertEquals(code, "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL");
      await until(() => inspectListener(server).dropped === 1);
      assertEquals(task.status(accepting), "Running");
      tls.close(server);
      await settled(accepting);
    });
  }
}

// Client certificates

const demanding = { requestCert: true, ca };

for (const [serverKind, serve] of completeKinds) {
  test(`accept() gives a client whose certificate is trusted [${serverKind}]`, async () => {
    const server = tls.tcpserver("127.0.0.1", 0, { ...serve(pair), ...demanding });
    const [client, peer] = await connected(server, clientPair);
    assertEquals(tls.info(peer).peerCertificate!.subject, "client.test");
    assertEquals(tls.info(peer).peerCertificate!.issuer, authority.name);
    await assertCarries(client, peer);
    [client, peer, server].forEach(tls.close);
  });

  for (
    const [who, own] of [
      ["shows none", {}],
      ["shows one that nobody vouches for", tls.selfsigned(["client.test"])],
      ["shows one of another authority", new Authority("Other").issue(["client.test"])],
    ] as [string, tls.TlsClientOptions][]
  ) {
    test(`accept() does not give a client that ${who} when one is required [${serverKind}]`, async () => {
      const server = tls.tcpserver("127.0.0.1", 0, { ...serve(pair), ...demanding });
      const accepting = tls.accept(server);
      const address = tls.getlocal(server);
      const client = await tls.tcpconnect(...address, "localhost", { ca, ...own })
        .catch((error) => error.code as string);
      // With TLS 1.3 the client has finished before the server has looked at its certificate.
      const code = typeof client === "string" ? client : await codeOf(tls.recv(client));
      assert(/^(ERR_SSL_\w+|EUNEXPECTEDEOF|ECONNRESET)$/.test(code), code);
      if (who === "shows none") assertEquals(code, "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED");
      await until(() => inspectListener(server).dropped === 1);
      assertEquals(task.status(accepting), "Running");
      const good = await tls.tcpconnect(...address, "localhost", { ca, ...clientPair });
      const peer = await task.await(accepting);
      await assertCarries(good, peer);
      [good, peer, server].forEach(tls.close);
      if (typeof client !== "string") tls.close(client);
    });
  }

  test(`accept() asks for no certificate when none is requested [${serverKind}]`, async () => {
    const server = tls.tcpserver("127.0.0.1", 0, serve(pair));
    const [client, peer] = await connected(server, clientPair);
    assertEquals(tls.info(peer).peerCertificate, null);
    [client, peer, server].forEach(tls.close);
  });
}

test("accept() refuses an own authority's client when requestCert is given without ca", async () => {
  const server = tls.tcpserver("127.0.0.1", 0, { certs: [pair], requestCert: true });
  const accepting = tls.accept(server);
  const address = tls.getlocal(server);
  const client = await tls.tcpconnect(...address, "localhost", { ca, ...clientPair })
    .catch(() => undefined);
  await until(() => inspectListener(server).dropped === 1);
  if (client !== undefined) tls.close(client);
  tls.close(server);
  await settled(accepting);
});

// Clients that never finish

for (const [kind, serve] of serverKinds) {
  const server = (options: tls.TlsListenSettings = {}) =>
    tls.tcpserver("127.0.0.1", 0, { ...serve(pair), ...options });
  const raw = async (id: socket.SocketId, text = "") => {
    const [hostname, port] = tls.getlocal(id);
    const conn = await Deno.connect({ hostname, port });
    if (text !== "") await conn.write(new TextEncoder().encode(text));
    return conn;
  };
  const handshaking = (id: socket.SocketId) => inspectListener(id).handshaking;
  const dropped = (id: socket.SocketId) => inspectListener(id).dropped;

  test(`accept() is not held up by silent clients [${kind}]`, async () => {
    const id = server();
    const accepting = tls.accept(id);
    const silent = await Promise.all(Array.from({ length: 20 }, () => raw(id)));
    await until(() => handshaking(id) === 20);
    const client = await tls.tcpconnect(...tls.getlocal(id), "localhost", { ca });
    const peer = await task.await(accepting);
    await assertCarries(client, peer);
    assertEquals([handshaking(id), dropped(id)], [20, 0]);
    [client, peer].forEach(tls.close);
    silent.forEach((conn) => conn.close());
    await until(() => handshaking(id) === 0);
    assertEquals(dropped(id), 20);
    tls.close(id);
  });

  test(`accept() is not faulted by garbage, which is dropped and counted [${kind}]`, async () => {
    const id = server();
    const accepting = tls.accept(id);
    const texts = [
      "GET / HTTP/1.1\r\n\r\n",
      "EHLO x\r\n",
      "\0".repeat(200),
      "\x16\x03\x01\0\x05hello",
    ];
    const rude = await Promise.all(texts.map((text) => raw(id, text)));
    await until(() => dropped(id) === texts.length);
    assertEquals([handshaking(id), task.status(accepting)], [0, "Running"]);
    const client = await tls.tcpconnect(...tls.getlocal(id), "localhost", { ca });
    [client, await task.await(accepting), id].forEach(tls.close);
    rude.forEach((conn) => conn.close());
    assertEquals(await codeOf(tls.accept(id)), "EBADF");
  });

  test(`accept() is not faulted by clients that hang up [${kind}]`, async () => {
    const id = server();
    const accepting = tls.accept(id);
    const hello = await clientHello();
    let count = 0;
    for (const size of [0, 1, 70, 200]) {
      for (const end of ["end", "resetAndDestroy"] as const) {
        const rude = net.connect({ host: "127.0.0.1", port: tls.getlocal(id)[1] });
        rude.write(hello.subarray(0, size));
        await until(() => handshaking(id) === 1);
        const closed = new Promise((resolve) => rude.once("close", resolve));
        rude[end]();
        await until(() => dropped(id) === count + 1);
        count++;
        rude.destroy();
        await closed;
      }
    }
    assertEquals([handshaking(id), task.status(accepting)], [0, "Running"]);
    const client = await tls.tcpconnect(...tls.getlocal(id), "localhost", { ca });
    [client, await task.await(accepting), id].forEach(tls.close);
  });

  test(`accept() is not faulted by a client that refuses the certificate [${kind}]`, async () => {
    const id = server();
    const accepting = tls.accept(id);
    const connecting = tls.tcpconnect(...tls.getlocal(id), "other.test", { ca });
    assertEquals(await refusal(connecting), "ERR_TLS_CERT_ALTNAME_INVALID");
    await until(() => dropped(id) === 1);
    const client = await tls.tcpconnect(...tls.getlocal(id), "localhost", { ca });
    [client, await task.await(accepting), id].forEach(tls.close);
  });

  test(`accept() drops a silent client when its handshakeTimeout is over [${kind}]`, async () => {
    const id = server({ handshakeTimeout: 30 });
    const accepting = tls.accept(id);
    const silent = await raw(id);
    await until(() => handshaking(id) === 1);
    await until(() => dropped(id) === 1);
    assertEquals([handshaking(id), task.status(accepting)], [0, "Running"]);
    // Deno's own TLS lets go of it only when the client does: tls/core/backend.ts.
    if (kind === "node") assertEquals(await silent.read(new Uint8Array(9)), null);
    silent.close();
    tls.close(id);
    await settled(accepting);
  });

  test(`accept() drops nobody for its time when handshakeTimeout is Infinity [${kind}]`, async () => {
    const id = server({ handshakeTimeout: Infinity });
    const accepting = tls.accept(id);
    const late = await socket.tcpconnect(...tls.getlocal(id));
    await until(() => handshaking(id) === 1);
    await task.await(socket.starttls(late, { host: "localhost", ca }));
    const peer = await task.await(accepting);
    await assertCarries(late, peer);
    [late, peer, id].forEach(tls.close);
  });

  test(`accept() gives first whoever has finished first [${kind}]`, async () => {
    const id = server();
    const [first, second] = [tls.accept(id), tls.accept(id)];
    const late = await socket.tcpconnect(...tls.getlocal(id));
    await until(() => handshaking(id) === 1);
    const quick = await tls.tcpconnect(...tls.getlocal(id), "localhost", { ca });
    const ofQuick = await task.await(first);
    assertEquals(tls.getpeer(ofQuick), tls.getlocal(quick));
    assertEquals(task.status(second), "Running");
    await task.await(socket.starttls(late, { host: "localhost", ca }));
    const ofLate = await task.await(second);
    assertEquals(tls.getpeer(ofLate), tls.getlocal(late));
    await assertCarries(late, ofLate);
    [late, quick, ofQuick, ofLate, id].forEach(tls.close);
  });

  test(`accept() lets handshakes go on side by side [${kind}]`, async () => {
    const id = server();
    const accepting = tls.accept(id);
    const COUNT = 10;
    const clients = await Promise.all(
      Array.from({ length: COUNT }, () => socket.tcpconnect(...tls.getlocal(id))),
    );
    await until(() => handshaking(id) === COUNT);
    const upgrades = clients.map((client) => socket.starttls(client, { host: "localhost", ca }));
    await task.all(upgrades);
    await until(() => handshaking(id) === 0);
    // The rest is kept for later accepts, which give them at once.
    const peers = [await task.await(accepting)];
    while (peers.length < COUNT) peers.push(await task.await(tls.accept(id)));
    const ports = (ids: socket.SocketId[], of: typeof tls.getpeer) =>
      ids.map((id) => of(id)[1]).sort();
    assertEquals(ports(peers, tls.getpeer), ports(clients, tls.getlocal));
    assertEquals(inspectListener(id).accepted, COUNT);
    [...clients, ...peers, id].forEach(tls.close);
  });

  test(`close() of a listener drops handshakes and faults accepts at once [${kind}]`, async () => {
    const id = server({ handshakeTimeout: Infinity });
    const accepts = [tls.accept(id), tls.accept(id)];
    const silent = await Promise.all([raw(id), raw(id), raw(id)]);
    await until(() => handshaking(id) === 3);
    tls.close(id);
    assertEquals(accepts.map(faultOf), ["ECONNABORTED", "ECONNABORTED"]);
    if (kind === "node") {
      for (const conn of silent) assertEquals(await conn.read(new Uint8Array(9)), null);
    }
    silent.forEach((conn) => conn.close());
  });

  test(`close() of a listener closes finished connections nobody took [${kind}]`, async () => {
    const id = server();
    const accepting = tls.accept(id);
    const clients = await Promise.all(
      Array.from({ length: 4 }, () => socket.tcpconnect(...tls.getlocal(id))),
    );
    await until(() => handshaking(id) === 4);
    await task.all(clients.map((client) => socket.starttls(client, { host: "localhost", ca })));
    await until(() => handshaking(id) === 0);
    const peer = await task.await(accepting);
    tls.close(id);
    tls.close(peer);
    for (const client of clients) {
      assertEquals(await codeOf(tls.recv(client)), "completed with ");
      tls.close(client);
    }
  });

  test(`close() of a listener leaves accepted connections alone [${kind}]`, async () => {
    const id = server();
    const [client, peer] = await connected(id);
    tls.close(id);
    await assertCarries(client, peer);
    [client, peer].forEach(tls.close);
  });

  test(`hasconnection() is true when a handshake has finished [${kind}]`, async () => {
    const id = server();
    assertEquals(tls.hasconnection(id), false);
    const silent = await raw(id);
    await until(() => handshaking(id) === 1);
    assertEquals(tls.hasconnection(id), false);
    const client = await tls.tcpconnect(...tls.getlocal(id), "localhost", { ca });
    await until(() => tls.hasconnection(id));
    const accepting = tls.accept(id);
    assertEquals(task.status(accepting), "Completed");
    [client, await task.await(accepting), id].forEach(tls.close);
    silent.close();
  });

  test(`accept() loses no connection when it is cancelled [${kind}]`, async () => {
    const id = server();
    const cancelled = tls.accept(id);
    const client = await socket.tcpconnect(...tls.getlocal(id));
    await until(() => handshaking(id) === 1);
    assertEquals(task.cancel(cancelled), true);
    await task.await(socket.starttls(client, { host: "localhost", ca }));
    const peer = await task.await(tls.accept(id));
    assertEquals(tls.getpeer(peer), tls.getlocal(client));
    await settled(cancelled);
    [client, peer, id].forEach(tls.close);
  });

  test(`inspect() tells a TLS listener and its connections [${kind}]`, async () => {
    const id = server();
    const [client, peer] = await connected(id);
    const { tls: encrypted, accepted, ready, handshaking, dropped } = inspectListener(id);
    assertEquals([encrypted, accepted, ready, handshaking, dropped], [true, 1, 0, 0, 0]);
    for (const end of [client, peer]) {
      const record = socket.inspect(end) as socket.StreamRecord;
      assertEquals([record.tls, record.kind], [true, "stream"]);
    }
    assertEquals([tls.getside(client), tls.getside(peer)], ["client", "server"]);
    [client, peer, id].forEach(tls.close);
  });

  // Certificates replaced while listening

  if (kind === "deno") continue;

  test(`setcerts() shows the new certificate from then on [${kind}]`, async () => {
    const id = server();
    const [client, peer] = await connected(id);
    const renewed = authority.issue(["renewed.test"]);
    tls.setcerts(id, renewed);
    assertEquals(tls.certificate(id), renewed.cert);
    assertEquals(await shownTo(id, "localhost"), "renewed.test");
    await assertCarries(client, peer);
    tls.setcerts(id, [pair, renewed]);
    assertEquals(tls.certificate(id), pair.cert);
    assertEquals(await shownTo(id, "renewed.test"), "renewed.test");
    assertEquals(await shownTo(id, "localhost"), "server.test");
    [client, peer, id].forEach(tls.close);
  });

  test(`setcerts() leaves pending accepts and handshakes under way alone [${kind}]`, async () => {
    const id = server();
    const accepts = [tls.accept(id), tls.accept(id)];
    const late = await socket.tcpconnect(...tls.getlocal(id));
    await until(() => handshaking(id) === 1);
    const address = tls.getlocal(id);
    tls.setcerts(id, authority.issue(["localhost"]));
    assertEquals(tls.getlocal(id), address);
    assertEquals(accepts.map(task.status), ["Running", "Running"]);
    await task.await(socket.starttls(late, { host: "localhost", ca }));
    assertEquals(tls.info(late).peerCertificate!.subject, "server.test");
    const early = await tls.tcpconnect(...address, "localhost", { ca });
    assertEquals(tls.info(early).peerCertificate!.subject, "localhost");
    [late, early, ...await task.all(accepts), id].forEach(tls.close);
  });

  test(`setcerts() keeps the old certificate when the new one cannot be used [${kind}]`, async () => {
    const id = server();
    for (const [what, bad, code] of badPairs()) {
      const error = assertThrows(() => tls.setcerts(id, bad), socket.SocketError);
      assertEquals([what, error.code, error.op], [what, code, "setcerts"]);
      const listed = () => tls.setcerts(id, [pair, bad]);
      assertEquals(assertThrows(listed, socket.SocketError).code, code);
    }
    assertThrows(() => tls.setcerts(id, []), RangeError, "certs");
    assertEquals(tls.certificate(id), pair.cert);
    assertEquals(await shownTo(id, "localhost"), "server.test");
    tls.close(id);
  });

  test(`setcerts() keeps what was asked for besides the certificate [${kind}]`, async () => {
    const id = server({ alpn: ["echo"], handshakeTimeout: 30 });
    tls.setcerts(id, authority.issue(["localhost"]));
    const [client, peer] = await connected(id, { alpn: ["echo"] });
    assertEquals(tls.info(client).alpn, "echo");
    const accepting = tls.accept(id);
    const silent = await raw(id);
    await until(() => dropped(id) === 1);
    silent.close();
    [client, peer, id].forEach(tls.close);
    await settled(accepting);
  });

  test(`setcerts() works on a listener again and again [${kind}]`, async () => {
    const id = server();
    for (let time = 0; time < 5; time++) {
      const name = `time${time}.test`;
      tls.setcerts(id, authority.issue([name]));
      assertEquals(await shownTo(id, name), name);
    }
    tls.close(id);
  });
}

test("setcerts() drops no connection of a listener with certs under load", async () => {
  const names = ["a.test", "b.test"];
  const pairs = names.map((name) => authority.issue([name, "localhost"]));
  const server = tls.tcpserver("127.0.0.1", 0, { certs: [pairs[0]] });
  const address = tls.getlocal(server);
  let done = false;
  const serving = task.spawn(async () => {
    for (let i = 0; i < 60; i++) {
      const peer = await task.await(tls.accept(server));
      task.forget(task.spawn(async () => {
        await task.await(tls.send(peer, await task.await(tls.recv(peer))));
        await task.await(tls.recv(peer));
        tls.close(peer);
      }));
    }
  });
  const replacing = task.spawn(async () => {
    for (let i = 0; !done; i++) {
      tls.setcerts(server, pairs[i % 2]);
      await turn();
    }
  });
  const clients = Array.from({ length: 6 }, () =>
    task.spawn(async () => {
      for (let i = 0; i < 10; i++) {
        const client = await tls.tcpconnect(...address, "localhost", { ca });
        assert(names.includes(tls.info(client).peerCertificate!.subject));
        await task.await(tls.send(client, "echo"));
        assertEquals((await task.await(tls.recv(client))).length, 4);
        tls.close(client);
      }
    }));
  await task.all(clients);
  done = true;
  await task.all([serving, replacing]);
  assertEquals(inspectListener(server).dropped, 0);
  tls.close(server);
  await task.wait();
});

// Certificates that cannot be used

function badPairs(): [what: string, pair: tls.CertificatePair, code: string][] {
  const { cert, key } = pair;
  const garbled = (text: string) => text.replace("\nMI", "\nAA");
  return [
    ["another's key", { cert, key: clientPair.key }, "ERR_OSSL_X509_KEY_VALUES_MISMATCH"],
    ["no PEM", { cert: "certificate", key }, "ERR_OSSL_PEM_NO_START_LINE"],
    ["an empty key", { cert, key: "" }, "ERR_OSSL_PEM_NO_START_LINE"],
    ["key and certificate swapped", { cert: key, key: cert }, "ERR_OSSL_PEM_NO_START_LINE"],
    ["cut short", { cert: cert.slice(0, 100), key }, "ERR_OSSL_PEM_BAD_BASE64_DECODE"],
    ["garbled", { cert: garbled(cert), key }, "ERR_OSSL_ASN1_PARSE_ERROR"],
    ["a garbled key", { cert, key: garbled(key) }, "ERR_OSSL_ASN1_PARSE_ERROR"],
  ];
}

for (const [what, bad, code] of badPairs()) {
  test(`every call throws ${code} when its certificate is ${what}`, async () => {
    const listener = socket.tcpserver("127.0.0.1", 0);
    const client = await socket.tcpconnect(...socket.getlocal(listener));
    const calls: [op: string, call: () => unknown][] = [
      ["listen", () => tls.tcpserver("127.0.0.1", 0, bad)],
      ["listen", () => tls.tcpserver("127.0.0.1", 0, { certs: [pair, bad] })],
      ["connect", () => tls.connect("127.0.0.1", 9, "", bad)],
      ["connect", () => tls.tcpconnect("127.0.0.1", 9, "", bad)],
      ["starttls", () => socket.starttls(client, { side: "server", certs: [bad] })],
      ["starttls", () => socket.starttls(client, bad)],
    ];
    for (const [op, call] of calls) {
      const error = assertThrows(call, socket.SocketError);
      assertEquals([error.code, error.op], [code, op]);
      assertEquals(error.message.includes(code), true);
    }
    assertEquals([socket.isopen(client), socket.istls(client)], [true, false]);
    [client, listener].forEach(socket.close);
  });
}

test("every call throws a code when an authority cannot be used", async () => {
  const listener = socket.tcpserver("127.0.0.1", 0);
  const client = await socket.tcpconnect(...socket.getlocal(listener));
  for (
    const [bad, code] of [
      ["no pem", "ERR_OSSL_PEM_NO_START_LINE"],
      [[ca, "no pem"], "ERR_OSSL_PEM_NO_START_LINE"],
      [pair.key, "ERR_OSSL_PEM_NO_START_LINE"],
      [ca.slice(0, 100), "ERR_OSSL_PEM_BAD_BASE64_DECODE"],
      [ca.replace("\nMI", "\nAA"), "ERR_OSSL_ASN1_PARSE_ERROR"],
    ] as [string | string[], string][]
  ) {
    for (
      const call of [
        () => tls.connect("127.0.0.1", 9, "", { ca: bad }),
        () => tls.tcpconnect("127.0.0.1", 9, "", { ca: bad }),
        () => tls.tcpserver("127.0.0.1", 0, { ca: bad, requestCert: true }),
        () => socket.starttls(client, { ca: bad }),
        () =>
          socket.starttls(client, { side: "server", certs: [pair], ca: bad, requestCert: true }),
      ]
    ) assertEquals(assertThrows(call, socket.SocketError).code, code);
  }
  [client, listener].forEach(socket.close);
});
