/**
 * One Lua script, from its first line until nothing of it is left.
 *
 * @module
 */
import type { task } from "@taskio/net";
import http from "./lib/http.lua" with { type: "text" };
import scheduler from "./lib/scheduler.lua" with { type: "text" };
import socket from "./lib/socket.lua" with { type: "text" };
import start from "./lib/start.lua" with { type: "text" };
import coroutines from "./lib/task.lua" with { type: "text" };
import { callsFor, pushOutcome } from "./calls.ts";
import { Guest, type Outcome } from "./guest.ts";
import { DEFAULTS, type Settings } from "./settings.ts";
import { Exit, LuaError, LuaVm } from "./vm.ts";

/** After so many completions the event loop has its turn, even if there are more. */
const FRAME = 1000;

/** A script, which is run once. */
export class LuaProgram {
  readonly #vm: LuaVm;
  readonly #settings: Settings;
  readonly #guest = new Guest();
  /** How it ended: the exit code. */
  readonly #ended = Promise.withResolvers<number>();
  #running = true;
  /** The next frame, if the event loop has its turn before it. */
  #deferred: ReturnType<typeof setTimeout> | undefined;
  /** Nothing has left the VM in the middle of a call. */
  #sound = true;
  /** What `start.lua` gave: is told of a coroutine that does not sleep on a task. */
  #stepped = 0;

  private constructor(vm: LuaVm, settings: Settings) {
    this.#vm = vm;
    this.#settings = settings;
  }

  /** Makes a VM for a script. */
  static async create(settings: Partial<Settings> = {}): Promise<LuaProgram> {
    return new LuaProgram(await LuaVm.create(), { ...DEFAULTS, ...settings });
  }

  /**
   * Runs the script. When it has ended its sockets are closed and its tasks are gone; what it has sent
   * goes out before.
   *
   * @param source The script, in any encoding: Lua reads bytes.
   * @param name Its name in messages, and `arg[0]`.
   * @param args What it finds in `arg`.
   * @returns The exit code: 0, 1 if an error has ended it, or that of `os.exit`.
   */
  async run(source: Uint8Array, name: string, args: readonly string[] = []): Promise<number> {
    const vm = this.#vm;
    const calls = callsFor(vm, this.#guest, this.#settings, (message) => this.#end(message));
    this.#guarded(() => {
      this.#stepped = vm.load(start, "lib/start.lua", (state) => {
        vm.pushTable(state, calls);
        vm.pushMark(state);
        vm.pushTable(state, { http, scheduler, socket, task: coroutines });
        vm.pushBytes(state, source);
        for (const text of [name, ...args]) vm.pushText(state, text);
        return 5 + args.length;
      });
    });
    this.#guest.queue.onready = () => this.#deferred ?? this.#frame();
    const code = await this.#ended.promise;
    if (this.#sound) this.#guarded(() => vm.close());
    await this.#guest.end();
    return code;
  }

  /** Ends the script from outside, as `os.exit` does from inside. */
  stop(code: number): void {
    this.#running = false;
    clearTimeout(this.#deferred);
    this.#ended.resolve(code);
  }

  /** Resumes the coroutines whose tasks have settled. */
  #frame(): void {
    this.#deferred = undefined;
    for (let i = 0; this.#running; i++) {
      if (i === FRAME) {
        this.#deferred = setTimeout(() => this.#frame(), 0);
        return;
      }
      const outcome = this.#guest.next();
      if (outcome === undefined) return;
      this.#guarded(() => this.#resume(outcome));
    }
  }

  #resume(outcome: Outcome): void {
    const vm = this.#vm;
    const co = this.#guest.sleeper(outcome.id);
    if (co === undefined) return this.#guest.drop(outcome);
    let id: number | undefined;
    if (vm.suspended(co)) {
      this.#guest.claim(outcome);
      id = vm.resume(co, (state) => {
        vm.pushMark(state);
        return 1 + pushOutcome(vm, state, outcome);
      });
    } else {
      this.#guest.drop(outcome); // the script has closed the coroutine
    }
    if (id !== undefined && this.#guest.sleep(co, id as task.TaskId)) return;
    vm.call(this.#stepped, (state) => {
      const failed = vm.failed(co);
      vm.pushThread(state, co);
      vm.pushBoolean(state, !failed);
      if (failed) vm.pushError(state, co);
      else if (id !== undefined) vm.pushInteger(state, id);
      else vm.pushNil(state);
      return 3;
    });
  }

  /** Enters the VM. What comes out of it as an exception ends the script. */
  #guarded(enter: () => void): void {
    try {
      enter();
    } catch (error) {
      this.#sound = error instanceof LuaError;
      if (error instanceof Exit) this.stop(error.code);
      else this.#end(String(error));
    }
  }

  /** The main chunk has ended, with a message if by an error. */
  #end(message?: string): void {
    if (message !== undefined) this.#settings.warn(new TextEncoder().encode(`lua: ${message}\n`));
    this.stop(message === undefined ? 0 : 1);
  }
}
