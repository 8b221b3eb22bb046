// What several tests of this folder share.

import { assertEquals } from "@std/assert";
import { socket, task } from "../../mod.ts";

/** The limit of unclaimed results that the module starts with. */
export const LIMIT = 65_536;

/** Every test of a file leaves no task, the usual limit and no handler. */
export function leaveNothing(): void {
  Deno.test.afterEach(() => {
    const limit = task.setUnclaimedLimit(LIMIT);
    const handler = task.setFaultHandler(null);
    const left = task.inspect();
    for (const { id } of left) {
      task.cancel(id);
      task.forget(id);
    }
    assertEquals({ left, limit, handler }, { left: [], limit: LIMIT, handler: null });
  });
}

/** One whole turn of the event loop. */
export const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/** Lets every promise that can settle without the event loop do so. */
export async function drain(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

/** A spawned task that settles when it is told to. */
export function held<T = unknown>() {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  promise.catch(() => {}); // the task may be cancelled before it looks
  return { id: task.spawn(() => promise), resolve, reject };
}

/** A task that has settled: Completed with a value. */
export async function completed<T>(value: T): Promise<task.TaskId<Awaited<T>>> {
  const id = task.spawn(() => value);
  await drain();
  return id;
}

/** A task that has settled: Faulted. */
export async function faulted(error: unknown): Promise<task.TaskId<never>> {
  const id = task.spawn((): never => {
    throw error;
  });
  await drain();
  return id;
}

/** Notes what becomes of a promise, without waiting for it. */
export function outcome(promise: Promise<unknown>): { state: string; value?: unknown } {
  const seen: { state: string; value?: unknown } = { state: "pending" };
  promise.then(
    (value) => Object.assign(seen, { state: "fulfilled", value }),
    (value) => Object.assign(seen, { state: "rejected", value }),
  );
  return seen;
}

/** An abort controller that knows how many listeners its signal has, and ever had. */
export class CountingController extends AbortController {
  added = 0;
  readonly #listeners = new Set<unknown>();

  constructor() {
    super();
    const { signal } = this;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: unknown[]) => {
      this.added++;
      this.#listeners.add(args[1]);
      Reflect.apply(addEventListener, signal, args);
    };
    signal.removeEventListener = (...args: unknown[]) => {
      this.#listeners.delete(args[1]);
      Reflect.apply(removeEventListener, signal, args);
    };
  }

  get listeners(): number {
    return this.#listeners.size;
  }
}

/** A listener on loopback and a connection to it, closed together. */
export async function makePair() {
  const server = socket.tcpserver("127.0.0.1", 0);
  const client = await socket.tcpconnect(...socket.getlocal(server));
  const peer = await task.await(socket.accept(server));
  return {
    server,
    client,
    peer,
    [Symbol.dispose]: () => [client, peer, server].forEach(socket.close),
  };
}

/** Receives as text. */
export async function recvText(id: socket.SocketId): Promise<string> {
  return new TextDecoder().decode(await task.await(socket.recv(id)));
}

/** Runs a program in a process of its own. */
export async function runProgram(source: string, ...flags: string[]) {
  const url = new URL("../../mod.ts", import.meta.url).href;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--no-config",
      "--ext=ts",
      ...flags,
      `import {socket, task} from "${url}";${source}`,
    ],
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Numbers from 0 up to 1, the same in every run. */
export function randomFrom(seed: number): () => number {
  return () => {
    seed = (seed * 1664525 + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}
