/**
 * Kiwi's `socket`, `tls` and `task` packages on taskio, which has most of its shape from them.
 *
 * | Kiwi | here | taskio underneath |
 * | --- | --- | --- |
 * | `import "socket"` … | `const { socket, tls, task } = openKiwi();` | |
 * | `socket::accept(id)` | `socket.accept(id)`, → task ID | the same |
 * | `socket::recv(id, max)`, `socket::send(id, data)` | `socket.recv`, `socket.send`, → task ID | the same |
 * | `socket::tcpserver(host, port, backlog)`, `socket::close(id)` | the same | the same |
 * | `socket::tcpconnect(host, port)` | `await`, → socket ID; throws if refused | `tcpconnect` |
 * | `tls::tcpconnect(host, port, sni)` | `await`, → socket ID, verified; throws | `tls.tcpconnect` |
 * | `tls::tcpserver`, `accept`, `recv`, `send`, `close` | the same | the same |
 * | `task::await(id)` | `await task.await(id)` | the same |
 * | `task::spawn(fn, args)`, `status(id)`, `list()`, `busy()`, `interval(ms, fn)` | the same | the same |
 * | `task::result(id)` | the same; `null` if there is none | `result`, which gives `undefined` |
 * | `task::wait()`, `sleep(ms)`, `timer(ms, fn)` | `await` | the same |
 * | `task::channel(cap)` | the same; `await ch.send(v)`, `await ch.recv()` | `channel` |
 * | `ch.try_recv()` | the same, → `[true, v]` or `[false, 0]` | `tryRecv`, `undefined` for 0 |
 * | `task::mutex()` | the same; `acquire`, `try_acquire`, `release`, `synchronize` | `mutex`, `tryAcquire` |
 * | `null` | `null` | |
 *
 * - **Waiting.** What waits in Kiwi gives a promise here.
 * - **Bytes** are a `Uint8Array`. `"…".to_bytes()` is `new TextEncoder().encode("…")`, or nothing, as a
 *   string is sent as UTF-8; `data.size()` is `data.length`; `data.to_list().join("")`, which prints the
 *   numbers of the bytes, is meant to be `new TextDecoder().decode(data)`.
 * - **Errors** keep their type: `catch (err)` is given the `SocketError`.
 *
 * Better than Kiwi: a connect that is refused throws, and not a later `recv`; the end of the stream is empty
 * bytes, as Kiwi's manual promises; `send` gives the byte count; TLS clients verify the server; a silent
 * TLS client holds up no other; a waiting `send` of a channel loses nothing; `wait` ends; `interval` can be
 * cancelled (`task.cancel`, one of the calls that Kiwi does not have).
 *
 * @module
 */
import { socket, task, tls } from "@taskio/net";

/** What the host decides and a script cannot say. */
export interface KiwiSettings {
  /** Authorities that `tls.tcpconnect` trusts besides the system's, PEM. */
  ca?: string;
}

/** The packages for one program: taskio's own, with what Kiwi has otherwise put in its place. */
export function openKiwi({ ca }: KiwiSettings = {}) {
  return {
    socket,
    tls: {
      ...tls,
      tcpconnect: (host: string, port?: number, sni?: string): Promise<socket.SocketId> =>
        tls.tcpconnect(host, port, sni, { ca }),
    },
    task: {
      ...task,
      result: <T>(id: task.TaskId<T>): T | null => task.result(id) ?? null,
      channel: <T>(cap?: number): Channel<T> => new Channel<T>(cap),
      mutex: (): Mutex => new Mutex(),
    },
  };
}

/** A channel by its names in Kiwi. */
export class Channel<T> {
  readonly #channel: task.Channel<T>;

  constructor(cap: number = 0) {
    this.#channel = task.channel(cap);
  }

  send(value: T): Promise<void> {
    return this.#channel.send(value);
  }

  recv(): Promise<T | null> {
    return this.#channel.recv();
  }

  try_recv(): [true, T] | [false, 0] {
    const [received, value] = this.#channel.tryRecv();
    return received ? [true, value] : [false, 0];
  }

  close(): void {
    this.#channel.close();
  }

  closed(): boolean {
    return this.#channel.closed();
  }
}

/** A mutex by its names in Kiwi. */
export class Mutex {
  readonly #mutex: task.Mutex = task.mutex();

  acquire(): Promise<void> {
    return this.#mutex.acquire();
  }

  try_acquire(timeout?: number): Promise<boolean> {
    return this.#mutex.tryAcquire(timeout);
  }

  release(): void {
    this.#mutex.release();
  }

  synchronize<T>(fn: () => T): Promise<Awaited<T>> {
    return this.#mutex.synchronize(fn);
  }
}
