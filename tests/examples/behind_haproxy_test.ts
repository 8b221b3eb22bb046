// The example with a real HAProxy: processes come and go under load, and nobody notices.

import { assertEquals, assertMatch } from "@std/assert";
import { socket, task } from "@taskio/net";
import { freePorts, type Haproxy, hasHaproxy, startHaproxy } from "../balancers.ts";
import { leavingNothing, until } from "../settle.ts";
import { Program } from "./program.ts";

const configuration = await Deno.readTextFile(
  new URL("../../examples/behind_haproxy/haproxy.cfg", import.meta.url),
);

interface Place {
  readonly name: string;
  readonly port: number;
  readonly agent: number;
}

const PROGRAM = "behind_haproxy/server";

async function startServer({ name, port, agent }: Place, ...flags: string[]): Promise<Program> {
  const places = [`--name=${name}`, `--port=${port}`, `--agent=${agent}`];
  const program = new Program(PROGRAM, ...places, ...flags);
  assertEquals(await program.line(), `${name} running on 127.0.0.1:${port}`);
  return program;
}

/** How many processes have answered a health check. */
async function countUp(balancer: Haproxy): Promise<number> {
  const rows = await balancer.ask("show stat");
  return rows.match(/^processes,[abc],.*,UP,.*,(?:\* )?L7OK,/gm)?.length ?? 0;
}

/** Clients that connect, have five lines answered and go, over and over. */
class Load {
  /** How many connections each process has served. */
  readonly served: Record<string, number> = { a: 0, b: 0, c: 0 };
  readonly lost: string[] = [];
  readonly #port: number;
  readonly #clients: Promise<void>[];
  #stopped = false;

  constructor(port: number, clients: number) {
    this.#port = port;
    this.#clients = Array.from({ length: clients }, () => this.#run());
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        this.served[await this.#converse()]++;
      } catch (error) {
        this.lost.push(String(error));
      }
    }
  }

  async #converse(): Promise<string> {
    const id = await socket.tcpconnect("127.0.0.1", this.#port);
    try {
      const names = new Set<string>();
      for (let i = 0; i < 5; i++) {
        await task.await(socket.send(id, `line ${i}\n`));
        const answer = await task.await(socket.recvLine(id), { timeout: 20_000, cancel: true });
        // The process has the client's own address, not HAProxy's.
        const [name, rest] = answer?.split(" to ") ?? [];
        assertEquals(rest, `127.0.0.1:${socket.getlocal(id)[1]}: line ${i}`);
        names.add(name);
        await task.sleep(5);
      }
      assertEquals(names.size, 1);
      await task.await(socket.finish(id, { timeout: 20_000 }));
      return [...names][0];
    } finally {
      socket.close(id);
    }
  }

  /** Waits until so many more connections have been served, by whomever or by one process. */
  async more(count: number, name?: string): Promise<void> {
    const now = () => name === undefined ? this.total : this.served[name];
    const wanted = now() + count;
    await until(() => now() >= wanted, `${wanted} connections served by ${name ?? "all"}`);
  }

  get total(): number {
    return Object.values(this.served).reduce((sum, n) => sum + n);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
  }
}

type Run = (balancer: Haproxy, places: readonly Place[]) => Promise<void>;

async function withHaproxy(run: Run): Promise<void> {
  const ports = freePorts(6);
  const places = ["a", "b", "c"].map((name, i) => ({
    name,
    port: ports[2 * i],
    agent: ports[2 * i + 1],
  }));
  await using balancer = await startHaproxy(() => configuration, (port, folder) => ({
    FRONT: String(port),
    ADMIN: `${folder}/admin.sock`,
    EVERY: "100ms",
    ...Object.fromEntries(
      places.flatMap(({ name, port, agent }) => [
        [name.toUpperCase(), String(port)],
        [`${name.toUpperCase()}_AGENT`, String(agent)],
      ]),
    ),
  }));
  await run(balancer, places);
}

function test(name: string, run: Run): void {
  Deno.test({
    name: hasHaproxy ? name : `${name} (skipped: haproxy is not installed)`,
    ignore: !hasHaproxy,
    fn: () => leavingNothing(() => withHaproxy(run)),
  });
}

test(
  "behind_haproxy loses nothing when a process ends and comes back",
  async (balancer, places) => {
    const programs = await Promise.all(places.map((place) => startServer(place)));
    await using _ = new AsyncDisposableStack();
    for (const program of programs) _.use(program);
    const [a, b, c] = programs;

    while (await countUp(balancer) !== 3) await task.sleep(10);
    const load = new Load(balancer.port, 20);
    for (const { name } of places) await load.more(5, name);

    a.kill("SIGTERM");
    assertEquals(await a.line(), "a takes itself out of the rotation");
    const first = await a.line();
    assertMatch(first, /^a served \d+ connections, 0 were cut off$/);
    assertEquals(await a.ended(), { code: 0, stdout: "", stderr: "" });
    const servedByA = load.served.a;
    await load.more(100);
    assertEquals(load.served.a, servedByA);

    const again = await startServer(places[0]);
    _.use(again);
    await load.more(5, "a");
    await load.stop();
    assertEquals(load.lost, []);

    // Every connection was one of one process, and each of them counted it.
    const told: Record<string, number> = { a: Number(first.split(" ")[2]), b: 0, c: 0 };
    for (const [name, program] of Object.entries({ a: again, b, c })) {
      program.kill("SIGTERM");
      const { code, stdout, stderr } = await program.ended();
      assertEquals([code, stderr], [0, ""]);
      told[name] += Number(/served (\d+) connections, 0 were cut off/.exec(stdout)![1]);
    }
    assertEquals(told, load.served);
  },
);

/** The answer to one line; `null` if there is none, for want of a process. */
async function ask(id: socket.SocketId, line: string): Promise<string | null> {
  await task.await(socket.send(id, `${line}\n`));
  return await task.await(socket.recvLine(id), { timeout: 20_000, cancel: true });
}

/** A client whose first line has been answered. */
async function answered(port: number): Promise<[id: socket.SocketId, answer: string]> {
  for (;;) {
    const id = await socket.tcpconnect("127.0.0.1", port);
    const answer = await ask(id, "before").catch(() => null);
    if (answer !== null) return [id, answer];
    socket.close(id); // HAProxy has not heard of the process yet
    await task.sleep(20);
  }
}

test("behind_haproxy lets a client go on while its process drains", async (balancer, places) => {
  await using a = await startServer(places[0]);
  const [client, answer] = await answered(balancer.port);
  const from = `127.0.0.1:${socket.getlocal(client)[1]}`;
  assertEquals(answer, `a to ${from}: before`);

  a.kill("SIGTERM");
  while (!(await balancer.ask("show stat")).includes(",DRAIN")) await task.sleep(10);
  assertEquals(await ask(client, "meanwhile"), `a to ${from}: meanwhile`);
  await a.line(); // "a takes itself out of the rotation"
  await task.await(socket.finish(client, { timeout: 20_000 }));
  assertEquals(await a.ended(), {
    code: 0,
    stdout: "a served 1 connections, 0 were cut off\n",
    stderr: "",
  });
});

test("behind_haproxy cuts off who stays longer than the grace", async (balancer, places) => {
  await using a = await startServer(places[0], "--grace=100");
  const [client] = await answered(balancer.port);
  a.kill("SIGTERM");
  assertEquals(await task.await(socket.recvLine(client)).catch(() => null), null);
  socket.close(client);
  const { code, stdout } = await a.ended();
  assertEquals(code, 0);
  assertMatch(stdout, /\na served 1 connections, 1 were cut off\n$/);
});

test("behind_haproxy does without a process that was killed", async (balancer, places) => {
  await using _a = await startServer(places[0]);
  await using b = await startServer(places[1]);
  (await balancer.ask("show stat")).match(/^processes,[abc],.*,UP,/gm)?.length;
  while (await countUp(balancer) !== 2) await task.sleep(10);
  b.kill("SIGKILL");
  await b.ended();
  for (let i = 0; i < 20; i++) {
    const client = await socket.tcpconnect("127.0.0.1", balancer.port);
    assertEquals((await ask(client, "hello"))?.[0], "a");
    await task.await(socket.finish(client));
  }
  while (await countUp(balancer) !== 1) await task.sleep(10);
});

test("behind_haproxy ends though a HAProxy that has asked is gone", async (_, [place]) => {
  const agent = freePorts(1)[0];
  await using a = await startServer({ ...place, agent }, "--patience=10");
  const gone = await socket.tcpconnect("127.0.0.1", agent);
  assertEquals(await task.await(socket.recvLine(gone)), "up ready");
  socket.close(gone);
  a.kill("SIGTERM");
  assertMatch((await a.ended()).stdout, /\na served 0 connections, 0 were cut off\n$/);
});
