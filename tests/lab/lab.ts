// The laboratory: connections with everything that can go wrong on their way, seed after seed.

import { engines } from "./engines.ts";
import { leftovers, type Outcome, runCase } from "./run.ts";
import { type Case, makeCase } from "./schedule.ts";
import { shrink } from "./shrink.ts";

/** What to run. */
export interface LabOptions {
  /** The first seed; the others follow. */
  seed: number;
  /** How many seeds. */
  runs: number;
  /** Begins no run after so many milliseconds. */
  duration?: number;
  /** How many runs go on side by side. */
  side?: number;
  /** Of one engine only. */
  engine?: string;
  /** Told of every run that is over. */
  onRun?: (plan: Case, outcome: Outcome) => void;
}

/** A run that failed. */
export class LabFailure extends Error {
  constructor(readonly seed: number, readonly plan: Case, cause: unknown) {
    super(
      `Seed ${seed} fails: repeat it with "deno task lab --seed ${seed}"\n${messageOf(cause)}`,
      { cause },
    );
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Runs seeds, some side by side, until one fails, which is thrown; gives how many were run. */
export async function runLab(options: LabOptions): Promise<number> {
  const { seed, runs, duration = Infinity, side = 1, engine, onRun } = options;
  const end = performance.now() + duration;
  let next = seed;
  while (next < seed + runs && performance.now() < end) {
    // What is left behind is found when all have ended.
    const batch: Promise<void>[] = [];
    while (batch.length < side * 8 && next < seed + runs) {
      const lane = batch[batch.length - side] ?? Promise.resolve();
      const mine = next++;
      batch.push(lane.then(() => one(mine, engine, onRun)));
    }
    const outcomes = await Promise.allSettled(batch);
    const left = leftovers();
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
    if (left.length > 0) {
      throw new Error(`Seeds ${next - batch.length} to ${next - 1} leave ${left.join("\n")}`);
    }
  }
  return next - seed;
}

async function one(seed: number, engine?: string, onRun?: LabOptions["onRun"]): Promise<void> {
  // Seeds that follow each other take turns with the engines.
  const plan = makeCase(seed, engine ?? engines[seed % engines.length].name);
  try {
    onRun?.(plan, await runCase(plan));
  } catch (error) {
    throw new LabFailure(seed, plan, error);
  }
}

/** Whether a case fails; what it leaves behind counts. */
export async function failsNow(plan: Case): Promise<boolean> {
  try {
    await runCase(plan);
    return leftovers().length > 0;
  } catch {
    leftovers();
    return true;
  }
}

/** The smallest case like this one that fails. */
export function reduce(plan: Case, milliseconds: number): Promise<Case> {
  return shrink(plan, failsNow, { tries: 3, until: performance.now() + milliseconds });
}
