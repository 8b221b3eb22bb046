/**
 * Pluto's `scheduler` on the event loop.
 *
 * | Pluto | here |
 * | --- | --- |
 * | `new scheduler()` | the same |
 * | a coroutine | an async function; where it would yield, it awaits |
 * | `sched:add(fn)` | `sched.add(fn)`: starts it and runs it to its first wait |
 * | `sched:addloop(fn)` | `sched.addloop(fn)`: calls it once a round until it gives exactly `false` |
 * | `sched:run()` | `await sched.run()`: goes round until every coroutine is done |
 * | `sched.yieldfunc` | the same: what happens between two rounds |
 * | `sched.errorfunc` | the same: is told what a coroutine threw |
 *
 * Pluto resumes every coroutine each round, to see whether it can go on. Here a coroutine goes on as soon as
 * what it waits for has come, during `run` or not; only loops need rounds. So the default `yieldfunc`
 * sleeps for 1 ms, as Pluto's does, only while there are loops, and otherwise until something changes.
 *
 * Better than Pluto: a coroutine that throws stops nobody else, whether there is an `errorfunc` or not.
 *
 * @module
 */
import { task } from "@taskio/net";

/** Runs coroutines side by side. */
export class Scheduler {
  /** Called between two rounds, and awaited. */
  yieldfunc: () => unknown = () => this.#waiting.length > 0 ? task.sleep(1) : this.#change.promise;
  /** Called with what a coroutine threw. Unless set, prints it. */
  errorfunc: (err: unknown) => unknown = (err) => console.error(err);
  #alive = 0;
  /** Loops until the next round. */
  #waiting: (() => void)[] = [];
  /** The next time that a coroutine is done or a loop begins to wait. */
  #change = Promise.withResolvers<void>();

  /** Starts a coroutine; the promise is fulfilled when it is done, also by a throw. */
  async add(fn: () => unknown): Promise<void> {
    this.#alive++;
    try {
      await fn();
    } catch (err) {
      await this.#report(err);
    }
    this.#alive--;
    this.#changed();
  }

  /** Adds a coroutine that calls a function once a round. */
  addloop(fn: () => unknown): Promise<void> {
    return this.add(async () => {
      while (await fn() !== false) {
        await new Promise<void>((resume) => {
          this.#waiting.push(resume);
          this.#changed();
        });
      }
    });
  }

  /** Goes round until every coroutine is done. */
  async run(): Promise<void> {
    while (this.#alive > 0) {
      for (const resume of this.#waiting.splice(0)) resume();
      await turn(); // the loops', and that of whoever has something to receive
      if (this.#alive > 0) await this.yieldfunc();
    }
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  async #report(err: unknown): Promise<void> {
    try {
      await this.errorfunc(err);
    } catch (error) {
      console.error(error);
    }
  }
}

/** One turn of the event loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
