// What the two ends of a connection do in the laboratory: one sends bytes that are known at every
// position, in every way there is; the other receives them, in every way there is, and compares.

import { socket, task } from "../../mod.ts";
import { bytesOf, inKeptMemory } from "../bytes.ts";
import type { Random } from "../random.ts";

/** How one direction of one end came out. */
export interface Result {
  /** Bytes that were received, or whose sends were completed. */
  count: number;
  /** Whether it came to its end: the end of the stream, or a completed shutdown. */
  ended: boolean;
  /** Why not. */
  error?: unknown;
}

/** What must never happen, whatever the network does. */
export class Broken extends Error {}

/** Notes that something went on. */
export type Progress = () => void;

/** Sends all of `data`, then ends. */
export async function sendAll(
  id: socket.SocketId,
  data: Uint8Array,
  random: Random,
  progress: Progress,
): Promise<Result> {
  const result: Result = { count: 0, ended: false };
  const done = async (sending: task.TaskId<number>, length: number) => {
    const count = await task.await(sending);
    if (count !== length) throw new Broken(`send of ${length} bytes gave ${count}`);
    result.count += count;
    progress();
  };
  try {
    for (let at = 0; at < data.length;) {
      const next = () => {
        const length = Math.min(data.length - at, sizeOf(random));
        return data.subarray(at, at += length);
      };
      switch (random.integer(0, 5)) {
        case 0: { // a burst
          const parts = Array.from({ length: random.integer(1, 20) }, next);
          const given = random.pick([1, 2, Infinity]); // every such part is given up
          await inOrder(
            parts.map((part, n) => [part, part.length, n % given === 0] as const),
            ([part, , transfer]) => transfer ? giveUp(id, part, random) : socket.send(id, part),
            (sending, [, length]) => done(sending, length),
          );
          break;
        }
        case 1: { // what is cancelled before its turn is never sent
          const part = next();
          const sending = socket.send(id, part);
          const decoy = socket.send(id, "never to be sent");
          if (task.status(sending) === "Running" && !task.cancel(decoy)) {
            const error = task.error(decoy);
            throw error ?? new Broken("a send settled before the one in front of it");
          }
          if (task.status(decoy) !== "Faulted") throw new Broken("a cancelled send is not Faulted");
          task.forget(decoy);
          await done(sending, part.length);
          break;
        }
        case 2: { // given up, and cancelled before its turn
          const part = next();
          const sending = giveUp(id, part, random);
          const decoy = giveUp(id, part, random);
          if (task.status(sending) === "Running" && !task.cancel(decoy)) {
            throw task.error(decoy) ?? new Broken("a send settled before the one in front of it");
          }
          task.forget(decoy);
          await done(sending, part.length);
          break;
        }
        case 3: { // as a Web Stream
          const writer = socket.streams(id).writable.getWriter();
          const part = next();
          await writer.write(part);
          writer.releaseLock();
          result.count += part.length;
          progress();
          break;
        }
        default: {
          const part = next();
          await done(random.oneIn(2) ? socket.send(id, part) : socket.write(id, part), part.length);
        }
      }
    }
    await task.await(socket.shutdown(id));
    result.ended = true;
  } catch (error) {
    result.error = error;
  }
  progress();
  return result;
}

/** Sends a copy that is given up at the call, often in memory that serves receives afterwards. */
function giveUp(id: socket.SocketId, part: Uint8Array, random: Random): task.TaskId<number> {
  const copy = inKeptMemory(part, random);
  const sending = socket.send(id, copy, { transfer: true });
  if (copy.buffer.byteLength > 0) throw new Broken("what is given up is not detached");
  return sending;
}

function sizeOf(random: Random): number {
  return Math.ceil(2 ** (random.next() * (random.oneIn(4) ? 18 : 12)));
}

/** Begins everything, then takes one result after the other; the rest is forgotten when one fails. */
async function inOrder<A, T>(
  items: readonly A[],
  begin: (item: A) => task.TaskId<T>,
  take: (id: task.TaskId<T>, item: A) => Promise<unknown>,
): Promise<void> {
  const begun = items.map((item) => [begin(item), item] as const);
  try {
    for (const [id, item] of begun) await take(id, item);
  } finally {
    begun.forEach(([id]) => task.forget(id));
  }
}

/** Receives up to the end and compares every byte with what belongs at its position. */
export async function receiveAll(
  id: socket.SocketId,
  expected: Uint8Array,
  random: Random,
  progress: Progress,
): Promise<Result> {
  const reader = new Reader(id, expected, random, progress, isText(expected));
  // Some are slow: their peers' sends wait.
  let pauses = random.oneIn(3) ? 30 : 0;
  try {
    while (!reader.result.ended) {
      await reader.step();
      if (pauses > 0 && random.oneIn(5)) await task.sleep(Math.min(pauses--, 5));
    }
  } catch (error) {
    reader.result.error = error;
  }
  progress();
  return reader.result;
}

/** Bytes that every position tells apart; or lines of them. */
export function makeBytes(length: number, random: Random): Uint8Array {
  const text = random.oneIn(3);
  return Uint8Array.from({ length }, () => {
    const byte = random.integer(0, 255);
    return text ? (byte < 8 ? NEWLINE : 97 + byte % 26) : byte;
  });
}

const NEWLINE = 10;

function isText(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === NEWLINE || (byte >= 97 && byte < 123));
}

class Reader {
  readonly result: Result = { count: 0, ended: false };
  /** A line without its end has come. */
  #wasLast = false;

  constructor(
    readonly id: socket.SocketId,
    readonly expected: Uint8Array,
    readonly random: Random,
    readonly progress: Progress,
    readonly text: boolean,
  ) {}

  step(): Promise<void> | void {
    switch (this.random.integer(0, 14)) {
      case 0:
        return this.#recvInto();
      case 1:
        return this.#recvExact();
      case 2:
        return this.#recvUntil();
      case 3:
        return this.#several();
      case 4:
        return this.#cancelled();
      case 5:
        return this.#impatient();
      case 6:
        return this.#peek();
      case 7:
        return this.#putBack();
      case 8:
        return this.#readable();
      case 9:
        return this.#queued();
      case 10:
        return this.text ? this.#recvLine() : this.#recv();
      case 11:
        return this.#ready();
      case 12:
        return this.#readyBeside();
      case 13:
        return this.#loop();
      case 14:
        return this.#leaving();
      default:
        return this.#recv();
    }
  }

  /** Bytes were received: they must be those that come next. */
  #got(bytes: Uint8Array): void {
    const { result, expected } = this;
    this.#compare(bytes);
    result.count += bytes.length;
    if (bytes.length === 0) result.ended = true;
    else if (result.count > expected.length) throw new Broken("more bytes than were sent");
    this.progress();
  }

  /** Compares bytes with those that come next. */
  #compare(bytes: Uint8Array): void {
    const { count, ended } = this.result;
    if ((ended || this.#wasLast) && bytes.length > 0) {
      throw new Broken(`bytes after the end, at ${count}`);
    }
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] !== this.expected[count + i]) {
        throw new Broken(
          `byte ${count + i} of ${this.expected.length} is ${bytes[i]}, not ` +
            `${this.expected[count + i]} (in a piece of ${bytes.length} from ${count} on)`,
        );
      }
    }
  }

  #max(): number {
    return Math.ceil(2 ** (this.random.next() * 17));
  }

  async #recv(): Promise<void> {
    const max = this.#max();
    const bytes = await task.await(socket.recv(this.id, max));
    if (bytes.length > max) throw new Broken(`recv of ${max} gave ${bytes.length}`);
    this.#got(bytes);
  }

  async #recvInto(): Promise<void> {
    const buffer = new Uint8Array(this.#max());
    const count = await task.await(socket.recvInto(this.id, buffer));
    this.#got(buffer.subarray(0, count));
  }

  async #recvExact(): Promise<void> {
    const n = this.random.integer(1, 9000);
    try {
      const bytes = await task.await(socket.recvExact(this.id, n));
      if (bytes.length !== n) throw new Broken(`recvExact of ${n} gave ${bytes.length}`);
      this.#got(bytes);
    } catch (error) {
      // What came is told, and still there.
      const { code, partial } = error as socket.SocketError;
      if (code !== "EUNEXPECTEDEOF" || partial === undefined) throw error;
      if (partial.length >= n) throw new Broken("recvExact held back what it had");
      this.#compare(partial);
      await this.#recv();
    }
  }

  async #recvUntil(): Promise<void> {
    const delimiter = new Uint8Array([this.random.integer(0, 255), this.random.integer(0, 3)]);
    const max = this.random.integer(1, 20_000);
    try {
      const id = socket.recvUntil(this.id, delimiter, { max });
      const bytes = await task.await(id);
      if (bytes.length > max) throw new Broken(`recvUntil of ${max} gave ${bytes.length}`);
      this.#got(bytes);
    } catch (error) {
      const { code, partial } = error as socket.SocketError;
      if (partial !== undefined) this.#compare(partial);
      else if (code !== "EMSGSIZE") throw error;
      await this.#recv();
    }
  }

  /** Of bytes that are text: of others a line would not tell what they were. */
  async #recvLine(): Promise<void> {
    const line = await task.await(socket.recvLine(this.id, { max: 1_000_000 }));
    if (line === null) this.#got(new Uint8Array(0));
    else this.#gotLine(line);
  }

  /** Only the last line has no end: of everything, or of a stream that was cut. */
  #gotLine(line: string): void {
    const hasEnd = line === "" || this.expected[this.result.count + line.length] === NEWLINE;
    this.#got(bytesOf(hasEnd ? `${line}\n` : line));
    if (!hasEnd) this.#wasLast = true;
  }

  async #several(): Promise<void> {
    const maxima = Array.from({ length: this.random.integer(2, 6) }, () => this.#max());
    await inOrder(
      maxima,
      (max) => socket.recv(this.id, max),
      async (id) => this.#got(await task.await(id)),
    );
  }

  async #cancelled(): Promise<void> {
    const { id, random } = this;
    const buffer = new Uint8Array(this.#max());
    const direct = random.oneIn(2);
    const receiving: task.TaskId = direct
      ? socket.recvInto(id, buffer)
      : socket.recv(id, buffer.length);
    if (random.oneIn(2)) await new Promise((resolve) => setTimeout(resolve, random.integer(0, 3)));
    if (task.cancel(receiving)) return task.forget(receiving);
    const value = await task.await(receiving);
    this.#got(direct ? buffer.subarray(0, value as number) : value as Uint8Array);
  }

  async #impatient(): Promise<void> {
    const timeout = this.random.integer(0, 3);
    try {
      this.#got(await task.await(socket.recv(this.id), { timeout, cancel: true }));
    } catch (error) {
      if (!(error instanceof task.TimeoutError)) throw error;
    }
  }

  /** After a ready the next receive does not wait. */
  async #ready(): Promise<void> {
    const { id, random } = this;
    const options = random.oneIn(2) ? {} : { timeout: random.integer(0, 3), cancel: true };
    try {
      await task.await(socket.ready(id), options);
    } catch (error) {
      if (error instanceof task.TimeoutError) return;
      throw error;
    }
    const receiving = socket.recv(id, this.#max());
    if (task.status(receiving) === "Running") throw new Broken("a receive waits after a ready");
    this.#got(await task.await(receiving));
  }

  /** Beside receives, which go first. */
  async #readyBeside(): Promise<void> {
    const watching = socket.ready(this.id);
    await this.#recv();
    if (!task.cancel(watching) && task.error(watching) !== undefined) throw task.error(watching);
    task.forget(watching);
  }

  /** A loop that is left after a while. */
  async #loop(): Promise<void> {
    let left = this.random.integer(1, 10);
    if (this.text && this.random.oneIn(2)) {
      for await (const line of socket.lines(this.id, { max: 1_000_000 })) {
        this.#gotLine(line);
        if (--left === 0) return;
      }
    } else {
      for await (const chunk of socket.chunks(this.id, this.#max())) {
        this.#got(chunk);
        if (--left === 0) return;
      }
    }
    this.#got(new Uint8Array(0));
  }

  /** A loop that is left while it waits. */
  async #leaving(): Promise<void> {
    const { id, random } = this;
    const chunks = socket.chunks(id, this.#max());
    const nexts = Array.from({ length: random.integer(1, 3) }, () => chunks.next());
    const ends = Promise.all(nexts);
    ends.catch(() => {}); // it is awaited below
    if (random.oneIn(2)) await new Promise((resolve) => setTimeout(resolve, random.integer(0, 3)));
    await chunks.return!();
    for (const { done, value } of await ends) if (!done) this.#got(value);
  }

  #peek(): void {
    const bytes = socket.peek(this.id, this.#max());
    if (bytes !== undefined) this.#compare(bytes);
  }

  async #putBack(): Promise<void> {
    const bytes = await task.await(socket.recv(this.id, this.random.integer(1, 3000)));
    const keep = this.random.integer(0, bytes.length);
    this.#compare(bytes);
    socket.unrecv(this.id, bytes.subarray(keep));
    if (keep > 0 || bytes.length === 0) this.#got(bytes.subarray(0, keep));
  }

  async #readable(): Promise<void> {
    const reader = socket.streams(this.id).readable.getReader();
    const { value, done } = await reader.read();
    this.#got(done ? new Uint8Array(0) : value);
    const next = done || this.random.oneIn(2) ? undefined : reader.read();
    const [late] = await Promise.all([next, reader.cancel()]);
    if (late?.value !== undefined) this.#got(late.value);
  }

  async #queued(): Promise<void> {
    using queue = task.completions();
    const ids = [this.#max(), this.#max()].map((max) => queue.add(socket.recv(this.id, max)));
    for (const id of ids) {
      await queue.wait();
      const outcome = queue.take()!;
      if (outcome.id !== id) throw new Broken("a later receive was completed first");
      if (outcome.status === "Faulted") throw outcome.error;
      this.#got(outcome.value as Uint8Array);
    }
  }
}
