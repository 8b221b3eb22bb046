// Tasks and completion queues against a small reference model, with random calls in a random order.

import { assertEquals, assertThrows } from "@std/assert";
import { task } from "../../mod.ts";
import { type Random, withSeed } from "../random.ts";
import { drain, leaveNothing, LIMIT } from "./helpers.ts";

leaveNothing();

/** What the model knows of a task. */
interface Known {
  readonly id: number;
  readonly settle: PromiseWithResolvers<number>;
  /** The queue that it is in, by its index. */
  queue: number | undefined;
  state: "Running" | "Completed" | "Faulted" | "Unknown";
  forgotten: boolean;
  /** How many plain awaits wait for it. */
  awaits: number;
  /** What became of the awaits. */
  readonly answers: string[];
}

class Model {
  readonly random: Random;
  readonly queues = [task.completions(), task.completions(), task.completions()];
  /** The tasks that wait in each queue, the oldest first; `undefined` once it was disposed of. */
  ready: (Known[] | undefined)[] = [[], [], []];
  tasks: Known[] = [];
  /** Settled tasks that are counted, the oldest first. */
  unclaimed: Known[] = [];
  limit = LIMIT;
  /** Faults that nobody could look at before they were dropped. */
  readonly unseen: number[] = [];
  awaited = 0;
  answered = 0;

  constructor(random: Random) {
    this.random = random;
  }

  /** A new task, which has begun. */
  async make(): Promise<void> {
    const settle = Promise.withResolvers<number>();
    const id = task.spawn(() => settle.promise);
    await drain();
    this.tasks.push({
      id,
      settle,
      queue: undefined,
      state: "Running",
      forgotten: false,
      awaits: 0,
      answers: [],
    });
  }

  /** A settled task came to rest where nobody waits for it. */
  #rest(known: Known): void {
    if (known.queue !== undefined) this.ready[known.queue]!.push(known);
    else {
      this.unclaimed.push(known);
      this.#evict();
    }
  }

  #evict(): void {
    while (this.unclaimed.length > this.limit) this.unclaimed.shift()!.state = "Unknown";
  }

  #leave(known: Known): void {
    if (known.queue !== undefined) {
      this.ready[known.queue] = this.ready[known.queue]?.filter((one) => one !== known);
    }
    known.queue = undefined;
    this.unclaimed = this.unclaimed.filter((one) => one !== known);
  }

  #claim(known: Known): void {
    this.#leave(known);
    known.state = "Unknown";
  }

  #settled(known: Known, state: "Completed" | "Faulted"): void {
    known.state = state;
    if (known.awaits > 0 || known.forgotten) this.#claim(known);
    else this.#rest(known);
  }

  async settle(known: Known): Promise<void> {
    if (known.state !== "Running") return;
    if (this.random.oneIn(3)) {
      known.settle.reject("fault");
      this.#settled(known, "Faulted");
      if (this.limit === 0 && known.queue === undefined && known.awaits === 0 && !known.forgotten) {
        this.unseen.push(known.id);
      }
    } else {
      known.settle.resolve(known.id);
      this.#settled(known, "Completed");
    }
    await drain();
  }

  cancel(known: Known): void {
    assertEquals(task.cancel(known.id), known.state === "Running");
    if (known.state === "Running") this.#settled(known, "Faulted");
  }

  forget(known: Known): void {
    task.forget(known.id);
    if (known.state === "Running") {
      this.#leave(known);
      known.forgotten = true;
    } else if (known.state !== "Unknown") this.#claim(known);
  }

  await(known: Known): void {
    if (known.state === "Unknown") return;
    this.awaited++;
    task.await(known.id).then(() => this.answered++, () => this.answered++);
    if (known.state === "Running") known.awaits++;
    else this.#claim(known);
  }

  async giveUp(known: Known): Promise<void> {
    if (known.state !== "Running") return;
    const cancel = this.random.oneIn(2);
    const waiting = task.await(known.id, { timeout: 0, cancel }).then(() => "", ({ code }) => code);
    if (cancel) this.#claim(known);
    assertEquals(await waiting, "ETIMEDOUT");
  }

  take(known: Known): void {
    this.#check(task.take(known.id), known.state === "Running" ? undefined : known);
  }

  #check(outcome: task.Outcome | undefined, known: Known | undefined): void {
    if (known === undefined || known.state === "Unknown") return assertEquals(outcome, undefined);
    assertEquals([outcome?.id, outcome?.status], [known.id, known.state]);
    if (outcome?.status === "Completed") assertEquals(outcome.value, known.id);
    this.#claim(known);
  }

  add(known: Known, to: number): void {
    const queue = this.queues[to];
    if (this.ready[to] === undefined) return void assertThrows(() => queue.add(known.id), Error);
    if (known.state === "Unknown") {
      return void assertThrows(() => queue.add(known.id), task.UnknownTaskError);
    }
    assertEquals(queue.add(known.id), known.id);
    if (known.queue === to) return;
    this.#leave(known);
    known.queue = to;
    known.forgotten = false;
    if (known.state !== "Running") this.#rest(known);
  }

  delete(known: Known, from: number): void {
    assertEquals(this.queues[from].delete(known.id), known.queue === from);
    if (known.queue !== from) return;
    this.#leave(known);
    if (known.state !== "Running") this.#rest(known);
  }

  takeFrom(from: number): void {
    this.#check(this.queues[from].take(), this.ready[from]?.[0]);
  }

  dispose(which: number): void {
    this.queues[which][Symbol.dispose]();
    for (const known of this.tasks.filter(({ queue }) => queue === which)) {
      if (known.state === "Running") known.queue = undefined;
      else this.#claim(known);
    }
    this.ready[which] = undefined;
  }

  renew(which: number): void {
    if (this.ready[which] !== undefined) return;
    this.queues[which] = task.completions();
    this.ready[which] = [];
  }

  setLimit(limit: number): void {
    assertEquals(task.setUnclaimedLimit(limit), this.limit);
    this.limit = limit;
    this.#evict();
  }

  /** Everything that can be seen agrees. */
  compare(): void {
    for (const { id, state } of this.tasks) assertEquals(task.status(id), state);
    const live = this.tasks.filter(({ state }) => state !== "Unknown").map(({ id }) => id);
    assertEquals(task.list(), live);
    this.queues.forEach((queue, index) => {
      const watched = this.tasks.filter((one) => one.queue === index && one.state === "Running");
      assertEquals([queue.size, queue.watched], [this.ready[index]?.length ?? 0, watched.length]);
    });
  }

  async step(): Promise<void> {
    const { random } = this;
    if (this.tasks.length === 0 || random.oneIn(5)) await this.make();
    const known = random.pick(this.tasks);
    const which = random.integer(0, this.queues.length - 1);
    const steps: (() => void | Promise<void>)[] = [
      () => this.settle(known),
      () => this.settle(known),
      () => this.settle(known),
      () => this.add(known, which),
      () => this.add(known, which),
      () => this.add(known, which),
      () => this.takeFrom(which),
      () => this.takeFrom(which),
      () => this.take(known),
      () => this.delete(known, which),
      () => this.forget(known),
      () => this.cancel(known),
      () => this.await(known),
      () => this.giveUp(known),
      () => this.renew(which),
      () => random.oneIn(4) ? this.dispose(which) : undefined,
      () => random.oneIn(4) ? this.setLimit(random.pick([0, 1, 3, LIMIT])) : undefined,
    ];
    await random.pick(steps)();
    await drain(); // with no room at all, a result goes at the end of the turn
    this.compare();
    this.tasks = this.tasks.filter((known) => known.state !== "Unknown" || random.oneIn(2));
  }

  async end(): Promise<void> {
    this.queues.forEach((queue) => queue[Symbol.dispose]());
    for (const { id, settle } of this.tasks) {
      task.cancel(id);
      task.forget(id);
      settle.resolve(0);
    }
    await drain();
    assertEquals([task.list(), this.answered], [[], this.awaited]);
    task.setUnclaimedLimit(LIMIT);
  }
}

Deno.test("tasks and completion queues agree with a model when they are called at random", async () => {
  await withSeed(async (random) => {
    const reports: number[] = [];
    task.setFaultHandler((_error, id) => reports.push(id));
    const model = new Model(random);
    for (let i = 0; i < 2000; i++) await model.step();
    await model.end();
    task.setFaultHandler(null);
    assertEquals(reports, model.unseen);
  });
});
