/**
 * `deno task load [--cycles 100000] [--idle 10000] [--engine NAME] [--kind NAME] [--seed N]`: connects and
 * closes over every pair of engines, then holds connections on which nothing happens; tells what memory,
 * descriptors and timers were before and after, and fails if anything is not given back. TLS has a
 * twentieth of the cycles, and a fifth of the idle connections.
 */
import { parseArgs } from "@std/cli";
import { canCount, descriptorLimit } from "../descriptors.ts";
import { engineOf, engines } from "../lab/engines.ts";
import { ProgressLine } from "../lab/progress.ts";
import { Counter } from "../lab/soak/holdings.ts";
import { newSeed, Random } from "../random.ts";
import { BATCH, runCycles } from "./cycles.ts";
import { countsOf, growth, heldAtRest, heldNow } from "./held.ts";
import { kinds, runIdle } from "./idle.ts";

const args = parseArgs(Deno.args, { string: ["cycles", "idle", "engine", "kind", "seed"] });
const number = (name: "cycles" | "idle" | "seed", usual: number) => {
  const value = args[name] === undefined ? usual : Number(args[name]);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  console.error(`--${name} must be an integer from 0, not "${args[name]}"`);
  Deno.exit(2);
};
const cycles = number("cycles", 100_000);
const idle = number("idle", 10_000);
const seed = number("seed", newSeed());

const random = new Random(seed);
const line = new ProgressLine();
const wrong: string[] = [];
using counter = new Counter();

if (cycles > 0) {
  for (const engine of args.engine === undefined ? engines : [engineOf(args.engine)]) {
    const count = engine.tls ? Math.ceil(cycles / 20) : cycles;
    const start = heldNow(counter);
    // A tenth first, so that code and tables are in place.
    await runCycles(engine, Math.max(BATCH, count / 10), random);
    const before = { ...await heldAtRest(counter, start), ...countsOf(start) };
    const began = performance.now();
    await runCycles(engine, count, random, (done) => {
      line.show(() => `${engine.name}: ${done} of ${count}`);
    });
    const seconds = (performance.now() - began) / 1000;
    const after = await heldAtRest(counter, before);
    line.clear();
    console.log(`${engine.name}: ${count} connections in ${seconds.toFixed(1)} s`);
    console.table({ before, after });
    wrong.push(...growth(before, after).map((text) => `${engine.name}: ${text}`));
  }
}

if (args.kind !== undefined) await holdIdle(args.kind);
else if (idle > 0) {
  // Each in a process of its own: what the system has given to one is not given back for the next.
  for (const { name } of kinds) {
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: ["task", "--quiet", "load", "--cycles", "0", "--idle", String(idle), "--kind", name],
      cwd: new URL("../../", import.meta.url),
    }).spawn().status;
    if (!success) wrong.push(`${name}, idle: see above`);
  }
}

if (wrong.length > 0) {
  console.error(`Wrong with seed ${seed}:\n${wrong.join("\n")}`);
  Deno.exit(1);
}
if (args.kind === undefined) console.log("everything was given back");

async function holdIdle(name: string): Promise<void> {
  const kind = kinds.find((kind) => kind.name === name);
  if (kind === undefined) throw new Error(`No kind "${name}"`);
  // TLS costs memory that a machine may not have.
  const count = kind.ca === undefined ? idle : Math.ceil(idle / 5);
  if (!canCount || descriptorLimit() < count + 500) {
    return console.log(`${name}: no room for ${count} descriptors, skipped`);
  }
  const { wrong: mine, clients, idle: quiet, receiving } = await runIdle(kind, count, counter);
  console.log(`${name}: ${count} idle connections, bytes for each`);
  console.table({
    "idle": quiet,
    "with a recv": receiving,
    "client, idle": clients.idle,
    "client, with a recv": clients.receiving,
  });
  wrong.push(...mine);
}
