/**
 * The receiving half of a connection.
 *
 * Theory of operation. A read cannot be cancelled, a recv can. So reads do not belong to recvs:
 * there is one buffer and at most one read under way, and recvs take from the buffer in the order
 * they were called.
 *
 * - A read begins only when somebody wants bytes and there are none: without demand nothing is
 *   read and the peer is slowed down by TCP. So while a read is under way the buffer is empty.
 * - When it ends, its bytes go to the waiting recvs, and stay in the buffer if there are none (any
 *   more). That is all of cancel safety: a cancelled recv has left the queue, nothing else.
 * - `unrecv` stacks its bytes in front of the buffer. A recv takes from one chunk at a time: what
 *   was pushed in two pieces comes out in two pieces.
 * - The end of the stream and a failed read are remembered, and answer every later recv once what
 *   came before them has been taken.
 *
 * The buffer grows while reads fill it and shrinks while they do not, so an idle connection costs
 * little and a busy one makes few system calls. When one recv takes most of the buffer it is given
 * the buffer itself; less is copied out, so that a small result never pins a large buffer.
 *
 * `recvInto` a large buffer reads straight into it: that is the one read with a recv of its own. If
 * that recv is cancelled, the bytes are copied out of the caller's buffer when they come.
 */
import { complete, fault, release, RUNNING, Task } from "../task/record.ts";
import { Queue } from "../task/queue.ts";
import type { TaskId } from "../task/id.ts";
import type { Stream } from "./stream.ts";

const MIN_BUFFER = 1024;
const MAX_BUFFER = 64 * 1024;
/** So many reads in a row that leave most of the buffer empty make it shrink. */
const PATIENCE = 16;
/** From this size on `recvInto` reads straight into the caller's buffer. */
const DIRECT = 16 * 1024;

export class Receiver {
  /** Bytes received from the transport. */
  bytes = 0;
  readonly #stream: Stream;
  readonly #waiting: Queue<Task> = new Queue();
  /** Completed recvs with bytes that nobody has claimed. */
  readonly #shelf: Queue<Task> = new Queue();
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
  // One pair of handlers per connection, not per read.
  readonly #onRead = (n: number | null) => this.#arrived(n);
  readonly #onError = (cause: unknown) => this.#failed(cause);

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  recv(max: number): TaskId<Uint8Array> {
    const task = new Task("recv", this.#stream.id, this.#stream);
    task.count = max;
    this.#take(task);
    return task.id;
  }

  recvInto(buffer: Uint8Array): TaskId<number> {
    const task = new Task("recvInto", this.#stream.id, this.#stream);
    task.argument = buffer;
    this.#take(task);
    return task.id;
  }

  /** What a recv of `max` bytes would give now; `undefined` if it would wait. */
  peek(max: number): Uint8Array | undefined {
    if (this.#cause !== undefined && this.buffered === 0) {
      throw this.#stream.translate(this.#cause, "peek");
    }
    if (!this.#ready) {
      this.#read();
      return undefined;
    }
    const chunk = this.#pushed?.at(-1);
    if (chunk !== undefined) return chunk.slice(0, max);
    if (this.#buffer === undefined) return new Uint8Array(0);
    return this.#buffer.slice(this.#start, Math.min(this.#end, this.#start + max));
  }

  /** Puts bytes in front. They are copied: the caller may use its array again. */
  unrecv(data: Uint8Array): void {
    if (data.length === 0) return;
    (this.#pushed ??= []).push(new Uint8Array(data));
    this.#serve();
  }

  /** Bytes that a recv would not have to wait for. */
  get buffered(): number {
    let sum = this.#end - this.#start;
    if (this.#pushed !== undefined) { for (const chunk of this.#pushed) sum += chunk.length; }
    return sum;
  }

  *pending(): Generator<TaskId, void, undefined> {
    for (const task of this.#waiting) yield task.id;
  }

  close(): void {
    for (const task of this.#waiting) {
      this.#waiting.remove(task);
      fault(task, this.#stream.fail("ECONNABORTED", task.kind, "socket was closed"));
    }
    for (const task of this.#shelf) release(task);
    this.#buffer =
      this.#pushed =
      this.#direct =
      this.#directBuffer =
        undefined;
    this.#start = this.#end = 0;
  }

  /** Whether a recv need not wait. */
  get #ready(): boolean {
    return this.#start < this.#end || this.#pushed !== undefined || this.#ended ||
      this.#cause !== undefined;
  }

  #take(task: Task): void {
    if (this.#waiting.size === 0 && this.#ready) return this.#give(task);
    this.#waiting.push(task);
    this.#read();
  }

  /** Lets waiting recvs have what there is, and reads on if that was not enough. */
  #serve(): void {
    // Bytes that were pushed while a read goes straight into the first recv's buffer must wait
    // for it: the read would write over them.
    if (this.#direct?.state === RUNNING) return;
    while (this.#waiting.size > 0 && this.#ready) this.#give(this.#waiting.shift()!);
    if (this.#waiting.size > 0) this.#read();
  }

  /** Settles one recv from what there is. */
  #give(task: Task): void {
    const into = task.argument as Uint8Array | undefined;
    if (this.#start < this.#end || this.#pushed !== undefined) {
      if (into === undefined) complete(task, this.#next(task.count), this.#shelf);
      else complete(task, this.#nextInto(into));
    } else if (this.#cause !== undefined) {
      fault(task, this.#stream.translate(this.#cause, task.kind));
    } else {
      complete(task, into === undefined ? new Uint8Array(0) : 0);
    }
  }

  /** Takes up to `max` bytes out of the front chunk. */
  #next(max: number): Uint8Array {
    if (this.#pushed !== undefined) return this.#nextPushed(max);
    const buffer = this.#buffer!;
    const start = this.#start;
    const end = Math.min(this.#end, start + max);
    if (end === this.#end) {
      this.#start = this.#end = 0;
      if ((end - start) * 2 >= buffer.length) {
        this.#buffer = undefined;
        return end - start === buffer.length ? buffer : buffer.subarray(start, end);
      }
    } else {
      this.#start = end;
    }
    return buffer.slice(start, end);
  }

  #nextPushed(max: number): Uint8Array {
    const pushed = this.#pushed!;
    const chunk = pushed.pop()!;
    if (chunk.length > max) pushed.push(chunk.subarray(max));
    else if (pushed.length === 0) this.#pushed = undefined;
    return chunk.length > max ? chunk.slice(0, max) : chunk;
  }

  #nextInto(into: Uint8Array): number {
    if (this.#pushed !== undefined) {
      const chunk = this.#nextPushed(into.length);
      into.set(chunk);
      return chunk.length;
    }
    const n = Math.min(into.length, this.#end - this.#start);
    into.set(this.#buffer!.subarray(this.#start, this.#start + n));
    this.#start += n;
    if (this.#start === this.#end) this.#start = this.#end = 0;
    return n;
  }

  /** Begins a read unless one is under way or would be in vain. */
  #read(): void {
    if (this.#reading || this.#ready) return;
    this.#reading = true;
    const first = this.#waiting.head;
    const into = first?.argument as Uint8Array | undefined;
    let target: Uint8Array;
    if (into !== undefined && into.length >= DIRECT) {
      this.#direct = first;
      target = this.#directBuffer = into;
    } else {
      // A buffer of another size than wanted is replaced here, where it is empty.
      if (this.#buffer?.length !== this.#size) this.#buffer = new Uint8Array(this.#size);
      target = this.#buffer!;
    }
    this.#stream.transport.read(target).then(this.#onRead, this.#onError);
  }

  #arrived(n: number | null): void {
    this.#reading = false;
    if (this.#stream.closed) return;
    if (n === null) {
      this.#ended = true;
      this.#direct = this.#directBuffer = undefined;
    } else {
      this.#store(n);
    }
    this.#serve();
  }

  #store(n: number): void {
    this.bytes += n;
    const direct = this.#direct;
    if (direct === undefined) {
      this.#end = n;
      this.#adapt(n);
      return;
    }
    const into = this.#directBuffer!;
    this.#direct = this.#directBuffer = undefined;
    if (direct.state === RUNNING && this.#pushed === undefined) {
      this.#waiting.remove(direct);
      complete(direct, n);
    } else {
      this.#buffer = new Uint8Array(into.subarray(0, n));
      this.#end = n;
    }
  }

  #adapt(n: number): void {
    if (n === this.#size) {
      this.#size = Math.min(this.#size * 4, MAX_BUFFER);
      this.#wasted = 0;
    } else if (n * 8 > this.#size || this.#size === MIN_BUFFER) {
      this.#wasted = 0;
    } else if (++this.#wasted === PATIENCE) {
      this.#size /= 4;
      this.#wasted = 0;
    }
  }

  #failed(cause: unknown): void {
    this.#reading = false;
    if (this.#stream.closed) return;
    this.#cause = cause;
    this.#direct = this.#directBuffer = undefined;
    this.#serve();
  }
}
