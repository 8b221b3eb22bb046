import { await as awaitTask } from "../task/await.ts";
import { refuseOptions, type SocketId } from "../task/core/mod.ts";
import { close } from "./close.ts";
import { connect } from "./connect.ts";
import { handles } from "./core/handle.ts";
import { tcpserver } from "./listen.ts";
import { getListener } from "./core/lookup.ts";
import type { Stream } from "./core/stream.ts";
import type { Address } from "./core/types.ts";

/**
 * Makes two sockets that are connected to each other, over TCP on loopback: for tests, and for
 * programs that pass one end on, as with `socketpair` in C. The first is the client's side.
 *
 * Needs `--allow-net` for 127.0.0.1.
 *
 * @returns Both ends. Rejects with `SocketError` if the system is short of something: `EMFILE` ...
 *
 * @example Both ends of a connection
 * ```ts
 * import { socket, task } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const [one, other] = await socket.pair();
 * socket.send(one, "hello");
 * assertEquals((await task.await(socket.recv(other))).length, 5);
 * [one, other].forEach(socket.close);
 * ```
 */
export async function pair(): Promise<[SocketId, SocketId]> {
  if (arguments.length > 0) refuseOptions("pair", arguments[0], [], "it takes no options");
  const server = tcpserver("127.0.0.1", 0);
  try {
    const client = await awaitTask(connect(...getListener("pair", server).local));
    try {
      return [client, await acceptFrom(server, streamOf(client).local)];
    } catch (error) {
      close(client);
      throw error;
    }
  } finally {
    close(server);
  }
}

/** Accepts the connection from this address; whoever else has found the listener is closed. */
async function acceptFrom(server: SocketId, [ip, port]: Address): Promise<SocketId> {
  for (;;) {
    const peer = await awaitTask(getListener("pair", server).accept());
    const { remote } = streamOf(peer);
    if (remote[0] === ip && remote[1] === port) return peer;
    close(peer);
  }
}

function streamOf(id: SocketId): Stream {
  return handles.get(id) as Stream;
}
