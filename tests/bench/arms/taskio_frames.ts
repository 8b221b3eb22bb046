/**
 * A host that looks at its tasks once a frame, in three ways. Prints for each the CPU time of a frame in
 * µs, once for every round.
 */
import process from "node:process";
import { task } from "../../../mod.ts";

type Pending = ReturnType<typeof task.after>;

const [outstanding, rounds] = Deno.args.map(Number);
const SETTLED = 10;
const FRAMES = outstanding > 1000 ? 50 : 1000;

const idle: Pending[] = Array.from({ length: outstanding - SETTLED }, () => task.after(1e9));
const watching = task.completions();
const queue = task.completions();

let sum = 0;

/** Asks each, and lets go of those that are done. */
function ask(ids: Pending[]): void {
  for (const id of ids) {
    const status = task.status(id);
    if (status === "Running") continue;
    if (status === "Completed") task.result(id);
    task.forget(id);
    sum++;
  }
}

function take(ids: Pending[]): void {
  for (const id of ids) if (task.take(id) !== undefined) sum++;
}

function fromQueue(): void {
  while (queue.take() !== undefined) sum++;
}

function frame(way: (ids: Pending[]) => void): number {
  const watched = way === fromQueue;
  for (const id of idle) (watched ? queue : watching).add(id);
  const ids = [...idle];
  let used = 0;
  for (let i = 0; i < FRAMES; i++) {
    const settled = Array.from({ length: SETTLED }, () => task.after(0));
    for (const [n, id] of settled.entries()) ids[idle.length + n] = id;
    const before = process.cpuUsage();
    if (watched) settled.forEach((id) => queue.add(id));
    way(ids);
    const { user, system } = process.cpuUsage(before);
    used += user + system;
  }
  return used / FRAMES;
}

const ways = [ask, take, fromQueue];
const times = ways.map((): number[] => []);
for (let round = -2; round < rounds; round++) {
  for (const [i, way] of ways.entries()) {
    const used = frame(way);
    if (round >= 0) times[i].push(used);
  }
}
if (sum !== (rounds + 2) * ways.length * FRAMES * SETTLED) throw new Error("Tasks went missing");
console.log(JSON.stringify(times));
Deno.exit(0);
