import { await as awaitTask } from "../../task/await.ts";
import {
  Bound,
  complete,
  fault,
  type Owner,
  RUNNING,
  Task,
  type TaskId,
} from "../../task/core/mod.ts";
import { cancel } from "../../task/cancel.ts";
import { countAgain } from "./failure.ts";
import type { Stream } from "./stream.ts";

/** The most that is received at once, to be dropped. */
const CHUNK = 64 * 1024;

/** Closes a connection gently. */
export function finishStream(stream: Stream, timeout: number = 5000): TaskId<void> {
  return new Finish(stream, timeout).task.id;
}

class Finish implements Owner {
  readonly task: Task;
  readonly #stream: Stream;
  readonly #bound: Bound;
  #receiving: TaskId | undefined;
  readonly #onClose = () => this.#failed(this.#fail("ECONNABORTED", "socket was closed"));

  constructor(stream: Stream, timeout: number) {
    this.task = new Task("finish", stream.id, this);
    this.#stream = stream;
    this.#bound = new Bound(this, "finish", { timeout });
    if (isOver(stream)) this.#finished();
    else this.#begin();
  }

  #begin(): void {
    this.#stream.watch(this.#onClose);
    this.#bound.arm();
    if (this.task.state === RUNNING) this.#run();
  }

  async #run(): Promise<void> {
    try {
      // Side by side: a peer may first want to be rid of what it sends.
      await Promise.all([awaitTask(this.#stream.sender.shutdown()), this.#drain()]);
      this.#finished();
    } catch (error) {
      // The sending side, which tells first, only knows of a reset that there is no peer.
      const { reset } = this.#stream;
      this.#failed(reset === undefined ? error : this.#stream.translate(reset, "finish"));
    }
  }

  /** Receives until the end. */
  async #drain(): Promise<void> {
    while (this.task.state === RUNNING) {
      const id = this.#receiving = this.#stream.receiver.receive<Uint8Array>("recv", CHUNK);
      if ((await awaitTask(id)).length === 0) return;
    }
  }

  #finished(): void {
    if (this.task.state !== RUNNING) return;
    this.#leave();
    this.#stream.close();
    complete(this.task, undefined);
  }

  #failed(error: unknown): void {
    if (this.task.state !== RUNNING) return;
    this.#leave();
    this.#stream.close();
    countAgain(error);
    fault(this.task, error);
  }

  #leave(): void {
    this.#bound.disarm();
    this.#stream.unwatch(this.#onClose);
  }

  #fail(code: string, text: string): Error {
    return this.#stream.fail(code, "finish", text);
  }

  /** Time ran out. */
  expired(): void {
    this.#failed(this.#fail("ETIMEDOUT", "time ran out before the peer had ended"));
  }

  cancelled(): void {
    this.#leave();
    if (this.#receiving !== undefined) cancel(this.#receiving, "finish was cancelled");
  }
}

/** Whether the peer has ended and nothing is to be sent but the end, which a close sends as well. */
function isOver({ receiver, sender, tls, upgrade }: Stream): boolean {
  return receiver.ended && !receiver.failed && !sender.busy && !sender.shut && !tls &&
    upgrade === undefined;
}
