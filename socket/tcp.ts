/** The system's part of listening and connecting, as ours. */
import { addressOf } from "./address.ts";
import type { Opened } from "./dial.ts";
import { type Address, failure, translate } from "./error.ts";
import type { Acceptor } from "./listener.ts";

/** Connects. The signal is for this attempt only. */
export async function openTcp(
  hostname: string,
  port: number,
  noDelay: boolean,
  signal: AbortSignal,
): Promise<Opened & { transport: Deno.TcpConn }> {
  // Deno asks the signal again once it has connected: were it to throw, the connection would be lost,
  // open.
  signal.throwIfAborted = () => {};
  const transport = await Deno.connect({ hostname, port, signal });
  if (signal.aborted) {
    transport.close();
    throw signal.reason;
  }
  if (noDelay) transport.setNoDelay(true);
  return {
    transport,
    noDelay,
    local: addressOf(transport.localAddr),
    remote: addressOf(transport.remoteAddr),
  };
}

/** Whether Deno lets listeners share a port. Asked to when it does not, it ends the process. */
export function canReusePort(): boolean {
  return "listenDatagram" in Deno;
}

/** Listens. `op` is the call that asks for it. */
export function listenOn(
  op: string,
  { hostname, port, backlog, reusePort }: {
    hostname: string;
    port: number;
    backlog: number;
    reusePort: boolean;
  },
): { acceptor: Acceptor; local: Address } {
  const local: Address = [hostname, port];
  if (reusePort && !canReusePort()) {
    const text = "reusePort needs Deno to be run with --unstable-net";
    throw failure("ENOPROTOOPT", op, { local, text });
  }
  try {
    const listener = Deno.listen({ hostname, port, tcpBacklog: backlog, reusePort });
    return { acceptor: new TcpAcceptor(listener), local: addressOf(listener.addr) };
  } catch (cause) {
    throw translate(cause, op, { local });
  }
}

class TcpAcceptor implements Acceptor {
  readonly tls = false;
  readonly handshaking = 0;
  readonly dropped = 0;
  readonly #listener: Deno.TcpListener;

  constructor(listener: Deno.TcpListener) {
    this.#listener = listener;
  }

  async accept(): Promise<Opened> {
    const transport = await this.#listener.accept();
    transport.setNoDelay(true);
    return {
      transport,
      local: addressOf(transport.localAddr),
      remote: addressOf(transport.remoteAddr),
    };
  }

  ref(): void {
    this.#listener.ref();
  }

  unref(): void {
    this.#listener.unref();
  }

  close(): void {
    this.#listener.close();
  }
}
