/**
 * `deno task soak [--minutes 1] [--seed N] [--side N]`: churns everything at once, and then compares what
 * the process holds with what it held before.
 */
import { parseArgs } from "@std/cli";
import { newSeed } from "../../random.ts";
import { ProgressLine } from "../progress.ts";
import { soak } from "./soak.ts";

const args = parseArgs(Deno.args, { string: ["minutes", "seed", "side"] });
const number = (name: "minutes" | "seed" | "side", usual: number) => {
  const value = args[name] === undefined ? usual : Number(args[name]);
  if (Number.isFinite(value) && value >= 0) return value;
  console.error(`--${name} must be a number, not "${args[name]}"`);
  Deno.exit(2);
};

const seed = number("seed", newSeed());
const duration = number("minutes", 1) * 60_000;
const line = new ProgressLine();
const began = performance.now();
try {
  const { counts, before, after } = await soak({
    seed,
    duration,
    side: number("side", 8),
    onRound: (count) =>
      line.show(() => {
        const seconds = (performance.now() - began) / 1000;
        const { heapUsed } = Deno.memoryUsage();
        return `${count} rounds from seed ${seed}, ${Math.round(seconds)} of ${
          duration / 1000
        } s, ` +
          `heap ${Math.round(heapUsed / 1e6)} MB`;
      }),
  });
  line.clear();
  console.log([...counts].sort().map(([name, count]) => `${name}: ${count}`).join(", "));
  console.table({ before, after });
} catch (error) {
  line.clear();
  console.error(error);
  Deno.exit(1);
}
