// What is to go wrong on the way of a connection, chosen by a seed.

import { Random } from "../random.ts";
import { engines } from "./engines.ts";

/** A direction: `up` is from the client to the server. */
export type Way = "up" | "down";

/** How bytes go on, from a position on; and what ends their way. */
export type Act =
  | "delay" // wait so many milliseconds before each piece
  | "jitter" // and up to so many more
  | "rate" // so many bytes in a millisecond, 0 for any number
  | "slice" // at most so many bytes at a time
  | "flip" // the byte at this position is changed by this mask
  | "swallow" // what comes is taken and goes nowhere
  | "stall" // nothing is taken any more
  | "cut" // both ends see the end of the stream
  | "reset" // both ends are reset
  | "lose client" // the client is reset, the server hears nothing more
  | "lose server"; // the other way round

/** Something that happens when so many bytes have gone this way. */
export interface Step {
  way: Way;
  /** After so many bytes. */
  at: number;
  /** And then so many milliseconds, while bytes go on. */
  after: number;
  act: Act;
  value: number;
}

/** One run of the laboratory: everything that a seed decides. */
export interface Case {
  engine: string;
  /** Of what both ends do. */
  seed: number;
  /** How many bytes are sent each way. */
  up: number;
  down: number;
  steps: Step[];
}

/** Acts after which not everything need arrive. */
export const FATAL: readonly Act[] = [
  "flip",
  "swallow",
  "stall",
  "cut",
  "reset",
  "lose client",
  "lose server",
];

/** The case that belongs to a seed. */
export function makeCase(seed: number, only?: string): Case {
  const random = new Random(seed);
  const { name } = random.pick(engines);
  const engine = only ?? name;
  // Enough of them now and then that sends wait for the peer.
  const fatal = random.oneIn(2);
  const magnitude = random.oneIn(fatal ? 2 : 6) ? 21.5 : 18;
  const [up, down] = [someBytes(random, magnitude), someBytes(random, magnitude)];
  const steps: Step[] = [];
  for (let n = random.integer(0, 4); n > 0; n--) steps.push(gentleStep(random));
  if (fatal) steps.push(fatalStep(random, up, down));
  if (random.oneIn(12)) steps.push(fatalStep(random, up, down));
  return { engine, seed: random.integer(0, 2 ** 31 - 1), up, down, steps };
}

/** Few bytes as often as many. */
function someBytes(random: Random, magnitude: number): number {
  return random.oneIn(10) ? 0 : Math.floor(2 ** (random.next() * magnitude));
}

function gentleStep(random: Random): Step {
  const step = { way: wayOf(random), at: position(random, 200_000), after: 0 };
  switch (random.integer(0, 3)) {
    case 0:
      return { ...step, act: "delay", value: random.integer(0, 15) };
    case 1:
      return { ...step, act: "jitter", value: random.integer(1, 10) };
    case 2:
      return { ...step, act: "rate", value: random.pick([0, 20, 500, 5000]) };
    default:
      return { ...step, act: "slice", value: random.pick([1, 1, 2, 5, 16, 100, 1400, 70_000]) };
  }
}

function fatalStep(random: Random, up: number, down: number): Step {
  const way = wayOf(random);
  const act = random.pick(FATAL);
  // Handshakes come before what is sent, and records are a little longer than what they hold.
  const at = position(random, (way === "up" ? up : down) * 1.02 + 3000);
  const after = act !== "flip" && random.oneIn(2) ? random.integer(0, 30) : 0;
  return { way, at, after, act, value: act === "flip" ? random.integer(1, 255) : 0 };
}

function wayOf(random: Random): Way {
  return random.oneIn(2) ? "up" : "down";
}

/** Anywhere, and often near the beginning. */
function position(random: Random, max: number): number {
  return Math.floor(random.oneIn(3) ? random.next() * Math.min(max, 2500) : random.next() * max);
}
