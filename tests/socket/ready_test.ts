// ready of listeners, of failures, and beside starttls: what is not the same over every pair.

import { assertEquals } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { textOf } from "../bytes.ts";
import { ways } from "../listening.ts";
import { tcpPair } from "../pair.ts";
import { resettable } from "../reset.ts";
import { codeOf, faultOf, leavingNothing, turn } from "../settle.ts";

const certificate = tls.selfsigned(["localhost"]);
const test = (name: string, run: () => Promise<void>) => Deno.test(name, () => leavingNothing(run));

for (const { name, listen, connect } of ways) {
  test(`ready() completes when a connection can be accepted [${name}]`, async () => {
    using server = listen();
    const ids = [socket.ready(server.id), socket.ready(server.id)];
    const connecting = connect(server.id);
    await task.all(ids);
    assertEquals(socket.hasconnection(server.id), true);
    assertEquals(task.status(socket.ready(server.id)), "Completed");
    const accepting = socket.accept(server.id);
    assertEquals(task.status(accepting), "Completed");
    const next = socket.ready(server.id);
    assertEquals(task.status(next), "Running");
    task.cancel(next);
    socket.close(await connecting);
    socket.close(await task.await(accepting));
  });

  test(`ready() lets accepts go first [${name}]`, async () => {
    using server = listen();
    const before = socket.accept(server.id);
    const watching = socket.ready(server.id);
    const behind = socket.accept(server.id);
    const record = socket.inspect(server.id) as socket.ListenerRecord;
    assertEquals(record.pending, [before, behind, watching]);
    const open = [await connect(server.id), await connect(server.id)];
    open.push(await task.await(before), await task.await(behind));
    assertEquals(task.status(watching), "Running");
    const connecting = connect(server.id);
    await task.await(watching);
    open.push(await connecting, await task.await(socket.accept(server.id)));
    open.forEach(socket.close);
  });

  test(`ready() of a listener loses nothing when it is cancelled [${name}]`, async () => {
    using server = listen();
    const accepting = socket.accept(server.id);
    const ids = [socket.ready(server.id), socket.ready(server.id)];
    task.cancel(accepting);
    task.cancel(ids[0]);
    assertEquals(ids.map(task.status), ["Faulted", "Running"]);
    const connecting = connect(server.id);
    await task.await(ids[1]);
    socket.close(await task.await(socket.accept(server.id)));
    socket.close(await connecting);
  });

  test(`ready() of a listener faults ECONNABORTED when it is closed [${name}]`, async () => {
    using server = listen();
    const watching = socket.ready(server.id);
    await turn();
    socket.close(server.id);
    assertEquals(faultOf(watching), "ECONNABORTED");
    assertEquals(faultOf(socket.ready(server.id)), "EBADF");
  });
}

test("ready() completes at a failure, which the next recv tells", async () => {
  await using connection = await resettable();
  const { client } = connection;
  const watching = socket.ready(client);
  await connection.reset();
  await task.await(watching);
  assertEquals(await codeOf(socket.recv(client)), "ECONNRESET");
  assertEquals(await codeOf(socket.ready(client)), "completed with undefined");
});

test("ready() waits for what comes decrypted when starttls runs", async () => {
  using pair = await tcpPair();
  const { client, peer } = pair;
  const { cert } = certificate;
  const watching = [client, peer].map(socket.ready);
  await turn();
  const upgrading = [
    socket.starttls(client, { host: "localhost", ca: cert }),
    socket.starttls(peer, certificate),
  ];
  const during = [client, peer].map(socket.ready);
  await task.all(upgrading);
  await turn();
  const all = [...watching, ...during];
  assertEquals(all.map(task.status), all.map(() => "Running"));
  socket.send(client, "from the client");
  socket.send(peer, "from the peer");
  await task.all(all);
  assertEquals(textOf(socket.peek(peer)!), "from the client");
  assertEquals(textOf(socket.peek(client)!), "from the peer");
});

test("ready() faults ECONNABORTED when a starttls beside it fails", async () => {
  using pair = await tcpPair();
  const watching = socket.ready(pair.client);
  const upgrading = socket.starttls(pair.client, { host: "localhost" });
  socket.send(pair.peer, "no TLS at all\n");
  assertEquals(await codeOf(upgrading), "EPROTO");
  assertEquals(faultOf(watching), "ECONNABORTED");
});

test("ready() of tls faults EPROTO when the socket is plain", async () => {
  using pair = await tcpPair();
  const server = socket.tcpserver("127.0.0.1", 0);
  for (const id of [pair.client, server]) {
    const watching = tls.ready(id);
    assertEquals([task.status(watching), faultOf(watching)], ["Faulted", "EPROTO"]);
  }
  socket.close(server);
  assertEquals(faultOf(tls.ready(server)), "EBADF");
});

test("ready() keeps an accepted connection that nobody claimed", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const client = await socket.tcpconnect(...socket.getlocal(server));
  const accepting = socket.accept(server);
  while (task.status(accepting) === "Running") await turn();
  const peer = task.result(accepting)!;
  const watching = socket.ready(peer);
  socket.close(server);
  socket.send(client, "used");
  await task.await(watching);
  assertEquals(textOf(socket.peek(peer)!), "used");
  task.forget(accepting);
  [client, peer].forEach(socket.close);
});
