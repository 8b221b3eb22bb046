// Connecting: what becomes of an attempt that nobody waits for any more, however the system goes on.

import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { dial } from "../../socket/core/dial.ts";
import { handles } from "../../socket/core/handle.ts";
import type { Opened, Transport } from "../../socket/core/transport.ts";
import type { Unbound } from "../../socket/core/unbound.ts";
import { codeOf, faultOf, leavingNothing, turn } from "../settle.ts";

const test = (name: string, run: () => Promise<void>) => Deno.test(name, () => leavingNothing(run));

const REMOTE: socket.Address = ["192.0.2.1", 9];

/** An attempt of the system's that heeds no signal and ends when it is told to. */
class Attempt {
  readonly #opened = Promise.withResolvers<Opened>();
  signal: AbortSignal | undefined;
  closed = 0;

  readonly open = (signal: AbortSignal): Promise<Opened> => {
    this.signal = signal;
    return this.#opened.promise;
  };

  async succeed(): Promise<void> {
    const transport: Transport = {
      read: () => new Promise(() => {}),
      write: (data) => Promise.resolve(data.length),
      closeWrite: () => Promise.resolve(),
      close: () => this.closed++,
    };
    this.#opened.resolve({ transport, local: ["192.0.2.2", 1], remote: REMOTE });
    await turn();
  }

  async fail(): Promise<void> {
    this.#opened.reject(new Deno.errors.ConnectionRefused("why"));
    await turn();
  }
}

const created = () => handles.get(socket.create(socket.AF_INET, socket.SOCK_STREAM)) as Unbound;

test("connect() closes a connection that comes after it was given up, and makes no socket of it", async () => {
  const giveUps: ((id: task.TaskId, controller: AbortController) => unknown)[] = [
    (id) => task.cancel(id),
    (_, controller) => controller.abort("enough"),
  ];
  for (const giveUp of giveUps) {
    for (const end of ["succeed", "fail"] as const) {
      const attempt = new Attempt();
      const controller = new AbortController();
      const id = dial(REMOTE, { timeout: 60_000, signal: controller.signal }, attempt.open);
      assertEquals(task.inspect(id)?.socket, undefined);
      giveUp(id, controller);
      assertEquals([task.status(id), attempt.signal?.aborted], ["Faulted", true]);
      const fault = task.error(id);
      await attempt[end]();
      assertEquals([attempt.closed, socket.list()], [end === "succeed" ? 1 : 0, []]);
      assertEquals(task.error(id), fault);
      task.forget(id);
    }
  }
});

test("connect() of a created socket that is closed gives the attempt up at once", async () => {
  const handle = created();
  const attempt = new Attempt();
  const id = dial(REMOTE, { timeout: 60_000 }, attempt.open, handle);
  assertEquals(task.inspect(id)?.socket, handle.id);
  socket.close(handle.id);
  assertEquals([faultOf(id), attempt.signal?.aborted], ["ECONNABORTED", true]);
  task.forget(id);
  await turn(); // the attempt goes on for ever, and its timer is gone
});

test("connect() of a created socket can be called again as soon as the first was given up", async () => {
  const handle = created();
  const first = new Attempt();
  const id = dial(REMOTE, { timeout: 1 }, first.open, handle);
  await assertRejects(() => task.await(id), socket.SocketError, "ETIMEDOUT");
  assertEquals(handle.attempt, undefined);
  const second = new Attempt();
  const again = dial(REMOTE, { timeout: 60_000 }, second.open, handle);
  await first.fail(); // which says nothing about the second
  assertInstanceOf(handle.attempt, Object);
  await second.succeed();
  assertEquals(await task.await(again), handle.id);
  assertEquals(socket.getpeer(handle.id), REMOTE);
  socket.close(handle.id);
  assertEquals([first.closed, second.closed], [0, 1]);
});

test("connect() faults with the reason of the signal, which keeps its stack", async () => {
  const reason = new Error("enough");
  const { stack } = reason;
  const controller = new AbortController();
  const attempt = new Attempt();
  const id = dial(REMOTE, { signal: controller.signal }, attempt.open);
  controller.abort(reason);
  assertEquals(task.error(id), reason);
  assertEquals(reason.stack, stack);
  task.forget(id);
  const refused = new Attempt();
  const failing = dial(REMOTE, {}, refused.open);
  await refused.fail();
  assertEquals(await codeOf(failing), "ECONNREFUSED");
});
