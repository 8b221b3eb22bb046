// With which codes a program may learn of what went wrong on the way.

import { socket } from "../../mod.ts";
import type { Engine } from "./engines.ts";
import type { Act } from "./schedule.ts";

/** What a program was doing when it learned of it. */
export type Doing = "handshake" | "send" | "receive" | "finish";

/** How a connection is broken, for those who use it. */
type Fate = "ends" | "breaks" | "is altered" | "is silent";

const FATES: Partial<Record<Act, Fate>> = {
  cut: "ends",
  reset: "breaks",
  "lose client": "breaks",
  "lose server": "breaks",
  flip: "is altered",
  swallow: "is silent",
  stall: "is silent",
};

/**
 * Which of several it is depends on the moment, and cannot be known:
 *
 * - The system tells whoever writes to a peer that is gone `EPIPE` if it knew before, else `ECONNRESET`
 *   when the peer's system answers; and whoever ends a connection that is gone `ENOTCONN`.
 * - A connection whose other end was closed with bytes unread is reset, or merely ends, by whose came first.
 *   Over a Unix socket there is no reset but this one.
 */
const GONE = ["ECONNRESET", "EPIPE"];

const ALLOWED: Record<Fate, Record<Doing, readonly string[]>> = {
  ends: {
    // In clear a cut is an end, too; TLS tells them apart. It resets those who still send.
    receive: ["EUNEXPECTEDEOF", "ECONNRESET"],
    send: [...GONE, "ENOTCONN"],
    finish: [...GONE, "ENOTCONN", "EUNEXPECTEDEOF"],
    handshake: [...GONE, "EUNEXPECTEDEOF", "REFUSED"],
  },
  breaks: {
    receive: ["ECONNRESET", "EUNEXPECTEDEOF"],
    send: [...GONE, "ENOTCONN"],
    finish: [...GONE, "ENOTCONN", "EUNEXPECTEDEOF"],
    handshake: [...GONE, "EUNEXPECTEDEOF", "REFUSED"],
  },
  "is altered": {
    // Whoever sees it says so to the other with an alert, and closes.
    receive: ["EPROTO", "ALERT", "EUNEXPECTEDEOF", "ECONNRESET"],
    send: ["EPROTO", "ALERT", ...GONE],
    finish: ["EPROTO", "ALERT", ...GONE, "ENOTCONN", "EUNEXPECTEDEOF"],
    handshake: ["EPROTO", "ALERT", ...GONE, "EUNEXPECTEDEOF", "REFUSED"],
  },
  "is silent": { receive: [], send: [], finish: [], handshake: [] },
};

/** What is left when the laboratory itself gives up, and closes. */
const GIVEN_UP = ["ECONNABORTED", "EBADF", "given up"];

/** What is wrong with a failure; `undefined` if nothing is. */
export function objectionTo(
  error: unknown,
  doing: Doing,
  acts: readonly Act[],
  engine: Engine,
  gaveUp: boolean,
): string | undefined {
  const code = codeOf(error);
  if (gaveUp && GIVEN_UP.includes(code)) return undefined;
  if (!(error instanceof socket.SocketError) && code !== "REFUSED") {
    return `this is no SocketError: ${Deno.inspect(error)}`;
  }
  if (acts.length === 0) return `${code}, and nothing was wrong with the way`;
  // A gentle close waits for a peer that may never hear of it.
  if (doing === "finish" && code === "ETIMEDOUT") return undefined;
  // An altered byte is nobody's business in clear, unless it was of the lines before a handshake.
  const fates = acts.filter((act) => act !== "flip" || engine.tls).map((act) => FATES[act]!);
  const general = /^ERR_SSL_.*_ALERT_/.test(code) ? "ALERT" : code;
  if (fates.some((fate) => ALLOWED[fate][doing].includes(general))) return undefined;
  return `${code} after ${acts}`;
}

/** TLS tells a stream that was cut from one that ended; in clear, nobody can. */
export function mayEndShort(acts: readonly Act[], { tls, name }: Engine): boolean {
  if (tls) return false;
  const fates = acts.map((act) => FATES[act]);
  return fates.includes("ends") || (name === "unix" && fates.includes("breaks"));
}

export function codeOf(error: unknown): string {
  return (error as { code?: string })?.code ?? String(error);
}
