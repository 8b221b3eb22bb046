// The stack of an error names whoever waited for it, or looked at it.

import { assert, assertEquals, assertInstanceOf, assertMatch, assertRejects } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { faulted, held, leaveNothing, makePair, runProgram } from "./helpers.ts";

leaveNothing();

/** Checks that the first frame of the stack is this function, in this file. */
function assertNames(error: unknown, name: string): void {
  assertInstanceOf(error, Error);
  const [head, first] = error.stack!.split("\n");
  assertEquals(head, `${error.name}: ${error.message}`);
  assertMatch(first, new RegExp(`^ {4}at (async )?${name} \\(.*tests/task/stack_test.ts:`));
}

/** Runs the function, which is to reject, and checks that the stack names it. */
async function checkNamed(waiter: () => Promise<unknown>): Promise<Error> {
  const error = await assertRejects(waiter);
  assertNames(error, waiter.name);
  return error as Error;
}

/** A receive that a close soon faults. */
async function soonClosed(run: (id: task.TaskId<Uint8Array>) => Promise<unknown>): Promise<void> {
  using pair = await makePair();
  const id = socket.recv(pair.client);
  const closing = task.timer(1, () => socket.close(pair.client));
  await run(id);
  await closing;
  task.forget(id);
}

/** A port on which nobody listens, and which no system gives out. */
const refusingPort = 1;

Deno.test("await() names its caller when a receive faults later", async () => {
  await soonClosed((id) =>
    checkNamed(async function waitsHere() {
      await task.await(id);
    })
  );
  await soonClosed((id) =>
    checkNamed(async function waitsBounded() {
      await task.await(id, { timeout: 60_000 });
    })
  );
});

Deno.test("await() names its caller, and the callers of that, when a peer resets or ends", async () => {
  using pair = await makePair();
  async function inner() {
    return await task.await(socket.recvExact(pair.client, 4));
  }
  async function outer() {
    await inner();
  }
  socket.shutdown(pair.peer);
  const error = await assertRejects(outer) as socket.SocketError;
  assertNames(error, "inner");
  assertMatch(error.stack!, /at async outer \(/);
  assertEquals([error.code, error.op, error.socket], ["EUNEXPECTEDEOF", "recvExact", pair.client]);
  await task.wait();
  task.list().forEach(task.forget);
});

Deno.test("await() names its caller when the task has Faulted before", async () => {
  const id = socket.recv(0);
  await checkNamed(async function waitsLate() {
    await task.await(id);
  });
});

Deno.test("await() names its caller when its time runs out, and when the task is cancelled", async () => {
  const id = task.after(60_000);
  await checkNamed(async function givesUp() {
    await task.await(id, { timeout: 1 });
  });
  const cancelling = task.timer(1, () => task.cancel(id));
  await checkNamed(async function isCancelled() {
    await task.await(id);
  });
  await cancelling;
});

Deno.test("race(), all(), any() and select() name their caller", async () => {
  await soonClosed((id) =>
    checkNamed(async function races() {
      await task.race([id]);
    })
  );
  await soonClosed((id) =>
    checkNamed(async function waitsForAll() {
      await task.all([id]);
    })
  );
  await soonClosed(async (id) => {
    const error = await checkNamed(async function waitsForAny() {
      await task.any([id]);
    });
    assertEquals(((error as AggregateError).errors[0] as socket.SocketError).code, "ECONNABORTED");
  });
  await soonClosed((id) =>
    checkNamed(async function selects() {
      await task.select([id]);
    })
  );
});

Deno.test("wait(), settled(), select(), acquire() and a queue's wait() name who gave up", async () => {
  const id = task.after(60_000);
  const queue = task.completions();
  const lock = task.mutex();
  await lock.acquire();
  const options = { timeout: 1 };
  await checkNamed(async function waitsForTasks() {
    await task.wait(options);
  });
  await checkNamed(async function waitsForOne() {
    await task.settled([id], options);
  });
  await checkNamed(async function selects() {
    await task.select([id], options);
  });
  await checkNamed(async function locks() {
    await lock.acquire(options);
  });
  await checkNamed(async function waitsForQueue() {
    await queue.wait(options);
  });
  const disposing = task.timer(1, () => queue[Symbol.dispose]());
  await checkNamed(async function waitsInVain() {
    await queue.wait();
  });
  await disposing;
  task.cancel(id);
  task.forget(id);
});

Deno.test("tcpconnect(), unixconnect() and tls.tcpconnect() name their caller", async () => {
  const port = refusingPort;
  const refused = await checkNamed(async function connects() {
    await socket.tcpconnect("127.0.0.1", port);
  }) as socket.SocketError;
  assertEquals(refused.message, `connect 127.0.0.1:${port}: connection refused (ECONNREFUSED)`);
  assertEquals([refused.code, refused.op, refused.errno], ["ECONNREFUSED", "connect", 111]);
  assertInstanceOf(refused.cause, Error); // Deno's, with its own stack
  await checkNamed(async function connectsByPath() {
    await socket.unixconnect("/nonexistent/taskio.sock");
  });
  await checkNamed(async function connectsSecurely() {
    await tls.tcpconnect("127.0.0.1", port);
  });
  const late = await assertRejects(async function connectsInTime() {
    await socket.tcpconnect("127.0.0.1", port, { timeout: 0 }); // which has Faulted within the call
  });
  assertMatch((late as Error).stack!, /tcpconnect \(.*\n {4}at connectsInTime \(/);
});

Deno.test("a signal's reason and a spawned function's own error keep their stack", async () => {
  function makeReason() {
    return new Error("reason");
  }
  const controller = new AbortController();
  const { signal } = controller;
  const aborting = task.timer(1, () => controller.abort(makeReason()));
  const id = task.after(60_000);
  for (
    const wait of [() => task.await(id, { signal }), () => socket.tcpconnect("::1", 9, { signal })]
  ) {
    assertNames(await assertRejects(wait), "makeReason");
    await aborting;
  }
  task.cancel(id);
  task.forget(id);

  const thrown = makeReason();
  const { stack } = thrown;
  await assertRejects(async () => await task.await(await faulted(thrown)));
  const { id: failing, reject } = held();
  reject(thrown);
  await assertRejects(async () => await task.await(failing));
  assertEquals(thrown.stack, stack);
});

Deno.test("a SocketError that a spawned function lets through names that function", async () => {
  const port = refusingPort;
  async function connects() {
    await socket.tcpconnect("127.0.0.1", port);
  }
  assertNames(await assertRejects(() => task.await(task.spawn(connects))), "connects");
});

Deno.test("error() and take() name who looked first", async () => {
  using pair = await makePair();
  const [one, two] = [socket.recv(pair.client), socket.recv(pair.client)];
  socket.close(pair.client);
  function looks() {
    return task.error(one);
  }
  function takes() {
    const taken = task.take(two);
    assert(taken?.status === "Faulted");
    return taken.error;
  }
  const error = looks();
  assertNames(error, "looks");
  assertNames(takes(), "takes");
  const { stack } = error as Error;
  const again = await assertRejects(() => task.await(one)) as Error;
  assertEquals([again === error, again.stack], [true, stack]);
});

Deno.test("an error that cannot be changed is given as it is", async () => {
  const frozen = Object.freeze(new Error("frozen"));
  const id = task.after(60_000);
  const waiting = assertRejects(() => task.await(id));
  task.cancel(id, frozen);
  assertEquals((await waiting as Error).cause, frozen);
});

Deno.test("an uncaught rejection is printed with the line of whoever waited", async () => {
  const { code, stderr } = await runProgram(`
    const server = socket.tcpserver("127.0.0.1", 0);
    const [host, port] = socket.getlocal(server);
    socket.close(server);
    async function main() {
      await socket.tcpconnect(host, port);
    }
    await main();
  `);
  assertEquals(code, 1);
  assertMatch(stderr, /SocketError: connect 127.0.0.1:\d+: connection refused \(ECONNREFUSED\)/);
  assertMatch(stderr, /SocketError: .*(\n(?! {4}at ).*)*\n {4}at async main \(/);
});
