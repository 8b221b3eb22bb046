/** Workloads 1 to 6, 9 and 10: servers under load, measured in CPU time per unit of work. */
import { exists } from "./arms.ts";
import { Bulk, Connects, Exchange, TlsBulk, TlsHandshakes, TlsPingPong } from "./load/mod.ts";
import { type Entry, measure, type Profile, type Series } from "./measure.ts";
import { rates, type Row, rows } from "./row.ts";

const MICROSECONDS = { name: "µs", size: 1 };
const SECONDS = { name: "s", size: 1e6 };

export const everyone: Entry[] = ["raw", "again", "taskio", "node:net", "node", "bun"]
  .map((arm) => ({ arm, kind: "echo" }));

/** Puts the other ways to echo with taskio behind the plain one. */
const withVariants: Entry[] = everyone.flatMap((entry) =>
  entry.arm === "taskio"
    ? [
      entry,
      { ...entry, label: "taskio transfer", kind: "transfer" },
      { ...entry, label: "taskio recvInto", kind: "into" },
    ]
    : [entry]
);

/** Puts the other engine of taskio's TLS behind the default one. */
const withNative: Entry[] = everyone.flatMap((entry) =>
  entry.arm === "taskio" ? [entry, { ...entry, label: "taskio native", native: true }] : [entry]
);

/** What the command line leaves of a list of entries. */
export type Choose = (entries: Entry[]) => Entry[];

export async function pingPong(choose: Choose, profile: Profile): Promise<Row[]> {
  const result: Row[] = [];
  for (const bytes of profile.all ? [64, 256, 1000] : [64]) {
    const load = (port: number) =>
      new Exchange(port, { connections: 64, request: bytes, reply: bytes });
    const entries = bytes === 64
      ? choose(everyone)
      : choose(withVariants.filter(({ arm }) => arm !== "bun"));
    const series = await measure(entries, load, profile);
    result.push(...rows(`1 ping-pong, 64 × ${bytes} B`, MICROSECONDS, series));
  }
  return result;
}

/** The two shapes of load in bulk. */
const SHAPES = [["", false], [", flood", true]] as const;
const shapes = (profile: Profile) => profile.all ? SHAPES : SHAPES.slice(0, 1);

export async function bulk(choose: Choose, profile: Profile): Promise<Row[]> {
  const result: Row[] = [];
  for (const [name, flood] of shapes(profile)) {
    const load = (port: number) => new Bulk(port, 4, { flood });
    const series = await measure(choose(withVariants), load, inBulk(profile));
    result.push(...rows(`2 bulk echo, 64 KiB${name}, per GB`, SECONDS, series));
  }
  return result;
}

const inBulk = (profile: Profile) => ({ ...profile, window: profile.bulkWindow });

export async function smallBulk(choose: Choose, profile: Profile): Promise<Row[]> {
  const entries = choose([
    { arm: "raw", kind: "echo", size: 4096 },
    { arm: "again", kind: "echo", size: 4096 },
    { arm: "taskio", kind: "echo", size: 4096 },
    { arm: "taskio", label: "taskio transfer", kind: "transfer", size: 4096 },
    { arm: "taskio", label: "taskio recvInto", kind: "into", size: 4096 },
  ]);
  const result: Row[] = [];
  for (const [name, flood] of shapes(profile)) {
    const load = (port: number) => new Bulk(port, 4, { flood });
    const series = await measure(entries, load, inBulk(profile));
    result.push(...rows(`3 bulk echo, 4 KiB${name}, per GB`, SECONDS, series));
  }
  return result;
}

export async function connects(choose: Choose, profile: Profile): Promise<Row[]> {
  const series = await measure(choose(everyone), (port) => new Connects(port, 16), profile);
  return rows("4 connect, echo, close", MICROSECONDS, series);
}

export async function burst(choose: Choose, profile: Profile): Promise<Row[]> {
  const entries = choose(everyone).map((entry) => ({ ...entry, kind: "burst" }));
  const load = (port: number) => new Exchange(port, { connections: 4, request: 1, reply: 64_000 });
  const series = await measure(entries, load, profile);
  return rows("5 burst, per 1,000 × 64 B", MICROSECONDS, series);
}

export async function tls(choose: Choose, profile: Profile): Promise<Row[]> {
  if (!exists("tls/mod.ts")) return [];
  // By a computed name, so that this file type-checks while there is no tls folder.
  const { selfsigned } = await import(new URL("../../tls/mod.ts", import.meta.url).href);
  const pair: { cert: string; key: string } = await selfsigned(["localhost", "127.0.0.1"]);
  const entries = choose(withNative).map((entry) => ({ ...entry, tls: pair }));
  const result: Row[] = [];
  for (
    const [title, unit, load] of [
      ["6 TLS ping-pong", MICROSECONDS, (port: number) => TlsPingPong.open(port, pair.cert, 64)],
      ["6 TLS bulk, per GB", SECONDS, (port: number) => TlsBulk.open(port, pair.cert, 4)],
      ["6 TLS handshake", MICROSECONDS, (port: number) => new TlsHandshakes(port, pair.cert, 32)],
    ] as const
  ) {
    const isBulk = unit === SECONDS;
    const measured = isBulk ? entries.flatMap(withTransfer) : entries;
    const length = isBulk ? inBulk(profile) : profile;
    result.push(...rows(title, unit, await measure(measured, load, length)));
  }
  // With Nagle's algorithm on, the second send waits for the client's delayed acknowledgement.
  const two = entries.map((entry) => ({ ...entry, kind: "two" }));
  const load = (port: number) => TlsPingPong.open(port, pair.cert, 16);
  const series = await measure(two, load, profile);
  result.push(...rows("6 TLS, two sends per answer", MICROSECONDS, series));
  result.push(...rates("6 TLS, two sends: answers", "/s", series));
  return result;
}

function withTransfer(entry: Entry): Entry[] {
  if (!entry.native) return [entry];
  return [entry, { ...entry, kind: "transfer", label: `${entry.label}, transfer` }];
}

/** The higher layers, each against what a program would do without it. */
export async function layers(choose: Choose, profile: Profile): Promise<Row[]> {
  const bytes = { request: 64, reply: 64 };
  const pingPong = (port: number) => new Exchange(port, { connections: 64, ...bytes });
  const bulk = (port: number) => new Bulk(port, 4);
  const crossed = (port: number) => new Bulk(port, 4, { crossed: true });
  const connects = (port: number) => new Connects(port, 16);
  const raw = (kind: string) => choose(["raw", "again", "taskio"].map((arm) => ({ arm, kind })));
  const own = (kind: string) =>
    choose([
      { arm: "taskio", kind: "echo", label: "awaits in an accept loop" },
      { arm: "taskio", kind: "echo", label: "again" },
      { arm: "taskio", kind, label: kind },
    ]);
  const result: Row[] = [];
  for (
    const [title, unit, entries, load] of [
      ["10 relay, per GB", SECONDS, raw("relay"), crossed],
      ["10 streams, ping-pong", MICROSECONDS, raw("streams"), pingPong],
      ["10 streams, per GB", SECONDS, raw("streams"), bulk],
      ["10 completion queue, ping-pong", MICROSECONDS, own("queue"), pingPong],
      ["10 serve: connect, echo, close", MICROSECONDS, own("serve"), connects],
    ] as const
  ) {
    const length = unit === SECONDS ? inBulk(profile) : profile;
    result.push(...rows(title, unit, await measure(entries, load, length)));
  }
  return result;
}

/**
 * 10,000 connections. First each arm against itself: what 100 busy connections cost when 9,900 more
 * are open. Then all of them busy, against raw: Deno's own cost per read grows with the number of
 * reads that complete in one turn of its loop, so 100 would be no fair base there.
 */
export async function scale(choose: Choose, profile: Profile): Promise<Row[]> {
  const bytes = { request: 64, reply: 64 };
  const entries = choose(everyone.filter(({ arm }) => arm === "raw" || arm === "taskio"));
  const result: Row[] = [];
  for (const entry of entries) {
    const pair = [100, 10_000].map((connections) => ({
      ...entry,
      label: `${entry.arm}, of ${connections.toLocaleString("en")}`,
      connections,
    }));
    const load = (port: number, { connections }: { connections: number }) =>
      new Exchange(port, { connections, busy: 100, ...bytes });
    result.push(
      ...rows("9 ping-pong, 100 busy", MICROSECONDS, await measure(pair, load, profile)),
    );
  }
  // One server at a time: the load has not descriptors enough for two.
  const load = (port: number) => new Exchange(port, { connections: 10_000, ...bytes });
  const series: Series[] = entries.map((entry) => ({ entry, samples: [] }));
  for (let launch = 0; launch < profile.launches; launch++) {
    for (const one of series) {
      const [{ samples, failure }] = await measure([one.entry], load, { ...profile, launches: 1 });
      one.samples.push(...samples);
      one.failure ??= failure;
    }
  }
  return [...result, ...rows("9 ping-pong, 10,000 busy", MICROSECONDS, series)];
}
