/**
 * Something that listens.
 *
 * Theory of operation. As with reads, an accept of the system's cannot be cancelled, so it does not
 * belong to a task: at most one is under way, begun when somebody wants a connection and none is
 * ready. What it brings goes to the first waiting accept, or stays ready for the next one. Without
 * demand connections wait in the system's backlog. An accept under way that nobody waits for (it
 * was cancelled, or begun by `hasconnection`) keeps no process alive. A `ready` wants a connection
 * and takes none: it is looked at when no accept waits.
 *
 * A connection becomes a socket, with an ID, only when an accept takes it.
 */
import type { Acceptor, Opened } from "./transport.ts";
import {
  complete,
  drop,
  fault,
  Queue,
  Shelf,
  type SocketId,
  Task,
  type TaskId,
} from "../../task/core/mod.ts";
import type { Address } from "./types.ts";
import { codeOf, deferFailure, failure, translate } from "./failure.ts";
import type { SocketError } from "./error.ts";
import { closeGiven, Handle } from "./handle.ts";
import { Stream } from "./stream.ts";

/**
 * What the system says when the one connection that it was about to give has failed. It concerns
 * nobody who accepts, so the next is tried: accept(2) has programs do so with what it calls network
 * errors, and names more (a firewall that forbids this one, a protocol that does not suit it).
 * Which of them come depends on the system; none of them can be about a socket that listens for a
 * stream.
 *
 * These are the peer's doing: each has taken a connection away, so trying again goes on no longer
 * than peers come, and no number of them may become a fault that strangers can bring about.
 */
const OF_THE_PEER = new Set(["ECONNABORTED", "ECONNRESET", "ENOTCONN", "EPROTO", "ETIMEDOUT"]);

/**
 * These are the system's verdict. A policy that forbids accepting gives it without looking at who
 * came, every time, so when there are many in a row the program must know.
 *
 * All others are answers to an accept. A shortage (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`) leaves
 * the connection where it was, so trying again at once would go round and round: the program must
 * know. `EBADF`, `EINVAL` and `ENOTSOCK` tell that the listener itself is gone. What is on no list
 * is unknown, and not to be swallowed.
 */
const OF_THE_SYSTEM = new Set([
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETUNREACH",
  "ENONET",
  "ENOPROTOOPT",
  "ENOSR",
  "EOPNOTSUPP",
  "EPERM",
  "EPROTONOSUPPORT",
  "ESOCKTNOSUPPORT",
]);
/** So many verdicts without a connection between them are told. */
const MANY = 100;

export class Listener extends Handle {
  readonly local: Address;
  readonly acceptor: Acceptor;
  /** Connections given to accepts; and those that were gone before they could be. */
  accepted = 0;
  lost = 0;
  readonly #waiting: Queue<Task> = new Queue();
  /** Those that wait for what the next accept would give, and take nothing. */
  readonly #watching: Queue<Task> = new Queue();
  /** Completed accepts with a connection that nobody has claimed. */
  readonly #shelf: Shelf = new Shelf(closeGiven);
  readonly #ready: Opened[] = [];
  #accepting = false;
  /** Verdicts of the system's since the last connection. */
  #verdicts = 0;
  /** The accept under way keeps no process alive. */
  #unreferenced = false;
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
      this.#want();
    }
    return task.id;
  }

  /** A task that completes when an accept that is called then need not wait. */
  whenReady(): TaskId<void> {
    const task = new Task("ready", this.id, this);
    this.#watching.push(task);
    this.#settle();
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
    this.#rest();
    return false;
  }

  /** How many connections are ready for an accept. */
  get ready(): number {
    return this.#ready.length;
  }

  *pending(): Generator<TaskId, void, undefined> {
    for (const task of this.#waiting) yield task.id;
    for (const task of this.#watching) yield task.id;
  }

  /** A failure of this listener. */
  fail(code: string, op: string, text?: string): SocketError {
    return failure(code, op, { socket: this.id, local: this.local, text });
  }

  cancelled(): void {
    this.#settle();
  }

  protected letGo(): void {
    if (this.#waiting.size > 0 || this.#watching.size > 0) {
      const closed = deferFailure((op) => this.fail("ECONNABORTED", op, "socket was closed"));
      for (let task; (task = this.#waiting.shift()) !== undefined;) fault(task, closed);
      for (let task; (task = this.#watching.shift()) !== undefined;) fault(task, closed);
    }
    for (const task of this.#shelf) drop(task);
    for (const { transport } of this.#ready.splice(0)) transport.close();
    this.acceptor.close();
  }

  /** If nobody waits for the accept under way, it must not keep the process alive. */
  #rest(): void {
    if (this.#waiting.size > 0 || this.#watching.size > 0 || this.#unreferenced) return;
    this.#unreferenced = true;
    this.acceptor.unref?.();
  }

  /** Somebody waits for a connection. */
  #want(): void {
    if (this.#unreferenced) {
      this.#unreferenced = false;
      this.acceptor.ref?.();
    }
    this.#accept();
  }

  /**
   * Accepts go first, and each is served when its connection comes. Once none waits, those that
   * watch learn what there is.
   */
  #settle(): void {
    if (this.#waiting.size === 0 && (this.#ready.length > 0 || this.#cause !== undefined)) {
      for (let task; (task = this.#watching.shift()) !== undefined;) complete(task, undefined);
    }
    if (this.#waiting.size > 0 || this.#watching.size > 0) this.#want();
    else if (this.#accepting) this.#rest();
  }

  #accept(): void {
    if (this.#accepting) return;
    this.#accepting = true;
    this.acceptor.accept().then(this.#onConnection, this.#onError);
  }

  #arrived(incoming: Opened): void {
    this.#accepting = false;
    this.#verdicts = 0;
    if (this.closed) return incoming.transport.close();
    const task = this.#waiting.shift();
    if (task === undefined) this.#ready.push(incoming);
    else this.#give(task, incoming);
    this.#settle();
  }

  #give(task: Task, { transport, local, remote, session, proxy, first }: Opened): void {
    const stream = new Stream(transport, "server", local, remote, session);
    if (proxy !== undefined) stream.passedOn(proxy, first);
    this.accepted++;
    stream.givenBy = task;
    complete(task, stream.id, this.#shelf);
  }

  #failed(cause: unknown): void {
    this.#accepting = false;
    if (this.closed) return;
    if (this.#isOfOne(codeOf(cause))) this.lost++;
    else {
      this.#verdicts = 0;
      const task = this.#waiting.shift();
      if (task === undefined) this.#cause = cause;
      else fault(task, this.#translate(cause));
    }
    this.#settle();
  }

  /** Whether a failure concerns one connection only, and the next is to be tried. */
  #isOfOne(code: string): boolean {
    return OF_THE_PEER.has(code) || (OF_THE_SYSTEM.has(code) && ++this.#verdicts < MANY);
  }

  #translate(cause: unknown): Error {
    return translate(cause, "accept", { socket: this.id, local: this.local });
  }
}
