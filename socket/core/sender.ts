/**
 * The sending half of a connection.
 *
 * Theory of operation. One write is under way at a time. A send that finds none begins at once;
 * the others queue, and when the write ends the small ones at the front are joined into one chunk
 * and written together: a burst of a thousand sends costs a handful of system calls.
 *
 * What is small is written from memory that serves one write after the other, so that the caller's
 * array is free at once; a small send that has to wait is copied, too. The rest is written from the
 * caller's own memory, or from what the caller has given up; that is kept for receives afterwards.
 * Should that be taken away meanwhile, what is left of it cannot be sent, and the sending side is
 * broken. Memory that may shrink is never worked on: it is copied at the call.
 *
 * What has begun goes out whole: the chunk is the writer's, whatever becomes of its tasks. A
 * cancelled task that has begun is only unlinked from `#begun`; one that has not begun is unlinked
 * from `#queue` and so never sent. A queued task has its data as its `argument` and the length that
 * it had at the call as its `count`; one that has begun has that length as its `argument` and where
 * its bytes end in the chunk as its `count`, and is completed once that much was written.
 *
 * A shutdown takes its place in the queue. From the call on no send may follow it. After a failed
 * write nobody can know what the peer received, so the sending side stays broken.
 */
import {
  complete,
  type DeferredFault,
  fault,
  Queue,
  Task,
  type TaskId,
} from "../../task/core/mod.ts";
import { isResizable } from "./check.ts";
import { deferFailure } from "./failure.ts";
import { Given, keepMemory, Work } from "./store.ts";
import type { Stream } from "./stream.ts";

/** Up to here a send that is written by itself is copied, too. */
const SMALL = 512;
/** The most that is joined into one write. */
const CHUNK = 64 * 1024;
/** A send of this size or more is written by itself, uncopied. */
const LARGE = 16 * 1024;

const NOTHING = new Uint8Array(0);

/** Memory of joined chunks, kept for the next ones: writes of all connections take turns. */
const spares: Uint8Array[] = [];
const MAX_SPARES = 16;

/** Memory for one small write at a time. */
class Scratch {
  readonly memory = new Uint8Array(SMALL);
  view = this.memory;

  /** Gives a copy that is good until the next one. */
  copy(data: Uint8Array): Uint8Array {
    if (data === this.view) return data;
    this.memory.set(data);
    return this.first(data.length);
  }

  /** So many bytes from its start. */
  first(length: number): Uint8Array {
    if (this.view.length !== length) this.view = this.memory.subarray(0, length);
    return this.view;
  }
}

/** What the next small sends are copied to, and how much is kept for them. */
const scratches: Scratch[] = [];
const MAX_SCRATCHES = 1024;

/**
 * Small sends that wait share memory that nobody else sees: one of its own costs more than all the
 * rest of a send. A block is collected once all of its sends are, so that one that waits for ever
 * holds no more than a block.
 */
let block = NOTHING;
let filled = 0;
const BLOCK = 8 * 1024;

/** Gives a copy that stays. */
function keepCopy(data: Uint8Array): Uint8Array {
  const { length } = data;
  if (filled + length > block.length) {
    block = new Uint8Array(BLOCK);
    filled = 0;
  }
  const copy = block.subarray(filled, filled += length);
  copy.set(data);
  return copy;
}

export class Sender {
  /** Bytes handed to the transport. */
  bytes = 0;
  readonly #stream: Stream;
  /** There once a send had to wait. */
  #queue: Queue<Task> | undefined;
  readonly #begun: Queue<Task> = new Queue();
  #chunk: Uint8Array | undefined;
  /** The chunk's length, which it loses if the program detaches its buffer. */
  #length = 0;
  #written = 0;
  /** The memory of a joined chunk; of one small send. */
  #memory: Uint8Array | undefined;
  #scratch: Scratch | undefined;
  /** What the chunk is, if its memory was given up; and the work on it if not. */
  #given: Given | undefined;
  #work: Work | undefined;
  /** A shutdown was asked for, whether it has begun, and whether it has been carried out. */
  #ending = false;
  #ended = false;
  #endSent = false;
  #cause: unknown = undefined;
  // One handler per connection, not per write: what is no number is a failure.
  readonly #onWrite = (outcome: unknown) => {
    if (typeof outcome !== "number") return this.#failed(outcome);
    try {
      this.#wrote(outcome);
    } catch (cause) {
      this.#failed(this.#stream.fail("ENOMEM", "send", `no memory for what is sent, ${cause}`));
    }
  };
  #onGathered: (() => void) | undefined;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  send(data: Uint8Array | Given, kind: string): TaskId<number> {
    if (data instanceof Uint8Array && data.length > SMALL && isResizable(data)) {
      data = new Uint8Array(data);
    }
    const task = new Task(kind, this.#stream.id, this.#stream);
    if (this.#ending || this.#cause !== undefined) {
      fault(task, this.#broken(kind));
    } else if (
      this.#chunk === undefined && (!this.#stream.session?.joins || bytesOf(data).length === 0)
    ) {
      this.#begin(task, data);
    } else {
      // Small arrays are the caller's again at once, whether the send begins or waits.
      if (data instanceof Uint8Array && data.length <= SMALL) {
        data = this.#chunk === undefined ? this.#small().copy(data) : keepCopy(data);
      }
      task.argument = data;
      task.count = bytesOf(data).length;
      this.#enqueue(task);
      if (this.#chunk === undefined) this.#gather();
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
      this.#enqueue(task);
      if (this.#chunk === undefined) this.#next();
    }
    return task.id;
  }

  #enqueue(task: Task): void {
    (this.#queue ??= new Queue()).push(task);
  }

  /** What waits, from the first on. */
  get #queued(): Iterable<Task> {
    return this.#queue ?? [];
  }

  /** A shutdown was cancelled: unless it has begun, sending goes on. */
  reopen(): void {
    if (this.#ended) return;
    for (const task of this.#queued) if (task.kind === "shutdown") return;
    this.#ending = false;
  }

  /** Bytes that have not been handed to the transport. */
  get queued(): number {
    let sum = this.#chunk === undefined ? 0 : this.#length - this.#written;
    for (const task of this.#queued) sum += task.count;
    return sum;
  }

  *pending(): Generator<TaskId, void, undefined> {
    for (const task of this.#begun) yield task.id;
    for (const task of this.#queued) yield task.id;
  }

  close(): void {
    this.#abandon(() => this.#stream.closedFault());
    this.#chunk = this.#given = undefined;
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
  pause(): void {
    this.#chunk = NOTHING;
    this.#length = 0;
    this.#written = 0;
  }

  /** Sends on, to the new transport. */
  resume(): void {
    this.#chunk = undefined;
    this.#next();
  }

  /** Begins with what is queued at the end of the turn, when others may have joined it. */
  #gather(): void {
    this.pause();
    queueMicrotask(this.#onGathered ??= () => this.resume());
  }

  /** Faults everything that has not been sent. */
  #abandon(reason: () => DeferredFault): void {
    if (this.#begun.size === 0 && (this.#queue === undefined || this.#queue.size === 0)) return;
    const error = reason();
    for (const queue of [this.#begun, this.#queue]) {
      for (let task; (task = queue?.shift()) !== undefined;) fault(task, error);
    }
  }

  #broken(op: string): Error {
    if (this.#cause !== undefined) return this.#stream.translate(this.#cause, op);
    return this.#stream.fail("EPIPE", op, "sending side was shut down");
  }

  /** The program has detached the buffer that it was to leave alone. */
  #detachedBuffer(op: string): Error {
    return this.#stream.fail("EINVAL", op, "data was detached before it was sent");
  }

  /** Writes one send by itself. */
  #begin(task: Task, source: Uint8Array | Given): void {
    let data = bytesOf(source);
    const { length } = data;
    if (length === 0) return complete(task, 0);
    task.argument = task.count = length;
    this.#begun.push(task);
    this.#length = length;
    this.#written = 0;
    if (length <= SMALL) {
      data = this.#small().copy(data);
    } else {
      this.#endScratch(); // of one that was cancelled
      if (source instanceof Given) this.#given = source;
      else (this.#work ??= new Work()).begin(data);
    }
    this.#chunk = data;
    this.#write(data);
  }

  #write(data: Uint8Array): void {
    try {
      this.#stream.transport.write(data).then(this.#onWrite, this.#onWrite);
    } catch (cause) {
      this.#failed(cause);
    }
  }

  #wrote(n: number): void {
    if (this.#stream.closed) return this.#work?.end();
    const written = this.#written += n;
    this.bytes += n;
    this.#completeTo(written);
    if (written < this.#length) {
      const chunk = this.#chunk!;
      // What is left of it is gone, and half of it has been sent.
      if (n === 0 || chunk.length < this.#length) return this.#failed(this.#detachedBuffer("send"));
      this.#write(chunk.subarray(written));
      return;
    }
    this.#endChunk();
    if (this.#queue !== undefined && this.#queue.size > 0) this.#next();
  }

  /** Completes the sends of which so much of the chunk has the last byte. */
  #completeTo(written: number): void {
    let task = this.#begun.head;
    while (task !== undefined && task.count <= written) {
      this.#begun.remove(task);
      complete(task, task.argument);
      task = this.#begun.head;
    }
  }

  /** The chunk is over: its memory is for others. */
  #endChunk(): void {
    this.#chunk = undefined;
    if (this.#scratch !== undefined) this.#endScratch();
    else if (this.#memory !== undefined) {
      if (spares.length < MAX_SPARES) spares.push(this.#memory);
      this.#memory = undefined;
    } else if (this.#given !== undefined) {
      keepMemory(this.#given);
      this.#given = undefined;
    } else this.#work?.end();
  }

  /** Begins what is at the front of the queue. */
  #next(): void {
    while (this.#chunk === undefined) {
      const task = this.#queue?.shift();
      if (task === undefined) return;
      if (task.kind === "shutdown") {
        this.#end(task);
        continue;
      }
      const source = task.argument as Uint8Array | Given;
      const { length } = bytesOf(source);
      const next = this.#queue!.head;
      if (length !== task.count) fault(task, this.#detachedBuffer(task.kind));
      else if (next === undefined || length >= LARGE || !fits(length, next)) {
        this.#begin(task, source);
      } else this.#join(task, source);
    }
  }

  /** Memory for one small write. */
  #small(): Scratch {
    return this.#scratch ??= scratches.pop() ?? new Scratch();
  }

  /** Gives back what small sends were copied to. */
  #endScratch(): void {
    if (this.#scratch !== undefined && scratches.length < MAX_SCRATCHES) {
      scratches.push(this.#scratch);
    }
    this.#scratch = undefined;
  }

  /** Copies small sends into one chunk and writes it. */
  #join(first: Task, source: Uint8Array | Given): void {
    let length = first.count;
    for (const task of this.#queued) {
      if (length > SMALL || !fits(length, task)) break;
      length += task.count;
    }
    const small = length <= SMALL ? this.#small() : undefined;
    const memory = small?.memory ?? spares.pop() ?? new Uint8Array(CHUNK);
    let used = 0;
    for (let task = first;;) {
      const data = bytesOf(source);
      memory.set(data, used);
      if (source instanceof Given) keepMemory(source);
      task.argument = data.length;
      task.count = used += data.length;
      this.#begun.push(task);
      const next = this.#queue!.head;
      if (next === undefined || !fits(used, next)) break;
      this.#queue!.remove(task = next);
      source = task.argument as Uint8Array | Given;
    }
    if (small === undefined) {
      this.#endScratch();
      this.#memory = memory;
    }
    this.#written = 0;
    this.#length = used;
    this.#chunk = small?.first(used) ?? memory.subarray(0, used);
    if (used > 0) return this.#write(this.#chunk);
    this.#completeTo(0); // of nothing but empty sends
    this.#endChunk();
  }

  #end(task: Task): void {
    if (this.#endSent) return complete(task, undefined);
    this.#begun.push(task);
    if (this.#ended) return;
    this.#ended = true;
    this.#stream.transport.closeWrite().then(
      () => this.#finished(),
      (cause) => this.#failed(cause),
    );
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
    this.#work?.end();
    if (this.#stream.closed) return;
    this.#cause = cause;
    if (cause instanceof Deno.errors.ConnectionReset) this.#stream.reset = cause;
    this.#chunk = this.#given = undefined;
    this.#abandon(() => deferFailure((op) => this.#stream.translate(cause, op)));
  }
}

/** Whether a send may join a chunk that has `used` bytes. */
function fits(used: number, { kind, argument, count }: Task): boolean {
  return kind !== "shutdown" && bytesOf(argument as Uint8Array | Given).length === count &&
    count < LARGE && used + count <= CHUNK;
}

function bytesOf(source: Uint8Array | Given): Uint8Array {
  return source instanceof Given ? source.data : source;
}
