/**
 * Receives that are content only with a certain amount. They settle with bytes that are in the
 * buffer or leave them there: what does not suffice stays readable.
 */
import { checkInteger, checkOptions, wrongEmpty } from "../task/check.ts";
import type { SocketId, TaskId } from "../task/id.ts";
import { complete, fault, type Task } from "../task/record.ts";
import { toBytes } from "./check.ts";
import { findStream, refuse } from "./lookup.ts";
import { Demand, type Receiver } from "./receiver.ts";

/** How much to look through for a delimiter. */
export interface UntilOptions {
  /**
   * The longest result, in bytes with the delimiter, from 1.
   *
   * @default {65536}
   */
  max?: number;
}

const DEFAULT_MAX = 65536;
const NEWLINE = new Uint8Array([10]);
const CARRIAGE_RETURN = 13;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Receives exactly so many bytes.
 *
 * Cancel safety: loses nothing. What has come stays for the next receive.
 *
 * State: as for `recv`. Faults `EUNEXPECTEDEOF` if the stream ends before that much has come; the
 * error's `partial` is a copy of what has come, and it stays readable. Faults `ECONNRESET` likewise.
 *
 * @param id A connection.
 * @param n How many bytes, from 0.
 * @returns The task; its result is the bytes.
 * @throws {TypeError} If `id` is not an integer or `n` not a number.
 * @throws {RangeError} If `n` is not an integer from 0.
 *
 * @example A length, then so many bytes
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * socket.send(client, "\x05hello");
 * const [length] = await task.await(socket.recvExact(peer, 1));
 * const body = await task.await(socket.recvExact(peer, length));
 * assertEquals(new TextDecoder().decode(body), "hello");
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function recvExact(id: SocketId, n: number): TaskId<Uint8Array<ArrayBuffer>> {
  checkCount(n);
  const stream = findStream(id);
  if (stream === undefined) return refuse("recvExact", id);
  return stream.receiver.receive("recvExact", n, new Exact(n));
}

/**
 * Receives through a delimiter.
 *
 * Cancel safety: loses nothing. What has come stays for the next receive.
 *
 * State: as for `recv`. Faults `EMSGSIZE` and consumes nothing if the result would be longer than
 * `max`; `EUNEXPECTEDEOF` if the stream ends first: the error's `partial` is a copy of what has
 * come, and it stays readable.
 *
 * @param id A connection.
 * @param delimiter What ends the message, not empty; a string as UTF-8.
 * @param options `max`: the longest result in bytes, with the delimiter. Default: 65536.
 * @returns The task; its result is the bytes, the delimiter included.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `delimiter` is empty or `max` not an integer from 1.
 *
 * @example The head of an HTTP request
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * socket.send(client, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nbody");
 * const head = await task.await(socket.recvUntil(peer, "\r\n\r\n", { max: 8192 }));
 * assertEquals(head.length, 35);
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function recvUntil(
  id: SocketId,
  delimiter: Uint8Array | string,
  options: UntilOptions = {},
): TaskId<Uint8Array<ArrayBuffer>> {
  const bytes = checkDelimiter(delimiter);
  const max = checkUntilOptions(options);
  const stream = findStream(id);
  if (stream === undefined) return refuse("recvUntil", id);
  return stream.receiver.receive("recvUntil", max, new Until(bytes.slice(), max));
}

/**
 * Receives a line of text, as UTF-8. The last one need not end with a line end.
 *
 * Cancel safety: loses nothing. What has come stays for the next receive.
 *
 * State: as for `recv`. Faults `EMSGSIZE` and consumes nothing if the line is longer than `max`, or than
 * a string can be (512 MiB).
 *
 * @param id A connection.
 * @param options `max`: the longest line in bytes, with its end. Default: 65536.
 * @returns The task; its result is the line without `\n` or `\r\n`, or `null` at end of stream.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `max` is not an integer from 1.
 *
 * @example Line by line
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const peer = await task.await(socket.accept(server));
 * socket.send(client, "HELO\r\n\nQUIT");
 * socket.shutdown(client);
 * const lines = [];
 * for (;;) {
 *   const line = await task.await(socket.recvLine(peer));
 *   if (line === null) break;
 *   lines.push(line);
 * }
 * assertEquals(lines, ["HELO", "", "QUIT"]);
 * [client, peer, server].forEach(socket.close);
 * ```
 */
export function recvLine(id: SocketId, options: UntilOptions = {}): TaskId<string | null> {
  const max = checkUntilOptions(options);
  const stream = findStream(id);
  if (stream === undefined) return refuse("recvLine", id);
  return stream.receiver.receive("recvLine", max, new Line(max));
}

/** How much `recvExact` may give. */
export function checkCount(n: number): void {
  checkInteger("n", n, 0, Number.MAX_SAFE_INTEGER);
}

export function checkDelimiter(delimiter: Uint8Array | string): Uint8Array {
  const bytes = toBytes("delimiter", delimiter);
  if (bytes.length === 0) {
    const what = delimiter === "" ? '""' : "an empty Uint8Array";
    throw wrongEmpty("delimiter", "at least one byte long", what);
  }
  return bytes;
}

/** Gives the longest result. */
export function checkUntilOptions(options: UntilOptions): number {
  checkOptions(options, ["max"]);
  const { max = DEFAULT_MAX } = options;
  checkInteger("max", max, 1, Number.MAX_SAFE_INTEGER);
  return max;
}

class Exact extends Demand {
  readonly #n: number;

  constructor(n: number) {
    super();
    this.#n = n;
  }

  isMet(receiver: Receiver): boolean {
    return receiver.buffered >= this.#n || receiver.ended;
  }

  meet(task: Task, receiver: Receiver): void {
    if (receiver.buffered < this.#n) receiver.faultEnded(task);
    else complete(task, receiver.take(this.#n), receiver.shelf);
  }

  pushed(): void {}
}

class Until extends Demand {
  readonly #delimiter: Uint8Array;
  readonly #max: number;
  /** Before here the delimiter does not begin, unless in what has been put in front since. */
  #from = 0;
  #pushed = 0;
  /** The length of the message with its delimiter, once that was found. */
  #length = 0;

  constructor(delimiter: Uint8Array, max: number) {
    super();
    this.#delimiter = delimiter;
    this.#max = max;
  }

  isMet(receiver: Receiver): boolean {
    const { buffered } = receiver;
    // Where the delimiter may begin and still end within what is there and within `max`.
    const end = Math.max(0, Math.min(buffered, this.#max) - this.#delimiter.length + 1);
    let at = -1;
    if (this.#pushed > 0) at = this.#find(receiver, 0, Math.min(this.#pushed, end));
    if (at === -1 && this.#from < end) at = this.#find(receiver, this.#from, end);
    this.#length = at === -1 ? 0 : at + this.#delimiter.length;
    this.#from = end;
    this.#pushed = 0;
    return at !== -1 || buffered >= this.#max || receiver.ended;
  }

  #find(receiver: Receiver, from: number, end: number): number {
    const [front, back] = receiver.view();
    return front.length === 0
      ? indexOf(back, this.#delimiter, from, end)
      : indexOfInBoth(front, back, this.#delimiter, from, end);
  }

  meet(task: Task, receiver: Receiver): void {
    if (this.#length > 0) this.found(task, receiver, this.#length);
    else if (receiver.buffered < this.#max) this.ended(task, receiver);
    else {
      const text = `no delimiter in the first ${this.#max} bytes`;
      fault(task, receiver.fail("EMSGSIZE", task.kind, text));
    }
  }

  /** The first `length` bytes are the message. */
  protected found(task: Task, receiver: Receiver, length: number): void {
    complete(task, receiver.take(length), receiver.shelf);
  }

  /** The stream ended before the delimiter came. */
  protected ended(task: Task, receiver: Receiver): void {
    receiver.faultEnded(task);
  }

  pushed(count: number): void {
    this.#from += count;
    this.#pushed += count;
  }
}

class Line extends Until {
  constructor(max: number) {
    super(NEWLINE, max);
  }

  protected override found(task: Task, receiver: Receiver, length: number): void {
    const line = receiver.look(length);
    const end = length > 1 && line[length - 2] === CARRIAGE_RETURN ? length - 2 : length - 1;
    this.#give(task, receiver, line.subarray(0, end), length);
  }

  protected override ended(task: Task, receiver: Receiver): void {
    const { buffered } = receiver;
    if (receiver.failed) receiver.faultEnded(task);
    else if (buffered === 0) complete(task, null);
    else this.#give(task, receiver, receiver.look(buffered), buffered);
  }

  /** Settles with a line, which is taken only once it has become text. */
  #give(task: Task, receiver: Receiver, line: Uint8Array, taken: number): void {
    let text: string;
    try {
      text = decoder.decode(line);
    } catch {
      const reason = `a line of ${line.length} bytes is longer than a string can be`;
      return fault(task, receiver.fail("EMSGSIZE", task.kind, reason));
    }
    receiver.skip(taken);
    complete(task, text, receiver.shelf);
  }
}

/** Where the delimiter begins, from `from` to before `end`: it then ends within the data. */
function indexOf(data: Uint8Array, delimiter: Uint8Array, from: number, end: number): number {
  const starts = end < data.length ? data.subarray(0, Math.max(0, end)) : data;
  for (let at = from; at < end; at++) {
    at = starts.indexOf(delimiter[0], at);
    if (at === -1) return -1;
    let i = 1;
    while (i < delimiter.length && data[at + i] === delimiter[i]) i++;
    if (i === delimiter.length) return at;
  }
  return -1;
}

/** The same in data that lies in two places. */
function indexOfInBoth(
  front: Uint8Array,
  back: Uint8Array,
  delimiter: Uint8Array,
  from: number,
  end: number,
): number {
  const size = front.length;
  // It lies in front, or across the border, or in the back.
  const border = Math.max(0, size - delimiter.length + 1);
  const inFront = indexOf(front, delimiter, from, Math.min(end, border));
  if (inFront !== -1) return inFront;
  for (let at = Math.max(from, border); at < Math.min(end, size); at++) {
    let i = 0;
    while (
      i < delimiter.length &&
      (at + i < size ? front[at + i] : back[at + i - size]) === delimiter[i]
    ) i++;
    if (i === delimiter.length) return at;
  }
  const inBack = indexOf(back, delimiter, Math.max(0, from - size), end - size);
  return inBack === -1 ? -1 : inBack + size;
}
