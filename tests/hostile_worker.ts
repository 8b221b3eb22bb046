// The thread of `hostile.ts`.

/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />

import net from "node:net";

/** Serve, or visit these ports so often each. */
export type Request = { serve: true } | { visit: number[]; times: number };

/** The things a peer may do to a connection instead of talking. All end it, sooner or later. */
const manners: ((conn: net.Socket) => unknown)[] = [
  (conn) => conn.resetAndDestroy(),
  (conn) => conn.destroy(),
  (conn) => conn.end(),
  (conn) => setTimeout(() => conn.resetAndDestroy(), 1),
  (conn) => conn.write("x", () => conn.resetAndDestroy()),
  (conn) => conn.write("x".repeat(70_000), () => conn.resetAndDestroy()),
  (conn) => conn.end("\x16\x03\x03\0\x64no handshake, though it begins like one"),
  (conn) => conn.once("data", () => conn.resetAndDestroy()),
  (conn) => conn.once("data", () => conn.destroy()),
];

/** How long a visitor waits for an answer, in milliseconds. */
const PATIENCE = 100;

/** Treats a connection badly. */
function treat(conn: net.Socket, n: number): void {
  conn.on("error", () => {}); // the other end may be quicker
  conn.resume();
  manners[n % manners.length](conn);
}

/** Connects; resolves when the connection is over, whoever ended it. */
function visitOnce(port: number, n: number): Promise<void> {
  const conn = net.connect(port, "127.0.0.1");
  const timer = setTimeout(() => conn.destroy(), PATIENCE);
  conn.on("error", () => {}); // refused, or reset before it was there
  conn.on("connect", () => treat(conn, n));
  return new Promise((resolve) => {
    conn.on("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

async function visit(ports: number[], times: number): Promise<number> {
  let visits = 0;
  const one = async () => {
    while (visits < times) {
      const n = visits++;
      for (const port of ports) await visitOnce(port, n);
    }
  };
  await Promise.all(Array.from({ length: 8 }, one));
  return visits;
}

function serve(): Promise<number> {
  let n = 0;
  const server = net.createServer((conn) => treat(conn, n++));
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as net.AddressInfo).port));
  });
}

self.onmessage = async ({ data }: MessageEvent<Request>) => {
  self.postMessage("serve" in data ? await serve() : await visit(data.visit, data.times));
};
