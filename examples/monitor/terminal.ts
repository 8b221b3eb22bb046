// The terminal, borrowed: a screen of its own while the program runs, and afterwards as it was.

import type { Line } from "./screen.ts";

const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"; // the other screen, no cursor, no wrapping
const LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";

export class Terminal implements Disposable {
  readonly #encoder = new TextEncoder();

  constructor() {
    Deno.stdin.setRaw(true);
    this.#write(ENTER);
  }

  get size(): { columns: number; rows: number } {
    return Deno.consoleSize();
  }

  /**
   * Puts the lines in place of those that are there, without clearing the screen: it must not
   * flicker.
   */
  draw(lines: readonly Line[]): void {
    const texts = lines.map(({ text, head }) => `${head ? `\x1b[7m${text}\x1b[m` : text}\x1b[K`);
    this.#write(`\x1b[H${texts.join("\r\n")}\x1b[J`);
  }

  /** The keys as they are pressed: a character, or the escape sequence of a special key. */
  async *keys(): AsyncGenerator<string, void> {
    const data = new Uint8Array(256);
    for (let n; (n = await Deno.stdin.read(data)) !== null;) {
      const text = new TextDecoder().decode(data.subarray(0, n));
      // deno-lint-ignore no-control-regex
      yield* text.match(/\x1b[[O]\d*[A-Za-z~]|[^]/g) ?? [];
    }
  }

  [Symbol.dispose](): void {
    this.#write(LEAVE);
    Deno.stdin.setRaw(false);
  }

  #write(text: string): void {
    const data = this.#encoder.encode(text);
    for (let at = 0; at < data.length;) at += Deno.stdout.writeSync(data.subarray(at));
  }
}
