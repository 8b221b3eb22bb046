import { assert, assertEquals, assertLessOrEqual, assertThrows } from "@std/assert";
import net from "node:net";
import { socket, task, tls } from "../../mod.ts";
import { HUGE, randomBytes, receiveAll, sha256, textOf } from "../bytes.ts";
import { canCount, descriptorsBackTo, openDescriptors } from "../descriptors.ts";
import { tcpPair } from "../pair.ts";
import { ways } from "../listening.ts";
import { withSeed } from "../random.ts";
import { resettable } from "../reset.ts";
import { codeOf, faultOf, leavingNothing, turn, until } from "../settle.ts";
import { spyOn } from "../spy.ts";
import { runProgram } from "../subprocess.ts";

/** Registers a test of a fresh listener; all sockets are closed afterwards, and all tasks ended. */
function test(name: string, run: (server: socket.SocketId) => Promise<void>): void {
  Deno.test(name, () =>
    leavingNothing(async () => {
      const before = new Set(socket.list());
      const server = socket.tcpserver("127.0.0.1", 0);
      try {
        await run(server);
      } finally {
        // That closes connections under their handlers.
        await reported(async () => {
          socket.list().filter((id) => !before.has(id)).forEach(socket.close);
          await task.wait();
        });
      }
    }));
}

const dial = (server: socket.SocketId) => socket.tcpconnect(...socket.getlocal(server));

/** Connects so many clients, one after the other. */
async function dialMany(server: socket.SocketId, count: number): Promise<socket.SocketId[]> {
  const clients = [];
  while (count-- > 0) clients.push(await dial(server));
  return clients;
}

/** Sends back whatever comes, until it ends. */
async function echo(id: socket.SocketId): Promise<void> {
  for (;;) {
    const data = await task.await(socket.recv(id, 65536));
    if (data.length === 0) return;
    await task.await(socket.send(id, data));
  }
}

/** The text that a connection echoes. */
async function echoed(client: socket.SocketId, text: string): Promise<string> {
  socket.send(client, text);
  return textOf(await task.await(socket.recvExact(client, text.length)));
}

/** Waits until the other end is gone, politely or not. */
async function gone(client: socket.SocketId): Promise<void> {
  while (await task.await(socket.recv(client)).then((data) => data.length > 0, () => false));
}

/** The handlers' tasks that run. */
const handlers = () => task.inspect().filter(({ kind }) => kind === "handler");

/** A promise that is resolved from outside. */
const gate = () => Promise.withResolvers<void>();

/** What was reported as unseen while `run` ran. */
async function reported(run: () => Promise<void>): Promise<[error: unknown, id: number][]> {
  const reports: [unknown, number][] = [];
  const before = task.setFaultHandler((error, id) => reports.push([error, id]));
  try {
    await run();
  } finally {
    task.setFaultHandler(before);
  }
  return reports;
}

test("serve() runs the handler for each connection side by side", async (server) => {
  const ids: socket.SocketId[] = [];
  const serving = socket.serve(server, (id) => {
    ids.push(id);
    return echo(id);
  });
  const clients = await dialMany(server, 5);
  for (const client of clients.toReversed()) {
    assertEquals(await echoed(client, `I am ${client}`), `I am ${client}`);
  }
  assertEquals(ids.map(socket.getpeer), clients.map(socket.getlocal));
  assertEquals(ids.map(socket.getside), new Array(5).fill("server"));
  assertEquals(handlers().map(({ socket }) => socket), ids);
  const [{ kind, status, socket: of }] = task.inspect().filter(({ id }) => id === serving);
  assertEquals([kind, status, of], ["serve", "Running", server]);
});

test("serve() never runs the handler inside the call", async (server) => {
  await dial(server);
  socket.hasconnection(server);
  await until(() => socket.hasconnection(server));
  const calls: number[] = [];
  socket.serve(server, (id) => calls.push(id));
  assertEquals(calls, []);
  await until(() => calls.length === 1);
});

const boom = new Error("boom");

/** Ways in which a handler ends. */
const faults: Record<string, [handler: (id: socket.SocketId) => unknown, error: unknown]> = {
  "throws": [() => {
    throw boom;
  }, boom],
  "rejects": [() => Promise.reject(boom), boom],
  "throws after an await": [async (id) => {
    await task.await(socket.recv(id));
    throw boom;
  }, boom],
  "throws in the middle of a send": [async (id) => {
    socket.send(id, HUGE);
    await until(() => (socket.inspect(id) as socket.StreamRecord).bytesOut > 0);
    socket.send(id, HUGE);
    throw boom;
  }, boom],
  "throws a string": [() => {
    throw "boom";
  }, "boom"],
  "throws undefined": [() => {
    throw undefined;
  }, undefined],
  "rejects with null": [() => Promise.reject(null), null],
};

for (const [how, [handler, expected]] of Object.entries(faults)) {
  test(`serve() tells onError, closes and goes on when a handler ${how}`, async (server) => {
    const errors: [unknown, socket.SocketId][] = [];
    let bad: socket.SocketId | undefined;
    const onError = (error: unknown, id: socket.SocketId) => void errors.push([error, id]);
    socket.serve(server, (id) => bad === undefined ? handler(bad = id) : echo(id), { onError });
    const [client, other] = await dialMany(server, 2);
    socket.send(client, "go on");
    const sends = () => task.inspect().filter((one) => one.kind === "send" && one.socket === bad);
    await gone(client);
    assertEquals(errors, [[expected, bad]]);
    assertEquals(socket.isopen(bad!), false);
    for (const { id } of sends()) assertEquals(faultOf(id), "ECONNABORTED");
    assertEquals(await echoed(other, "undisturbed"), "undisturbed");
    assertEquals(await echoed(await dial(server), "accepted"), "accepted");
    assertEquals(errors.length, 1);
  });
}

const ends: Record<string, (id: socket.SocketId) => unknown> = {
  "returns": () => {},
  "returns a value": () => 5,
  "resolves": () => Promise.resolve("value"),
  "resolves later": (id) => task.await(socket.recv(id)),
  "has closed it": (id) => socket.close(id),
  "has shut it down": (id) => task.await(socket.shutdown(id)),
};

for (const [how, handler] of Object.entries(ends)) {
  test(`serve() closes the connection when its handler ${how}`, async (server) => {
    const ids: socket.SocketId[] = [];
    const reports = await reported(async () => {
      socket.serve(server, (id) => {
        ids.push(id);
        return handler(id);
      });
      const client = await dial(server);
      socket.send(client, "x");
      await gone(client);
      socket.close(client);
      await until(() => handlers().length === 0);
    });
    assertEquals([ids.length, socket.isopen(ids[0]), reports], [1, false, []]);
  });
}

test("serve() leaves other sockets of a handler open", async (server) => {
  let own: socket.SocketId | undefined;
  socket.serve(server, () => {
    own = socket.tcpserver("127.0.0.1", 0);
  });
  await gone(await dial(server));
  assertEquals(socket.isopen(own!), true);
});

for (const how of ["throws", "rejects"]) {
  test(`serve() reports what onError ${how} and goes on`, async (server) => {
    const reports = await reported(async () => {
      const onError = () => {
        const error = new Error("of onError");
        if (how === "throws") throw error;
        return Promise.reject(error);
      };
      let calls = 0;
      socket.serve(server, (id) => calls++ === 0 ? Promise.reject(boom) : echo(id), { onError });
      const [client, other] = await dialMany(server, 2);
      await gone(client);
      assertEquals(await echoed(other, "on"), "on");
    });
    assertEquals(reports.map(([error]) => (error as Error).message), ["of onError"]);
  });
}

test("serve() reports what a handler throws when there is no onError", async (server) => {
  const ids: task.TaskId[] = [];
  const reports = await reported(async () => {
    socket.serve(server, async (id) => {
      await task.await(socket.recv(id));
      ids.push(...handlers().map(({ id }) => id));
      throw boom;
    });
    const client = await dial(server);
    socket.send(client, "x");
    await gone(client);
  });
  assertEquals(ids.length, 1);
  assertEquals(reports, [[boom, ids[0]]]);
});

Deno.test("serve() prints what a handler throws when there is no onError", async () => {
  const { stdout, stderr, code } = await runProgram(
    `
    const server = socket.tcpserver("127.0.0.1", 0);
    let calls = 0;
    const serving = socket.serve(server, (id) => {
      if (calls++ === 0) throw new Error("boom");
      socket.close(server);
      return task.await(socket.send(id, "second"));
    });
    for (let n = 0; n < 2; n++) {
      const client = await socket.tcpconnect(...socket.getlocal(server));
      console.log((await task.await(socket.recv(client))).length);
      socket.close(client);
    }
    await task.await(serving);
    `,
    ["--allow-net"],
  );
  assertEquals([stdout, code], ["0\n6\n", 0]);
  assert(/^Uncaught fault in handler task \d+: Error: boom\n/.test(stderr), stderr);
});

for (const maxConnections of [1, 2, 5]) {
  test(`serve() never serves more than ${maxConnections} when told so`, async (server) => {
    const COUNT = 23;
    const served: number[] = [];
    let [now, most] = [0, 0];
    const handler = async (id: socket.SocketId) => {
      most = Math.max(most, ++now);
      served.push(socket.getpeer(id)[1]);
      await echo(id);
      now--;
      if (served.length % 3 === 0) throw boom;
    };
    socket.serve(server, handler, { maxConnections, onError() {} });
    const clients = await dialMany(server, COUNT);
    // Each is served only once an earlier one has ended, and all are, in order.
    for (const [i, client] of clients.entries()) {
      assertEquals(await echoed(client, "hello"), "hello");
      await until(() => now === Math.min(maxConnections, COUNT - i));
      for (let n = 0; n < 3; n++) await turn();
      assertEquals(served.length, Math.min(COUNT, i + maxConnections));
      socket.close(client);
    }
    await until(() => now === 0);
    assertEquals(most, maxConnections);
    assertEquals(served.length, COUNT);
  });
}

test("serve() has no limit when maxConnections is Infinity or not given", async (server) => {
  for (const options of [{}, { maxConnections: Infinity }, { maxConnections: undefined }]) {
    const serving = socket.serve(server, echo, options);
    const clients = await dialMany(server, 40);
    for (const client of clients) assertEquals(await echoed(client, "x"), "x");
    assertEquals(handlers().length, 40);
    task.cancel(serving);
    clients.forEach(socket.close);
    await task.wait();
  }
});

Deno.test({
  name: "serve() waits when descriptors run out and goes on when there are some again",
  ignore: !canCount,
  async fn() {
    const { stdout, stderr, code } = await runProgram(
      `
      const server = socket.tcpserver("127.0.0.1", 0);
      const [ip, port] = socket.getlocal(server);
      let [served, faults, pauses] = [0, 0, 0];
      const { setTimeout } = globalThis;
      globalThis.setTimeout = (run, delay) => {
        if (delay === 100) pauses++;
        return setTimeout(run, delay);
      };
      const serving = socket.serve(server, async (id) => {
        served++;
        for (;;) {
          const data = await task.await(socket.recv(id));
          if (data.length === 0) return;
          await task.await(socket.send(id, data));
        }
      }, { onError: () => faults++ });
      const first = await socket.tcpconnect(ip, port);
      while (served < 1) await task.sleep(1);
      // One descriptor is left, for a client: none for the server's end.
      const files = [];
      try {
        for (;;) files.push(Deno.openSync("/dev/null"));
      } catch { /* None are left. */ }
      files.pop().close();
      const second = await socket.tcpconnect(ip, port);
      while (pauses < 2) await task.sleep(1);
      console.log("short", served, faults, socket.strerror());
      const echoed = async (client, text) => {
        socket.send(client, text);
        return new TextDecoder().decode(await task.await(socket.recv(client)));
      };
      console.log(await echoed(first, "meanwhile"));
      files.forEach((file) => file.close());
      console.log(await echoed(second, "recovered"));
      console.log(await echoed(await socket.tcpconnect(ip, port), "and on"), served, faults);
      task.cancel(serving);
      socket.list().forEach(socket.close);
      await task.wait();
      console.log(task.inspect().filter(({ status }) => status === "Running").length);
      `,
      ["--allow-net", "--allow-read", "--no-check"],
      "ulimit -n 64",
    );
    assertEquals([stderr, code], ["", 0]);
    assertEquals(stdout.trim().split("\n"), [
      "short 1 0 Too many open files",
      "meanwhile",
      "recovered",
      "and on 3 0",
      "0",
    ]);
  },
});

/** Makes the next accept of the system's fail. */
function failNextAccept(error: Error): Disposable {
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const prototype = Object.getPrototypeOf(probe);
  probe.close();
  const { accept } = prototype;
  const restore = () => void (prototype.accept = accept);
  prototype.accept = () => {
    restore();
    return Promise.reject(error);
  };
  return { [Symbol.dispose]: restore };
}

for (const code of ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]) {
  test(`serve() waits 100 ms and goes on when an accept fails with ${code}`, async (server) => {
    using timers = spyOn(globalThis, "setTimeout");
    using _failing = failNextAccept(Object.assign(new Error("short"), { code }));
    const errors: unknown[] = [];
    socket.serve(server, echo, { onError: (error) => errors.push(error) });
    assertEquals(await echoed(await dial(server), "after"), "after");
    assertEquals(timers.calls.map(([, delay]) => delay).filter((delay) => delay === 100), [100]);
    assertEquals(errors, []);
  });
}

test("serve() tells onError with the listener's ID when an accept fails", async (server) => {
  using _failing = failNextAccept(Object.assign(new Error("why"), { code: "EIO" }));
  const errors: [string, string, socket.SocketId][] = [];
  const onError = (error: unknown, id: socket.SocketId) => {
    const { code, op } = error as socket.SocketError;
    errors.push([code, op, id]);
  };
  socket.serve(server, echo, { onError });
  assertEquals(await echoed(await dial(server), "after"), "after");
  assertEquals(errors, [["EIO", "accept", server]]);
});

test("serve() ends at once when it is cancelled in a pause", async (server) => {
  using _failing = failNextAccept(Object.assign(new Error("short"), { code: "EMFILE" }));
  const serving = socket.serve(server, echo);
  await turn();
  assertEquals((socket.inspect(server) as socket.ListenerRecord).pending, []);
  assertEquals(task.cancel(serving), true);
  // The sanitizer would find the pause's timer.
});

test("serve() ends at once when the listener is closed in a pause", async (server) => {
  using _failing = failNextAccept(Object.assign(new Error("short"), { code: "EMFILE" }));
  const serving = socket.serve(server, echo);
  await turn();
  socket.close(server);
  // No turn of the event loop goes by, and so no timer does.
  for (let i = 0; i < 20; i++) await Promise.resolve();
  assertEquals(task.status(serving), "Completed");
  await task.await(serving);
});

test("serve() stops accepting at once when it is cancelled", async (server) => {
  const ids: socket.SocketId[] = [];
  const serving = socket.serve(server, (id) => {
    ids.push(id);
    return echo(id);
  });
  const client = await dial(server);
  assertEquals(await echoed(client, "before"), "before");
  assertEquals(task.cancel(serving, "enough"), true);
  assertEquals([task.status(serving), faultOf(serving)], ["Faulted", "ECANCELED"]);
  assertEquals(socket.isopen(server), true);
  assertEquals((socket.inspect(server) as socket.ListenerRecord).pending, []);
  const late = await dial(server);
  // Those that are served may end.
  assertEquals(await echoed(client, "within grace"), "within grace");
  socket.shutdown(client);
  assertEquals(await receiveAll(client), new Uint8Array(0));
  await task.wait();
  assertEquals(ids.length, 1);
  // The late one is still there, for whoever accepts next.
  const peer = await task.await(socket.accept(server));
  assertEquals(socket.getpeer(peer), socket.getlocal(late));
});

test("serve() closes what is left when grace is over, and only that", async (server) => {
  const errors: unknown[] = [];
  const results: string[] = [];
  const serving = socket.serve(server, async (id) => {
    try {
      await echo(id);
      results.push("ended");
    } catch (error) {
      results.push((error as socket.SocketError).code);
      throw error;
    }
  }, { grace: 30, onError: (error) => errors.push(error) });
  const [good, bad] = await dialMany(server, 2);
  for (const client of [good, bad]) assertEquals(await echoed(client, "x"), "x");
  task.cancel(serving);
  socket.shutdown(good);
  assertEquals(await receiveAll(good), new Uint8Array(0));
  assertEquals([results, handlers().length], [["ended"], 1]);
  const waiting = task.wait();
  assertEquals(await receiveAll(bad), new Uint8Array(0));
  await waiting;
  assertEquals(results, ["ended", "ECONNABORTED"]);
  // That its connection was closed under it is no news.
  assertEquals(errors, []);
});

test("serve() tells onError what else a handler throws after grace", async (server) => {
  const errors: [unknown, number][] = [];
  const ids: number[] = [];
  const other = await tcpPair();
  const handler = async (id: socket.SocketId) => {
    ids.push(id);
    await task.await(socket.recv(id)).catch(() => {});
    if (ids.length === 1) throw boom;
    // A failure of another socket is news as well.
    await task.await(socket.recv(other.client));
  };
  const onError = (error: unknown, id: number) => void errors.push([error, id]);
  const serving = socket.serve(server, handler, { grace: 0, onError });
  await dial(server);
  await until(() => ids.length === 1);
  task.cancel(serving);
  await task.wait();
  await until(() => errors.length === 1);
  assertEquals(errors, [[boom, ids[0]]]);
  const again = socket.serve(server, handler, { grace: 0, onError });
  await dial(server);
  await until(() => ids.length === 2);
  other.close();
  task.cancel(again);
  await task.wait();
  await until(() => errors.length === 2);
  const [, [error, id]] = errors;
  assertEquals([(error as socket.SocketError).code, id], ["EBADF", ids[1]]);
});

test("serve() tells nobody that a connection was closed under its handler", async (server) => {
  const reports = await reported(async () => {
    const ids: socket.SocketId[] = [];
    socket.serve(server, (id) => {
      ids.push(id);
      return echo(id);
    });
    const client = await dial(server);
    await echoed(client, "x");
    socket.close(ids[0]);
    await gone(client);
    await until(() => handlers().length === 0);
  });
  assertEquals(reports, []);
});

test("serve() tells onError of a reset and of the handler's own misuse", async (server) => {
  const codes: unknown[] = [];
  const onError = (error: unknown) => codes.push((error as socket.SocketError).code);
  socket.serve(server, async (id) => {
    await echo(id);
    socket.close(id);
    await task.await(socket.send(id, "too late"));
  }, { onError });
  const [host, port] = socket.getlocal(server);
  const far = net.connect({ host, port });
  far.write("x");
  await new Promise((resolve) => far.once("data", resolve));
  far.resetAndDestroy();
  await until(() => codes.length === 1);
  await task.await(socket.shutdown(await dial(server)));
  await until(() => codes.length === 2);
  assertEquals(codes, ["ECONNRESET", "EBADF"]);
});

for (const grace of [0, -1]) {
  test(`serve() closes what is left at once when grace is ${grace}`, async (server) => {
    const serving = socket.serve(server, echo, { grace });
    const clients = await dialMany(server, 3);
    for (const client of clients) await echoed(client, "x");
    using timers = spyOn(globalThis, "setTimeout");
    task.cancel(serving);
    for (const client of clients) assertEquals(await receiveAll(client), new Uint8Array(0));
    assertEquals(timers.calls.every(([, delay]) => delay === 0), true);
  });
}

test("serve() closes nothing when grace is Infinity", async (server) => {
  const serving = socket.serve(server, echo, { grace: Infinity });
  const client = await dial(server);
  await echoed(client, "x");
  using timers = spyOn(globalThis, "setTimeout");
  task.cancel(serving);
  for (let n = 0; n < 20; n++) await turn();
  assertEquals(await echoed(client, "still"), "still");
  assertEquals(timers.calls.filter(([, delay]) => delay !== 0), []);
  socket.close(client);
  await task.wait();
});

test("serve() gives handlers 5000 ms when grace is not given", async (server) => {
  const serving = socket.serve(server, echo);
  const client = await dial(server);
  await echoed(client, "x");
  using timers = spyOn(globalThis, "setTimeout");
  task.cancel(serving);
  await until(() => timers.calls.some(([, delay]) => delay === 5000));
  assertEquals(await echoed(client, "still"), "still");
  // The handler's end takes the timer with it, or the sanitizer would find it.
});

test("serve() completes after the last handler when the listener is closed", async (server) => {
  const serving = socket.serve(server, echo, { grace: Infinity });
  const clients = await dialMany(server, 3);
  for (const client of clients) await echoed(client, "x");
  socket.close(server);
  for (const client of clients) {
    for (let n = 0; n < 3; n++) await turn();
    assertEquals(task.status(serving), "Running");
    assertEquals(await echoed(client, "still"), "still");
    socket.close(client);
  }
  assertEquals(await task.await(serving), undefined);
  assertEquals(handlers(), []);
});

test("serve() completes when the listener is closed and nobody is served", async (server) => {
  const serving = socket.serve(server, echo);
  await turn();
  socket.close(server);
  assertEquals(await task.await(serving), undefined);
});

for (const maxConnections of [1, Infinity]) {
  const limit = `maxConnections is ${maxConnections}`;
  test(`serve() counts grace from the listener's close when ${limit}`, async (server) => {
    const serving = socket.serve(server, echo, { maxConnections, grace: 0 });
    const client = await dial(server);
    await echoed(client, "x");
    await turn();
    socket.close(server);
    assertEquals(await receiveAll(client), new Uint8Array(0));
    await task.await(serving);
  });
}

test("serve() can be cancelled after the listener was closed", async (server) => {
  const serving = socket.serve(server, echo, { grace: Infinity });
  const client = await dial(server);
  await echoed(client, "x");
  socket.close(server);
  await turn();
  assertEquals(task.cancel(serving), true);
  assertEquals(await codeOf(serving), "ECANCELED");
  assertEquals(await echoed(client, "still"), "still");
});

test("serve() closes the connection when its handler's task is cancelled", async (server) => {
  const errors: unknown[] = [];
  const ended = gate();
  const handler = (id: socket.SocketId) => echo(id).finally(() => ended.resolve());
  const onError = (error: unknown) => errors.push(error);
  socket.serve(server, handler, { maxConnections: 1, onError });
  const [client, next] = await dialMany(server, 2);
  await echoed(client, "x");
  const [{ id, socket: peer }] = handlers();
  assertEquals(task.cancel(id), true);
  assertEquals(socket.isopen(peer!), false);
  assertEquals(await receiveAll(client), new Uint8Array(0));
  await ended.promise;
  // Its place is free, and nobody needs to be told.
  assertEquals(await echoed(next, "next"), "next");
  assertEquals([errors, task.status(id)], [[], "Unknown"]);
});

test("serve() goes on when somebody cancels its accept", async (server) => {
  socket.serve(server, echo);
  await turn();
  const { pending } = socket.inspect(server) as socket.ListenerRecord;
  assertEquals(pending.map((id) => task.cancel(id)), [true]);
  assertEquals(await echoed(await dial(server), "on"), "on");
});

test("serve() goes on when its task is forgotten", async (server) => {
  const serving = socket.serve(server, echo);
  task.forget(serving);
  assertEquals(await echoed(await dial(server), "on"), "on");
  assertEquals(task.status(serving), "Running");
  socket.close(server);
});

test("serve() shares a listener with another and with accepts", async (server) => {
  const names: string[] = [];
  const name = (name: string) => async (id: socket.SocketId) => {
    names.push(name);
    await task.await(socket.send(id, name));
  };
  socket.serve(server, name("a"));
  const accepting = socket.accept(server);
  socket.serve(server, name("b"));
  const texts = [];
  for (const client of await dialMany(server, 5)) {
    if (texts.length === 1) await task.await(accepting).then(name("accept"));
    texts.push(textOf(await task.await(socket.recv(client))));
  }
  assertEquals(texts, ["a", "accept", "b", "a", "b"]);
});

test("serve() loses no connection when it is cancelled and begun again", async (server) => {
  await withSeed(async (random) => {
    const COUNT = 300;
    const got: string[] = [];
    const handler = async (id: socket.SocketId) => {
      got.push(textOf(await receiveAll(id)));
      await task.await(socket.send(id, "got it"));
    };
    let over = false;
    const churn = task.spawn(async () => {
      while (!over) {
        const serving = socket.serve(server, handler, { grace: Infinity });
        for (let n = random.integer(0, 3); n > 0; n--) await turn();
        for (let n = random.integer(0, 8); n > 0; n--) await Promise.resolve();
        task.cancel(serving);
        if (random.oneIn(4)) await turn();
      }
    });
    for (let n = 0; n < COUNT; n += 10) {
      await Promise.all(Array.from({ length: 10 }, async (_, i) => {
        const client = await dial(server);
        socket.send(client, `${n + i}`);
        socket.shutdown(client);
        assertEquals(textOf(await receiveAll(client)), "got it");
        socket.close(client);
      }));
    }
    over = true;
    await task.await(churn);
    assertEquals(got.map(Number).sort((a, b) => a - b), Array.from({ length: COUNT }, (_, i) => i));
  });
});

/** One client of an echo: what comes back is what was sent. */
async function talk(server: socket.SocketId, data: Uint8Array): Promise<void> {
  const client = await dial(server);
  const sending = socket.send(client, data);
  socket.shutdown(client);
  assertEquals(sha256(await receiveAll(client)), sha256(data));
  await task.await(sending);
  socket.close(client);
}

/** Runs a load on an echo server; nothing may be left of it afterwards. */
function loadTest(name: string, run: (server: socket.SocketId) => Promise<void>): void {
  Deno.test(name, () =>
    leavingNothing(async () => {
      const descriptors = canCount ? openDescriptors() : 0;
      const tasks = task.list();
      const server = socket.tcpserver("127.0.0.1", 0, 1024);
      await run(server);
      socket.close(server);
      await task.wait();
      const left = task.list().filter((id) => !tasks.includes(id));
      // Shutdowns that nobody claimed.
      const kinds = new Set(left.map((id) => task.inspect(id)!.kind));
      assertEquals(kinds.difference(new Set(["shutdown"])), new Set());
      left.forEach(task.forget);
      if (canCount) await descriptorsBackTo(descriptors);
    }));
}

loadTest("serve() serves 10,000 connections one after another", async (server) => {
  let served = 0;
  const serving = socket.serve(server, (id) => {
    served++;
    return echo(id);
  });
  const data = randomBytes(10_100);
  for (let n = 0; n < 10_000; n++) await talk(server, data.subarray(n, n + 100));
  assertEquals(served, 10_000);
  socket.close(server);
  await task.await(serving);
});

loadTest("serve() serves 1,000 connections at once", async (server) => {
  const COUNT = 1000;
  const all = gate();
  let [now, most] = [0, 0];
  const serving = socket.serve(server, async (id) => {
    if (++now === COUNT) all.resolve();
    most = Math.max(most, now);
    await all.promise;
    await echo(id);
    now--;
  });
  const data = randomBytes(120_000);
  await Promise.all(
    Array.from({ length: COUNT }, (_, n) => talk(server, data.subarray(n * 50, n * 70 + 1))),
  );
  assertEquals(most, COUNT);
  socket.close(server);
  await task.await(serving);
  assertLessOrEqual(now, 0);
});

// deno-lint-ignore no-explicit-any
type Anything = any;

for (const { name, listen, connect } of ways) {
  const test = (title: string, run: (server: socket.SocketId) => Promise<void>) =>
    Deno.test(`${title} [${name}]`, () =>
      leavingNothing(async () => {
        const before = new Set(socket.list());
        using server = listen();
        try {
          await run(server.id);
        } finally {
          await reported(async () => {
            socket.list().filter((id) => !before.has(id)).forEach(socket.close);
            await task.wait();
          });
        }
      }));

  test("serve() sends what a handler sent and did not await", async (server) => {
    const serving = socket.serve(server, (id) => void socket.send(id, "hello"));
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect(server)));
    for (const client of clients) {
      assertEquals(textOf(await receiveAll(client)), "hello");
      socket.close(client);
    }
    socket.close(server);
    await task.await(serving);
  });

  test("serve() sends all of it when the peer had sent what nobody received", async (server) => {
    const data = randomBytes(1_000_000);
    const serving = socket.serve(server, async (id) => {
      await task.await(socket.recvExact(id, 1));
      socket.send(id, data);
    });
    const client = await connect(server);
    // More than the handler takes, and still coming when it ends.
    const sending = socket.send(client, randomBytes(300_000));
    assertEquals(sha256(await receiveAll(client)), sha256(data));
    await task.await(sending);
    socket.close(client);
    socket.close(server);
    await task.await(serving);
  });
}

test("serve() counts a connection until it is closed", async (server) => {
  const ids: socket.SocketId[] = [];
  socket.serve(server, (id) => void ids.push(id), { maxConnections: 1, grace: Infinity });
  const [first, second] = await dialMany(server, 2);
  assertEquals(await receiveAll(first), new Uint8Array(0));
  for (let n = 0; n < 5; n++) await turn();
  assertEquals([ids.length, socket.isopen(ids[0])], [1, true]);
  socket.shutdown(first);
  assertEquals(await receiveAll(second), new Uint8Array(0));
  assertEquals([ids.length, socket.isopen(ids[0])], [2, false]);
});

test("serve() closes after grace when the peer never ends", async (server) => {
  const ids: socket.SocketId[] = [];
  const reports = await reported(async () => {
    socket.serve(server, (id) => {
      ids.push(id);
      socket.send(id, "all");
    }, { grace: 20 });
    const client = await dial(server);
    assertEquals(textOf(await receiveAll(client)), "all");
    await until(() => handlers().length === 0);
  });
  assertEquals([socket.isopen(ids[0]), reports], [false, []]);
});

const forever = () => new Promise(() => {});

for (const grace of [0, 20]) {
  test(`serve() settles though a handler never ends when grace is ${grace}`, async (server) => {
    const ids: socket.SocketId[] = [];
    const serving = socket.serve(server, (id) => {
      ids.push(id);
      return forever();
    }, { grace });
    const clients = await dialMany(server, 2);
    await until(() => ids.length === 2);
    socket.close(server);
    await task.await(serving, { timeout: 30_000 });
    assertEquals([handlers(), ids.map(socket.isopen)], [[], [false, false]]);
    for (const client of clients) assertEquals(await receiveAll(client), new Uint8Array(0));
  });

  test(`wait() ends though a handler never does when grace is ${grace}`, async (server) => {
    const ids: socket.SocketId[] = [];
    const serving = socket.serve(server, (id) => {
      ids.push(id);
      return forever();
    }, { grace });
    await dialMany(server, 2);
    await until(() => ids.length === 2);
    task.cancel(serving);
    await task.wait({ timeout: 30_000 });
    assertEquals([handlers(), ids.map(socket.isopen)], [[], [false, false]]);
  });
}

/** Ways in which serving ends, and one in which only a handler does. */
const endings: Record<string, (server: socket.SocketId, serving: task.TaskId<void>) => void> = {
  "serving is cancelled": (_, serving) => void task.cancel(serving),
  "the listener is closed": (server) => socket.close(server),
  "the handler's task is cancelled": () => handlers().forEach(({ id }) => task.cancel(id)),
};

for (const [how, end] of Object.entries(endings)) {
  test(`serve() aborts a handler's signal when ${how}`, async (server) => {
    const events: string[] = [];
    const asked = gate();
    const reports = await reported(async () => {
      const serving = socket.serve(server, async (_, context) => {
        const { signal } = context;
        assertEquals([signal.aborted, signal === context.signal], [false, true]);
        signal.addEventListener("abort", () => events.push("abort"));
        asked.resolve();
        // What the idiom of a shutdown throws is no news.
        await task.sleep(60_000, { signal }).finally(() => events.push("over"));
      });
      await dial(server);
      await asked.promise;
      end(server, serving);
      assertEquals(events, ["abort"]);
      await until(() => handlers().length === 0 && events.length === 2);
    });
    assertEquals(reports, []);
  });
}

test("serve() has wait() wait for a handler that is about to begin when it is cancelled", async (server) => {
  const client = await dial(server);
  while (!socket.hasconnection(server)) await turn();
  const log: string[] = [];
  const serving = socket.serve(server, async (_, { signal }) => {
    log.push(`begins, ${signal.aborted}`);
    await turn();
    log.push("ends");
  });
  task.cancel(serving);
  assertEquals(log, []);
  await task.wait();
  assertEquals(log, ["begins, true", "ends"]);
  task.forget(serving);
  socket.close(client);
});

test("serve() aborts the signal of a handler that begins after serving was cancelled", async (server) => {
  const client = await dial(server);
  await until(() => socket.hasconnection(server));
  const seen: boolean[] = [];
  const serving = socket.serve(server, (_, { signal }) => void seen.push(signal.aborted));
  task.cancel(serving); // the connection is accepted already, and the handler about to begin
  await receiveAll(client);
  socket.close(client);
  await task.wait();
  assertEquals(seen, [true]);
});

test("serve() gives a signal that has aborted when it is asked for after the end", async (server) => {
  const [begun, ended] = [gate(), gate()];
  const seen: boolean[] = [];
  const serving = socket.serve(server, async (_, context) => {
    begun.resolve();
    await ended.promise;
    seen.push(context.signal.aborted, context.signal === context.signal);
  });
  const client = await dial(server);
  await begun.promise;
  socket.close(server);
  ended.resolve();
  await receiveAll(client);
  socket.close(client);
  await task.await(serving);
  assertEquals(seen, [true, true]);
});

test("serve() gives a handler a plain object with its signal and nothing else", async (server) => {
  const seen: unknown[] = [];
  const serving = socket.serve(server, (_, context) => {
    const { signal } = { ...context };
    seen.push(Object.keys(context), Object.getPrototypeOf(context) === Object.prototype);
    seen.push(signal instanceof AbortSignal && signal === context.signal);
  });
  const client = await socket.tcpconnect(...socket.getlocal(server));
  await receiveAll(client);
  socket.close(client);
  socket.close(server);
  await task.await(serving);
  assertEquals(seen, [["signal"], true, true]);
});

test("serve() makes no signal that nobody asks for", async (server) => {
  const { AbortController } = globalThis;
  let made = 0;
  globalThis.AbortController = class extends AbortController {
    constructor() {
      super();
      made++;
    }
  };
  try {
    const ids: socket.SocketId[] = [];
    const serving = socket.serve(server, (id, context) => {
      ids.push(id);
      if (ids.length === 3) return void context.signal;
      return echo(id);
    });
    const [hostname, port] = socket.getlocal(server);
    made = 0;
    for (let n = 0; n < 5; n++) {
      const far = await Deno.connect({ hostname, port });
      await until(() => ids.length === n + 1);
      far.close();
    }
    assertEquals(made, 1);
    socket.close(server);
    await task.await(serving);
  } finally {
    globalThis.AbortController = AbortController;
  }
});

/** What a handler meets that is its peer's doing. */
const ofPeer: Record<
  string,
  [(id: socket.SocketId) => Promise<unknown>, (far: net.Socket) => void]
> = {
  "ECONNRESET from a recv": [echo, (far) => far.resetAndDestroy()],
  "ECONNRESET or EPIPE from a send": [async (id) => {
    while (true) await task.await(socket.send(id, "x".repeat(100_000)));
  }, (far) => far.resetAndDestroy()],
  "EUNEXPECTEDEOF": [(id) => task.await(socket.recvExact(id, 1000)), (far) => far.end()],
};

for (const [what, [handler, act]] of Object.entries(ofPeer)) {
  test(`serve() does not report ${what}, which is the peer's doing`, async (server) => {
    for (const told of [false, true]) {
      const codes: unknown[] = [];
      const onError = (error: unknown) => codes.push((error as socket.SocketError).code);
      let calls = 0;
      const reports = await reported(async () => {
        const serving = socket.serve(server, (id) => {
          calls++;
          return handler(id);
        }, told ? { onError } : {});
        const [host, port] = socket.getlocal(server);
        const far = net.connect({ host, port });
        await new Promise((resolve) => far.once("connect", resolve));
        await until(() => calls === 1);
        act(far);
        far.resume();
        await until(() => handlers().length === 0);
        far.destroy();
        task.cancel(serving);
      });
      assertEquals([reports, codes.length], [[], told ? 1 : 0]);
    }
  });
}

/** What looks like it and is the program's own doing. */
const ofProgram: Record<string, (id: socket.SocketId) => Promise<unknown>> = {
  EPIPE: async (id) => {
    await task.await(socket.shutdown(id));
    await task.await(socket.send(id, "too late"));
  },
  EPROTO: (id) => task.await(tls.recv(id)),
  EBADF: async (id) => {
    socket.close(id);
    await task.await(socket.recv(id));
  },
};

for (const [code, handler] of Object.entries(ofProgram)) {
  test(`serve() reports ${code} that is the handler's own doing`, async (server) => {
    const reports = await reported(async () => {
      socket.serve(server, handler);
      const client = await dial(server);
      await gone(client);
      await until(() => handlers().length === 0);
    });
    assertEquals(reports.map(([error]) => (error as socket.SocketError).code), [code]);
  });
}

test("serve() reports a reset of another connection than the handler's own", async (server) => {
  await using broken = await resettable();
  const reports = await reported(async () => {
    socket.serve(server, () => task.await(socket.recv(broken.client)));
    const client = await dial(server);
    await until(() => handlers().length === 1);
    await broken.reset();
    await gone(client);
    await until(() => handlers().length === 0);
  });
  assertEquals(reports.map(([error]) => (error as socket.SocketError).code), ["ECONNRESET"]);
});

test("serve() throws when an argument is wrong", async (server) => {
  const tasks = task.list();
  const handler = () => {};
  for (const value of [undefined, null, 5, "x", {}, []] as Anything[]) {
    assertThrows(() => socket.serve(server, value), TypeError, `"handler" must be a function`);
    assertThrows(() => socket.serve(0, value), TypeError, `"handler" must be a function`);
  }
  for (const value of [null, 5, "x", () => {}] as Anything[]) {
    assertThrows(() => socket.serve(server, handler, value), TypeError, `"options" must be`);
  }
  const option = (name: string, value: unknown) => () =>
    socket.serve(server, handler, { [name]: value });
  assertThrows(option("max", 5), TypeError, `Unknown option "max"`);
  for (const value of [0, -1, 1.5, NaN, -Infinity, 2 ** 53]) {
    assertThrows(option("maxConnections", value), RangeError, `"maxConnections" must be`);
  }
  for (const name of ["maxConnections", "grace"]) {
    for (const value of ["5", null, {}, true]) {
      assertThrows(option(name, value), TypeError, `"${name}" must be`);
    }
  }
  for (const value of [NaN, 2 ** 31]) assertThrows(option("grace", value), RangeError, `"grace"`);
  for (const value of [null, 5, {}, "log"]) {
    assertThrows(option("onError", value), TypeError, `"onError" must be a function`);
  }
  for (const value of [undefined, null, "1", 1.5, NaN] as Anything[]) {
    assertThrows(() => socket.serve(value, handler), TypeError, `"server" must be an integer`);
  }
  // Nothing was begun.
  assertEquals(task.list(), tasks);
  assertEquals((socket.inspect(server) as socket.ListenerRecord).pending, []);
  await turn();
});

test("serve() faults when the socket is no listener", async (server) => {
  const handler = () => {};
  using pair = await tcpPair();
  const running = task.spawn(() => {});
  const created = socket.create(socket.AF_INET, socket.SOCK_STREAM);
  const codes = [pair.client, created, 0, 2 ** 40, running as number].map((id) => {
    const serving = socket.serve(id, handler);
    assertEquals(task.status(serving), "Faulted");
    return faultOf(serving);
  });
  assertEquals(codes, ["EOPNOTSUPP", "EINVAL", "EBADF", "EBADF", "EBADF"]);
  socket.close(server);
  assertEquals(faultOf(socket.serve(server, handler)), "EBADF");
});

test("serve() says nothing of any failure of a handler's connection that is the network's doing", async (server) => {
  const network = [
    "ECONNRESET",
    "EUNEXPECTEDEOF",
    "ETIMEDOUT",
    "EHOSTDOWN",
    "EHOSTUNREACH",
    "ENETDOWN",
    "ENETRESET",
    "ENETUNREACH",
    "ENONET",
    "ECONNABORTED", // of a connection that was closed under its handler
  ];
  const either = ["ENOTCONN", "EPIPE", "EPROTO"];
  const program = ["EBADF", "EMSGSIZE", "EBUSY", "EINVAL"];
  // Those of both sides are the network's if the system has said so.
  const thrown: [code: string, cause?: Error][] = [
    ...network.map((code): [string] => [code]),
    ...either.map((code): [string, Error] => [code, new Error("the system's")]),
    ...either.map((code): [string] => [code]),
    ...program.map((code): [string, Error] => [code, new Error("the system's")]),
  ];
  const left = [...thrown];
  const reports = await reported(async () => {
    const serving = socket.serve(server, (id) => {
      const [code, cause] = left.shift()!;
      throw new socket.SocketError(code, "recv", { socket: id, cause });
    });
    for (const _ of thrown) {
      const client = await dial(server);
      await gone(client);
      socket.close(client);
    }
    task.cancel(serving);
    task.forget(serving);
    await task.wait();
  });
  const codes = reports.map(([error]) => (error as socket.SocketError).code);
  assertEquals(codes, [...either, ...program]);
});
