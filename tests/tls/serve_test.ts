// Serving TLS: as plain serving, for connections whose handshake is finished.

import { assertEquals, assertThrows } from "@std/assert";
import net from "node:net";
import nodeTls from "node:tls";
import { socket, task, tls } from "../../mod.ts";
import type { StarttlsClientOptions } from "../../tls/core/types.ts";
import { randomBytes, receiveAll, sha256, textOf } from "../bytes.ts";
import { canCount, descriptorsBackTo, openDescriptors } from "../descriptors.ts";
import { tlsPair } from "../pair.ts";
import { serveProxy } from "../proxy.ts";
import { codeOf, faultOf, leavingNothing, turn, until } from "../settle.ts";
import { ca, clientKinds, clientPair, pair, refusal, serverKinds } from "./helpers.ts";

/** Sends back whatever comes, until it ends. */
async function echo(id: socket.SocketId): Promise<void> {
  for (;;) {
    const data = await task.await(tls.recv(id, 65536));
    if (data.length === 0) return;
    await task.await(tls.send(id, data));
  }
}

const dial = (server: socket.SocketId, options: tls.TlsClientOptions = {}) =>
  tls.tcpconnect(...tls.getlocal(server), "localhost", { ca, ...options });

/** The text that a connection echoes. */
async function echoed(client: socket.SocketId, text: string): Promise<string> {
  tls.send(client, text);
  return textOf(await task.await(tls.recvExact(client, text.length)));
}

for (const [kind, options] of serverKinds) {
  /** Registers a test of a fresh listener; all sockets are closed afterwards, and all tasks ended. */
  const test = (name: string, run: (server: socket.SocketId) => Promise<void>) =>
    Deno.test(`${name} [server of ${kind}]`, () =>
      leavingNothing(async () => {
        const before = new Set(socket.list());
        const server = tls.tcpserver("127.0.0.1", 0, options(pair));
        const handler = task.setFaultHandler(() => {});
        try {
          await run(server);
        } finally {
          socket.list().filter((id) => !before.has(id)).forEach(tls.close);
          await task.wait();
          task.setFaultHandler(handler);
          await turn();
        }
      }));

  for (const serve of [tls.serve, socket.serve]) {
    const whose = serve === tls.serve ? "tls" : "socket";
    test(`serve() of ${whose} echoes encrypted`, async (server) => {
      const encrypted: boolean[] = [];
      const serving = serve(server, (id) => {
        encrypted.push(socket.istls(id));
        return echo(id);
      });
      const data = randomBytes(300_000);
      await Promise.all(clientKinds.map(async ([, options]) => {
        const client = await dial(server, options);
        const sending = tls.send(client, data);
        tls.shutdown(client);
        assertEquals(sha256(await receiveAll(client)), sha256(data));
        await task.await(sending);
        tls.close(client);
      }));
      assertEquals(encrypted, [true, true]);
      tls.close(server);
      await task.await(serving);
    });
  }

  test("serve() closes the connection when its handler throws and goes on", async (server) => {
    const boom = new Error("boom");
    const errors: unknown[] = [];
    let calls = 0;
    const handler = (id: socket.SocketId) => calls++ === 0 ? Promise.reject(boom) : echo(id);
    tls.serve(server, handler, { onError: (error, id) => errors.push(error, socket.isopen(id)) });
    const client = await dial(server);
    assertEquals((await receiveAll(client)).length, 0);
    assertEquals(await echoed(await dial(server), "on"), "on");
    assertEquals([errors[0], errors.length], [boom, 2]);
  });

  test("serve() does not report that a client cut the stream", async (server) => {
    const [reports, codes]: [unknown[], string[]] = [[], []];
    task.setFaultHandler((error) => reports.push(error));
    const onError = (error: unknown) => codes.push((error as socket.SocketError).code);
    for (const options of [{}, { onError }]) {
      const serving = tls.serve(server, echo, options);
      const raw = await new Promise<net.Socket>((resolve) => {
        const [host, port] = tls.getlocal(server);
        const raw: net.Socket = net.connect({ host, port });
        const secure = nodeTls.connect({ socket: raw, ca, servername: "localhost" });
        secure.once("secureConnect", () => secure.write("x"));
        secure.once("data", () => resolve(raw));
        secure.on("error", () => {});
      });
      raw.destroy(); // no close_notify
      await until(() => task.inspect().every(({ kind }) => kind !== "handler"));
      task.cancel(serving);
    }
    assertEquals([reports, codes], [[], ["EUNEXPECTEDEOF"]]);
  });

  test("serve() does not report an alert that a client sends", async (server) => {
    const [reports, codes]: [unknown[], string[]] = [[], []];
    task.setFaultHandler((error) => reports.push(error));
    const onError = (error: unknown) => codes.push((error as socket.SocketError).code);
    const handler = async (id: socket.SocketId) => {
      await task.await(tls.send(id, randomBytes(50_000)));
      await task.await(tls.recv(id));
    };
    for (const options of [{}, { onError }]) {
      const serving = tls.serve(server, handler, options);
      // A client that is sent what it cannot decrypt says so.
      await using proxy = await serveProxy(tls.getlocal(server), { toClient: { flipAt: 20_000 } });
      const client = await tls.tcpconnect(...proxy.address, "localhost", { ca });
      assertEquals(await codeOf(tls.recvExact(client, 50_000)), "EPROTO");
      tls.close(client);
      await until(() => task.inspect().every(({ kind }) => kind !== "handler"));
      task.cancel(serving);
    }
    assertEquals([reports, codes], [[], ["ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC"]]);
  });

  test("serve() is held up by nobody who does not finish a handshake", async (server) => {
    const errors: unknown[] = [];
    tls.serve(server, echo, { onError: (error) => errors.push(error) });
    const silent = await socket.tcpconnect(...tls.getlocal(server));
    const plain = await socket.tcpconnect(...tls.getlocal(server));
    socket.send(plain, "GET / HTTP/1.1\r\n\r\n");
    assertEquals(await refusal(dial(server, { ca: [] })) === "connected", false);
    assertEquals(await echoed(await dial(server), "on"), "on");
    await receiveAll(plain).catch(() => {});
    assertEquals([errors, socket.isopen(silent)], [[], true]);
  });

  test("serve() never serves more than maxConnections", async (server) => {
    let [now, most] = [0, 0];
    const handler = async (id: socket.SocketId) => {
      most = Math.max(most, ++now);
      await echo(id);
      now--;
    };
    const serving = tls.serve(server, handler, { maxConnections: 2, grace: 0 });
    await Promise.all(Array.from({ length: 12 }, async (_, n) => {
      const client = await dial(server);
      assertEquals(await echoed(client, `I am ${n}`), `I am ${n}`);
      tls.close(client);
    }));
    assertEquals(most, 2);
    task.cancel(serving);
  });

  test("serve() closes what is left when it is cancelled and grace is 0", async (server) => {
    const serving = tls.serve(server, echo, { grace: 0 });
    const client = await dial(server);
    assertEquals(await echoed(client, "x"), "x");
    assertEquals(task.cancel(serving), true);
    await task.wait();
    await receiveAll(client).catch(() => {});
    assertEquals(socket.isopen(server), true);
    // The listener serves again.
    tls.serve(server, echo);
    assertEquals(await echoed(await dial(server), "again"), "again");
  });
}

Deno.test("serve() does not report a client that an upgrade in its handler refuses", () =>
  leavingNothing(async () => {
    const [reports, codes]: [unknown[], string[]] = [[], []];
    const before = task.setFaultHandler((error) => reports.push(error));
    const onError = (error: unknown) => codes.push((error as socket.SocketError).code);
    const server = socket.tcpserver("127.0.0.1", 0);
    const upgrade = { ...pair, requestCert: true, ca };
    const clients: StarttlsClientOptions[] = [
      { ca }, // shows no certificate
      { ca, ...tls.selfsigned(["stranger.test"]) }, // nobody vouches for it
      { ...clientPair }, // does not trust the server
    ];
    for (const options of [{}, { onError }]) {
      const serving = socket.serve(server, async (id) => {
        await task.await(socket.starttls(id, upgrade));
        await task.await(socket.recv(id));
      }, options);
      for (const own of clients) {
        const client = await socket.tcpconnect(...socket.getlocal(server));
        await task.await(socket.starttls(client, { host: "localhost", ...own })).catch(() => {});
        await until(() => task.inspect().every(({ kind }) => kind !== "handler"));
        socket.close(client);
      }
      task.cancel(serving);
    }
    socket.close(server);
    await task.wait();
    task.setFaultHandler(before);
    assertEquals([reports, codes.length], [[], clients.length]);
    assertEquals(
      codes.every((code) => /^(ERR_SSL|UNABLE|DEPTH|CERT)_/.test(code)),
      true,
      `${codes}`,
    );
  }));

Deno.test("serve() of tls faults EPROTO when the listener is plain", () =>
  leavingNothing(async () => {
    const server = socket.tcpserver("127.0.0.1", 0);
    const serving = tls.serve(server, echo);
    assertEquals([task.status(serving), faultOf(serving)], ["Faulted", "EPROTO"]);
    assertEquals((task.error(serving) as socket.SocketError).op, "serve");
    assertEquals((socket.inspect(server) as socket.ListenerRecord).pending, []);
    socket.close(server);
    await turn();
  }));

Deno.test("serve() of tls faults when the socket is no listener", () =>
  leavingNothing(async () => {
    using pair = await tlsPair();
    const closed = tls.tcpserver("127.0.0.1", 0);
    tls.close(closed);
    const created = socket.create(socket.AF_INET, socket.SOCK_STREAM);
    const codes = [pair.client, closed, 0, created].map((id) => faultOf(tls.serve(id, echo)));
    assertEquals(codes, ["EOPNOTSUPP", "EBADF", "EBADF", "EINVAL"]);
    socket.close(created);
    await turn();
  }));

Deno.test("serve() of tls throws when an argument is wrong", () =>
  leavingNothing(async () => {
    const server = tls.tcpserver("127.0.0.1", 0);
    // deno-lint-ignore no-explicit-any
    const wrong: any = 5;
    assertThrows(() => tls.serve(server, wrong), TypeError, `"handler" must be a function`);
    assertThrows(() => tls.serve(server, echo, wrong), TypeError, `"options" must be an object`);
    assertThrows(() => tls.serve(server, echo, { maxConnections: 0 }), RangeError);
    assertThrows(() => tls.serve(1.5, echo), TypeError, "must be an integer ID");
    tls.close(server);
    await turn();
  }));

Deno.test({
  name: "serve() of tls serves 200 connections at once and leaves nothing behind",
  ignore: !canCount,
  fn: () =>
    leavingNothing(async () => {
      const before = openDescriptors();
      const server = tls.tcpserver("127.0.0.1", 0, pair);
      const serving = tls.serve(server, echo);
      const data = randomBytes(20_000);
      await Promise.all(Array.from({ length: 200 }, async (_, n) => {
        const client = await dial(server);
        const slice = data.subarray(n * 50, n * 100 + 1);
        tls.send(client, slice);
        tls.shutdown(client);
        assertEquals(sha256(await receiveAll(client)), sha256(slice));
        tls.close(client);
      }));
      tls.close(server);
      await task.await(serving);
      await until(() => task.inspect().every(({ status }) => status !== "Running"));
      await descriptorsBackTo(before);
    }),
});
