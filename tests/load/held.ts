// What a process holds before and after, and whether it is the same.

import { memoryUsage } from "node:process";
import { task } from "../../mod.ts";
import { canCount, openDescriptors } from "../descriptors.ts";
import { type Counter, type Holdings, surplus } from "../lab/soak/holdings.ts";

/** What is held at one moment, and the memory that the system has given, in bytes. */
export interface Held extends Holdings {
  rss: number;
}

/** What is held now. */
export function heldNow(counter: Counter): Held {
  return { ...counter.take(), rss: memoryUsage().rss };
}

/** How long it may take until everything is given back, in milliseconds. */
const PATIENCE = 60_000;

/** What is held once nothing goes on: last words and the system's part take a while. */
export async function heldAtRest(counter: Counter, before: Held): Promise<Held> {
  const end = performance.now() + PATIENCE;
  // First what can be counted without collecting garbage, which would hold up what is going on.
  while (canCount && openDescriptors() > before.descriptors && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  for (;;) {
    task.list().forEach((id) => task.status(id) !== "Running" && task.forget(id));
    const held = heldNow(counter);
    if (growth(before, held, Infinity).length === 0 || performance.now() > end) return held;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What memory may grow by whatever was done, in bytes: 20 for each of 100,000 connections. */
const SLACK = 2_000_000;
/** The system's part comes back late and in large pieces: so many times as much. */
const RSS_SLACK = 64;

/** What is held that was not before. */
export function growth(before: Held, after: Held, slack: number = SLACK): string[] {
  const { rss, ...counted } = before;
  const grown = surplus(counted, after, slack);
  if (after.rss - rss > slack * RSS_SLACK) grown.push(`rss: ${rss} became ${after.rss}`);
  return grown;
}

/** What must be the same in the end as at the beginning, whatever it was in between. */
export function countsOf({ sockets, tasks, descriptors, timers, listeners }: Held) {
  return { sockets, tasks, descriptors, timers, listeners };
}
