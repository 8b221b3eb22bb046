/** A repeatable source of randomness: the same seed gives the same numbers (mulberry32). */
export class Random {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed;
  }

  /** From 0 to just below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from `min` to `max`. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.next() * n < 1;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.integer(0, items.length - 1)];
  }
}

/** A new seed for every run; `TASKIO_SEED` repeats a failed one. */
export function newSeed(): number {
  const given = Deno.env.get("TASKIO_SEED");
  return given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
}

/** Runs a test with a new seed, which is told if it fails. */
export async function withSeed(run: (random: Random) => Promise<void>): Promise<void> {
  const seed = newSeed();
  try {
    await run(new Random(seed));
  } catch (error) {
    console.error(`Repeat this failure with TASKIO_SEED=${seed}`);
    throw error;
  }
}
