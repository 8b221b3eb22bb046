/**
 * Memory that must not grow with the work done. Runs one of the programs below `n` times and prints
 * the heap in bytes after a tenth of the way and at the end.
 */
import { socket, task } from "../../../mod.ts";

const LOCAL = "127.0.0.1";
const server = socket.tcpserver(LOCAL, 0);
const port = socket.getlocal(server)[1];
const gc: () => void = Reflect.get(globalThis, "gc");

const programs: Record<string, (i: number) => unknown> = {
  /** Tasks that nobody claims; now and then they get their turn to run. */
  unclaimed: (i) => {
    task.spawn(() => i);
    if (i % 1000 === 0) return new Promise((resolve) => setTimeout(resolve));
  },
  claimed: (i) => task.await(task.spawn(() => i)),
  /** A connection opened and closed on both sides. */
  cycles: async () => {
    const accepted = socket.accept(server);
    const client = await socket.tcpconnect(LOCAL, port);
    socket.close(client);
    socket.close(await task.await(accepted));
  },
};

const [name, count] = Deno.args;
const program = programs[name];
const n = Number(count);

function heap(): number {
  for (let i = 0; i < 3; i++) gc();
  return Deno.memoryUsage().heapUsed;
}

let early = 0;
for (let i = 1; i <= n; i++) {
  const pause = program(i);
  if (pause) await pause;
  if (i === n / 10) early = heap();
}
console.log(JSON.stringify({ early, end: heap() }));
socket.close(server);
