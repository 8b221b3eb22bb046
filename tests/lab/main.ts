/**
 * `deno task lab [--minutes 1] [--seed N] [--runs N] [--engine NAME] [--side N] [--case JSON]
 * [--codes]`: runs the laboratory over fresh seeds. With a seed it repeats that one; with more runs it
 * goes on from there. The first run that fails ends it, is repeated, and made smaller.
 *
 * `deno task lab --model [--minutes 1] [--seed N]`: random sequences of calls instead, compared with the
 * model of a connection.
 */
import { parseArgs } from "@std/cli";
import { ways } from "../listening.ts";
import { newSeed, Random } from "../random.ts";
import { runListener } from "../socket/listener_model.ts";
import { modelled, runSequence } from "../socket/sequences.ts";
import { codesOf } from "./codes.ts";
import { LabFailure, reduce, runLab } from "./lab.ts";
import { ProgressLine } from "./progress.ts";
import { runCase } from "./run.ts";

const args = parseArgs(Deno.args, {
  string: ["engine", "case", "seed", "runs", "minutes", "side"],
  boolean: ["codes", "model"],
});
const number = (name: "seed" | "runs" | "minutes" | "side") => {
  const text = args[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text === "" || !Number.isFinite(value) || value < 0) {
    console.error(`--${name} must be a number, not "${text}"`);
    Deno.exit(2);
  }
  return value;
};

if (args.case !== undefined) {
  console.log(await runCase(JSON.parse(args.case)));
} else if (args.model) {
  await model();
} else {
  await lab();
}

/** What calls are made on, and how. */
type Sequence = [name: string, run: (random: Random) => Promise<void>];

/** Sequences of calls, seed after seed; each seed of one transport. */
async function model(): Promise<void> {
  const given = number("seed");
  const first = given ?? newSeed();
  const minutes = number("minutes");
  const runs = given !== undefined && minutes === undefined ? 1 : Infinity;
  const end = performance.now() + (minutes ?? 1) * 60_000;
  const line = new ProgressLine();
  const sequences: Sequence[] = [
    ...modelled.map((one): Sequence => [one.name, (random) => runSequence(one, random)]),
    ...ways.map((way): Sequence => [`${way.name} listener`, (random) => runListener(way, random)]),
  ];
  let seed = first;
  try {
    for (; seed < first + runs && (runs === 1 || performance.now() < end); seed++) {
      await sequences[seed % sequences.length][1](new Random(seed));
      line.show(() => `${seed - first} sequences from seed ${first}`);
    }
  } catch (error) {
    line.clear();
    console.error(`Repeat it with "deno task lab --model --seed ${seed}", over`);
    console.error(sequences[seed % sequences.length][0], error);
    Deno.exit(1);
  }
  line.clear();
  console.log(`${seed - first} sequences from seed ${first}: all as the model says`);
}

async function lab(): Promise<void> {
  const given = number("seed");
  const minutes = number("minutes");
  const seed = given ?? newSeed();
  const runs = number("runs") ?? (given === undefined || minutes !== undefined ? Infinity : 1);
  const duration = runs === Infinity || minutes !== undefined ? (minutes ?? 1) * 60_000 : undefined;
  const line = new ProgressLine();
  const tally = new Map<string, number>();
  const began = performance.now();
  const seconds = () => Math.round((performance.now() - began) / 1000);
  let [count, faults] = [0, 0];
  try {
    await runLab({
      seed,
      runs,
      duration,
      engine: args.engine,
      side: number("side") ?? 4,
      onRun(plan, outcome) {
        count++;
        faults += outcome.acts.length;
        for (const row of codesOf(plan, outcome)) tally.set(row, (tally.get(row) ?? 0) + 1);
        line.show(() => `${count} runs from seed ${seed}, ${faults} fatal acts, ${seconds()} s`);
      },
    });
  } catch (error) {
    line.clear();
    console.error(`After ${count} runs from seed ${seed} in ${seconds()} s:`);
    console.error(error instanceof Error ? error.message : error);
    if (error instanceof LabFailure) await explain(error);
    Deno.exit(1);
  }
  line.clear();
  if (args.codes) console.log([...tally].sort().map(([row, n]) => `${row}: ${n}`).join("\n"));
  console.log(`${count} runs from seed ${seed} in ${seconds()} s: nothing lost, nothing wrong`);
}

/** Says what is known of a run that failed. */
async function explain({ plan, cause }: LabFailure): Promise<void> {
  console.error(cause);
  console.error(`It is ${JSON.stringify(plan)}\nNow a smaller one is looked for …`);
  const smaller = await reduce(plan, 60_000);
  console.error(`deno task lab --case '${JSON.stringify(smaller)}'`);
}
