// `task.cancel` and `task.forget`.

import { assert, assertEquals, assertFalse, assertStrictEquals } from "@std/assert";
import { socket, task } from "../../mod.ts";
import {
  completed,
  drain,
  faulted,
  held,
  leaveNothing,
  makePair,
  outcome,
  recvText,
  turn,
} from "./helpers.ts";
import { until } from "../settle.ts";
import { runProgram } from "../subprocess.ts";

leaveNothing();

const text = (data: Uint8Array) => new TextDecoder().decode(data);

/** Waits for what is on its way and drops every result. */
async function finish(): Promise<void> {
  await task.wait();
  task.list().forEach(task.forget);
}

Deno.test("cancel() faults a Running task before it returns", async () => {
  const { id, resolve } = held();
  await turn();
  assertEquals(task.status(id), "Running");
  assertEquals(task.cancel(id), true);
  assertEquals(task.status(id), "Faulted");
  const error = task.error(id) as task.CancelledError;
  assert(error instanceof task.CancelledError);
  assertEquals(error.message, `spawn task ${id} was cancelled (ECANCELED)`);
  assertEquals([error.name, error.code, error.errno], ["CancelledError", "ECANCELED", 125]);
  assertFalse("cause" in error);
  assertEquals([task.result(id), task.busy()], [undefined, false]);
  resolve(1);
  task.forget(id);
});

Deno.test("cancel() gives the reason as cause, and a string also in the message", () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const reasons: [unknown, string][] = [
    ["too slow", ": too slow"],
    [new Error("why"), ""],
    [{}, ""],
    [null, ""],
    [0, ""],
  ];
  for (const [reason, why] of reasons) {
    const id = socket.accept(server);
    assertEquals(task.cancel(id, reason), true);
    const error = task.error(id) as task.CancelledError;
    assertEquals(error.message, `accept task ${id} was cancelled${why} (ECANCELED)`);
    assertStrictEquals(error.cause, reason);
    task.forget(id);
  }
  socket.close(server);
});

Deno.test("cancel() is false and changes nothing when the task has settled", async () => {
  const good = await completed("good");
  const bad = await faulted("bad");
  const cancelled = held();
  assertEquals(task.cancel(cancelled.id, "first"), true);
  const error = task.error(cancelled.id);
  assertEquals([good, bad, cancelled.id].map((id) => task.cancel(id, "second")), [
    false,
    false,
    false,
  ]);
  assertEquals([task.result(good), task.error(bad)], ["good", "bad"]);
  assertStrictEquals(task.error(cancelled.id), error);
  cancelled.resolve(1);
  [good, bad, cancelled.id].forEach(task.forget);
});

Deno.test("cancel() is false when the ID is Unknown", async () => {
  const claimed = await completed(1);
  await task.await(claimed);
  const server = socket.tcpserver("127.0.0.1", 0);
  for (const id of [claimed, server, 0, -1, 2 ** 53]) assertEquals(task.cancel(id), false);
  assert(socket.isopen(server));
  socket.close(server);
});

Deno.test("cancel() rejects whoever awaits", async () => {
  const { id, resolve } = held();
  const waits = [task.await(id), task.await(id, { timeout: 60_000 }), task.all([id])].map(outcome);
  assertEquals(task.cancel(id), true);
  assertEquals(task.status(id), "Unknown"); // the awaits have claimed it
  await drain();
  for (const { state, value } of waits) {
    assertEquals(state, "rejected");
    assert(value instanceof task.CancelledError);
  }
  assertEquals(task.cancel(id), false);
  resolve(1);
});

Deno.test("cancel() keeps a spawned function from running when it comes before its turn", async () => {
  let ran = false;
  const run = () => ran = true;
  const outside = task.spawn(run);
  task.cancel(outside);
  const canceller = task.spawn(() => task.cancel(inside));
  const inside = task.spawn(run);
  assertEquals(await task.await(canceller), true);
  await turn();
  assertEquals(ran, false);
  assertEquals([outside, inside].map(task.status), ["Faulted", "Faulted"]);
  [outside, inside].forEach(task.forget);
});

Deno.test("cancel() drops the result when a spawned function has begun", async () => {
  for (const end of ["resolve", "reject"] as const) {
    const { promise, ...ends } = Promise.withResolvers<void>();
    let ended = false;
    const id = task.spawn(() => promise.finally(() => ended = true));
    await turn();
    assertEquals(task.cancel(id), true);
    ends[end]();
    await turn();
    assertEquals(ended, true);
    assert(task.error(id) instanceof task.CancelledError);
    task.forget(id);
  }
});

Deno.test("cancel() settles a task when its own function calls it", async () => {
  const id: task.TaskId = task.spawn(() => task.cancel(id));
  await drain();
  assert(task.error(id) instanceof task.CancelledError);
  task.forget(id);
});

Deno.test("cancel() leaves the other tasks as they are", async () => {
  const tasks = Array.from({ length: 100 }, () => held<number>());
  for (let i = 0; i < 100; i += 2) assertEquals(task.cancel(tasks[i].id), true);
  tasks.forEach(({ resolve }, i) => resolve(i));
  await drain();
  tasks.forEach(({ id }, i) => {
    assertEquals(task.status(id), i % 2 === 0 ? "Faulted" : "Completed");
    assertEquals(task.result(id), i % 2 === 0 ? undefined : i);
  });
  await finish();
});

Deno.test("cancel() loses no bytes when a recv waits", async () => {
  using pair = await makePair();
  const first = socket.recv(pair.client);
  await turn();
  assertEquals(task.cancel(first), true);
  socket.send(pair.peer, "kept");
  await task.sleep(5);
  assertEquals(await recvText(pair.client), "kept");
  await finish();
});

Deno.test("cancel() keeps the order when a recv in the middle of the queue goes", async () => {
  using pair = await makePair();
  const recvs = [1, 2, 3, 4, 5].map(() => socket.recv(pair.client, 1));
  assertEquals(task.cancel(recvs[2]), true);
  assertEquals(task.cancel(recvs[0]), true);
  socket.send(pair.peer, "abc");
  const got = [recvs[1], recvs[3], recvs[4]].map((id) => task.await(id));
  assertEquals((await Promise.all(got)).map(text), ["a", "b", "c"]);
  await finish();
});

Deno.test("cancel() loses no connection when an accept waits", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const accepts = [socket.accept(server), socket.accept(server), socket.accept(server)];
  await turn();
  assertEquals(task.cancel(accepts[0]), true);
  assertEquals(task.cancel(accepts[1]), true);
  const client = await socket.tcpconnect(...socket.getlocal(server));
  const peer = await task.await(accepts[2]);

  const late = socket.accept(server);
  await turn();
  task.cancel(late);
  const other = await socket.tcpconnect(...socket.getlocal(server));
  const otherPeer = await task.await(socket.accept(server));
  assertEquals(socket.getpeer(otherPeer), socket.getlocal(other));
  [client, peer, other, otherPeer, server].forEach(socket.close);
  await finish();
});

Deno.test("cancel() sends nothing of a send that has not begun and all of one that has", async () => {
  using pair = await makePair();
  const big = new Uint8Array(8 * 1024 * 1024).fill(97);
  const begun = socket.send(pair.peer, big);
  await turn();
  const second = socket.send(pair.peer, "bbb");
  const third = socket.send(pair.peer, "ccc");
  assertEquals([task.cancel(begun), task.cancel(second)], [true, true]);
  let length = 0;
  let tail = "";
  while (!tail.endsWith("ccc")) {
    const data = await task.await(socket.recv(pair.client, 65_536));
    length += data.length;
    tail = (tail + text(data)).slice(-8);
  }
  assertEquals([length, tail], [big.length + 3, "aaaaaccc"]);
  assertEquals(await task.await(third), 3);
  await finish();
});

Deno.test("forget() drops a task when it settles if it is Running", async () => {
  for (const end of ["resolve", "reject"] as const) {
    const task1 = held();
    task.forget(task1.id);
    assertEquals(task.status(task1.id), "Running");
    assertEquals(task.list(), [task1.id]);
    task1[end]("dropped");
    await drain();
    assertEquals(task.status(task1.id), "Unknown");
    assertEquals(task.list(), []);
  }
});

Deno.test("forget() drops a task at once when it has settled", async () => {
  for (const id of [await completed(1), await faulted(2)]) {
    task.forget(id);
    assertEquals(task.status(id), "Unknown");
    assertEquals([task.result(id), task.error(id)], [undefined, undefined]);
  }
});

Deno.test("forget() does nothing when the ID is Unknown", async () => {
  const claimed = await completed(1);
  await task.await(claimed);
  const server = socket.tcpserver("127.0.0.1", 0);
  for (const id of [claimed, server, 0, -1, 2 ** 53]) task.forget(id);
  assert(socket.isopen(server));
  socket.close(server);
});

Deno.test("forget() leaves a Running task to be cancelled or awaited", async () => {
  const one = held();
  task.forget(one.id);
  assertEquals(task.cancel(one.id), true);
  assertEquals(task.status(one.id), "Unknown");
  one.resolve(1);

  const two = held<number>();
  const before = task.await(two.id);
  task.forget(two.id);
  const after = task.await(two.id);
  two.resolve(2);
  assertEquals(await Promise.all([before, after]), [2, 2]);
});

Deno.test("forget() closes the connection of an accept that has Completed", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const accepting = socket.accept(server);
  const client = await socket.tcpconnect(...socket.getlocal(server));
  await until(() => task.status(accepting) !== "Running");
  task.forget(accepting);
  assertEquals(task.status(accepting), "Unknown");
  assertEquals(await recvText(client), "");
  assertEquals(socket.list(), [server, client]);
  [client, server].forEach(socket.close);
});

Deno.test("forget() closes the connection of an accept when it comes", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  task.forget(socket.accept(server));
  const client = await socket.tcpconnect(...socket.getlocal(server));
  assertEquals(await recvText(client), "");
  assertEquals(socket.list(), [server, client]);
  [client, server].forEach(socket.close);
});

Deno.test("forget() leaves the connection open when its accept was claimed", async () => {
  using pair = await makePair();
  const accepting = socket.accept(pair.server);
  const client = await socket.tcpconnect(...socket.getlocal(pair.server));
  const peer = await task.await(accepting);
  task.forget(accepting);
  socket.send(peer, "open");
  assertEquals(await recvText(client), "open");
  [client, peer].forEach(socket.close);
  await finish();
});

Deno.test("forget() drops the bytes of a recv and no others", async () => {
  using pair = await makePair();
  const recvs = ["ab", "cd", "ef"].map((data) => {
    socket.unrecv(pair.client, data);
    return socket.recv(pair.client);
  });
  const running = socket.recv(pair.client);
  task.forget(recvs[1]);
  task.forget(running);
  socket.send(pair.peer, "gone");
  await until(() => task.status(running) === "Unknown");
  socket.send(pair.peer, "next");
  assertEquals(text(await task.await(recvs[0])), "ab");
  assertEquals(task.status(recvs[1]), "Unknown");
  assertEquals(text(await task.await(recvs[2])), "ef");
  assertEquals(await recvText(pair.client), "next");
  await finish();
});

/** So long that a program that waits for it would be killed first. */
const LONG = 3_600_000;

for (
  const [what, source] of [
    ["spawned sleep", `task.spawn(() => task.sleep(${LONG}))`],
    ["spawned timer", `task.spawn(() => task.timer(${LONG}, () => {}))`],
    [
      "spawned function that sleeps first",
      `task.spawn(async () => { await task.sleep(${LONG}); })`,
    ],
    ["interval that sleeps", `task.interval(1, () => task.sleep(${LONG}))`],
  ]
) {
  Deno.test(`cancel() of a ${what} lets the process end`, async () => {
    const { code, stdout, stderr } = await runProgram(
      `
        const id = ${source};
        await task.sleep(0).then(() => task.sleep(5)); // it has begun
        console.log(task.status(id), task.cancel(id), task.status(id));
      `,
      [],
    );
    assertEquals([code, stdout, stderr], [0, "Running true Faulted\n", ""]);
  });
}

Deno.test("cancel() by the function itself lets a sleep that it begins then keep no process alive", async () => {
  const { code, stdout, stderr } = await runProgram(
    `
      const id = task.spawn(() => {
        console.log(task.cancel(id));
        return task.sleep(${LONG});
      });
    `,
    [],
  );
  assertEquals([code, stdout, stderr], [0, "true\n", ""]);
});

Deno.test("cancel() leaves sleeps alone that are not the task's: forgotten, later, somebody else's", async () => {
  const { code, stdout, stderr } = await runProgram(
    `
      task.forget(task.spawn(() => task.sleep(30).then(() => console.log("forgotten"))));
      const later = task.spawn(async () => {
        await task.sleep(1);
        await task.sleep(40);
        console.log("later");
      });
      await task.sleep(20);
      const other = task.spawn(() => task.sleep(${LONG}));
      const mine = task.sleep(50).then(() => console.log("mine"));
      await Promise.resolve();
      task.cancel(later);
      task.cancel(other);
    `,
    [],
  );
  assertEquals([code, stdout.split("\n").sort(), stderr], [
    0,
    ["", "forgotten", "later", "mine"],
    "",
  ]);
});
