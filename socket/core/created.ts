/** What `bind`, `listen` and `connect` do with a socket that was created. */
import { checkNoPort, checkPort, checkRemoteHost, checkRemotePort } from "./check.ts";
import type { Address } from "./types.ts";
import type { SocketError } from "./error.ts";
import type { SocketId, TaskId } from "../../task/core/mod.ts";
import { openUnix } from "./unix.ts";
import { AF_INET, AF_INET6, AF_UNIX } from "../constants.ts";
import { CONNECT_TIMEOUT, dial } from "./dial.ts";
import { isOver, noAddress, openTcp } from "./tcp.ts";
import { handles } from "./handle.ts";
import { faulted, noSuch } from "./lookup.ts";
import type { Opened } from "./transport.ts";
import { Unbound } from "./unbound.ts";
import { Stream } from "./stream.ts";
import { Listener } from "./listener.ts";

/** Makes a created socket a connection, under the same ID: `connect` documents it. */
export function connectCreated(id: SocketId, host: string, port: number): TaskId<SocketId> {
  const path = host;
  host = checkRemoteHost(host);
  checkPort(port); // 0 may belong to a path: what is no socket does not tell
  const handle = handles.get(id);
  if (!(handle instanceof Unbound)) return faulted("connect", id, notUnbound("connect", id));
  const { family } = handle;
  if (family === AF_UNIX) checkNoPort(port);
  else checkRemotePort(port);
  const remote: Address = family === AF_UNIX ? [path, 0] : [host, port];
  if (handle.attempt !== undefined) {
    return faulted("connect", id, handle.fail("EALREADY", "connect", "socket is connecting"));
  }
  if (isOtherFamily(family, host)) {
    return faulted("connect", id, otherFamily("connect", handle, host));
  }
  if (handle.local !== undefined) {
    const text = "Deno cannot connect from an address of choice: connect without bind";
    return faulted("connect", id, handle.fail("EOPNOTSUPP", "connect", text));
  }
  const open = (signal: AbortSignal) =>
    family === AF_UNIX ? openUnix(path) : openOver(family, host, port, signal);
  return dial(remote, { timeout: CONNECT_TIMEOUT }, open, handle);
}

/**
 * Connects over one family. A name is left to Deno first, which asks for no permission but the
 * name's; only if that took an address of the other family are those of this one looked up.
 */
async function openOver(
  family: number,
  host: string,
  port: number,
  signal: AbortSignal,
): Promise<Opened> {
  const open = (hostname: string) => openTcp(hostname, port, { noDelay: false }, signal);
  const opened = await open(host);
  if (isOver(family, opened.transport.localAddr)) return opened;
  opened.transport.close();
  let failed: unknown = noAddress(family, host);
  for (const address of await addressesOf(family, host)) {
    try {
      return await open(address);
    } catch (cause) {
      failed = cause;
    }
  }
  throw failed;
}

/** The addresses of a name; none if it has none, or must not be looked up. */
async function addressesOf(family: number, host: string): Promise<string[]> {
  const { default: dns } = await import("node:dns/promises"); // few programs need it
  const found = dns.lookup(host, { all: true, family: family === AF_INET ? 4 : 6 });
  return (await found.catch(() => [])).map(({ address }) => address);
}

/** Whether a host is an address of another family; a name may turn out to be either. */
export function isOtherFamily(family: number, host: string): boolean {
  if (family === AF_INET) return host.includes(":");
  return family === AF_INET6 && /^\d+(\.\d+){3}$/.test(host);
}

export function otherFamily(op: string, socket: Unbound, host: string): SocketError {
  const text = `${host} is not an address of family ${socket.family}`;
  return socket.fail("EAFNOSUPPORT", op, text);
}

export function notUnbound(op: string, id: SocketId): SocketError {
  const handle = handles.get(id);
  if (handle instanceof Stream) return handle.fail("EISCONN", op);
  if (handle instanceof Listener) return handle.fail("EINVAL", op, "socket listens already");
  return noSuch(op, id);
}
