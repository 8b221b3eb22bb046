// Several copies of the module in one thread: each knows its own sockets and tasks alone.

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import * as one from "../../mod.ts";
import { completed, leaveNothing } from "./helpers.ts";

leaveNothing();

type Copy = typeof one;

/** A copy of the module's files elsewhere, as an import by another path or URL gives. */
async function copyModule(): Promise<Copy> {
  const root = new URL("../../", import.meta.url);
  const folder = await Deno.makeTempDir({ prefix: "taskio_" });
  try {
    await Deno.copyFile(new URL("mod.ts", root), `${folder}/mod.ts`);
    for (const part of ["task", "socket", "tls"]) await copyFolder(part, root, folder);
    const { href } = new URL(`file://${folder}/mod.ts`);
    return await import(href);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function copyFolder(path: string, from: URL, to: string): Promise<void> {
  await Deno.mkdir(`${to}/${path}`);
  for (const { name, isFile } of Deno.readDirSync(new URL(path, from))) {
    if (isFile) await Deno.copyFile(new URL(`${path}/${name}`, from), `${to}/${path}/${name}`);
    else await copyFolder(`${path}/${name}`, from, to);
  }
}

const two = await copyModule();

Deno.test("copies of the module in one thread share the counter", async () => {
  const ids: number[] = [];
  for (let i = 0; i < 50; i++) {
    const { socket, task } = i % 2 === 0 ? one : two;
    const id = task.spawn(() => i);
    const server = socket.tcpserver("127.0.0.1", 0);
    ids.push(id, server);
    assertEquals(await task.await(id), i);
    socket.close(server);
  }
  assertEquals(ids, Array.from(ids, (_, i) => ids[0] + i));
});

Deno.test("an ID of one copy of the module is unknown to the other, which says so", async () => {
  const server = one.socket.tcpserver("127.0.0.1", 0);
  const spawned = await completed("mine");

  assertEquals(two.task.status(spawned), "Unknown");
  assertEquals([two.task.result(spawned), two.task.cancel(spawned)], [undefined, false]);
  await assertRejects(
    () => two.task.await(spawned),
    two.task.UnknownTaskError,
    `Task ${spawned} not found. It is a task of another copy of this module`,
  );
  await assertRejects(
    () => two.task.await(server as number),
    two.task.UnknownTaskError,
    `Task ${server} not found. It is a socket of another copy of this module`,
  );
  assertThrows(
    () => two.socket.getlocal(server),
    two.socket.SocketError,
    `${server} is a socket of another copy of this module (EBADF)`,
  );
  assertThrows(
    () => two.socket.getlocal(spawned as number),
    two.socket.SocketError,
    `${spawned} is a task of another copy of this module, not a socket (EBADF)`,
  );
  two.socket.close(server);
  two.task.forget(spawned);

  assertEquals(one.socket.isopen(server), true);
  one.socket.close(server);
  assertEquals(await one.task.await(spawned), "mine");
});
