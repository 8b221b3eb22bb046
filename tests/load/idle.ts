// Many connections on which nothing happens: what each of them costs, and that all of it comes back.

import { socket, task, tls } from "../../mod.ts";
import type { Counter } from "../lab/soak/holdings.ts";
import { countsOf, growth, type Held, heldAtRest, heldNow } from "./held.ts";

/** Who listens, and what clients are to trust. */
export interface Kind {
  readonly name: string;
  listen(): socket.SocketId;
  readonly ca?: string;
  /** The most that one connection may cost at one end, in bytes. */
  readonly most: { heap: number; external: number; rss: number };
}

const certificate = tls.selfsigned(["localhost"]);
/** On a machine that has other things to do. */
const handshakeTimeout = 120_000;

export const kinds: readonly Kind[] = [
  {
    name: "tcp",
    listen: () => socket.tcpserver("127.0.0.1", 0),
    most: { heap: 6000, external: 8000, rss: 25_000 },
  },
  {
    name: "tls",
    ca: certificate.cert,
    listen: () => tls.tcpserver("127.0.0.1", 0, { ...certificate, handshakeTimeout }),
    most: { heap: 30_000, external: 30_000, rss: 250_000 },
  },
  {
    name: "tls, native",
    ca: certificate.cert,
    listen: () => tls.tcpserver("127.0.0.1", 0, { ...certificate, handshakeTimeout, native: true }),
    most: { heap: 6000, external: 8000, rss: 250_000 },
  },
];

/** What connections cost at one end, each of them, in bytes. */
export type Each = Record<"heap" | "external" | "rss", number>;

export interface Idled {
  /** Nothing was asked of them; then a recv waited on each. */
  readonly idle: Each;
  readonly receiving: Each;
  /** The same at the clients' end. */
  readonly clients: { readonly idle: Each; readonly receiving: Each };
  /** What was not given back by either process, and what cost more than it may. */
  readonly wrong: readonly string[];
}

/** The most that memory may differ without any reason, in bytes. */
const NOISE: Each = { heap: 2_000_000, external: 2_000_000, rss: 32_000_000 };

/** So many come and go first, so that code and tables are in place. */
const EARLIER = 100;

/** Has a process of its own connect so many times; all must be alive in the end. */
export async function runIdle(kind: Kind, count: number, counter: Counter): Promise<Idled> {
  const start = heldNow(counter);
  await visit(kind, EARLIER, counter, start);
  const before = { ...await heldAtRest(counter, start), ...countsOf(start) };
  const idled = await visit(kind, count, counter, before);
  const first = await heldAtRest(counter, before);
  // What the system has given stays with the process, for the next who come.
  const again = await visit(kind, count, counter, before);
  const second = await heldAtRest(counter, before);
  const wrong = [
    ...idled.wrong,
    ...again.wrong,
    ...growth({ ...before, rss: Infinity }, first),
    ...growth({ ...before, rss: first.rss }, second),
  ];
  for (const each of [idled.idle, idled.receiving, idled.clients.idle, idled.clients.receiving]) {
    wrong.push(...tooMuch(kind, each, count));
  }
  return { ...idled, wrong };
}

function tooMuch({ most }: Kind, each: Each, count: number): string[] {
  return (["heap", "external", "rss"] as const)
    .filter((key) => each[key] > most[key] + NOISE[key] / count)
    .map((key) => `${key}: ${each[key]} bytes for each connection`);
}

/** What each connection costs: what is held more than before. */
export function perConnection(before: Held, now: Held, count: number): Each {
  const each = (key: keyof Each) => Math.round((now[key] - before[key]) / count);
  return { heap: each("heap"), external: each("external"), rss: each("rss") };
}

/** What the process of the clients is told, and what it tells. */
export interface Told {
  readonly address: socket.Address;
  readonly count: number;
  readonly ca?: string;
}

async function visit(
  { listen, ca }: Kind,
  count: number,
  counter: Counter,
  before: Held,
): Promise<Idled> {
  const server = listen();
  const told: Told = { address: socket.getlocal(server), count, ca };
  const clients = start(told);
  const ids: socket.SocketId[] = [];
  while (ids.length < count) ids.push(await task.await(socket.accept(server)));
  const idle = await clients.line();
  const here = perConnection(before, heldNow(counter), count);
  // Now both ends wait for what the other sends.
  const receiving = ids.map((id) => socket.recv(id));
  const there = await clients.line();
  const waiting = perConnection(before, heldNow(counter), count);
  await Promise.all(ids.map((id) => task.await(socket.send(id, "x"))));
  const answers = await Promise.all(receiving.map((id) => task.await(id)));
  const wrong = answers.every(([byte]) => byte === 120) ? [] : ["a connection is not alive"];
  await Promise.all(ids.map((id) => task.await(socket.finish(id, { timeout: 60_000 }))));
  socket.close(server);
  wrong.push(...await clients.line());
  await clients.ended();
  return { idle: here, receiving: waiting, clients: { idle, receiving: there }, wrong };
}

/** Starts the process of the clients; each line that it prints is JSON. */
function start(told: Told) {
  const root = new URL("../../", import.meta.url);
  const config = new URL("deno.json", root).pathname;
  const program = new URL("clients.ts", import.meta.url).pathname;
  const args = ["run", "--allow-all", "--v8-flags=--expose-gc", "--config", config, program];
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args, JSON.stringify(told)],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const read = async () => {
    const { value, done } = await reader.read();
    if (done) throw new Error(`The clients ended early: ${text}`);
    text += value;
  };
  return {
    async line() {
      while (!text.includes("\n")) await read();
      const end = text.indexOf("\n");
      const line = text.slice(0, end);
      text = text.slice(end + 1);
      return JSON.parse(line);
    },
    async ended() {
      while (!(await reader.read()).done);
      const { code } = await child.status;
      if (code !== 0) throw new Error(`The clients ended with ${code}`);
    },
  };
}
