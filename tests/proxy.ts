// A proxy that treats a connection badly on its way: late, in slices, cut short, reset, altered.

import net from "node:net";
import type { socket } from "../mod.ts";

/** What happens to the bytes of one direction. */
export interface Trouble {
  /** Milliseconds before each piece goes on. */
  delay?: number;
  /** The most bytes that go on at a time. */
  slice?: number;
  /** After so many bytes both sides see the end of the stream. */
  cutAt?: number;
  /** After so many bytes both sides are reset. */
  resetAt?: number;
  /** The byte at this position has its lowest bit flipped. */
  flipAt?: number;
}

/** What the proxy does, each way. */
export interface Troubles {
  toServer?: Trouble;
  toClient?: Trouble;
}

/** A running proxy. */
export interface Proxy extends AsyncDisposable {
  /** Connect here instead of to the target. */
  readonly address: socket.Address;
  /** Connections that are under way. */
  readonly count: number;
  /** Ends all connections: both sides see the end of the stream. */
  cut(): void;
  /** Resets all connections (RST): both sides see `ECONNRESET`. */
  reset(): void;
}

type Way = [from: net.Socket, to: net.Socket, trouble: Trouble | undefined];

/** Listens on loopback and passes every connection on to `target`. */
export async function serveProxy(target: socket.Address, troubles: Troubles = {}): Promise<Proxy> {
  const links = new Set<Link>();
  const server = net.createServer({ allowHalfOpen: true }, (client) => {
    const upstream = net.connect({ host: target[0], port: target[1], allowHalfOpen: true });
    const link = new Link(client, upstream, troubles);
    links.add(link);
    link.closed.then(() => links.delete(link));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  return {
    address: ["127.0.0.1", port],
    get count() {
      return links.size;
    },
    cut: () => links.forEach((link) => link.cut()),
    reset: () => links.forEach((link) => link.reset()),
    async [Symbol.asyncDispose]() {
      const closed = [...links].map((link) => link.closed);
      links.forEach((link) => link.destroy());
      await new Promise((resolve) => server.close(resolve));
      await Promise.all(closed);
    },
  };
}

/** One connection through the proxy. */
class Link {
  /** Resolves once both sockets are gone. */
  readonly closed: Promise<unknown>;
  readonly #ends: readonly [net.Socket, net.Socket];

  constructor(client: net.Socket, upstream: net.Socket, { toServer, toClient }: Troubles) {
    this.#ends = [client, upstream];
    const ways: Way[] = [[client, upstream, toServer], [upstream, client, toClient]];
    this.closed = Promise.all([
      ...this.#ends.map((end) => new Promise((resolve) => end.once("close", resolve))),
      ...ways.map((way) => this.#carry(...way)),
    ]);
  }

  cut(): void {
    for (const end of this.#ends) end.destroySoon();
  }

  reset(): void {
    for (const end of this.#ends) end.resetAndDestroy();
  }

  destroy(): void {
    for (const end of this.#ends) end.destroy();
  }

  async #carry(...[from, to, trouble = {}]: Way): Promise<void> {
    from.setNoDelay(true);
    // A side that fails takes the other with it, in the same way.
    from.on("error", (error: Error & { code?: string }) => {
      if (error.code === "ECONNRESET") this.reset();
      else this.destroy();
    });
    const { delay = 0, slice = Infinity, flipAt = -1, cutAt = Infinity, resetAt = Infinity } =
      trouble;
    const end = Math.min(cutAt, resetAt);
    let position = 0;
    const stop = () => resetAt <= cutAt ? this.reset() : this.cut();
    if (end === 0) stop();
    try {
      // Ending one way must not destroy the other.
      for await (const bytes of from.iterator({ destroyOnReturn: false })) {
        for (let at = 0; at < bytes.length && position < end;) {
          const piece = bytes.slice(at, at + Math.min(slice, end - position));
          const flip = flipAt - position;
          if (flip >= 0 && flip < piece.length) piece[flip] ^= 1;
          if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
          await new Promise<void>((resolve) => to.write(piece, () => resolve()));
          at += piece.length;
          position += piece.length;
        }
        if (position >= end) return stop();
      }
      to.end();
    } catch {
      // The connection was ended meanwhile.
    }
  }
}
