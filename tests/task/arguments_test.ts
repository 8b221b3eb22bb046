// Bad arguments throw at the call: the right class, and a message with the name and the value.

import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { task } from "../../mod.ts";
import { leaveNothing } from "./helpers.ts";

leaveNothing();

/** A wrong argument: what it is and how a message shows it. */
type Wrong = [value: unknown, shown: string];

class Thing {}

const noNumbers: Wrong[] = [
  ["7", '"7"'],
  [7n, "7n"],
  [null, "null"],
  [true, "true"],
  [Symbol("id"), "Symbol(id)"],
  [{}, "an instance of Object"],
  [[7], "an instance of Array"],
  [new Thing(), "an instance of Thing"],
  [Object.create(null), "an object"],
  [() => 7, "a function"],
];
const noIds: Wrong[] = [...noNumbers, [1.5, "1.5"], [NaN, "NaN"], [Infinity, "Infinity"]];
const noFunctions: Wrong[] = [[undefined, "undefined"], [null, "null"], ["f", '"f"'], [
  {},
  "an instance of Object",
]];
const noOptions: Wrong[] = [[null, "null"], [5, "5"], ["x", '"x"'], [() => {}, "a function"]];
const noSignals: Wrong[] = [
  [null, "null"],
  ["stop", '"stop"'],
  [new AbortController(), "an instance of AbortController"],
];
const noDelays: Wrong[] = [[NaN, "NaN"], [2 ** 31, "2147483648"]];
const undef: Wrong = [undefined, "undefined"];

type Call = (value: never) => unknown;

/** Checks that each value makes the call throw this error at once. */
function refuses(
  call: Call,
  values: Wrong[],
  type: typeof TypeError | typeof RangeError,
  start: string,
): void {
  for (const [value, shown] of values) {
    const error = assertThrows(() => call(value as never), type, undefined, `${call} ${shown}`);
    assertStrictEquals((error as Error).constructor, type);
    assertEquals((error as Error).message, `${start}: current value is ${shown}`);
  }
}

const anId = task.spawn(() => {});
await task.await(anId); // Unknown: what is refused is refused before anybody looks for the task

const run = () => {};

Deno.test("await(), result(), error(), cancel(), forget() and inspect() refuse what is no integer", () => {
  const calls: Call[] = [
    task.await,
    task.result,
    task.error,
    task.cancel,
    task.forget,
    task.inspect,
  ];
  for (const call of calls) refuses(call, noIds, TypeError, '"id" must be an integer ID');
  const named: Call[] = [task.await, task.result, task.error, task.cancel, task.forget];
  for (const call of named) refuses(call, [undef], TypeError, '"id" must be an integer ID');
  refuses((id) => task.await(id, { timeout: 1 }), noIds, TypeError, '"id" must be an integer ID');
});

Deno.test("every call but status() refuses a BigInt, also that of a live task", async () => {
  const live = task.spawn(() => "alive");
  const id = BigInt(live) as never;
  assertEquals(task.status(id), "Unknown");
  const calls = [
    () => task.await(id),
    () => task.await(id, { timeout: 1 }),
    () => task.result(id),
    () => task.error(id),
    () => task.cancel(id),
    () => task.forget(id),
    () => task.inspect(id),
    () => task.all([id]),
    () => task.any([id]),
    () => task.race([id]),
    () => task.select([id]),
  ];
  for (const call of calls) {
    const { message } = assertThrows(call, TypeError);
    assertMatch(
      message,
      RegExp(`must be an integer ID( or a channel)?: current value is ${live}n$`),
    );
  }
  assertEquals(await task.await(live), "alive");
});

Deno.test("all(), any(), race() and select() refuse what is no integer among the IDs", () => {
  for (const call of [task.all, task.any, task.race, task.select] as Call[]) {
    const among = (id: never) => call([anId, id] as never);
    refuses(
      among,
      [...noIds, undef],
      TypeError,
      call === task.select
        ? '"sources" must be an integer ID or a channel'
        : '"ids" must be an integer ID',
    );
  }
});

Deno.test("all(), any(), race() and select() refuse what is no list", () => {
  const noLists: Wrong[] = [undef, [null, "null"], [7, "7"], [{}, "an instance of Object"]];
  for (const call of [task.all, task.any, task.race] as Call[]) {
    refuses(call, noLists, TypeError, '"ids" must be an iterable of task IDs');
  }
  const noArrays: Wrong[] = [...noLists, [new Set(), "an instance of Set"], ["7", '"7"']];
  refuses(task.select as Call, noArrays, TypeError, '"sources" must be an array');
});

Deno.test("race() and select() refuse an empty list", () => {
  const set = [[], new Set(), [].values()].map((ids): Wrong => [ids, "an empty iterable"]);
  refuses(task.race as Call, set, RangeError, '"ids" must be at least one task');
  const array: Wrong[] = [[[], "an empty array"]];
  refuses(task.select as Call, array, RangeError, '"sources" must be at least one source');
});

Deno.test("await(), wait(), select() and acquire() refuse wrong options", () => {
  const channel = task.channel();
  const lock = task.mutex();
  const calls: Call[] = [
    (options) => task.await(anId, options),
    (options) => task.wait(options),
    (options) => task.select([channel], options),
    (options) => lock.acquire(options),
  ];
  const delay = "a number of milliseconds";
  for (const call of calls) {
    refuses(call, noOptions, TypeError, '"options" must be an object');
    const timeout = ((timeout: unknown) => call({ timeout } as never)) as Call;
    refuses(timeout, noNumbers, TypeError, `"timeout" must be ${delay}`);
    refuses(timeout, noDelays, RangeError, '"timeout" must be at most 2147483647 milliseconds');
    const signal = ((signal: unknown) => call({ signal } as never)) as Call;
    refuses(signal, noSignals, TypeError, '"signal" must be an AbortSignal');
    assertThrows(
      () => call({ timeOut: 1 } as never),
      TypeError,
      'Unknown option "timeOut": expected one of timeout, signal',
    );
  }
  assertEquals(lock.locked, false);
});

Deno.test("sleep(), send() and recv() refuse wrong options", () => {
  const channel = task.channel<number>();
  const calls: Call[] = [
    (options) => task.sleep(1, options),
    (options) => channel.send(1, options),
    (options) => channel.recv(options),
  ];
  for (const call of calls) {
    refuses(call, noOptions, TypeError, '"options" must be an object');
    const signal = ((signal: unknown) => call({ signal } as never)) as Call;
    refuses(signal, noSignals, TypeError, '"signal" must be an AbortSignal');
    assertThrows(
      () => call({ timeout: 1 } as never),
      TypeError,
      'Unknown option "timeout": expected one of signal',
    );
  }
  assertEquals(channel.size, 0);
});

/** An argument that a call's type does not have. */
const behind = (more: unknown) => [more] as unknown as [];

Deno.test("what takes no options says what to do instead", () => {
  const calls: [name: string, call: Call, instead: string][] = [
    ["all", (more) => task.all([anId], ...behind(more)), "wait with settled("],
    ["any", (more) => task.any([anId], ...behind(more)), "wait with select("],
    ["race", (more) => task.race([anId], ...behind(more)), "wait with select("],
    ["timer", (more) => task.timer(1, run, ...behind(more)), "wait with sleep("],
    ["interval", (more) => task.interval(1, run, ...behind(more)), "limit the wait"],
    ["after", (more) => task.after(1, ...behind(more)), "limit the wait"],
    ["spawn", (more) => task.spawn(run, [], ...behind(more)), "limit the wait"],
  ];
  for (const [name, call, instead] of calls) {
    for (const options of [{ timeout: 1 }, AbortSignal.abort()]) {
      const error = assertThrows(() => call(options as never), TypeError, undefined, name);
      const key = options instanceof AbortSignal ? "signal" : "timeout";
      assert((error as Error).message.startsWith(`Unknown option "${key}" of ${name}: ${instead}`));
    }
    assertThrows(() => call({ other: 1 } as never), TypeError, "it takes no options", name);
  }
});

Deno.test("sleep(), timer() and interval() refuse a wrong time", () => {
  const calls: Call[] = [
    (ms) => task.sleep(ms),
    (ms) => task.timer(ms, run),
    (ms) => task.interval(ms, run),
  ];
  const never: Wrong[] = [...noDelays, [Infinity, "Infinity"]];
  for (const call of calls) {
    refuses(call, [...noNumbers, undef], TypeError, '"ms" must be a number of milliseconds');
    refuses(call, never, RangeError, '"ms" must be at most 2147483647 milliseconds');
  }
});

Deno.test("spawn(), timer(), interval() and synchronize() refuse what is no function", () => {
  const lock = task.mutex();
  const calls: Call[] = [
    (fn) => task.spawn(fn),
    (fn) => task.timer(1, fn),
    (fn) => task.interval(1, fn),
    (fn) => lock.synchronize(fn),
  ];
  for (const call of calls) refuses(call, noFunctions, TypeError, '"fn" must be a function');
  assertEquals([task.list(), lock.locked], [[], false]);
});

Deno.test("spawn() refuses arguments that are no array", () => {
  const wrong: Wrong[] = [[null, "null"], [1, "1"], ["ab", '"ab"'], [
    new Set(),
    "an instance of Set",
  ]];
  refuses((args) => task.spawn(run, args), wrong, TypeError, '"args" must be an array');
  assertEquals(task.list(), []);
});

Deno.test("channel(), and Channel itself, refuse a wrong capacity", () => {
  const wrong: Wrong[] = [[1.5, "1.5"], [NaN, "NaN"], [Infinity, "Infinity"]];
  for (const make of [task.channel, (capacity: number) => new task.Channel(capacity)]) {
    refuses(make, noNumbers, TypeError, '"capacity" must be an integer');
    refuses(make, wrong, RangeError, '"capacity" must be an integer');
  }
});

Deno.test("tryAcquire() refuses a wrong timeout", () => {
  const lock = task.mutex();
  const call: Call = (timeout) => lock.tryAcquire(timeout);
  refuses(call, noNumbers, TypeError, '"timeout" must be a number of milliseconds');
  refuses(call, noDelays, RangeError, '"timeout" must be at most 2147483647 milliseconds');
  assertEquals(lock.locked, false);
});

Deno.test("setUnclaimedLimit() refuses a wrong count and keeps the limit", () => {
  refuses(task.setUnclaimedLimit, [...noNumbers, undef], TypeError, '"count" must be an integer');
  const wrong: Wrong[] = [
    [-1, "-1"],
    [1.5, "1.5"],
    [NaN, "NaN"],
    [Infinity, "Infinity"],
    [2 ** 32, "4294967296"],
  ];
  const start = '"count" must be an integer from 0 to 4294967295';
  refuses(task.setUnclaimedLimit, wrong, RangeError, start);
});

Deno.test("setFaultHandler() refuses what is neither a function nor null and keeps the handler", () => {
  const wrong = noFunctions.filter(([value]) => value !== null);
  refuses(task.setFaultHandler, wrong, TypeError, '"report" must be a function');
});

Deno.test("options are refused that are a signal, a promise, a map or a list", async () => {
  const lock = task.mutex();
  const queue = task.completions();
  const channel = task.channel<number>(1);
  const id = task.spawn(() => {});
  const calls: [known: string, call: Call][] = [
    ["timeout, signal, cancel", (options) => task.await(id, options)],
    ["timeout, signal", (options) => task.settled([id], options)],
    ["timeout, signal", (options) => task.select([id], options)],
    ["timeout, signal", (options) => task.wait(options)],
    ["timeout, signal", (options) => lock.acquire(options)],
    ["timeout, signal", (options) => queue.wait(options)],
    ["signal", (options) => task.sleep(1, options)],
    ["signal", (options) => channel.send(1, options)],
    ["signal", (options) => channel.recv(options)],
  ];
  const wrong: Wrong[] = [
    [AbortSignal.abort(), "an instance of AbortSignal"],
    [Promise.resolve({ timeout: 0 }), "a promise, await it first"],
    [new Map([["timeout", 0]]), "an instance of Map"],
    [[], "an instance of Array"],
  ];
  for (const [known, call] of calls) {
    refuses(call, wrong, TypeError, `"options" must be an object, such as { ${known} }`);
  }
  assertEquals([lock.locked, channel.size], [false, 0]);
  await task.await(id);
});
