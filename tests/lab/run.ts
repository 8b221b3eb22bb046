// One run of the laboratory: a connection with everything that goes wrong on its way, and whether
// what both ends saw of it may be.

import { socket, task } from "../../mod.ts";
import { Random } from "../random.ts";
import { Broken, makeBytes, receiveAll, type Result, sendAll } from "./ends.ts";
import { type Engine, engineOf } from "./engines.ts";
import { type FaultProxy, serveFaults } from "./fault_proxy.ts";
import type { Act, Case, Way } from "./schedule.ts";
import { codeOf, type Doing, mayEndShort, objectionTo } from "./verdict.ts";

/** Nothing has gone on for so long after a fatal act: nothing more will, in milliseconds. */
const QUIET = 300;
/** The same as long as there was none: then it is a failure. */
const STUCK = 30_000;

/** What a run came to. */
export interface Outcome {
  /** The fatal acts that happened. */
  readonly acts: readonly Act[];
  /** The code of every fault, by what faulted. */
  readonly codes: ReadonlyMap<string, string>;
}

/** Runs a case; throws if something was seen that may not be. */
export async function runCase(plan: Case): Promise<Outcome> {
  const folder = await Deno.makeTempDir({ prefix: "taskio_" });
  const engine = engineOf(plan.engine);
  try {
    const server = engine.listen(`${folder}/target`);
    const local = socket.getlocal(server);
    try {
      await using proxy = await serveFaults(local, plan.steps, plan.seed, `${folder}/proxy`);
      return await new Run(plan, engine, proxy, server).run();
    } finally {
      socket.close(server);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What runs have left behind, though they are over; it is cleared away. */
export function leftovers(): string[] {
  const sockets = socket.inspect().map((record) => `socket ${Deno.inspect(record)}`);
  socket.list().forEach(socket.close);
  const running = task.inspect().filter(({ status }) => status === "Running");
  running.forEach(({ id }) => task.cancel(id));
  task.list().forEach(task.forget);
  return [...sockets, ...running.map((record) => `task ${Deno.inspect(record)}`)];
}

class Run {
  readonly #plan: Case;
  readonly #engine: Engine;
  readonly #proxy: FaultProxy;
  readonly #server: socket.SocketId;
  readonly #ids: socket.SocketId[] = [];
  readonly #giveUp = new AbortController();
  #news = performance.now();
  readonly #progress = () => this.#news = performance.now();
  readonly #codes = new Map<string, string>();

  constructor(plan: Case, engine: Engine, proxy: FaultProxy, server: socket.SocketId) {
    this.#plan = plan;
    this.#engine = engine;
    this.#proxy = proxy;
    this.#server = server;
  }

  async run(): Promise<Outcome> {
    const watch = setInterval(() => this.#look(), 20);
    try {
      const [client, peer] = await Promise.all([this.#connect(), this.#accept()]);
      if (client !== undefined && peer !== undefined) await this.#exchange(client, peer);
      else if (this.#proxy.acts.length === 0) throw this.#wrong("the handshake failed");
    } finally {
      clearInterval(watch);
      this.#ids.forEach(socket.close);
    }
    return { acts: this.#proxy.acts, codes: this.#codes };
  }

  /** Gives up when nothing goes on any more. */
  #look(): void {
    const { acts } = this.#proxy;
    if (performance.now() - this.#news < (acts.length > 0 ? QUIET : STUCK)) return;
    if (acts.length === 0) this.#codes.set("run", "nothing goes on");
    this.#giveUp.abort(new GivenUp("Given up"));
    [...this.#ids, this.#server].forEach(socket.close);
  }

  async #connect(): Promise<socket.SocketId | undefined> {
    const { signal } = this.#giveUp;
    try {
      const id = await this.#engine.connect(this.#proxy.address, { timeout: STUCK, signal });
      this.#ids.push(id);
      this.#progress();
      return id;
    } catch (error) {
      this.#note("client", "handshake", error);
      return undefined;
    }
  }

  async #accept(): Promise<socket.SocketId | undefined> {
    const { signal } = this.#giveUp;
    try {
      const id = await task.await(socket.accept(this.#server), { signal, cancel: true });
      this.#ids.push(id);
      await this.#engine.accepted?.(id, { timeout: STUCK, signal });
      this.#progress();
      return id;
    } catch (error) {
      this.#note("server", "handshake", error);
      return undefined;
    }
  }

  async #exchange(client: socket.SocketId, peer: socket.SocketId): Promise<void> {
    const { seed, up, down } = this.#plan;
    const random = new Random(seed);
    const data = { up: makeBytes(up, random), down: makeBytes(down, random) };
    const some = () => new Random(random.integer(0, 2 ** 31));
    const [sentUp, sentDown, gotUp, gotDown] = await Promise.all([
      sendAll(client, data.up, some(), this.#progress),
      sendAll(peer, data.down, some(), this.#progress),
      receiveAll(peer, this.#expected("up", data.up), some(), this.#progress),
      receiveAll(client, this.#expected("down", data.down), some(), this.#progress),
    ]);
    this.#judgeSend("client", sentUp, up);
    this.#judgeSend("server", sentDown, down);
    this.#judgeReceive("server", gotUp, sentUp, up);
    this.#judgeReceive("client", gotDown, sentDown, down);
    await this.#end(client, peer, random);
  }

  /** What arrives in clear is what the proxy has made of it. */
  #expected(way: Way, data: Uint8Array): Uint8Array {
    if (this.#engine.tls) return data;
    const altered = data.slice();
    for (const { act, at, value } of this.#plan.steps.filter((step) => step.way === way)) {
      if (act === "flip" && at < altered.length) altered[at] ^= value;
    }
    return altered;
  }

  /** Ends as a program would: gently or not. */
  async #end(client: socket.SocketId, peer: socket.SocketId, random: Random): Promise<void> {
    const gentle = [client, peer].filter(() => random.oneIn(2));
    const finishing = gentle.map((id) => socket.finish(id, { timeout: QUIET }));
    [client, peer].filter((id) => !gentle.includes(id) && random.oneIn(2)).forEach(socket.close);
    for (const id of finishing) {
      try {
        await task.await(id);
      } catch (error) {
        this.#note("end", "finish", error);
      }
    }
  }

  #judgeSend(who: string, { count, ended, error }: Result, length: number): void {
    if (error !== undefined) return this.#note(who, "send", error);
    if (!ended || count !== length) throw this.#wrong(`${who} sent ${count} of ${length} bytes`);
  }

  #judgeReceive(who: string, { count, ended, error }: Result, sent: Result, length: number): void {
    if (error !== undefined) return this.#note(who, "receive", error);
    if (!ended) throw this.#wrong(`${who} did not receive to the end`);
    if (count === length) return;
    if (mayEndShort(this.#proxy.acts, this.#engine)) return;
    throw this.#wrong(
      `${who} received ${count} of ${length} bytes and then the end (${sent.count} were sent)`,
    );
  }

  #note(who: string, doing: Doing, error: unknown): void {
    if (error instanceof Broken) throw this.#wrong(error.message, error);
    const code = codeOf(error);
    this.#codes.set(`${who} ${doing}`, code);
    const gaveUp = this.#giveUp.signal.aborted;
    const objection = objectionTo(error, doing, this.#proxy.acts, this.#engine, gaveUp);
    if (objection !== undefined) throw this.#wrong(`${doing} by the ${who}: ${objection}`, error);
  }

  #wrong(text: string, cause?: unknown): Broken {
    const { acts, passed } = this.#proxy;
    const codes = [...this.#codes].map((pair) => pair.join(" ")).join(", ");
    return new Broken(
      `${this.#engine.name}: ${text} [acts: ${acts}; went up ${passed.up}, down ${passed.down}; ` +
        `codes: ${codes}]`,
      { cause },
    );
  }
}

class GivenUp extends Error {
  readonly code = "given up";
}
