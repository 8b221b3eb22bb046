// poll_oneoff: waits for the first of many descriptors and clocks.

import { socket } from "@taskio/net";
import { clockNow } from "./clock.ts";
import { SEND_BUFFER, type Socket } from "./descriptor.ts";
import { BADF, errnoOf, INVAL, SUCCESS } from "./errno.ts";
import type { Program } from "./program.ts";
import type { Result } from "./waiting.ts";

const CLOCK = 0, FD_READ = 1, FD_WRITE = 2;
const ABSOLUTE = 1;
/** Sizes in memory. */
const SUBSCRIPTION = 48, EVENT = 32;
const MAX_SUBSCRIPTIONS = 65_536;

/** A poll under way. */
interface Poll {
  readonly subscriptions: DataView;
  readonly events: DataView;
  /** When it was called, on the monotonic clock. */
  readonly began: number;
  /** How many events were written. */
  found: number;
  /** When the next clock is due. */
  next: number;
}

/** Writes one event for each of `count` subscriptions that has something to tell: one at least. */
export function poll(
  program: Program,
  from: number,
  to: number,
  count: number,
  sizeAt: number,
): Result {
  const { memory, waiting } = program;
  count >>>= 0;
  if (count === 0 || count > MAX_SUBSCRIPTIONS) return INVAL;
  const poll: Poll = {
    subscriptions: memory.view(from, count * SUBSCRIPTION),
    events: memory.view(to, count * EVENT),
    began: performance.now(),
    found: 0,
    next: Infinity,
  };
  memory.setUint32(sizeAt, 0);
  waiting.settle();
  look(program, poll);
  if (poll.found === 0) return pollLater(program, poll, sizeAt);
  memory.setUint32(sizeAt, poll.found);
  return waiting.breathe(SUCCESS);
}

async function pollLater(program: Program, poll: Poll, sizeAt: number): Promise<number> {
  while (poll.found === 0) {
    await program.waiting.next(poll.next);
    look(program, poll);
  }
  program.memory.setUint32(sizeAt, poll.found);
  return SUCCESS;
}

/** Looks once at all that is polled. */
function look({ descriptors, waiting }: Program, poll: Poll): void {
  const { subscriptions } = poll;
  const now = performance.now();
  for (let at = 0; at < subscriptions.byteLength; at += SUBSCRIPTION) {
    const kind = subscriptions.getUint8(at + 8);
    if (kind === CLOCK) {
      lookAtClock(poll, at, now);
      continue;
    }
    const descriptor = descriptors.get(subscriptions.getUint32(at + 16, true));
    if (kind !== FD_READ && kind !== FD_WRITE) report(poll, at, INVAL);
    else if (descriptor === undefined) report(poll, at, BADF);
    else if (descriptor.kind === "stdio") report(poll, at, SUCCESS);
    else if (kind === FD_WRITE) {
      if (descriptor.writable) report(poll, at, SUCCESS, SEND_BUFFER - descriptor.queued);
    } else if (waiting.readable(descriptor)) {
      report(poll, at, SUCCESS, available(descriptor));
    }
  }
}

function lookAtClock(poll: Poll, at: number, now: number): void {
  const { subscriptions } = poll;
  const time = Number(subscriptions.getBigUint64(at + 24, true)) / 1e6;
  const absolute = (subscriptions.getUint16(at + 40, true) & ABSOLUTE) !== 0;
  let due: number;
  try {
    const clock = clockNow(subscriptions.getUint32(at + 16, true));
    due = absolute ? now + time - clock : poll.began + time;
  } catch (error) {
    return report(poll, at, errnoOf(error)!);
  }
  if (due <= now) report(poll, at, SUCCESS);
  else poll.next = Math.min(poll.next, due);
}

/** Writes an event. */
function report(poll: Poll, subscription: number, errno: number, size = 0): void {
  const { subscriptions, events } = poll;
  const at = poll.found++ * EVENT;
  // What the program calls it
  events.setUint32(at, subscriptions.getUint32(subscription));
  events.setUint32(at + 4, subscriptions.getUint32(subscription + 4));
  events.setUint16(at + 8, errno, true);
  events.setUint8(at + 10, subscriptions.getUint8(subscription + 8));
  events.setUint32(at + 16, size, true);
  events.setUint32(at + 20, 0, true);
  events.setUint16(at + 24, 0, true);
}

/** How many bytes a receive need not wait for. */
function available({ id }: Socket): number {
  const record = socket.inspect(id);
  return record?.kind === "stream" ? record.queuedIn : 0;
}
