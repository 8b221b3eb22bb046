// In a file of its own: only the first handshake of a program has to load Node's part of the package.

import { assertEquals } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { tcpPair } from "../pair.ts";
import { faultOf, leavingNothing } from "../settle.ts";

Deno.test("the first starttls() of Node's, cancelled at once, sends nothing and closes", () =>
  leavingNothing(async () => {
    const { client, peer, close } = await tcpPair();
    const own = tls.selfsigned(["client.test"]);
    const upgrading = socket.starttls(client, { host: "localhost", ...own });
    task.cancel(upgrading);
    assertEquals(faultOf(upgrading), "ECANCELED");
    assertEquals(socket.isopen(client), false);
    assertEquals((await task.await(socket.recv(peer))).length, 0);
    task.forget(upgrading);
    close();
  }));

Deno.test("a server of Node's that is closed while it loads drops its first client", () =>
  leavingNothing(async () => {
    const pair = tls.selfsigned(["localhost"]);
    const server = tls.tcpserver("127.0.0.1", 0, { certs: [pair] });
    const accepting = tls.accept(server);
    const client = await socket.tcpconnect(...tls.getlocal(server));
    const ended = task.await(socket.recv(client)).then(({ length }) => length, ({ code }) => code);
    tls.close(server);
    assertEquals(faultOf(accepting), "ECONNABORTED");
    assertEquals([0, "ECONNRESET"].includes(await ended), true);
    task.forget(accepting);
    socket.close(client);
  }));
