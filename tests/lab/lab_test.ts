// A few seeds of the laboratory, and that it notices what it is there to notice.

import { assert, assertEquals } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { tcpPair } from "../pair.ts";
import { newSeed, Random } from "../random.ts";
import { leavingNothing } from "../settle.ts";
import { Broken, makeBytes, receiveAll, sendAll } from "./ends.ts";
import { engineOf, engines } from "./engines.ts";
import { runLab } from "./lab.ts";
import { leftovers, runCase } from "./run.ts";
import { mayEndShort, objectionTo } from "./verdict.ts";
import { type Act, type Case, makeCase } from "./schedule.ts";
import { shrink } from "./shrink.ts";

const nothing = () => {};

/** A case of one engine with this one step on its way up. */
function caseOf(engine: string, act: Act, at: number, value = 0): Case {
  const steps = [{ way: "up" as const, at, after: 0, act, value }];
  return { engine, seed: 1, up: 50_000, down: 3000, steps };
}

Deno.test("every engine carries everything, or says why not, over fresh seeds", () =>
  leavingNothing(async () => {
    const acts = new Map<string, number>();
    const runs = engines.length * 8;
    const count = await runLab({
      seed: newSeed(),
      runs,
      side: 4,
      onRun: (plan, outcome) => acts.set(plan.engine, outcome.acts.length),
    });
    assertEquals([count, acts.size], [runs, engines.length]);
  }));

for (const { name, tls } of engines) {
  Deno.test(`recv() gives bytes that were sliced to one, one by one [${name}]`, () =>
    leavingNothing(async () => {
      const outcome = await runCase({ ...caseOf(name, "slice", 0, 1), up: 4000 });
      assertEquals([outcome.acts, outcome.codes.size], [[], 0]);
    }));

  // Behind every handshake there is the middle of what was sent.
  Deno.test(`recv() tells of a byte that was altered only over TLS [${name}]`, () =>
    leavingNothing(async () => {
      const { acts, codes } = await runCase(caseOf(name, "flip", 30_000, 64));
      assertEquals(acts, ["flip"]);
      assertEquals(codes.get("server receive"), tls ? "EPROTO" : undefined);
    }));

  Deno.test(`recv() tells a cut from an end only over TLS [${name}]`, () =>
    leavingNothing(async () => {
      const { acts, codes } = await runCase(caseOf(name, "cut", 30_000));
      assertEquals(acts, ["cut"]);
      const code = codes.get("server receive");
      assert(tls ? code === "EUNEXPECTEDEOF" || code === "ECONNRESET" : code !== "EUNEXPECTEDEOF");
    }));
}

Deno.test("the laboratory notices a byte that is not the one that was sent", () =>
  leavingNothing(async () => {
    using pair = await tcpPair();
    const random = new Random(1);
    const data = makeBytes(5000, random);
    const altered = data.slice();
    altered[3000] ^= 1;
    const [sent, received] = await Promise.all([
      sendAll(pair.client, data, random, nothing),
      receiveAll(pair.peer, altered, random, nothing),
    ]);
    assertEquals(sent.ended, true);
    assert(received.error instanceof Broken);
    assert(received.error.message.startsWith("byte 3000 of 5000"));
    task.list().forEach(task.forget);
  }));

Deno.test("the laboratory objects to a fault and to an end that nothing on the way explains", () => {
  const [tcp, tls] = ["tcp", "tls, deno to node"].map(engineOf);
  const reset = new socket.SocketError("ECONNRESET", "recv");
  const objects = (error: unknown, acts: Act[], gaveUp = false) =>
    objectionTo(error, "receive", acts, tls, gaveUp) !== undefined;
  assertEquals(objects(reset, []), true);
  assertEquals(objects(reset, ["stall"]), true);
  assertEquals(objects(reset, ["stall", "reset"]), false);
  assertEquals(objects(new Error("ECONNRESET"), ["reset"]), true);
  const aborted = new socket.SocketError("ECONNABORTED", "recv");
  assertEquals([objects(aborted, ["cut"]), objects(aborted, ["cut"], true)], [true, false]);
  assertEquals([mayEndShort([], tcp), mayEndShort(["flip"], tcp)], [false, false]);
  assertEquals([mayEndShort(["cut"], tcp), mayEndShort(["cut"], tls)], [true, false]);
});

Deno.test("the laboratory notices a socket and a task that are left behind", () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const accepting = socket.accept(server);
  assertEquals(leftovers().length, 1); // the task goes with the socket
  assertEquals([socket.isopen(server), task.status(accepting)], [false, "Unknown"]);
  const after = task.after(60_000);
  assertEquals(leftovers().length, 1);
  assertEquals(task.status(after), "Unknown");
});

Deno.test("makeCase() gives the same case for the same seed", () => {
  assertEquals(makeCase(42), makeCase(42));
  const cases = Array.from({ length: 300 }, (_, seed) => makeCase(seed));
  assertEquals(new Set(cases.map(({ engine }) => engine)).size, engines.length);
  assertEquals(new Set(cases.flatMap(({ steps }) => steps.map(({ act }) => act))).size, 11);
});

Deno.test("shrink() leaves what makes a case fail, and little else", async () => {
  const plan = makeCase(4);
  const step = { way: "up" as const, at: 0, after: 0, act: "cut" as const, value: 0 };
  const large = { ...plan, up: 90_000, down: 1, steps: [...plan.steps, { ...step, at: 5000 }] };
  const fails = (plan: Case) =>
    Promise.resolve(plan.up >= 700 && plan.steps.some(({ act, at }) => act === "cut" && at >= 10));
  const smallest = await shrink(large, fails, { tries: 1, until: Infinity });
  assertEquals(smallest.steps.length, 1);
  assert(smallest.up < 800 && smallest.down === 0 && smallest.steps[0].at < 12);
  assert(await fails(smallest));
});
