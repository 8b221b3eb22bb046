import type { socket, task } from "@taskio/net";

/** How many bytes of a connection wait to be sent before the guest has to wait. */
export const SEND_BUFFER = 64 * 1024;

/** Standard input, which is at its end, and the two outputs. */
export class Stdio {
  readonly kind = "stdio";
  /** What `fd_fdstat_set_flags` has set. */
  flags = 0;
  readonly write: ((bytes: Uint8Array) => void) | undefined;

  constructor(write?: (bytes: Uint8Array) => void) {
    this.write = write;
  }
}

/** A socket of the guest's. */
export class Socket {
  readonly kind: "listener" | "connection";
  readonly id: socket.SocketId;
  flags: number;
  /** Whether a receive or an accept would not wait, as far as is known. */
  readable = false;
  /** The `socket.ready` that will tell. */
  watch: task.TaskId | undefined;
  /** The guest has shut the receiving side down. */
  deaf = false;
  /** Bytes that have not been sent. */
  queued = 0;
  /** What became of an earlier send. */
  fault: unknown = undefined;

  constructor(kind: "listener" | "connection", id: socket.SocketId, flags: number) {
    this.kind = kind;
    this.id = id;
    this.flags = flags;
  }

  /** Whether a send would not wait. */
  get writable(): boolean {
    return this.kind === "connection" && (this.queued < SEND_BUFFER || this.fault !== undefined);
  }
}

export type Descriptor = Stdio | Socket;

/** The numbers by which a guest knows what is open: always the lowest that is free. */
export class DescriptorTable {
  readonly #entries: (Descriptor | undefined)[] = [];
  readonly #limit: number;
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get full(): boolean {
    return this.#size >= this.#limit;
  }

  get(fd: number): Descriptor | undefined {
    return this.#entries[fd];
  }

  add(descriptor: Descriptor): number {
    const free = this.#entries.indexOf(undefined);
    const fd = free < 0 ? this.#entries.length : free;
    this.set(fd, descriptor);
    return fd;
  }

  /** Puts something in a place that exists. */
  set(fd: number, descriptor: Descriptor): void {
    if (this.#entries[fd] === undefined) this.#size++;
    this.#entries[fd] = descriptor;
  }

  delete(fd: number): void {
    if (this.#entries[fd] === undefined) return;
    this.#entries[fd] = undefined;
    this.#size--;
  }

  *[Symbol.iterator](): Generator<Descriptor, void, undefined> {
    for (const entry of this.#entries) if (entry !== undefined) yield entry;
  }
}
