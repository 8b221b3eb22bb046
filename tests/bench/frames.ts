/** Workload 11: a frame of a host that polls, in one process and without a network. */
import { deno } from "./arms.ts";
import type { Profile } from "./measure.ts";
import { ratios, type Row, spread } from "./row.ts";
import type { Choose } from "./workloads.ts";

/** The ways of arms/taskio_frames.ts; the first is what the others are compared with. */
const WAYS = ["status, result, forget", "take", "completion queue"];

/** What a frame costs in which ten of so many outstanding tasks have settled. */
export async function frames(choose: Choose, profile: Profile): Promise<Row[]> {
  if (choose([{ arm: "taskio", kind: "frames" }]).length === 0) return [];
  const result: Row[] = [];
  for (const outstanding of [100, 10_000]) {
    const times = WAYS.map((): number[] => []);
    for (let launch = 0; launch < profile.launches; launch++) {
      const [command, ...args] = deno("taskio_frames.ts");
      const { stdout } = await new Deno.Command(command, {
        args: [...args, String(outstanding), String(profile.rounds)],
        stderr: "inherit",
        signal: AbortSignal.timeout(60_000),
      }).output();
      const found: number[][] = JSON.parse(new TextDecoder().decode(stdout));
      found.forEach((values, i) => times[i].push(...values));
    }
    result.push(...WAYS.map((arm, i) => ({
      workload: `11 frame, 10 of ${outstanding.toLocaleString("en")} settled`,
      arm,
      unit: "µs",
      value: spread(times[i]),
      ratio: ratios(times[i], times[0]),
    })));
  }
  return result;
}
