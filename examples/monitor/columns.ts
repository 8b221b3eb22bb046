// The columns of the monitor's two tables.

import { formatAddress, placeOf, type SocketRow, type TaskRow } from "./snapshot.ts";

export interface Column<R> {
  readonly title: string;
  /** In a narrow window the highest goes first; 0 stays. */
  readonly rank: number;
  /** Whether it is a number, which goes to the right and sorts the highest first. */
  readonly number?: boolean;
  text(row: R): string;
  /** What it is sorted by; without it, the text. */
  order?(row: R): number;
}

export const SOCKET_COLUMNS: readonly Column<SocketRow>[] = [
  number("id", 0, ({ record }) => record.id, String),
  { title: "kind", rank: 2, text: kindOf },
  { title: "local", rank: 9, text: ({ record }) => formatAddress(record.local) },
  { title: "remote", rank: 1, text: remoteOf },
  number("in/s", 3, ({ bytesIn }) => bytesIn, formatCount),
  number("out/s", 3, ({ bytesOut }) => bytesOut, formatCount),
  number("in", 7, ({ record }) => record.kind === "stream" ? record.bytesIn : 0, formatCount),
  number("out", 7, ({ record }) => record.kind === "stream" ? record.bytesOut : 0, formatCount),
  number("q-in", 6, ({ record }) => record.kind === "stream" ? record.queuedIn : 0, formatCount),
  number("q-out", 4, ({ record }) => record.kind === "stream" ? record.queuedOut : 0, formatCount),
  number("tasks", 5, ({ record }) => record.pending.length, formatCount),
  number("age", 8, ({ record }) => record.age, formatAge),
];

export const TASK_COLUMNS: readonly Column<TaskRow>[] = [
  number("id", 0, ({ record }) => record.id, String),
  { title: "kind", rank: 1, text: ({ record }) => record.kind },
  number("age", 2, ({ record }) => record.age, formatAge),
  number("socket", 3, ({ record }) => record.socket ?? 0, (id) => id === 0 ? "" : String(id)),
  { title: "remote", rank: 4, text: ({ place }) => place },
];

function number<R>(
  title: string,
  rank: number,
  order: (row: R) => number,
  format: (value: number) => string,
): Column<R> {
  return { title, rank, number: true, order, text: (row) => format(order(row)) };
}

function kindOf({ record }: SocketRow): string {
  const kind = record.kind === "stream" ? record.side : record.kind;
  return record.kind !== "unbound" && record.tls ? `${kind} tls` : kind;
}

/** The far end; of a listener, which has none, what came of those who connected. */
function remoteOf({ record, accepted }: SocketRow): string {
  if (record.kind === "unbound") return "";
  if (record.kind === "stream") {
    const via = record.proxy === undefined ? "" : ` via ${formatAddress(record.proxy)}`;
    return `${placeOf(record)}${via}`;
  }
  const parts = [`${record.accepted} accepted (${formatCount(accepted)}/s)`];
  if (record.dropped > 0) parts.push(`${record.dropped} dropped`);
  if (record.handshaking > 0) parts.push(`${record.handshaking} in handshake`);
  if (record.ready > 0) parts.push(`${record.ready} ready`);
  return parts.join(", ");
}

/** A number in at most five characters: 999, 1.2k, 34k, 5.6M. */
export function formatCount(value: number): string {
  const units = ["", "k", "M", "G", "T", "P"];
  let at = 0;
  for (; value >= 999.5 && at < units.length - 1; at++) value /= 1000;
  return `${at > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)}${units[at]}`;
}

/** Milliseconds in its two highest units: 7s, 3m12s, 2h05m, 4d3h. */
export function formatAge(ms: number): string {
  const s = Math.floor(ms / 1000);
  const two = (n: number) => String(n).padStart(2, "0");
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m${two(s % 60)}s`;
  if (s < 86_400) return `${Math.floor(s / 3600)}h${two(Math.floor(s / 60) % 60)}m`;
  return `${Math.floor(s / 86_400)}d${Math.floor(s / 3600) % 24}h`;
}
