/** A temporary folder for the files that an example is given. */
export class Folder implements Disposable {
  readonly path: string = Deno.makeTempDirSync({ prefix: "taskio_" });

  /** Writes a file and gives its path. */
  write(name: string, text: string): string {
    const path = `${this.path}/${name}`;
    Deno.writeTextFileSync(path, text);
    return path;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}
