/**
 * The control line between the bench and a server: one word per line on standard input, one line of
 * JSON back on standard output. It runs under Deno, Node and Bun, and costs nothing while no
 * question is asked. When standard input ends, so does the server: a bench that dies leaves nobody
 * behind.
 */
import process from "node:process";

/**
 * What the bench asked this server for: `kind` ("echo", "burst" and others), `size` of the
 * receive buffer in bytes, and `tls` (`{cert, key}` in PEM) or nothing, with which taskio may be
 * asked for its `native` engine.
 *
 * @type {{kind: string, size: number, tls?: {cert: string, key: string}, native?: boolean,
 *   port?: number, reusePort?: boolean}}
 */
export const options = JSON.parse(process.argv[2]);

/** What a burst is made of: this message, sent {@linkcode BURST} times without awaiting. */
export const MESSAGE = new Uint8Array(64).fill(120);
export const BURST = 1000;

/** @param {unknown} value */
const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");

const answers = {
  /** User and system time of this whole process in µs (getrusage, so not in ticks of 10 ms). */
  cpu: () => {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  /** Bytes after a full garbage collection. */
  memory: () => {
    const { gc, Bun } = globalThis;
    for (let i = 0; i < 3; i++) Bun ? Bun.gc(true) : gc?.();
    const { heapUsed, external, rss } = process.memoryUsage();
    return { heap: heapUsed, external, rss };
  },
};

/**
 * Tells the bench the port, then answers its questions.
 *
 * @param {number} port
 * @param {() => number} accepted
 */
export function control(port, accepted = () => NaN) {
  let line = "";
  process.stdin.setEncoding("utf8");
  process.stdin.on("data", (text) => {
    const words = (line + text).split("\n");
    line = words.pop() ?? "";
    for (const word of words) say(word === "accepted" ? accepted() : answers[word]());
  });
  process.stdin.on("end", () => process.exit(0));
  say(port);
}
