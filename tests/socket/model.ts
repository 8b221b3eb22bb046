/**
 * A model of one end of a connection: what the documentation says each call does, for random
 * sequences of calls to be compared with.
 *
 * It knows less than the real one (not when bytes travel), so where several outcomes are right it
 * accepts each of them and learns from which it was.
 */
import { assert, assertEquals } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { concat } from "../bytes.ts";
import type { Random } from "../random.ts";
import { faultOf, thrownBy } from "../settle.ts";

interface Pending {
  readonly id: task.TaskId;
  /** For a receive: its bytes. */
  bytes(result: unknown): Uint8Array;
  /** For a send: its number; `undefined` for a shutdown. */
  readonly number?: number;
  /** What a send or a shutdown completes with. */
  readonly count?: number;
}

/** What sends fault with once the other end has closed. */
const BROKEN = ["EPIPE", "ECONNRESET"];

/** What receives fault with then, instead of giving the end: the last is that of TLS. */
const CUT = ["ECONNRESET", "EUNEXPECTEDEOF"];

export class End {
  readonly id: socket.SocketId;
  /** The other end, which receives what this one sends. */
  other!: End;
  closed = false;
  /** Whether the sending side was shut down; a shutdown cancelled early may have been undone. */
  ending: "no" | "maybe" | "yes" = "no";
  /** A send has failed, so all later ones must. */
  broken = false;
  /** A receive has given the end of the stream. */
  ended = false;
  reset = false;
  /** Sends that were called, and those of them that may not arrive. */
  sends = 0;
  readonly optional: Set<number> = new Set();
  #receives: Pending[] = [];
  #sends: Pending[] = [];
  #watches: task.TaskId[] = [];
  /** What this end has seen of its stream, and how much of it is taken out. */
  readonly #seen: number[] = [];
  #position = 0;

  constructor(id: socket.SocketId) {
    this.id = id;
  }

  get received(): Uint8Array {
    return new Uint8Array(this.#seen);
  }

  get #record(): socket.StreamRecord {
    return socket.inspect(this.id) as socket.StreamRecord;
  }

  /** Bytes were seen at a position: new ones are noted, old ones must be the same. */
  #see(bytes: Uint8Array, start: number): void {
    assert(bytes.length === 0 || start <= this.#seen.length);
    for (let i = 0; i < bytes.length; i++) {
      const at = start + i;
      if (at === this.#seen.length) {
        if (this.ended || this.reset) throw new Error("bytes after the end");
        this.#seen.push(bytes[i]);
      } else if (bytes[i] !== this.#seen[at]) {
        throw new Error(`byte ${at} is ${bytes[i]}, not ${this.#seen[at]}`);
      }
    }
  }

  recv(random: Random): void {
    const max = random.pick([1, 10, 1000, 4096, 100_000]);
    this.#receive(socket.recv(this.id, max), (result) => {
      assert((result as Uint8Array).length <= max);
      return result as Uint8Array;
    });
  }

  recvInto(random: Random): void {
    const buffer = new Uint8Array(random.pick([1, 100, 5000, 16 * 1024, 50_000]));
    this.#receive(
      socket.recvInto(this.id, buffer),
      (result) => buffer.subarray(0, result as number),
    );
  }

  #receive(id: task.TaskId, bytes: Pending["bytes"]): void {
    if (this.closed) return assertEquals(faultOf(id), "EBADF");
    if (this.#receives.length > 0) assertEquals(task.status(id), "Running", "not its turn");
    this.#receives.push({ id, bytes });
    this.settle();
  }

  /** Watches for what the next recv would give. */
  ready(): void {
    const id = socket.ready(this.id);
    if (this.closed) return assertEquals(faultOf(id), "EBADF");
    if (this.#receives.length > 0) assertEquals(task.status(id), "Running", "receives go first");
    this.#watches.push(id);
    this.settle();
  }

  peek(random: Random): void {
    const max = random.integer(1, 5000);
    if (this.closed) return assertEquals(thrownBy(() => socket.peek(this.id, max)), "EBADF");
    const { queuedIn } = this.#record;
    let bytes: Uint8Array | undefined;
    try {
      bytes = socket.peek(this.id, max);
    } catch (error) {
      const { code } = error as socket.SocketError;
      assert(this.other.closed && CUT.includes(code), `${code}, closed: ${this.other.closed}`);
      return assertEquals(queuedIn, 0);
    }
    if (bytes === undefined) return assertEquals(queuedIn, 0);
    assert(bytes.length <= max);
    assertEquals(bytes.length > 0, queuedIn > 0, "peek shows what is queued");
    // A receive that reads straight into its buffer is not settled yet but comes first.
    if (this.#receives.length === 0) this.#see(bytes, this.#position);
  }

  /** Puts back some of what was taken out. */
  unrecv(random: Random): void {
    const length = random.integer(0, Math.min(this.#position, 2000));
    const bytes = new Uint8Array(this.#seen.slice(this.#position - length, this.#position));
    if (this.closed) {
      return assertEquals(thrownBy(() => socket.unrecv(this.id, bytes)), "EBADF");
    }
    this.#position -= length;
    socket.unrecv(this.id, bytes);
    bytes.fill(0);
    this.settle();
  }

  /** Sends a numbered message. */
  send(random: Random): void {
    const length = random.oneIn(15) ? random.integer(20_000, 400_000) : random.integer(0, 3000);
    const number = this.sends++;
    const head = new Uint8Array(new Uint32Array([number, length]).buffer);
    const data = concat([head, new Uint8Array(length).fill(number)]);
    const id = random.oneIn(2) ? socket.send(this.id, data) : socket.write(this.id, data);
    if (this.closed || this.broken || this.ending === "yes") {
      this.optional.add(number);
      const code = faultOf(id);
      if (this.closed) assertEquals(code, "EBADF");
      else if (this.broken) assert(BROKEN.includes(code), code);
      else assertEquals(code, "EPIPE");
      return;
    }
    if (this.ending === "maybe") {
      this.ending = task.status(id) === "Faulted" ? "yes" : "no";
      if (this.ending === "yes") {
        this.optional.add(number);
        return assertEquals(faultOf(id), "EPIPE");
      }
    }
    this.#sends.push({ id, number, count: data.length, bytes: noBytes });
    this.settle();
  }

  shutdown(): void {
    const id = socket.shutdown(this.id);
    if (this.closed) return assertEquals(faultOf(id), "EBADF");
    if (task.status(id) !== "Faulted") this.ending = "yes";
    this.#sends.push({ id, bytes: noBytes });
    this.settle();
  }

  /** Cancels one of the tasks that run. */
  cancel(random: Random): void {
    this.settle();
    if (this.#watches.length > 0 && random.oneIn(4)) {
      const id = this.#watches.pop()!;
      assertEquals([task.cancel(id), faultOf(id)], [true, "ECANCELED"]);
      return this.settle();
    }
    const all = [...this.#receives, ...this.#sends];
    if (all.length === 0) return;
    const pending = random.pick(all);
    assertEquals(task.cancel(pending.id), true);
    assertEquals([task.cancel(pending.id), faultOf(pending.id)], [false, "ECANCELED"]);
    if (pending.number !== undefined) this.optional.add(pending.number);
    else if (this.#sends.includes(pending)) this.ending = "maybe";
    const others = (list: Pending[]) => list.filter((one) => one !== pending);
    this.#receives = others(this.#receives);
    this.#sends = others(this.#sends);
    if (this.#sends.some(({ number }) => number === undefined)) this.ending = "yes";
    this.settle();
  }

  close(): void {
    this.settle();
    socket.close(this.id);
    for (const { id, number } of [...this.#receives, ...this.#sends]) {
      if (!this.closed) assertEquals(faultOf(id), "ECONNABORTED");
      if (number !== undefined) this.optional.add(number);
    }
    for (const id of this.#watches) assertEquals(faultOf(id), "ECONNABORTED");
    this.#receives = [];
    this.#sends = [];
    this.#watches = [];
    this.closed = true;
    assertEquals([socket.isopen(this.id), socket.inspect(this.id)], [false, undefined]);
  }

  /** Takes the results that are there, and compares what runs with what should. */
  settle(): void {
    if (this.closed) return;
    this.#receives = this.#finish(this.#receives, (pending, code) => {
      if (code === undefined) this.#taken(pending.bytes(task.result(pending.id)));
      else {
        assert(this.other.closed && CUT.includes(code), `${code}, closed: ${this.other.closed}`);
        this.reset = true;
      }
    });
    this.#sends = this.#finish(this.#sends, (pending, code) => {
      if (code === undefined) return assertEquals(task.result(pending.id), pending.count);
      assert(this.other.closed && [...BROKEN, "ENOTCONN"].includes(code), code);
      if (pending.number === undefined) return;
      this.broken = true;
      this.optional.add(pending.number);
    });
    this.#watches = this.#watches.filter((id) => {
      if (task.status(id) === "Running") return true;
      assertEquals(task.status(id), "Completed");
      task.forget(id);
      return false;
    });
    if (this.#receives.length === 0 && this.#watches.length > 0) {
      assertEquals(socket.peek(this.id), undefined, "something is there that ready does not tell");
    }
    const ids = (list: Pending[]) => list.map(({ id }) => id);
    const running = [...ids(this.#receives), ...this.#watches, ...ids(this.#sends)];
    assertEquals(this.#record.pending, running);
  }

  /** Deals with the settled ones, which come before all that run, and gives the others. */
  #finish(list: Pending[], settled: (pending: Pending, code?: string) => void): Pending[] {
    const first = list.findIndex(({ id }) => task.status(id) === "Running");
    const done = first < 0 ? list : list.slice(0, first);
    for (const pending of done) {
      settled(pending, task.status(pending.id) === "Faulted" ? faultOf(pending.id) : undefined);
      task.forget(pending.id);
    }
    const rest = list.slice(done.length);
    for (const { id } of rest) assertEquals(task.status(id), "Running", "out of turn");
    return rest;
  }

  #taken(bytes: Uint8Array): void {
    this.#see(bytes, this.#position);
    this.#position += bytes.length;
    if (bytes.length > 0) return;
    assertEquals(this.#position, this.#seen.length, "an end before what was put back");
    assert(this.other.ending !== "no" || this.other.closed, "an end that nobody made");
    this.ended = true;
  }

  /** Whatever still runs is taken back. */
  cancelReceives(): void {
    this.settle();
    // The last one first: the cancel of an earlier one may let the next have what was put back.
    for (const { id } of this.#receives.toReversed()) assertEquals(task.cancel(id), true);
    this.#receives = [];
  }

  /** The messages that arrived, all whole, in order, and none is missing that may not be. */
  check(): void {
    const all = this.received;
    const arrived = new Set<number>();
    let [at, last] = [0, -1];
    while (at + 8 <= all.length) {
      const [number, length] = new Uint32Array(all.slice(at, at + 8).buffer);
      const body = all.subarray(at + 8, at + 8 + length);
      assert(number > last, `message ${number} after ${last}`);
      assert(body.every((byte) => byte === number % 256), `message ${number} is torn`);
      if (body.length < length) break;
      arrived.add(last = number);
      at += 8 + length;
    }
    // A side that closed may have dropped what was on its way.
    if (this.closed || this.other.closed) return;
    assertEquals(at, all.length, "a message is incomplete");
    for (let number = 0; number < this.other.sends; number++) {
      assert(arrived.has(number) || this.other.optional.has(number), `message ${number} is lost`);
    }
  }
}

function noBytes(): never {
  throw new Error("A send has no bytes to give");
}
