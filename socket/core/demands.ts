/** The receives that are content only with a certain amount. */
import { complete, fault, type Task } from "../../task/core/mod.ts";
import { Demand, type Receiver } from "./receiver.ts";

const NEWLINE = new Uint8Array([10]);
const CARRIAGE_RETURN = 13;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export class Exact extends Demand {
  readonly #n: number;

  constructor(n: number) {
    super();
    this.#n = n;
  }

  isMet(receiver: Receiver): boolean {
    return receiver.buffer.length >= this.#n || receiver.ended;
  }

  meet(task: Task, receiver: Receiver): void {
    const buffered = receiver.buffer.length;
    if (buffered >= this.#n) {
      const bytes = receiver.buffer.take(this.#n);
      return complete(task, bytes, this.#n > 0 ? receiver : undefined); // none are no loss
    }
    receiver.faultEnded(
      task,
      `peer ended the stream too soon, after ${buffered} of ${this.#n} bytes`,
    );
  }

  pushed(): void {}
}

export class Until extends Demand {
  /** What it looks for, in words. */
  protected get sought(): string {
    return "delimiter";
  }

  readonly #delimiter: Uint8Array;
  protected readonly max: number;
  /** Before here the delimiter does not begin, unless in what has been put in front since. */
  #from = 0;
  #pushed = 0;
  /** The length of the message with its delimiter, once that was found. */
  #length = 0;

  constructor(delimiter: Uint8Array, max: number) {
    super();
    this.#delimiter = delimiter;
    this.max = max;
  }

  isMet(receiver: Receiver): boolean {
    const buffered = receiver.buffer.length;
    // Where the delimiter may begin and still end within what is there and within `max`.
    const end = Math.max(0, Math.min(buffered, this.max) - this.#delimiter.length + 1);
    let at = -1;
    if (this.#pushed > 0) at = this.#find(receiver, 0, Math.min(this.#pushed, end));
    if (at === -1 && this.#from < end) at = this.#find(receiver, this.#from, end);
    this.#length = at === -1 ? 0 : at + this.#delimiter.length;
    this.#from = end;
    this.#pushed = 0;
    return at !== -1 || this.isTooLong(buffered) || receiver.ended;
  }

  #find(receiver: Receiver, from: number, end: number): number {
    const [front, back] = receiver.buffer.view();
    return front.length === 0
      ? indexOf(back, this.#delimiter, from, end)
      : indexOfInBoth(front, back, this.#delimiter, from, end);
  }

  meet(task: Task, receiver: Receiver): void {
    if (this.#length > 0) this.found(task, receiver, this.#length);
    else if (!this.isTooLong(receiver.buffer.length)) this.ended(task, receiver);
    else {
      const text = `no ${this.sought} in the first ${this.max} bytes: ` +
        'raise "max", or receive it in parts';
      fault(task, receiver.fail("EMSGSIZE", task.kind, text));
    }
  }

  /** Whether so many bytes without the delimiter are too many. */
  protected isTooLong(buffered: number): boolean {
    return buffered >= this.max;
  }

  /** The first `length` bytes are the message. */
  protected found(task: Task, receiver: Receiver, length: number): void {
    complete(task, receiver.buffer.take(length), receiver);
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

export class Line extends Until {
  constructor(max: number) {
    super(NEWLINE, max);
  }

  protected override get sought(): string {
    return "line end";
  }

  /** The last line of a stream need not end: whether one of `max` bytes is the last, what follows tells. */
  protected override isTooLong(buffered: number): boolean {
    return buffered > this.max;
  }

  protected override found(task: Task, receiver: Receiver, length: number): void {
    const line = receiver.buffer.look(length);
    const end = length > 1 && line[length - 2] === CARRIAGE_RETURN ? length - 2 : length - 1;
    this.#give(task, receiver, line.subarray(0, end), length);
  }

  protected override ended(task: Task, receiver: Receiver): void {
    const buffered = receiver.buffer.length;
    if (receiver.failed) receiver.faultEnded(task);
    else if (buffered === 0) complete(task, null);
    else this.#give(task, receiver, receiver.buffer.look(buffered), buffered);
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
    receiver.buffer.skip(taken);
    complete(task, text, receiver);
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
