import { assertEquals, assertRejects } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { receiveAll, textOf } from "../bytes.ts";
import { canCount, descriptorsBackTo, openDescriptors } from "../descriptors.ts";
import { leavingNothing, turn } from "../settle.ts";

const test = (name: string, run: () => Promise<void>) => Deno.test(name, () => leavingNothing(run));

test("pair() gives two ends of one connection and leaves nothing else", async () => {
  const before = canCount ? openDescriptors() : 0;
  const sockets = socket.list();
  const [one, other] = await socket.pair();
  assertEquals(socket.list(), [...sockets, one, other]);
  assertEquals([one, other].map(socket.getside), ["client", "server"]);
  assertEquals(socket.getpeer(one), socket.getlocal(other));
  assertEquals(socket.getlocal(one), socket.getpeer(other));
  assertEquals(socket.getpeer(one)[0], "127.0.0.1");
  socket.send(one, "there");
  assertEquals(textOf(await task.await(socket.recv(other))), "there");
  socket.send(other, "back");
  assertEquals(textOf(await task.await(socket.recv(one))), "back");
  [one, other].forEach(socket.close);
  if (canCount) await descriptorsBackTo(before);
});

test("pair() gives each its own when many are made at once", async () => {
  const pairs = await Promise.all(Array.from({ length: 30 }, () => socket.pair()));
  for (const [one, other] of pairs) assertEquals(socket.getlocal(one), socket.getpeer(other));
  pairs.flat().forEach(socket.close);
});

test("pair() takes nobody else's connection for the peer's", async () => {
  const { connect } = Deno;
  const strangers: Deno.TcpConn[] = [];
  Deno.connect = (async (options: Deno.ConnectOptions) => {
    // They have found the listener and come first.
    for (let n = 0; n < 3; n++) strangers.push(await connect(options));
    return await connect(options);
  }) as typeof Deno.connect;
  try {
    const [one, other] = await socket.pair();
    assertEquals(socket.getlocal(one), socket.getpeer(other));
    socket.send(one, "mine");
    assertEquals(textOf(await task.await(socket.recv(other))), "mine");
    for (const stranger of strangers) {
      assertEquals(await stranger.read(new Uint8Array(1)), null);
      stranger.close();
    }
    socket.close(one);
    assertEquals(await receiveAll(other), new Uint8Array(0));
    socket.close(other);
  } finally {
    Deno.connect = connect;
  }
});

test("pair() leaves nothing open when it cannot connect", async () => {
  const { connect } = Deno;
  const failure = Object.assign(new Error("short"), { code: "EMFILE" });
  Deno.connect = (() => Promise.reject<never>(failure)) as () => Promise<never>;
  try {
    const { code } = await assertRejects(() => socket.pair(), socket.SocketError);
    assertEquals(code, "EMFILE");
  } finally {
    Deno.connect = connect;
  }
  await turn();
});

test("pair() closes the client's end when it cannot accept", async () => {
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const prototype = Object.getPrototypeOf(probe);
  probe.close();
  const { accept } = prototype;
  prototype.accept = () => {
    prototype.accept = accept;
    return Promise.reject(Object.assign(new Error("short"), { code: "EMFILE" }));
  };
  const error = await assertRejects(() => socket.pair(), socket.SocketError);
  assertEquals([error.code, error.op], ["EMFILE", "accept"]);
});
