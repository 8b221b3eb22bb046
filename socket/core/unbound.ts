/**
 * A socket that was created and does nothing yet: it remembers what is to become of it. Deno has no
 * such thing, so `listen` and `connect` make the real one, which takes its place under the same ID.
 */
import type { Task } from "../../task/core/mod.ts";
import { AF_INET, AF_INET6 } from "../constants.ts";
import type { Address } from "./types.ts";
import { failure } from "./failure.ts";
import type { SocketError } from "./error.ts";
import { Handle } from "./handle.ts";
import type { Acceptor, Opened } from "./transport.ts";

export class Unbound extends Handle {
  readonly family: number;
  /** Where it is bound, if it is. */
  local: Address | undefined = undefined;
  /** What holds that address until it listens. */
  held: Acceptor | undefined = undefined;
  /** The connect that is under way. */
  attempt: { readonly task: Task; abandon(): void } | undefined = undefined;
  noDelay = true;
  keepAlive = false;
  reusePort = false;

  constructor(family: number) {
    super();
    this.family = family;
  }

  fail(code: string, op: string, text?: string): SocketError {
    return failure(code, op, { socket: this.id, local: this.local, text });
  }

  /**
   * Sets the options of the connection that takes its place: as they are at that moment, since they
   * can be set while it connects.
   */
  configure(opened: Opened): Opened {
    if (!("setNoDelay" in opened.transport)) return opened; // a path has none of these
    const transport = opened.transport as Deno.TcpConn;
    const { noDelay, keepAlive } = this;
    try {
      if (noDelay) transport.setNoDelay(true);
      if (keepAlive) transport.setKeepAlive(true);
    } catch (cause) {
      transport.close();
      throw cause;
    }
    return { ...opened, noDelay, keepAlive };
  }

  protected letGo(): void {
    this.attempt?.abandon();
    this.held?.close();
  }

  cancelled(): void {}
}

/** The address that stands for any of its family. */
export function anyAddress(family: number): string {
  return family === AF_INET ? "0.0.0.0" : family === AF_INET6 ? "::" : "";
}
