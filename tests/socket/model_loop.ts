/**
 * A loop over what a socket gives (`connections`, `chunks`, `lines`), as a model sees it. The task of a
 * `next` claims itself when it settles, and what it came to is told by a promise, some microtasks later:
 * until then it is in the air.
 */
import { assert, assertEquals } from "@std/assert";
import { task } from "../../mod.ts";

/** What a `next` came to. */
type Came<T> = { value: T } | "done" | { error: Error & { code?: string } };

/** One `next`. */
export interface Step<T> {
  readonly loop: Loop<T>;
  /** Its task; 0 if it did not have to wait. */
  readonly id: task.TaskId;
  /** There once its promise has told. */
  came?: Came<T>;
  /** When it has. */
  readonly landed: Promise<void>;
}

export class Loop<T> {
  /** It will give nothing any more, but for what is there already. */
  over = false;
  readonly #iterator: AsyncIterableIterator<T, undefined>;
  readonly #pending: () => readonly task.TaskId[];

  /** @param pending The running tasks of the socket, if it is open. */
  constructor(
    iterator: AsyncIterableIterator<T, undefined>,
    pending: () => readonly task.TaskId[],
  ) {
    this.#iterator = iterator;
    this.#pending = pending;
  }

  next(): Step<T> {
    const before = this.#pending();
    const asking = this.#iterator.next();
    const id = this.#pending().find((id) => !before.includes(id)) ?? 0 as task.TaskId;
    const landed = asking.then((result) => {
      step.came = result.done ? "done" : { value: result.value };
    }, (error) => {
      step.came = { error };
    });
    const step: Step<T> = { loop: this, id, landed };
    return step;
  }

  /** Leaves it: at once nothing of it is pending any more. */
  async leave(): Promise<void> {
    const after = this.#pending().length;
    const returning = this.#iterator.return!();
    this.over = true;
    assert(this.#pending().length <= after);
    assertEquals(await returning, { done: true, value: undefined });
  }
}

/** Whether a `next` has settled, and has not told yet how. */
export function inTheAir({ id, came }: Step<unknown>): boolean {
  return came === undefined && task.status(id) !== "Running";
}

/** Whether a `next` was given up with its loop. */
export function wasLeft({ loop, came }: Step<unknown>): boolean {
  return loop.over && came === "done";
}

/** Waits for what a `next` comes to, which must be what is expected: `"done"` or a code. */
export async function comesTo(step: Step<unknown>, expected: string): Promise<void> {
  await step.landed;
  assertEquals(nameOf(step.came!), expected);
}

function nameOf(came: Came<unknown>): string {
  if (came === "done") return "done";
  return "error" in came ? came.error.code ?? String(came.error) : "a value";
}

/** Cancels the task of a `next` that runs; its loop ends with that. */
export function cancelStep(step: Step<unknown>): Promise<void> {
  const { id, loop } = step;
  assertEquals([task.cancel(id), task.cancel(id), task.status(id)], [true, false, "Unknown"]);
  return comesTo(step, overNow(loop) ? "done" : "ECANCELED");
}

/** Notes that a loop is over; tells whether it was before. */
export function overNow(loop: Loop<unknown>): boolean {
  const before = loop.over;
  loop.over = true;
  return before;
}
