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
 * - `unrecv` stacks its bytes in front of the buffer. A recv takes from one chunk at a time: what
 *   was pushed in two pieces comes out in two pieces.
 * - The end of the stream and a failed read are remembered, and answer every later recv once what
 *   came before them has been taken.
 *
 * The buffer grows while reads fill it and shrinks while they do not, so an idle connection costs
 * little and a busy one makes few system calls. When one recv takes most of the buffer it is given
 * the buffer itself; less is copied out, so that a small result never pins a large buffer (a few
 * bytes into shared memory: see `slab.ts`).
 *
 * `recvInto` a large buffer reads straight into it: that is the one read with a recv of its own. If
 * that recv is cancelled, the bytes are copied out of the caller's buffer when they come.
 */
import { complete, fault, makeDroppable, RUNNING, Task } from "../task/record.ts";
import { Queue } from "../task/queue.ts";
import { nothingHeld, Shelf } from "../task/shelf.ts";
import type { TaskId } from "../task/id.ts";
import { SocketError } from "./error.ts";
import { copySmall, SMALL } from "./slab.ts";
import type { Stream } from "./stream.ts";

/** So much is read at the first try: what a recv gives by default. */
const MIN_BUFFER = 4096;
const MAX_BUFFER = 64 * 1024;
/** So many reads in a row that leave most of the buffer empty make it shrink. */
const PATIENCE = 16;
/** From this size on `recvInto` reads straight into the caller's buffer. */
const DIRECT = 16 * 1024;

/** A receive that is not content with whatever comes first: the argument of its task. */
export abstract class Demand {
  /** Whether the task can be settled with what there is. */
  abstract isMet(receiver: Receiver): boolean;
  /** Settles the task, whose demand is met. */
  abstract meet(task: Task, receiver: Receiver): void;
  /** Bytes were put in front: what was already looked through has moved. */
  abstract restart(): void;
}

export class Receiver {
  /** Bytes received from the transport. */
  bytes = 0;
  /** Completed receives with bytes that nobody has claimed. */
  readonly shelf: Shelf = new Shelf(nothingHeld);
  readonly #stream: Stream;
  readonly #waiting: Queue<Task> = new Queue();
  /** What `unrecv` put in front, the next chunk last. */
  #pushed: Uint8Array[] | undefined;
  #buffer: Uint8Array | undefined;
  #start = 0;
  #end = 0;
  #size = MIN_BUFFER;
  #wasted = 0;
  #reading = false;
  /** The recvInto whose buffer is being read into. */
  #direct: Task | undefined;
  #directBuffer: Uint8Array | undefined;
  #ended = false;
  #cause: unknown = undefined;
  /** Who gets what a read still brings after `detach`. */
  #heir: PromiseWithResolvers<Uint8Array | null> | undefined;
  // One pair of handlers per connection, not per read.
  readonly #onRead = (n: number | null) => this.#arrived(n);
  readonly #onError = (cause: unknown) => this.#failed(cause);

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  /** A receive: `argument` is the buffer of a recvInto, a `Demand`, or nothing. */
  receive<T>(kind: string, max: number, argument?: Uint8Array | Demand): TaskId<T> {
    const task = new Task(kind, this.#stream.id, this.#stream);
    task.count = max;
    task.argument = argument;
    if (this.#waiting.size === 0 && this.#meets(task)) {
      this.#give(task);
    } else {
      this.#waiting.push(task);
      if (this.#waiting.size === 1) this.#read();
    }
    return task.id;
  }

  /** What a recv of `max` bytes would give now; `undefined` if it would wait. */
  peek(max: number): Uint8Array | undefined {
    if (!this.#ready) {
      this.#read();
      return undefined;
    }
    const chunk = this.#pushed?.at(-1);
    if (chunk !== undefined) return chunk.slice(0, max);
    if (this.#start < this.#end) {
      return this.#buffer!.slice(this.#start, Math.min(this.#end, this.#start + max));
    }
    if (this.#cause !== undefined) throw this.#stream.translate(this.#cause, "peek");
    return new Uint8Array(0);
  }

  /** Puts bytes in front. They are copied: the caller may use its array again. */
  unrecv(data: Uint8Array): void {
    if (data.length === 0) return;
    (this.#pushed ??= []).push(new Uint8Array(data));
    for (const { argument } of this.#waiting) if (argument instanceof Demand) argument.restart();
    this.#serve();
  }

  /** Bytes that a recv would not have to wait for. */
  get buffered(): number {
    let sum = this.#end - this.#start;
    if (this.#pushed !== undefined) sum += this.#pushed.reduce((n, chunk) => n + chunk.length, 0);
    return sum;
  }

  /** Whether nothing more will come after what is buffered. */
  get ended(): boolean {
    return this.#ended || this.#cause !== undefined;
  }

  /** Everything that is buffered, to look at and not to keep. */
  view(): Uint8Array {
    const rest = this.#buffer?.subarray(this.#start, this.#end) ?? new Uint8Array(0);
    return this.#pushed === undefined ? rest : concat([...this.#pushed.toReversed(), rest]);
  }

  /** Takes exactly `n` bytes, which are there. */
  take(n: number): Uint8Array {
    const first = this.#next(n);
    if (first.length === n) return first;
    const chunks = [first];
    for (let size = first.length; size < n;) {
      const chunk = this.#next(n - size);
      chunks.push(chunk);
      size += chunk.length;
    }
    return concat(chunks);
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
    const error = this.#cause === undefined
      ? this.#stream.fail("EUNEXPECTEDEOF", task.kind, "peer ended the stream too soon")
      : this.#stream.translate(this.#cause, task.kind);
    if (task.argument instanceof Demand && error instanceof SocketError) {
      error.partial = this.view().slice();
    }
    fault(task, error);
  }

  /** The first receive, which wanted more than the next may, has left. */
  wake(): void {
    this.#serve();
  }

  /** Whether a receive waits. */
  get busy(): boolean {
    return this.#waiting.size > 0;
  }

  *pending(): Generator<TaskId, void, undefined> {
    for (const task of this.#waiting) yield task.id;
  }

  /**
   * Stops reading for the transport to be changed. Gives what is buffered and, if a read is under
   * way, what it will bring.
   */
  detach(): { buffered: Uint8Array; arriving: Promise<Uint8Array | null> | undefined } {
    const buffered = this.take(this.buffered);
    if (this.#reading) {
      this.#heir = Promise.withResolvers();
      this.#heir.promise.catch(() => {}); // whoever reads from it sees the failure
    }
    this.#reading = true;
    return { buffered, arriving: this.#heir?.promise };
  }

  /** Reads on, from the new transport. */
  attach(): void {
    this.#heir = undefined;
    this.#reading = false;
    if (this.#waiting.size > 0) this.#read();
  }

  close(): void {
    for (let task; (task = this.#waiting.shift()) !== undefined;) {
      fault(task, this.#stream.fail("ECONNABORTED", task.kind, "socket was closed"));
    }
    for (let task; (task = this.shelf.head) !== undefined;) makeDroppable(task);
    this.#buffer =
      this.#pushed =
      this.#direct =
      this.#directBuffer =
        undefined;
    this.#start = this.#end = 0;
    this.#heir?.resolve(null);
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
    if (this.#direct?.state === RUNNING) return;
    for (let task; (task = this.#waiting.head) !== undefined;) {
      if (!this.#meets(task)) return this.#read();
      this.#waiting.remove(task);
      this.#give(task);
    }
  }

  /** Settles one recv from what there is. */
  #give(task: Task): void {
    const { argument } = task;
    if (argument === undefined) {
      if (this.#start < this.#end || this.#pushed !== undefined) {
        // What nobody awaits yet must not depend on what becomes of other results' memory.
        complete(task, this.#next(task.count, task.promise !== undefined), this.shelf);
      } else if (this.#cause !== undefined) this.faultEnded(task);
      else complete(task, new Uint8Array(0));
    } else if (argument instanceof Demand) argument.meet(task, this);
    else this.#giveInto(task, argument as Uint8Array);
  }

  #giveInto(task: Task, into: Uint8Array): void {
    if (into.length === 0) fault(task, this.#detachedBuffer());
    else if (this.#pushed !== undefined) {
      const chunk = this.#nextPushed(into.length);
      into.set(chunk);
      complete(task, chunk.length);
    } else if (this.#start < this.#end) {
      const end = Math.min(this.#end, this.#start + into.length);
      into.set(this.#buffer!.subarray(this.#start, end));
      complete(task, end - this.#start);
      this.#advance(end);
    } else if (this.#cause !== undefined) this.faultEnded(task);
    else complete(task, 0);
  }

  /** The program has detached the buffer that it was to leave alone. */
  #detachedBuffer(): Error {
    return this.#stream.fail("EINVAL", "recvInto", "buffer was detached before it was filled");
  }

  /** Takes up to `max` bytes out of the front chunk; a few of them as a part of larger memory. */
  #next(max: number, part = false): Uint8Array {
    if (this.#pushed !== undefined) return this.#nextPushed(max);
    const buffer = this.#buffer;
    if (buffer === undefined) return new Uint8Array(0);
    const start = this.#start;
    const end = Math.min(this.#end, start + max);
    this.#advance(end);
    if (part && end - start <= SMALL) return copySmall(buffer, start, end);
    if (this.#end > 0 || this.#reading || (end - start) * 2 < buffer.length) {
      return new Uint8Array(buffer.subarray(start, end)); // unlike slice's, not zeroed first
    }
    this.#buffer = undefined;
    return end - start === buffer.length ? buffer : buffer.subarray(start, end);
  }

  #nextPushed(max: number): Uint8Array {
    const pushed = this.#pushed!;
    const chunk = pushed.pop()!;
    if (chunk.length > max) {
      pushed.push(chunk.subarray(max));
      return chunk.slice(0, max);
    }
    if (pushed.length === 0) this.#pushed = undefined;
    return chunk;
  }

  /** The buffer has been taken up to `end`; once empty it is used from its start again. */
  #advance(end: number): void {
    if (end < this.#end || this.#reading) this.#start = end;
    else this.#start = this.#end = 0;
  }

  /** Begins a read unless one is under way or would be in vain. */
  #read(): void {
    if (this.#reading || this.#ended || this.#cause !== undefined) return;
    this.#reading = true;
    const into = this.#waiting.head?.argument;
    if (into instanceof Uint8Array && into.length >= DIRECT) {
      this.#direct = this.#waiting.head;
      this.#directBuffer = into;
      this.#stream.transport.read(into).then(this.#onRead, this.#onError);
    } else {
      this.#stream.transport.read(this.#room()).then(this.#onRead, this.#onError);
    }
  }

  /** Where to read to: behind what is buffered. */
  #room(): Uint8Array {
    const held = this.#end - this.#start;
    if (held === 0) {
      this.#start = this.#end = 0;
      // A buffer of another size than wanted is replaced here, where it is empty.
      if (this.#buffer?.length !== this.#size) this.#buffer = new Uint8Array(this.#size);
      return this.#buffer!;
    }
    if (this.#buffer!.length - this.#end < this.#size / 2) {
      const larger = new Uint8Array(Math.max(this.#size, held) + held);
      larger.set(this.#buffer!.subarray(this.#start, this.#end));
      this.#buffer = larger;
      this.#start = 0;
      this.#end = held;
    }
    return this.#buffer!.subarray(this.#end);
  }

  #arrived(n: number | null): void {
    if (this.#stream.closed) return;
    if (this.#heir !== undefined) return this.#bequeath(n);
    if (n === null && this.#stream.reset !== undefined) return this.#failed(this.#stream.reset);
    this.#reading = false;
    if (n === null) {
      this.#ended = true;
      this.#direct = this.#directBuffer = undefined;
    } else {
      this.bytes += n;
      if (this.#direct === undefined) this.#stored(n);
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
    const direct = this.#direct!;
    const into = this.#directBuffer!;
    this.#direct = this.#directBuffer = undefined;
    // What the system wrote there is out of reach: the stream has a hole.
    if (into.length < n) this.#cause = this.#detachedBuffer();
    else if (direct.state === RUNNING && this.#pushed === undefined) {
      this.#waiting.remove(direct);
      complete(direct, n);
    } else {
      // Nobody waits for it there any more, or what was pushed comes first.
      this.#buffer = new Uint8Array(into.subarray(0, n));
      this.#start = 0;
      this.#end = n;
    }
  }

  /** A read from before `detach` has ended: the bytes are in the buffer, or in a caller's. */
  #bequeath(n: number | null): void {
    if (n === null) return this.#heir!.resolve(null);
    this.bytes += n;
    const from = this.#directBuffer ?? this.#buffer!.subarray(this.#end);
    this.#direct = this.#directBuffer = undefined;
    this.#start = this.#end = 0;
    this.#heir!.resolve(new Uint8Array(from.subarray(0, n)));
  }

  #failed(cause: unknown): void {
    if (this.#stream.closed) return;
    if (this.#heir !== undefined) return this.#heir.reject(cause);
    this.#reading = false;
    this.#cause = cause;
    if (cause instanceof Deno.errors.ConnectionReset) this.#stream.reset = cause;
    this.#direct = this.#directBuffer = undefined;
    this.#serve();
  }
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((n, chunk) => n + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
