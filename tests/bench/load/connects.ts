import type { Load } from "./mod.ts";
import { close, connect, Poller, recv, send } from "./libc.ts";

/** Connect, one echo of 64 bytes, close; some at a time. The unit is one connection. */
export class Connects implements Load {
  #port: number;
  #atOnce: number;
  #poller = new Poller();
  #data = new Uint8Array(64);
  #buffer = new Uint8Array(1024);

  constructor(port: number, atOnce: number) {
    this.#port = port;
    this.#atOnce = atOnce;
  }

  async run(ms: number): Promise<number> {
    const end = performance.now() + ms;
    let done = 0;
    let open = 0;
    for (; open < this.#atOnce; open++) this.#open();
    while (open > 0) {
      const ready = this.#poller.wait();
      const over = performance.now() >= end;
      for (let k = 0; k < ready; k++) {
        const fd = this.#poller.token(k);
        recv(fd, this.#buffer);
        close(fd);
        done++;
        if (over) open--;
        else this.#open();
      }
    }
    // The last connections are still being closed on the other side.
    await new Promise((resolve) => setTimeout(resolve, 5));
    return done;
  }

  #open(): void {
    const fd = connect(this.#port);
    this.#poller.add(fd, fd);
    send(fd, this.#data, this.#data.length);
  }

  [Symbol.dispose](): void {
    this.#poller[Symbol.dispose]();
  }
}
