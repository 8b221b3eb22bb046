// A line that tells how far a long run is, where somebody looks at it.

const encoder = new TextEncoder();

/** The line; it is written again and again, on a terminal only. */
export class ProgressLine {
  readonly #shown = Deno.stderr.isTerminal();
  #last = 0;

  /** Shows a text, a few times a second at most. */
  show(text: () => string): void {
    const now = performance.now();
    if (!this.#shown || now - this.#last < 200) return;
    this.#last = now;
    this.#write(text());
  }

  /** Gives the line back to whatever is printed next. */
  clear(): void {
    if (this.#shown) this.#write("");
  }

  #write(text: string): void {
    const { columns } = Deno.consoleSize();
    Deno.stderr.writeSync(encoder.encode(`\r\x1b[K${text.slice(0, columns - 1)}`));
  }
}
