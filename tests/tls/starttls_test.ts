// Upgrading a connection in place, on either side.

import { assert, assertEquals, assertInstanceOf, assertMatch, assertThrows } from "@std/assert";
import { once } from "node:events";
import { socket, task, tls } from "../../mod.ts";
import { bytesOf, HUGE, receive, receiveAll, textOf } from "../bytes.ts";
import { type Pair, pairOf, starttlsPair, tcpPair, tlsPair, unixPair } from "../pair.ts";
import { serveProxy } from "../proxy.ts";
import { resettable } from "../reset.ts";
import { arrival, codeOf, faultOf, leavingNothing, turn, until } from "../settle.ts";
import { assertCarries, authority, ca, clientHello, clientPair, pair } from "./helpers.ts";

const test = (name: string, run: () => Promise<void>) => Deno.test(name, () => leavingNothing(run));

const forClient = { host: "server.test", ca };
const forServer = { certs: [pair] };

/** A read of the system's that outlives whatever began it. */
const leftBehind: Record<string, (id: socket.SocketId) => unknown> = {
  "no read": () => {},
  "a peek": (id) => socket.peek(id),
  "a cancelled recv": (id) => task.cancel(socket.recv(id)),
  "a cancelled recvLine": (id) => task.cancel(socket.recvLine(id)),
  "a cancelled recvInto": (id) => task.cancel(socket.recvInto(id, new Uint8Array(100_000))),
};

/** Upgrades both ends. */
async function upgrade(
  { client, peer }: Pair,
  client_: tls.StarttlsClientOptions = forClient,
  server: tls.TlsServerOptions = forServer,
): Promise<void> {
  const ids = [socket.starttls(client, client_), socket.starttls(peer, server)];
  assertEquals(await task.all(ids), [true, true]);
}

/** Claims a task that cannot complete any more: the socket is closed. */
async function lost(id: task.TaskId, code: string, of: socket.SocketId): Promise<void> {
  assertEquals(await codeOf(id), code);
  assertEquals(socket.isopen(of), false);
  assertEquals(await codeOf(socket.recv(of)), "EBADF");
}

// It works

for (const [before, begin] of Object.entries(leftBehind)) {
  for (const [peerBefore, beginPeer] of Object.entries(leftBehind)) {
    test(`starttls() keeps the IDs after ${before} here and ${peerBefore} there`, async () => {
      using ends = await tcpPair();
      const { client, peer } = ends;
      const known = [socket.getpeer(client), socket.getlocal(client), socket.list()];
      begin(client);
      beginPeer(peer);
      await turn();
      assertEquals([socket.istls(client), socket.istls(peer)], [false, false]);
      await upgrade(ends);
      assertEquals([socket.istls(client), socket.istls(peer)], [true, true]);
      assertEquals([socket.getpeer(client), socket.getlocal(client), socket.list()], known);
      assertEquals([socket.getside(client), socket.getside(peer)], ["client", "server"]);
      assertEquals(tls.info(client).peerCertificate!.subject, "server.test");
      await assertCarries(client, peer);
      await assertCarries(client, peer, 100_000);
    });
  }
}

test("starttls() comes after a dialogue in clear, and ends the clear", async () => {
  using ends = await tcpPair();
  const { client, peer } = ends;
  await task.await(socket.send(peer, "220 ready\r\n"));
  assertEquals(await task.await(socket.recvLine(client)), "220 ready");
  await task.await(socket.send(client, "STARTTLS\r\n"));
  assertEquals(await task.await(socket.recvLine(peer)), "STARTTLS");
  const upgrading = socket.starttls(peer, forServer);
  // The answer in clear must go out before: sends queue behind the handshake.
  task.cancel(upgrading);
  assertEquals(await codeOf(upgrading), "ECANCELED");

  using again = await tcpPair();
  await task.await(socket.send(again.peer, "220 go ahead\r\n"));
  const serving = socket.starttls(again.peer, forServer);
  assertEquals(await task.await(socket.recvLine(again.client)), "220 go ahead");
  await task.all([serving, socket.starttls(again.client, forClient)]);
  await assertCarries(again.client, again.peer);
});

test("starttls() is there as tls.starttls, too", async () => {
  assertEquals(socket.starttls, tls.starttls);
  await Promise.resolve();
});

test("starttls() carries nothing in clear", async () => {
  const listener = socket.tcpserver("127.0.0.1", 0);
  const seen: Uint8Array[] = [];
  const wire = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const carrying = (async () => {
    const near = await wire.accept();
    const [hostname, port] = socket.getlocal(listener);
    const far = await Deno.connect({ hostname, port });
    const carry = async (from: Deno.Conn, to: Deno.Conn) => {
      const buffer = new Uint8Array(65536);
      for (let n; (n = await from.read(buffer)) !== null;) {
        seen.push(buffer.slice(0, n));
        await to.write(buffer.subarray(0, n));
      }
      await to.closeWrite();
    };
    await Promise.all([carry(near, far), carry(far, near)]);
    near.close();
    far.close();
    wire.close();
  })();
  const client = await socket.tcpconnect("127.0.0.1", (wire.addr as Deno.NetAddr).port);
  const peer = await task.await(socket.accept(listener));
  const ends = pairOf(client, peer, listener);
  const sending = socket.starttls(client, forClient);
  const early = socket.send(client, "a secret that waited");
  await task.all([sending, early, socket.starttls(peer, forServer)]);
  assertEquals(textOf(await receive(peer, 20)), "a secret that waited");
  ends.close();
  await carrying;
  assertEquals(seen.map(textOf).join("").includes("secret"), false);
});

test("starttls() makes the accepted end the client of TLS when it is told so", async () => {
  using ends = await tcpPair();
  await task.all([
    socket.starttls(ends.client, { side: "server", ...forServer }),
    socket.starttls(ends.peer, { side: "client", host: "server.test", ca }),
  ]);
  assertEquals(tls.info(ends.peer).peerCertificate!.subject, "server.test");
  assertEquals([ends.client, ends.peer].map(socket.getside), ["client", "server"]);
  await assertCarries(ends.client, ends.peer);
});

test("starttls() throws for options of the other side, and says which side this is", async () => {
  using ends = await tcpPair();
  // deno-lint-ignore no-explicit-any
  const loose = socket.starttls as (id: unknown, options?: any) => unknown;
  for (
    const [id, options, text] of [
      [ends.client, forServer, '"certs" is the server\'s: this end is the client, since it conn'],
      [ends.client, { requestCert: true }, '"requestCert" is the server\'s'],
      [ends.client, { handshakeTimeout: 5 }, '"handshakeTimeout" is the server\'s'],
      [ends.peer, forClient, '"host" is the client\'s: this end is the server, since it was acc'],
      [ends.peer, { ...pair, timeout: 5 }, '"timeout" is the client\'s'],
      [ends.peer, { ...pair, unsafelyIgnoreHostname: true }, 'give side: "client" to take'],
      [
        ends.client,
        { side: "server", ...pair, host: "a.test" },
        '"host" is the client\'s: side is',
      ],
      [ends.peer, { side: "client", certs: [pair] }, '"certs" is the server\'s: side is "client"'],
      [ends.peer, {}, "The server needs a certificate"],
      [ends.peer, undefined, "The server needs a certificate"],
      [ends.client, { side: "server" }, "The server needs a certificate"],
      [ends.client, { side: 5 }, '"side" must be a string'],
      [ends.client, null, '"options" must be an object'],
      [ends.client, "server.test", '"options" must be an object'],
      [ends.client, { host: null }, '"host" must be a string'],
      [ends.client, { hostname: "a.test" }, 'Unknown option "hostname"'],
      [-1, { hostname: "a.test" }, 'Unknown option "hostname"'],
      [undefined, {}, '"id" must be an integer ID'],
      [null, forClient, '"id" must be an integer ID'],
      ["1", forServer, '"id" must be an integer ID'],
    ] as const
  ) assertThrows(() => loose(id, options), TypeError, text);
  assertThrows(() => loose(ends.client, { side: "both" }), RangeError, '"side" must be');
  assertEquals([ends.client, ends.peer].map(socket.istls), [false, false]);
  await upgrade(ends);
});

test("starttls() verifies the host that was connected to when none is given", async () => {
  for (const [name, code] of [["localhost", ""], ["other.test", "ERR_TLS_CERT_ALTNAME_INVALID"]]) {
    const listener = socket.tcpserver("localhost", 0);
    const client = await socket.tcpconnect("localhost", socket.getlocal(listener)[1]);
    const peer = await task.await(socket.accept(listener));
    const serving = socket.starttls(peer, { certs: [authority.issue([name])] });
    const upgrading = socket.starttls(client, { ca });
    if (code === "") {
      await task.all([serving, upgrading]);
      assertEquals(tls.info(client).sni, "localhost");
    } else {
      await lost(upgrading, code, client);
      assert(/^(ERR_SSL_|EPROTO|EUNEXPECTEDEOF|ECONNRESET)/.test(await codeOf(serving)));
    }
    [client, peer, listener].forEach(socket.close);
  }
});

/** Ends that have connected to no host, and the other end of each. */
const hostless: Record<string, () => Promise<[ends: Pair, id: number, other: number]>> = {
  "accepted over tcp": async () => {
    const ends = await tcpPair();
    return [ends, ends.peer, ends.client];
  },
  "accepted over unix": async () => {
    const ends = await unixPair();
    return [ends, ends.peer, ends.client];
  },
  "connected over unix": async () => {
    const ends = await unixPair();
    return [ends, ends.client, ends.peer];
  },
  "accepted behind a balancer": async () => {
    const listener = socket.tcpserver("127.0.0.1", 0, { proxyProtocol: true });
    const client = await socket.tcpconnect(...socket.getlocal(listener));
    // Whoever writes the header would choose the name.
    socket.send(client, "PROXY TCP4 127.0.0.1 127.0.0.1 5 6\r\n");
    const peer = await task.await(socket.accept(listener));
    return [pairOf(client, peer, listener), peer, client];
  },
};

for (const [what, connect] of Object.entries(hostless)) {
  test(`starttls() of an end ${what} throws when it is told no host to verify`, async () => {
    // A server that shows whatever could be taken for the name.
    const server = { side: "server", ...authority.issue(["localhost", "127.0.0.1"]) } as const;
    const [ends, id, other] = await connect();
    using _ends = ends;
    for (const options of [{ side: "client", ca }, { side: "client", ca, host: "" }] as const) {
      assertThrows(() => socket.starttls(id, options), TypeError, 'give "host"');
      assertThrows(() => socket.starttls(id, { ...options, ...clientPair }), TypeError, "host");
    }
    await task.all([
      socket.starttls(other, server),
      socket.starttls(id, { side: "client", ca, host: "localhost" }),
    ]);
    await assertCarries(id, other);
    for (const own of [{}, clientPair]) {
      const [ends, id, other] = await connect();
      using _ends = ends;
      const ignoring = { side: "client", ca, unsafelyIgnoreHostname: true, ...own } as const;
      await task.all([socket.starttls(other, server), socket.starttls(id, ignoring)]);
      await assertCarries(id, other);
    }
  });
}

test("starttls() never takes the path of a Unix socket for a host", async () => {
  const folder = await Deno.makeTempDir({ prefix: "taskio_" });
  const before = Deno.cwd();
  try {
    Deno.chdir(folder);
    const listener = socket.unixserver("localhost");
    const byConnect = await socket.unixconnect("localhost");
    const created = socket.create(socket.AF_UNIX, socket.SOCK_STREAM);
    await task.await(socket.connect(created, "localhost", 0));
    for (const id of [byConnect, created]) {
      assertThrows(() => socket.starttls(id, { ca }), TypeError, 'give "host"');
    }
    [byConnect, created, listener].forEach(socket.close);
  } finally {
    Deno.chdir(before);
    await Deno.remove(folder, { recursive: true });
  }
});

test("starttls() takes cert and key for either side: the connection's", async () => {
  for (const host of ["server.test", undefined]) {
    using ends = await tcpPair();
    await task.all([
      socket.starttls(ends.peer, { ...pair, requestCert: true, ca }),
      socket.starttls(ends.client, { ...clientPair, ca, ...host && { host } }),
    ]);
    assertEquals(tls.info(ends.peer).peerCertificate!.subject, "client.test");
    assertEquals(tls.info(ends.client).peerCertificate!.subject, "server.test");
    assertEquals(tls.info(ends.client).sni, host ?? null);
  }
});

test("starttls() chooses the certificate by the client's host", async () => {
  const certs = ["first.test", "second.test"].map((name) => authority.issue([name]));
  for (const host of ["second.test", "first.test"]) {
    using ends = await tcpPair();
    await upgrade(ends, { host, ca }, { certs });
    assertEquals(tls.info(ends.client).peerCertificate!.subject, host);
    assertEquals(tls.info(ends.peer).sni, host);
  }
});

test("starttls() agrees on a protocol", async () => {
  using ends = await tcpPair();
  await upgrade(ends, { ...forClient, alpn: ["a", "b"] }, { ...forServer, alpn: ["b"] });
  assertEquals([tls.info(ends.client).alpn, tls.info(ends.peer).alpn], ["b", "b"]);
});

test("starttls() shows the client's certificate to a server that requires one", async () => {
  using ends = await tcpPair();
  const server = { ...forServer, requestCert: true, ca };
  await upgrade(ends, { ...forClient, ...clientPair }, server);
  assertEquals(tls.info(ends.peer).peerCertificate!.subject, "client.test");
  await assertCarries(ends.client, ends.peer);
});

test("starttls() of the server faults when a required certificate is absent or wrong", async () => {
  for (
    const [own, code] of [
      [{}, "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE"],
      [tls.selfsigned(["client.test"]), undefined],
    ] as [tls.StarttlsClientOptions, string | undefined][]
  ) {
    using ends = await tcpPair();
    const upgrading = socket.starttls(ends.client, { ...forClient, ...own });
    const serving = socket.starttls(ends.peer, { ...forServer, requestCert: true, ca });
    const got = await codeOf(serving);
    assertEquals(code ?? got, got);
    assert(/^(ERR_SSL_|UNABLE_|DEPTH_)/.test(got), got);
    assertEquals(socket.isopen(ends.peer), false);
    // With TLS 1.3 the client learns it from its first recv.
    if (await codeOf(upgrading) === "completed with true") {
      const code = await codeOf(tls.recv(ends.client));
      assert(/^(ERR_SSL_|EUNEXPECTEDEOF|ECONNRESET)/.test(code), code);
    }
  }
});

test("starttls() upgrades a Unix socket", async () => {
  for (const begin of Object.values(leftBehind)) {
    using ends = await unixPair();
    begin(ends.client);
    begin(ends.peer);
    await upgrade(ends);
    assertEquals(tls.info(ends.client).peerCertificate!.subject, "server.test");
    await assertCarries(ends.client, ends.peer, 100_000);
  }
});

// Receives and sends meanwhile

for (const [before, begin] of Object.entries(leftBehind)) {
  test(`recv() and send() during the handshake wait and go over TLS after ${before}`, async () => {
    using ends = await tcpPair();
    const { client, peer } = ends;
    begin(client);
    begin(peer);
    const upgrades = [socket.starttls(client, forClient)];
    const sends = ["one ", "two ", "three"].map((text) => socket.send(client, text));
    const receiving = socket.recvExact(client, 5);
    const ending = socket.shutdown(client);
    assertEquals(socket.peek(client), undefined);
    await turn();
    assertEquals([...sends, receiving, ending].map(task.status), new Array(5).fill("Running"));
    const { pending, bytesOut } = socket.inspect(client) as socket.StreamRecord;
    assertEquals(pending, [receiving, ...sends, ending, upgrades[0]]);
    assertEquals(bytesOut, 0);
    upgrades.push(socket.starttls(peer, forServer));
    const atPeer = socket.recv(peer, 4);
    socket.send(peer, "reply");
    await task.all(upgrades);
    assertEquals(textOf(await task.await(atPeer)), "one ");
    assertEquals(textOf(await receiveAll(peer)), "two three");
    assertEquals(textOf(await task.await(receiving)), "reply");
    assertEquals(await task.all(sends), [4, 4, 5]);
    await task.await(ending);
  });
}

test("recv() and send() during a handshake that fails are Faulted", async () => {
  using ends = await tcpPair();
  const upgrading = socket.starttls(ends.client, forClient);
  const ids = [
    socket.recv(ends.client),
    socket.send(ends.client, "secret"),
    socket.shutdown(ends.client),
  ];
  await task.await(socket.send(ends.peer, "no TLS here\r\n"));
  await lost(upgrading, "EPROTO", ends.client);
  assertEquals(ids.map(faultOf), ["ECONNABORTED", "ECONNABORTED", "ECONNABORTED"]);
  const seen = textOf(await receiveAll(ends.peer).catch(() => new Uint8Array(0)));
  assertEquals(seen.includes("secret"), false);
});

// Wrong states

const receives: Record<string, (id: socket.SocketId) => task.TaskId> = {
  recv: (id) => socket.recv(id),
  recvInto: (id) => socket.recvInto(id, new Uint8Array(9)),
  recvExact: (id) => socket.recvExact(id, 9),
  recvLine: (id) => socket.recvLine(id),
};

for (const side of ["client", "peer"] as const) {
  const options = side === "client" ? forClient : forServer;

  for (const [name, receive_] of Object.entries(receives)) {
    test(`starttls() of the ${side} faults EBUSY when a ${name} is pending`, async () => {
      using ends = await tcpPair();
      const id = ends[side];
      const other = side === "client" ? ends.peer : ends.client;
      const receiving = receive_(id);
      const upgrading = socket.starttls(id, options);
      assertEquals([task.status(upgrading), faultOf(upgrading)], ["Faulted", "EBUSY"]);
      assertEquals([socket.isopen(id), socket.istls(id)], [true, false]);
      assertEquals(task.status(receiving), "Running");
      // Unharmed: what was pending completes, and a later attempt succeeds.
      await task.await(socket.send(other, "still OK\n"));
      await task.await(receiving);
      await task.await(socket.send(id, "too"));
      assertEquals(textOf(await receive(other, 3)), "too");
      await upgrade(ends);
      await assertCarries(ends.client, ends.peer);
    });
  }

  test(`starttls() of the ${side} faults EBUSY when a send is pending`, async () => {
    using ends = await tcpPair();
    const id = ends[side];
    const other = side === "client" ? ends.peer : ends.client;
    const sends = [socket.send(id, HUGE), socket.send(id, "!")];
    assertEquals(await codeOf(socket.starttls(id, options)), "EBUSY");
    await receive(other, HUGE.length + 1);
    assertEquals(await task.all(sends), [HUGE.length, 1]);
    await upgrade(ends);
    await assertCarries(ends.client, ends.peer);
  });

  test(`starttls() of the ${side} faults EPIPE when the sending side was shut down`, async () => {
    using ends = await tcpPair();
    const id = ends[side];
    await task.await(socket.shutdown(id));
    assertEquals(await codeOf(socket.starttls(id, options)), "EPIPE");
    assertEquals([socket.isopen(id), socket.istls(id)], [true, false]);
  });

  test(`starttls() of the ${side} faults EISCONN when it is encrypted already`, async () => {
    for (const makePair of [() => tlsPair(), () => starttlsPair(), () => starttlsPair(true)]) {
      using ends = await makePair();
      assertEquals(await codeOf(socket.starttls(ends[side], options)), "EISCONN");
      await assertCarries(ends.client, ends.peer);
    }
  });

  test(`starttls() of the ${side} faults EALREADY when another is under way`, async () => {
    using ends = await tcpPair();
    const first = socket.starttls(ends[side], options);
    for (const again of [{ side: "client", ...forClient }, { side: "server", ...forServer }]) {
      const second = socket.starttls(ends[side], again as tls.StarttlsOptions);
      assertEquals(await codeOf(second), "EALREADY");
    }
    const [other, others] = side === "client" ? [ends.peer, forServer] : [ends.client, forClient];
    await task.all([first, socket.starttls(other, others)]);
    await assertCarries(ends.client, ends.peer);
  });

  test(`starttls() of the ${side} faults with a code when the ID is no connection`, async () => {
    const listener = socket.tcpserver("127.0.0.1", 0);
    assertEquals(await codeOf(socket.starttls(listener, options)), "EOPNOTSUPP");
    socket.close(listener);
    const id = task.spawn(() => {});
    for (const none of [listener, id as unknown as socket.SocketId, -1, 0, 2 ** 40]) {
      assertEquals(await codeOf(socket.starttls(none as socket.SocketId, options)), "EBADF");
    }
    await task.await(id);
  });
}

// Bytes in clear that came before

for (const own of [{}, clientPair]) {
  const kind = own === clientPair ? "node" : "deno";

  test(`starttls() of the client closes on bytes that were received before [${kind}]`, async () => {
    using ends = await tcpPair();
    await task.await(socket.send(ends.peer, "220 go ahead\r\n250 injected\r\n"));
    assertEquals(await task.await(socket.recvLine(ends.client)), "220 go ahead");
    await lost(socket.starttls(ends.client, { ...forClient, ...own }), "EPROTO", ends.client);
    // Not even a ClientHello went out.
    assertEquals(await receiveAll(ends.peer).catch(() => new Uint8Array(0)), new Uint8Array(0));
  });

  test(`starttls() of the client closes on bytes that were put back [${kind}]`, async () => {
    using ends = await tcpPair();
    socket.unrecv(ends.client, "x");
    await lost(socket.starttls(ends.client, { ...forClient, ...own }), "EPROTO", ends.client);
    assertEquals(await receiveAll(ends.peer), new Uint8Array(0));
  });

  for (const [before, begin] of Object.entries(leftBehind)) {
    test(`starttls() of the client closes on bytes that come after ${before} [${kind}]`, async () => {
      using ends = await tcpPair();
      begin(ends.client);
      const upgrading = socket.starttls(ends.client, { ...forClient, ...own });
      await task.await(socket.send(ends.peer, "250 injected\r\n"));
      await lost(upgrading, "EPROTO", ends.client);
    });

    test(`starttls() of the client closes on bytes before a handshake, after ${before} [${kind}]`, async () => {
      using ends = await tcpPair();
      begin(ends.client);
      await task.await(socket.send(ends.peer, "250 injected\r\n"));
      const upgrading = socket.starttls(ends.client, { ...forClient, ...own });
      const serving = socket.starttls(ends.peer, forServer);
      await lost(upgrading, "EPROTO", ends.client);
      await codeOf(serving);
    });

    test(`starttls() of the client faults EUNEXPECTEDEOF when cut, after ${before} [${kind}]`, async () => {
      using ends = await tcpPair();
      begin(ends.client);
      const upgrading = socket.starttls(ends.client, { ...forClient, ...own });
      socket.shutdown(ends.peer);
      await lost(upgrading, "EUNEXPECTEDEOF", ends.client);
    });
  }
}

test("starttls() of the server takes a ClientHello that was received before", async () => {
  for (const length of [1, 2, 5, 100, Infinity]) {
    using ends = await tcpPair();
    const upgrading = socket.starttls(ends.client, forClient);
    await arrival(ends.peer);
    if (length !== Infinity) {
      // All of it came; so much of it is looked at and put back.
      const head = await task.await(socket.recvExact(ends.peer, length));
      assertEquals(head[0], 0x16);
      socket.unrecv(ends.peer, head);
    }
    const { queuedIn } = socket.inspect(ends.peer) as socket.StreamRecord;
    assert(queuedIn > 100, `${queuedIn}`);
    assertEquals(await task.all([upgrading, socket.starttls(ends.peer, forServer)]), [true, true]);
    assertEquals((socket.inspect(ends.peer) as socket.StreamRecord).queuedIn, 0);
    await assertCarries(ends.client, ends.peer);
  }
});

test("starttls() of the server takes the beginning of a ClientHello received before", async () => {
  for (const slice of [1, 40]) {
    const listener = socket.tcpserver("127.0.0.1", 0);
    await using proxy = await serveProxy(socket.getlocal(listener), {
      toServer: { slice, delay: 1 },
    });
    const client = await socket.tcpconnect(...proxy.address);
    using ends = pairOf(client, await task.await(socket.accept(listener)), listener);
    const upgrading = socket.starttls(ends.client, forClient);
    await arrival(ends.peer);
    const { queuedIn } = socket.inspect(ends.peer) as socket.StreamRecord;
    assert(queuedIn > 0 && queuedIn < 100, `${queuedIn}`);
    await task.all([upgrading, socket.starttls(ends.peer, forServer)]);
    await task.await(tls.send(ends.client, "x"));
    assertEquals(textOf(await receive(ends.peer, 1)), "x");
  }
});

for (
  const [what, bytes] of [
    ["a command", bytesOf("EHLO injected\r\n")],
    ["one letter", bytesOf("E")],
    ["a first byte of a handshake only", new Uint8Array([0x16, 0x47])],
    ["zeros", new Uint8Array(10)],
  ] as [string, Uint8Array][]
) {
  for (const then of ["nothing", "a ClientHello"]) {
    test(`starttls() of the server closes on ${what}, then ${then}, received before`, async () => {
      using ends = await tcpPair();
      await task.await(socket.send(ends.client, bytes));
      if (then !== "nothing") await task.await(socket.send(ends.client, await clientHello()));
      await arrival(ends.peer);
      await lost(socket.starttls(ends.peer, forServer), "EPROTO", ends.peer);
      // Nothing is said to whoever does that.
      assertEquals(await receiveAll(ends.client).catch(() => new Uint8Array(0)), new Uint8Array(0));
    });
  }
}

test("starttls() of the server closes on garbage that begins like a ClientHello", async () => {
  using ends = await tcpPair();
  const garbage = new Uint8Array(200).fill(7);
  garbage.set([0x16, 0x03, 0x01, 0, 100]);
  await task.await(socket.send(ends.client, garbage));
  await arrival(ends.peer);
  const code = await codeOf(socket.starttls(ends.peer, forServer));
  assert(/^(EPROTO|ERR_SSL_)/.test(code), code);
  assertEquals(socket.isopen(ends.peer), false);
});

for (const [before, begin] of Object.entries(leftBehind)) {
  test(`starttls() of the server closes on clear text that comes after ${before}`, async () => {
    using ends = await tcpPair();
    begin(ends.peer);
    const serving = socket.starttls(ends.peer, forServer);
    await task.await(socket.send(ends.client, "EHLO injected\r\n"));
    await lost(serving, "EPROTO", ends.peer);
  });

  test(`starttls() of the server faults EUNEXPECTEDEOF when cut, after ${before}`, async () => {
    for (const size of [0, 1, 70]) {
      using ends = await tcpPair();
      begin(ends.peer);
      const serving = socket.starttls(ends.peer, forServer);
      const hello = await clientHello();
      await task.await(socket.send(ends.client, hello.subarray(0, size)));
      await turn();
      socket.shutdown(ends.client);
      await lost(serving, "EUNEXPECTEDEOF", ends.peer);
    }
  });
}

// Handshakes that fail or are given up

test("starttls() faults both sides and closes both when the client does not trust", async () => {
  for (const own of [{}, clientPair]) {
    using ends = await tcpPair();
    const upgrading = socket.starttls(ends.client, { host: "server.test", ...own });
    const serving = socket.starttls(ends.peer, forServer);
    const code = await codeOf(upgrading);
    assert(code.startsWith("UNABLE_TO_"), code);
    const other = await codeOf(serving);
    assert(/^(ERR_SSL_\w+|EUNEXPECTEDEOF|ECONNRESET)$/.test(other), other);
    assertEquals([socket.isopen(ends.client), socket.isopen(ends.peer)], [false, false]);
  }
});

test("starttls() faults with the reset, on either side, when the connection was reset before", async () => {
  for (const options of [forClient, { ...forServer, side: "server" as const }]) {
    await using ends = await resettable();
    await ends.reset();
    assertEquals(await codeOf(socket.recv(ends.client)), "ECONNRESET");
    await lost(socket.starttls(ends.client, options), "ECONNRESET", ends.client);
  }
});

for (const [by, own] of Object.entries({ "Deno's TLS": {}, "Node's TLS": clientPair })) {
  test(`starttls() by ${by} gives ECONNRESET on a connection that was reset before`, async () => {
    await using ends = await resettable();
    await ends.reset();
    await lost(socket.starttls(ends.client, { ...forClient, ...own }), "ECONNRESET", ends.client);
  });

  test(`starttls() by ${by} gives ECONNRESET when the peer has gone before`, async () => {
    await using ends = await resettable();
    const gone = once(ends.far, "close");
    ends.far.destroy();
    await gone;
    // The peer answers this with a reset, of which the system tells as a broken pipe.
    await task.await(socket.send(ends.client, "x"));
    const upgrading = socket.starttls(ends.client, { ...forClient, ...own });
    await until(() => task.status(upgrading) !== "Running");
    assertMatch(`${task.error(upgrading)}`, /: connection reset by peer \(ECONNRESET\)$/);
    await lost(upgrading, "ECONNRESET", ends.client);
  });

  test(`starttls() by ${by} gives ECONNRESET when a recv has told of it before`, async () => {
    await using ends = await resettable();
    const receiving = socket.recv(ends.client);
    await ends.reset();
    assertEquals(await codeOf(receiving), "ECONNRESET");
    await lost(socket.starttls(ends.client, { ...forClient, ...own }), "ECONNRESET", ends.client);
  });
}

/** How a handshake is begun, with nobody who answers. */
const lonely: Record<
  string,
  (ends: Pair, more?: { signal?: AbortSignal; time?: number }) => {
    id: socket.SocketId;
    upgrading: task.TaskId;
  }
> = {
  "a client of Deno's": ({ client: id }, { signal, time } = {}) => ({
    id,
    upgrading: socket.starttls(id, { ...forClient, signal, timeout: time }),
  }),
  "a client of Node's": ({ client: id }, { signal, time } = {}) => ({
    id,
    upgrading: socket.starttls(id, { ...forClient, ...clientPair, signal, timeout: time }),
  }),
  "a client with a read under way": ({ client: id }, { signal, time } = {}) => {
    socket.peek(id);
    return { id, upgrading: socket.starttls(id, { ...forClient, signal, timeout: time }) };
  },
  "a server": ({ peer: id }, { time } = {}) => ({
    id,
    upgrading: socket.starttls(id, { ...forServer, handshakeTimeout: time }),
  }),
  "a server with a read under way": ({ peer: id }, { time } = {}) => {
    socket.peek(id);
    return { id, upgrading: socket.starttls(id, { ...forServer, handshakeTimeout: time }) };
  },
};

for (const [what, begin] of Object.entries(lonely)) {
  /** The other end learns of it, unless Deno keeps the connection: tls/core/backend.ts. */
  const assertGone = async ({ client, peer }: Pair, id: socket.SocketId) => {
    if (what === "a client of Deno's") return;
    await receiveAll(id === client ? peer : client).catch(() => {});
  };

  for (const turns of [0, 3]) {
    test(`cancel() of a starttls closes the socket of ${what} after ${turns} turns`, async () => {
      using ends = await tcpPair();
      const { id, upgrading } = begin(ends);
      const receiving = socket.recv(id);
      for (let i = 0; i < turns; i++) await turn();
      assertEquals(task.cancel(upgrading), true);
      assertEquals([faultOf(upgrading), faultOf(receiving)], ["ECANCELED", "ECONNABORTED"]);
      assertEquals(socket.isopen(id), false);
      await assertGone(ends, id);
    });

    test(`close() faults the starttls of ${what} after ${turns} turns`, async () => {
      using ends = await tcpPair();
      const { id, upgrading } = begin(ends);
      const sending = socket.send(id, "x");
      for (let i = 0; i < turns; i++) await turn();
      socket.close(id);
      assertEquals([faultOf(upgrading), faultOf(sending)], ["ECONNABORTED", "ECONNABORTED"]);
      assertEquals((task.error(upgrading) as socket.SocketError).op, "starttls");
      await assertGone(ends, id);
    });
  }

  test(`starttls() of ${what} faults ETIMEDOUT and closes when its time is over`, async () => {
    for (const time of [20, 0, -1]) {
      using ends = await tcpPair();
      const { id, upgrading } = begin(ends, { time });
      const error = await task.await(upgrading).catch((error) => error);
      assertInstanceOf(error, socket.SocketError);
      assertEquals([error.code, error.op, error.socket], ["ETIMEDOUT", "starttls", id]);
      assertEquals(socket.isopen(id), false);
      await assertGone(ends, id);
    }
  });

  if (what.startsWith("a client")) {
    test(`starttls() of ${what} faults with the signal's reason and closes`, async () => {
      const reason = new Error("enough");
      using ends = await tcpPair();
      const controller = new AbortController();
      const { id, upgrading } = begin(ends, { signal: controller.signal });
      await turn();
      controller.abort(reason);
      assertEquals(task.error(upgrading), reason);
      assertEquals(socket.isopen(id), false);
      await assertGone(ends, id);

      using others = await tcpPair();
      const late = begin(others, { signal: AbortSignal.abort(reason) });
      assertEquals(await task.await(late.upgrading).catch((error) => error), reason);
      assertEquals(socket.isopen(late.id), false);
    });
  }
}

for (const own of [{}, clientPair]) {
  test(
    `starttls() leaves nothing when it is cancelled at any moment [${
      own === clientPair ? "node" : "deno"
    }]`,
    async () => {
      for (let turns = 0; turns < 20; turns++) {
        for (const side of [0, 1]) {
          using ends = await tcpPair();
          const ids = [
            socket.starttls(ends.client, { ...forClient, ...own }),
            socket.starttls(ends.peer, forServer),
          ];
          for (let i = 0; i < turns; i++) await turn();
          const cancelled = task.cancel(ids[side]);
          const codes = await Promise.all(ids.map(codeOf));
          assertEquals(codes[side], cancelled ? "ECANCELED" : "completed with true");
          if (!cancelled && codes[1 - side] === "completed with true") {
            await assertCarries(ends.client, ends.peer);
          }
        }
      }
    },
  );
}

test("starttls() goes on unlimited when its bounds have been disarmed", async () => {
  using ends = await tcpPair();
  const controller = new AbortController();
  const { signal } = controller;
  await upgrade(ends, { ...forClient, timeout: 30_000, signal }, {
    ...forServer,
    handshakeTimeout: 30_000,
  });
  controller.abort();
  await turn();
  await assertCarries(ends.client, ends.peer);
});

test("starttls() is a task like others: inspect, kind and socket", async () => {
  using ends = await tcpPair();
  const id = socket.starttls(ends.client, forClient);
  const { kind, status, socket: of } = task.inspect(id)!;
  assertEquals([kind, status, of], ["starttls", "Running", ends.client]);
  task.cancel(id);
  await until(() => task.status(id) === "Faulted");
  task.forget(id);
});
