import type { Acceptor, Opened } from "./transport.ts";
import { PreparingAcceptor } from "./preparing.ts";
import { readProxyHeader } from "./proxy_header.ts";

/** How many may wait for their header at a time. */
const MAX_WAITING = 1000;

/** Accepts connections that a load balancer passes on, once it has told whose they are. */
export class ProxyAcceptor extends PreparingAcceptor {
  readonly tls = false;

  constructor(inner: Acceptor, timeout: number) {
    super(inner, timeout, MAX_WAITING);
  }

  protected async prepare(opened: Opened, signal: AbortSignal): Promise<Opened> {
    const { transport, remote } = opened;
    const { peer, proxy, rest } = await readProxyHeader(transport, remote, signal);
    return { ...opened, remote: peer, proxy, first: rest };
  }
}
