// What a process holds: everything that a program which goes on for weeks must get back.

import { memoryUsage } from "node:process";
import { socket, task } from "../../../mod.ts";
import { canCount, openDescriptors } from "../../descriptors.ts";

/** What is held at one moment. */
export interface Holdings {
  sockets: number;
  tasks: number;
  descriptors: number;
  timers: number;
  /** Listeners on the signal that all calls are given. */
  listeners: number;
  /** Bytes. */
  heap: number;
  external: number;
}

/** Counts what neither the module nor the system tells. */
export class Counter implements Disposable {
  readonly #timers: Set<unknown> = new Set();
  #listeners = 0;
  readonly #controller = new AbortController();
  readonly #restore: () => void;

  constructor() {
    const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis;
    const timers = this.#timers;
    globalThis.setTimeout =
      ((run: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) => {
        const id = setTimeout(() => {
          timers.delete(id);
          run(...args);
        }, ms);
        timers.add(id);
        return id;
      }) as typeof setTimeout;
    globalThis.setInterval = ((run: () => void, ms?: number) => {
      const id = setInterval(run, ms);
      timers.add(id);
      return id;
    }) as typeof setInterval;
    const clear = (id?: number) => {
      timers.delete(id);
      clearTimeout(id);
    };
    globalThis.clearTimeout = globalThis.clearInterval = clear as typeof clearTimeout;
    this.#restore = () =>
      Object.assign(globalThis, { setTimeout, setInterval, clearTimeout, clearInterval });
    this.#watch(this.#controller.signal);
  }

  /** A signal that never aborts, and whose listeners are counted. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  #watch(signal: AbortSignal): void {
    const { addEventListener, removeEventListener } = signal;
    const held = new Set<unknown>();
    const count = () => this.#listeners = held.size;
    signal.addEventListener = ((...args: Parameters<typeof addEventListener>) => {
      held.add(args[1]);
      count();
      addEventListener.apply(signal, args);
    }) as typeof addEventListener;
    signal.removeEventListener = ((...args: Parameters<typeof removeEventListener>) => {
      held.delete(args[1]);
      count();
      removeEventListener.apply(signal, args);
    }) as typeof removeEventListener;
  }

  /** What is held now; memory after everything that nobody needs is gone. */
  take(): Holdings {
    const { gc } = globalThis as { gc?: () => void };
    for (let n = 0; n < 3; n++) gc?.();
    const { heapUsed, external } = memoryUsage();
    return {
      sockets: socket.list().length,
      tasks: task.list().length,
      descriptors: canCount ? openDescriptors() : 0,
      timers: this.#timers.size,
      listeners: this.#listeners,
      heap: heapUsed,
      external,
    };
  }

  [Symbol.dispose](): void {
    this.#restore();
  }
}

/** What of it is more than it was; memory may be that many bytes more. */
export function surplus(before: Holdings, after: Holdings, slack: number): string[] {
  return (Object.keys(before) as (keyof Holdings)[])
    .filter((key) => {
      const more = after[key] - before[key];
      return more > (key === "heap" || key === "external" ? slack : 0);
    })
    .map((key) => `${key}: ${before[key]} became ${after[key]}`);
}
