/**
 * The task record and the rules of claiming.
 *
 * Theory of operation. A record is born Running and settles once, by
 * {@linkcode complete} or {@linkcode fault}. Its value lives in the record; a promise
 * is made only when somebody awaits.
 *
 * - Whoever waits when it settles (an await, the first source of a select, ...) gets
 *   the result and so *claims* it: the record leaves the table, the ID is Unknown.
 * - If nobody waits, the record goes on a {@linkcode Shelf}, a queue of settled tasks. The
 *   common shelf `unclaimed` is bounded: the oldest record makes room. A result whose loss
 *   would lose data (received bytes, an accepted connection) goes on a shelf of its owner's
 *   instead, which is not bounded, until the owner closes.
 * - A task that a completion queue watches has an *entry* there. When it settles it goes on a
 *   shelf all the same, its owner's or the unbounded `queued`, and only its entry waits in
 *   the completion queue: what the owner does with its shelf is right for it, too. Whoever takes
 *   the record out of the table takes the entry out of the queue.
 * - While it runs, its owner may keep the record in a queue of its own (the pending
 *   recvs of a socket). Cancelling unlinks it there, whatever queue that is: this is
 *   all it takes for a cancelled operation to lose nothing.
 *
 * So a live record is in one place at most, named by its `queue`: the owner's queue of pending
 * work while it runs, if the owner has one; a shelf, always, once it has settled.
 */
import type { Outcome } from "./types.ts";
import { nameIds, nextId } from "./ids.ts";
import { now } from "./now.ts";
import { type Link, Queue } from "./queue.ts";
import { type Above, capture, rejection } from "./stack.ts";
import { IdTable } from "./table.ts";

export const RUNNING = 0;
export const COMPLETED = 1;
export const FAULTED = 2;
export type State = typeof RUNNING | typeof COMPLETED | typeof FAULTED;

/** Whoever does the work that a task stands for. */
export interface Owner {
  /** The task was cancelled while Running; it has been unlinked from the owner's queue. */
  cancelled(task: Task): void;
}

/** Someone to be told when a task settles; returns whether that claims the result. */
export interface Waiter {
  settled(task: Task): boolean;
}

/** The place that a task has in a completion queue. */
export interface Entry {
  /** The task has settled, and nobody else has claimed it. */
  settled(): void;
  /** The task is gone: leave the queue. */
  leave(): void;
}

type Resolve = (value: unknown) => void;

/**
 * One class for tasks of every kind, though `argument` and `count` mean something else to each
 * owner. Subclasses with fields of their own give the tasks several shapes, and the engine
 * remembers four at a place of the code: with six of them a task took 290 ns to make, complete and
 * take instead of 70.
 */
export class Task implements Link<Task> {
  prev: Task | undefined = undefined;
  next: Task | undefined = undefined;
  queue: Queue<Task> | undefined = undefined;

  readonly id: number = nextId();
  readonly kind: string;
  /** The socket it works on, 0 if none. */
  readonly socket: number;
  readonly owner: Owner | undefined;
  readonly created: number = now();

  state: State = RUNNING;
  /** The result once Completed; the fault once Faulted, to be asked for with `errorOf`. */
  value: unknown = undefined;
  /** Its fault is an error of ours that nobody has seen: whoever does gives it a stack. */
  fresh = false;
  /** The owner's note of what is to be done, dropped when it settles. */
  argument: unknown = undefined;
  /** A number of the owner's: a limit, an offset. */
  count = 0;

  /** Its place in the completion queue that watches it. */
  entry: Entry | undefined = undefined;
  /** Nobody will claim it. */
  forgotten = false;
  /** A fault that nobody has looked at yet: see `unseen.ts`. */
  unseen = false;

  /** Shared by all plain awaits made before it settled. */
  promise: Promise<unknown> | undefined = undefined;
  resolve: Resolve | undefined = undefined;
  waiters: Set<Waiter> | undefined = undefined;

  constructor(kind: string, socket: number, owner: Owner | undefined) {
    this.kind = kind;
    this.socket = socket;
    this.owner = owner;
    tasks.add(this);
    running++;
  }
}

/** Whoever has a shelf, or makes one when it is needed. */
export interface Holder {
  readonly shelf: Shelf;
}

/**
 * Where settled tasks wait to be claimed.
 *
 * A settled task that nobody waited for is on exactly one shelf. The shelf says what is to be done
 * when a task on it is dropped instead of claimed: an accepted connection must be closed, say. So
 * who owns an unclaimed result is told by the shelf that it is on, and by nothing else.
 */
export class Shelf extends Queue<Task> implements Holder {
  /** A task of this shelf was dropped: lets go of what its result holds. */
  readonly dropped: (task: Task) => void;

  constructor(dropped: (task: Task) => void) {
    super();
    this.dropped = dropped;
  }

  get shelf(): Shelf {
    return this;
  }
}

/** For results that hold nothing which must be let go of. */
export function nothingHeld(): void {}

const tasks: IdTable<Task> = new IdTable();
let running = 0;
let whenIdle: Set<() => void> | undefined;

/** Told of a fault that is dropped before anybody looked at it. */
let reportUnseen: (task: Task) => void = () => {};

export function onUnseenDropped(report: (task: Task) => void): void {
  reportUnseen = report;
}

/** Settled tasks that may be dropped when there are too many. */
const unclaimed = new Shelf((task) => {
  if (task.unseen) reportUnseen(task);
});
let limit = 65_536;
let evicting = false;

/** Settled tasks of completion queues: nobody but the queue drops them. */
const queued = new Shelf(nothingHeld);

nameIds((id) => tasks.get(id) === undefined ? undefined : "a task");

export function find(id: number): Task | undefined {
  return tasks.get(id);
}

export function allTasks(): Task[] {
  return tasks.entries();
}

export function runningCount(): number {
  return running;
}

/**
 * Settles a task with its result; without effect if it was cancelled before.
 *
 * @param holder Whose shelf it is where the result waits to be claimed if its loss would lose what
 * it holds.
 */
export function complete(task: Task, value: unknown, holder?: Holder): void {
  if (task.state !== RUNNING) return;
  task.state = COMPLETED;
  task.value = value;
  settle(task, holder);
}

/**
 * Settles a task with its fault; without effect if it was cancelled before.
 *
 * @param ours Whether it is an error of ours, or a `DeferredFault`, and no error of the program's.
 */
export function fault(task: Task, error: unknown, ours = true): void {
  if (task.state !== RUNNING) return;
  task.state = FAULTED;
  task.value = error;
  task.fresh = ours;
  settle(task, undefined);
}

/**
 * A fault whose error is made when somebody looks: an error costs microseconds, and many tasks may
 * fault at once that nobody will ever ask.
 */
export class DeferredFault {
  readonly make: (task: Task) => unknown;

  constructor(make: (task: Task) => unknown) {
    this.make = make;
  }
}

/**
 * The fault of a task that is Faulted. An error of ours is given its stack now: it names whoever
 * sees it first.
 *
 * @param above The function whose frames the stack does not show.
 */
export function errorOf(task: Task, above: Above): unknown {
  if (task.fresh) {
    task.fresh = false;
    if (task.value instanceof DeferredFault) task.value = task.value.make(task);
    capture(task.value, above);
  }
  return task.value;
}

/** What a task that has settled came to. */
export function outcomeOf<T>(task: Task, above: Above): Outcome<T> {
  return task.state === COMPLETED
    ? { id: task.id, status: "Completed", value: task.value as T }
    : { id: task.id, status: "Faulted", error: errorOf(task, above) };
}

/** A rejection with the fault of a task, for a promise to be resolved with. */
export function rejectionOf(task: Task): Promise<never> {
  return rejection((above) => errorOf(task, above));
}

function settle(task: Task, holder: Holder | undefined): void {
  task.argument = undefined;
  running--;
  if (deliver(task)) {
    leaveTable(task);
  } else if (task.forgotten) {
    leaveTable(task);
    holder?.shelf.dropped(task);
  } else if (holder !== undefined) {
    holder.shelf.push(task);
    task.entry?.settled();
  } else if (task.entry !== undefined) {
    queued.push(task);
    task.entry.settled();
  } else {
    unclaimed.push(task);
    if (unclaimed.size > limit) evictOthers();
  }
  if (running === 0 && whenIdle !== undefined) wakeIdle(whenIdle);
}

/** Hands the result to everybody who waits; `false` if nobody took it. */
function deliver(task: Task): boolean {
  let taken = false;
  if (task.promise !== undefined) {
    task.resolve!(task.state === COMPLETED ? task.value : rejectionOf(task));
    taken = true;
  }
  if (task.waiters !== undefined) {
    // One that is told may take others back, which are then not told.
    for (const waiter of task.waiters) if (waiter.settled(task)) taken = true;
    task.waiters = undefined;
  }
  return taken;
}

/** Sets how many results `unclaimed` keeps; gives how many it kept until now. */
export function setLimit(count: number): number {
  const before = limit;
  limit = count;
  evict();
  return before;
}

function evict(): void {
  while (unclaimed.size > limit) drop(unclaimed.head!);
}

/**
 * Makes room for the task that came last. It stays until the call that made it, or gave it back,
 * has returned, even if there is to be no room at all: the caller is about to claim it, perhaps.
 */
function evictOthers(): void {
  while (unclaimed.size > limit && unclaimed.size > 1) drop(unclaimed.head!);
  if (unclaimed.size <= limit || evicting) return;
  evicting = true;
  queueMicrotask(() => {
    evicting = false;
    evict();
  });
}

function leaveTable(task: Task): void {
  tasks.delete(task);
  if (task.entry !== undefined) task.entry.leave();
}

/** Takes a settled task out of the table: its result now belongs to the caller. */
export function claim(task: Task): void {
  if (task.queue !== undefined) task.queue.remove(task);
  leaveTable(task);
}

/** Drops a settled task; what its result holds is let go of. */
export function drop(task: Task): void {
  const shelf = task.queue as Shelf; // where every settled task is
  claim(task);
  shelf.dropped(task);
}

/** The loss of a result would no longer lose anything: if still unclaimed, it may be dropped. */
export function makeDroppable(task: Task): void {
  if (task.queue === undefined) return;
  task.queue.remove(task);
  if (task.entry !== undefined) return queued.push(task);
  unclaimed.push(task);
  evict();
}

/** Lets a completion queue watch a task, or take what it came to: from now on it has an entry. */
export function enter(task: Task, entry: Entry): void {
  task.entry?.leave();
  task.entry = entry;
  task.forgotten = false;
  if (task.state === RUNNING) return;
  if (task.queue === unclaimed) {
    unclaimed.remove(task);
    queued.push(task);
  }
  entry.settled();
}

/** The task is its ID's alone again. */
export function withdraw(task: Task): void {
  if (task.entry === undefined) return;
  task.entry.leave();
  if (task.queue !== queued) return;
  queued.remove(task);
  unclaimed.push(task);
  if (unclaimed.size > limit) evictOthers();
}

// One executor for every promise: it saves a closure per await.
let lastResolve: Resolve;
function keepResolve(resolve: Resolve): void {
  lastResolve = resolve;
}

/** The promise of a Running task. */
export function promiseOf(task: Task): Promise<unknown> {
  if (task.promise === undefined) {
    task.promise = new Promise(keepResolve);
    task.resolve = lastResolve;
  }
  return task.promise;
}

export function addWaiter(task: Task, waiter: Waiter): void {
  (task.waiters ??= new Set()).add(waiter);
}

export function removeWaiter(task: Task, waiter: Waiter): void {
  task.waiters?.delete(waiter);
}

/** Whether somebody waits for it, be it an `any` or a completion queue, which leave it unclaimed. */
export function isAwaited(task: Task): boolean {
  return task.promise !== undefined || task.entry !== undefined ||
    (task.waiters !== undefined && task.waiters.size > 0);
}

/** Calls back when no task is Running; `removeIdle` takes the request back. */
export function addIdle(callback: () => void): void {
  (whenIdle ??= new Set()).add(callback);
}

export function removeIdle(callback: () => void): void {
  whenIdle?.delete(callback);
}

function wakeIdle(callbacks: Set<() => void>): void {
  whenIdle = undefined;
  for (const callback of callbacks) callback();
}
