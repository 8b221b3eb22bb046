import {
  IdTable,
  nameIds,
  nextId,
  now,
  type Owner,
  type SocketId,
  type Task,
} from "../../task/core/mod.ts";

/** Whatever a socket ID can stand for. It is in the table from its birth until it is closed. */
export abstract class Handle implements Owner {
  readonly id: SocketId;
  readonly created: number = now();
  closed = false;
  #watchers: Set<() => void> | undefined;

  /** @param id The ID of the handle whose place it takes, if any. */
  constructor(id: SocketId = nextId()) {
    this.id = id;
    handles.add(this);
  }

  /** Leaves the table and lets go of everything, at once. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    handles.delete(this);
    this.#watchers?.forEach((closing) => closing());
    this.letGo();
  }

  /**
   * Has a function called when it is closed, before its pending tasks fault: those that are nobody
   * else's can be cancelled, and are no failure then.
   */
  watch(closing: () => void): void {
    (this.#watchers ??= new Set()).add(closing);
  }

  unwatch(closing: () => void): void {
    this.#watchers?.delete(closing);
  }

  /** Leaves the table for another handle to take its place. */
  giveUpId(): SocketId {
    this.closed = true;
    handles.delete(this);
    return this.id;
  }

  /** Faults what is pending and closes what is underneath. */
  protected abstract letGo(): void;

  abstract cancelled(task: Task): void;
}

export const handles: IdTable<Handle> = new IdTable();

/** An accept or a connect was dropped unclaimed: the connection that it gave goes with it. */
export function closeGiven(task: Task): void {
  handles.get(task.value as SocketId)?.close();
}
nameIds((id) => handles.get(id) === undefined ? undefined : "a socket");
