/** What the host decides and a script cannot say. */
export interface Settings {
  /** The address that scripts listen on; `""` is any. */
  address: string;
  /** Authorities that `starttls` trusts besides the system's, PEM. */
  ca: string | undefined;
  /** Where `print` and `io.write` go to. */
  write: (bytes: Uint8Array) => void;
  /** Where `io.stderr` and the errors that nobody handles go to. */
  warn: (bytes: Uint8Array) => void;
}

/** What holds unless a program says otherwise. */
export const DEFAULTS: Settings = {
  address: "",
  ca: undefined,
  write: (bytes) => writeAll(Deno.stdout, bytes),
  warn: (bytes) => writeAll(Deno.stderr, bytes),
};

function writeAll(file: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}
