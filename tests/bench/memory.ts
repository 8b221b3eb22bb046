/** Workload 7: memory. */
import { deno } from "./arms.ts";
import { Exchange } from "./load/mod.ts";
import type { Entry, Profile } from "./measure.ts";
import { ratios, type Row, spread } from "./row.ts";
import { type Memory, Server } from "./server.ts";
import { type Choose, everyone } from "./workloads.ts";

const CONNECTIONS = 10_000;

/** Connections that come first and are not counted, so that code and tables are in place. */
const EARLIER = 500;

/**
 * Bytes per idle connection, after one echo of 64 bytes on each: `heap` is V8's, `buffers` what it
 * keeps outside (array buffers), `process` all that the system gave (rss, buffers included as far
 * as they were touched).
 */
export async function idle(choose: Choose, profile: Profile): Promise<Row[]> {
  const entries = choose(everyone.filter(({ arm }) => arm !== "again"));
  const found = new Map<Entry, Memory[]>();
  const notes = new Map<Entry, string>();
  for (let launch = 0; launch < profile.launches; launch++) {
    for (const entry of entries) {
      try {
        found.set(entry, [...found.get(entry) ?? [], await perConnection(entry)]);
      } catch (error) {
        notes.set(entry, error instanceof Error ? error.message : String(error));
      }
    }
  }
  return (["heap", "external", "rss"] as const).flatMap((kind) => {
    const bytes = entries.map((entry) => (found.get(entry) ?? []).map((memory) => memory[kind]));
    return entries.map((entry, i) => {
      const value = spread(bytes[i]);
      const base = spread(bytes[0]);
      const over = i > 0 && value && base ? value.median - base.median : undefined;
      return {
        workload: `7 idle connection, ${NAMES[kind]}`,
        arm: entry.label ?? entry.arm,
        unit: "B",
        value,
        ratio: ratios(bytes[i], bytes[0]),
        note: notes.get(entry) ??
          (over === undefined ? undefined : `${over < 0 ? "" : "+"}${over.toFixed(0)} B`),
      };
    });
  });
}

const NAMES = { heap: "heap", external: "buffers", rss: "process" };

async function perConnection(entry: Entry): Promise<Memory> {
  await using server = await Server.start(entry.arm, entry);
  using _earlier = new Exchange(server.port, { connections: EARLIER, request: 64, reply: 64 });
  const before = await server.memory();
  using _idle = new Exchange(server.port, { connections: CONNECTIONS, request: 64, reply: 64 });
  const after = await server.memory();
  const each = (kind: keyof Memory) => Math.max(0, after[kind] - before[kind]) / CONNECTIONS;
  return { heap: each("heap"), external: each("external"), rss: each("rss") };
}

/** How often each program of arms/taskio_flat.ts goes round. */
const TIMES = {
  short: { unclaimed: 1_000_000, claimed: 1_000_000, cycles: 10_000 },
  long: { unclaimed: 1_000_000, claimed: 10_000_000, cycles: 1_000_000 },
};

/** The heap after much work over the heap after a tenth of it: 1 is flat. */
export async function flat(length: "short" | "long"): Promise<Row[]> {
  const result: Row[] = [];
  for (const [program, times] of Object.entries(TIMES[length])) {
    const row = {
      workload: `7 ${times.toLocaleString("en")} × ${program}, heap`,
      arm: "taskio",
      unit: "MB",
    };
    const [command, ...args] = deno("taskio_flat.ts");
    const { stdout, success } = await new Deno.Command(command, {
      args: [...args, program, String(times)],
      stderr: "inherit",
      signal: AbortSignal.timeout(10 * 60_000),
    }).output();
    if (!success) {
      result.push({ ...row, note: "The program failed" });
      continue;
    }
    const { early, end } = JSON.parse(new TextDecoder().decode(stdout));
    const grown = (end - early) / (times * 0.9);
    result.push({
      ...row,
      value: spread([end / 1e6]),
      ratio: spread([end / early]),
      note: `${grown < 0 ? "" : "+"}${grown.toFixed(1)} B each`,
    });
  }
  return result;
}
