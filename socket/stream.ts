/**
 * A connection. It owns the transport, one {@linkcode Receiver} and one {@linkcode Sender}; the
 * two halves know nothing of each other, which is what makes half-close simple. Nothing here
 * knows what the transport is: TCP, TLS or something else with the same four calls.
 *
 * The state machine (what each call does in each state) is in the documentation of `mod.ts`.
 */
import { makeDroppable, type Task } from "../task/record.ts";
import type { SocketId, TaskId } from "../task/id.ts";
import { type Address, failure, type SocketError, translate } from "./error.ts";
import { Handle } from "./handle.ts";
import { Demand, Receiver } from "./receiver.ts";
import { Sender } from "./sender.ts";

/** What a connection needs of whatever carries its bytes. A `Deno.Conn` has it all. */
export interface Transport {
  /** Fills the start of the buffer; `null` at end of stream. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes a part of the data, at least one byte. */
  write(data: Uint8Array): Promise<number>;
  /** Ends the sending side. */
  closeWrite(): Promise<void>;
  /** Lets go at once; what is under way rejects. */
  close(): void;
}

/** What a transport that does more than carry bytes knows besides: TLS, for one. */
export interface Session {
  /** What an error of the transport's means; `undefined` if it is one of the network's. */
  explain(cause: unknown): { readonly code: string; readonly text: string } | undefined;
}

/** A change of the transport that is under way. */
export interface Upgrading {
  pending(): Iterable<TaskId>;
  /** The connection was closed meanwhile; what carries it is the upgrade's to close. */
  closed(): void;
}

/** Which end of a connection began it: the `"client"` connected, the `"server"` accepted. */
export type Side = "client" | "server";

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

  /** An error of the transport's, as ours. */
  translate(cause: unknown, op: string): Error {
    const known = this.session?.explain(cause);
    if (known === undefined) return translate(cause, op, this.#details());
    return failure(known.code, op, { ...this.#details(known.text), cause });
  }

  #details(text?: string) {
    return { socket: this.id, local: this.local, remote: this.remote, text };
  }

  protected release(): void {
    this.keep();
    this.receiver.close();
    this.sender.close();
    if (this.upgrade === undefined) this.transport.close();
    else this.upgrade.closed();
  }

  cancelled(task: Task): void {
    if (task.kind === "shutdown") this.sender.reopen();
    else if (task.argument instanceof Demand) this.receiver.wake();
  }
}
