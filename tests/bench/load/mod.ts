/** What drives a server. */

/**
 * A load on one server. It is quiet before and after each run: every request it has made is
 * answered, so the CPU time between two runs belongs to the work counted between them.
 */
export interface Load extends Disposable {
  /** Works for `ms` milliseconds, then waits for the answers; gives the units of work done. */
  run(ms: number): number | Promise<number>;
}

export { Bulk } from "./bulk.ts";
export { Connects } from "./connects.ts";
export { Exchange } from "./exchange.ts";
export { TlsBulk, TlsHandshakes, TlsPingPong } from "./tls.ts";
