// The monitor's screen, as lines of text: no terminal is needed to make one.

import { type Column, formatCount, SOCKET_COLUMNS, TASK_COLUMNS } from "./columns.ts";
import { type Snapshot, socketRows, taskRows } from "./snapshot.ts";

export interface Line {
  readonly text: string;
  /** Whether it is the head of the table, which is shown in reverse. */
  readonly head?: boolean;
}

/** What the user has chosen. */
export class View {
  /** Which table is shown. */
  table: "sockets" | "tasks" = "sockets";
  paused = false;
  /** How many rows are above the window. */
  top = 0;
  readonly #sorts = {
    sockets: { title: "in/s", reverse: false },
    tasks: { title: "age", reverse: false },
  };

  get sort(): { title: string; reverse: boolean } {
    return this.#sorts[this.table];
  }

  /** Sorts by a column to the right or, with -1, to the left. */
  sortByNext(step: 1 | -1): void {
    const columns: readonly Column<never>[] = this.table === "sockets"
      ? SOCKET_COLUMNS
      : TASK_COLUMNS;
    const at = columns.findIndex(({ title }) => title === this.sort.title);
    this.sort.title = columns[(at + step + columns.length) % columns.length].title;
    this.sort.reverse = false;
  }

  switchTable(): void {
    this.table = this.table === "sockets" ? "tasks" : "sockets";
    this.top = 0;
  }
}

/** The lines that above and below the table are always there. */
const AROUND = 4;

/** How many rows of the table a window shows. */
export function rowsIn(height: number): number {
  return Math.max(1, height - AROUND);
}

/** Makes the lines for a window of this size: never more, and none longer. */
export function render(
  now: Snapshot,
  before: Snapshot | undefined,
  view: View,
  size: { columns: number; rows: number },
): Line[] {
  const sockets = socketRows(now, before);
  const sum = (values: number[]) => formatCount(values.reduce((sum, value) => sum + value, 0));
  const streams = now.sockets.filter((record) => record.kind === "stream");
  const listeners = now.sockets.filter((record) => record.kind === "listener");
  const summary = [
    `process ${now.pid}`,
    `${listeners.length} listening, ${streams.length} connected`,
    `in ${sum(sockets.map((row) => row.bytesIn))}/s`,
    `out ${sum(sockets.map((row) => row.bytesOut))}/s`,
    `queued ${sum(streams.map((record) => record.queuedOut))}`,
    `dropped ${sum(listeners.map((record) => record.dropped))}`,
  ].join("  ");

  const keys = `q quit  left/right sort  r reverse  t ${
    view.table === "sockets" ? "tasks" : "sockets"
  }  up/down scroll  space ${view.paused ? "go on" : "pause"}`;
  const height = rowsIn(size.rows);
  const table = view.table === "sockets"
    ? makeTable(SOCKET_COLUMNS, sockets, view, height, size.columns)
    : makeTable(TASK_COLUMNS, taskRows(now), view, height, size.columns);
  const lines: Line[] = [{ text: summary }, { text: tasksByKind(now) }, ...table];
  while (lines.length < size.rows - 1) lines.push({ text: "" });
  lines.push({ text: keys });
  return lines.slice(0, size.rows).map((line) => ({
    ...line,
    text: clip(line.text, size.columns),
  }));
}

/** How many tasks there are of each kind, the most first. */
function tasksByKind({ tasks, settled }: Snapshot): string {
  const counts = new Map<string, number>();
  for (const { kind } of tasks) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const kinds = [...counts].sort(([, a], [, b]) => b - a).map(([kind, n]) => `${n} ${kind}`);
  const waiting = settled === 0 ? "" : `  ${settled} settled and unclaimed`;
  return `${tasks.length} tasks${kinds.length === 0 ? "" : `: ${kinds.join(", ")}`}${waiting}`;
}

function makeTable<R>(
  columns: readonly Column<R>[],
  rows: R[],
  view: View,
  height: number,
  width: number,
): Line[] {
  const { title, reverse } = view.sort;
  const sorted = columns.find((column) => column.title === title)!;
  rows.sort(comparison(sorted));
  if (reverse) rows.reverse();
  view.top = Math.max(0, Math.min(view.top, rows.length - height));
  const visible = rows.slice(view.top, view.top + height);

  const mark = (sorted.number ?? false) === reverse ? "^" : "v";
  const all = columns.map((column) => {
    const title = column === sorted ? `${column.title}${mark}` : column.title;
    const cells = [title, ...visible.map((row) => printable(column.text(row)))];
    const size = Math.max(...cells.map((cell) => cell.length));
    const pad = (cell: string) => column.number ? cell.padStart(size) : cell.padEnd(size);
    return { rank: column === sorted ? 0.5 : column.rank, size, cells: cells.map(pad) };
  });
  const shown = fit(all, width);
  return [0, ...visible.keys().map((i) => i + 1)].map((i) => {
    const text = shown.map(({ cells }) => cells[i]).join("  ");
    return i === 0 ? { text: text.padEnd(width), head: true } : { text: text.trimEnd() };
  });
}

/**
 * Numbers the highest first, text in its order. Rows that are alike keep the order of their IDs.
 */
function comparison<R>({ order, text }: Column<R>): (a: R, b: R) => number {
  if (order !== undefined) return (a, b) => order(b) - order(a);
  return (a, b) => text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : 0;
}

/** Leaves out columns, the least important first, until the others fit. */
function fit<C extends { rank: number; size: number }>(columns: C[], width: number): C[] {
  const shown = [...columns];
  const total = () => shown.reduce((sum, { size }) => sum + size + 2, -2);
  while (shown.length > 1 && total() > width) {
    const rank = Math.max(...shown.map(({ rank }) => rank));
    shown.splice(shown.findLastIndex((column) => column.rank === rank), 1);
  }
  return shown;
}

/** Nothing that a program says gets to move the cursor, or takes more than one place. */
function printable(text: string): string {
  return text.replace(/[^ -~]/gu, "?");
}

function clip(text: string, width: number): string {
  return text.length <= width ? text : text.slice(0, Math.max(0, width));
}
