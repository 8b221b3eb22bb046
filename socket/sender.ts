/**
 * The sending half of a connection.
 *
 * Theory of operation. One write is under way at a time. A send that finds none begins at once;
 * the others queue, and when the write ends the small ones at the front are joined into one chunk
 * and written together: a burst of a thousand sends costs a handful of system calls. What is not
 * joined is written from the caller's own memory.
 *
 * What has begun goes out whole: the chunk is the writer's, whatever becomes of its tasks. A
 * cancelled task that has begun is only unlinked from `#begun`; one that has not begun is unlinked
 * from `#queue` and so never sent. Each task that has begun notes where its bytes end in the chunk,
 * and is completed once that much was written.
 *
 * A shutdown takes its place in the queue. From the call on no send may follow it. After a failed
 * write nobody can know what the peer received, so the sending side stays broken.
 */
import { complete, type DeferredFault, fault, Task } from "../task/record.ts";
import { Queue } from "../task/queue.ts";
import type { TaskId } from "../task/id.ts";
import { deferFailure } from "./error.ts";
import type { Stream } from "./stream.ts";

/** The most that is joined into one write. */
const CHUNK = 64 * 1024;
/** A send of this size or more is written by itself, uncopied. */
const LARGE = 16 * 1024;

const NOTHING = new Uint8Array(0);

/** A joined chunk's memory, kept for the next one: writes of all connections take turns. */
let spare: Uint8Array | undefined;

export class Sender {
  /** Bytes handed to the transport. */
  bytes = 0;
  readonly #stream: Stream;
  readonly #queue: Queue<Task> = new Queue();
  readonly #begun: Queue<Task> = new Queue();
  #chunk: Uint8Array | undefined;
  /** The chunk's length, which it loses if the program detaches its buffer. */
  #length = 0;
  #written = 0;
  /** The memory of a joined chunk. */
  #memory: Uint8Array | undefined;
  /** A shutdown was asked for, whether it has begun, and whether it has been carried out. */
  #ending = false;
  #ended = false;
  #endSent = false;
  #cause: unknown = undefined;
  // One pair of handlers per connection, not per write.
  readonly #onWrite = (n: number) => this.#wrote(n);
  readonly #onError = (cause: unknown) => this.#failed(cause);

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  send(data: Uint8Array, kind: string): TaskId<number> {
    const task = new Task(kind, this.#stream.id, this.#stream);
    if (this.#ending || this.#cause !== undefined) {
      fault(task, this.#broken(kind));
    } else {
      task.argument = data;
      task.count = data.length;
      if (this.#chunk !== undefined) this.#queue.push(task);
      else this.#begin(task, data);
    }
    return task.id;
  }

  shutdown(): TaskId<void> {
    const task = new Task("shutdown", this.#stream.id, this.#stream);
    if (this.#cause !== undefined) {
      fault(task, this.#broken("shutdown"));
    } else if (this.#stream.reset !== undefined) {
      // Deno keeps this to itself.
      fault(task, this.#stream.fail("ENOTCONN", "shutdown"));
    } else {
      this.#ending = true;
      this.#queue.push(task);
      if (this.#chunk === undefined) this.#next();
    }
    return task.id;
  }

  /** A shutdown was cancelled: unless it has begun, sending goes on. */
  reopen(): void {
    if (this.#ended) return;
    for (const task of this.#queue) if (task.kind === "shutdown") return;
    this.#ending = false;
  }

  /** Bytes that have not been handed to the transport. */
  get queued(): number {
    let sum = this.#chunk === undefined ? 0 : this.#length - this.#written;
    for (const task of this.#queue) sum += lengthOf(task);
    return sum;
  }

  *pending(): Generator<TaskId, void, undefined> {
    for (const task of this.#begun) yield task.id;
    for (const task of this.#queue) yield task.id;
  }

  close(): void {
    this.#abandon(() => this.#stream.closedFault());
    this.#chunk = undefined;
  }

  /** Whether something is being sent or waits to be. */
  get busy(): boolean {
    return this.#chunk !== undefined;
  }

  /** Whether no more can be sent. */
  get shut(): boolean {
    return this.#ending || this.#cause !== undefined;
  }

  /** Lets sends queue while the transport is changed: as if a write of nothing were under way. */
  detach(): void {
    this.#chunk = NOTHING;
    this.#length = 0;
    this.#written = 0;
  }

  /** Sends on, to the new transport. */
  attach(): void {
    this.#chunk = undefined;
    this.#next();
  }

  /** Faults everything that has not been sent. */
  #abandon(reason: () => DeferredFault): void {
    if (this.#begun.size + this.#queue.size === 0) return;
    const error = reason();
    for (const queue of [this.#begun, this.#queue]) {
      for (const task of queue) {
        queue.remove(task);
        fault(task, error);
      }
    }
  }

  #broken(op: string): Error {
    if (this.#cause !== undefined) return this.#stream.translate(this.#cause, op);
    return this.#stream.fail("EPIPE", op, "sending side was shut down");
  }

  /** The program has detached the buffer that it was to leave alone. */
  #detached(op: string): Error {
    return this.#stream.fail("EINVAL", op, "data was detached before it was sent");
  }

  /** Writes one send by itself. */
  #begin(task: Task, data: Uint8Array): void {
    task.count = data.length;
    if (data.length === 0) return complete(task, 0);
    this.#begun.push(task);
    this.#chunk = data;
    this.#length = data.length;
    this.#written = 0;
    this.#write(data);
  }

  #write(data: Uint8Array): void {
    try {
      this.#stream.transport.write(data).then(this.#onWrite, this.#onError);
    } catch (cause) {
      this.#failed(cause);
    }
  }

  #wrote(n: number): void {
    if (this.#stream.closed) return;
    const chunk = this.#chunk!;
    const written = this.#written += n;
    this.bytes += n;
    let task = this.#begun.head;
    while (task !== undefined && task.count <= written) {
      this.#begun.remove(task);
      complete(task, lengthOf(task));
      task = this.#begun.head;
    }
    if (written < chunk.length) return this.#write(chunk.subarray(written));
    // What is left of it is gone, and half of it has been sent.
    if (written < this.#length) return this.#failed(this.#detached("send"));
    this.#chunk = undefined;
    if (this.#memory !== undefined) {
      spare = this.#memory;
      this.#memory = undefined;
    }
    if (this.#queue.size > 0) this.#next();
  }

  /** Begins what is at the front of the queue. */
  #next(): void {
    while (this.#chunk === undefined) {
      const task = this.#queue.shift();
      if (task === undefined) return;
      if (task.kind === "shutdown") {
        this.#end(task);
        continue;
      }
      const data = task.argument as Uint8Array;
      const next = this.#queue.head;
      if (data.length !== task.count) fault(task, this.#detached(task.kind));
      else if (next === undefined || data.length >= LARGE || !fits(data.length, next)) {
        this.#begin(task, data);
      } else this.#join(task, data);
    }
  }

  /** Copies small sends into one chunk and writes it. */
  #join(first: Task, data: Uint8Array): void {
    const memory = spare ?? new Uint8Array(CHUNK);
    spare = undefined;
    let used = 0;
    for (let task = first;;) {
      memory.set(data, used);
      task.count = used += data.length;
      this.#begun.push(task);
      const next = this.#queue.head;
      if (next === undefined || !fits(used, next)) break;
      this.#queue.remove(task = next);
      data = task.argument as Uint8Array;
    }
    this.#memory = memory;
    this.#written = 0;
    this.#length = used;
    this.#chunk = memory.subarray(0, used);
    if (used === 0) this.#wrote(0);
    else this.#write(this.#chunk);
  }

  #end(task: Task): void {
    if (this.#endSent) return complete(task, undefined);
    this.#begun.push(task);
    if (this.#ended) return;
    this.#ended = true;
    this.#stream.transport.closeWrite().then(() => this.#finished(), this.#onError);
  }

  #finished(): void {
    if (this.#stream.closed) return;
    this.#endSent = true;
    for (const task of this.#begun) {
      this.#begun.remove(task);
      complete(task, undefined);
    }
  }

  #failed(cause: unknown): void {
    if (this.#stream.closed) return;
    this.#cause = cause;
    if (cause instanceof Deno.errors.ConnectionReset) this.#stream.reset = cause;
    this.#chunk = undefined;
    this.#abandon(() => deferFailure((op) => this.#stream.translate(cause, op)));
  }
}

function lengthOf(task: Task): number {
  return (task.argument as Uint8Array | undefined)?.length ?? 0;
}

/** Whether a send may join a chunk that has `used` bytes. */
function fits(used: number, task: Task): boolean {
  const length = lengthOf(task);
  return task.kind !== "shutdown" && length === task.count && length < LARGE &&
    used + length <= CHUNK;
}
