// A small share of `deno task load`; TASKIO_CYCLES and TASKIO_IDLE ask for more.

import { assert, assertEquals } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { canCount, descriptorsBackTo, openDescriptors } from "../descriptors.ts";
import { engines } from "../lab/engines.ts";
import { Counter } from "../lab/soak/holdings.ts";
import { withSeed } from "../random.ts";
import { leavingNothing } from "../settle.ts";
import { runCycles } from "./cycles.ts";
import { growth, heldNow } from "./held.ts";

/** Runs `deno task load`, which must find nothing wrong; gives what it prints. */
async function load(...options: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "load", ...options],
    cwd: new URL("../../", import.meta.url),
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  assertEquals([decoder.decode(stderr), code], ["", 0]);
  return decoder.decode(stdout);
}

const { TASKIO_CYCLES: cycles, TASKIO_IDLE: idle } = Deno.env.toObject();

if (cycles !== undefined || idle !== undefined) {
  Deno.test("everything is given back after as many connections as were asked for", async () => {
    console.log(await load("--cycles", cycles ?? "0", "--idle", idle ?? "0"));
  });
}

for (const engine of engines) {
  Deno.test(`everything is given back after connecting and closing [${engine.name}]`, () =>
    leavingNothing(() =>
      withSeed(async (random) => {
        const descriptors = canCount ? openDescriptors() : 0;
        await runCycles(engine, engine.tls ? 30 : 300, random);
        if (canCount) await descriptorsBackTo(descriptors);
      })
    ));
}

Deno.test({
  name: "connections on which nothing happens cost little, and are alive",
  ignore: !canCount, // descriptors are counted on Linux alone
  async fn() {
    const text = await load("--cycles", "0", "--idle", "150", "--kind", "tcp");
    assert(text.startsWith("tcp: 150 idle connections"), text);
  },
});

Deno.test("the load notices a socket, a task, a timer and memory that are not given back", () => {
  using counter = new Counter();
  const before = heldNow(counter);
  assertEquals(growth(before, before), []);
  const timer = setTimeout(() => {}, 60_000);
  const server = socket.tcpserver("127.0.0.1", 0);
  const waiting = socket.accept(server);
  const { heap, external, rss } = before;
  const more = { heap: heap + 3_000_000, external: external + 3_000_000, rss: rss + 200_000_000 };
  const grown = growth(before, { ...heldNow(counter), ...more });
  const names = grown.map((text) => text.split(":")[0]);
  assertEquals(names, ["sockets", "tasks", "descriptors", "timers", "heap", "external", "rss"]);
  clearTimeout(timer);
  socket.close(server);
  task.forget(waiting);
});
