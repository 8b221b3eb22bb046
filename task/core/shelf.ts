/**
 * Where settled tasks wait to be claimed.
 *
 * A settled task that nobody waited for is on exactly one shelf. The shelf says what is to be done
 * when a task on it is dropped instead of claimed: an accepted connection must be closed, say. So who
 * owns an unclaimed result is told by the shelf that it is on, and by nothing else.
 */
import { Queue } from "./queue.ts";
import type { Task } from "./record.ts";

/** Whoever has a shelf, or makes one when it is needed. */
export interface Holder {
  readonly shelf: Shelf;
}

export class Shelf extends Queue<Task> implements Holder {
  /** A task of this shelf was dropped: lets go of what its result holds. */
  readonly dropped: (task: Task) => void;

  constructor(dropped: (task: Task) => void) {
    super();
    this.dropped = dropped;
  }

  get shelf(): Shelf {
    return this;
  }
}

/** For results that hold nothing which must be let go of. */
export function nothingHeld(): void {}
