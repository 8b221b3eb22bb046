/**
 * The benchmark: CPU time of a server process per unit of work, as a ratio to the bare Deno API in
 * the same run. README.md tells how to read what it prints.
 */
import { parseArgs } from "@std/cli";
import { ARMS, missing, versions } from "./arms.ts";
import type { Entry, Profile } from "./measure.ts";
import { cores } from "./cores.ts";
import { frames } from "./frames.ts";
import { flat, idle } from "./memory.ts";
import type { Row } from "./row.ts";
import { start } from "./start.ts";
import { picture } from "./picture.ts";
import { table } from "./table.ts";
import { bulk, burst, connects, layers, pingPong, scale, smallBulk, tls } from "./workloads.ts";

const HELP = `Measures taskio against the bare Deno API and others, on loopback.

Usage: deno task bench [options]

  --short            five short rounds, under a minute (default)
  --long             for figures that are quoted: some twenty minutes
  --only 1,3,5       these workloads only
  --arms raw,taskio  these arms only, of: ${Object.keys(ARMS).join(", ")}
  --rounds N         rounds per launch of a server
  --window MS        length of a window; in bulk five times as long
  --bun PATH         where Bun is, if not on the PATH
  --json             for machines
  --svg PATH         draws the ratios
  --help             this text

Workloads: 1 ping-pong, 2 bulk echo, 3 bulk echo with 4 KiB, 4 connect-echo-close, 5 burst,
6 TLS, 7 memory, 8 cold start, 9 ping-pong at 10,000 connections (with --long or --only), 10 relay,
streams, completion queue and serve (with --long, --only or --arms), 11 a frame of a host that polls,
12 two processes on two cores (with --long, --only or --arms).`;

const PROFILES: Record<"short" | "long", Profile> = {
  short: { launches: 1, rounds: 5, window: 100, bulkWindow: 200, warmup: 200, all: false },
  long: { launches: 3, rounds: 8, window: 250, bulkWindow: 1_000, warmup: 1_000, all: true },
};

const flags = parseArgs(Deno.args, {
  boolean: ["short", "long", "json", "help"],
  string: ["only", "arms", "rounds", "window", "bun", "svg"],
  unknown: (flag) => fail(`Unknown option: ${flag}`),
});
if (flags.help) {
  console.log(HELP);
  Deno.exit();
}
if (Deno.build.os !== "linux") fail("The load generator calls the C library of Linux");
if (flags.bun) ARMS.bun[0] = flags.bun;

const length = flags.long ? "long" : "short";
const profile = { ...PROFILES[length] };
profile.all ||= flags.only !== undefined || flags.arms !== undefined;
if (flags.rounds !== undefined) {
  profile.rounds = Number(flags.rounds);
  if (!(Number.isInteger(profile.rounds) && profile.rounds > 0)) fail("--rounds must be 1 or more");
}

if (flags.window !== undefined) {
  profile.window = Number(flags.window);
  if (!(profile.window > 0)) fail("--window must be more than 0");
  profile.bulkWindow = 5 * profile.window;
}

const arms = list(flags.arms, Object.keys(ARMS)).filter((arm) => {
  if (!flags.arms && arm === "again") return length === "long";
  const reason = missing(arm);
  if (reason) console.error(`Without ${arm}: ${reason}`);
  return !reason;
});
const choose = (entries: Entry[]) => entries.filter(({ arm }) => arms.includes(arm));

/** The short run measures TLS for ours and the bare API only, to stay under a minute. */
const chooseTls = (entries: Entry[]) =>
  length === "long" || flags.only || flags.arms
    ? choose(entries)
    : choose(entries).filter(({ arm }) => arm === "raw" || arm === "taskio");

const WORKLOADS: Record<string, () => Promise<Row[]>> = {
  1: () => pingPong(choose, profile),
  2: () => bulk(choose, profile),
  3: () => smallBulk(choose, profile),
  4: () => connects(choose, profile),
  5: () => burst(choose, profile),
  6: () => tls(chooseTls, profile),
  7: async () => [
    ...await idle(choose, profile),
    ...arms.includes("taskio") ? await flat(length) : [],
  ],
  8: () => start(choose, profile),
  9: () => scale(choose, profile),
  10: () => layers(choose, profile),
  11: () => frames(choose, profile),
  12: () => cores(choose, profile),
};

const started = Date.now();
const rows: Row[] = [];
for (const number of list(flags.only, Object.keys(WORKLOADS))) {
  if (!flags.only && number === "9" && length === "short") continue;
  if (!profile.all && (number === "10" || number === "12")) continue;
  console.error(`Workload ${number} …`);
  rows.push(...await WORKLOADS[number]());
}
const seconds = Math.round((Date.now() - started) / 1000);

if (flags.svg) Deno.writeTextFileSync(flags.svg, picture(rows));

const run = { date: new Date().toISOString(), length, ...profile, seconds, ...versions(arms) };
if (flags.json) {
  console.log(JSON.stringify({ ...run, rows }, null, 2));
} else {
  console.log(Object.entries(run).map(([name, value]) => `${name} ${value}`).join(", ") + "\n");
  console.log(table(rows));
}

function list(flag: string | undefined, known: string[]): string[] {
  if (flag === undefined) return known;
  const chosen = flag.split(",");
  for (const name of chosen) {
    if (!known.includes(name)) fail(`Unknown: ${name}. There are ${known.join(", ")}`);
  }
  return known.filter((name) => chosen.includes(name));
}

function fail(message: string): never {
  console.error(message);
  Deno.exit(2);
}
