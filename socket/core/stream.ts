/**
 * A connection. It owns the transport, one {@linkcode Receiver} and one {@linkcode Sender}; the
 * two halves know nothing of each other, which is what makes half-close simple. Nothing here
 * knows what the transport is: TCP, TLS or something else with the same four calls.
 *
 * The state machine (what each call does in each state) is in the documentation of `mod.ts`.
 */
import type { Session, Transport, Upgrading } from "./transport.ts";
import type { Address, Side } from "./types.ts";
import {
  type DeferredFault,
  makeDroppable,
  type SocketId,
  type Task,
} from "../../task/core/mod.ts";
import { deferFailure, failure, translate } from "./failure.ts";
import type { SocketError } from "./error.ts";
import { Handle } from "./handle.ts";
import { Receiver } from "./receiver.ts";
import { Sender } from "./sender.ts";

export class Stream extends Handle {
  transport: Transport;
  readonly side: Side;
  readonly local: Address;
  readonly remote: Address;
  readonly receiver: Receiver = new Receiver(this);
  readonly sender: Sender = new Sender(this);
  /** There once the bytes travel encrypted. */
  session: Session | undefined;
  upgrade: Upgrading | undefined = undefined;
  /** The options of the system's socket, as they were last set. */
  noDelay = true;
  keepAlive = false;
  /** The load balancer that passed it on, if one did. */
  proxy: Address | undefined = undefined;
  /** The host name that was connected to. */
  host: string | undefined = undefined;
  /** The accept or connect that gave this connection, until the program works with it. */
  givenBy: Task | undefined = undefined;
  /** The peer's reset: the system tells of it once, to whichever half asks first. */
  reset: unknown = undefined;

  constructor(
    transport: Transport,
    side: Side,
    local: Address,
    remote: Address,
    session: Session | undefined,
    id?: SocketId,
  ) {
    super(id);
    this.transport = transport;
    this.side = side;
    this.local = local;
    this.remote = remote;
    this.session = session;
  }

  /** A load balancer passed it on; `first` came with its header and is not encrypted. */
  passedOn(proxy: Address, first?: Uint8Array): void {
    this.proxy = proxy;
    if (first === undefined) return;
    this.receiver.unrecv(first);
    this.receiver.bytes += first.length;
  }

  /** Whether the bytes travel encrypted. */
  get tls(): boolean {
    return this.session !== undefined;
  }

  /**
   * The program works with this connection: then bookkeeping no longer closes it, even if the
   * task that gave it is never claimed.
   */
  keep(): void {
    if (this.givenBy !== undefined) makeDroppable(this.givenBy);
    this.givenBy = undefined;
  }

  /** A failure of this connection, with its addresses. */
  fail(code: string, op: string, text?: string): SocketError {
    return failure(code, op, this.#details(text));
  }

  /** What tasks fault with that a close leaves undone. */
  closedFault(): DeferredFault {
    return deferFailure((op) => this.fail("ECONNABORTED", op, "socket was closed"));
  }

  /** An error of the transport's, as ours. */
  translate(cause: unknown, op: string): Error {
    const known = this.session?.explain(cause);
    if (known === undefined) return translate(cause, op, this.#details());
    return failure(known.code, op, { ...this.#details(known.text), cause });
  }

  #details(text?: string) {
    return { socket: this.id, local: this.local, remote: this.remote, text };
  }

  protected letGo(): void {
    this.keep();
    this.receiver.close();
    this.sender.close();
    if (this.upgrade === undefined) this.transport.close();
    else this.upgrade.closed();
  }

  cancelled(task: Task): void {
    if (task.kind === "shutdown") this.sender.reopen();
    else if (task.kind.startsWith("recv") || task.kind === "ready") this.receiver.cancelled(task);
  }
}
