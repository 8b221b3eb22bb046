// Connections that are prepared before they are anybody's, without a network: in what order they are given,
// who is dropped and when, and whom the process waits for.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { PreparingAcceptor, type Source } from "../../socket/core/preparing.ts";
import type { Opened } from "../../socket/core/transport.ts";
import { turn, until } from "../settle.ts";

/** A connection that notes what is done with it. */
class Connection {
  readonly done: string[] = [];
  readonly opened: Opened;
  readonly preparation: PromiseWithResolvers<void> = Promise.withResolvers();
  signal: AbortSignal | undefined;
  greeted: () => void = () => {};

  constructor(readonly number: number) {
    const note = (what: string) => () => void this.done.push(what);
    const transport = { close: note("close"), ref: note("ref"), unref: note("unref") };
    this.opened = {
      transport: transport as unknown as Opened["transport"],
      local: ["127.0.0.1", 1],
      remote: ["127.0.0.1", number],
    };
  }
}

/** Gives connections when it is told to. */
class FakeSource implements Source {
  dropped = 0;
  accepts = 0;
  readonly done: string[] = [];
  readonly connections: Connection[] = [];
  #accepting: PromiseWithResolvers<Opened> | undefined;

  accept(): Promise<Opened> {
    this.accepts++;
    this.#accepting = Promise.withResolvers();
    return this.#accepting.promise;
  }

  async give(): Promise<Connection> {
    const connection = new Connection(this.connections.length);
    this.connections.push(connection);
    this.#accepting!.resolve(connection.opened);
    await turn();
    return connection;
  }

  async fail(cause: unknown): Promise<void> {
    this.#accepting!.reject(cause);
    await turn();
  }

  close(): void {
    this.done.push("close");
  }
  ref(): void {
    this.done.push("ref");
  }
  unref(): void {
    this.done.push("unref");
  }
}

/** Prepares a connection when its `preparation` says so; as others do, it closes it if that fails. */
class Fake extends PreparingAcceptor {
  readonly tls = false;
  readonly source: FakeSource;
  /** Whoever is given up does not end at once. */
  stubborn = false;

  constructor(timeout = Infinity, maxSilent = 100) {
    const source = new FakeSource();
    super(source, timeout, maxSilent);
    this.source = source;
  }

  protected override async prepare(
    opened: Opened,
    signal: AbortSignal,
    greeted: () => void,
  ): Promise<Opened> {
    const connection = this.source.connections.find((one) => one.opened === opened)!;
    connection.signal = signal;
    connection.greeted = greeted;
    signal.addEventListener("abort", () => {
      if (!this.stubborn) connection.preparation.reject(signal.reason);
    });
    try {
      await connection.preparation.promise;
      return opened;
    } catch (cause) {
      opened.transport.close();
      throw cause;
    }
  }
}

/** A wish for a connection, and which one it got. */
function wish(acceptor: Fake): { got: number | undefined; promise: Promise<unknown> } {
  const found = {
    got: undefined as number | undefined,
    promise: Promise.resolve() as Promise<unknown>,
  };
  found.promise = acceptor.accept().then((opened) => {
    found.got = opened.remote[1] as number;
  });
  return found;
}

/** Which of them are given up. */
const aborted = (list: Connection[]) =>
  list.filter(({ signal }) => signal!.aborted).map(({ number }) => number);

Deno.test("PreparingAcceptor gives first who is done first, and keeps the others", async () => {
  const acceptor = new Fake();
  const { source } = acceptor;
  const first = wish(acceptor);
  const [zero, one, two] = [await source.give(), await source.give(), await source.give()];
  assertEquals([acceptor.handshaking, acceptor.dropped, first.got], [3, 0, undefined]);
  two.preparation.resolve();
  await first.promise;
  assertEquals([acceptor.handshaking, first.got], [2, 2]);
  one.preparation.resolve();
  await turn();
  zero.preparation.resolve();
  await turn();
  assertEquals(acceptor.handshaking, 0);
  const accepts = source.accepts;
  const kept = [wish(acceptor), wish(acceptor)];
  await Promise.all(kept.map(({ promise }) => promise));
  assertEquals(kept.map(({ got }) => got), [1, 0]);
  assertEquals(source.accepts, accepts); // nobody else was asked for
  acceptor.close();
});

Deno.test("PreparingAcceptor accepts one at a time, as long as one is wanted", async () => {
  const acceptor = new Fake();
  const { source } = acceptor;
  assertEquals(source.accepts, 0);
  const first = wish(acceptor);
  assertEquals(source.accepts, 1);
  const zero = await source.give();
  assertEquals(source.accepts, 2);
  zero.preparation.resolve();
  await first.promise;
  assertEquals(source.accepts, 2); // one is under way still
  const second = wish(acceptor);
  assertEquals(source.accepts, 2);
  const one = await source.give();
  one.preparation.resolve();
  await second.promise;
  assertEquals(source.accepts, 3);
  await source.give(); // nobody wants more
  assertEquals(source.accepts, 3);
  acceptor.close();
});

Deno.test("PreparingAcceptor drops and counts whom it could not prepare, beside what its source has", async () => {
  const acceptor = new Fake();
  const first = wish(acceptor);
  const [zero, one] = [await acceptor.source.give(), await acceptor.source.give()];
  zero.preparation.reject(new Error("nonsense"));
  await turn();
  assertEquals([acceptor.dropped, acceptor.handshaking, first.got], [1, 1, undefined]);
  acceptor.source.dropped = 5;
  assertEquals(acceptor.dropped, 6);
  one.preparation.resolve();
  await first.promise;
  assertEquals([acceptor.dropped, first.got], [6, 1]);
  acceptor.close();
});

Deno.test("PreparingAcceptor lets so many be silent, and gives up the one that came first", async () => {
  const acceptor = new Fake(Infinity, 2);
  const { source } = acceptor;
  const { connections } = source;
  wish(acceptor).promise.catch(() => {});
  await source.give();
  await source.give();
  assertEquals(aborted(connections), []);
  await source.give();
  assertEquals([aborted(connections), acceptor.dropped, acceptor.handshaking], [[0], 1, 2]);
  connections[1].preparation.reject(new Error("gone")); // makes room
  await turn();
  await source.give();
  assertEquals(aborted(connections), [0]);
  await source.give();
  assertEquals(aborted(connections), [0, 2]);
  acceptor.close();
  await turn();
});

Deno.test("PreparingAcceptor gives up one for each that is too many, however long those take to end", async () => {
  const acceptor = new Fake(Infinity, 2);
  acceptor.stubborn = true;
  const { connections } = acceptor.source;
  wish(acceptor).promise.catch(() => {});
  for (let i = 0; i < 4; i++) await acceptor.source.give();
  assertEquals(aborted(connections), [0, 1]);
  acceptor.close();
  for (const { preparation } of connections) preparation.reject(new Error("closed"));
  await turn();
});

Deno.test("PreparingAcceptor counts those who have spoken apart, and lets four times as many be", async () => {
  const acceptor = new Fake(Infinity, 2);
  const { source } = acceptor;
  const { connections } = source;
  wish(acceptor).promise.catch(() => {});
  for (let i = 0; i < 8; i++) (await source.give()).greeted();
  assertEquals([aborted(connections), acceptor.handshaking], [[], 8]);
  await source.give();
  await source.give(); // silence pushes nobody out who has spoken
  assertEquals(aborted(connections), []);
  connections[9].greeted();
  await turn();
  assertEquals([aborted(connections), acceptor.handshaking], [[0], 9]);
  connections[0].greeted(); // too late to count
  connections[1].preparation.reject(new Error("gone"));
  await turn();
  connections[8].greeted();
  assertEquals(aborted(connections), [0]);
  (await source.give()).greeted();
  assertEquals(aborted(connections), [0, 2]);
  acceptor.close();
  await turn();
});

Deno.test("PreparingAcceptor gives a preparation up when its time is over, and no other", async () => {
  const acceptor = new Fake(1);
  wish(acceptor).promise.catch(() => {});
  const zero = await acceptor.source.give();
  await until(() => zero.signal!.aborted);
  await turn();
  assertEquals([acceptor.dropped, acceptor.handshaking, zero.done], [1, 0, ["unref", "close"]]);
  acceptor.close();

  const patient = new Fake(60_000);
  const first = wish(patient);
  const one = await patient.source.give();
  await turn();
  assertEquals(one.signal!.aborted, false);
  one.preparation.resolve();
  await first.promise; // no timer is left, or the sanitizer would see it
  patient.close();

  const impatient = new Fake(-5);
  wish(impatient).promise.catch(() => {});
  const two = await impatient.source.give();
  await until(() => two.signal!.aborted);
  impatient.close();
  await turn();
});

Deno.test("PreparingAcceptor.accept() rejects with the failure of its source, once, now or the next time", async () => {
  const acceptor = new Fake();
  const { source } = acceptor;
  const first = wish(acceptor);
  await Promise.all([
    assertRejects(() => first.promise, Error, "full"),
    source.fail(new Error("full")),
  ]);
  const second = wish(acceptor);
  const zero = await source.give();
  zero.preparation.resolve();
  await second.promise;
  await source.fail(new Error("late")); // nobody waits for it
  await assertRejects(() => acceptor.accept(), Error, "late");
  const third = wish(acceptor);
  (await source.give()).preparation.resolve();
  await third.promise;
  assertEquals(third.got, 1);
  acceptor.close();
});

Deno.test("PreparingAcceptor.close() closes all that nobody has yet, and counts none of it", async () => {
  const acceptor = new Fake();
  const { source } = acceptor;
  const first = wish(acceptor);
  const [zero, one] = [await source.give(), await source.give()];
  zero.preparation.resolve();
  await first.promise;
  const two = await source.give();
  one.preparation.resolve();
  await turn(); // it is kept
  acceptor.close();
  assertEquals([one.done, source.done.at(-1), two.signal!.aborted], [
    ["unref", "close"],
    "close",
    true,
  ]);
  await turn();
  assertEquals([two.done, acceptor.dropped, acceptor.handshaking], [["unref", "close"], 0, 0]);
  assertEquals(zero.done, ["unref", "ref"]); // it is somebody's
});

Deno.test("PreparingAcceptor.close() rejects who waits, and closes whoever comes afterwards", async () => {
  const acceptor = new Fake();
  const { source } = acceptor;
  const { BadResource } = Deno.errors;
  const waiting = assertRejects(() => acceptor.accept(), BadResource, "Listener was closed");
  acceptor.close();
  await waiting;
  const late = await source.give();
  assertEquals([late.done, late.signal, acceptor.handshaking], [["close"], undefined, 0]);

  const failing = new Fake();
  const wanted = assertRejects(() => failing.accept(), BadResource);
  failing.close();
  await failing.source.fail(new Error("closed")); // is not anybody's
  await wanted;
});

Deno.test("PreparingAcceptor.close() closes who was prepared in that very moment", async () => {
  const acceptor = new Fake();
  wish(acceptor).promise.catch(() => {});
  const zero = await acceptor.source.give();
  zero.preparation.resolve();
  acceptor.close();
  await turn();
  assertEquals(zero.done, ["unref", "close"]);
});

Deno.test("PreparingAcceptor keeps the process alive by its source, while somebody waits", async () => {
  const acceptor = new Fake();
  const { source } = acceptor;
  const first = wish(acceptor);
  assertEquals(source.done, ["ref"]);
  const zero = await source.give();
  assertEquals(zero.done, ["unref"]); // no preparation does
  zero.preparation.resolve();
  await first.promise;
  assertEquals([source.done, zero.done], [["ref", "unref"], ["unref", "ref"]]);
  const one = await source.give();
  one.preparation.resolve();
  await turn();
  assertEquals(one.done, ["unref"]); // nobody has it yet
  await wish(acceptor).promise;
  assertEquals(one.done, ["unref", "ref"]);
  source.done.length = 0;

  acceptor.unref();
  assertEquals(source.done, ["unref"]);
  wish(acceptor).promise.catch(() => {});
  assertEquals(source.done, ["unref"]);
  acceptor.ref();
  assertEquals(source.done, ["unref", "ref"]);
  await source.give().then(({ preparation }) => preparation.resolve());
  await turn();
  source.done.length = 0;
  wish(acceptor).promise.catch(() => {});
  assertEquals(source.done, ["ref"]);
  acceptor.close();
  assert(source.done.includes("close"));
  await turn();
});

Deno.test("PreparingAcceptor lets no timer of its own keep the process alive", async () => {
  const { unrefTimer } = Deno;
  let timers = 0;
  Deno.unrefTimer = (id) => {
    timers++;
    unrefTimer(id);
  };
  try {
    const acceptor = new Fake(60_000);
    wish(acceptor).promise.catch(() => {});
    await acceptor.source.give();
    assertEquals(timers, 1);
    acceptor.close();
    await turn();
  } finally {
    Deno.unrefTimer = unrefTimer;
  }
});
