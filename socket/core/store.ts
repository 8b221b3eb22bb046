/**
 * Memory that sends gave up, for receives to come.
 *
 * Theory of operation. New memory is cold memory, and the collector's work besides: a large result
 * costs more to make than to receive. `send` with `transfer` takes its data's memory away from the
 * program, and what the system has sent lies here until a receive wants a buffer of just that size.
 *
 * - Whole buffers only, of the sizes that receives use, and a bounded number of them: the rest is
 *   for the collector.
 * - Nobody else may be working on memory that lies here, or the bytes of one connection would show
 *   up in another. The program cannot, since its arrays are detached; but the system may, on behalf
 *   of an earlier send or receive that used the same memory. Those note what they work on, and what
 *   is noted is not kept.
 * - It still holds what was sent. Whoever takes it fills it whole, or wipes what is left.
 */
import { type Link, Queue } from "../../task/core/mod.ts";

/** The sizes that are kept: those of receive buffers. */
const SIZES = [4 * 1024, 16 * 1024, 64 * 1024];
/** How many bytes are kept, of each size: as much as stays in a processor's cache. */
const LIMIT = 4 * 1024 * 1024;
/** Among so many works at most it is looked whether one is on some memory; of more, one might be. */
const FEW = 64;

type Bytes = Uint8Array<ArrayBuffer>;

const shelves: readonly (readonly [size: number, kept: Bytes[]])[] = SIZES.map((
  size,
) => [size, []]);

/** Keeps memory that was given up, when the system is done with it, if it is of use. */
export function keepMemory({ data, exclusive }: Given): void {
  if (!exclusive) return;
  const { buffer } = data;
  const size = buffer.byteLength;
  for (const [kept, shelf] of shelves) {
    if (kept !== size) continue;
    if (shelf.length * size < LIMIT) {
      shelf.push(data.length === size ? data : new Uint8Array(buffer));
    }
    return;
  }
}

/** Memory of just this size that holds old bytes; `undefined` if there is none. */
export function takeMemory(size: number): Bytes | undefined {
  for (const [kept, shelf] of shelves) if (kept === size) return shelf.pop();
}

/** Something that the system works on the program's memory. One at a time: it is used again. */
export class Work implements Link<Work> {
  prev: Work | undefined = undefined;
  next: Work | undefined = undefined;
  queue: Queue<Work> | undefined = undefined;
  #data: Uint8Array | undefined;

  begin(data: Uint8Array): void {
    this.#data = data;
    works.push(this);
  }

  end(): void {
    if (this.queue === undefined) return;
    works.remove(this);
    this.#data = undefined;
  }

  isOn(buffer: ArrayBufferLike): boolean {
    return this.#data!.buffer === buffer;
  }
}

const works: Queue<Work> = new Queue();

/** Whether the system works on this memory, or might. */
function isWorkedOn(buffer: ArrayBufferLike): boolean {
  if (works.size > FEW) return true;
  for (let work = works.head; work !== undefined; work = work.next) {
    if (work.isOn(buffer)) return true;
  }
  return false;
}

/** Data whose memory the program has given up. */
export class Given {
  readonly data: Bytes;
  /** Whether nobody else works on it. */
  readonly exclusive: boolean;

  constructor(data: Bytes, exclusive: boolean) {
    this.data = data;
    this.exclusive = exclusive;
  }
}

const transfer = ArrayBuffer.prototype.transferToFixedLength;

/** Takes memory away from whoever has it: the whole of it, and every view of it is detached. */
export function takeOver(buffer: ArrayBufferLike, offset: number, length: number): Given {
  let moved: ArrayBuffer;
  try {
    moved = transfer.call(buffer as ArrayBuffer);
  } catch (cause) {
    throw new TypeError(`Cannot transfer "data": ${objectionTo(buffer)}`, { cause });
  }
  return new Given(new Uint8Array(moved, offset, length), !isWorkedOn(buffer));
}

function objectionTo(buffer: ArrayBufferLike): string {
  let isDetached: boolean;
  try {
    isDetached = detachedOf.call(buffer);
  } catch {
    return "its memory is shared";
  }
  return isDetached ? "it is detached" : "its memory is a WebAssembly memory's";
}

/** The getter knows the memory of every realm, and no shared one. */
const detachedOf: () => boolean = Object.getOwnPropertyDescriptor(
  ArrayBuffer.prototype,
  "detached",
)!.get!;
