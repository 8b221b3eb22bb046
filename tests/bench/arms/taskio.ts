/** taskio, as a user writes it. */
import { socket, task } from "../../../mod.ts";
import { BURST, control, MESSAGE, options } from "./control.mjs";

type SocketId = ReturnType<typeof socket.tcpserver>;

/** The two TLS verbs that differ; socket.recv, send and close work on either kind. */
interface Tls {
  tcpserver(
    host: string,
    port: number,
    options: { cert: string; key: string; native?: boolean },
  ): SocketId;
  accept: typeof socket.accept;
}

async function echo(id: SocketId): Promise<void> {
  for (;;) {
    const data = await task.await(socket.recv(id, options.size));
    if (data.length === 0) break;
    await task.await(socket.send(id, data));
  }
  socket.close(id);
}

async function echoTransfer(id: SocketId): Promise<void> {
  for (;;) {
    const data = await task.await(socket.recv(id, options.size));
    if (data.length === 0) break;
    await task.await(socket.send(id, data, { transfer: true }));
  }
  socket.close(id);
}

async function echoInto(id: SocketId): Promise<void> {
  const buffer = new Uint8Array(options.size);
  for (;;) {
    const n = await task.await(socket.recvInto(id, buffer));
    if (n === 0) break;
    await task.await(socket.send(id, buffer.subarray(0, n)));
  }
  socket.close(id);
}

/** An answer of two sends, as a header and a body. */
async function two(id: SocketId): Promise<void> {
  for (;;) {
    const data = await task.await(socket.recv(id, options.size));
    if (data.length === 0) break;
    const half = data.length / 2;
    task.forget(socket.send(id, data.subarray(0, half)));
    await task.await(socket.send(id, data.subarray(half)));
  }
  socket.close(id);
}

async function burst(id: SocketId): Promise<void> {
  while ((await task.await(socket.recv(id, options.size))).length > 0) {
    const sends = [];
    for (let i = 0; i < BURST; i++) sends.push(socket.send(id, MESSAGE));
    await task.all(sends);
  }
  socket.close(id);
}

/** How much is computed in some 100 µs. */
let turns = 0;

function compute(turns: number): number {
  let x = 1;
  for (let i = 0; i < turns; i++) x = (x * 48271) % 2147483647;
  return x;
}

/** Finds out, when the machine is quiet, how fast it is. */
function calibrate(): void {
  let fastest = Infinity;
  for (let i = 0; i < 20; i++) {
    const start = performance.now();
    compute(100_000);
    fastest = Math.min(fastest, performance.now() - start);
  }
  turns = Math.round(100_000 / (fastest * 10));
}

async function work(id: SocketId): Promise<void> {
  for (;;) {
    const data = await task.await(socket.recv(id, options.size));
    if (data.length === 0) break;
    data[0] = compute(turns);
    await task.await(socket.send(id, data));
  }
  socket.close(id);
}

async function streams(id: SocketId): Promise<void> {
  const { readable, writable } = socket.streams(id);
  await readable.pipeTo(writable);
}

/** Every second connection is the other end of the one before it. */
let waiting: SocketId | undefined;

function relay(id: SocketId): void {
  if (waiting === undefined) waiting = id;
  else {
    socket.relay(waiting, id);
    waiting = undefined;
  }
}

const kinds: Record<string, (id: SocketId) => unknown> = {
  echo,
  into: echoInto,
  transfer: echoTransfer,
  two,
  burst,
  work,
  streams,
  relay,
};
const handler = kinds[options.kind] ?? echo;

/** An echo of all connections from one completion queue. */
async function echoFromQueue(): Promise<void> {
  const queue = task.completions();
  const sockets = new Map<number, SocketId>();
  const watch = (id: SocketId, operation: number) => {
    queue.add(operation);
    sockets.set(operation, id);
  };
  watch(server, accept(server));
  for (;;) {
    await queue.wait();
    for (let outcome; (outcome = queue.take()) !== undefined;) {
      const id = sockets.get(outcome.id)!;
      sockets.delete(outcome.id);
      if (outcome.status === "Faulted") throw outcome.error;
      const value = outcome.value as number | Uint8Array;
      if (id === server) {
        watch(value as SocketId, socket.recv(value as SocketId, options.size));
        watch(server, accept(server));
      } else if (typeof value === "number") watch(id, socket.recv(id, options.size));
      else if (value.length === 0) socket.close(id);
      else watch(id, socket.send(id, value));
    }
  }
}

let server: SocketId;
let accept = socket.accept;
if (options.tls) {
  // By a computed name, so that this file type-checks and runs while there is no tls folder.
  const tls: Tls = await import(new URL("../../../tls/mod.ts", import.meta.url).href);
  server = tls.tcpserver("127.0.0.1", 0, { ...options.tls, native: options.native });
  accept = tls.accept;
} else {
  const { port = 0, reusePort } = options;
  server = socket.tcpserver("127.0.0.1", port, { reusePort });
}

if (options.kind === "work") calibrate();
let accepted = 0;
control(socket.getlocal(server)[1], () => accepted);
if (options.kind === "queue") await echoFromQueue();
else if (options.kind === "serve") socket.serve(server, echo);
else {
  for (;;) {
    task.spawn(handler, [await task.await(accept(server))]);
    accepted++;
  }
}
