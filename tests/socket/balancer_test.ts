// A listener with proxyProtocol behind the balancers that people use: whose connections it gives.

import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { type Balancer, hasHaproxy, hasNginx, startHaproxy, startNginx } from "../balancers.ts";
import { receiveAll, textOf } from "../bytes.ts";
import { hasIpv6 } from "../ipv6.ts";
import { leavingNothing, until } from "../settle.ts";

/** A way of putting a balancer in front of a port of 127.0.0.1, over IPv4 and IPv6. */
interface Way {
  readonly name: string;
  readonly missing: string | undefined;
  start(target: number): Promise<Balancer>;
}

function haproxy(target: number, options: string, bind = ""): ReturnType<typeof startHaproxy> {
  return startHaproxy((port, folder) => `
    global
      stats socket ${folder}/admin.sock level admin
    defaults
      mode tcp
      timeout connect 10s
      timeout client 60s
      timeout server 60s
    listen all
      bind 127.0.0.1:${port}
      ${hasIpv6 ? `bind [::1]:${port}` : ""}
      ${bind.replace("FOLDER", folder)}
      server one 127.0.0.1:${target} ${options}
  `);
}

const noHaproxy = hasHaproxy ? undefined : "haproxy is not installed";

const WAYS: readonly Way[] = [
  {
    name: "HAProxy with send-proxy",
    missing: noHaproxy,
    start: (target) => haproxy(target, "send-proxy"),
  },
  {
    name: "HAProxy with send-proxy-v2",
    missing: noHaproxy,
    start: (target) => haproxy(target, "send-proxy-v2"),
  },
  {
    name: "HAProxy with send-proxy-v2 and all that it can add",
    missing: noHaproxy,
    start: (target) => haproxy(target, "send-proxy-v2 proxy-v2-options crc32c,unique-id"),
  },
  {
    name: "nginx with proxy_protocol on",
    missing: hasNginx ? undefined : "nginx and its stream module are not installed",
    start: (target) =>
      startNginx((port) => `
        server {
          listen 127.0.0.1:${port};
          ${hasIpv6 ? `listen [::1]:${port};` : ""}
          proxy_protocol on;
          proxy_pass 127.0.0.1:${target};
        }
      `),
  },
];

function test(name: string, missing: string | undefined, run: () => Promise<void>): void {
  Deno.test({
    name: missing === undefined ? name : `${name} (skipped: ${missing})`,
    ignore: missing !== undefined,
    fn: () => leavingNothing(run),
  });
}

const listen = () => socket.tcpserver("127.0.0.1", 0, { proxyProtocol: true });
const portOf = (id: socket.SocketId) => socket.getlocal(id)[1];
const streamRecord = (id: socket.SocketId) => socket.inspect(id) as socket.StreamRecord;
const listenerRecord = (id: socket.SocketId) => socket.inspect(id) as socket.ListenerRecord;

for (const { name, missing, start } of WAYS) {
  for (const host of hasIpv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"]) {
    test(`accept() gives the original client over ${host} behind ${name}`, missing, async () => {
      const server = listen();
      await using balancer = await start(portOf(server));
      const client = await socket.tcpconnect(host, balancer.port);
      task.forget(socket.send(client, "hello"));
      const id = await task.await(socket.accept(server));

      assertEquals(socket.getpeer(id), socket.getlocal(client));
      assertEquals(socket.getlocal(id), socket.getlocal(server));
      const { remote, proxy } = streamRecord(id);
      assertEquals([remote, proxy?.[0]], [socket.getlocal(client), "127.0.0.1"]);
      assertNotEquals(proxy, socket.getlocal(client));

      // What the client sent comes after the header, and only that.
      assertEquals(textOf(await task.await(socket.recvExact(id, 5))), "hello");
      const finishing = [socket.send(id, "good-bye"), socket.finish(id)];
      assertEquals(textOf(await receiveAll(client)), "good-bye");
      socket.close(client);
      await task.all(finishing);
      assertEquals(listenerRecord(server).dropped, 0);
      socket.close(server);
    });
  }

  test(`accept() tells many clients apart behind ${name}`, missing, async () => {
    const server = listen();
    await using balancer = await start(portOf(server));
    const serving = socket.serve(server, (id) => socket.send(id, socket.getpeer(id).join(" ")));
    const clients = await Promise.all(
      Array.from({ length: 50 }, () => socket.tcpconnect("127.0.0.1", balancer.port)),
    );
    const replies = await Promise.all(clients.map(receiveAll));
    assertEquals(replies.map(textOf), clients.map((id) => socket.getlocal(id).join(" ")));
    clients.forEach(socket.close);
    socket.close(server);
    await task.await(serving);
  });
}

for (const version of ["send-proxy", "send-proxy-v2"]) {
  test(
    `accept() gives HAProxy itself for its health checks with ${version}`,
    noHaproxy,
    async () => {
      const server = listen();
      // A connect rule that is spelled out sends the header only with "default" or "send-proxy".
      const check = `
      option tcp-check
      tcp-check connect default
      tcp-check send "are you well?\\r\\n"
      tcp-check expect string yes
    `;
      await using balancer = await haproxy(portOf(server), `${version} check inter 100ms`, check);
      for (let i = 0; i < 2; i++) {
        const id = await task.await(socket.accept(server));
        const { remote, proxy } = streamRecord(id);
        assertEquals([remote[0], proxy], ["127.0.0.1", remote]);
        assertEquals(await task.await(socket.recvLine(id)), "are you well?");
        await task.await(socket.send(id, "yes"));
        socket.close(id);
      }
      // A star: the next check is under way.
      assertMatch(await balancer.ask("show stat"), /,(\* )?L7OK,/);
      socket.close(server);
    },
  );

  test(
    `accept() gives HAProxy itself for its Unix clients with ${version}`,
    noHaproxy,
    async () => {
      const server = listen();
      await using balancer = await haproxy(portOf(server), version, "bind unix@FOLDER/front.sock");
      const client = await socket.unixconnect(`${balancer.folder}/front.sock`);
      task.forget(socket.send(client, "hello"));
      const id = await task.await(socket.accept(server));
      const { remote, proxy } = streamRecord(id);
      assertEquals([remote[0], proxy], ["127.0.0.1", remote]);
      assertEquals(textOf(await task.await(socket.recvExact(id, 5))), "hello");
      [client, id, server].forEach(socket.close);
    },
  );
}

test("accept() drops what HAProxy passes on without a header", noHaproxy, async () => {
  const server = listen();
  await using balancer = await haproxy(portOf(server), "");
  const accepting = socket.accept(server);
  const client = await socket.tcpconnect("127.0.0.1", balancer.port);
  await task.await(socket.send(client, "no header, whatever its length may be\r\n"));
  await until(() => listenerRecord(server).dropped === 1);
  assertEquals(task.status(accepting), "Running");
  socket.close(client);
  socket.close(server);
  task.forget(accepting);
});
