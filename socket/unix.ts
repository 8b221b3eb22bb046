import { awaitTask } from "../task/await.ts";
import { checkInteger, checkOptions, checkString, wrongRange } from "../task/check.ts";
import { checkWaitOptions, type WaitOptions } from "../task/bound.ts";
import type { SocketId } from "../task/id.ts";
import { addressOf } from "./address.ts";
import { dial, type Opened } from "./dial.ts";
import { lookUp } from "./errno.ts";
import { type Address, CodedError, translate } from "./error.ts";
import { type Acceptor, Listener } from "./listener.ts";
import { removeStale } from "./stale.ts";

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
 * is replaced, on Linux, if a connect to it is refused: nothing else proves that nobody listens there.
 * That takes some 20 ms, and somebody who does listen there sees a connection come and go. In any other
 * case, also when a worker or a change of the folder is not allowed, the path is in use.
 *
 * Needs `--allow-net`, and `--allow-read` and `--allow-write` for the path; for its whole folder, if
 * the path is to be taken again as soon as the listener is closed, or after a crash.
 *
 * @param path The path.
 * @param options The backlog, or a bag with `backlog`. Default: 128.
 * @returns The listener, which listens already.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `path` is empty or the backlog out of range.
 * @throws {SocketError} `EADDRINUSE` if somebody listens there, or may, or the path is something else
 * than a socket: remove it if it is nobody's; `ENOENT` if the folder is missing; `EACCES`;
 * `ENAMETOOLONG` for a path of more than 107 bytes, `EINVAL` for one with a NUL.
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
 * (nobody listens), `EAGAIN` (too many wait for an accept), `EACCES`, `ENAMETOOLONG`, `EINVAL`,
 * `ETIMEDOUT`; or with the signal's reason.
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
  try {
    const transport = await Deno.connect({ transport: "unix", path });
    return { transport, local: addressOf(transport.localAddr), remote: [path, 0] };
  } catch (cause) {
    throw explain(cause, path) ?? cause;
  }
}

/** The system's part of listening. */
export function listenAtPath(
  path: string,
  backlog: number,
): { acceptor: Acceptor; local: Address } {
  const local: Address = [path, 0];
  const listen = () => ({ acceptor: new UnixAcceptor(listenByDetour(path, backlog), path), local });
  const fail = (cause: unknown) => translate(explain(cause, path) ?? cause, "listen", { local });
  try {
    return listen();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.AddrInUse) || isOurs(path) || !removeStale(path)) {
      throw fail(cause);
    }
  }
  try {
    return listen();
  } catch (cause) {
    throw fail(cause);
  }
}

/** What is wrong with a path, where the system says too little. */
function explain(cause: unknown, path: string): CodedError | undefined {
  const code = (cause as { code?: string }).code;
  const hint = (code: string, text: string) =>
    new CodedError(code, `${lookUp(code).text}, ${text}`, { cause });
  if (code === "EADDRINUSE") return hint(code, "remove the file if nobody listens there");
  if (code !== "EINVAL") return undefined;
  if (path.includes("\0")) return hint(code, "a path has no NUL in it");
  const { length } = new TextEncoder().encode(path);
  if (length <= LONGEST) return undefined;
  return hint("ENAMETOOLONG", `the path has ${length} bytes and ${LONGEST} is the most`);
}

/** The longest path that the system takes, in bytes. */
const LONGEST = Deno.build.os === "linux" ? 107 : 103;

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

/** The files of the listeners of this thread. */
const inodes: Set<number> = new Set();

/** Whether a listener of this thread listens at a file, whatever its name is now. */
function isOurs(path: string): boolean {
  return inodes.has(inodeOf(path) ?? -1);
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
    if (this.#inode !== null) inodes.add(this.#inode);
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
    const isThere = this.#inode !== null && inodeOf(this.#path) === this.#inode;
    if (this.#inode !== null) inodes.delete(this.#inode);
    this.#listener.close();
    try {
      if (isThere) Deno.removeSync(this.#path);
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
