import type { Sample, Series } from "./measure.ts";

/** What a column of figures is in: `size` of the measured units make one. */
export interface Unit {
  name: string;
  size: number;
}

/** A median with its extremes. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** One line of the table. */
export interface Row {
  workload: string;
  arm: string;
  unit: string;
  value?: Spread;
  /** The value over that of the first arm, round by round; 1 for the first itself. */
  ratio?: Spread;
  /** All the CPU time over all the work, as a ratio to the same of the first arm. */
  sums?: number;
  /** Shares of a core that the server and the load took: the medians. */
  server?: number;
  load?: number;
  /** Units of work per second of wall time: on a shared machine, for the curious only. */
  rate?: number;
  note?: string;
}

export function spread(values: number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  return {
    median: (sorted[Math.ceil(half) - 1] + sorted[Math.floor(half)]) / 2,
    min: sorted[0],
    max: sorted[sorted.length - 1],
  };
}

/** Ratios of the windows of one round: what slowed the machine down in it slowed both. */
export function ratios(values: number[], base: number[]): Spread | undefined {
  return spread(values.slice(0, base.length).map((value, i) => value / base[i]));
}

/** How much work was done per second, for what costs time and no CPU. */
export function rates(workload: string, unit: string, series: Series[]): Row[] {
  const base = series[0]?.samples.map(({ rate }) => rate) ?? [];
  return series.map(({ entry, samples, failure }) => ({
    workload,
    arm: entry.label ?? entry.arm,
    unit,
    value: spread(samples.map(({ rate }) => rate)),
    ratio: ratios(samples.map(({ rate }) => rate), base),
    note: failure,
  }));
}

/** CPU time per unit over all windows together. */
function overAll(samples: Sample[]): number {
  const units = samples.reduce((sum, sample) => sum + sample.units, 0);
  return samples.reduce((sum, { cpu, units }) => sum + cpu * units, 0) / units;
}

export function rows(workload: string, unit: Unit, series: Series[]): Row[] {
  const base = series[0]?.samples.map(({ cpu }) => cpu) ?? [];
  const baseOfAll = overAll(series[0]?.samples ?? []);
  return series.map(({ entry, samples, failure }) => ({
    workload,
    arm: entry.label ?? entry.arm,
    unit: unit.name,
    value: spread(samples.map(({ cpu }) => cpu / unit.size)),
    ratio: ratios(samples.map(({ cpu }) => cpu), base),
    sums: samples.length > 0 ? overAll(samples) / baseOfAll : undefined,
    server: spread(samples.map(({ server }) => server))?.median,
    load: spread(samples.map(({ load }) => load))?.median,
    rate: spread(samples.map(({ rate }) => rate))?.median,
    note: failure,
  }));
}
