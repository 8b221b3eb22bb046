/**
 * The receiving half of a connection.
 *
 * Theory of operation. A read cannot be cancelled, a recv can. So reads do not belong to recvs:
 * there is one buffer (`buffer.ts`) and at most one read under way, and recvs take from the buffer
 * in the order they were called.
 *
 * - A read begins only when somebody wants bytes that are not there: without demand nothing is
 *   read and the peer is slowed down by TCP.
 * - When it ends, its bytes go to the waiting recvs, and stay in the buffer if there are none (any
 *   more). That is all of cancel safety: a cancelled recv has left the queue, nothing else.
 * - `unrecv` puts its bytes in front of the buffer, in a place of their own. A recv takes from one
 *   piece at a time: what was pushed in two pieces comes out in two pieces.
 * - The end of the stream and a failed read are remembered, and answer every later recv once what
 *   came before them has been taken.
 *
 * `recvInto` a large buffer reads straight into it: that is the one read with a recv of its own. If
 * that recv is cancelled, the bytes are copied out of the caller's buffer when they come.
 *
 * A `ready` takes nothing and so has no place among the recvs. It is looked at when they have been
 * served and none is left: whatever there is then is the next recv's, and if there is nothing it
 * reads.
 *
 * A read that nobody waits for (its recv was cancelled, or a peek began it) keeps no process alive:
 * the transport is told so, and told otherwise when somebody wants bytes again.
 *
 * Memory that cannot be had faults the receive that needs it, `ENOMEM`; the bytes stay.
 */
import {
  complete,
  type DeferredFault,
  fault,
  makeDroppable,
  nothingHeld,
  Queue,
  RUNNING,
  Shelf,
  Task,
  type TaskId,
} from "../../task/core/mod.ts";
import { ReceiveBuffer } from "./buffer.ts";
import { isResizable } from "./check.ts";
import { deferFailure } from "./failure.ts";
import { SocketError } from "./error.ts";
import { Work } from "./store.ts";
import type { Stream } from "./stream.ts";

/** From this size on `recvInto` reads straight into the caller's buffer. */
const DIRECT = 16 * 1024;

/** A receive that is not content with whatever comes first: the argument of its task. */
export abstract class Demand {
  /** Whether the task can be settled with what there is. */
  abstract isMet(receiver: Receiver): boolean;
  /** Settles the task, whose demand is met. */
  abstract meet(task: Task, receiver: Receiver): void;
  /** So many bytes were put in front: what was already looked through has moved. */
  abstract pushed(count: number): void;
}

export class Receiver {
  /** Bytes received from the transport, but for those of an upgrade's own. */
  bytes = 0;
  /** Completed receives with bytes that nobody has claimed. */
  #shelf: Shelf | undefined;
  readonly #stream: Stream;
  readonly #waiting: Queue<Task> = new Queue();
  /** Those that wait for what the next recv would give, and take nothing: there once there was one. */
  #watching: Queue<Task> | undefined;
  /** What was received and not taken. */
  readonly buffer: ReceiveBuffer = new ReceiveBuffer();
  #reading = false;
  /** The read under way keeps no process alive. */
  #unreferenced = false;
  /** The caller's buffer that is being read into, and the recvInto that waits for it. */
  #directBuffer: Uint8Array | undefined;
  #direct: Task | undefined;
  #work: Work | undefined;
  #ended = false;
  #cause: unknown = undefined;
  /** What several receives fault with that wait when a read fails. */
  #lost: DeferredFault | undefined;
  /** Who gets what a read still brings after `pause`. */
  #successor: PromiseWithResolvers<Uint8Array | null> | undefined;
  // One handler per connection, not per read: what is neither a number nor the end is a failure.
  readonly #onRead = (outcome: unknown) => {
    this.#work?.end();
    const isOwned = outcome instanceof Uint8Array;
    if (typeof outcome !== "number" && outcome !== null && !isOwned) return this.#failed(outcome);
    try {
      this.#arrived(outcome as number | Uint8Array<ArrayBuffer> | null);
    } catch (cause) {
      this.#failed(this.#noMemory("recv", cause)); // for bytes that came: the stream has a hole
    }
  };

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  /** Made when needed: most results are waited for. */
  get shelf(): Shelf {
    return this.#shelf ??= new Shelf(nothingHeld);
  }

  /** A receive: `argument` is the buffer of a recvInto, a `Demand`, or nothing. */
  receive<T>(kind: string, max: number, argument?: Uint8Array | Demand): TaskId<T> {
    return this.begin(kind, max, argument).id;
  }

  /** The same, for whoever must not lose it if nothing unclaimed is kept. */
  begin(kind: string, max: number, argument?: Uint8Array | Demand): Task {
    const task = new Task(kind, this.#stream.id, this.#stream);
    task.count = max;
    task.argument = argument;
    if (this.#waiting.size === 0 && this.#meets(task)) {
      this.#give(task);
    } else {
      this.#waiting.push(task);
      if (this.#unreferenced) this.#reference();
      if (this.#waiting.size === 1) this.#read();
    }
    return task;
  }

  /** A task that completes when a recv that is called then need not wait. */
  whenReady(): TaskId<void> {
    const task = new Task("ready", this.#stream.id, this.#stream);
    (this.#watching ??= new Queue()).push(task);
    if (this.#waiting.size === 0) this.#notify();
    return task.id;
  }

  /** What a recv of `max` bytes would give now; `undefined` if it would wait. */
  peek(max: number): Uint8Array<ArrayBuffer> | undefined {
    if (!this.#ready) {
      this.#read();
      if (this.#waiting.size === 0 && !this.#watched) this.#unreference();
      return undefined;
    }
    if (!this.buffer.isEmpty) return this.buffer.peek(max);
    if (this.#cause !== undefined) throw this.#stream.translate(this.#cause, "peek");
    return new Uint8Array(0);
  }

  /** Puts bytes in front. They are copied: the caller may use its array again. */
  unrecv(data: Uint8Array): void {
    const { length } = data;
    if (length === 0) return;
    this.buffer.push(data);
    for (const { argument } of this.#waiting) {
      if (argument instanceof Demand) argument.pushed(length);
    }
    this.#serve();
  }

  /** Whether nothing more will come after what is buffered. */
  get ended(): boolean {
    return this.#ended || this.#cause !== undefined;
  }

  /** Whether the stream broke instead of ending. */
  get failed(): boolean {
    return this.#cause !== undefined;
  }

  /** A failure of this connection. */
  fail(code: string, op: string, text: string): Error {
    return this.#stream.fail(code, op, text);
  }

  /** Faults a receive with what ended the stream: a failure, or the end, which came too soon. */
  faultEnded(task: Task, tooSoon = "peer ended the stream too soon"): void {
    if (this.#lost !== undefined && !(task.argument instanceof Demand)) {
      return fault(task, this.#lost);
    }
    const error = this.#cause === undefined
      ? this.#stream.fail("EUNEXPECTEDEOF", task.kind, tooSoon)
      : this.#stream.translate(this.#cause, task.kind);
    if (task.argument instanceof Demand && error instanceof SocketError) {
      error.partial = this.buffer.copy(this.buffer.length);
    }
    fault(task, error);
  }

  /**
   * A receive or a `ready` was cancelled: it has left the queue. Behind it others may wait that
   * want less, or that waited for the read into its buffer.
   */
  cancelled(task: Task): void {
    if (task === this.#direct) this.#direct = undefined;
    this.#serve();
  }

  /** Whether a receive waits. */
  get busy(): boolean {
    return this.#waiting.size > 0;
  }

  *pending(): Generator<TaskId, void, undefined> {
    for (const task of this.#waiting) yield task.id;
    if (this.#watching !== undefined) { for (const task of this.#watching) yield task.id; }
  }

  /**
   * Stops reading for the transport to be changed. Gives what is buffered and, if a read is under
   * way, what it will bring.
   */
  pause(): { buffered: Uint8Array; arriving: Promise<Uint8Array | null> | undefined } {
    if (this.#unreferenced) this.#reference();
    const buffered = this.buffer.take(this.buffer.length);
    this.bytes -= buffered.length; // they are of what comes between
    if (this.#reading) {
      this.#successor = Promise.withResolvers();
      this.#successor.promise.catch(() => {}); // whoever reads from it sees the failure
    }
    this.#reading = true;
    return { buffered, arriving: this.#successor?.promise };
  }

  /** Reads on, from the new transport. */
  resume(): void {
    this.#successor = undefined;
    this.#reading = this.#unreferenced = false;
    this.#serve();
  }

  close(): void {
    if (this.#waiting.size > 0 || this.#watched) {
      const closed = this.#stream.closedFault();
      for (let task; (task = this.#waiting.shift()) !== undefined;) fault(task, closed);
      for (let task; (task = this.#watching?.shift()) !== undefined;) fault(task, closed);
    }
    for (let task; (task = this.#shelf?.head) !== undefined;) makeDroppable(task);
    this.buffer.clear();
    this.#direct = this.#directBuffer = undefined;
    this.#successor?.resolve(null);
  }

  /** Whether a plain recv need not wait. */
  get #ready(): boolean {
    return !this.buffer.isEmpty || this.#ended || this.#cause !== undefined;
  }

  #meets(task: Task): boolean {
    const { argument } = task;
    return argument instanceof Demand ? argument.isMet(this) : this.#ready;
  }

  /** Lets waiting recvs have what there is, and reads on if that was not enough. */
  #serve(): void {
    // Bytes that were pushed while a read goes straight into the first recv's buffer must wait
    // for it: the read would write over them.
    if (this.#direct !== undefined) return;
    for (let task; (task = this.#waiting.head) !== undefined;) {
      if (!this.#meets(task)) {
        this.#read();
        if (this.#waiting.head === task) return;
      } else {
        this.#waiting.remove(task);
        this.#give(task);
      }
    }
    if (this.#watched) this.#notify();
    else if (this.#reading) this.#unreference();
  }

  get #watched(): boolean {
    return this.#watching !== undefined && this.#watching.size > 0;
  }

  /** No recv waits: lets those that watch know what there is, or looks for them. */
  #notify(): void {
    if (this.#ready) {
      for (let task; (task = this.#watching!.shift()) !== undefined;) complete(task, undefined);
      if (this.#reading && this.#waiting.size === 0) this.#unreference();
      return;
    }
    if (this.#unreferenced) this.#reference();
    try {
      this.#read();
    } catch (error) {
      for (let task; (task = this.#watching!.shift()) !== undefined;) fault(task, error);
    }
  }

  /** Settles one recv from what there is. */
  #give(task: Task): void {
    try {
      this.#settle(task);
    } catch (cause) {
      if (task.state !== RUNNING) throw cause;
      fault(task, this.#noMemory(task.kind, cause));
    }
  }

  #settle(task: Task): void {
    const { argument } = task;
    if (argument === undefined) {
      if (!this.buffer.isEmpty) complete(task, this.buffer.next(task.count), this);
      else if (this.#cause !== undefined) this.faultEnded(task);
      else complete(task, new Uint8Array(0));
    } else if (argument instanceof Demand) argument.meet(task, this);
    else this.#giveInto(task, argument as Uint8Array);
  }

  #giveInto(task: Task, into: Uint8Array): void {
    if (into.length === 0) fault(task, this.#detachedBuffer());
    else if (!this.buffer.isEmpty) complete(task, this.buffer.nextInto(into), this);
    else if (this.#cause !== undefined) this.faultEnded(task);
    else complete(task, 0);
  }

  /** The program has detached the buffer that it was to leave alone. */
  #detachedBuffer(): Error {
    return this.#stream.fail("EINVAL", "recvInto", "buffer was detached before it was filled");
  }

  #noMemory(op: string, cause: unknown): Error {
    return this.#stream.fail("ENOMEM", op, `no memory for what is received, ${cause}`);
  }

  /** Nobody waits for the read under way: it must not keep the process alive. */
  #unreference(): void {
    if (this.#unreferenced || !this.#reading) return;
    this.#unreferenced = true;
    this.#stream.transport.unref?.();
  }

  #reference(): void {
    this.#unreferenced = false;
    this.#stream.transport.ref?.();
  }

  /**
   * Begins a read unless one is under way or would be in vain. If there is no memory to read to,
   * the first receive has its fault and leaves.
   */
  #read(): void {
    if (this.#reading || this.#ended || this.#cause !== undefined) return;
    const task = this.#waiting.head;
    const into = task?.argument;
    let buffer: Uint8Array;
    if (into instanceof Uint8Array && into.length >= DIRECT && !isResizable(into)) {
      this.#direct = task;
      this.#directBuffer = buffer = into;
      (this.#work ??= new Work()).begin(into);
    } else if (this.#stream.transport.readOwned !== undefined) {
      this.buffer.release();
      this.#reading = true;
      this.#stream.transport.readOwned().then(this.#onRead, this.#onRead);
      return;
    } else {
      try {
        buffer = this.buffer.room();
      } catch (cause) {
        if (task === undefined) throw this.#noMemory(this.#watched ? "ready" : "peek", cause);
        this.#waiting.remove(task);
        return fault(task, this.#noMemory(task.kind, cause));
      }
    }
    this.#reading = true;
    this.#stream.transport.read(buffer).then(this.#onRead, this.#onRead);
  }

  /** A read has ended: with bytes in the room it was given, in memory of their own, or with the end. */
  #arrived(outcome: number | Uint8Array<ArrayBuffer> | null): void {
    if (this.#stream.closed) return;
    if (this.#successor !== undefined) return this.#passOn(outcome);
    if (outcome === null && this.#stream.reset !== undefined) {
      return this.#failed(this.#stream.reset);
    }
    this.#reading = false;
    if (outcome === null) {
      this.#ended = true;
      this.#direct = this.#directBuffer = undefined;
      this.buffer.filled(0);
    } else if (typeof outcome !== "number") {
      this.bytes += outcome.length;
      this.buffer.adopt(outcome);
    } else {
      this.bytes += outcome;
      if (this.#directBuffer === undefined) this.buffer.filled(outcome);
      else this.#storedInto(outcome);
    }
    this.#serve();
  }

  #storedInto(n: number): void {
    const task = this.#direct;
    const into = this.#directBuffer!;
    this.#direct = this.#directBuffer = undefined;
    if (n === 0 && into.length === 0) {
      // It was detached before anything was put there: nothing is lost.
      if (task === undefined) return;
      this.#waiting.remove(task);
      return fault(task, this.#detachedBuffer());
    }
    // What the system wrote there is out of reach: the stream has a hole.
    if (into.length < n) this.#cause = this.#detachedBuffer();
    else if (task !== undefined && this.buffer.isEmpty) {
      this.#waiting.remove(task);
      complete(task, n, this);
    } else {
      // Nobody waits for it there any more, or what was pushed comes first.
      this.buffer.adopt(new Uint8Array(into.subarray(0, n)));
    }
  }

  /** A read from before `pause` has ended: what it brought is somebody else's. */
  #passOn(outcome: number | Uint8Array<ArrayBuffer> | null): void {
    const direct = this.#directBuffer;
    this.#direct = this.#directBuffer = undefined;
    if (typeof outcome !== "number") this.#successor!.resolve(outcome);
    else if (direct === undefined) this.#successor!.resolve(this.buffer.divert(outcome));
    else this.#successor!.resolve(new Uint8Array(direct.subarray(0, outcome)));
  }

  #failed(cause: unknown): void {
    if (this.#stream.closed) return;
    if (this.#successor !== undefined) return this.#successor.reject(cause);
    this.#reading = false;
    this.buffer.filled(0);
    this.#cause = cause;
    if (cause instanceof Deno.errors.ConnectionReset) this.#stream.reset = cause;
    this.#direct = this.#directBuffer = undefined;
    if (this.#waiting.size > 1) {
      this.#lost = deferFailure((op) => this.#stream.translate(cause, op));
    }
    this.#serve();
    this.#lost = undefined;
  }
}
