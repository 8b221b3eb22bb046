import { socket, task } from "@taskio/net";
import { loadPyodide, type PyodideAPI } from "pyodide";
import module from "./socket.py" with { type: "text" };

/** Where the module is put. */
const FOLDER = "/home/pyodide";

/** What a call gives Python: a value, or the name of an error and what it says. */
interface Outcome {
  readonly value?: unknown;
  readonly code: string | undefined;
  readonly message?: string;
}

/** What Python may do. */
export interface PythonOptions {
  /**
   * Whether it may connect there or listen there.
   *
   * @default {() => false}
   */
  allow?: (host: string, port: number) => boolean;
  stdout?: (line: string) => void;
}

/**
 * A Python whose `socket` module is `socket.py`, over taskio.
 *
 * - It runs one thing at a time. While a call of it waits, the rest of the thread goes on.
 * - It reaches only sockets that it was given: any other is `EBADF`.
 * - When it is disposed of, its sockets are closed.
 */
export class Python implements Disposable {
  readonly #sockets = new Set<socket.SocketId>();
  readonly #allow: (host: string, port: number) => boolean;
  readonly #pyodide: PyodideAPI;
  #disposed = false;

  private constructor(pyodide: PyodideAPI, options: PythonOptions) {
    this.#pyodide = pyodide;
    this.#allow = options.allow ?? (() => false);
    pyodide.registerJsModule("taskio", this.#module);
    pyodide.FS.writeFile(`${FOLDER}/socket.py`, module);
    // In front of the standard library's
    pyodide.runPython(
      `import sys; sys.path.insert(0, "${FOLDER}"); sys.modules.pop("socket", None)`,
    );
  }

  static async load(options: PythonOptions = {}): Promise<Python> {
    return new Python(await loadPyodide({ stdout: options.stdout }), options);
  }

  /** Runs Python source with these in `sys.argv`; gives what its last expression is worth. */
  run(source: string, ...args: string[]): Promise<unknown> {
    const argv = JSON.stringify(args);
    this.#pyodide.runPython(`import sys; sys.argv = ${argv}`);
    return this.#pyodide.runPythonAsync(source);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#sockets.forEach(socket.close);
    this.#sockets.clear();
  }

  readonly #module = {
    connect: (timeout: number | undefined, _id: number, host: string, port: number) =>
      this.#wait(timeout, () => {
        this.#check(host, port);
        return socket.connect(host, port);
      }, (id) => this.#receive(id)),
    listen: (host: string, port: number, backlog: number) =>
      this.#look(() => {
        this.#check(host, port);
        return this.#receive(socket.tcpserver(host, port, backlog));
      }),
    accept: (timeout: number | undefined, id: number) =>
      this.#wait(timeout, () => socket.accept(this.#own(id)), (id) => this.#receive(id)),
    recv: (timeout: number | undefined, id: number, max: number) =>
      this.#wait(timeout, () => socket.recv(this.#own(id), max)),
    send: (timeout: number | undefined, id: number, data: Uint8Array) =>
      this.#wait(timeout, () => socket.send(this.#own(id), data)),
    shutdown: (timeout: number | undefined, id: number) =>
      this.#wait(timeout, () => socket.shutdown(this.#own(id))),
    getpeer: (id: number) => this.#look(() => socket.getpeer(this.#own(id))),
    getlocal: (id: number) => this.#look(() => socket.getlocal(this.#own(id))),
    close: (id: number) => {
      if (this.#sockets.delete(id)) socket.close(id);
    },
  };

  async #wait<T>(
    timeout: number | undefined,
    begin: () => task.TaskId<T>,
    map: (value: T) => unknown = (value) => value,
  ): Promise<Outcome> {
    try {
      return done(map(await task.await(begin(), { timeout, cancel: true })));
    } catch (error) {
      return failed(error);
    }
  }

  #look(call: () => unknown): Outcome {
    try {
      return done(call());
    } catch (error) {
      return failed(error);
    }
  }

  #check(host: string, port: number): void {
    if (!this.#allow(host, port)) throw new socket.SocketError("EACCES", "connect");
  }

  #own(id: socket.SocketId): socket.SocketId {
    if (this.#sockets.has(id)) return id;
    throw new socket.SocketError("EBADF", "use", { socket: id });
  }

  /** A new socket of Python's. */
  #receive(id: socket.SocketId): socket.SocketId {
    if (this.#disposed) socket.close(id);
    else this.#sockets.add(id);
    return id;
  }
}

function done(value: unknown): Outcome {
  return { value, code: undefined };
}

function failed(error: unknown): Outcome {
  const { message } = error as Error;
  if (error instanceof socket.SocketError || error instanceof task.TimeoutError) {
    return { code: error.code, message };
  }
  if (error instanceof Deno.errors.NotCapable) return { code: "EACCES", message };
  if (error instanceof TypeError || error instanceof RangeError) return { code: "EINVAL", message };
  throw error; // the host is wrong
}
