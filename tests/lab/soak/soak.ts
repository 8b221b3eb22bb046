// Everything at once for a long time, and whether all of it is given back.

import { socket, task } from "../../../mod.ts";
import { Random } from "../../random.ts";
import { rounds } from "./churn.ts";
import { Counter, type Holdings, surplus } from "./holdings.ts";

/** What to run. */
export interface SoakOptions {
  seed: number;
  /** In milliseconds; a fifth of it is there to warm up. */
  duration: number;
  /** How many rounds go on side by side. */
  side?: number;
  /** What memory may grow by, in bytes. */
  slack?: number;
  /** Told of how far it is. */
  onRound?: (count: number) => void;
}

/** What a soak came to. */
export interface Soaked {
  /** How many rounds of each kind. */
  readonly counts: ReadonlyMap<string, number>;
  readonly before: Holdings;
  readonly after: Holdings;
}

/** Runs; throws when a round fails, or something is held that was not before. */
export async function soak(options: SoakOptions): Promise<Soaked> {
  const { seed, duration, side = 8, slack = 6_000_000, onRound } = options;
  const folder = await Deno.makeTempDir({ prefix: "taskio_" });
  const counts = new Map<string, number>();
  const unseen: unknown[] = [];
  const handler = task.setFaultHandler((error) => unseen.push(error));
  using counter = new Counter();
  const random = new Random(seed);
  let count = 0;

  async function churn(milliseconds: number): Promise<void> {
    const end = performance.now() + milliseconds;
    const lane = async () => {
      while (performance.now() < end) {
        const name = random.pick(Object.keys(rounds));
        const mine = random.integer(0, 2 ** 31);
        try {
          await inTime(rounds[name]({ random: new Random(mine), signal: counter.signal, folder }));
        } catch (error) {
          throw new Error(`A round of "${name}" with seed ${mine} failed: ${error}`, {
            cause: error,
          });
        }
        counts.set(name, (counts.get(name) ?? 0) + 1);
        onRound?.(++count);
      }
    };
    const outcomes = await Promise.allSettled(Array.from({ length: side }, lane));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }

  try {
    const start = counter.take();
    await churn(duration / 5);
    const warm = await atRest(counter, start);
    await churn(duration * 4 / 5);
    const before = { ...start, heap: warm.heap, external: warm.external };
    const after = await atRest(counter, before);
    if (unseen.length > 0) throw new Error(`Faults that nobody saw: ${Deno.inspect(unseen)}`);
    const left = surplus(before, after, slack);
    if (left.length > 0) {
      throw new Error(
        `Not given back after ${count} rounds from seed ${seed}:\n${left.join("\n")}`,
      );
    }
    return { counts, before, after };
  } finally {
    task.setFaultHandler(handler);
    await Deno.remove(folder, { recursive: true });
  }
}

/** A round that hangs must not hang the run. */
async function inTime(round: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const running = task.inspect().filter(({ status }) => status === "Running");
    const records = [...socket.inspect(), ...running];
    reject(new Error(`It has not ended after ${LIMIT} ms: ${Deno.inspect(records)}`));
  }, LIMIT);
  try {
    await Promise.race([round, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** The longest that a round may take, in milliseconds. */
const LIMIT = 60_000;

/** What is held once nothing goes on: last words and the system's part take a while. */
async function atRest(counter: Counter, before: Holdings): Promise<Holdings> {
  const end = performance.now() + 10_000;
  for (;;) {
    task.list().forEach((id) => task.status(id) !== "Running" && task.forget(id));
    const now = counter.take();
    const { heap, external } = now;
    if (surplus({ ...before, heap, external }, now, 0).length === 0) return now;
    if (performance.now() > end) return now;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
