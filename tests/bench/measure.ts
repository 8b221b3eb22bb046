import process from "node:process";
import type { Load } from "./load/mod.ts";
import { Server, type ServerOptions } from "./server.ts";

/** How long and how often to measure. */
export interface Profile {
  /** How often each server is started afresh: two processes of one program differ a little. */
  launches: number;
  /** Windows per arm and launch, taken in turn with the other arms. */
  rounds: number;
  /** Length of a window and of the warm-up before the first, in ms. */
  window: number;
  /**
   * Length of a window in bulk: what collects memory works now and then, and short windows would
   * leave it out of the median.
   */
  bulkWindow: number;
  warmup: number;
  /** Whether to measure every size and every shape of load, or one of each. */
  all: boolean;
}

/** A server to measure. The first in a list is what the others are compared with. */
export interface Entry extends ServerOptions {
  arm: string;
  /** What the table calls it, where the arm's name does not say enough. */
  label?: string;
}

/** One window. */
export interface Sample {
  /** CPU time of the server per unit of work, in µs; and the units. */
  cpu: number;
  units: number;
  /** Units of work per second. */
  rate: number;
  /** Shares of a core that the server and the load took. */
  server: number;
  load: number;
}

/** The windows of one entry, or why there are none. */
export interface Series {
  entry: Entry;
  samples: Sample[];
  failure?: string;
}

/**
 * Measures the entries against one another. All servers of a launch are alive at the same time, but
 * only one works at a time; each round takes one short window of each, and begins one entry later
 * than the round before, so that a slow second of the machine hits all alike.
 */
export async function measure<E extends Entry>(
  entries: E[],
  load: (port: number, entry: E) => Load | Promise<Load>,
  profile: Profile,
): Promise<Series[]> {
  const all: (Series & { entry: E })[] = entries.map((entry) => ({ entry, samples: [] }));
  for (let launch = 0; launch < profile.launches; launch++) {
    await using stack = new AsyncDisposableStack();
    const lanes: { series: Series; server: Server; load: Load }[] = [];
    for (const series of all) {
      await attempt(series, async () => {
        const server = stack.use(await Server.start(series.entry.arm, series.entry));
        const lane = { series, server, load: stack.use(await load(server.port, series.entry)) };
        await lane.load.run(profile.warmup);
        lanes.push(lane);
      });
    }
    for (let round = 0; round < profile.rounds; round++) {
      for (let i = 0; i < lanes.length; i++) {
        const { series, server, load } = lanes[(round + i) % lanes.length];
        await attempt(series, async () => {
          series.samples.push(await sample(server, load, profile.window));
        });
      }
    }
  }
  return all;
}

async function attempt(series: Series, work: () => Promise<void>): Promise<void> {
  if (series.failure !== undefined) return;
  try {
    await work();
  } catch (error) {
    series.failure = error instanceof Error ? error.message : String(error);
  }
}

async function sample(server: Server, load: Load, ms: number): Promise<Sample> {
  const cpu = await server.cpu();
  const own = process.cpuUsage();
  const start = performance.now();
  const units = await load.run(ms);
  const wall = (performance.now() - start) * 1000;
  const { user, system } = process.cpuUsage(own);
  const used = await server.cpu() - cpu;
  return {
    cpu: used / units,
    units,
    rate: units / wall * 1e6,
    server: used / wall,
    load: (user + system) / wall,
  };
}
