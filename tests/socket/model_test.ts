import { assertEquals } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { type Transport, transports } from "../pair.ts";
import { type Random, withSeed } from "../random.ts";
import { leavingNothing, turn } from "../settle.ts";
import { End } from "./model.ts";

const SEQUENCES = 50;
const CALLS = 120;

/** How often each call is made. */
const calls: [weight: number, call: (end: End, random: Random) => unknown][] = [
  [20, (end, random) => end.recv(random)],
  [12, (end, random) => end.recvInto(random)],
  [10, (end, random) => end.peek(random)],
  [8, (end) => end.ready()],
  [12, (end, random) => end.unrecv(random)],
  [25, (end, random) => end.send(random)],
  [20, (end, random) => end.cancel(random)],
  [8, turn],
  [10, () => Promise.resolve()],
];

/** Calls that end something, which most sequences do late or not at all. */
const endings: typeof calls = [
  [3, (end) => end.shutdown()],
  [1, (end) => end.close()],
];

async function runSequence({ makePair }: Transport, random: Random): Promise<void> {
  using pair = await makePair();
  const ends = [new End(pair.client), new End(pair.peer)];
  [ends[0].other, ends[1].other] = [ends[1], ends[0]];
  const kinds = [...calls, ...(random.oneIn(2) ? endings : [])];
  const choices = kinds.flatMap(([weight, call]) =>
    new Array(weight).fill(call)
  ) as (typeof calls[number][1])[];
  for (let n = 0; n < CALLS; n++) {
    const end = random.pick(ends);
    await random.pick(choices)(end, random);
    ends.forEach((end) => end.settle());
  }

  // Both finish, and everything that is on its way arrives.
  ends.forEach((end) => end.cancelReceives());
  ends.forEach((end) => end.closed || end.shutdown());
  while (ends.some((end) => !end.closed && !end.ended && !end.reset)) {
    for (const end of ends) {
      for (let n = 0; n < 50 && !end.closed && !end.reset; n++) end.recv(random);
    }
    await turn();
    ends.forEach((end) => end.settle());
  }
  ends.forEach((end) => end.cancelReceives());
  for (const end of ends) {
    while (!end.closed && !end.reset && !atEnd(end)) end.recv(random);
    end.check();
    end.close();
  }
  assertEquals(ends.map(({ id }) => socket.isopen(id)), [false, false]);
  task.list().forEach(task.forget);
}

/** Whether nothing is left that was put back. */
function atEnd({ id }: End): boolean {
  return (socket.inspect(id) as socket.StreamRecord).queuedIn === 0;
}

/**
 * Where the ends behave the same however a sequence ends. Over `node:tls` and Unix sockets the code of
 * a connection that the peer closed with bytes unread differs with the moment.
 */
const modelled = transports.filter(({ name }) => name === "tcp" || name === "tls");

for (const transport of modelled) {
  Deno.test(`socket does what its model does in random sequences of calls [${transport.name}]`, () =>
    leavingNothing(() =>
      withSeed(async (random) => {
        for (let n = 0; n < SEQUENCES; n++) await runSequence(transport, random);
      })
    ));
}
