/** The system's part of listening and connecting, as ours. */
import { addressOf } from "./ip.ts";
import type { Acceptor, Opened } from "./transport.ts";
import type { Address } from "./types.ts";
import { AF_INET, AF_INET6 } from "../constants.ts";
import { CodedError, failure, translate } from "./failure.ts";

/** Connects. The signal is for this attempt only. */
export async function openTcp(
  hostname: string,
  port: number,
  { noDelay = true }: { noDelay?: boolean },
  signal: AbortSignal,
): Promise<Opened & { transport: Deno.TcpConn }> {
  // Deno asks the signal again once it has connected: were it to throw, the connection would be lost,
  // open.
  signal.throwIfAborted = () => {};
  const transport = await Deno.connect({ hostname, port, signal });
  try {
    if (signal.aborted) throw signal.reason;
    if (noDelay) transport.setNoDelay(true);
  } catch (cause) {
    transport.close();
    throw cause;
  }
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

/**
 * Has something listen at a host; `""` is any address of this machine. A socket of IPv6 takes
 * connections over IPv4, too; where the system has no IPv6 it is one of IPv4.
 */
export function listenAt<T>(host: string, listen: (hostname: string) => T): T {
  if (host !== "") return listen(host);
  try {
    return listen("::");
  } catch (cause) {
    if (!LACKS_IPV6.has((cause as { code?: string }).code ?? "")) throw cause;
    return listen("0.0.0.0");
  }
}

/** What listening at `::` fails with where there is no IPv6, or it is switched off. */
const LACKS_IPV6 = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL"]);

/** Listens. `op` is the call that asks for it; `family` is the only one that will do, if one is given. */
export function listenOn(
  op: string,
  { host, port, backlog, reusePort, family }: {
    host: string;
    port: number;
    backlog: number;
    reusePort: boolean;
    family?: number;
  },
): { acceptor: Acceptor; local: Address } {
  const local: Address = [host || "::", port];
  if (reusePort && !canReusePort()) {
    const text = "reusePort needs Deno to be run with --unstable-net";
    throw failure("ENOPROTOOPT", op, { local, text });
  }
  try {
    const listen = (hostname: string) =>
      Deno.listen({ hostname, port, tcpBacklog: backlog, reusePort });
    const listener = family === undefined
      ? listenAt(host, listen)
      : listenOver(family, host, listen);
    return { acceptor: new TcpAcceptor(listener), local: addressOf(listener.addr) };
  } catch (cause) {
    throw translate(cause, op, { local });
  }
}

/**
 * Listens over one family. Of a name Deno takes the first address, and there is no way to learn the
 * others without waiting; those of `localhost` are known.
 */
function listenOver(
  family: number,
  host: string,
  listen: (hostname: string) => Deno.TcpListener,
): Deno.TcpListener {
  const listener = listen(host);
  if (isOver(family, listener.addr)) return listener;
  listener.close();
  if (/^localhost\.?$/i.test(host)) return listen(family === AF_INET ? "127.0.0.1" : "::1");
  throw noAddress(family, host);
}

/** Whether an address of Deno's is one of the family; one of IPv4 as IPv6 sees it is of IPv6. */
export function isOver(family: number, addr: Deno.Addr): boolean {
  return "hostname" in addr && addr.hostname.includes(":") === (family === AF_INET6);
}

/** Nothing of a name's is of the family, as far as Deno tells. */
export function noAddress(family: number, host: string): CodedError {
  return new CodedError("EAFNOSUPPORT", `${host} gives no address of family ${family}`);
}

class TcpAcceptor implements Acceptor {
  readonly tls = false;
  readonly handshaking = 0;
  dropped = 0;
  readonly #listener: Deno.TcpListener;
  /** Most connections came to the same address, and share it. */
  #local: Address;

  constructor(listener: Deno.TcpListener) {
    this.#listener = listener;
    this.#local = addressOf(listener.addr);
  }

  async accept(): Promise<Opened> {
    for (;;) {
      const transport = await this.#listener.accept();
      if (!this.#prepare(transport)) continue;
      return {
        transport,
        local: this.#shared(addressOf(transport.localAddr)),
        remote: addressOf(transport.remoteAddr),
      };
    }
  }

  #shared(local: Address): Address {
    const [ip, port] = this.#local;
    if (ip !== local[0] || port !== local[1]) this.#local = local;
    return this.#local;
  }

  /** Sets the options of a new connection; one that takes none is gone, which concerns nobody. */
  #prepare(transport: Deno.TcpConn): boolean {
    try {
      transport.setNoDelay(true);
      return true;
    } catch {
      transport.close();
      this.dropped++;
      return false;
    }
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
