// Ends: of one direction, of both, by either side, with everything pending.

import { assertEquals } from "@std/assert";
import { socket, task } from "../../../mod.ts";
import { HUGE, randomBytes, receive, receiveAll, sha256, textOf } from "../../bytes.ts";
import { codeOf, faultOf, thrownBy, turn, until } from "../../settle.ts";
import type { DuplexTest } from "../duplex_test.ts";

/** What a call that gives a task does with a socket ID. */
const taskCalls: Record<string, (id: socket.SocketId) => task.TaskId> = {
  accept: socket.accept,
  recv: socket.recv,
  recvInto: (id) => socket.recvInto(id, new Uint8Array(8)),
  send: (id) => socket.send(id, "x"),
  write: (id) => socket.write(id, "x"),
  shutdown: socket.shutdown,
};

const plainCalls: Record<string, (id: socket.SocketId) => unknown> = {
  hasconnection: socket.hasconnection,
  peek: socket.peek,
  unrecv: (id) => socket.unrecv(id, "x"),
  getpeer: socket.getpeer,
  getlocal: socket.getlocal,
  getside: socket.getside,
};

export function endingTests(test: DuplexTest): void {
  test("recv() gives the end of the stream again and again", async ({ client, peer }) => {
    const ids = [socket.recv(peer), socket.recv(peer)];
    const into = socket.recvInto(peer, new Uint8Array(9));
    await task.await(socket.shutdown(client));
    assertEquals(await task.all(ids), [new Uint8Array(0), new Uint8Array(0)]);
    assertEquals(await task.await(into), 0);
    for (let time = 0; time < 3; time++) {
      assertEquals(await task.await(socket.recv(peer)), new Uint8Array(0));
      assertEquals(await task.await(socket.recvInto(peer, new Uint8Array(32 * 1024))), 0);
      assertEquals(socket.peek(peer), new Uint8Array(0));
    }
    assertEquals(socket.isopen(peer), true);
  });

  test("recv() gives what came before the end first", async ({ client, peer }) => {
    const data = randomBytes(100_000);
    socket.send(client, data);
    socket.shutdown(client);
    assertEquals(sha256(await receiveAll(peer)), sha256(data));
    assertEquals(await task.await(socket.recv(peer)), new Uint8Array(0));
  });

  test("recv() gives the end of the stream when the peer closes", async ({ client, peer }) => {
    await task.await(socket.send(client, "last words"));
    socket.close(client);
    assertEquals(textOf(await receiveAll(peer)), "last words");
    assertEquals(await task.await(socket.recv(peer)), new Uint8Array(0));
  });

  for (const [first, second] of [["client", "peer"], ["peer", "client"]] as const) {
    for (
      const [what, sizes] of [
        ["one byte goes", [1]],
        ["one chunk goes", [3000]],
        ["many bytes go", new Array(500).fill(1)],
        ["many chunks go", new Array(40).fill(50_000)],
      ] as [string, number[]][]
    ) {
      test(`shutdown() by the ${first} ends that way only when ${what} the other`, async (pair) => {
        const [from, to] = [pair[second], pair[first]];
        await task.await(socket.shutdown(to));
        assertEquals(await task.await(socket.recv(from)), new Uint8Array(0));
        const chunks = sizes.map(randomBytes);
        const ids = chunks.map((chunk) => socket.send(from, chunk));
        const ending = socket.shutdown(from);
        assertEquals(sha256(await receiveAll(to)), sha256(...chunks));
        assertEquals(await task.all(ids), sizes);
        await task.await(ending);
      });
    }
  }

  test("shutdown() sends what is queued first", async ({ client, peer }) => {
    const data = randomBytes(8 * 1024 * 1024);
    const ids = [0, 1, 2, 3].map((i) => socket.send(client, data.subarray(i << 21, (i + 1) << 21)));
    const ending = socket.shutdown(client);
    assertEquals(await codeOf(socket.send(client, "too late")), "EPIPE");
    assertEquals(await codeOf(socket.write(client, "")), "EPIPE");
    assertEquals(task.status(ending), "Running");
    assertEquals(sha256(await receiveAll(peer)), sha256(data));
    assertEquals(await task.all(ids), new Array(4).fill(1 << 21));
    assertEquals(await task.await(ending), undefined);
  });

  test("shutdown() changes nothing when it is done again", async ({ client, peer }) => {
    socket.send(client, "x");
    await task.all([socket.shutdown(client), socket.shutdown(client), socket.shutdown(client)]);
    await task.await(socket.shutdown(client));
    assertEquals(textOf(await receiveAll(peer)), "x");
    const both = [socket.shutdown(peer), socket.shutdown(peer)];
    assertEquals(both.map(task.status), ["Running", "Running"]);
    await task.all(both);
    assertEquals(await receiveAll(client), new Uint8Array(0));
    assertEquals(await codeOf(socket.send(client, "x")), "EPIPE");
  });

  test("shutdown() by both ends leaves both open until they are closed", async (pair) => {
    const { client, peer } = pair;
    await task.all([socket.shutdown(client), socket.shutdown(peer)]);
    assertEquals(await task.await(socket.recv(client)), new Uint8Array(0));
    assertEquals(await task.await(socket.recv(peer)), new Uint8Array(0));
    assertEquals([socket.isopen(client), socket.isopen(peer)], [true, true]);
    socket.unrecv(client, "still usable");
    assertEquals(textOf(await task.await(socket.recv(client))), "still usable");
  });

  test("shutdown() leaves the sending side open when it is cancelled in time", async (pair) => {
    const { client, peer } = pair;
    const sending = socket.send(client, HUGE);
    const ending = [socket.shutdown(client), socket.shutdown(client)];
    assertEquals(task.cancel(ending[0]), true);
    assertEquals(await codeOf(socket.send(client, "")), "EPIPE");
    assertEquals(task.cancel(ending[1]), true);
    const more = socket.send(client, "more");
    assertEquals(task.status(more), "Running");
    const tail = (await receive(peer, HUGE.length + 4)).subarray(-4);
    assertEquals(textOf(tail), "more");
    assertEquals(await task.all([sending, more]), [HUGE.length, 4]);
    await task.await(socket.shutdown(client));
    assertEquals(await task.await(socket.recv(peer)), new Uint8Array(0));
  });

  test("shutdown() ends the sending side when it is cancelled too late", async (pair) => {
    const ending = socket.shutdown(pair.client);
    task.cancel(ending);
    assertEquals(await codeOf(socket.send(pair.client, "x")), "EPIPE");
    assertEquals(await task.await(socket.recv(pair.peer)), new Uint8Array(0));
    await task.await(socket.shutdown(pair.client));
  });

  test("send() fails for ever once the peer has closed", async ({ client, peer }) => {
    socket.close(peer);
    let code = "";
    while (code === "") {
      await task.await(socket.send(client, "x")).catch((error) => code = error.code);
      await turn();
    }
    assertEquals(["EPIPE", "ECONNRESET"].includes(code), true, code);
    for (let time = 0; time < 3; time++) {
      const later = await codeOf(socket.send(client, "x"));
      assertEquals(["EPIPE", "ECONNRESET"].includes(later), true, later);
    }
    assertEquals(await codeOf(socket.send(client, "")) === "completed with 0", false);
    assertEquals(socket.isopen(client), true);
  });

  test("close() faults a receive that waits", async ({ client, peer }) => {
    const id = socket.recv(client);
    const awaited = task.await(socket.recv(client)).catch((error) => error);
    socket.close(client);
    assertEquals(faultOf(id), "ECONNABORTED");
    assertEquals((await awaited).code, "ECONNABORTED");
    assertEquals(await task.await(socket.recv(peer)), new Uint8Array(0));
  });

  test("close() faults a recvInto that reads straight into its buffer", async (pair) => {
    const id = socket.recvInto(pair.client, new Uint8Array(64 * 1024));
    socket.close(pair.client);
    assertEquals(faultOf(id), "ECONNABORTED");
    await turn();
  });

  test("close() faults sends that wait in a clogged pipe", async ({ client }) => {
    const ids = [socket.send(client, HUGE), socket.send(client, "a"), socket.shutdown(client)];
    await turn();
    assertEquals(ids.map(task.status), ["Running", "Running", "Running"]);
    socket.close(client);
    assertEquals(ids.map(faultOf), ["ECONNABORTED", "ECONNABORTED", "ECONNABORTED"]);
  });

  test("close() faults everything that is pending before it returns", async ({ client, peer }) => {
    const ids: task.TaskId[] = [];
    for (let i = 0; i < 50; i++) {
      ids.push(socket.recv(client), socket.recvInto(client, new Uint8Array(1 + i * 1000)));
      ids.push(socket.send(client, HUGE), socket.write(client, "x"));
    }
    ids.push(socket.shutdown(client), socket.shutdown(client));
    const records = ids.map((id) => task.inspect(id)!);
    const remote = socket.getpeer(client);
    socket.close(client);
    assertEquals(new Set(ids.map(faultOf)), new Set(["ECONNABORTED"]));
    for (const [i, { kind }] of records.entries()) {
      const error = task.error(ids[i]) as socket.SocketError;
      assertEquals([error.op, error.socket, error.remote], [kind, client, remote]);
    }
    const stuck = [socket.recv(peer)];
    await turn();
    stuck.forEach(task.cancel);
  });

  test("close() drops bytes that nobody has received", async ({ client, peer }) => {
    await task.await(socket.send(client, "unheard"));
    const waiting = socket.recv(peer, 1);
    await task.await(waiting);
    socket.unrecv(peer, "unheard");
    socket.close(peer);
    assertEquals(await codeOf(socket.recv(peer)), "EBADF");
    assertEquals(socket.inspect(peer), undefined);
  });

  test("close() leaves received bytes that are not claimed yet", async ({ client, peer }) => {
    const id = socket.recv(peer);
    await task.await(socket.send(client, "claim me"));
    await until(() => task.status(id) !== "Running");
    socket.close(peer);
    assertEquals(textOf(await task.await(id)), "claim me");
  });

  test("close() lets go of unclaimed bytes, which are kept until then", async (pair) => {
    const { client, peer } = pair;
    const limit = task.setUnclaimedLimit(2);
    try {
      const ids = Array.from({ length: 6 }, () => socket.recv(peer, 1));
      await task.await(socket.send(client, "abcdef"));
      await until(() => task.status(ids[5]) !== "Running");
      assertEquals(textOf(await task.await(ids[0])), "a");
      // Bytes are not dropped, what loses none is.
      const sends = ["", "", "", ""].map((data) => socket.send(client, data));
      assertEquals(sends.map(task.status).slice(0, 2), ["Unknown", "Unknown"]);
      assertEquals(ids.slice(1).map(task.status), new Array(5).fill("Completed"));
      socket.close(peer);
      const left = ids.filter((id) => task.status(id) === "Completed");
      assertEquals(left, ids.slice(4));
      assertEquals(textOf(await task.await(left[1])), "f");
    } finally {
      task.setUnclaimedLimit(limit);
    }
  });

  test("close() changes nothing when it is called again", ({ client }) => {
    socket.close(client);
    socket.close(client);
    assertEquals([socket.isopen(client), socket.istls(client)], [false, false]);
    assertEquals(socket.list().includes(client), false);
  });

  test("close() makes every other call fail with EBADF", ({ client }) => {
    socket.close(client);
    const got = [
      ...Object.values(taskCalls).map((call) => faultOf(call(client))),
      ...Object.values(plainCalls).map((call) => thrownBy(() => call(client))),
    ];
    assertEquals(new Set(got), new Set(["EBADF"]));
  });

  test("close() by one end leaves the other usable", async ({ client, peer }) => {
    const addresses = [socket.getpeer(peer), socket.getlocal(peer), socket.getside(peer)];
    await task.await(socket.send(client, "bye"));
    socket.close(client);
    assertEquals(textOf(await receiveAll(peer)), "bye");
    assertEquals([socket.getpeer(peer), socket.getlocal(peer), socket.getside(peer)], addresses);
    assertEquals(socket.isopen(peer), true);
  });
}
