/**
 * `deno task mutate [FILE…] [--share 1] [--seed N] [--line N] [--quick]`: changes one operator, constant
 * or statement at a time, in a copy of the tree, and runs the tests that concern the file. Changes that no
 * test notices are listed. A share below 1 takes so many of the changes at random; `--line` takes those of
 * one line; `--quick` runs the nearest tests only. Without a file: all those in `FILES`, a tenth of each.
 */
import { parseArgs } from "@std/cli";
import { ProgressLine } from "../lab/progress.ts";
import { newSeed, Random } from "../random.ts";
import { FILES, testsOf } from "./map.ts";
import { apply, type Mutant, mutantsOf } from "./mutants.ts";

const args = parseArgs(Deno.args, {
  string: ["share", "seed", "line"],
  boolean: ["quick"],
});
const seed = args.seed === undefined ? newSeed() : Number(args.seed);
const random = new Random(seed);
const files = args._.length > 0 ? args._.map(String) : FILES;
const share = Number(args.share ?? (args._.length > 0 ? 1 : 0.1));
const line = new ProgressLine();

const tree = await Deno.makeTempDir({ prefix: "taskio_mutate_" });
/** The run of the tests that is under way. */
let running: Deno.ChildProcess | undefined;
const interrupted = () => {
  running?.kill("SIGKILL");
  Deno.removeSync(tree, { recursive: true });
  Deno.exit(130);
};
Deno.addSignalListener("SIGINT", interrupted);
Deno.addSignalListener("SIGTERM", interrupted);

let [tried, survived] = [0, 0];
try {
  for (const part of ["deno.json", "deno.lock", "mod.ts", "task", "socket", "tls", "tests"]) {
    await copy(part, `${tree}/${part}`);
  }
  console.log(`share ${share}, seed ${seed}`);
  for (const file of files) await mutate(file);
  console.log(`${tried} changes, ${survived} survived`);
} finally {
  await Deno.remove(tree, { recursive: true });
}
Deno.removeSignalListener("SIGINT", interrupted);
Deno.removeSignalListener("SIGTERM", interrupted);

async function mutate(file: string): Promise<void> {
  const source = await Deno.readTextFile(file);
  const mutants = mutantsOf(source).filter((mutant) =>
    args.line === undefined ? random.next() < share : mutant.line === Number(args.line)
  );
  if (mutants.length === 0) return;
  const stages = testsOf(file).slice(0, args.quick ? 1 : undefined);
  const limits: number[] = [];
  for (const tests of stages) {
    const began = performance.now();
    if (!await passes(tests, 600_000)) throw new Error(`${tests.join(", ")} fail without a change`);
    limits.push(10_000 + 4 * (performance.now() - began));
  }
  const survivors: Mutant[] = [];
  for (const [i, mutant] of mutants.entries()) {
    line.show(() => `${file} ${i} of ${mutants.length}, ${survivors.length} survived`);
    await Deno.writeTextFile(`${tree}/${file}`, apply(source, mutant));
    if (await survives(stages, limits)) survivors.push(mutant);
  }
  await Deno.writeTextFile(`${tree}/${file}`, source);
  line.clear();
  tried += mutants.length;
  survived += survivors.length;
  console.log(`${file}: ${mutants.length} changes, ${survivors.length} survived`);
  for (const { line, what } of survivors) console.log(`  ${file}:${line} ${what}`);
}

/** Whether no test notices: none fails, and none takes for ever. */
async function survives(stages: string[][], limits: number[]): Promise<boolean> {
  for (const [i, tests] of stages.entries()) if (!await passes(tests, limits[i])) return false;
  return true;
}

async function passes(tests: string[], limit: number): Promise<boolean> {
  running = new Deno.Command(Deno.execPath(), {
    args: ["test", "--allow-all", "--no-check", "--fail-fast", "--quiet", ...tests],
    cwd: tree,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const child = running;
  const timer = setTimeout(() => child.kill("SIGKILL"), limit);
  const { success } = await child.status;
  clearTimeout(timer);
  return success;
}

async function copy(from: string, to: string): Promise<void> {
  const { isDirectory } = await Deno.stat(from);
  if (!isDirectory) return await Deno.copyFile(from, to);
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) await copy(`${from}/${name}`, `${to}/${name}`);
}
