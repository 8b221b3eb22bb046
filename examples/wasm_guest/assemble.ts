import assembler from "wabt";

/** Makes a binary of the text of a WebAssembly module. */
export async function assemble(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const wabt = await assembler();
  const module = wabt.parseWat("guest.wat", text);
  try {
    return new Uint8Array(module.toBinary({}).buffer);
  } finally {
    module.destroy();
  }
}
