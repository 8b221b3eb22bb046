import type { Outcome } from "./run.ts";
import type { Case } from "./schedule.ts";

/** What faulted in a run, and with which code: a row for each. */
export function codesOf({ engine }: Case, { acts, codes }: Outcome): string[] {
  const what = [...new Set(acts)].toSorted().join(" and ");
  return [...codes].map(([who, code]) => `${engine}, ${what}: ${who} ${code}`);
}
