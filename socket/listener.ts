/**
 * Something that listens.
 *
 * Theory of operation. As with reads, an accept of the system's cannot be cancelled, so it does not
 * belong to a task: at most one is under way, begun when somebody wants a connection and none is
 * ready. What it brings goes to the first waiting accept, or stays ready for the next one. Without
 * demand connections wait in the system's backlog.
 *
 * A connection becomes a socket, with an ID, only when an accept takes it.
 */
import { complete, drop, fault, Task } from "../task/record.ts";
import { Queue } from "../task/queue.ts";
import { Shelf } from "../task/shelf.ts";
import type { SocketId, TaskId } from "../task/id.ts";
import { type Address, failure, type SocketError, translate } from "./error.ts";
import { closeGiven, Handle } from "./handle.ts";
import type { Opened } from "./dial.ts";
import { Stream } from "./stream.ts";

/** What a listener needs of whatever brings its connections. */
export interface Acceptor {
  /** Whether its connections are encrypted. */
  readonly tls: boolean;
  /** Connections in the middle of a handshake, and how many were dropped because of one. */
  readonly handshaking: number;
  readonly dropped: number;
  accept(): Promise<Opened>;
  close(): void;
}

/**
 * What the system says when a connection has failed before it was accepted. It concerns nobody who
 * accepts: accept(2) has programs try again, and so this does.
 */
const GONE = new Set([
  "ECONNABORTED",
  "ECONNRESET",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETUNREACH",
  "ENOTCONN",
  "EPROTO",
  "ETIMEDOUT",
]);

export class Listener extends Handle {
  readonly local: Address;
  readonly acceptor: Acceptor;
  /** Connections given to accepts. */
  accepted = 0;
  readonly #waiting: Queue<Task> = new Queue();
  /** Completed accepts with a connection that nobody has claimed. */
  readonly #shelf: Shelf = new Shelf(closeGiven);
  readonly #ready: Opened[] = [];
  #accepting = false;
  /** A failure that came when no accept was waiting. */
  #cause: unknown = undefined;
  readonly #onConnection = (incoming: Opened) => this.#arrived(incoming);
  readonly #onError = (cause: unknown) => this.#failed(cause);

  constructor(acceptor: Acceptor, local: Address, id?: SocketId) {
    super(id);
    this.acceptor = acceptor;
    this.local = local;
  }

  accept(): TaskId<SocketId> {
    const task = new Task("accept", this.id, this);
    if (this.#waiting.size === 0 && this.#ready.length > 0) {
      this.#give(task, this.#ready.shift()!);
    } else if (this.#cause !== undefined) {
      const cause = this.#cause;
      this.#cause = undefined;
      fault(task, this.#translate(cause));
    } else {
      this.#waiting.push(task);
      this.#accept();
    }
    return task.id;
  }

  /**
   * Whether a connection is ready; starts looking if none is. A failure that came meanwhile is no
   * connection: asking again looks again, so a program that only polls gets over it.
   */
  hasConnection(): boolean {
    if (this.#ready.length > 0) return true;
    this.#cause = undefined;
    this.#accept();
    return false;
  }

  /** How many connections are ready for an accept. */
  get ready(): number {
    return this.#ready.length;
  }

  *pending(): Generator<TaskId, void, undefined> {
    for (const task of this.#waiting) yield task.id;
  }

  /** A failure of this listener. */
  fail(code: string, op: string, text?: string): SocketError {
    return failure(code, op, { socket: this.id, local: this.local, text });
  }

  cancelled(): void {}

  protected release(): void {
    for (const task of this.#waiting) {
      this.#waiting.remove(task);
      fault(task, this.fail("ECONNABORTED", "accept", "socket was closed"));
    }
    for (const task of this.#shelf) drop(task);
    for (const { transport } of this.#ready.splice(0)) transport.close();
    this.acceptor.close();
  }

  #accept(): void {
    if (this.#accepting) return;
    this.#accepting = true;
    this.acceptor.accept().then(this.#onConnection, this.#onError);
  }

  #arrived(incoming: Opened): void {
    this.#accepting = false;
    if (this.closed) return incoming.transport.close();
    const task = this.#waiting.shift();
    if (task === undefined) this.#ready.push(incoming);
    else this.#give(task, incoming);
    if (this.#waiting.size > 0) this.#accept();
  }

  #give(task: Task, { transport, local, remote, session }: Opened): void {
    const stream = new Stream(transport, "server", local, remote, session);
    this.accepted++;
    stream.givenBy = task;
    complete(task, stream.id, this.#shelf);
  }

  #failed(cause: unknown): void {
    this.#accepting = false;
    if (this.closed) return;
    if (!GONE.has((cause as { code?: string }).code ?? "")) {
      const task = this.#waiting.shift();
      if (task === undefined) this.#cause = cause;
      else fault(task, this.#translate(cause));
    }
    if (this.#waiting.size > 0) this.#accept();
  }

  #translate(cause: unknown): Error {
    return translate(cause, "accept", { socket: this.id, local: this.local });
  }
}
