import type { Row, Spread } from "./row.ts";

/** Three significant digits, as far as they go; bytes whole. */
function digits(value: number, unit: string): string {
  const size = Math.abs(value);
  if (size >= 1000 || unit === "B") return Math.round(value).toLocaleString("en");
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

const range = (spread: Spread | undefined, show: (value: number) => string) =>
  spread && spread.min !== spread.max ? `${show(spread.min)} – ${show(spread.max)}` : "";

const percent = (share: number | undefined) =>
  share === undefined ? "" : `${Math.round(share * 100)} %`;

const HEAD = [
  "workload",
  "arm",
  "median",
  "",
  "min – max",
  "ratio",
  "min – max",
  "sums",
  "server",
  "load",
  "",
];

/** Which columns are figures, set to the right. */
const RIGHT = [false, false, true, false, true, true, true, true, true, true, false];

/** The rows as one aligned table; the name of a workload stands before its first arm only. */
export function table(rows: Row[]): string {
  const lines = rows.map((row, i) => [
    row.workload === rows[i - 1]?.workload ? "" : row.workload,
    row.arm,
    row.value ? digits(row.value.median, row.unit) : "–",
    row.unit,
    range(row.value, (value) => digits(value, row.unit)),
    row.ratio ? row.ratio.median.toFixed(2) : "",
    range(row.ratio, (value) => value.toFixed(2)),
    row.sums?.toFixed(2) ?? "",
    percent(row.server),
    percent(row.load),
    row.note ?? "",
  ]);
  const widths = HEAD.map((_, i) => Math.max(...[HEAD, ...lines].map((line) => line[i].length)));
  return [HEAD, ...lines].map((line) =>
    line.map((cell, i) => RIGHT[i] ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))
      .join("  ").trimEnd()
  ).join("\n");
}
