// Listeners behind a load balancer: whose connection it is, and what becomes of those that do not tell.

import { assertEquals, assertThrows } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { receiveAll, textOf } from "../bytes.ts";
import { canCount, descriptorLimit, descriptorsBackTo, openDescriptors } from "../descriptors.ts";
import { binaryHeader, ipv6Bytes, textBytes, tlv } from "../proxy_protocol.ts";
import { codeOf, leavingNothing, turn, until } from "../settle.ts";
import { spyOn } from "../spy.ts";

const PROXIED = { proxyProtocol: true };

/** Registers a test of a listener behind a balancer; all sockets are closed afterwards. */
function test(
  name: string,
  run: (server: socket.SocketId) => Promise<void>,
  options: socket.ListenOptions = PROXIED,
): void {
  Deno.test(name, () =>
    leavingNothing(async () => {
      const before = new Set(socket.list());
      const server = socket.tcpserver("127.0.0.1", 0, options);
      try {
        await run(server);
      } finally {
        socket.list().filter((id) => !before.has(id)).forEach(socket.close);
        await task.wait();
      }
    }));
}

const listenerRecord = (id: socket.SocketId) => socket.inspect(id) as socket.ListenerRecord;
const streamRecord = (id: socket.SocketId) => socket.inspect(id) as socket.StreamRecord;

/** The balancer's end of a connection, which has sent this. */
async function balancer(
  server: socket.SocketId,
  ...data: (string | Uint8Array)[]
): Promise<socket.SocketId> {
  const id = await socket.tcpconnect(...socket.getlocal(server));
  for (const part of data) await task.await(socket.send(id, part));
  return id;
}

const TCP4 = "PROXY TCP4 192.0.2.1 192.0.2.9 56324 443\r\n";
const CLIENT: socket.Address = ["192.0.2.1", 56324];
const block4 = Uint8Array.of(192, 0, 2, 1, 192, 0, 2, 9, 0xdc, 0x04, 1, 187);
const block6 = Uint8Array.of(...ipv6Bytes("2001:db8::1"), ...ipv6Bytes("::1"), 0xdc, 0x04, 1, 187);

/** Headers and the clients that they name; `undefined` means the balancer itself. */
const headers: Record<string, [header: Uint8Array, client: socket.Address | undefined]> = {
  "TCP4 of version 1": [textBytes(TCP4), CLIENT],
  "TCP6 of version 1": [
    textBytes("PROXY TCP6 2001:db8::1 ::1 56324 443\r\n"),
    ["2001:db8::1", 56324],
  ],
  "UNKNOWN of version 1": [textBytes("PROXY UNKNOWN\r\n"), undefined],
  "TCP4 of version 2": [binaryHeader(0x21, 0x11, block4), ["192.0.2.1", 0xdc04]],
  "TCP6 of version 2": [binaryHeader(0x21, 0x21, block6), ["2001:db8::1", 0xdc04]],
  "TLVs": [
    binaryHeader(0x21, 0x11, block4, tlv(2, textBytes("a.test")), tlv(4, new Uint8Array(700))),
    ["192.0.2.1", 0xdc04],
  ],
  "LOCAL": [binaryHeader(0x20, 0x00), undefined],
};

for (const [name, [header, client]] of Object.entries(headers)) {
  test(`accept() gives the original client of ${name}`, async (server) => {
    const far = await balancer(server, header, "and the first bytes");
    const id = await task.await(socket.accept(server));
    const proxy = socket.getlocal(far);
    assertEquals(socket.getpeer(id), client ?? proxy);
    assertEquals(socket.getlocal(id), socket.getlocal(server));
    assertEquals(socket.getside(id), "server");
    const { remote, local, proxy: shown } = streamRecord(id);
    assertEquals([remote, local, shown], [client ?? proxy, socket.getlocal(server), proxy]);
    assertEquals(textOf(await task.await(socket.recvExact(id, 19))), "and the first bytes");
    await task.await(socket.send(id, "back"));
    assertEquals(textOf(await task.await(socket.recv(far))), "back");
    assertEquals(listenerRecord(server).dropped, 0);
  });

  test(`accept() takes ${name} in two pieces, wherever it is split`, async (server) => {
    for (let n = 1; n < Math.min(header.length, 60); n++) {
      const far = await balancer(server, header.subarray(0, n));
      const accepting = socket.accept(server);
      await until(() => listenerRecord(server).handshaking === 1);
      assertEquals(task.status(accepting), "Running");
      socket.send(far, header.subarray(n));
      const id = await task.await(accepting);
      assertEquals(socket.getpeer(id), client ?? socket.getlocal(far));
      [far, id].forEach(socket.close);
    }
  });
}

/** Ways to receive what came with the header. */
const receives: Record<string, (id: socket.SocketId) => Promise<string>> = {
  recv: async (id) => textOf(await task.await(socket.recv(id))),
  recvExact: async (id) => textOf(await task.await(socket.recvExact(id, 6))),
  recvUntil: async (id) => textOf(await task.await(socket.recvUntil(id, "\n"))),
  recvLine: async (id) => await task.await(socket.recvLine(id)) + "\n",
  async recvInto(id) {
    const buffer = new Uint8Array(100);
    return textOf(buffer.subarray(0, await task.await(socket.recvInto(id, buffer))));
  },
  "recvInto of a large buffer": async (id) => {
    const buffer = new Uint8Array(100_000);
    return textOf(buffer.subarray(0, await task.await(socket.recvInto(id, buffer))));
  },
  peek: async (id) => {
    const text = textOf(socket.peek(id)!);
    await task.await(socket.recv(id));
    return text;
  },
};

for (const [name, receive] of Object.entries(receives)) {
  test(`${name} gives what came with the header, then what comes later`, async (server) => {
    const far = await balancer(server, TCP4 + "first\n");
    const id = await task.await(socket.accept(server));
    assertEquals([streamRecord(id).queuedIn, streamRecord(id).bytesIn], [6, 6]);
    assertEquals(await receive(id), "first\n");
    socket.send(far, "later");
    socket.shutdown(far);
    assertEquals(textOf(await receiveAll(id)), "later");
    assertEquals(streamRecord(id).bytesIn, 11);
  });
}

test("accept() is held up by nobody who stays silent or sends half", async (server) => {
  await balancer(server);
  await balancer(server, "PROXY TCP4 192.");
  const far = await balancer(server, TCP4);
  const id = await task.await(socket.accept(server));
  assertEquals(socket.inspect(id) && streamRecord(id).proxy, socket.getlocal(far));
  assertEquals([listenerRecord(server).handshaking, listenerRecord(server).dropped], [2, 0]);
});

const garbage: Record<string, (string | Uint8Array)[]> = {
  "HTTP": ["GET / HTTP/1.1\r\n\r\n"],
  "a bad address": ["PROXY TCP4 192.0.2.256 192.0.2.9 56324 443\r\n"],
  "a line that does not end": ["PROXY UNKNOWN ".padEnd(107, "x")],
  "more than 4 KiB of TLVs": [binaryHeader(0x21, 0x11, block4, tlv(4, new Uint8Array(5000)))],
  "version 3": [binaryHeader(0x31, 0x11, block4)],
};

for (const [what, data] of Object.entries(garbage)) {
  test(`accept() drops and counts who begins with ${what}`, async (server) => {
    const accepting = socket.accept(server);
    const far = await balancer(server, ...data);
    assertEquals((await receiveAll(far).catch(() => [])).length, 0); // closed at once
    await until(() => listenerRecord(server).dropped === 1);
    assertEquals(task.status(accepting), "Running");
    const next = await balancer(server, TCP4);
    assertEquals(streamRecord(await task.await(accepting)).proxy, socket.getlocal(next));
    assertEquals([listenerRecord(server).dropped, listenerRecord(server).accepted], [1, 1]);
  }, { proxyProtocol: true, handshakeTimeout: Infinity });
}

for (
  const data of ["", "PROXY TCP4 192.0.2.1 192.0.2.9 56324 44", "\r\n\r\n\0\r\nQUIT\n\x21\x11\0"]
) {
  test(`accept() drops who ends after ${JSON.stringify(data)}`, async (server) => {
    const accepting = socket.accept(server);
    const far = await balancer(server, data);
    await task.await(socket.shutdown(far));
    assertEquals((await receiveAll(far)).length, 0);
    await until(() => listenerRecord(server).dropped === 1);
    assertEquals([task.status(accepting), listenerRecord(server).handshaking], ["Running", 0]);
  });

  test(`accept() drops who says ${JSON.stringify(data)} and no more in time`, async (server) => {
    const accepting = socket.accept(server);
    const far = await balancer(server, data);
    assertEquals((await receiveAll(far).catch(() => [])).length, 0);
    await until(() => listenerRecord(server).dropped === 1);
    assertEquals([task.status(accepting), listenerRecord(server).handshaking], ["Running", 0]);
  }, { proxyProtocol: true, handshakeTimeout: 20 });
}

for (const [options, delay] of [[{}, 10_000], [{ handshakeTimeout: 1234 }, 1234]] as const) {
  test(`tcpserver() gives a header ${delay} ms with ${JSON.stringify(options)}`, async (server) => {
    using timers = spyOn(globalThis, "setTimeout");
    const accepting = socket.accept(server);
    const far = await Deno.connect({
      hostname: "127.0.0.1",
      port: socket.getlocal(server)[1],
    });
    await until(() => listenerRecord(server).handshaking === 1);
    assertEquals(timers.calls.map(([, delay]) => delay).filter((delay) => delay !== 0), [delay]);
    task.cancel(accepting);
    far.close();
  }, { proxyProtocol: true, ...options });
}

test("tcpserver() drops the one that waits longest when more than 1,000 do", async (server) => {
  if (descriptorLimit() < 2500) return console.log("skipped: needs 2,500 descriptors (ulimit -n)");
  const accepting = socket.accept(server);
  const first = await balancer(server);
  const others: Deno.TcpConn[] = [];
  const [hostname, port] = socket.getlocal(server);
  while (others.length < 999) others.push(await Deno.connect({ hostname, port }));
  await until(() => listenerRecord(server).handshaking === 1000);
  assertEquals(listenerRecord(server).dropped, 0);
  const last = await balancer(server);
  assertEquals((await receiveAll(first).catch(() => [])).length, 0);
  await until(() => listenerRecord(server).dropped === 1);
  assertEquals(listenerRecord(server).handshaking, 1000);
  socket.send(last, TCP4);
  assertEquals(streamRecord(await task.await(accepting)).proxy, socket.getlocal(last));
  others.forEach((conn) => conn.close());
}, { proxyProtocol: true, handshakeTimeout: Infinity, backlog: 1024 });

for (const options of [{}, { proxyProtocol: false }, 5]) {
  test(`accept() believes no header with ${JSON.stringify(options)}`, async (server) => {
    const far = await balancer(server, TCP4);
    const id = await task.await(socket.accept(server));
    assertEquals(socket.getpeer(id), socket.getlocal(far));
    assertEquals(streamRecord(id).proxy, undefined);
    assertEquals(textOf(await task.await(socket.recv(id))), TCP4);
  }, options as socket.ListenOptions);
}

test("accept() believes the first header only", async (server) => {
  await balancer(server, TCP4 + "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n");
  const id = await task.await(socket.accept(server));
  assertEquals(socket.getpeer(id), CLIENT);
  assertEquals(await task.await(socket.recvLine(id)), "PROXY TCP4 10.0.0.1 10.0.0.2 1 2");
});

test("accept() loses no connection when it is cancelled", async (server) => {
  const cancelled = socket.accept(server);
  const far = await balancer(server);
  await until(() => listenerRecord(server).handshaking === 1);
  task.cancel(cancelled);
  socket.send(far, TCP4);
  await until(() => socket.hasconnection(server));
  const id = await task.await(socket.accept(server));
  assertEquals(socket.getpeer(id), CLIENT);
});

test("hasconnection() is true when the header has come", async (server) => {
  const far = await balancer(server);
  assertEquals(socket.hasconnection(server), false);
  await until(() => listenerRecord(server).handshaking === 1);
  assertEquals(socket.hasconnection(server), false);
  socket.send(far, TCP4);
  await until(() => socket.hasconnection(server));
  assertEquals(task.status(socket.accept(server)), "Completed");
});

test("serve() serves original clients side by side", async (server) => {
  const peers: string[] = [];
  const serving = socket.serve(server, async (id) => {
    peers.push(socket.getpeer(id)[0]);
    await task.await(socket.send(id, await task.await(socket.recv(id))));
  });
  await balancer(server); // silent
  await Promise.all(Array.from({ length: 20 }, async (_, n) => {
    const far = await balancer(server, `PROXY TCP4 10.0.0.${n} 10.0.1.1 1 2\r\n`, `I am ${n}`);
    assertEquals(textOf(await receiveAll(far)), `I am ${n}`);
    socket.close(far);
  }));
  assertEquals(new Set(peers), new Set(Array.from({ length: 20 }, (_, n) => `10.0.0.${n}`)));
  task.cancel(serving);
});

test("accept() faults when the system is short of something", async (server) => {
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const prototype = Object.getPrototypeOf(probe);
  probe.close();
  const { accept } = prototype;
  prototype.accept = () => {
    prototype.accept = accept;
    return Promise.reject(Object.assign(new Error("short"), { code: "EMFILE" }));
  };
  assertEquals(await codeOf(socket.accept(server)), "EMFILE");
  await balancer(server, TCP4);
  assertEquals(socket.getpeer(await task.await(socket.accept(server))), CLIENT);
});

Deno.test({
  name: "close() of the listener leaves nothing of those that wait or are ready",
  ignore: !canCount,
  fn: () =>
    leavingNothing(async () => {
      const before = openDescriptors();
      const server = socket.tcpserver("127.0.0.1", 0, PROXIED);
      const accepting = [socket.accept(server), socket.accept(server)];
      const silent = await balancer(server);
      const half = await balancer(server, "PROXY ");
      await until(() => listenerRecord(server).handshaking === 2);
      accepting.forEach((id) => task.cancel(id));
      const ready = await balancer(server, TCP4);
      await until(() => socket.hasconnection(server));
      socket.close(server);
      for (const far of [silent, half, ready]) {
        assertEquals((await receiveAll(far).catch(() => [])).length, 0);
        socket.close(far);
      }
      await turn();
      await descriptorsBackTo(before);
    }),
});

// deno-lint-ignore no-explicit-any
type Anything = any;

test("tcpserver() throws when an option of proxies is wrong", () => {
  const listen = (options: Anything) => () => socket.tcpserver("127.0.0.1", 0, options);
  for (const value of [1, "true", null, {}]) {
    assertThrows(listen({ proxyProtocol: value }), TypeError, `"proxyProtocol" must be a boolean`);
    if (value === 1) continue;
    assertThrows(listen({ handshakeTimeout: value }), TypeError, `"handshakeTimeout" must be`);
  }
  assertThrows(listen({ handshakeTimeout: NaN }), RangeError, `"handshakeTimeout" must be`);
  assertThrows(listen({ proxyprotocol: true }), TypeError, `Unknown option "proxyprotocol"`);
  return Promise.resolve();
});
