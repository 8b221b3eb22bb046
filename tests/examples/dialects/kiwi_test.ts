// The samples of Kiwi's manual, and where its names and values differ.

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { once } from "node:events";
import https from "node:https";
import net, { type AddressInfo } from "node:net";
import { type Channel, openKiwi } from "../../../examples/dialects/kiwi.ts";
import * as taskio from "../../../mod.ts";
import { bytesOf, textOf } from "../../bytes.ts";
import { refusingPort } from "../program.ts";
import { test } from "./helpers.ts";

const pair = taskio.tls.selfsigned(["localhost", "api.example.com"]);
const { socket, tls, task } = openKiwi({ ca: pair.cert });

/** What a sample prints. */
function printer(): { printed: string[]; println: (text: string) => void } {
  const printed: string[] = [];
  return { printed, println: (text) => printed.push(text) };
}

/** The sample client against a server on a port. */
async function client(port: number, println: (text: string) => void): Promise<void> {
  const conn = await socket.tcpconnect("127.0.0.1", port);
  println("Connected to server");

  await task.await(socket.send(conn, bytesOf("Hello")));

  const response = await task.await(socket.recv(conn));
  println(`Server replied: ${textOf(response)}`);

  socket.close(conn);
}

/** A server of Node's that does the same to every client. */
async function serving(
  server: net.Server,
  use: (port: number) => Promise<void>,
): Promise<void> {
  const clients = new Set<net.Socket>();
  server.on("connection", (client) => {
    clients.add(client);
    client.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await use((server.address() as AddressInfo).port);
  } finally {
    const closed = once(server, "close");
    server.close();
    clients.forEach((client) => client.destroy());
    await closed;
  }
}

test("samples: echo server, TCP client", async () => {
  const { printed, println } = printer();
  const replies = printer();

  // Bind and listen on localhost
  const server = socket.tcpserver("127.0.0.1", 0);
  println("Server listening on 127.0.0.1");
  const calling = client(taskio.socket.getlocal(server)[1], replies.println);

  // Block until a client connects
  const client_id = await task.await(socket.accept(server));
  println(`Client connected: ${client_id}`);

  // Receive up to 4096 bytes
  const data = await task.await(socket.recv(client_id));
  println(`Received: ${textOf(data)}`);

  // Echo back
  await task.await(socket.send(client_id, data));

  socket.close(client_id);
  socket.close(server);
  println("Done.");

  await calling;
  assertEquals(printed, [
    "Server listening on 127.0.0.1",
    `Client connected: ${client_id}`,
    "Received: Hello",
    "Done.",
  ]);
  assertEquals(replies.printed, ["Connected to server", "Server replied: Hello"]);
});

test("sample: persistent echo server", async () => {
  const { printed, println } = printer();
  let server: taskio.socket.SocketId = 0;

  async function sample() {
    async function handle_client(client_id: number) {
      const data = await task.await(socket.recv(client_id));
      if (data.length > 0) {
        await task.await(socket.send(client_id, data));
      }
      socket.close(client_id);
    }

    server = socket.tcpserver("127.0.0.1", 0);
    println("Echo server running");

    // Accept connections indefinitely
    while (true) {
      const client_id = await task.await(socket.accept(server));
      task.spawn((id) => handle_client(id), [client_id]);
    }
  }

  const ended = assertRejects(sample, taskio.socket.SocketError, "socket was closed");
  const port = taskio.socket.getlocal(server)[1];
  const silent = await socket.tcpconnect("127.0.0.1", port);
  const replies = printer();
  await Promise.all(Array.from({ length: 10 }, () => client(port, replies.println)));
  const reply = "Server replied: Hello";
  assertEquals(replies.printed.filter((line) => line === reply).length, 10);
  socket.close(silent);
  socket.close(server);
  await ended;
  await task.wait();
  task.list().forEach(taskio.task.forget);
  assertEquals(printed, ["Echo server running"]);
});

test("sample: concurrent port scanner", async () => {
  const { printed, println } = printer();

  async function probe(host: string, port: number, ch: Channel<number>, timeout_ms: number) {
    try {
      const sock = await socket.tcpconnect(host, port);
      const recv_tid = socket.recv(sock, 1);
      let elapsed = 0;
      let open = false;
      while (elapsed < timeout_ms) {
        const s = task.status(recv_tid);
        if (s === "Completed") {
          open = true; // banner received — definitely open
          break;
        } else if (s === "Faulted") {
          open = false; // TCP RST — port closed
          break;
        }
        await task.sleep(10);
        elapsed += 10;
      }
      socket.close(sock); // faults recv_tid if still running
      if (elapsed >= timeout_ms) open = true;
      await ch.send(open ? port : 0);
    } catch (_err) {
      await ch.send(0); // connection refused or other error -> closed
    }
  }

  async function scan(ports: number[]) {
    const host = "127.0.0.1";
    const timeout_ms = 500;
    const ch = task.channel<number>(0);
    const total = ports.length;
    const open_ports: number[] = [];
    for (const port of ports) {
      task.spawn(probe, [host, port, ch, timeout_ms]);
    }
    let received = 0;
    while (received < total) {
      const result = (await ch.recv())!;
      received += 1;
      if (result > 0) {
        open_ports.push(result);
        println(`  [open] port ${result}`);
      }
    }
    open_ports.sort((a, b) => a - b);
    println("Open ports: " + open_ports.join(", "));
  }

  const greets = net.createServer((client) => client.write("220 ready\r\n"));
  const stays_quiet = net.createServer(() => {});
  const resets = net.createServer((client) => client.resetAndDestroy());
  await serving(greets, (a) =>
    serving(stays_quiet, (b) =>
      serving(resets, async (c) => {
        await scan([a, b, c, refusingPort]);
        const open = [a, b].sort((a, b) => a - b);
        assertEquals(printed.pop(), `Open ports: ${open.join(", ")}`);
        assertEquals(printed.toSorted(), open.map((p) => `  [open] port ${p}`).toSorted());
      })));
  await task.wait();
  task.list().forEach(taskio.task.forget);
});

test("sample: HTTPS request over TLS", async () => {
  const { printed, println } = printer();
  const server = https.createServer(pair, (_request, response) => response.end("Hello, world!"));
  await serving(server, async (port) => {
    // Connect with TLS
    const conn = await tls.tcpconnect("localhost", port);
    println("TLS connection established");

    // Build a minimal HTTP/1.1 request
    const request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    await task.await(tls.send(conn, bytesOf(request)));

    // Read the response (may need multiple recv calls for large responses)
    const response = await task.await(tls.recv(conn));
    println(textOf(response));

    tls.close(conn);
  });
  assertEquals(printed[0], "TLS connection established");
  assertEquals(printed[1].split("\r\n")[0], "HTTP/1.1 200 OK");
});

test("sample: TLS client with SNI", async () => {
  const { printed, println } = printer();
  const other = taskio.tls.selfsigned(["other.test"]);
  const server = taskio.tls.tcpserver("127.0.0.1", 0, { certs: [other, pair] });
  const port = taskio.tls.getlocal(server)[1];
  const answering = task.spawn(async () => {
    const id = await task.await(tls.accept(server));
    const request = textOf(await task.await(tls.recv(id)));
    await task.await(tls.send(id, request.split("\r\n")[0]));
    tls.close(id);
  });

  // SNI lets the server select the correct certificate for "api.example.com"
  const conn = await tls.tcpconnect("127.0.0.1", port, "api.example.com");

  const request = "GET /status HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n";
  await task.await(tls.send(conn, bytesOf(request)));

  const data = await task.await(tls.recv(conn));
  println(`Response length: ${data.length} bytes`);

  tls.close(conn);

  await task.await(answering);
  tls.close(server);
  assertEquals(printed, ["Response length: 20 bytes"]);
});

test("tls.tcpconnect() throws instead of giving a negative number", async () => {
  const { code } = await assertRejects(
    () => tls.tcpconnect("127.0.0.1", refusingPort),
    taskio.socket.SocketError,
  );
  assertEquals(code, "ECONNREFUSED");
  await assertRejects(() => socket.tcpconnect("127.0.0.1", refusingPort));
});

test("a channel goes by its names in Kiwi", async () => {
  const ch = task.channel<number>(4);
  for (let i = 1; i <= 4; i++) await ch.send(i * 10);
  assertEquals([ch.closed(), await ch.recv()], [false, 10]);
  ch.close();
  const got: number[] = [];
  while (true) {
    const [ok, val] = ch.try_recv();
    if (!ok) break;
    got.push(val);
  }
  assertEquals(got, [20, 30, 40]);
  assertEquals([ch.try_recv(), await ch.recv(), ch.closed()], [[false, 0], null, true]);
  await assertRejects(() => ch.send(50), taskio.task.ChannelClosedError);
});

test("a mutex goes by snake-case names", async () => {
  const m = task.mutex();
  await m.acquire();
  assertEquals(await m.try_acquire(), false);
  m.release();
  assertEquals(await m.synchronize(() => m.try_acquire(1)), false);
  assertEquals(await m.try_acquire(), true);
  m.release();
  assertThrows(() => m.release(), Error, "Cannot release the mutex: nobody holds it");
});

test("the other functions of task are there; result() is null where there is none", async () => {
  const id = task.spawn(async (ms: number) => {
    await task.sleep(ms);
    return "done";
  }, [1]);
  assertEquals([task.busy(), task.status(id), task.result(id)], [true, "Running", null]);
  assertEquals(task.list(), [id]);
  await task.wait();
  assertEquals([task.busy(), task.status(id), task.result(id)], [false, "Completed", "done"]);
  assertEquals(await task.await(id), "done");
  assertEquals([task.status(id), task.result(id)], ["Unknown", null]);

  assertEquals(await task.timer(1, () => "ding"), "ding");
  const ticks = task.channel<number>();
  const ticking = task.interval(1, () => ticks.send(1));
  await ticks.recv();
  await ticks.recv();
  taskio.task.cancel(ticking);
  taskio.task.forget(ticking);
});
