// What a call is given where it is not given something hostile. All of it is made anew as often as it is
// needed, and everything that a call leaves behind is taken away after it.

import { socket, task, tls } from "../../mod.ts";
import { type Pair, tcpPair, tlsPair } from "../pair.ts";

export const certificate = tls.selfsigned(["localhost"]);

export class Fixture implements AsyncDisposable {
  readonly folder = Deno.makeTempDirSync({ prefix: "taskio_" });
  /** Nobody listens there. */
  readonly port = unusedPort();
  readonly #before = Deno.cwd();
  readonly #pairs: Record<string, Pair> = {};
  readonly #listeners: Record<string, socket.SocketId> = {};
  /** The sockets that are not a call's, and whoever is their peer. */
  readonly kept: Set<number> = new Set();

  /** A path without a folder is to be one in here. */
  constructor() {
    Deno.chdir(this.folder);
  }

  /** Replaces the connections and the listeners that the last call has closed. */
  async renew(): Promise<void> {
    this.kept.clear();
    for (const [name, make] of Object.entries({ plain: tcpPair, other: tcpPair, tls: tlsPair })) {
      const pair = this.#pairs[name];
      if (pair === undefined || !socket.isopen(pair.client) || !socket.isopen(pair.peer)) {
        pair?.close();
        this.#pairs[name] = await make();
      }
      this.kept.add(this.#pairs[name].client).add(this.#pairs[name].peer);
    }
    const listen = {
      plain: () => socket.tcpserver("127.0.0.1", 0),
      tls: () => tls.tcpserver("127.0.0.1", 0, certificate),
    };
    for (const [name, make] of Object.entries(listen)) {
      if (!socket.isopen(this.#listeners[name])) this.#listeners[name] = make();
      this.kept.add(this.#listeners[name]);
    }
  }

  get connection(): socket.SocketId {
    return this.#pairs.plain.client;
  }

  get other(): socket.SocketId {
    return this.#pairs.other.client;
  }

  get encrypted(): socket.SocketId {
    return this.#pairs.tls.client;
  }

  get listener(): socket.SocketId {
    return this.#listeners.plain;
  }

  get tlsListener(): socket.SocketId {
    return this.#listeners.tls;
  }

  get created(): socket.SocketId {
    return socket.create(socket.AF_INET, socket.SOCK_STREAM);
  }

  get bound(): socket.SocketId {
    const id = this.created;
    socket.bind(id, "127.0.0.1");
    return id;
  }

  get running(): task.TaskId<void> {
    return task.after(60_000);
  }

  get completed(): task.TaskId<void> {
    return task.after(0);
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    Object.values(this.#pairs).forEach((pair) => pair.close());
    Object.values(this.#listeners).forEach(socket.close);
    Deno.chdir(this.#before);
    Deno.removeSync(this.folder, { recursive: true });
  }
}

function unusedPort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  return listener.addr.port;
}
