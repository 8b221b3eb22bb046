// What the tests of the dialects share.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { socket, type task } from "../../../mod.ts";
import { leavingNothing, turn } from "../../settle.ts";

/** A test that leaves no open socket and no running task behind. */
export function test(name: string, run: () => void | Promise<void>): void {
  Deno.test(name, () => leavingNothing(async () => await run()));
}

/** The port of something that a script listens with. */
export function portOf(listener: { readonly id: socket.SocketId }): number {
  return socket.getlocal(listener.id)[1];
}

/** The tasks of a script's connection that are under way, as a host finds them. */
export function pendingOf({ id }: { readonly id: socket.SocketId }): readonly task.TaskId[] {
  const record = socket.inspect(id);
  return record?.kind === "stream" ? record.pending : [];
}

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

/** Collects what is out of reach until the condition holds. */
export async function collectUntil(condition: () => boolean): Promise<void> {
  while (!condition()) {
    collect();
    await turn();
  }
}

/** What an HTTP server of one page answers. */
export const PAGE =
  "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 13\r\n\r\nHello, world!";
