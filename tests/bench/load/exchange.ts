import type { Load } from "./mod.ts";
import { close, connect, Poller, recv, send } from "./libc.ts";

export interface ExchangeOptions {
  connections: number;
  /** How many of them work; the others do one exchange at the start and idle. All, unless given. */
  busy?: number;
  /** Bytes to send and bytes to wait for before the next request on the same connection. */
  request: number;
  reply: number;
}

/** Request and reply on many connections at once, one request under way on each. */
export class Exchange implements Load {
  #fds: number[] = [];
  /** Bytes each connection still waits for. */
  #missing: Int32Array;
  #poller = new Poller();
  #request: Uint8Array<ArrayBuffer>;
  #buffer = new Uint8Array(256 * 1024);
  #reply: number;
  #busy: number;

  constructor(port: number, options: ExchangeOptions) {
    this.#missing = new Int32Array(options.connections);
    this.#request = new Uint8Array(options.request);
    this.#reply = options.reply;
    this.#busy = options.busy ?? options.connections;
    for (let i = 0; i < options.connections; i++) {
      const fd = connect(port);
      this.#fds.push(fd);
      this.#poller.add(fd, i);
      // Greet in groups, so that the server's backlog never overflows.
      if (i % 64 === 63 || i === options.connections - 1) this.#exchange(0, i - i % 64, i + 1);
    }
  }

  run(ms: number): number {
    return this.#exchange(ms, 0, this.#busy);
  }

  /**
   * One request on each connection from `first` to before `last`, and more until `ms` have passed.
   */
  #exchange(ms: number, first: number, last: number): number {
    const end = performance.now() + ms;
    let done = 0;
    let open = last - first;
    for (let i = first; i < last; i++) this.#ask(i);
    while (open > 0) {
      const ready = this.#poller.wait();
      const over = performance.now() >= end;
      for (let k = 0; k < ready; k++) {
        const i = this.#poller.token(k);
        this.#missing[i] -= recv(this.#fds[i], this.#buffer);
        if (this.#missing[i] > 0) continue;
        done++;
        if (over) open--;
        else this.#ask(i);
      }
    }
    return done;
  }

  #ask(i: number): void {
    this.#missing[i] = this.#reply;
    if (send(this.#fds[i], this.#request, this.#request.length) < this.#request.length) {
      throw new Error("Cannot send a request whole");
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds) close(fd);
    this.#poller[Symbol.dispose]();
  }
}
