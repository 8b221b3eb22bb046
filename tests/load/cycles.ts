// Connecting and closing, time after time: afterwards everything is where it was.

import { socket, task } from "../../mod.ts";
import type { Engine } from "../lab/engines.ts";
import type { Random } from "../random.ts";

/** So many connect at once, fewer than a backlog holds, and are closed before the next come. */
export const BATCH = 50;

/** How an end is closed. None of them waits for the other end to begin. */
const manners: ((id: socket.SocketId) => Promise<void> | void)[] = [
  socket.close,
  (id) => task.await(socket.finish(id)),
  async (id) => {
    await task.await(socket.shutdown(id));
    while ((await task.await(socket.recv(id))).length > 0);
    socket.close(id);
  },
];

/** What an end may learn of the other, which is closed as it likes. */
const GONE = ["ECONNRESET", "EPIPE", "ENOTCONN", "EUNEXPECTEDEOF"];

/** Opens so many connections and closes them again; told of each batch. */
export async function runCycles(
  engine: Engine,
  count: number,
  random: Random,
  onBatch: (done: number) => void = () => {},
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "taskio_" });
  const server = engine.listen(`${folder}/cycles`);
  try {
    for (let done = 0; done < count;) {
      const batch = Math.min(BATCH, count - done);
      await runBatch(engine, server, batch, random);
      done += batch;
      onBatch(done);
    }
  } finally {
    socket.close(server);
    await Deno.remove(folder, { recursive: true });
  }
}

async function runBatch(engine: Engine, server: socket.SocketId, count: number, random: Random) {
  const patience = { timeout: 60_000, signal: new AbortController().signal };
  const local = socket.getlocal(server);
  const accept = async () => {
    const id = await task.await(socket.accept(server));
    await engine.accepted?.(id, patience);
    return id;
  };
  const ends = await Promise.all(
    Array.from({ length: count }, () => [accept(), engine.connect(local, patience)]).flat(),
  );
  await Promise.all(ends.map(async (id) => {
    try {
      await random.pick(manners)(id);
    } catch (error) {
      if (!GONE.includes((error as socket.SocketError).code)) throw error;
      socket.close(id);
    }
  }));
}
