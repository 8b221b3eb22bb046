// From a run that fails to a smaller one that fails as well.

import type { Case, Step } from "./schedule.ts";

/** How to shrink. */
export interface ShrinkOptions {
  /** How often a smaller case may be run before it counts as one that does not fail. */
  tries: number;
  /** When to be content with what there is, by `performance.now()`. */
  until: number;
}

/** The smallest case that still fails, as far as it was found in time. */
export async function shrink(
  plan: Case,
  fails: (plan: Case) => Promise<boolean>,
  { tries, until }: ShrinkOptions,
): Promise<Case> {
  const failsSometimes = async (smaller: Case) => {
    for (let n = 0; n < tries && performance.now() < until; n++) {
      if (await fails(smaller)) return true;
    }
    return false;
  };
  for (let best = plan;;) {
    let found: Case | undefined;
    for (const smaller of smallerThan(best)) {
      if (performance.now() >= until) return best;
      if (await failsSometimes(smaller)) {
        found = smaller;
        break;
      }
    }
    if (found === undefined) return best;
    best = found;
  }
}

/** Cases that are a little smaller, the much smaller ones first. */
function* smallerThan(plan: Case): Generator<Case> {
  const { steps } = plan;
  if (steps.length > 1) yield { ...plan, steps: [] };
  for (const index of steps.keys()) yield { ...plan, steps: steps.toSpliced(index, 1) };
  for (const key of ["up", "down"] as const) {
    for (const value of lessThan(plan[key])) yield { ...plan, [key]: value };
  }
  for (const [index, step] of steps.entries()) {
    for (const smaller of smallerSteps(step)) yield { ...plan, steps: steps.with(index, smaller) };
  }
}

function* smallerSteps(step: Step): Generator<Step> {
  for (const after of lessThan(step.after)) yield { ...step, after };
  for (const at of lessThan(step.at)) yield { ...step, at };
}

/** Nothing, a half, a tenth less. */
function lessThan(value: number): number[] {
  const all = [0, Math.floor(value / 2), Math.floor(value * 0.9)];
  return [...new Set(all)].filter((less) => less < value);
}
