// Where a TLS listener listens and how a client finds it.

import { assertEquals } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { hasIpv6 } from "../ipv6.ts";
import { leavingNothing } from "../settle.ts";
import { spyOn } from "../spy.ts";
import { ca, pair, serverKinds } from "./helpers.ts";

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
