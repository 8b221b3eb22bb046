// A few seconds of the soak, and that it notices what is not given back.

import { assert, assertEquals } from "@std/assert";
import { socket, task } from "../../../mod.ts";
import { newSeed } from "../../random.ts";
import { leavingNothing } from "../../settle.ts";
import { rounds } from "./churn.ts";
import { Counter, surplus } from "./holdings.ts";
import { soak } from "./soak.ts";

Deno.test("everything is given back after a churn of everything at once", () =>
  leavingNothing(async () => {
    // Memory is looked at by the long run, which can have it collected.
    const options = { seed: newSeed(), duration: 3000, slack: Infinity };
    const { counts } = await soak(options);
    assert([...counts.keys()].every((name) => name in rounds));
  }));

Deno.test("the soak notices a socket, a task, a timer and a listener that are not given back", () => {
  using counter = new Counter();
  const before = counter.take();
  assertEquals(surplus(before, counter.take(), Infinity), []);
  const timer = setTimeout(() => {}, 60_000);
  const server = socket.tcpserver("127.0.0.1", 0);
  const waiting = socket.accept(server);
  const giveUp = () => {};
  counter.signal.addEventListener("abort", giveUp);
  const held = surplus(before, counter.take(), Infinity).map((text) => text.split(":")[0]);
  assertEquals(held, ["sockets", "tasks", "descriptors", "timers", "listeners"]);
  assertEquals(surplus(before, { ...before, heap: before.heap + 9 }, 8).length, 1);
  counter.signal.removeEventListener("abort", giveUp);
  clearTimeout(timer);
  socket.close(server);
  task.forget(waiting);
  assertEquals(
    surplus(before, counter.take(), Infinity).filter((text) => !text.startsWith("desc")),
    [],
  );
});
