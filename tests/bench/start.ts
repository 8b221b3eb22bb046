/** Workload 8: what a script costs that only imports. */
import { deno } from "./arms.ts";
import { childrenCpu } from "./load/libc.ts";
import type { Profile } from "./measure.ts";
import { ratios, type Row, spread } from "./row.ts";
import { type Choose, everyone } from "./workloads.ts";

/** The scripts of each arm, and what the table calls them. */
const SCRIPTS: Record<string, [label: string, script: string][]> = {
  raw: [["empty script", "start_empty.ts"]],
  again: [["again", "start_empty.ts"]],
  taskio: [
    ["taskio", "start_taskio.ts"],
    ["taskio/socket", "start_taskio_socket.ts"],
    ["taskio/task", "start_taskio_task.ts"],
  ],
  "node:net": [["node:net", "start_node_net.ts"]],
};

/** Runs that are not counted: they fill Deno's caches of transpiled and of compiled code. */
const WARMUP = 3;

export async function start(choose: Choose, profile: Profile): Promise<Row[]> {
  const entries = choose(everyone.filter(({ arm }) => arm in SCRIPTS))
    .flatMap(({ arm }) => SCRIPTS[arm]);
  const cpu = entries.map((): number[] => []);
  for (let round = -WARMUP; round < profile.launches * profile.rounds; round++) {
    for (let i = 0; i < entries.length; i++) {
      const used = await run(deno(entries[i][1]));
      if (round >= 0) cpu[i].push(used);
    }
  }
  return entries.map(([arm], i) => {
    const value = spread(cpu[i].map((used) => used / 1000));
    const over = spread(cpu[i].map((used, round) => (used - cpu[0][round]) / 1000));
    return {
      workload: "8 start of a script that imports",
      arm,
      unit: "ms",
      value,
      ratio: ratios(cpu[i], cpu[0]),
      note: i > 0 && over ? `${over.median < 0 ? "" : "+"}${over.median.toFixed(1)} ms` : undefined,
    };
  });
}

/** CPU time in µs of a program from start to end. */
async function run([program, ...args]: string[]): Promise<number> {
  const before = childrenCpu();
  await new Deno.Command(program, { args, stdin: "null", stdout: "null" }).output();
  return childrenCpu() - before;
}
