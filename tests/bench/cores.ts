/**
 * Workload 12: what a second process gains. Requests that cost the server 100 µs of computing, answered
 * by one process, by two on one port and by two behind HAProxy.
 */
import { hasHaproxy, startHaproxy } from "../balancers.ts";
import { Connects, Exchange, type Load } from "./load/mod.ts";
import type { Profile, Series } from "./measure.ts";
import { rates, type Row } from "./row.ts";
import { Server, type ServerOptions } from "./server.ts";
import type { Choose } from "./workloads.ts";

/** Who answers. */
interface Layout {
  label: string;
  processes: number;
  /** Whether HAProxy stands in front; else they share a port if there is more than one. */
  proxied: boolean;
}

const LAYOUTS: Layout[] = [
  { label: "one process", processes: 1, proxied: false },
  { label: "two, reusePort", processes: 2, proxied: false },
  { label: "one behind HAProxy", processes: 1, proxied: true },
  { label: "two behind HAProxy", processes: 2, proxied: true },
];

const LOADS: [string, (port: number) => Load][] = [
  [
    "12 100 µs of work, 64 connections",
    (port) => new Exchange(port, { connections: 64, request: 64, reply: 64 }),
  ],
  ["12 100 µs of work, a connection each", (port) => new Connects(port, 32)],
];

export async function cores(choose: Choose, profile: Profile): Promise<Row[]> {
  if (choose([{ arm: "taskio", kind: "work" }]).length === 0) return [];
  const layouts = LAYOUTS.filter(({ proxied }) => hasHaproxy || !proxied);
  const result: Row[] = [];
  for (const [workload, load] of LOADS) {
    const measured = layouts.map(({ label }) => ({
      series: { entry: { arm: "taskio", kind: "work", label }, samples: [] } as Series,
      spread: [] as string[],
    }));
    for (let launch = 0; launch < profile.launches; launch++) {
      for (const [i, layout] of layouts.entries()) {
        const { series, spread } = measured[i];
        await using fleet = await startFleet(layout);
        using work = load(fleet.port);
        await work.run(profile.warmup);
        for (let round = 0; round < profile.rounds; round++) {
          const start = performance.now();
          const units = await work.run(profile.window);
          const seconds = (performance.now() - start) / 1000;
          series.samples.push({ cpu: NaN, units, rate: units / seconds, server: NaN, load: NaN });
        }
        spread.push((await fleet.accepted()).join(" + "));
      }
    }
    const rows = rates(workload, "/s", measured.map(({ series }) => series));
    rows.forEach((row, i) => row.note ??= `connections ${measured[i].spread.join(", ")}`);
    result.push(...rows);
  }
  return result;
}

interface Fleet extends AsyncDisposable {
  /** Where to connect. */
  readonly port: number;
  /** How many connections each process has accepted. */
  accepted(): Promise<number[]>;
}

async function startFleet({ processes, proxied }: Layout): Promise<Fleet> {
  await using stack = new AsyncDisposableStack();
  const servers: Server[] = [];
  const options: ServerOptions = { kind: "work", reusePort: !proxied && processes > 1 };
  for (let i = 0; i < processes; i++) {
    const port = options.reusePort ? servers[0]?.port : undefined;
    servers.push(stack.use(await Server.start("taskio", { ...options, port })));
  }
  let { port } = servers[0];
  if (proxied) {
    const ports = servers.map(({ port }) => port);
    port = stack.use(await startHaproxy((port, folder) => balance(port, folder, ports))).port;
  }
  const all = stack.move();
  return {
    port,
    accepted: () => Promise.all(servers.map((server) => server.accepted())),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

const balance = (port: number, folder: string, ports: number[]) => `
global
  stats socket ${folder}/admin.sock level admin
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 1m
  timeout server 1m
frontend public
  bind 127.0.0.1:${port}
  default_backend processes
backend processes
  balance leastconn
${ports.map((port, i) => `  server process${i} 127.0.0.1:${port}`).join("\n")}
`;
