/**
 * The receiving half of a connection.
 *
 * Theory of operation. A read cannot be cancelled, a recv can. So reads do not belong to recvs:
 * there is one buffer and at most one read under way, and recvs take from the buffer in the order
 * they were called.
 *
 * - A read begins only when somebody wants bytes that are not there: without demand nothing is
 *   read and the peer is slowed down by TCP. It adds to the end of the buffer, so as long as it is
 *   under way the buffer may be taken from but is neither given away nor moved.
 * - When it ends, its bytes go to the waiting recvs, and stay in the buffer if there are none (any
 *   more). That is all of cancel safety: a cancelled recv has left the queue, nothing else.
 * - `unrecv` puts its bytes in front of the buffer, in a place of their own. A recv takes from one
 *   piece at a time: what was pushed in two pieces comes out in two pieces.
 * - The end of the stream and a failed read are remembered, and answer every later recv once what
 *   came before them has been taken.
 *
 * The buffer grows while reads fill it and shrinks while they do not, so an idle connection costs
 * little and a busy one makes few system calls. When one recv takes most of the buffer it is given
 * the buffer itself; less is copied out, so that a small result never pins a large buffer. Either
 * way a result begins where its memory begins, and shares it with nobody.
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
import { isResizable } from "./check.ts";
import { deferFailure } from "./failure.ts";
import { SocketError } from "./error.ts";
import { Pushback } from "./pushback.ts";
import { takeMemory, Work } from "./store.ts";
import type { Stream } from "./stream.ts";

/** So much is read at the first try: what a recv gives by default. */
const MIN_BUFFER = 4096;
const MAX_BUFFER = 64 * 1024;
/** So many reads in a row that leave most of the buffer empty make it shrink. */
const PATIENCE = 16;
/** From this size on `recvInto` reads straight into the caller's buffer. */
const DIRECT = 16 * 1024;
const NOTHING = new Uint8Array(0);

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
  /** What `unrecv` put in front, if it has not been taken. */
  #pushed: Pushback | undefined;
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  /** Behind what was received it may hold old bytes, of anybody's. */
  #used = false;
  #start = 0;
  #end = 0;
  #size = MIN_BUFFER;
  #wasted = 0;
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
    if (this.#pushed !== undefined) {
      return this.#pushed.copy(Math.min(this.#pushed.piece, max));
    }
    if (this.#start < this.#end) {
      return this.#buffer!.slice(this.#start, Math.min(this.#end, this.#start + max));
    }
    if (this.#cause !== undefined) throw this.#stream.translate(this.#cause, "peek");
    return new Uint8Array(0);
  }

  /** Puts bytes in front. They are copied: the caller may use its array again. */
  unrecv(data: Uint8Array): void {
    const { length } = data;
    if (length === 0) return;
    if (this.#pushed === undefined) this.#pushed = new Pushback(data);
    else this.#pushed.push(data);
    for (const { argument } of this.#waiting) {
      if (argument instanceof Demand) argument.pushed(length);
    }
    this.#serve();
  }

  /** Bytes that a recv would not have to wait for. */
  get buffered(): number {
    return this.#pushedLength + this.#end - this.#start;
  }

  get #pushedLength(): number {
    return this.#pushed === undefined ? 0 : this.#pushed.length;
  }

  /** Whether nothing more will come after what is buffered. */
  get ended(): boolean {
    return this.#ended || this.#cause !== undefined;
  }

  /** Everything that is buffered, in the two places where it lies: to look at and not to keep. */
  view(): readonly [Uint8Array, Uint8Array] {
    return [
      this.#pushed?.look() ?? NOTHING,
      this.#buffer?.subarray(this.#start, this.#end) ?? NOTHING,
    ];
  }

  /** The first `n` bytes, which are there: to look at and not to keep. */
  look(n: number): Uint8Array {
    const pushed = this.#pushedLength;
    if (n <= pushed) return this.#pushed!.look(n);
    return pushed > 0 ? this.#copy(n) : this.#buffer!.subarray(this.#start, this.#start + n);
  }

  /** Drops the first `n` bytes, which are there. */
  skip(n: number): void {
    const pushed = Math.min(n, this.#pushedLength);
    if (pushed > 0) this.#skipPushed(pushed);
    if (n > pushed) this.#advance(this.#start + n - pushed);
  }

  /** Takes exactly `n` bytes, which are there. */
  take(n: number): Uint8Array<ArrayBuffer> {
    if (this.#pushed === undefined || n <= this.#pushed.piece) return this.#next(n);
    const bytes = this.#copy(n);
    this.skip(n);
    return bytes;
  }

  /** A copy of the first `n` bytes, which are there. */
  #copy(n: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(n);
    const pushed = Math.min(n, this.#pushedLength);
    if (pushed > 0) bytes.set(this.#pushed!.look(pushed));
    if (n > pushed) {
      bytes.set(this.#buffer!.subarray(this.#start, this.#start + n - pushed), pushed);
    }
    return bytes;
  }

  /** Whether the stream broke instead of ending. */
  get failed(): boolean {
    return this.#cause !== undefined;
  }

  /** A failure of this connection. */
  fail(code: string, op: string, text: string): Error {
    return this.#stream.fail(code, op, text);
  }

  /** Faults a receive with what ended the stream: a failure, or the end when it came too soon. */
  faultEnded(task: Task): void {
    if (this.#lost !== undefined && !(task.argument instanceof Demand)) {
      return fault(task, this.#lost);
    }
    const error = this.#cause === undefined
      ? this.#stream.fail("EUNEXPECTEDEOF", task.kind, "peer ended the stream too soon")
      : this.#stream.translate(this.#cause, task.kind);
    if (task.argument instanceof Demand && error instanceof SocketError) {
      error.partial = this.#copy(this.buffered);
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
    const buffered = this.take(this.buffered);
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
    this.#buffer =
      this.#pushed =
      this.#direct =
      this.#directBuffer =
        undefined;
    this.#start = this.#end = 0;
    this.#successor?.resolve(null);
  }

  /** Whether a plain recv need not wait. */
  get #ready(): boolean {
    return this.#start < this.#end || this.#pushed !== undefined || this.#ended ||
      this.#cause !== undefined;
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
      if (this.#start < this.#end || this.#pushed !== undefined) {
        complete(task, this.#next(task.count), this);
      } else if (this.#cause !== undefined) this.faultEnded(task);
      else complete(task, new Uint8Array(0));
    } else if (argument instanceof Demand) argument.meet(task, this);
    else this.#giveInto(task, argument as Uint8Array);
  }

  #giveInto(task: Task, into: Uint8Array): void {
    if (into.length === 0) fault(task, this.#detachedBuffer());
    else if (this.#pushed !== undefined) {
      const n = Math.min(into.length, this.#pushed.piece);
      into.set(this.#pushed.look(n));
      this.#skipPushed(n);
      complete(task, n, this);
    } else if (this.#start < this.#end) {
      const end = Math.min(this.#end, this.#start + into.length);
      into.set(this.#buffer!.subarray(this.#start, end));
      complete(task, end - this.#start, this);
      this.#advance(end);
    } else if (this.#cause !== undefined) this.faultEnded(task);
    else complete(task, 0);
  }

  /** The program has detached the buffer that it was to leave alone. */
  #detachedBuffer(): Error {
    return this.#stream.fail("EINVAL", "recvInto", "buffer was detached before it was filled");
  }

  #noMemory(op: string, cause: unknown): Error {
    return this.#stream.fail("ENOMEM", op, `no memory for what is received, ${cause}`);
  }

  /** Takes up to `max` bytes out of the piece in front. */
  #next(max: number): Uint8Array<ArrayBuffer> {
    if (this.#pushed !== undefined) return this.#takePushed(Math.min(this.#pushed.piece, max));
    const buffer = this.#buffer;
    if (buffer === undefined) return new Uint8Array(0);
    const start = this.#start;
    const end = Math.min(this.#end, start + max);
    const isLast = end === this.#end && !this.#reading;
    if (start > 0 || !isLast || end * 2 < buffer.length) {
      const bytes = this.#part(buffer, start, end);
      this.#advance(end);
      return bytes;
    }
    this.#advance(end);
    this.#buffer = undefined;
    if (end === buffer.length) return buffer;
    if (this.#used) buffer.fill(0, end);
    return buffer.subarray(0, end);
  }

  #part(buffer: Uint8Array<ArrayBuffer>, start: number, end: number): Uint8Array<ArrayBuffer> {
    const memory = end - start < MIN_BUFFER ? undefined : takeMemory(end - start);
    if (memory === undefined) return buffer.slice(start, end);
    memory.set(buffer.subarray(start, end));
    return memory;
  }

  #takePushed(n: number): Uint8Array<ArrayBuffer> {
    const pushed = this.#pushed!;
    const bytes = pushed.take(n);
    if (pushed.length === 0) this.#pushed = undefined;
    return bytes;
  }

  #skipPushed(n: number): void {
    const pushed = this.#pushed!;
    pushed.skip(n);
    if (pushed.length === 0) this.#pushed = undefined;
  }

  /** The buffer has been taken up to `end`; once empty it is used from its start again. */
  #advance(end: number): void {
    if (end < this.#end || this.#reading) this.#start = end;
    else this.#start = this.#end = 0;
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
      if (this.#start === this.#end) this.#buffer = undefined;
      this.#reading = true;
      this.#stream.transport.readOwned().then(this.#onRead, this.#onRead);
      return;
    } else {
      try {
        buffer = this.#room();
      } catch (cause) {
        if (task === undefined) throw this.#noMemory(this.#watched ? "ready" : "peek", cause);
        this.#waiting.remove(task);
        return fault(task, this.#noMemory(task.kind, cause));
      }
    }
    this.#reading = true;
    this.#stream.transport.read(buffer).then(this.#onRead, this.#onRead);
  }

  /** Where to read to: behind what is buffered. */
  #room(): Uint8Array {
    const held = this.#end - this.#start;
    if (held === 0) {
      this.#start = this.#end = 0;
      // A buffer of another size than wanted is replaced here, where it is empty.
      if (this.#buffer?.length !== this.#size) {
        const memory = takeMemory(this.#size);
        this.#used = memory !== undefined;
        this.#buffer = memory ?? new Uint8Array(this.#size);
      }
      return this.#buffer;
    }
    if (this.#buffer!.length - this.#end < this.#size / 2) this.#grow(held, this.#size);
    return this.#buffer!.subarray(this.#end);
  }

  /** Makes room for so many bytes, or more, behind those that are held. */
  #grow(held: number, more: number): void {
    const larger = new Uint8Array(Math.max(more, held) + held);
    larger.set(this.#buffer!.subarray(this.#start, this.#end));
    this.#buffer = larger;
    this.#start = 0;
    this.#end = held;
  }

  /** Puts what came in memory of its own behind what is buffered. */
  #adopt(chunk: Uint8Array<ArrayBuffer>): number {
    const held = this.#end - this.#start;
    if (held === 0) {
      this.#buffer = chunk;
      this.#used = false;
      this.#start = this.#end = 0;
    } else {
      if (this.#buffer!.length - this.#end < chunk.length) this.#grow(held, chunk.length);
      this.#buffer!.set(chunk, this.#end);
    }
    return chunk.length;
  }

  #arrived(outcome: number | Uint8Array<ArrayBuffer> | null): void {
    if (this.#stream.closed) return;
    const n = outcome instanceof Uint8Array ? this.#adopt(outcome) : outcome;
    if (this.#successor !== undefined) return this.#passOn(n);
    if (n === null && this.#stream.reset !== undefined) return this.#failed(this.#stream.reset);
    this.#reading = false;
    if (n === null) {
      this.#ended = true;
      this.#direct = this.#directBuffer = undefined;
    } else {
      this.bytes += n;
      if (this.#directBuffer === undefined) this.#stored(n);
      else this.#storedInto(n);
    }
    this.#serve();
  }

  #stored(n: number): void {
    const room = this.#buffer!.length - this.#end;
    this.#end += n;
    if (n === room) {
      this.#size = Math.min(this.#size * 4, MAX_BUFFER);
      this.#wasted = 0;
    } else if (n * 8 > this.#size || this.#size === MIN_BUFFER) {
      this.#wasted = 0;
    } else if (++this.#wasted === PATIENCE) {
      this.#size /= 4;
      this.#wasted = 0;
    }
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
    else if (task !== undefined && this.#pushed === undefined) {
      this.#waiting.remove(task);
      complete(task, n, this);
    } else {
      // Nobody waits for it there any more, or what was pushed comes first.
      this.#buffer = new Uint8Array(into.subarray(0, n));
      this.#start = 0;
      this.#end = n;
    }
  }

  /** A read from before `pause` has ended: the bytes are in the buffer, or in a caller's. */
  #passOn(n: number | null): void {
    if (n === null) return this.#successor!.resolve(null);
    const from = this.#directBuffer ?? this.#buffer!.subarray(this.#end);
    this.#direct = this.#directBuffer = undefined;
    this.#start = this.#end = 0;
    this.#successor!.resolve(new Uint8Array(from.subarray(0, n)));
  }

  #failed(cause: unknown): void {
    if (this.#stream.closed) return;
    if (this.#successor !== undefined) return this.#successor.reject(cause);
    this.#reading = false;
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
