import { Failure, INVAL } from "./errno.ts";

const REALTIME = 0, MONOTONIC = 1;

/** A clock's time in ms: the system's, or since the host has begun. */
export function clockNow(clock: number): number {
  if (clock === REALTIME) return performance.timeOrigin + performance.now();
  if (clock === MONOTONIC) return performance.now();
  throw new Failure(INVAL);
}
