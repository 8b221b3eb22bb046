import { await as awaitTask } from "../task/await.ts";
import { cancel } from "../task/cancel.ts";
import { refuseOptions, type SocketId, type TaskId } from "../task/core/mod.ts";
import { toBytes } from "./core/check.ts";
import { handOver } from "./core/handover.ts";
import { getStream } from "./core/lookup.ts";
import type { Stream } from "./core/stream.ts";

/** Both directions of a connection as Web Streams. */
export interface SocketStreams {
  /** What is received. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** What is to be sent: bytes, or text as UTF-8. */
  readonly writable: WritableStream<Uint8Array | string>;
}

const CHUNK = 64 * 1024;

/**
 * Gives both directions of a connection as Web Streams, for `pipeTo`, `pipeThrough` and `for
 * await`.
 *
 * - Nothing is received before something is read; a write is finished when its bytes are sent.
 * - Closing the writable is `shutdown`; aborting it closes the socket.
 * - Cancelling the readable stops receiving. What had come but was not read is still there for
 *   `recv`, in its place.
 * - When the readable has ended or was cancelled and the writable is closed, the socket is closed.
 * - A failure of the socket errors the stream with its `SocketError`; that is the end of this
 *   direction.
 *
 * @param id A connection.
 * @returns `{readable, writable}`.
 * @throws {TypeError} If `id` is not an integer.
 * @throws {SocketError} `EBADF` if the socket is closed or unknown; `EOPNOTSUPP` if it is a
 * listener.
 *
 * @example Echo by piping
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = socket.tcpserver("127.0.0.1", 0);
 * const client = await socket.tcpconnect(...socket.getlocal(server));
 * const { readable, writable } = socket.streams(await task.await(socket.accept(server)));
 * const echoing = readable.pipeTo(writable);
 * socket.send(client, "hello");
 * socket.shutdown(client);
 * const back = socket.streams(client).readable.pipeThrough(new TextDecoderStream());
 * assertEquals((await Array.fromAsync(back)).join(""), "hello");
 * await echoing;
 * [client, server].forEach(socket.close);
 * ```
 */
export function streams(id: SocketId): SocketStreams {
  if (arguments.length > 1) {
    refuseOptions("streams", arguments[1], [], "cancel the readable, abort the writable");
  }
  const bridge = new Bridge(getStream("streams", id));
  return {
    readable: new ReadableStream(bridge.source(), { highWaterMark: 0 }),
    writable: new WritableStream(bridge.sink()),
  };
}

/** What the two streams have in common: when both are done, so is the socket. */
class Bridge {
  readonly #stream: Stream;
  #receiving: TaskId | undefined;
  #readableDone = false;
  #writableDone = false;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  source(): UnderlyingDefaultSource<Uint8Array<ArrayBuffer>> {
    return {
      // What is received is the reader's at once: a cancel finds it received, or not yet taken.
      pull: (controller) =>
        this.#receive((data) => {
          if (data.length > 0) return controller.enqueue(data);
          controller.close();
          this.#readableEnded();
        }),
      cancel: (reason) => {
        if (this.#receiving !== undefined) cancel(this.#receiving, reason);
        this.#readableEnded();
      },
    };
  }

  sink(): UnderlyingSink<Uint8Array | string> {
    return {
      // The stream itself would call `abort` only after a write that is under way.
      start: ({ signal }) => signal.addEventListener("abort", () => this.#stream.close()),
      write: (chunk) =>
        this.#sending("send", () => this.#stream.sender.send(toBytes("chunk", chunk), "send")),
      close: async () => {
        await this.#sending("shutdown", () => this.#stream.sender.shutdown());
        this.#writableEnded();
      },
    };
  }

  async #sending(op: string, begin: () => TaskId): Promise<void> {
    try {
      this.#checkOpen(op);
      await awaitTask(begin());
    } catch (error) {
      this.#writableEnded();
      throw error;
    }
  }

  async #receive(use: (data: Uint8Array<ArrayBuffer>) => void): Promise<void> {
    try {
      this.#checkOpen("recv");
      const task = this.#stream.receiver.begin("recv", CHUNK);
      this.#receiving = task.id;
      await handOver(task, use);
    } catch (error) {
      this.#readableEnded();
      throw error;
    } finally {
      this.#receiving = undefined;
    }
  }

  #checkOpen(op: string): void {
    if (this.#stream.closed) throw this.#stream.fail("EBADF", op, "socket was closed");
  }

  #readableEnded(): void {
    this.#readableDone = true;
    if (this.#writableDone) this.#stream.close();
  }

  #writableEnded(): void {
    this.#writableDone = true;
    if (this.#readableDone) this.#stream.close();
  }
}
