/** The system's part of Unix sockets, as ours. */
import { addressOf } from "./ip.ts";
import type { Acceptor, Opened } from "./transport.ts";
import { CodedError, translate } from "./failure.ts";
import type { Address } from "./types.ts";
import { lookUp } from "./codes.ts";
import { removeStale } from "./stale.ts";

/** The system's part of connecting. It succeeds or fails without waiting, so it takes no signal. */
export async function openUnix(path: string): Promise<Opened> {
  try {
    const transport = await Deno.connect({ transport: "unix", path });
    return { transport, local: addressOf(transport.localAddr), remote: [path, 0] };
  } catch (cause) {
    throw diagnose(cause, path) ?? cause;
  }
}

/** The system's part of listening. */
export function listenAtPath(
  path: string,
  backlog: number,
): { acceptor: Acceptor; local: Address } {
  const local: Address = [path, 0];
  const listen = () => ({ acceptor: new UnixAcceptor(listenByDetour(path, backlog), path), local });
  const fail = (cause: unknown) => translate(diagnose(cause, path) ?? cause, "listen", { local });
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
function diagnose(cause: unknown, path: string): CodedError | undefined {
  const code = (cause as { code?: string }).code;
  const hint = (code: string, text: string) =>
    new CodedError(code, `${lookUp(code).text}, ${text}`, { cause });
  if (code === "EADDRINUSE") {
    return isForeign(path)
      ? hint(code, "something else than a socket is there")
      : hint(code, "remove the file if nobody listens there");
  }
  if (code !== "EINVAL") return undefined;
  if (path.includes("\0")) return hint(code, "a path has no NUL in it");
  const { length } = new TextEncoder().encode(path);
  if (length <= LONGEST) return undefined;
  return hint("ENAMETOOLONG", `the path has ${length} bytes and ${LONGEST} is the most`);
}

/** Whether something is at a path, and certainly no socket, which nobody should be told to remove. */
function isForeign(path: string): boolean {
  try {
    return Deno.lstatSync(path).isSocket === false;
  } catch {
    return false; // not allowed to look
  }
}

/** The longest path that the system takes, in bytes. */
const LONGEST = Deno.build.os === "linux" ? 107 : 103;

/** A path that stays right when the current folder changes. */
function absolute(path: string): string {
  if (path.startsWith("/")) return path;
  try {
    return `${Deno.cwd()}/${path}`;
  } catch {
    return path; // the current folder is gone, say
  }
}

/**
 * Listens. When a listener goes, which may be some time after `close`, Deno removes whatever is
 * then at its path, be it somebody else's. So it is sent there by way of a folder that is gone by
 * then.
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
const files: Set<string> = new Set();

/** Whether a listener of this thread listens at a file, whatever its name is now. */
function isOurs(path: string): boolean {
  const file = fileAt(path);
  return file !== undefined && files.has(file);
}

class UnixAcceptor implements Acceptor {
  readonly tls = false;
  readonly handshaking = 0;
  readonly dropped = 0;
  readonly #listener: Deno.UnixListener;
  /** As the program gave it, and where that is. */
  readonly #path: string;
  readonly #place: string;
  /** Tells our file from one that took its place. */
  readonly #file: string | undefined;

  constructor(listener: Deno.Listener, path: string) {
    this.#listener = listener as Deno.UnixListener;
    this.#path = path;
    this.#place = absolute(path);
    this.#file = fileAt(path);
    if (this.#file !== undefined) files.add(this.#file);
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
    // First, as long as nobody could find it left behind, and put one of his own there.
    try {
      const isThere = this.#file !== undefined && fileAt(this.#place) === this.#file;
      if (isThere) Deno.removeSync(this.#place);
    } catch {
      // It is not allowed any more.
    }
    if (this.#file !== undefined) files.delete(this.#file);
    this.#listener.close();
  }
}

/** What tells the file at a path from every other, whatever its name; `undefined` if there is none. */
function fileAt(path: string): string | undefined {
  try {
    const { dev, ino } = Deno.lstatSync(path);
    return ino === null ? undefined : `${dev}:${ino}`; // each device counts for itself
  } catch {
    return undefined; // gone already
  }
}
