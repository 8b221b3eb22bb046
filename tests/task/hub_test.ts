// Many waits on one signal.

import { assertEquals } from "@std/assert";
import { task } from "../../mod.ts";
import { Bound } from "../../task/core/bound.ts";
import { CountingController, drain, held, leaveNothing, outcome } from "./helpers.ts";

leaveNothing();

/** A wait on the signal alone, which notes when it is told. */
class Wait {
  readonly bound: Bound;
  readonly #told: () => void;

  constructor(signal: AbortSignal, told: () => void) {
    this.#told = told;
    this.bound = new Bound(this, "wait", { signal });
    this.bound.arm();
  }

  expired(): void {
    this.#told();
  }
}

Deno.test("waits on one signal share one listener, which goes with the last of them", async () => {
  const controller = new CountingController();
  const { signal } = controller;
  const tasks = Array.from({ length: 5 }, () => held());
  const channel = task.channel();
  const lock = task.mutex();
  await lock.acquire();
  const waits = [
    ...tasks.map(({ id }) => task.await(id, { signal })),
    channel.recv({ signal }),
    lock.acquire({ signal }),
    task.select([channel], { signal }),
    task.wait({ signal }),
  ];
  assertEquals([controller.added, controller.listeners], [1, 1]);
  tasks.forEach(({ resolve }) => resolve(1));
  channel.close();
  lock.release();
  await Promise.all(waits);
  assertEquals([controller.added, controller.listeners], [1, 0]);

  const last = held();
  const waiting = outcome(task.await(last.id, { signal }));
  const sleeping = outcome(task.sleep(60_000, { signal }));
  assertEquals([controller.added, controller.listeners], [2, 1]);
  controller.abort("enough");
  await drain();
  assertEquals([waiting.value, sleeping.value], ["enough", "enough"]);
  assertEquals(controller.listeners, 0);
  task.forget(last.id);
  last.resolve(1);
  await drain();
});

Deno.test("an abort tells the waits in the order they came, and each once", () => {
  const controller = new CountingController();
  const told: number[] = [];
  const waits = Array.from({ length: 100 }, (_, i) => {
    return new Wait(controller.signal, () => told.push(i));
  });
  for (let i = 0; i < 100; i += 3) waits[i].bound.disarm();
  controller.abort();
  assertEquals(told, Array.from({ length: 100 }, (_, i) => i).filter((i) => i % 3 !== 0));
  assertEquals(controller.listeners, 0);
});

Deno.test("a wait that is taken back while others are told is not told", () => {
  const controller = new CountingController();
  const told: string[] = [];
  new Wait(controller.signal, () => {
    told.push("first");
    second.bound.disarm();
  });
  const second = new Wait(controller.signal, () => told.push("second"));
  new Wait(controller.signal, () => told.push("third"));
  controller.abort();
  assertEquals([told, controller.listeners], [["first", "third"], 0]);
});

Deno.test("a wait that begins while others are told is over at once", () => {
  const controller = new CountingController();
  const told: string[] = [];
  new Wait(controller.signal, () => {
    new Wait(controller.signal, () => told.push("late"));
    told.push("first");
  });
  new Wait(controller.signal, () => told.push("second"));
  controller.abort();
  assertEquals([told, controller.listeners], [["late", "first", "second"], 0]);
});

Deno.test("a wait on AbortSignal.any([signal]) is told though a listener stops the event", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  signal.addEventListener("abort", (event) => event.stopImmediatePropagation());
  const { id, resolve } = held<string>();
  const waiting = outcome(task.await(id, { signal: AbortSignal.any([signal]) }));
  controller.abort("enough");
  await drain();
  assertEquals([waiting.state, waiting.value], ["rejected", "enough"]);
  task.forget(id);
  resolve("late");
  await drain();
});

Deno.test("an event of the signal's that is no abort ends no wait", async () => {
  const { signal } = new AbortController();
  const { id, resolve } = held<string>();
  const waiting = task.await(id, { signal });
  signal.dispatchEvent(new Event("abort"));
  resolve("still there");
  assertEquals(await waiting, "still there");
});

Deno.test("20,000 waits on one signal come and go with one listener", async () => {
  const COUNT = 20_000;
  const controller = new CountingController();
  const { signal } = controller;
  const channel = task.channel<number>();
  const waits = Array.from({ length: COUNT }, () => channel.recv({ signal }));
  const lasting = outcome(task.channel().recv({ signal }));
  for (let i = 0; i < COUNT; i++) channel.trySend(i);
  assertEquals(await Promise.all(waits), Array.from(waits, (_, i) => i));
  for (let i = 0; i < COUNT; i++) {
    const { id, resolve } = held<number>();
    const waiting = task.await(id, { signal });
    resolve(i);
    assertEquals(await waiting, i);
  }
  assertEquals([lasting.state, controller.added, controller.listeners], ["pending", 1, 1]);
  controller.abort("enough");
  await drain();
  assertEquals([lasting.value, controller.listeners], ["enough", 0]);
});
