// Where a TLS listener listens and how a client finds it.

import { assertEquals, assertRejects } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { hasIpv6 } from "../ipv6.ts";
import { leavingNothing } from "../settle.ts";
import { spyOn } from "../spy.ts";
import { authority, ca, clientKinds, pair, serverKinds } from "./helpers.ts";

for (const [kind, options] of serverKinds) {
  for (const host of ["", "::", "[::]"]) {
    Deno.test(`tcpserver() of ${kind} listens on both families when host is "${host}"`, () =>
      leavingNothing(async () => {
        if (!hasIpv6) return console.log("skipped: this system has no IPv6");
        const server = tls.tcpserver(host, 0, options(pair));
        const [any, port] = tls.getlocal(server);
        assertEquals(any, "::");
        for (const ip of ["127.0.0.1", "::1", "[::1]"]) {
          const accepting = tls.accept(server);
          const client = await tls.tcpconnect(ip, port, "localhost", { ca });
          const peer = await task.await(accepting);
          const bare = ip.replace(/[[\]]/g, "");
          assertEquals([tls.getpeer(client), tls.getlocal(peer)], [[bare, port], [bare, port]]);
          assertEquals(tls.getpeer(peer), tls.getlocal(client));
          [client, peer].forEach(tls.close);
        }
        tls.close(server);
      }));
  }
}

Deno.test("connect() of both packages gives up after 30 s unless told otherwise", () =>
  leavingNothing(async () => {
    const created = socket.create(socket.AF_INET, socket.SOCK_STREAM);
    const attempts: [() => task.TaskId<socket.SocketId>, number | undefined][] = [
      [() => socket.connect("127.0.0.1", 9), 30_000],
      [() => socket.connect("127.0.0.1", 9, { timeout: undefined }), 30_000],
      [() => socket.connect("127.0.0.1", 9, { timeout: 1234 }), 1234],
      [() => socket.connect("127.0.0.1", 9, { timeout: Infinity }), undefined],
      [() => socket.connect(created, "127.0.0.1", 9), 30_000],
      [() => tls.connect("127.0.0.1", 9), 30_000],
      [() => tls.connect("127.0.0.1", 9, "", { timeout: Infinity }), undefined],
    ];
    for (const [connect, expected] of attempts) {
      using timers = spyOn(globalThis, "setTimeout");
      const connecting = connect();
      assertEquals(
        timers.calls.map(([, delay]) => delay),
        expected === undefined ? [] : [expected],
      );
      await task.await(connecting).catch(() => {});
    }
    socket.close(created);
  }));

for (const [engine, own] of clientKinds) {
  for (const host of ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "LOCALHOST", "[::1]"]) {
    Deno.test(`tcpconnect() and starttls() verify the host "${host}" as certificates name it [${engine}]`, () =>
      leavingNothing(async () => {
        if (host === "[::1]" && !hasIpv6) return console.log("skipped: this system has no IPv6");
        const name = host === "LOCALHOST" ? "localhost" : host === "[::1]" ? "::1" : "127.0.0.1";
        for (const served of [name, "other.test"]) {
          const shown = authority.issue([served]);
          const code = served === name ? "" : "ERR_TLS_CERT_ALTNAME_INVALID";
          const outcome = (id: task.TaskId) =>
            task.await(id).then(() => "", (error: socket.SocketError) => error.code);

          const listener = tls.tcpserver("", 0, shown);
          const accepting = tls.accept(listener);
          const [, port] = tls.getlocal(listener);
          const connecting = tls.connect(host, port, "", { ca, ...own });
          await task.settled([connecting]);
          const connected = task.result(connecting);
          assertEquals(await outcome(connecting), code);

          const plain = socket.tcpserver("", 0);
          const client = await socket.tcpconnect(host, socket.getlocal(plain)[1]);
          const peer = await task.await(socket.accept(plain));
          const serving = socket.starttls(peer, shown);
          assertEquals(await outcome(socket.starttls(client, { ca, ...own })), code);

          if (connected !== undefined) socket.close(connected);
          [listener, client, peer, plain].forEach(socket.close);
          await Promise.all([outcome(serving), outcome(accepting)]);
        }
      }));
  }
}

Deno.test("connect() refuses a host that no certificate can be for, once it is there", () =>
  leavingNothing(async () => {
    // Of a link-local address the zone is no part of any name; here it stands for this machine.
    const { connect } = Deno;
    using _restored = { [Symbol.dispose]: () => void Object.assign(Deno, { connect }) };
    Object.assign(Deno, {
      connect: (options: Deno.ConnectOptions) => connect({ ...options, hostname: "127.0.0.1" }),
    });
    const server = tls.tcpserver("127.0.0.1", 0, pair);
    const accepting = tls.accept(server);
    const [, port] = tls.getlocal(server);
    const { code, message } = await assertRejects(
      () => tls.tcpconnect("fe80::1%lo", port, "", { ca }),
      socket.SocketError,
    );
    assertEquals([code, message.includes('give "sni"')], ["ERR_TLS_CERT_ALTNAME_INVALID", true]);
    for (const [sni, unsafelyIgnoreHostname] of [["server.test", false], ["", true]] as const) {
      const options = { ca, unsafelyIgnoreHostname };
      tls.close(await tls.tcpconnect("fe80::1%lo", port, sni, options));
    }
    tls.close(await task.await(accepting));
    tls.close(server);
  }));
