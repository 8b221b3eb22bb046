/**
 * A Lua 5.4 VM, by the C API that `wasmoon` exports.
 *
 * wasmoon's own layer turns strings into UTF-16, which is no way to treat bytes: a Lua string may hold any
 * of them, NUL and 0xFF too. So what goes in and out here goes through `lua_pushlstring` and
 * `lua_tolstring`, pointer and length.
 *
 * Lua's errors are `longjmp`s, which Emscripten makes of JavaScript exceptions. So two rules hold where Lua
 * calls a function of the host:
 *
 * - A JavaScript error would pass every `pcall` of the script on its way out and leave the VM in the
 *   middle of a call. Each function is wrapped: it catches what is thrown and raises it as a Lua error.
 * - What Lua throws itself, out of a call of its API, must pass unharmed: {@linkcode LONGJMP}. So must
 *   {@linkcode Exit}.
 *
 * @module
 */
import { instantiate, LONGJMP, type Module } from "./glue.ts";

/** What is used of Lua's C API. All but `lua_Integer`s are numbers; pointers are addresses in the memory. */
interface Api {
  malloc(size: number): number;
  free(at: number): void;
  luaL_newstate(): number;
  luaL_openlibs(state: number): void;
  luaL_loadbufferx(state: number, at: number, size: number, name: number, mode: number): number;
  luaL_tolstring(state: number, index: number, size: number): number;
  luaL_traceback(state: number, of: number, message: number, level: number): void;
  lua_close(state: number): void;
  lua_checkstack(state: number, count: number): number;
  lua_createtable(state: number, array: number, record: number): void;
  lua_error(state: number): number;
  lua_gettop(state: number): number;
  lua_pcallk(
    state: number,
    args: number,
    results: number,
    handler: number,
    context: number,
    continuation: number,
  ): number;
  lua_pushboolean(state: number, value: number): void;
  lua_pushcclosure(state: number, fn: number, upvalues: number): void;
  lua_pushinteger(state: number, value: bigint): void;
  lua_pushlstring(state: number, at: number, size: number): number;
  lua_pushlightuserdata(state: number, address: number): void;
  lua_pushnil(state: number): void;
  lua_pushthread(state: number): number;
  lua_pushvalue(state: number, index: number): void;
  lua_rawset(state: number, index: number): void;
  lua_resume(state: number, from: number, args: number, results: number): number;
  lua_settop(state: number, index: number): void;
  lua_status(state: number): number;
  lua_tolstring(state: number, index: number, size: number): number;
  lua_tonumberx(state: number, index: number, isNumber: number): number;
  lua_tothread(state: number, index: number): number;
  lua_type(state: number, index: number): number;
  lua_xmove(from: number, to: number, count: number): void;
}

/** The numbers of Lua's API. */
const LUA_TNIL = 0, LUA_OK = 0, LUA_YIELD = 1;

/** An address that no object has. */
const MARK = 1;

/** How many values a resumed coroutine is given at most. */
const RESUMED_WITH = 4;

/** Where the function that describes errors is on the stack. */
const HANDLER = 1;

/** The bytes that are kept for what is passed to Lua. */
const SCRATCH = 65536;

/** A function for Lua. It finds its arguments at 1, 2 …, pushes its results and tells how many. */
export type LuaFunction = (state: number) => number;

/** Thrown by a function of the host, leaves the VM through every `pcall`. The VM is of no use any more. */
export class Exit {
  constructor(readonly code: number) {}
}

/** A Lua error, with its traceback. */
export class LuaError extends Error {
  override name = "LuaError";
}

/** One VM with Lua's standard libraries, in a WebAssembly instance of its own. */
export class LuaVm {
  readonly #api: Api;
  /** Emscripten's part. Its `HEAPU8` is the memory as it is now: it changes when the memory grows. */
  readonly #module: Module;
  /** The main thread, with {@linkcode HANDLER} and what {@linkcode load} has put there. */
  readonly #state: number;
  readonly #encoder = new TextEncoder();
  readonly #decoder = new TextDecoder();
  /** Where Lua writes a number besides its result. */
  readonly #second: number;
  /** An integer in two words. */
  readonly #words = new Uint32Array(2);
  readonly #integer = new BigInt64Array(this.#words.buffer);
  /** Where bytes are put for Lua to copy. */
  readonly #scratch: number;

  private constructor(api: Api, module: Module) {
    this.#api = api;
    this.#module = module;
    this.#second = api.malloc(4);
    this.#scratch = api.malloc(SCRATCH);
    this.#state = api.luaL_newstate();
    api.luaL_openlibs(this.#state);
    this.#pushFunction((state) => {
      const message = api.luaL_tolstring(state, 1, 0);
      api.luaL_traceback(state, state, message, 1);
      return 1;
    });
  }

  /** Makes a VM. Reads `glue.wasm` of the package from disk. */
  static async create(): Promise<LuaVm> {
    const { module, exports } = await instantiate();
    return new LuaVm(exports as Api, module);
  }

  /** Ends the VM, which calls what finalizers there are. */
  close(): void {
    this.#api.lua_close(this.#state);
  }

  /**
   * Compiles source text and calls it.
   *
   * @param source The text.
   * @param name What it is called in messages.
   * @param pushArguments Pushes its arguments and tells how many.
   * @returns What it returned, one value, for {@linkcode call}.
   * @throws {LuaError}
   */
  load(source: string, name: string, pushArguments: LuaFunction): number {
    const state = this.#state;
    const text = this.#encoder.encode(source);
    const chunk = this.#encoder.encode(`@${name}\0`);
    const at = this.#api.malloc(text.length + chunk.length);
    this.#module.HEAPU8.set(text, at);
    this.#module.HEAPU8.set(chunk, at + text.length);
    const failed = this.#api.luaL_loadbufferx(state, at, text.length, at + text.length, 0);
    this.#api.free(at);
    this.#check(failed);
    this.#check(this.#api.lua_pcallk(state, pushArguments(state), 1, HANDLER, 0, 0));
    return this.#api.lua_gettop(state);
  }

  /**
   * Calls a function that {@linkcode load} gave.
   *
   * @param fn The function.
   * @param pushArguments Pushes its arguments and tells how many.
   * @throws {LuaError}
   */
  call(fn: number, pushArguments: LuaFunction): void {
    const state = this.#state;
    this.#api.lua_pushvalue(state, fn);
    this.#check(this.#api.lua_pcallk(state, pushArguments(state), 0, HANDLER, 0, 0));
  }

  /**
   * Resumes a coroutine that has yielded, straight from the host: no Lua function stands between.
   *
   * @param co The coroutine, which is {@linkcode suspended}.
   * @param pushValues Pushes what it is resumed with and tells how many values there are, up to 4.
   * @returns The number that it has yielded; `undefined` if it did anything else.
   */
  resume(co: number, pushValues: LuaFunction): number | undefined {
    const api = this.#api;
    api.lua_checkstack(co, RESUMED_WITH);
    const status = api.lua_resume(co, this.#state, pushValues(co), this.#second);
    if (status > LUA_YIELD) return undefined; // with the error on its stack
    const count = this.#module.HEAPU32[this.#second >>> 2];
    const value = count === 0 ? 0 : api.lua_tonumberx(co, -count, this.#second);
    const isNumber = count > 0 && this.#module.HEAPU32[this.#second >>> 2] !== 0;
    api.lua_settop(co, -count - 1);
    return status === LUA_YIELD && isNumber ? value : undefined;
  }

  /** Whether a coroutine has yielded, and so can be resumed. */
  suspended(co: number): boolean {
    return this.#api.lua_status(co) === LUA_YIELD;
  }

  /** Pushes a coroutine. */
  pushThread(state: number, co: number): void {
    this.#api.lua_pushthread(co);
    this.#api.lua_xmove(co, state, 1);
  }

  /** Whether an error has ended a coroutine. */
  failed(co: number): boolean {
    return this.#api.lua_status(co) > LUA_YIELD;
  }

  /** Pushes the error that has ended a coroutine. */
  pushError(state: number, co: number): void {
    this.#api.lua_pushvalue(co, -1);
    this.#api.lua_xmove(co, state, 1);
  }

  /** Pushes a table of functions and strings. */
  pushTable(state: number, entries: Readonly<Record<string, LuaFunction | string>>): void {
    this.#api.lua_createtable(state, 0, 0);
    for (const [name, value] of Object.entries(entries)) {
      this.pushText(state, name);
      if (typeof value === "string") this.pushText(state, value);
      else this.#pushFunction(value, state);
      this.#api.lua_rawset(state, -3);
    }
  }

  pushNil(state: number): void {
    this.#api.lua_pushnil(state);
  }

  /** Pushes a value that no script can make: a light userdata. */
  pushMark(state: number): void {
    this.#api.lua_pushlightuserdata(state, MARK);
  }

  pushBoolean(state: number, value: boolean): void {
    this.#api.lua_pushboolean(state, value ? 1 : 0);
  }

  pushInteger(state: number, value: number): void {
    // Quicker than BigInt(value)
    this.#words[0] = value;
    this.#words[1] = Math.floor(value / 2 ** 32);
    this.#api.lua_pushinteger(state, this.#integer[0]);
  }

  pushText(state: number, text: string): void {
    this.pushBytes(state, this.#encoder.encode(text));
  }

  /** Pushes a string: a copy of the bytes. */
  pushBytes(state: number, bytes: Uint8Array): void {
    const { length } = bytes;
    const at = length <= SCRATCH ? this.#scratch : this.#api.malloc(length);
    if (at === 0) throw new RangeError(`Cannot give ${length} bytes to Lua: out of memory`);
    try {
      this.#module.HEAPU8.set(bytes, at);
      this.#api.lua_pushlstring(state, at, length);
    } finally {
      if (at !== this.#scratch) this.#api.free(at);
    }
  }

  /** How many arguments there are. */
  count(state: number): number {
    return this.#api.lua_gettop(state);
  }

  isNil(state: number, index: number): boolean {
    return this.#api.lua_type(state, index) <= LUA_TNIL;
  }

  /** A coroutine, for {@linkcode resume}. */
  threadAt(state: number, index: number): number {
    return this.#api.lua_tothread(state, index);
  }

  /** A number: an integer up to 2⁵³ comes as it is. */
  numberAt(state: number, index: number): number {
    const value = this.#api.lua_tonumberx(state, index, this.#second);
    if (value === 0 && this.#module.HEAPU32[this.#second >>> 2] === 0) {
      throw new TypeError(`Argument ${index} must be a number`);
    }
    return value;
  }

  /** A string: a copy of its bytes. */
  bytesAt(state: number, index: number): Uint8Array {
    const at = this.#api.lua_tolstring(state, index, this.#second);
    if (at === 0) throw new TypeError(`Argument ${index} must be a string`);
    return this.#module.HEAPU8.slice(at, at + this.#module.HEAPU32[this.#second >>> 2]);
  }

  /** A string as text: what is no UTF-8 is replaced. */
  textAt(state: number, index: number): string {
    return this.#decoder.decode(this.bytesAt(state, index));
  }

  #pushFunction(fn: LuaFunction, state = this.#state): void {
    const wrapped = (state: number): number => {
      try {
        return fn(state);
      } catch (error) {
        if (error === LONGJMP || error instanceof Exit) throw error;
        // Out of a trap there is no way back into Lua
        if (!(error instanceof Error) || error instanceof WebAssembly.RuntimeError) throw error;
        this.pushText(state, error.message);
      }
      return this.#api.lua_error(state);
    };
    this.#api.lua_pushcclosure(state, this.#module.addFunction(wrapped, "ii"), 0);
  }

  /** Throws the error on top of the stack unless there is none. */
  #check(failed: number): void {
    if (failed === LUA_OK) return;
    const message = this.textAt(this.#state, -1);
    this.#api.lua_settop(this.#state, -2);
    throw new LuaError(message);
  }
}
