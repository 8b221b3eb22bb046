// C programs for wasm32-wasi. Debian: clang, lld, wasi-libc and libclang-rt-dev-wasm32.

import { Folder } from "./folder.ts";

/** Compiles and links; `undefined` where the tools for it are missing. */
async function compile(path: string, to: string): Promise<string | undefined> {
  try {
    const args = ["--target=wasm32-wasi", "-O2", "-Wall", "-Werror", "-o", to, path];
    const { success, stderr } = await new Deno.Command("clang", { args }).output();
    return success ? undefined : new TextDecoder().decode(stderr);
  } catch (error) {
    return (error as Error).message;
  }
}

/** Whether C programs can be compiled here. */
export const hasClang: boolean = await (async () => {
  using folder = new Folder();
  const source = folder.write("empty.c", "#include <poll.h>\nint main(void) { return 0; }\n");
  const failure = await compile(source, `${folder.path}/empty.wasm`);
  if (failure !== undefined) {
    console.log(
      `Tests of C programs are skipped: clang cannot make any for wasm32-wasi: ${failure}`,
    );
  }
  return failure === undefined;
})();

/** Compiles a C program and gives the path of its module. */
export async function compileC(path: string, folder: Folder): Promise<string> {
  const to = `${folder.path}/program.wasm`;
  const failure = await compile(path, to);
  if (failure !== undefined) throw new Error(failure);
  return to;
}
