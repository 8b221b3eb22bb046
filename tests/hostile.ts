// A peer in a thread of its own, so that what it does happens at any moment of what taskio does.

import type { Request } from "./hostile_worker.ts";

export class Hostile implements Disposable {
  readonly #worker = new Worker(new URL("hostile_worker.ts", import.meta.url), { type: "module" });

  /** Listens, and treats every client in another manner; gives the port. */
  serve(): Promise<number> {
    return this.#ask({ serve: true });
  }

  /** Connects so often to each port, each time in another manner; resolves when all have ended. */
  visit(ports: number[], times: number): Promise<number> {
    return this.#ask({ visit: ports, times });
  }

  #ask(request: Request): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#worker.onmessage = ({ data }) => resolve(data);
    this.#worker.onerror = (event) => reject(new Error(event.message));
    this.#worker.postMessage(request);
    return promise;
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}
