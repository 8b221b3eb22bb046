/**
 * A first-in, first-out queue whose links live in its members, so that a waiter in
 * the middle leaves in constant time and nothing is allocated to join.
 */

/** What a member carries. It is in one queue at a time: `queue` says which. */
export interface Link<T extends Link<T>> {
  prev: T | undefined;
  next: T | undefined;
  queue: Queue<T> | undefined;
}

export class Queue<T extends Link<T>> {
  head: T | undefined = undefined;
  tail: T | undefined = undefined;
  size = 0;

  push(member: T): void {
    member.queue = this;
    member.next = undefined;
    member.prev = this.tail;
    if (this.tail === undefined) this.head = member;
    else this.tail.next = member;
    this.tail = member;
    this.size++;
  }

  shift(): T | undefined {
    const member = this.head;
    if (member !== undefined) this.remove(member);
    return member;
  }

  remove(member: T): void {
    const { prev, next } = member;
    if (prev === undefined) this.head = next;
    else prev.next = next;
    if (next === undefined) this.tail = prev;
    else next.prev = prev;
    member.prev = member.next = member.queue = undefined;
    this.size--;
  }

  /** From the oldest member on; the one just given may be removed meanwhile. */
  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let member = this.head; member !== undefined;) {
      const next: T | undefined = member.next;
      yield member;
      member = next;
    }
  }
}
