import { awaitTask } from "../task/await.ts";
import { checkInteger, checkOptions, checkString, wrongRange } from "../task/check.ts";
import { checkWaitOptions, type WaitOptions } from "../task/bound.ts";
import type { SocketId } from "../task/id.ts";
import { addressOf } from "./address.ts";
import { dial, type Opened } from "./dial.ts";
import { type Address, failure, translate } from "./error.ts";
import { type Acceptor, Listener } from "./listener.ts";

/** How to listen at a path. */
export interface UnixListenOptions {
  /**
   * How many connections the system lets wait for an accept, 1 to 65535. Deno takes note of it for
   * TCP only.
   *
   * @default {128}
   */
  backlog?: number;
}

/**
 * Listens for connections at a path of the file system. The socket's file is removed when the
 * listener is closed, unless something else has taken its place. One that a crashed program left behind
 * is replaced, if the system tells that nobody listens there (on Linux, with permission to read
 * `/proc/net/unix`).
 *
 * Needs `--allow-net`, and `--allow-read` and `--allow-write` for the path; for its whole folder, if
 * the path is to be taken again as soon as the listener is closed.
 *
 * @param path The path.
 * @param options The backlog, or a bag with `backlog`. Default: 128.
 * @returns The listener, which listens already.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `path` is empty or the backlog out of range.
 * @throws {SocketError} `EADDRINUSE` if somebody listens there, or the path is something else than a
 * socket; `ENOENT`, `EACCES`.
 *
 * @example Over a path
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const path = `${Deno.makeTempDirSync()}/echo.sock`;
 * const server = socket.unixserver(path);
 * const client = await socket.unixconnect(path);
 * const peer = await task.await(socket.accept(server));
 * socket.send(peer, "hello");
 * assertEquals((await task.await(socket.recv(client))).length, 5);
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function unixserver(path: string, options: number | UnixListenOptions = {}): SocketId {
  checkPath(path);
  if (typeof options === "number") options = { backlog: options };
  checkOptions(options, ["backlog"]);
  const { backlog = 128 } = options;
  checkInteger("backlog", backlog, 1, 65535);
  const { acceptor, local } = listenAtPath(path, backlog);
  return new Listener(acceptor, local).id;
}

/**
 * Connects to a listener at a path of the file system.
 *
 * Needs `--allow-net`, and `--allow-read` and `--allow-write` for the path.
 *
 * @param path The path.
 * @param options `timeout` in milliseconds (default: none) and `signal`.
 * @returns The connected socket. Rejects with `SocketError`: `ENOENT` (no such file), `ECONNREFUSED`
 * (nobody listens), `EAGAIN` (too many wait for an accept), `EACCES`, `ETIMEDOUT`; or with the signal's
 * reason.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `path` is empty or `timeout` out of range.
 *
 * @example Nobody there
 * ```ts
 * import { socket } from "@taskio/net";
 * import { assertRejects } from "@std/assert";
 *
 * const path = `${Deno.makeTempDirSync()}/nobody.sock`;
 * await assertRejects(() => socket.unixconnect(path), socket.SocketError, "ENOENT");
 * ```
 */
export function unixconnect(path: string, options: WaitOptions = {}): Promise<SocketId> {
  checkPath(path);
  checkWaitOptions(options);
  return awaitTask(dial([path, 0], options, () => openUnix(path)));
}

/** The system's part of connecting. It succeeds or fails without waiting, so it takes no signal. */
export async function openUnix(path: string): Promise<Opened> {
  const transport = await Deno.connect({ transport: "unix", path });
  return { transport, local: addressOf(transport.localAddr), remote: [path, 0] };
}

/** The system's part of listening. */
export function listenAtPath(
  path: string,
  backlog: number,
): { acceptor: Acceptor; local: Address } {
  const listen = () => listenByDetour(path, backlog);
  const local: Address = [path, 0];
  try {
    return { acceptor: new UnixAcceptor(listen(), path), local };
  } catch (cause) {
    if (!(cause instanceof Deno.errors.AddrInUse)) throw translate(cause, "listen", { local });
    if (!isStale(path)) {
      const text = "address already in use, remove the file if nobody listens there";
      throw failure("EADDRINUSE", "listen", { local, text, cause });
    }
  }
  try {
    Deno.removeSync(path);
    return { acceptor: new UnixAcceptor(listen(), path), local };
  } catch (cause) {
    throw translate(cause, "listen", { local });
  }
}

/**
 * Listens. When a listener goes, which may be some time after `close`, Deno removes whatever is then at
 * its path, be it somebody else's. So it is sent there by way of a folder that is gone by then.
 */
function listenByDetour(path: string, backlog: number): Deno.Listener {
  const listen = (path: string) =>
    Deno.listen({ transport: "unix", path, tcpBacklog: backlog } as never);
  const [folder, name] = split(path);
  let detour: string;
  try {
    detour = Deno.makeTempDirSync({ dir: folder, prefix: ".taskio_" });
  } catch {
    return listen(path); // not allowed there
  }
  try {
    return listen(`${detour}/../${name}`);
  } catch (cause) {
    if (cause instanceof Deno.errors.AddrInUse) throw cause;
    return listen(path); // it was too long, say; or that is what is to be told
  } finally {
    Deno.removeSync(detour);
  }
}

function split(path: string): [folder: string, name: string] {
  const at = path.lastIndexOf("/") + 1;
  return [at === 0 ? "." : path.slice(0, at), path.slice(at)];
}

/** Whether the path is a socket at which nobody listens, as far as one can know. */
function isStale(path: string): boolean {
  try {
    if (!Deno.lstatSync(path).isSocket) return false;
    const absolute = Deno.realPathSync(path);
    const users = Deno.readTextFileSync("/proc/net/unix").split("\n").map(pathOf);
    return !users.some((user) => mayBe(user, absolute));
  } catch {
    return false; // not known: then it is left alone, and the caller told so
  }
}

/** The path in a line of `/proc/net/unix`, as whoever listens there has spelled it. */
function pathOf(line: string): string {
  return /^(?:\S+ +){7}(.*)$/.exec(line)?.[1] ?? "";
}

/** Whether a path that somebody has spelled somewhere means this one. */
function mayBe(spelled: string, absolute: string): boolean {
  const path = spelled.replace(/\/\.taskio_[^/]*\/\.\.\//, "/");
  const [folder, name] = split(path);
  if (path === absolute || name !== split(absolute)[1]) return path === absolute;
  if (!path.startsWith("/")) return true; // from a folder that is not known
  try {
    return `${Deno.realPathSync(folder)}/${name}` === absolute;
  } catch (cause) {
    return !(cause instanceof Deno.errors.NotFound);
  }
}

class UnixAcceptor implements Acceptor {
  readonly tls = false;
  readonly handshaking = 0;
  readonly dropped = 0;
  readonly #listener: Deno.UnixListener;
  readonly #path: string;
  /** Tells our file from one that took its place. */
  readonly #inode: number | null;

  constructor(listener: Deno.Listener, path: string) {
    this.#listener = listener as Deno.UnixListener;
    this.#path = path;
    this.#inode = inodeOf(path);
  }

  async accept(): Promise<Opened> {
    const transport = await this.#listener.accept();
    return { transport, local: [this.#path, 0], remote: addressOf(transport.remoteAddr) };
  }

  ref(): void {
    this.#listener.ref();
  }

  unref(): void {
    this.#listener.unref();
  }

  close(): void {
    const isOurs = this.#inode !== null && inodeOf(this.#path) === this.#inode;
    this.#listener.close();
    try {
      if (isOurs) Deno.removeSync(this.#path);
    } catch {
      // It is not allowed any more, or Deno has done it.
    }
  }
}

function inodeOf(path: string): number | null {
  try {
    return Deno.lstatSync(path).ino;
  } catch {
    return null; // gone already
  }
}

function checkPath(path: unknown): void {
  checkString("path", path);
  if (path === "") throw wrongRange("path", "not empty", path);
}
