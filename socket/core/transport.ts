/**
 * The seam between a connection and what carries its bytes: TCP, a Unix socket, TLS. Whoever brings
 * a new carrier fills in these.
 */
import type { Address } from "./types.ts";
import type { TaskId } from "../../task/core/mod.ts";

/** What a connection needs of whatever carries its bytes. A `Deno.Conn` has it all. */
export interface Transport {
  /** Fills the start of the buffer; `null` at end of stream. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** The same in memory of its own, one byte at least, for a transport that has it there anyway. */
  readOwned?(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Writes a part of the data, at least one byte. */
  write(data: Uint8Array): Promise<number>;
  /** Ends the sending side. */
  closeWrite(): Promise<void>;
  /** Lets go at once; what is under way rejects. */
  close(): void;
  /** Whether a read keeps the process alive, the one under way and the next; at first it does. */
  ref?(): void;
  unref?(): void;
}

/** What a transport that does more than carry bytes knows besides: TLS, for one. */
export interface Session {
  /** What an error of the transport's means; `undefined` if it is one of the network's. */
  explain(cause: unknown): { readonly code: string; readonly text: string } | undefined;
  /** Whether sends of one turn are to be joined even if no write is under way. */
  readonly joins: boolean;
}

/** A change of the transport that is under way. */
export interface Upgrading {
  pending(): Iterable<TaskId>;
  /** The connection was closed meanwhile; what carries it is the upgrade's to close. */
  closed(): void;
}

/** A connection that was made. */
export interface Opened {
  readonly transport: Transport;
  readonly local: Address;
  readonly remote: Address;
  readonly session?: Session;
  /** Options of the system's socket, where they are not the default. */
  readonly noDelay?: boolean;
  readonly keepAlive?: boolean;
  /** The load balancer that passed it on, if one did, and the bytes that came after its header. */
  readonly proxy?: Address;
  readonly first?: Uint8Array;
}

/** What a listener needs of whatever brings its connections. */
export interface Acceptor {
  /** Whether its connections are encrypted. */
  readonly tls: boolean;
  /** Connections that are not ready yet, and how many were dropped before they were. */
  readonly handshaking: number;
  readonly dropped: number;
  /** Until when its certificates are valid, if it has any. */
  readonly validTo?: Date;
  accept(): Promise<Opened>;
  close(): void;
  /** Whether an accept keeps the process alive, the one under way and the next; at first it does. */
  ref?(): void;
  unref?(): void;
}
