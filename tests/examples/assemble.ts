import assembler from "wabt";

/** Makes a binary of a WebAssembly module's text. */
export async function assemble(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const wabt = await assembler();
  const module = wabt.parseWat("test.wat", text);
  try {
    return new Uint8Array(module.toBinary({}).buffer);
  } finally {
    module.destroy();
  }
}
