/**
 * Lua's C API, without what wasmoon's JavaScript puts around it.
 *
 * wasmoon is a debug build of Emscripten's: each function of the API stands behind checks, and a
 * `longjmp`, which is what a Lua error and a yield are, throws a number. V8 records a stack trace with
 * each throw of what is no `Error`, in a program that asks for traces of uncaught errors, as Deno does.
 * Together they are a third of the time of a small round trip.
 *
 * So this looks over the shoulder of the one call that makes the instance, takes its exports, and gives it
 * a `longjmp` that throws an `Error` made beforehand.
 *
 * @module
 */
import { LuaFactory } from "wasmoon";

/** What Emscripten's module has. */
export interface Module {
  readonly HEAPU8: Uint8Array;
  readonly HEAPU32: Uint32Array;
  addFunction(fn: (state: number) => number, signature: string): number;
}

/** The exports of the instance that this needs itself. */
interface Exports {
  readonly __indirect_function_table: { get(index: number): (a: number, b: number) => void };
  stackSave(): number;
  stackRestore(pointer: number): void;
  setThrew(threw: number, value: number): void;
}

/** Thrown for every `longjmp`; caught by the `setjmp` that it belongs to. */
export const LONGJMP: Error = new Error("longjmp");

/** Instances are made one after the other. */
let last: Promise<unknown> = Promise.resolve();

/** Makes an instance: Emscripten's module, and the functions that the instance exports. */
export function instantiate(): Promise<{ module: Module; exports: unknown }> {
  const made = last.then(make);
  last = made.catch(() => {});
  return made;
}

async function make(): Promise<{ module: Module; exports: unknown }> {
  const { instantiate } = WebAssembly;
  let exports: Exports | undefined;
  const watched = async (source: BufferSource, imports: WebAssembly.Imports) => {
    const { env } = imports;
    if (env?._emscripten_throw_longjmp === undefined) return await instantiate(source, imports);
    env._emscripten_throw_longjmp = throwLongjmp;
    env.invoke_vii = (fn: number, a: number, b: number) => invoke(exports!, fn, a, b);
    const made = await instantiate(source, imports);
    exports = made.instance.exports as unknown as Exports;
    return made;
  };
  WebAssembly.instantiate = watched as typeof instantiate;
  try {
    const { module } = await new LuaFactory().getLuaModule();
    return { module, exports };
  } finally {
    WebAssembly.instantiate = instantiate;
  }
}

function throwLongjmp(): never {
  throw LONGJMP;
}

/** Calls a function between a `setjmp` and its `longjmp`. */
function invoke(exports: Exports, fn: number, a: number, b: number): void {
  const pointer = exports.stackSave();
  try {
    exports.__indirect_function_table.get(fn)(a, b);
  } catch (error) {
    exports.stackRestore(pointer);
    if (error !== LONGJMP) throw error;
    exports.setThrew(1, 0);
  }
}
