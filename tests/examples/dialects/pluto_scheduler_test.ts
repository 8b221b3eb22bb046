// Pluto's scheduler: what runs when, and what a throw does.

import { assertEquals } from "@std/assert";
import { Scheduler as scheduler } from "../../../examples/dialects/pluto_scheduler.ts";
import { task } from "../../../mod.ts";
import { test } from "./helpers.ts";

test("add() starts a coroutine and runs it to its first wait", async () => {
  const log: string[] = [];
  const sched = new scheduler();
  sched.add(async () => {
    log.push("first begins");
    await task.sleep(1);
    log.push("first ends");
  });
  log.push("added");
  sched.add(() => log.push("second"));
  assertEquals(log, ["first begins", "added", "second"]);
  await sched.run();
  assertEquals(log.at(-1), "first ends");
});

test("run() ends when every coroutine is done, those too that coroutines added", async () => {
  const log: string[] = [];
  const sched = new scheduler();
  await sched.run(); // there are none
  sched.add(async () => {
    await task.sleep(1);
    sched.add(async () => {
      await task.sleep(5);
      log.push("inner");
    });
    log.push("outer");
  });
  await sched.run();
  assertEquals(log, ["outer", "inner"]);
});

test("addloop() calls once a round until it gets exactly false", async () => {
  const gives = [undefined, null, 0, "", NaN, true, false];
  const calls: unknown[] = [];
  let rounds = 0;
  const sched = new scheduler();
  sched.yieldfunc = () => rounds++;
  sched.addloop(() => {
    calls.push(rounds);
    return gives[calls.length - 1];
  });
  assertEquals(calls, [0]); // at once
  await sched.run();
  assertEquals(calls, [0, 1, 2, 3, 4, 5, 6]);
});

test("loops take turns, and may wait themselves", async () => {
  const log: string[] = [];
  const sched = new scheduler();
  for (const name of ["a", "b"]) {
    let n = 0;
    sched.addloop(async () => {
      await task.sleep(0);
      log.push(`${name}${++n}`);
      return n < 3;
    });
  }
  await sched.run();
  assertEquals(log, ["a1", "b1", "a2", "b2", "a3", "b3"]);
});

test("a loop that is added while run() waits goes round", async () => {
  let n = 0;
  const sched = new scheduler();
  const added = Promise.withResolvers<void>();
  sched.add(async () => {
    await task.sleep(1);
    await sched.addloop(() => ++n < 3);
    added.resolve();
  });
  await sched.run();
  await added.promise;
  assertEquals(n, 3);
});

test("a yieldfunc that does not wait keeps nobody from going on", async () => {
  const sched = new scheduler();
  sched.yieldfunc = () => {};
  let done = false;
  sched.add(async () => {
    await task.sleep(5);
    done = true;
  });
  await sched.run();
  assertEquals(done, true);
});

test("without loops run() goes round only when something changes", async () => {
  const sched = new scheduler();
  const yieldfunc = sched.yieldfunc;
  let rounds = 0;
  sched.yieldfunc = () => {
    rounds++;
    return yieldfunc();
  };
  sched.add(() => task.sleep(20));
  await sched.run();
  assertEquals(rounds, 1);
});

test("errorfunc is told of a throw, and the others go on", async () => {
  const told: unknown[] = [];
  const log: string[] = [];
  const sched = new scheduler();
  sched.errorfunc = (err) => told.push(err);
  sched.add(() => {
    throw "at once";
  });
  sched.add(async () => {
    await task.sleep(1);
    throw "later";
  });
  let n = 0;
  sched.addloop(() => {
    if (++n === 2) throw "in a loop";
  });
  sched.add(async () => {
    await task.sleep(5);
    log.push("done");
  });
  await sched.run();
  assertEquals(told.toSorted(), ["at once", "in a loop", "later"]);
  assertEquals([log, n], [["done"], 2]);
});

test("without an errorfunc a throw is printed, and so is what an errorfunc throws", async () => {
  const printed: unknown[] = [];
  const { error } = console;
  console.error = (err) => printed.push(err);
  try {
    const sched = new scheduler();
    sched.add(() => Promise.reject("first"));
    await sched.run();
    sched.errorfunc = (err) => {
      throw `told of ${err}`;
    };
    sched.add(() => Promise.reject("second"));
    await sched.run();
  } finally {
    console.error = error;
  }
  assertEquals(printed, ["first", "told of second"]);
});
