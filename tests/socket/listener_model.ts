/**
 * A model of a listener: every connection goes to one accept, the first that waits, and to no other; what
 * is cancelled or given up takes none along.
 */
import { assert, assertEquals } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import type { Way } from "../listening.ts";
import type { Random } from "../random.ts";
import { faultOf, turn } from "../settle.ts";
import { cancelStep, comesTo, inTheAir, Loop, type Step } from "./model_loop.ts";

/** How many calls are made before everything is accepted that is still to come. */
const CALLS = 60;
/** How long it may take until the last connection has come, in milliseconds. */
const PATIENCE = 25_000;

class Model {
  readonly #way: Way;
  readonly #server: socket.SocketId;
  /** Accepts that are not claimed, in the order of their calls. */
  #accepts: task.TaskId<socket.SocketId>[] = [];
  readonly #queue: task.CompletionQueue = task.completions();
  readonly #watched: Set<task.TaskId> = new Set();
  readonly #loops: Loop<socket.SocketId>[] = [];
  /** Each `next` that is not dealt with, by its task if it waits for one. */
  readonly #steps: Set<Step<socket.SocketId>> = new Set();
  readonly #checks: Promise<void>[] = [];
  /** Clients; each says its number once it is connected. */
  readonly #clients: Promise<socket.SocketId>[] = [];
  /** What accepts have given, as they gave it. */
  readonly #given: socket.SocketId[] = [];
  /** Connections that were given and dropped by the program. */
  #dropped = 0;

  constructor(way: Way, server: socket.SocketId) {
    this.#way = way;
    this.#server = server;
  }

  connect(): void {
    const number = this.#clients.length;
    const connecting = this.#way.connect(this.#server);
    this.#clients.push(connecting.then((id) => {
      task.forget(socket.send(id, `${number}\n`));
      return id;
    }));
  }

  accept(random: Random): void {
    const at = this.#accepts.length;
    const id = socket.accept(this.#server);
    if (at > 0) assertEquals(task.status(id), "Running", "not its turn");
    this.#accepts.push(id);
    if (random.oneIn(3)) this.#watched.add(this.#queue.add(id));
    this.settle();
  }

  /** Asks a loop for the next: one that goes on, one that is over, or a new one. */
  next(random: Random): void {
    const isNew = this.#loops.length === 0 || random.oneIn(4);
    const loop = isNew ? this.#begin(random) : random.pick(this.#loops.slice(-4));
    const step = loop.next();
    if (loop.over) {
      assertEquals(step.id, 0, "a loop that is over asks for nothing");
      this.#checks.push(comesTo(step, "done"));
      return;
    }
    if (this.#accepts.length > 0) assert(step.id > 0, "not its turn");
    if (step.id > 0) this.#accepts.push(step.id as task.TaskId<socket.SocketId>);
    this.#steps.add(step);
    this.settle();
  }

  #begin(random: Random): Loop<socket.SocketId> {
    const calls = this.#way.name.startsWith("tls") && random.oneIn(2) ? tls : socket;
    const loop = new Loop(
      calls.connections(this.#server),
      () => socket.isopen(this.#server) ? this.#pending : [],
    );
    this.#loops.push(loop);
    return loop;
  }

  /** Leaves a loop, which takes no connection along. */
  leave(random: Random): void {
    if (this.#loops.length === 0) return;
    this.#checks.push(random.pick(this.#loops.slice(-4)).leave());
    this.settle();
  }

  /** Whether a `next` has settled, and has not told how; then wait for `landing`, and ask again. */
  get isInTheAir(): boolean {
    return [...this.#steps].some(inTheAir);
  }

  async landing(): Promise<void> {
    await Promise.all([...this.#steps].filter(inTheAir).map(({ landed }) => landed));
  }

  get #pending(): readonly task.TaskId[] {
    return (socket.inspect(this.#server) as socket.ListenerRecord).pending;
  }

  async impatient(random: Random): Promise<void> {
    const options = { timeout: random.integer(0, 2), cancel: true };
    try {
      const given = await task.await(socket.accept(this.#server), options);
      this.settle(); // those before it have theirs
      this.#given.push(given);
    } catch (error) {
      assert(error instanceof task.TimeoutError, String(error));
    }
  }

  cancel(random: Random): void {
    this.settle();
    if (this.#accepts.length === 0) return;
    const id = random.pick(this.#accepts);
    const step = [...this.#steps].find((step) => step.id === id);
    if (step !== undefined) {
      this.#steps.delete(step);
      this.#checks.push(cancelStep(step));
    } else {
      assertEquals([task.cancel(id), task.cancel(id), faultOf(id)], [true, false, "ECANCELED"]);
      if (this.#watched.delete(id)) assertEquals(this.#queue.delete(id), true);
      task.forget(id);
    }
    this.#accepts = this.#accepts.filter((other) => other !== id);
    this.settle();
  }

  /** Whoever is told that there is a connection gets it at once. */
  hasconnection(): void {
    this.settle();
    if (!socket.hasconnection(this.#server)) return;
    assertEquals(this.#accepts.length, 0, "it would have been given to the accept that waits");
    const id = socket.accept(this.#server);
    assertEquals(task.status(id), "Completed");
    this.#given.push(task.result(id)!);
    task.forget(this.#use(id));
  }

  /** A connection that is used stays when the task that gave it is forgotten. */
  #use(id: task.TaskId<socket.SocketId>): task.TaskId<socket.SocketId> {
    socket.peek(task.result(id)!);
    return id;
  }

  /** A connection that is not used goes with the task that gave it. */
  drop(): void {
    const id = socket.accept(this.#server);
    if (this.#accepts.length > 0 || task.status(id) === "Running") {
      this.#accepts.push(id);
      return;
    }
    const given = task.result(id)!;
    task.forget(id);
    assertEquals(socket.isopen(given), false);
    this.#dropped++;
  }

  /** Takes what has been given: the first accepts have it, all that run come after. */
  settle(): void {
    for (let outcome; (outcome = this.#queue.take()) !== undefined;) {
      assertEquals([outcome.status, outcome.id], ["Completed", this.#nextWatched()]);
      if (outcome.status === "Completed") this.#given.push(outcome.value as socket.SocketId);
    }
    for (const step of this.#steps) {
      if (step.came === undefined) continue;
      this.#steps.delete(step);
      if (step.came === "done") assert(step.loop.over, "a loop that ends by itself");
      else if ("value" in step.came) this.#given.push(step.came.value);
      else throw step.came.error;
    }
    this.#accepts = this.#accepts.filter((id) => {
      if (task.status(id) === "Unknown") return false; // it was a loop's
      if (task.status(id) !== "Completed") return true;
      const outcome = task.take(id)!;
      assert(outcome.status === "Completed");
      this.#given.push(outcome.value);
      return false;
    });
    assertEquals(this.#pending, this.#accepts, "the accepts that wait, in order");
  }

  /** Of the watched accepts the next to settle: they settle in the order of their calls. */
  #nextWatched(): task.TaskId {
    const id = this.#accepts.find((id) => this.#watched.has(id))!;
    this.#watched.delete(id);
    this.#accepts = this.#accepts.filter((other) => other !== id);
    return id;
  }

  /** Accepts all that is still to come: each client once, whoever they are. */
  async finish(random: Random): Promise<void> {
    const end = performance.now() + PATIENCE;
    while (this.#given.length + this.#dropped < this.#clients.length) {
      assert(performance.now() < end, "a connection is lost");
      if (this.#accepts.length === 0) this.accept(random);
      await turn();
      while (this.isInTheAir) await this.landing();
      this.settle();
    }
    const clients = await Promise.all(this.#clients);
    const numbers = await Promise.all(this.#given.map(async (id) => {
      assertEquals([socket.isopen(id), socket.getside(id)], [true, "server"]);
      return Number(await task.await(socket.recvLine(id)));
    }));
    assertEquals(new Set(numbers).size, numbers.length, "no client is given twice");
    assert(numbers.every((number) => number < clients.length));
    const { accepted } = socket.inspect(this.#server) as socket.ListenerRecord;
    assertEquals(accepted, clients.length);
    this.#queue[Symbol.dispose]();
    const waiting = this.#accepts.filter((id) => ![...this.#steps].some((step) => step.id === id));
    socket.close(this.#server);
    // The end of the listener is the end of its loops.
    for (const step of this.#steps) await comesTo(step, "done");
    for (const loop of this.#loops) await comesTo(loop.next(), "done");
    await Promise.all(this.#checks);
    for (const id of waiting) {
      // Those of the queue are their own again.
      assertEquals(faultOf(id), "ECONNABORTED");
      task.forget(id);
    }
    [...clients, ...this.#given].forEach(socket.close);
  }
}

/** How often each call is made. */
const calls: [weight: number, call: (model: Model, random: Random) => unknown][] = [
  [12, (model) => model.connect()],
  [12, (model, random) => model.accept(random)],
  [8, (model, random) => model.cancel(random)],
  [8, (model, random) => model.next(random)],
  [3, (model, random) => model.leave(random)],
  [4, (model, random) => model.impatient(random)],
  [4, (model) => model.hasconnection()],
  [3, (model) => model.drop()],
  [10, turn],
  [4, () => Promise.resolve()],
];

/** Makes random calls on a listener, and compares them with the model. */
export async function runListener(way: Way, random: Random): Promise<void> {
  using server = way.listen();
  const model = new Model(way, server.id);
  const choices = calls.flatMap(([weight, call]) => new Array<typeof call>(weight).fill(call));
  for (let n = 0; n < CALLS; n++) {
    await random.pick(choices)(model, random);
    while (model.isInTheAir) await model.landing();
    model.settle();
  }
  await model.finish(random);
}
