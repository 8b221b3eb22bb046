/**
 * A model of one end of a connection: what the documentation says each call does, for random
 * sequences of calls to be compared with.
 *
 * It knows less than the real one (not when bytes travel), so where several outcomes are right it
 * accepts each of them and learns from which it was.
 *
 * A new call is a method of `End` and a row in `model_test.ts`. A receive is begun with `#receive`, which
 * says what its result holds; a send is noted with `#sent`.
 */
import { assert, assertEquals } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { bytesOf, concat, inKeptMemory } from "../bytes.ts";
import type { Random } from "../random.ts";
import { faultOf, thrownBy, turn } from "../settle.ts";
import { cancelStep, comesTo, inTheAir, Loop, overNow, type Step, wasLeft } from "./model_loop.ts";

/** What a task came to, by whichever way it was claimed. */
type Outcome = { value: unknown; error?: undefined } | { value?: undefined; error: Failure };
type Failure = Error & { code?: string; partial?: Uint8Array };

/** Bytes that a receive took; `undefined` for the end of the stream. */
type Taken = Uint8Array | undefined;

interface Pending {
  readonly id: task.TaskId;
  /** For a receive: what its result tells. */
  taken?(result: unknown): Taken;
  /** For a receive that is not content with whatever comes: what it may fault with besides. */
  readonly faults?: readonly string[];
  /** For a receive of a loop. */
  readonly step?: Step<unknown>;
  /** For a send: its number. */
  readonly number?: number;
  /** What a send or a shutdown completes with. */
  readonly count?: number;
}

/*
 * What differs with the moment once the other end has closed, and cannot be known:
 *
 * - A close with bytes unread makes the system reset the connection, at once over a Unix socket, and over
 *   TCP when the next bytes come; a close without is an end. Which of them a TLS engine meets first
 *   depends on whether close_notify was before it: without it the stream was cut.
 * - Who writes to what is gone learns `EPIPE` if its system knew, else `ECONNRESET`; who ends it,
 *   `ENOTCONN` as well.
 */
const BROKEN = ["EPIPE", "ECONNRESET"];
const BROKEN_ENDS = [...BROKEN, "ENOTCONN"];
const CUT = ["ECONNRESET", "EUNEXPECTEDEOF"];

/** A byte that was dropped before anybody could see it. */
const UNKNOWN = -1;

/** Eight characters, then the body: all of it is text, so that lines tell what they were. */
const HEAD = 8;

/** A numbered message. */
function messageOf(number: number, length: number): Uint8Array {
  const head = [number, length].map((n) => n.toString(36).padStart(HEAD / 2, "0")).join("");
  return concat([bytesOf(head), bodyOf(number, length)]);
}

function bodyOf(number: number, length: number): Uint8Array {
  const body = new Uint8Array(length).fill(97 + number % 26);
  for (let at = number % 37; at < length; at += 37) body[at] = NEWLINE;
  return body;
}

const NEWLINE = 10;
const certificate = tls.selfsigned(["localhost"]);

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
  /** Each `ready` that runs: it is beside the order of the receives. */
  #watches: task.TaskId[] = [];
  /** What `next` can be asked of, and what its results hold. */
  readonly #loops: [loop: Loop<unknown>, taken: (result: unknown) => Taken, faults: string[]][] =
    [];
  /** Running tasks of this socket that are not in those lists. */
  readonly #others: Set<number> = new Set();
  /** Writes of Web Streams that have not settled: their tasks have no IDs to know. */
  #writes = 0;
  /** Some tasks are claimed through it; what has been taken out of it, and what is to be ignored. */
  readonly #queue: task.CompletionQueue = task.completions();
  readonly #outcomes: Map<number, Outcome> = new Map();
  readonly #ignored: Map<number, string> = new Map();
  /** What this end has seen of its stream, and how much of it is taken out. */
  readonly #seen: number[] = [];
  #position = 0;

  constructor(id: socket.SocketId) {
    this.id = id;
  }

  /** Whether something was dropped that nobody has seen. */
  get hasGap(): boolean {
    return this.#seen.includes(UNKNOWN);
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
      } else if (this.#seen[at] === UNKNOWN) {
        this.#seen[at] = bytes[i];
      } else if (bytes[i] !== this.#seen[at]) {
        throw new Error(`byte ${at} is ${bytes[i]}, not ${this.#seen[at]}`);
      }
    }
  }

  recv(random: Random): void {
    const max = random.pick([1, 10, 1000, 4096, 100_000]);
    this.#receive(random, socket.recv(this.id, max), (result) => {
      const bytes = result as Uint8Array;
      assert(bytes.length <= max);
      return bytes.length > 0 ? bytes : undefined;
    });
  }

  recvInto(random: Random): void {
    const buffer = new Uint8Array(random.pick([1, 100, 5000, 16 * 1024, 50_000]));
    this.#receive(
      random,
      socket.recvInto(this.id, buffer),
      (result) => result === 0 ? undefined : buffer.subarray(0, result as number),
    );
  }

  recvExact(random: Random): void {
    const n = random.pick([0, 1, 10, 1000, 20_000]);
    this.#receive(random, socket.recvExact(this.id, n), (result) => {
      assertEquals((result as Uint8Array).length, n);
      return result as Uint8Array;
    }, ["EUNEXPECTEDEOF"]);
  }

  recvUntil(random: Random): void {
    const delimiter = random.pick(["\n", "aa", "b\nb", "z"]);
    const max = random.pick([1, 50, 5000, 100_000]);
    this.#receive(random, socket.recvUntil(this.id, delimiter, { max }), (result) => {
      const bytes = result as Uint8Array;
      const text = new TextDecoder().decode(bytes);
      assert(bytes.length <= max);
      assertEquals(text.indexOf(delimiter), text.length - delimiter.length);
      return bytes;
    }, ["EUNEXPECTEDEOF", "EMSGSIZE"]);
  }

  recvLine(random: Random): void {
    const max = random.pick([5, 100, 100_000]);
    this.#receive(random, socket.recvLine(this.id, { max }), (result) => {
      return result === null ? undefined : this.#line(result);
    }, ["EMSGSIZE"]);
  }

  /** What a line was before it lost its end. */
  #line(text: unknown): Uint8Array {
    const line = bytesOf(`${text}\n`);
    // The last line need not have an end.
    const { bytesIn, queuedIn } = this.#record;
    return this.#position + line.length > bytesIn - queuedIn ? line.subarray(0, -1) : line;
  }

  /** Asks a loop for the next: one that goes on, one that is over, or a new one. */
  next(random: Random): void {
    if (this.#loops.length === 0 || random.oneIn(4)) this.#begin(random);
    const [loop, taken, faults] = random.pick(this.#loops);
    const step = loop.next();
    if (loop.over || this.closed) {
      assertEquals(step.id, 0, "a loop that is over asks for nothing");
      this.#unfinished.push(comesTo(step, overNow(loop) ? "done" : "EBADF"));
      return;
    }
    if (this.#receives.length > 0) assert(step.id > 0, "not its turn");
    this.#receives.push({ id: step.id, step, taken, faults });
    this.settle();
  }

  #begin(random: Random): void {
    const pending = () => this.closed ? [] : this.#record.pending;
    if (this.#loops.length === 4) this.#loops.shift();
    const calls = socket.istls(this.id) && random.oneIn(2) ? tls : socket;
    if (random.oneIn(2)) {
      const max = random.pick([1, 100, 4096, 100_000]);
      this.#loops.push([
        new Loop(calls.chunks(this.id, max), pending),
        (chunk) => {
          const { length } = chunk as Uint8Array;
          assert(length > 0 && length <= max);
          return chunk as Uint8Array;
        },
        [],
      ]);
    } else {
      const max = random.pick([5, 100, 100_000]);
      this.#loops.push([
        new Loop(calls.lines(this.id, { max }), pending),
        (line) => this.#line(line),
        ["EMSGSIZE"],
      ]);
    }
  }

  /** Leaves a loop. */
  leave(random: Random): void {
    if (this.#loops.length === 0) return;
    const [loop] = random.pick(this.#loops);
    this.#unfinished.push(loop.leave());
    const mine = this.#receives.filter(({ step }) => step?.loop === loop);
    assert(mine.every(({ id }) => task.status(id) !== "Running"), "a next of a loop that was left");
    this.settle();
  }

  /**
   * Whether a `next` has settled and has not told how. Then wait for `landing` and ask again: others
   * may have settled in the meantime.
   */
  get isInTheAir(): boolean {
    return this.#flying.length > 0;
  }

  /** A loop that is over has nothing pending; a failure or a cancel ends it a microtask later. */
  checkLoops(): void {
    const left = this.#receives.filter(({ id, step }) =>
      step?.loop.over && task.status(id) === "Running"
    );
    assertEquals(left.length, 0, "a next is pending though its loop is over");
  }

  async landing(): Promise<void> {
    await Promise.all(this.#flying.map(({ landed }) => landed));
  }

  get #flying(): Step<unknown>[] {
    return this.#receives.flatMap(({ step }) => step !== undefined && inTheAir(step) ? [step] : []);
  }

  #receive(
    random: Random,
    id: task.TaskId,
    taken: (result: unknown) => Taken,
    faults: readonly string[] = [],
  ): void {
    if (this.closed) return assertEquals(faultOf(id), "EBADF");
    if (this.#receives.length > 0) assertEquals(task.status(id), "Running", "not its turn");
    this.#receives.push({ id, taken, faults });
    this.#watch(random, id);
    this.settle();
  }

  /** Some tasks are watched by a completion queue. */
  #watch(random: Random, id: task.TaskId): void {
    if (random.oneIn(4)) this.#queue.add(id);
  }

  /** Awaits a receive, but not for long. */
  async impatient(random: Random): Promise<void> {
    const options = { timeout: random.integer(0, 2), cancel: true };
    const awaiting = task.await(socket.recv(this.id, 1000), options);
    const outcome: Outcome = await awaiting.then((value) => ({ value }), (error) => ({ error }));
    if (this.closed) return assertEquals(outcome.error?.code, "EBADF");
    while (this.isInTheAir) await this.landing();
    this.#process(); // those that were called before
    if (outcome.error instanceof task.TimeoutError) return;
    this.#received(
      outcome,
      (bytes) => (bytes as Uint8Array).length > 0 ? bytes as Uint8Array : undefined,
    );
    this.settle();
  }

  /** Reads from a Web Stream that is cancelled then; the rest stays. */
  async readable(random: Random): Promise<void> {
    if (this.closed) return assertEquals(thrownBy(() => socket.streams(this.id)), "EBADF");
    const reader = socket.streams(this.id).readable.getReader();
    const reading = reader.read().then((value) => ({ value }), (error) => ({ error }));
    if (random.oneIn(2)) await turn();
    await reader.cancel().catch(() => {}); // it tells of the failure again
    const outcome: { value?: ReadableStreamReadResult<Uint8Array>; error?: Failure } =
      await reading;
    while (this.isInTheAir) await this.landing();
    this.#process(); // those that were called before
    if (outcome.error !== undefined) this.#received({ error: outcome.error }, () => undefined);
    else if (outcome.value?.value) {
      this.#received({ value: outcome.value.value }, (bytes) => bytes as Uint8Array);
    }
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

  ready(): void {
    const id = socket.ready(this.id);
    if (this.closed) return assertEquals(faultOf(id), "EBADF");
    this.#watches.push(id);
    this.settle();
  }

  /** Puts back some of what was taken out. */
  unrecv(random: Random): void {
    const length = random.integer(0, Math.min(this.#position, 2000));
    const back = this.#seen.slice(this.#position - length, this.#position);
    if (back.includes(UNKNOWN)) return;
    const bytes = new Uint8Array(back);
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
    const message = this.#message(random);
    const { length } = message;
    const options = random.oneIn(3) ? { transfer: true } : undefined;
    const data = options === undefined ? message : inKeptMemory(message, random);
    const id = random.oneIn(2)
      ? socket.send(this.id, data, options)
      : socket.write(this.id, data, options);
    if (options !== undefined) assertEquals(data.length, 0, "what was given up is detached");
    this.#sent(random, id, length);
  }

  /** The next message; `#sent` tells that it was sent. */
  #message(random: Random): Uint8Array {
    const length = random.oneIn(15) ? random.integer(20_000, 400_000) : random.integer(0, 3000);
    return messageOf(this.sends, length);
  }

  #sent(random: Random, id: task.TaskId, count: number): void {
    const number = this.sends++;
    if (this.closed || this.broken || this.ending === "yes") {
      this.optional.add(number);
      if (this.closed) assertEquals(faultOf(id), "EBADF");
      else this.#isRefused(id);
      return;
    }
    if (this.ending === "maybe") {
      this.ending = task.status(id) === "Faulted" ? "yes" : "no";
      if (this.ending === "yes") {
        this.optional.add(number);
        return this.#isRefused(id);
      }
    }
    this.#sends.push({ id, number, count });
    this.#watch(random, id);
    this.settle();
  }

  /**
   * A send after a shutdown, or after a failure: that may have been of one that was cancelled when it had
   * begun, and so is known only now.
   */
  #isRefused(id: task.TaskId): void {
    const code = faultOf(id);
    assert((this.broken || this.other.closed ? BROKEN : ["EPIPE"]).includes(code), code);
  }

  /** Sends a message as a Web Stream does. */
  async writable(random: Random): Promise<void> {
    if (this.closed) return assertEquals(thrownBy(() => socket.streams(this.id)), "EBADF");
    const data = this.#message(random);
    const number = this.sends++;
    const writer = socket.streams(this.id).writable.getWriter();
    this.#writes++;
    const failing = this.broken || this.ending !== "no";
    let begun = false;
    const writing = writer.write(data).then(() => {
      assert(this.ending !== "yes" || begun, "a write after a shutdown");
    }, (error) => {
      this.optional.add(number);
      const allowed = [...BROKEN, "ECONNABORTED", "EBADF"];
      assert(allowed.includes(error.code), String(error));
      assert(failing || this.closed || this.other.closed, String(error));
      if (!this.closed && this.ending !== "yes" && this.other.closed) this.broken = true;
    }).finally(() => this.#writes--);
    writer.releaseLock();
    this.#unfinished.push(writing);
    await turn(); // it has taken its place among the sends
    begun = true;
  }

  readonly #unfinished: Promise<unknown>[] = [];

  shutdown(): void {
    const id = socket.shutdown(this.id);
    if (this.closed) return assertEquals(faultOf(id), "EBADF");
    if (task.status(id) !== "Faulted") this.ending = "yes";
    this.#sends.push({ id });
    this.settle();
  }

  /** Cancels one of the tasks that run. */
  cancel(random: Random): void {
    this.settle();
    const all = [...this.#receives, ...this.#sends];
    if (all.length === 0) return;
    const pending = random.pick(all);
    this.#cancelPending(pending);
    if (pending.number !== undefined) this.optional.add(pending.number);
    else if (this.#sends.includes(pending)) this.ending = "maybe";
    const others = (list: Pending[]) => list.filter((one) => one !== pending);
    this.#receives = others(this.#receives);
    this.#sends = others(this.#sends);
    if (this.#sends.some((send) => isShutdown(send))) this.ending = "yes";
    this.settle();
    // Another next of that loop may have what is put back before it is given up, too.
    if (pending.step !== undefined && !this.isInTheAir) this.unrecv(random);
  }

  #cancelPending({ id, step }: Pending): void {
    if (step !== undefined) this.#unfinished.push(cancelStep(step));
    else this.#cancelled(id);
  }

  #cancelled(id: task.TaskId): void {
    assertEquals(task.cancel(id), true);
    assertEquals([task.cancel(id), faultOf(id)], [false, "ECANCELED"]);
    this.#ignored.set(id, "ECANCELED");
  }

  /** Looks which tasks have settled, and claims none. */
  async settled(random: Random): Promise<void> {
    const ids = [...this.#receives, ...this.#sends].map(({ id }) => id);
    if (ids.length === 0) return;
    const before = ids.filter((id) => task.status(id) !== "Running");
    let given: task.TaskId[] = [];
    try {
      given = await task.settled(ids, { timeout: random.integer(0, 1) });
    } catch (error) {
      assert(error instanceof task.TimeoutError);
    }
    assertEquals(given.filter((id) => task.status(id) === "Running"), []);
    assertEquals(given, ids.filter((id) => given.includes(id)));
    assert(before.every((id) => given.includes(id)));
    this.settle();
  }

  /** A starttls that is refused, and changes nothing. */
  starttlsInVain(): void {
    const options = socket.isopen(this.id) && socket.getside(this.id) === "server"
      ? certificate
      : { host: "localhost" };
    const expected = this.closed
      ? "EBADF"
      : socket.istls(this.id)
      ? "EISCONN"
      : this.#receives.length > 0
      ? "EBUSY"
      : undefined;
    if (expected !== undefined) assertEquals(faultOf(socket.starttls(this.id, options)), expected);
  }

  /** Upgrades a plain connection in the middle, if both ends may still send. */
  async starttls(random: Random): Promise<void> {
    const ends = [this, this.other];
    if (ends.some((end) => end.closed || end.ending !== "no" || end.broken || end.reset)) return;
    if (ends.some(({ id }) => socket.istls(id))) return;
    // Everything in clear must have been received on both sides.
    ends.forEach((end) => end.cancelReceives());
    while (ends.some((end) => end.#owes)) {
      for (const end of ends) if (end.#receives.length === 0) end.recv(random);
      await turn();
      while (ends.some((end) => end.isInTheAir)) {
        await Promise.all(ends.map((end) => end.landing()));
      }
      ends.forEach((end) => end.settle());
    }
    ends.forEach((end) => end.cancelReceives()); // whose reads may still be under way
    for (const end of ends) {
      if (random.oneIn(3)) assertEquals(socket.peek(end.id), undefined);
      const options = socket.getside(end.id) === "server"
        ? certificate
        : { host: "localhost", ca: certificate.cert };
      end.#others.add(socket.starttls(end.id, options));
    }
    // What is called meanwhile waits, and goes on over TLS.
    for (const end of ends) {
      if (random.oneIn(2)) end.recv(random);
      if (random.oneIn(2)) end.send(random);
      if (random.oneIn(3)) end.cancel(random);
    }
    const upgrades = ends.flatMap((end) => [...end.#others]) as task.TaskId<true>[];
    assertEquals(await task.all(upgrades), [true, true]);
    for (const end of ends) {
      end.#others.clear();
      assertEquals(socket.istls(end.id), true);
      end.settle();
    }
  }

  /** Whether something is on its way to the other end, or unread there. */
  get #owes(): boolean {
    const there = this.other.#record;
    return this.#record.queuedOut > 0 || there.queuedIn > 0 || this.#writes > 0 ||
      this.#sends.length > 0 || this.#record.bytesOut > there.bytesIn;
  }

  /** Closes gently, or not in time. */
  async finish(random: Random): Promise<void> {
    if (this.closed) return assertEquals(faultOf(socket.finish(this.id)), "EBADF");
    this.cancelReceives();
    if (this.closed) return;
    const id = socket.finish(this.id, { timeout: random.integer(0, 20) });
    if (this.ending !== "yes" && task.status(id) === "Running") this.ending = "yes";
    const giveUp = random.oneIn(3);
    if (giveUp) {
      await turn();
      if (task.cancel(id)) {
        task.forget(id);
        this.#others.add(id); // its shutdown goes on
        // What it had dropped is gone; the rest is for the next receive.
        const { bytesIn, queuedIn } = this.#record;
        while (this.#position < bytesIn - queuedIn) {
          if (this.#position === this.#seen.length) this.#seen.push(UNKNOWN);
          this.#position++;
        }
        this.settle();
        return;
      }
    }
    const code = await task.await(id).then(() => undefined, (error) => error.code);
    if (code === undefined) {
      assert(this.other.ending !== "no" || this.other.closed, "a peer that has not ended");
    } else if (code !== "ETIMEDOUT") {
      assert(this.other.closed && [...BROKEN_ENDS, ...CUT].includes(code), code);
    }
    this.#sends.forEach(({ number }) => number !== undefined && this.optional.add(number));
    this.#receives = [];
    for (const send of this.#sends) task.forget(send.id);
    this.#sends = [];
    this.#isClosed();
  }

  close(): void {
    this.settle();
    socket.close(this.id);
    for (const { id, number, step } of [...this.#receives, ...this.#sends]) {
      if (step !== undefined) {
        this.#unfinished.push(comesTo(step, overNow(step.loop) ? "done" : "ECONNABORTED"));
      } else if (!this.closed) {
        assertEquals(faultOf(id), "ECONNABORTED");
        this.#ignored.set(id, "ECONNABORTED");
      }
      if (number !== undefined) this.optional.add(number);
    }
    this.#receives = [];
    this.#sends = [];
    this.#isClosed();
  }

  #isClosed(): void {
    this.closed = true;
    for (const id of this.#watches) {
      if (task.status(id) === "Faulted") assertEquals(faultOf(id), "ECONNABORTED");
      else assertEquals(task.take(id)?.status, "Completed", "a ready that outlives its socket");
    }
    this.#watches = [];
    assertEquals([socket.isopen(this.id), socket.inspect(this.id)], [false, undefined]);
  }

  /** Takes the results that are there, and compares what runs with what should. */
  settle(): void {
    this.#process();
    if (!this.closed && !this.isInTheAir) this.#compare();
  }

  /** Takes the results that are there. */
  #process(): void {
    this.#drain();
    if (this.closed) return;
    this.#receives = this.#settleAll(this.#receives, (pending) => {
      if (pending.step !== undefined) return this.#stepped(pending.step, pending);
      this.#received(this.#claim(pending.id), pending.taken!, pending.faults);
    });
    this.#sends = this.#settleAll(this.#sends, (pending) => {
      const { value, error } = this.#claim(pending.id);
      if (error === undefined) return assertEquals(value, pending.count);
      const { code = "" } = error;
      assert(this.other.closed && BROKEN_ENDS.includes(code), code);
      if (pending.number === undefined) return;
      this.broken = true;
      this.optional.add(pending.number);
    });
    this.#watches = this.#watches.filter((id) => {
      if (task.status(id) === "Running") return true;
      assertEquals(task.take(id)?.status, "Completed", "a ready of an open socket faults");
    });
  }

  /** Compares what runs, and what was received, with what should be. */
  #compare(): void {
    const { pending, bytesIn, queuedIn } = this.#record;
    const running = [...this.#receives, ...this.#sends].map(({ id }) => id);
    const known = pending.filter((id) => running.includes(id));
    assertEquals(known, running, "what runs, in order");
    const unknown = pending.length - known.length;
    const others = this.#watches.length + this.#writes + this.#others.size;
    assert(unknown <= others, `${unknown} tasks of nobody`);
    if (this.#receives.length === 0 && this.#watches.length > 0) {
      assertEquals(queuedIn, 0, "there is something, and ready does not tell");
    }
    assertEquals(this.#position, bytesIn - queuedIn, "every byte is taken, or there to be taken");
  }

  /** Takes everything out of the queue. */
  #drain(): void {
    for (let taken; (taken = this.#queue.take()) !== undefined;) {
      const { id } = taken;
      const outcome: Outcome = taken.status === "Completed"
        ? { value: taken.value }
        : { error: taken.error as Failure };
      const ignored = this.#ignored.get(id);
      if (ignored === undefined) this.#outcomes.set(id, outcome);
      else assertEquals(outcome.error?.code, ignored);
    }
  }

  /** Deals with the settled ones, which come before all that run, and gives the others. */
  #settleAll(list: Pending[], settled: (pending: Pending) => void): Pending[] {
    const rest: Pending[] = [];
    for (const [at, pending] of list.entries()) {
      const { id, step } = pending;
      if (step !== undefined) {
        if (inTheAir(step)) return [...rest, ...list.slice(at)]; // what comes behind has to wait
        if (wasLeft(step)) continue;
      }
      if (step?.came === undefined && task.status(id) === "Running") rest.push(pending);
      else {
        assertEquals(rest, [], "out of turn");
        settled(pending);
      }
    }
    return rest;
  }

  /** The outcome of a task that has settled, taken in one way or another. */
  #claim(id: task.TaskId): Outcome {
    const drained = this.#outcomes.get(id);
    if (drained !== undefined) {
      assertEquals([this.#outcomes.delete(id), task.status(id)], [true, "Unknown"]);
      return drained;
    }
    if (id % 2 === 0) {
      const outcome: Outcome = task.status(id) === "Completed"
        ? { value: task.result(id) }
        : { error: task.error(id) as Failure };
      task.forget(id);
      return outcome;
    }
    const taken = task.take(id)!;
    assertEquals([task.take(id), task.status(id)], [undefined, "Unknown"]);
    return taken.status === "Completed"
      ? { value: taken.value }
      : { error: taken.error as Failure };
  }

  /** What a `next` came to: bytes, or what ends its loop. */
  #stepped({ came, loop }: Step<unknown>, { taken, faults }: Pending): void {
    if (came === "done") {
      loop.over = true;
      this.#taken(undefined);
    } else if ("error" in came!) {
      loop.over = true;
      this.#received(came, () => undefined, faults);
    } else this.#taken(taken!(came!.value));
  }

  /** What a receive came to. */
  #received(
    { value, error }: Outcome,
    taken: (result: unknown) => Taken,
    faults: readonly string[] = [],
  ): void {
    if (error === undefined) return this.#taken(taken(value));
    const { code = String(error), partial } = error;
    // What came is told as well, and nothing of it is consumed.
    if (partial !== undefined) this.#see(partial, this.#position);
    if (code === "EMSGSIZE" && faults.includes(code)) return;
    if (code === "EUNEXPECTEDEOF" && faults.includes(code) && !this.reset) {
      assert(this.other.ending !== "no" || this.other.closed, "an end that nobody made");
      this.ended = true;
      return;
    }
    assert(this.other.closed && CUT.includes(code), `${code}, closed: ${this.other.closed}`);
    this.reset = true;
  }

  #taken(bytes: Taken): void {
    if (bytes !== undefined) {
      this.#see(bytes, this.#position);
      this.#position += bytes.length;
      return;
    }
    assertEquals(this.#position, this.#seen.length, "an end before what was put back");
    assert(this.other.ending !== "no" || this.other.closed, "an end that nobody made");
    this.ended = true;
  }

  /** Whatever still runs is taken back. */
  cancelReceives(): void {
    this.settle();
    // The last one first: the cancel of an earlier one may let the next have what was put back.
    for (const pending of this.#receives.toReversed()) this.#cancelPending(pending);
    this.#receives = [];
    for (const id of this.#watches) {
      task.cancel(id);
      task.forget(id);
    }
    this.#watches = [];
    this.#drain();
  }

  /** Waits for the writes that have no IDs; throws what one of them should not have met. */
  async rest(): Promise<void> {
    await Promise.all(this.#unfinished);
    this.#drain();
    assertEquals(this.#outcomes.size, 0, "outcomes of nobody");
    this.#queue[Symbol.dispose]();
  }

  /** The messages that arrived, all whole, in order, and none is missing that may not be. */
  check(): void {
    if (this.hasGap) return;
    const all = new Uint8Array(this.#seen);
    const arrived = new Set<number>();
    let [at, last] = [0, -1];
    while (at + HEAD <= all.length) {
      const head = new TextDecoder().decode(all.subarray(at, at + HEAD));
      const number = parseInt(head.slice(0, HEAD / 2), 36);
      const length = parseInt(head.slice(HEAD / 2), 36);
      const body = all.subarray(at + HEAD, at + HEAD + length);
      assert(number > last, `message ${number} after ${last}`);
      const expected = bodyOf(number, length);
      assert(body.every((byte, i) => byte === expected[i]), `message ${number} is torn`);
      if (body.length < length) break;
      arrived.add(last = number);
      at += HEAD + length;
    }
    // A side that closed may have dropped what was on its way.
    if (this.closed || this.other.closed) return;
    assertEquals(at, all.length, "a message is incomplete");
    for (let number = 0; number < this.other.sends; number++) {
      assert(arrived.has(number) || this.other.optional.has(number), `message ${number} is lost`);
    }
  }
}

function isShutdown({ taken, number }: Pending): boolean {
  return taken === undefined && number === undefined;
}
