// Many clients in a process of their own, started by `idle.ts`; they send back what they are sent.

import { socket, task, tls } from "../../mod.ts";
import { Counter } from "../lab/soak/holdings.ts";
import { BATCH } from "./cycles.ts";
import { countsOf, growth, heldAtRest, heldNow } from "./held.ts";
import { perConnection, type Told } from "./idle.ts";

const { address, count, ca }: Told = JSON.parse(Deno.args[0]);
const options = { timeout: 120_000 };
const connect = () =>
  ca === undefined
    ? socket.tcpconnect(...address, options)
    : tls.tcpconnect(...address, "localhost", { ca, ...options });

using counter = new Counter();
const start = heldNow(counter);
const ids: socket.SocketId[] = [];
const connectSome = async (total: number) => {
  while (ids.length < total) {
    const some = Math.min(BATCH, total - ids.length);
    ids.push(...await Promise.all(Array.from({ length: some }, connect)));
  }
};
// The first of them bring code and tables.
const first = Math.min(BATCH, Math.floor(count / 2));
await connectSome(first);
const before = heldNow(counter);
await connectSome(count);
tell(perConnection(before, heldNow(counter), count - first));

const receiving = ids.map((id) => socket.recv(id));
tell(perConnection(before, heldNow(counter), count - first));

await Promise.all(ids.map(async (id, n) => {
  await task.await(socket.send(id, await task.await(receiving[n])));
  await task.await(socket.recv(id)); // the end
  socket.close(id);
}));
// What the system has given stays with a process.
const end = { ...before, ...countsOf(start), rss: Infinity };
tell(growth(end, await heldAtRest(counter, end)));

function tell(what: unknown): void {
  console.log(JSON.stringify(what));
}
