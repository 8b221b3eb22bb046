// What the monitor is told, and the rates that two snapshots make.

import type { socket, task } from "@taskio/net";

/** What `publish` sends. */
export interface Snapshot {
  readonly pid: number;
  /** Milliseconds on the program's own clock. */
  readonly time: number;
  readonly sockets: readonly socket.SocketRecord[];
  /** The Running ones. */
  readonly tasks: readonly task.TaskRecord[];
  /** How many have settled and are unclaimed. */
  readonly settled: number;
}

/** One socket, and what went through it per second since the snapshot before. */
export interface SocketRow {
  readonly record: socket.SocketRecord;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Connections that accepts have taken. */
  readonly accepted: number;
}

/** One task, and who is at the far end of its socket. */
export interface TaskRow {
  readonly record: task.TaskRecord;
  readonly place: string;
}

/** A snapshot without the monitor's own sockets and tasks, which are those at `path`. */
export function withoutMonitor(snapshot: Snapshot, path: string): Snapshot {
  const isOwn = ({ local }: socket.SocketRecord) => local?.[0] === path;
  const own = new Set(snapshot.sockets.filter(isOwn).map(({ id }) => id));
  return {
    ...snapshot,
    sockets: snapshot.sockets.filter(({ id }) => !own.has(id)),
    tasks: snapshot.tasks.filter(({ socket }) => socket === undefined || !own.has(socket)),
  };
}

/** The rows of all sockets. Without a snapshot before, the rates are those of its whole life. */
export function socketRows(now: Snapshot, before?: Snapshot): SocketRow[] {
  const old = new Map(before?.sockets.map((record) => [record.id, record]));
  return now.sockets.map((record) => {
    const was = old.get(record.id);
    const ms = was === undefined ? record.age : now.time - before!.time;
    const rate = (count: (record: socket.SocketRecord) => number) =>
      ms <= 0 ? 0 : (count(record) - (was === undefined ? 0 : count(was))) * 1000 / ms;
    return {
      record,
      bytesIn: rate((record) => record.kind === "stream" ? record.bytesIn : 0),
      bytesOut: rate((record) => record.kind === "stream" ? record.bytesOut : 0),
      accepted: rate((record) => record.kind === "listener" ? record.accepted : 0),
    };
  });
}

export function taskRows({ sockets, tasks }: Snapshot): TaskRow[] {
  const places = new Map(sockets.map((record) => [record.id, placeOf(record)]));
  return tasks.map((record) => ({ record, place: places.get(record.socket!) ?? "" }));
}

/** The address by which one knows a socket: the far end of a connection, else its own. */
export function placeOf(record: socket.SocketRecord): string {
  return formatAddress(record.kind === "stream" ? record.remote : record.local);
}

/** An address as it is usually written; of a Unix socket, its path. */
export function formatAddress(address: socket.Address | undefined): string {
  if (address === undefined) return "";
  const [place, port] = address;
  if (/^[\d.]+$/.test(place)) return `${place}:${port}`;
  if (/^[\da-f:.]*:[\da-f:.]*$/i.test(place)) return `[${place}]:${port}`;
  return place;
}
