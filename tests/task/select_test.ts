// `task.select`: the first of several tasks and channels.

import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { socket, task } from "../../mod.ts";
import {
  completed,
  CountingController,
  drain,
  faulted,
  held,
  leaveNothing,
  outcome,
  randomFrom,
  turn,
} from "./helpers.ts";

leaveNothing();

/** A channel that holds these values. */
function filled<T>(...values: T[]): task.Channel<T> {
  const channel = task.channel<T>();
  for (const value of values) channel.trySend(value);
  return channel;
}

Deno.test("select() gives the index and value of the source that is ready", async () => {
  const running = held();
  const empty = task.channel<string>();
  assertEquals(await task.select([running.id, empty, filled("a")]), { index: 2, value: "a" });
  const done = await completed("b");
  assertEquals(await task.select([empty, done, running.id]), { index: 1, value: "b" });
  assertEquals(task.status(done), "Unknown");
  running.resolve(1);
  await task.await(running.id);
});

Deno.test("select() waits for the first source when none is ready", async () => {
  const [one, two] = [held<string>(), held<string>()];
  const [three, four] = [task.channel<string>(), task.channel<string>()];
  const sources = [one.id, two.id, three, four];
  let waiting = task.select(sources);
  await turn();
  four.trySend("four");
  assertEquals(await waiting, { index: 3, value: "four" });
  waiting = task.select(sources);
  await turn();
  two.resolve("two");
  assertEquals(await waiting, { index: 1, value: "two" });
  assertEquals([one.id, two.id].map(task.status), ["Running", "Unknown"]);
  one.resolve("one");
  await task.await(one.id);
});

Deno.test("select() takes from the winner only when several are ready", async () => {
  const one = await completed(1);
  const [two, three] = [filled(2, 22), filled(3, 33)];
  const { index } = await task.select([one, two, three]);
  const left = [task.status(one) === "Completed" ? 1 : 0, two.size, three.size];
  assertEquals(left, [1, 2, 2].map((size, i) => i === index ? size - 1 : size));
  task.forget(one);
});

Deno.test("select() takes from the winner only when others become ready next", async () => {
  const [one, two] = [task.channel<number>(), task.channel<number>()];
  const three = held<number>();
  const waiting = task.select([one, two, three.id]);
  await turn();
  two.trySend(2);
  two.trySend(22);
  one.trySend(1);
  three.resolve(3);
  assertEquals(await waiting, { index: 1, value: 2 });
  await drain();
  assertEquals([one.tryRecv(), two.tryRecv()], [[true, 1], [true, 22]]);
  assertEquals(await task.await(three.id), 3);
});

Deno.test("select() is fair among channels that are ready", async () => {
  const ROUNDS = 6000;
  const channels = [filled(0), filled(1), filled(2), filled(3)];
  const wins = [0, 0, 0, 0];
  for (let i = 0; i < ROUNDS; i++) {
    const { index } = await task.select(channels);
    wins[index]++;
    channels[index].trySend(index);
  }
  for (const count of wins) { // 1500 each; the standard deviation is 34
    assertGreater(count, 1200);
    assertLess(count, 1800);
  }
});

Deno.test("select() is fair among tasks, channels and closed channels that are ready", async () => {
  const ROUNDS = 2000;
  const closed = task.channel<string>();
  closed.close();
  const channel = filled("channel");
  const wins = [0, 0, 0, 0];
  for (let i = 0; i < ROUNDS; i++) {
    const done = task.spawn(() => "task");
    const bad = task.spawn(() => Promise.reject("fault"));
    await task.wait();
    const sources = [done, bad, channel, closed];
    const index = await task.select(sources).then(({ index }) => index, () => 1);
    wins[index]++;
    if (index === 2) channel.trySend("channel");
    [done, bad].forEach(task.forget);
  }
  for (const count of wins) { // 500 each; the standard deviation is 19
    assertGreater(count, 300);
    assertLess(count, 700);
  }
});

Deno.test("select() rejects with the fault and claims it when the winner Faulted", async () => {
  const empty = task.channel<number>();
  const bad = await faulted("before");
  assertEquals(await assertRejects(() => task.select([empty, bad])), "before");
  assertEquals(task.status(bad), "Unknown");

  const [one, two] = [held(), held()];
  const waiting = assertRejects(() => task.select([empty, one.id, two.id]));
  const error = new Error("meanwhile");
  two.reject(error);
  assertStrictEquals(await waiting, error);
  assertEquals([one.id, two.id].map(task.status), ["Running", "Unknown"]);
  empty.trySend(1);
  assertEquals(empty.size, 1);
  one.resolve(1);
  await task.await(one.id);
});

Deno.test("select() gives null when the winner is a closed and drained channel", async () => {
  const channel = filled<number>(1);
  channel.close();
  assertEquals(await task.select([channel]), { index: 0, value: 1 });
  assertEquals(await task.select([channel]), { index: 0, value: null });
  const open = task.channel<number>();
  const waiting = task.select([task.channel(), open]);
  await turn();
  open.close();
  assertEquals(await waiting, { index: 1, value: null });
});

Deno.test("select() takes one value when it names the same channel twice", async () => {
  const channel = task.channel<number>();
  const waiting = task.select([channel, channel]);
  await turn();
  channel.trySend(1);
  channel.trySend(2);
  assertEquals((await waiting).value, 1);
  assertEquals(channel.tryRecv(), [true, 2]);
  channel.trySend(3);
  assertEquals((await task.select([channel, channel])).value, 3);
  assertEquals(channel.size, 0);
});

Deno.test("select() that names a channel twice hides nobody behind it when that closes", async () => {
  const channel = task.channel<number>();
  const before = outcome(channel.recv());
  const twice = outcome(task.select([channel, channel, channel]));
  const after = [outcome(channel.recv()), outcome(task.select([channel])), outcome(channel.recv())];
  channel.close();
  await drain();
  assertEquals([before, ...after].map(({ state }) => state), Array(4).fill("fulfilled"));
  assertEquals(twice.value, { index: 0, value: null });
});

Deno.test("select() claims once when it names the same task twice", async () => {
  const { id, resolve } = held<number>();
  const waiting = task.select([id, id]);
  resolve(1);
  assertEquals((await waiting).value, 1);
  const done = await completed(2);
  assertEquals((await task.select([done, done])).value, 2);
});

Deno.test("select() serves selects and recvs in order when they wait at one channel", async () => {
  const channel = task.channel<number>();
  const other = task.channel<number>();
  const got = Array.from({ length: 300 }, (_, i) => {
    if (i % 3 === 0) return channel.recv();
    if (i % 3 === 1) return task.select([channel]).then(({ value }) => value);
    return task.select([other, channel]).then(({ value }) => value);
  });
  for (let i = 0; i < 300; i++) channel.trySend(i);
  assertEquals(await Promise.all(got), Array.from({ length: 300 }, (_, i) => i));
  other.trySend(1);
  assertEquals([channel.size, other.size], [0, 1]);
});

Deno.test("select() lets a waiting sender in when it receives from a full channel", async () => {
  const channel = task.channel<number>(1);
  channel.trySend(1);
  const sending = outcome(channel.send(2));
  assertEquals(await task.select([channel]), { index: 0, value: 1 });
  await drain();
  assertEquals(sending.state, "fulfilled");
  assertEquals(channel.tryRecv(), [true, 2]);
});

Deno.test("select() takes nothing and leaves nothing when its time runs out", async () => {
  const channel = task.channel<number>();
  const { id, resolve } = held<number>();
  const controller = new CountingController();
  const { signal } = controller;
  for (const timeout of [-1, 0, 2]) {
    const error = await assertRejects(
      () => task.select([channel, id], { timeout, signal }),
      task.TimeoutError,
    );
    assertEquals(error.message, `select timed out after ${timeout} ms (ETIMEDOUT)`);
  }
  assertEquals(controller.listeners, 0);
  channel.trySend(1);
  assertEquals(channel.tryRecv(), [true, 1]);
  resolve(2);
  await drain();
  assertEquals(await task.await(id), 2);
});

Deno.test("select() takes nothing and leaves nothing when it is aborted", async () => {
  const channel = task.channel<number>();
  const { id, resolve } = held<number>();
  const controller = new CountingController();
  const reason = { why: "enough" };
  const waiting = outcome(task.select([channel, id], { signal: controller.signal }));
  const behind = channel.recv();
  await turn();
  assertEquals([waiting.state, controller.listeners], ["pending", 1]);
  controller.abort(reason);
  await drain();
  assertEquals([waiting.state, controller.listeners], ["rejected", 0]);
  assertStrictEquals(waiting.value, reason);
  const late = outcome(task.select([channel, id], { signal: controller.signal }));
  await drain();
  assertStrictEquals(late.value, reason);
  channel.trySend(1);
  assertEquals(await behind, 1);
  resolve(2);
  assertEquals(await task.await(id), 2);
});

Deno.test("select() takes what is ready when its time is over already", async () => {
  assertEquals(await task.select([filled("x")], { timeout: 0 }), { index: 0, value: "x" });
  const done = await completed("y");
  assertEquals(await task.select([done], { timeout: -1 }), { index: 0, value: "y" });
});

Deno.test("select() lets go of the signal and its timer when a source wins", async () => {
  const controller = new CountingController();
  const channel = task.channel<number>();
  const waiting = task.select([channel], { signal: controller.signal, timeout: 60_000 });
  assertEquals(controller.listeners, 1);
  channel.trySend(1);
  await waiting;
  assertEquals(controller.listeners, 0);
  controller.abort();
  await drain();
});

Deno.test("select() and its kin reject once when the same task is there twice and faults", async () => {
  const waits: ((ids: number[]) => Promise<unknown>)[] = [
    (ids) => task.select(ids),
    (ids) => task.race(ids),
    (ids) => task.any(ids),
    (ids) => task.all(ids),
  ];
  for (const wait of waits) {
    const uncaught: unknown[] = [];
    const note = (event: PromiseRejectionEvent) => {
      event.preventDefault();
      uncaught.push(event.reason);
    };
    globalThis.addEventListener("unhandledrejection", note);
    try {
      const one = held();
      const waiting = assertRejects(() => wait([one.id, one.id]));
      await turn();
      one.reject(new Error("boom"));
      await waiting;
      await turn();
      assertEquals({ uncaught, status: task.status(one.id) }, { uncaught: [], status: "Unknown" });
    } finally {
      globalThis.removeEventListener("unhandledrejection", note);
    }
  }
});

Deno.test("select() takes one value when the same task or channel is there twice", async () => {
  const one = held<string>();
  const selecting = task.select([one.id, one.id]);
  await turn();
  one.resolve("a");
  assertEquals(await selecting, { index: 0, value: "a" });
  const channel = task.channel<string>();
  const receiving = task.select([channel, channel]);
  channel.trySend("b");
  channel.trySend("c");
  assertEquals([await receiving, channel.size], [{ index: 0, value: "b" }, 1]);
});

Deno.test("select() takes nothing when one of the tasks is Unknown", async () => {
  const channel = filled(1);
  const done = await completed(2);
  await assertRejects(
    () => task.select([channel, done, 0, -1]),
    task.UnknownTaskError,
    "Task 0 not found.",
  );
  assertEquals([channel.size, task.result(done)], [1, 2]);
  task.forget(done);
});

Deno.test("select() leaves an accept as it is when a channel wins", async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const stop = task.channel<string>();
  const accepting = socket.accept(server);
  const waiting = task.select([accepting, stop]);
  stop.trySend("stop");
  assertEquals(await waiting, { index: 1, value: "stop" });
  assertEquals(task.status(accepting), "Running");
  const client = await socket.tcpconnect(...socket.getlocal(server));
  const { index, value } = await task.select([stop, accepting]);
  assertEquals(index, 1);
  assert(socket.isopen(value as number));
  [client, value as number, server].forEach(socket.close);
});

Deno.test("select() delivers every value once when selects come, win and give up at random", async () => {
  const random = randomFrom(1);
  const channels = [task.channel<number>(), task.channel<number>(1), task.channel<number>(3)];
  const sent: number[] = [];
  const got: number[] = [];
  const waits: Promise<unknown>[] = [];
  for (let i = 0; i < 3000; i++) {
    const channel = channels[Math.floor(random() * 3)];
    if (random() < 0.5) {
      if (channel.trySend(i)) sent.push(i);
    } else {
      const controller = new AbortController();
      const chosen = channels.filter(() => random() < 0.6).concat(channel);
      const waiting = task.select(chosen, { signal: controller.signal });
      waits.push(waiting.then(({ value }) => value === null || got.push(value), () => {}));
      if (random() < 0.4) controller.abort();
    }
    if (random() < 0.1) await drain();
  }
  for (const channel of channels) {
    channel.close();
    for await (const value of channel) got.push(value);
  }
  await Promise.all(waits);
  assertEquals(got.sort((a, b) => a - b), sent);
});
