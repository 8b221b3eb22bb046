// The server with a process per core: who serves whom, and what becomes of the processes.

import { assertEquals, assertGreater, assertMatch } from "@std/assert";
import { socket, task } from "@taskio/net";
import { leavingNothing, until } from "../settle.ts";
import { portOf, Program } from "./program.ts";

const linux = Deno.build.os === "linux";

function test(name: string, run: () => Promise<void>): void {
  Deno.test({
    name: linux ? name : `${name} (skipped: only Linux spreads connections over SO_REUSEPORT)`,
    ignore: !linux,
    fn: () => leavingNothing(run),
  });
}

interface Server extends AsyncDisposable {
  readonly program: Program;
  readonly port: number;
  /** The process of each place. */
  readonly pids: Map<string, number>;
}

const LISTENS = /^(Server \d) listens, process (\d+)$/;

async function start(processes: number, ...flags: string[]): Promise<Server> {
  const program = new Program(
    "multicore_server",
    "--port=0",
    `--processes=${processes}`,
    ...flags,
  );
  const pids = new Map<string, number>();
  for (let i = 0; i < processes; i++) {
    const [, name, pid] = LISTENS.exec(await program.line())!;
    pids.set(name, Number(pid));
  }
  const running = await program.line();
  assertMatch(running, RegExp(`^${processes} processes running on 127\\.0\\.0\\.1:\\d+$`));
  return {
    program,
    pids,
    port: portOf(running),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

async function echo(port: number, text: string): Promise<string> {
  const id = await socket.tcpconnect("127.0.0.1", port);
  try {
    await task.await(socket.send(id, text));
    await task.await(socket.shutdown(id));
    const decoder = new TextDecoder();
    let reply = "";
    for (let data; (data = await task.await(socket.recv(id))).length > 0;) {
      reply += decoder.decode(data, { stream: true });
    }
    return reply;
  } finally {
    socket.close(id);
  }
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

test("multicore_server spreads connections and tells who served what", async () => {
  await using server = await start(2);
  const texts = Array.from({ length: 60 }, (_, i) => `text ${i}`);
  assertEquals(await Promise.all(texts.map((text) => echo(server.port, text))), texts);

  server.program.kill("SIGINT");
  const { code, stdout, stderr } = await server.program.ended();
  assertEquals([code, stderr], [0, ""]);
  const told = [...stdout.matchAll(/^Server (\d) served (\d+) connections, (\d+) bytes$/gm)];
  assertEquals(told.map(([, place]) => place), ["1", "2"]);
  const sum = (column: number) => told.reduce((sum, row) => sum + Number(row[column]), 0);
  assertEquals([sum(2), sum(3)], [60, texts.join("").length]);
  // By chance, all 60 go to one of them once in 2^59 runs.
  for (const [, , connections] of told) assertGreater(Number(connections), 0);
  for (const pid of server.pids.values()) assertEquals(isAlive(pid), false);
});

test("multicore_server starts a process again that died", async () => {
  await using server = await start(2);
  const [name, pid] = [...server.pids][0];
  Deno.kill(pid, "SIGKILL");
  assertEquals(await server.program.errorLine(), `${name} died (SIGKILL), process ${pid}`);
  const [, again, next] = LISTENS.exec(await server.program.line())!;
  assertEquals(again, name);
  assertEquals(isAlive(Number(next)), true);
  assertEquals(await echo(server.port, "hello"), "hello");
  server.program.kill("SIGINT");
  assertEquals((await server.program.ended()).code, 0);
});

test("multicore_server lets clients end when it is interrupted", async () => {
  await using server = await start(2, "--grace=20000");
  const id = await socket.tcpconnect("127.0.0.1", server.port);
  await task.await(socket.send(id, "before"));
  assertEquals((await task.await(socket.recvExact(id, 6))).length, 6);
  server.program.kill("SIGINT");
  // Nobody listens any more, and the client is still served.
  const refused = async () =>
    await echo(server.port, "").then(() => false, (error) => error.code === "ECONNREFUSED");
  while (!await refused()) await task.sleep(10);
  await task.await(socket.send(id, "meanwhile"));
  assertEquals((await task.await(socket.recvExact(id, 9))).length, 9);
  await task.await(socket.finish(id));
  const { code, stdout } = await server.program.ended();
  assertEquals(code, 0);
  assertMatch(stdout, / served \d+ connections, 15 bytes$/m);
});

test("multicore_server leaves no process behind when the first is killed", async () => {
  await using server = await start(2);
  server.program.kill("SIGKILL");
  for (const pid of server.pids.values()) await until(() => !isAlive(pid));
});
