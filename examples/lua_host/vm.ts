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
 * - What Lua throws itself, out of a call of its API, must pass unharmed. It is no `Error`, nor is
 *   {@linkcode Exit}.
 *
 * @module
 */
import { LuaFactory } from "wasmoon";

/** What is used of Lua's C API. All but `lua_Integer`s are numbers; pointers are addresses in `HEAPU8`. */
interface Api {
  /** The memory as it is now: it changes when the memory grows. */
  readonly HEAPU8: Uint8Array<ArrayBuffer>;
  readonly HEAPU32: Uint32Array<ArrayBuffer>;
  addFunction(fn: (state: number) => number, signature: string): number;
  _malloc(size: number): number;
  _free(at: number): void;
  _luaL_newstate(): number;
  _luaL_openlibs(state: number): void;
  _luaL_loadbufferx(state: number, at: number, size: number, name: number, mode: number): number;
  _luaL_tolstring(state: number, index: number, size: number): number;
  _luaL_traceback(state: number, of: number, message: number, level: number): void;
  _lua_close(state: number): void;
  _lua_checkstack(state: number, count: number): number;
  _lua_createtable(state: number, array: number, record: number): void;
  _lua_error(state: number): number;
  _lua_gettop(state: number): number;
  _lua_pcallk(
    state: number,
    args: number,
    results: number,
    handler: number,
    context: number,
    continuation: number,
  ): number;
  _lua_pushboolean(state: number, value: number): void;
  _lua_pushcclosure(state: number, fn: number, upvalues: number): void;
  _lua_pushinteger(state: number, value: bigint): void;
  _lua_pushlstring(state: number, at: number, size: number): number;
  _lua_pushlightuserdata(state: number, address: number): void;
  _lua_pushnil(state: number): void;
  _lua_pushthread(state: number): number;
  _lua_pushvalue(state: number, index: number): void;
  _lua_rawset(state: number, index: number): void;
  _lua_resume(state: number, from: number, args: number, results: number): number;
  _lua_settop(state: number, index: number): void;
  _lua_status(state: number): number;
  _lua_toboolean(state: number, index: number): number;
  _lua_tolstring(state: number, index: number, size: number): number;
  _lua_tonumberx(state: number, index: number, isNumber: number): number;
  _lua_tothread(state: number, index: number): number;
  _lua_type(state: number, index: number): number;
  _lua_xmove(from: number, to: number, count: number): void;
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
  /** The main thread, with {@linkcode HANDLER} and what {@linkcode load} has put there. */
  readonly #state: number;
  readonly #encoder = new TextEncoder();
  readonly #decoder = new TextDecoder();
  /** Where Lua writes a number besides its result. */
  readonly #second: number;
  /** Where bytes are put for Lua to copy. */
  readonly #scratch: number;

  private constructor(api: Api) {
    this.#api = api;
    this.#second = api._malloc(4);
    this.#scratch = api._malloc(SCRATCH);
    this.#state = api._luaL_newstate();
    api._luaL_openlibs(this.#state);
    this.#pushFunction((state) => {
      const message = api._luaL_tolstring(state, 1, 0);
      api._luaL_traceback(state, state, message, 1);
      return 1;
    });
  }

  /** Makes a VM. Reads `glue.wasm` of the package from disk. */
  static async create(): Promise<LuaVm> {
    const { module } = await new LuaFactory().getLuaModule();
    return new LuaVm(module as unknown as Api);
  }

  /** Ends the VM, which calls what finalizers there are. */
  close(): void {
    this.#api._lua_close(this.#state);
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
    const at = this.#api._malloc(text.length + chunk.length);
    this.#api.HEAPU8.set(text, at);
    this.#api.HEAPU8.set(chunk, at + text.length);
    const failed = this.#api._luaL_loadbufferx(state, at, text.length, at + text.length, 0);
    this.#api._free(at);
    this.#check(failed);
    this.#check(this.#api._lua_pcallk(state, pushArguments(state), 1, HANDLER, 0, 0));
    return this.#api._lua_gettop(state);
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
    this.#api._lua_pushvalue(state, fn);
    this.#check(this.#api._lua_pcallk(state, pushArguments(state), 0, HANDLER, 0, 0));
  }

  /**
   * Resumes a coroutine that has yielded, straight from the host: no Lua function stands between.
   *
   * @param co The coroutine.
   * @param pushValues Pushes what it is resumed with and tells how many values there are, up to 4.
   * @returns The number that it has yielded; `undefined` if it did anything else, or cannot be resumed.
   */
  resume(co: number, pushValues: LuaFunction): number | undefined {
    const api = this.#api;
    if (api._lua_status(co) !== LUA_YIELD) return undefined;
    api._lua_checkstack(co, RESUMED_WITH);
    const status = api._lua_resume(co, this.#state, pushValues(co), this.#second);
    if (status > LUA_YIELD) return undefined; // with the error on its stack
    const count = api.HEAPU32[this.#second >>> 2];
    const value = count === 0 ? 0 : api._lua_tonumberx(co, -count, this.#second);
    const isNumber = count > 0 && api.HEAPU32[this.#second >>> 2] !== 0;
    api._lua_settop(co, -count - 1);
    return status === LUA_YIELD && isNumber ? value : undefined;
  }

  /** Pushes a coroutine. */
  pushThread(state: number, co: number): void {
    this.#api._lua_pushthread(co);
    this.#api._lua_xmove(co, state, 1);
  }

  /** Whether an error has ended a coroutine. */
  failed(co: number): boolean {
    return this.#api._lua_status(co) > LUA_YIELD;
  }

  /** Pushes the error that has ended a coroutine. */
  pushError(state: number, co: number): void {
    this.#api._lua_pushvalue(co, -1);
    this.#api._lua_xmove(co, state, 1);
  }

  /** Pushes a table of functions and strings. */
  pushTable(state: number, entries: Readonly<Record<string, LuaFunction | string>>): void {
    this.#api._lua_createtable(state, 0, 0);
    for (const [name, value] of Object.entries(entries)) {
      this.pushText(state, name);
      if (typeof value === "string") this.pushText(state, value);
      else this.#pushFunction(value, state);
      this.#api._lua_rawset(state, -3);
    }
  }

  pushNil(state: number): void {
    this.#api._lua_pushnil(state);
  }

  /** Pushes a value that no script can make: a light userdata. */
  pushMark(state: number): void {
    this.#api._lua_pushlightuserdata(state, MARK);
  }

  pushBoolean(state: number, value: boolean): void {
    this.#api._lua_pushboolean(state, value ? 1 : 0);
  }

  pushInteger(state: number, value: number): void {
    this.#api._lua_pushinteger(state, BigInt(value));
  }

  pushText(state: number, text: string): void {
    this.pushBytes(state, this.#encoder.encode(text));
  }

  /** Pushes a string: a copy of the bytes. */
  pushBytes(state: number, bytes: Uint8Array): void {
    const { length } = bytes;
    const at = length <= SCRATCH ? this.#scratch : this.#api._malloc(length);
    if (at === 0) throw new RangeError(`Cannot give ${length} bytes to Lua: out of memory`);
    try {
      this.#api.HEAPU8.set(bytes, at);
      this.#api._lua_pushlstring(state, at, length);
    } finally {
      if (at !== this.#scratch) this.#api._free(at);
    }
  }

  /** How many arguments there are. */
  count(state: number): number {
    return this.#api._lua_gettop(state);
  }

  isNil(state: number, index: number): boolean {
    return this.#api._lua_type(state, index) <= LUA_TNIL;
  }

  booleanAt(state: number, index: number): boolean {
    return this.#api._lua_toboolean(state, index) !== 0;
  }

  /** A coroutine, for {@linkcode resume}. */
  threadAt(state: number, index: number): number {
    return this.#api._lua_tothread(state, index);
  }

  /** A number: an integer up to 2⁵³ comes as it is. */
  numberAt(state: number, index: number): number {
    const value = this.#api._lua_tonumberx(state, index, this.#second);
    if (value === 0 && this.#api.HEAPU32[this.#second >>> 2] === 0) {
      throw new TypeError(`Argument ${index} must be a number`);
    }
    return value;
  }

  /** A string: a copy of its bytes. */
  bytesAt(state: number, index: number): Uint8Array<ArrayBuffer> {
    const at = this.#api._lua_tolstring(state, index, this.#second);
    if (at === 0) throw new TypeError(`Argument ${index} must be a string`);
    return this.#api.HEAPU8.slice(at, at + this.#api.HEAPU32[this.#second >>> 2]);
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
        // Out of a trap there is no way back into Lua
        if (!(error instanceof Error) || error instanceof WebAssembly.RuntimeError) throw error;
        this.pushText(state, error.message);
      }
      return this.#api._lua_error(state);
    };
    this.#api._lua_pushcclosure(state, this.#api.addFunction(wrapped, "ii"), 0);
  }

  /** Throws the error on top of the stack unless there is none. */
  #check(failed: number): void {
    if (failed === LUA_OK) return;
    const message = this.textAt(this.#state, -1);
    this.#api._lua_settop(this.#state, -2);
    throw new LuaError(message);
  }
}
