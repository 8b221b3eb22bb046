/**
 * What all copies of this module in one thread share (two versions of it, say, or one imported by
 * path and by URL): the counter, so that an ID of one copy is unknown to the others and never
 * another object, and what can name the IDs of each.
 */
interface Shared {
  last: number;
  readonly namers: Namer[];
}

/** Says what an ID stands for now, such as `"a socket"`; `undefined` if for nothing of its kind. */
export type Namer = (id: number) => string | undefined;

const KEY: unique symbol = Symbol.for("@taskio/net: IDs") as never;
const shared: Shared = (globalThis as { [KEY]?: Shared })[KEY] ?? share();

function share(): Shared {
  const value: Shared = { last: 0, namers: [] };
  Object.defineProperty(globalThis, KEY, { value });
  return value;
}

/** The namers of this copy. */
const own: Set<Namer> = new Set();

/** The next integer: one counter for sockets and tasks, from 1, never reused. */
export function nextId(): number {
  return ++shared.last;
}

/** Whether this integer was ever given out, to a socket or to a task. */
export function wasIssued(id: number): boolean {
  return id >= 1 && id <= shared.last;
}

/** Adds a kind of thing that an ID may stand for. */
export function nameIds(namer: Namer): void {
  own.add(namer);
  shared.namers.push(namer);
}

/** What an ID stands for, in this copy of the module or in another; `undefined` if for nothing. */
export function nameOf(id: number): string | undefined {
  for (const namer of shared.namers) {
    const name = namer(id);
    if (name !== undefined) return own.has(namer) ? name : `${name} of another copy of this module`;
  }
  return undefined;
}
