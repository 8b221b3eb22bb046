import type { Load } from "./mod.ts";
import { close, connect, lowWater, Poller, recv, send } from "./libc.ts";

/** Bytes under way on one connection: enough that the server always has a full buffer to read. */
const WINDOW = 512 * 1024;

/** What one call sends, and the most that one receives. */
const PART = 512 * 1024;

/** The load wakes up for this much at least, whatever the size of the server's writes. */
const CHUNK = 64 * 1024;

/**
 * An echo in bulk. Each connection sends as many bytes as came back; or, if it floods, as many as the
 * system takes, so that all buffers between here and the server are full. Crossed, it is for a relay: what
 * one connection of a pair sends comes back on the other. The unit is 1 GB that came back.
 */
export class Bulk implements Load {
  #fds: number[];
  #poller = new Poller();
  #data = new Uint8Array(PART);
  #buffer = new Uint8Array(PART);
  /** What a connection sends comes back on its neighbour, or on itself. */
  #crossed: number;
  /** Bytes each connection may send now, and bytes on their way back to it. */
  #credit: number[];
  #flight: number[];

  constructor(port: number, connections: number, { flood = false, crossed = false } = {}) {
    this.#crossed = crossed ? 1 : 0;
    this.#fds = Array.from({ length: connections }, () => connect(port));
    this.#fds.forEach((fd, i) => this.#poller.add(fd, i));
    this.#credit = this.#fds.map(() => flood ? Infinity : WINDOW);
    this.#flight = this.#fds.map(() => 0);
  }

  run(ms: number): number {
    const end = performance.now() + ms;
    let bytes = 0;
    let open = this.#fds.length;
    let over = false;
    for (const fd of this.#fds) lowWater(fd, CHUNK);
    this.#fds.forEach((_, i) => this.#send(i));
    while (open > 0) {
      const ready = this.#poller.wait();
      if (!over && performance.now() >= end) {
        over = true;
        for (const fd of this.#fds) lowWater(fd, 1);
      }
      for (let k = 0; k < ready; k++) {
        const i = this.#poller.token(k);
        const n = recv(this.#fds[i], this.#buffer);
        bytes += n;
        const from = i ^ this.#crossed;
        this.#credit[from] += n;
        this.#flight[from] -= n;
        if (!over) this.#send(from);
        if (this.#flight[from] === 0) open--;
      }
    }
    return bytes / 1e9;
  }

  #send(i: number): void {
    for (let n = PART; n === PART;) {
      n = send(this.#fds[i], this.#data, Math.min(PART, this.#credit[i]));
      this.#credit[i] -= n;
      this.#flight[i] += n;
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds) close(fd);
    this.#poller[Symbol.dispose]();
  }
}
