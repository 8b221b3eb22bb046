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
  _lua_pushnil(state: number): void;
  _lua_pushvalue(state: number, index: number): void;
  _lua_rawset(state: number, index: number): void;
  _lua_settop(state: number, index: number): void;
  _lua_toboolean(state: number, index: number): number;
  _lua_tolstring(state: number, index: number, size: number): number;
  _lua_tonumberx(state: number, index: number, isNumber: number): number;
  _lua_type(state: number, index: number): number;
}

/** Lua's types, by number. */
const LUA_TNIL = 0, LUA_TNUMBER = 3, LUA_TSTRING = 4;

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
  /** Where a length is written to. */
  readonly #length: number;
  /** Where bytes are put for Lua to copy. */
  readonly #scratch: number;

  private constructor(api: Api) {
    this.#api = api;
    this.#length = api._malloc(4);
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

  /** A number: an integer up to 2⁵³ comes as it is. */
  numberAt(state: number, index: number): number {
    if (this.#api._lua_type(state, index) !== LUA_TNUMBER) {
      throw new TypeError(`Argument ${index} must be a number`);
    }
    return this.#api._lua_tonumberx(state, index, 0);
  }

  /** A string: a copy of its bytes. */
  bytesAt(state: number, index: number): Uint8Array<ArrayBuffer> {
    if (this.#api._lua_type(state, index) !== LUA_TSTRING) {
      throw new TypeError(`Argument ${index} must be a string`);
    }
    const at = this.#api._lua_tolstring(state, index, this.#length);
    return this.#api.HEAPU8.slice(at, at + this.#api.HEAPU32[this.#length >>> 2]);
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
    if (failed === 0) return;
    const message = this.textAt(this.#state, -1);
    this.#api._lua_settop(this.#state, -2);
    throw new LuaError(message);
  }
}
