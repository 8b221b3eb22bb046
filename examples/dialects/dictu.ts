/**
 * Dictu's `Socket` module on taskio.
 *
 * | Dictu | here | taskio underneath |
 * | --- | --- | --- |
 * | `import Socket;` | `const { Socket } = openDictu();` | |
 * | `Socket.create(family, type)` | the same, → socket or `null` | `create` |
 * | `socket.bind(host, port)` | the same, → `true` or `null` | `bind` |
 * | `socket.listen(backlog)` | the same, → `true` or `null` | `listen` |
 * | `socket.accept()` | `await`, → socket or `null` | `accept` |
 * | `socket.write(string)` | `await`, → characters or `null` | `write` |
 * | `socket.recv(size)` | `await`, → string or `null` | `recv` |
 * | `socket.setsockopt(level, option)` | the same, → `true` or `null` | `setsockopt(…, 1)` |
 * | `socket.setsocketopt(level, option)` | the same call, as the headline of the manual spells it | |
 * | `socket.close()` | the same | `close` |
 * | `Socket.errno`, `Socket.strerror()` | the same | `SocketError.errno`, `strerror` |
 * | `Socket.AF_INET` … | the same numbers | `AF_INET` … |
 * | `nil` | `null` | |
 *
 * - **Waiting.** In Dictu a call blocks the program. Here the three that may have to wait give a promise,
 *   which a host's interpreter waits for before it goes on with the script.
 * - **Failures.** What Dictu calls a failure gives `null` and sets `errno`, which starts at 0 and is never
 *   reset. What it calls a runtime error (an argument of the wrong type or range) throws.
 * - **Strings** are bytes, see `bytestring.ts`.
 * - **The end of the stream** is `""`, as in Dictu. So `if (!await client.recv(2048))`, the idiom of the
 *   manual, holds at the end as well as after a failure; only `=== null` tells them apart.
 *
 * Better than Dictu: host names and IPv6 addresses; an address that is none fails to bind; a port is never
 * taken modulo 65536; accept fails with `null`; writing to a peer that is gone is a failure and not the end
 * of the program; `strerror()` before any failure is "Success"; a socket that was dropped is closed.
 *
 * @module
 */
import { socket, task } from "@taskio/net";
import { fromBytes, toBytes } from "./bytestring.ts";
import { whenCollected } from "./collected.ts";
import { isFailure } from "./failure.ts";

/** The library for one program: each has an `errno` of its own. */
export function openDictu(): { Socket: SocketModule } {
  return { Socket: new SocketModule() };
}

/** What `import Socket;` gives. */
export class SocketModule {
  readonly AF_INET = socket.AF_INET;
  readonly SOCK_STREAM = socket.SOCK_STREAM;
  readonly SOL_SOCKET = socket.SOL_SOCKET;
  readonly SO_REUSEADDR = socket.SO_REUSEADDR;
  readonly #failures = new Failures();

  /** Number of the last error. */
  get errno(): number {
    return this.#failures.errno;
  }

  /** Text of the last error. */
  strerror(): string {
    return socket.strerror(this.errno);
  }

  create(family: number, type: number): DictuSocket | null {
    const failures = this.#failures;
    return failures.catch(() => new DictuSocket(socket.create(family, type), failures));
  }
}

/** A socket object. */
export class DictuSocket {
  /** The integer that it stands for, for the host. */
  readonly id: socket.SocketId;
  readonly #failures: Failures;

  constructor(id: socket.SocketId, failures: Failures) {
    this.id = id;
    this.#failures = failures;
    whenCollected(this, () => socket.close(id));
  }

  bind(host: string, port: number): true | null {
    return this.#succeeds(() => socket.bind(this.id, host, port));
  }

  listen(backlog?: number): true | null {
    return this.#succeeds(() => socket.listen(this.id, backlog));
  }

  async accept(): Promise<DictuSocket | null> {
    const id = await this.#failures.await(socket.accept(this.id));
    return id === null ? null : new DictuSocket(id, this.#failures);
  }

  async write(text: string): Promise<number | null> {
    return await this.#failures.await(socket.write(this.id, toBytes(text)));
  }

  async recv(size: number): Promise<string | null> {
    const data = await this.#failures.await(socket.recv(this.id, size));
    return data === null ? null : fromBytes(data);
  }

  setsockopt(level: number, option: number): true | null {
    return this.#succeeds(() => socket.setsockopt(this.id, level, option));
  }

  setsocketopt(level: number, option: number): true | null {
    return this.setsockopt(level, option);
  }

  close(): void {
    socket.close(this.id);
  }

  #succeeds(call: () => void): true | null {
    return this.#failures.catch(() => {
      call();
      return true;
    });
  }
}

/** Turns failures into `null` and remembers the number of the last one. */
class Failures {
  errno = 0;

  /** What a call gives. */
  catch<T>(call: () => T): T | null {
    try {
      return call();
    } catch (error) {
      return this.#failed(error);
    }
  }

  /** What a task gives. */
  async await<T>(id: task.TaskId<T>): Promise<T | null> {
    try {
      return await task.await(id);
    } catch (error) {
      return this.#failed(error);
    }
  }

  #failed(error: unknown): null {
    if (!isFailure(error)) throw error;
    this.errno = error.errno;
    return null;
  }
}
