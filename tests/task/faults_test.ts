// A fault that nobody sees is reported once.

import { assert, assertEquals, assertGreaterOrEqual, assertMatch } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { drain, faulted, held, leaveNothing, LIMIT, runProgram } from "./helpers.ts";

leaveNothing();

/** How often `text` is found in `where`. */
const count = (where: string, text: string) => where.split(text).length - 1;

type Report = [error: unknown, id: number];

/**
 * Collects the reports of unseen faults while `body` runs and until a last fault, of its own,
 * is reported: reports come in the order of the faults, so all earlier ones have come by then.
 */
async function reportsOf(body: () => void | Promise<void>): Promise<Report[]> {
  const reports: Report[] = [];
  const last = Promise.withResolvers<void>();
  const marker = {};
  task.setFaultHandler((error, id) => {
    if (error === marker) last.resolve();
    else reports.push([error, id]);
  });
  await body();
  await task.sleep(200); // so that the last fault is due well after the others
  const before = performance.now();
  const id = await faulted(marker);
  const alive = setTimeout(() => {}, 60_000); // the timer of the reports keeps no program alive
  await last.promise;
  assertGreaterOrEqual(performance.now() - before, 998); // each of them is given a second
  clearTimeout(alive);
  task.forget(id);
  task.setFaultHandler(null);
  return reports;
}

Deno.test("setFaultHandler() gives the handler until now", () => {
  const [one, two] = [() => {}, () => {}];
  assertEquals(task.setFaultHandler(one), null);
  assertEquals(task.setFaultHandler(two), one);
  assertEquals(task.setFaultHandler(null), two);
  assertEquals(task.setFaultHandler(null), null);
});

Deno.test("setFaultHandler() is told once of each fault that nobody sees, and of no other", async () => {
  const expected: Report[] = [];
  const left: { resolve: (value: unknown) => void }[] = [];
  const reports = await reportsOf(async () => {
    // Seen with all the others.
    await faulted("seen by inspect()");
    task.inspect();

    // Seen by nobody.
    for (const error of [new Error("unseen"), "text", undefined]) {
      expected.push([error, await faulted(error)]);
    }
    const beating = task.interval(0, () => Promise.reject("interval"));
    await drain();
    expected.push(["interval", beating]);
    const late = held();
    await task.await(late.id, { timeout: 0 }).catch(() => {}); // has given up before the fault
    late.reject("late");
    await drain();
    expected.push(["late", late.id]);

    // Seen after the fault.
    const looks: ((id: number) => unknown)[] = [
      task.status,
      task.result,
      task.error,
      task.inspect,
      task.forget,
      (id) => task.await(id).catch(() => {}),
      (id) => task.all([id]).catch(() => {}),
      (id) => task.race([id]).catch(() => {}),
      (id) => task.any([id]).catch(() => {}),
      (id) => task.select([id]).catch(() => {}),
    ];
    for (const look of looks) {
      const id = await faulted(`seen by ${look}`);
      await look(id);
    }

    // Awaited before the fault.
    const waits: ((id: number) => unknown)[] = [
      task.await,
      (id) => task.await(id, { timeout: 60_000 }),
      (id) => task.all([id]),
      (id) => task.race([id]),
      (id) => task.any([id]),
      (id) => task.select([id]),
    ];
    for (const wait of waits) {
      const { id, reject } = held();
      const waiting = Promise.resolve(wait(id)).catch(() => {});
      reject(`awaited by ${wait}`);
      await waiting;
    }
    const other = held(); // an any that goes on waiting has seen the fault, and leaves it
    const bad = held();
    const waiting = task.any([bad.id, other.id]);
    bad.reject("awaited by any");
    await drain();
    assertEquals(task.list().includes(bad.id), true);
    left.push(other);
    waiting.catch(() => {});

    // Forgotten, or cancelled, before.
    const forgotten = held();
    task.forget(forgotten.id);
    forgotten.reject("forgotten");
    const cancelled = held();
    task.cancel(cancelled.id);
    cancelled.reject("cancelled");
    await drain();

    // I/O faults are silent.
    [socket.recv(0), socket.send(0, "x"), socket.accept(0)].forEach((id) => assert(id > 0));

    expected.push(["again", await faulted("again")]);
  });
  assertEquals(reports, expected);
  for (const [error, id] of expected) assertEquals(task.error(id), error); // still unclaimed
  left.forEach(({ resolve }) => resolve(1));
  await drain();
  task.list().forEach(task.forget);
});

Deno.test("setFaultHandler() is told of a fault that is dropped unseen when there are too many", async () => {
  const reports: Report[] = [];
  task.setFaultHandler((error, id) => reports.push([error, id]));
  task.setUnclaimedLimit(2);
  const unseen = await faulted("unseen");
  const seen = await faulted("seen");
  task.error(seen);
  assertEquals(reports, []);
  task.spawn(() => 1);
  task.spawn(() => 2);
  await drain();
  assertEquals([unseen, seen].map(task.status), ["Unknown", "Unknown"]);
  assertEquals(reports, [["unseen", unseen]]);

  task.setUnclaimedLimit(0);
  const dropped = await faulted("no room at all");
  assertEquals(reports.slice(1), [["no room at all", dropped]]);
  const awaited = held();
  const waiting = task.await(awaited.id).catch((error) => error);
  awaited.reject("awaited");
  assertEquals(await waiting, "awaited");
  await drain();
  assertEquals(reports.length, 2);

  task.setUnclaimedLimit(1);
  const last = await faulted("lowered");
  task.setUnclaimedLimit(0);
  assertEquals(reports.length, 2); // not inside a call
  await drain();
  assertEquals(reports.slice(2), [["lowered", last]]);
  task.setUnclaimedLimit(LIMIT);
  task.setFaultHandler(null);
});

Deno.test("setFaultHandler() is told of the other faults when the handler throws", async () => {
  const uncaught: unknown[] = [];
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    uncaught.push(event.error);
  };
  globalThis.addEventListener("error", onError);
  const told: unknown[] = [];
  task.setFaultHandler((error) => {
    told.push(error);
    throw `handler at ${error}`;
  });
  task.setUnclaimedLimit(0);
  for (const error of ["one", "two"]) await faulted(error);
  assertEquals([task.list(), task.busy()], [[], false]);
  globalThis.removeEventListener("error", onError);
  assertEquals(told, ["one", "two"]);
  assertEquals(uncaught, ["handler at one", "handler at two"]);
  task.setUnclaimedLimit(LIMIT);
  task.setFaultHandler(null);
});

Deno.test("a fault that nobody sees is printed once to standard error after a second", async () => {
  const { code, stdout, stderr } = await runProgram(`
    const id = task.spawn(function work() { throw new RangeError("nobody looks"); });
    task.setFaultHandler(() => {});
    task.setFaultHandler(null);
    await task.sleep(500);
    console.error("--- half a second");
    await task.sleep(1000);
    console.error("--- later");
    console.log(id, task.list()); // which is no look
  `);
  assertEquals([code, stdout], [0, "1 [ 1 ]\n"]);
  const [early, due, late] = stderr.split(/--- .*\n/);
  assertEquals([early, late], ["", ""]);
  assertMatch(due, /^Uncaught fault in spawn task 1: RangeError: nobody looks\n {4}at work/);
  assertEquals(count(stderr, "nobody looks"), 1);
});

Deno.test("a fault that nobody sees is printed when the program ends earlier", async () => {
  const source = `
    task.spawn(() => { throw "one"; });
    task.interval(0, () => { throw "two"; });
    task.forget(task.spawn(() => { throw "three"; }));
    await task.wait();
  `;
  for (const end of ["", "Deno.exit(0);"]) {
    const { code, stderr } = await runProgram(source + end);
    assertEquals(code, 0);
    assertEquals(
      stderr,
      "Uncaught fault in spawn task 1: one\nUncaught fault in interval task 2: two\n",
    );
  }
});

Deno.test("a fault that nobody sees goes to the handler when the program ends earlier", async () => {
  const { code, stdout, stderr } = await runProgram(`
    task.setFaultHandler((error, id) => {
      console.log(error, id);
      if (id === 1) throw new Error("in the handler");
    });
    globalThis.addEventListener("error", (event) => event.preventDefault());
    task.spawn(() => { throw "one"; });
    task.spawn(() => { throw "two"; });
    await task.wait();
  `);
  assertEquals([code, stdout, stderr], [0, "one 1\ntwo 2\n", ""]);
});

Deno.test("a fault that nobody sees keeps no program alive", async () => {
  const { code, stderr } = await runProgram(`
    globalThis.addEventListener("unload", () => console.error("The program ends"));
    task.spawn(() => { throw "one"; });
    await task.wait();
  `);
  assertEquals([code, stderr], [0, "The program ends\nUncaught fault in spawn task 1: one\n"]);
});

Deno.test("a fault that nobody sees is given its own second, by one timer and one listener for all", async () => {
  const { code, stdout, stderr } = await runProgram(`
    const { setTimeout: set, addEventListener: add } = globalThis;
    const delays: number[] = [];
    globalThis.setTimeout = ((run: () => void, ms: number) => {
      delays.push(ms);
      return set(run, ms);
    }) as typeof set;
    let listeners = 0;
    globalThis.addEventListener = (...args: [string, () => void]) => {
      listeners++;
      add(...args);
    };
    const told = Promise.withResolvers<void>();
    task.setFaultHandler((error) => error === 3 && told.resolve());
    for (const error of [1, 2, 3]) {
      task.spawn(() => { throw error; });
      await task.sleep(50);
    }
    const alive = set(() => {}, 60_000);
    await told.promise;
    clearTimeout(alive);
    const timers = delays.filter((ms) => ms !== 50);
    console.log(timers.every((ms) => ms > 0 && ms <= 1000), listeners);
  `);
  assertEquals([code, stdout, stderr], [0, "true 1\n", ""]);
});
