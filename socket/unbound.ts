/**
 * A socket that was created and does nothing yet: it remembers what is to become of it. Deno has no
 * such thing, so `listen` and `connect` make the real one, which takes its place under the same ID.
 */
import type { Task } from "../task/record.ts";
import { AF_INET, AF_INET6 } from "./constants.ts";
import { type Address, failure, type SocketError } from "./error.ts";
import { Handle } from "./handle.ts";

export class Unbound extends Handle {
  readonly family: number;
  /** Where it is bound, if it is. */
  local: Address | undefined = undefined;
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

  protected release(): void {
    this.attempt?.abandon();
  }

  cancelled(): void {}
}

/** The address that stands for any of its family. */
export function anyAddress(family: number): string {
  return family === AF_INET ? "0.0.0.0" : family === AF_INET6 ? "::" : "";
}
