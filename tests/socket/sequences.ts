// Random sequences of calls: which, how often, and over what.

import { assertEquals } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { pairOf, tcpPair, tlsPair, type Transport, transports } from "../pair.ts";
import type { Random } from "../random.ts";
import { turn } from "../settle.ts";
import { End } from "./model.ts";

/** How many calls are made before both ends finish. */
const CALLS = 120;
/** How long it may take until everything has arrived, in milliseconds. */
const PATIENCE = 25_000;

type Call = [weight: number, name: string, call: (end: End, random: Random) => unknown];

/** How often each call is made. */
const calls: Call[] = [
  [20, "recv", (end, random) => end.recv(random)],
  [12, "recvInto", (end, random) => end.recvInto(random)],
  [5, "recvExact", (end, random) => end.recvExact(random)],
  [5, "recvUntil", (end, random) => end.recvUntil(random)],
  [5, "recvLine", (end, random) => end.recvLine(random)],
  [12, "next", (end, random) => end.next(random)],
  [4, "leave", (end, random) => end.leave(random)],
  [4, "await with cancel", (end, random) => end.impatient(random)],
  [3, "readable", (end, random) => end.readable(random)],
  [10, "peek", (end, random) => end.peek(random)],
  [8, "ready", (end) => end.ready()],
  [12, "unrecv", (end, random) => end.unrecv(random)],
  [25, "send", (end, random) => end.send(random)],
  [3, "writable", (end, random) => end.writable(random)],
  [20, "cancel", (end, random) => end.cancel(random)],
  [3, "settled", (end, random) => end.settled(random)],
  [2, "starttls in vain", (end) => end.starttlsInVain()],
  [8, "turn", turn],
  [10, "microtask", () => Promise.resolve()],
];

/** Calls that end something, which most sequences do late or not at all. */
const endings: Call[] = [
  [3, "shutdown", (end) => end.shutdown()],
  [1, "close", (end) => end.close()],
  [1, "finish", (end, random) => end.finish(random)],
];

/** Once in some sequences of connections that are not encrypted. */
const upgrades: Call[] = [[2, "starttls", (end, random) => end.starttls(random)]];

/** By way of a relay: the ends are on different transports. */
const relayed: Transport = {
  name: "tcp, relayed to tls",
  async makePair() {
    const [near, far] = await Promise.all([tcpPair(), tlsPair()]);
    const relaying = socket.relay(near.peer, far.client);
    task.forget(relaying);
    return pairOf(near.client, far.peer, near.peer, far.client);
  },
};

/** Whose one end belongs to a handler of `serve`. */
const served: Transport = {
  name: "tcp, served",
  async makePair() {
    const server = socket.tcpserver("127.0.0.1", 0);
    const { promise: given, resolve: give } = Promise.withResolvers<socket.SocketId>();
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const serving = socket.serve(server, (id) => {
      give(id);
      return over;
    });
    task.forget(serving);
    const client = await socket.tcpconnect(...socket.getlocal(server));
    const pair = pairOf(client, await given, server);
    const close = () => {
      end();
      pair.close();
    };
    return { ...pair, close, [Symbol.dispose]: close };
  },
};

/** Makes random calls on both ends of a connection, and compares them with the model. */
export async function runSequence({ makePair }: Transport, random: Random): Promise<void> {
  using pair = await makePair();
  const ends = [new End(pair.client), new End(pair.peer)];
  [ends[0].other, ends[1].other] = [ends[1], ends[0]];
  const kinds = [
    ...calls,
    ...(random.oneIn(2) ? endings : []),
    ...(random.oneIn(2) ? upgrades : []),
  ];
  const choices = kinds.flatMap(([weight, ...choice]) =>
    new Array<typeof choice>(weight).fill(choice)
  );
  const made: string[] = [];
  try {
    for (let n = 0; n < CALLS; n++) {
      const end = random.pick(ends);
      const [name, call] = random.pick(choices);
      made.push(`${end === ends[0] ? "client" : "peer"} ${name}`);
      await call(end, random);
      while (ends.some((end) => end.isInTheAir)) {
        await Promise.all(ends.map((end) => end.landing()));
      }
      ends.forEach((end) => end.settle());
      ends.forEach((end) => end.checkLoops());
    }
    made.push("the end");
    await finishSequence(ends, random);
  } catch (error) {
    console.error(`The last calls: ${made.slice(-25).join(", ")}`);
    throw error;
  }
}

/** Both finish, and everything that is on its way arrives. */
async function finishSequence(ends: End[], random: Random): Promise<void> {
  ends.forEach((end) => end.cancelReceives());
  ends.forEach((end) => end.closed || end.shutdown());
  const deadline = performance.now() + PATIENCE;
  while (ends.some((end) => !end.closed && !end.ended && !end.reset)) {
    if (performance.now() > deadline) throw new Error("An end of the stream has not come");
    for (const end of ends) {
      for (let n = 0; n < 50 && !end.closed && !end.reset; n++) end.recv(random);
    }
    await turn();
    while (ends.some((end) => end.isInTheAir)) await Promise.all(ends.map((end) => end.landing()));
    ends.forEach((end) => end.settle());
  }
  ends.forEach((end) => end.cancelReceives());
  for (const end of ends) {
    while (!end.closed && !end.reset && !atEnd(end)) end.recv(random);
    end.check();
    end.close();
  }
  assertEquals(ends.map(({ id }) => socket.isopen(id)), [false, false]);
  for (const end of ends) await end.rest();
  task.list().forEach(task.forget);
}

/** Whether nothing is left that was put back. */
function atEnd({ id }: End): boolean {
  return (socket.inspect(id) as socket.StreamRecord).queuedIn === 0;
}

/** Every transport that the model is compared over. */
export const modelled: readonly Transport[] = [...transports, relayed, served];
