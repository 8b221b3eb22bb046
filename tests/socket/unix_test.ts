import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { receiveAll, textOf } from "../bytes.ts";
import { canCount, descriptorsBackTo, openDescriptors } from "../descriptors.ts";
import { codeOf, faultOf, leavingNothing, thrownBy, turn, until } from "../settle.ts";
import { type Outcome, runProgram } from "../subprocess.ts";

/** Registers a test that is given a folder of its own; its sockets are closed afterwards. */
function test(name: string, run: (folder: string) => Promise<void> | void): void {
  Deno.test({
    name,
    ignore: Deno.build.os === "windows",
    fn: () =>
      leavingNothing(async () => {
        const before = new Set(socket.list());
        const folder = await Deno.makeTempDir({ prefix: "taskio_" });
        try {
          await run(folder);
        } finally {
          socket.list().filter((id) => !before.has(id)).forEach(socket.close);
          await turn();
          await Deno.remove(folder, { recursive: true });
        }
      }),
  });
}

const names = (folder: string) => Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();

/** Connects to a path and gives both ends. */
async function connected(
  server: socket.SocketId,
  path: string,
): Promise<[client: socket.SocketId, peer: socket.SocketId]> {
  const accepting = socket.accept(server);
  const client = await socket.unixconnect(path);
  return [client, await task.await(accepting)];
}

/** Text goes both ways. */
async function assertTalk(server: socket.SocketId, path: string): Promise<void> {
  const [client, peer] = await connected(server, path);
  socket.send(client, "there");
  assertEquals(textOf(await task.await(socket.recv(peer))), "there");
  socket.send(peer, "back");
  assertEquals(textOf(await task.await(socket.recv(client))), "back");
  [client, peer].forEach(socket.close);
}

test("unixserver() and unixconnect() talk over a path", async (folder) => {
  const path = `${folder}/talk.sock`;
  const server = socket.unixserver(path);
  assert(Deno.lstatSync(path).isSocket);
  // Nothing but the socket's own file.
  assertEquals(names(folder), ["talk.sock"]);
  await assertTalk(server, path);
  await assertTalk(server, path);
});

test("unixserver() and unixconnect() give sockets like any other", async (folder) => {
  const path = `${folder}/like.sock`;
  const server = socket.unixserver(path, 5);
  const [client, peer] = await connected(server, path);
  assertEquals(socket.getlocal(server), [path, 0]);
  assertEquals([socket.getlocal(client), socket.getpeer(client)], [["", 0], [path, 0]]);
  assertEquals([socket.getlocal(peer), socket.getpeer(peer)], [[path, 0], ["", 0]]);
  assertEquals([client, peer].map(socket.getside), ["client", "server"]);
  assertEquals([client, peer, server].map(socket.isopen), [true, true, true]);
  assertEquals([client, peer, server].map(socket.istls), [false, false, false]);
  const kinds = [server, client, peer].map((id) => socket.inspect(id)!.kind);
  assertEquals(kinds, ["listener", "stream", "stream"]);
  assertEquals(socket.inspect(server)!.local, [path, 0]);
  socket.close(peer);
  assertEquals(await receiveAll(client), new Uint8Array(0));
  assertEquals(socket.getpeer(client), [path, 0]);
});

test("unixserver() serves, polls and cancels like any other", async (folder) => {
  const path = `${folder}/serve.sock`;
  const server = socket.unixserver(path);
  assertEquals(socket.hasconnection(server), false);
  const client = await socket.unixconnect(path);
  await until(() => socket.hasconnection(server));
  const cancelled = socket.accept(server);
  socket.close(await task.await(cancelled));
  const waiting = socket.accept(server);
  assertEquals(task.cancel(waiting), true);
  const serving = socket.serve(server, (id) => task.await(socket.send(id, "served")));
  const other = await socket.unixconnect(path);
  assertEquals(textOf(await receiveAll(other)), "served");
  [client, server].forEach(socket.close);
  await task.await(serving);
});

test("unixserver() takes relative paths", async (folder) => {
  const before = Deno.cwd();
  Deno.chdir(folder);
  try {
    for (
      const path of ["relative.sock", "./dotted.sock", "../" + folder.split("/").at(-1) + "/x"]
    ) {
      const server = socket.unixserver(path);
      await assertTalk(server, path);
      assertEquals(thrownBy(() => socket.unixserver(path)), "EADDRINUSE");
      socket.close(server);
      await turn();
      assertEquals(names("."), []);
    }
  } finally {
    Deno.chdir(before);
  }
});

test("close() removes the file of a relative path after chdir()", async (folder) => {
  const name = "rel.sock";
  const source = `
      Deno.chdir(${JSON.stringify(folder)});
      const server = socket.unixserver("${name}");
      Deno.mkdirSync("sub");
      Deno.writeTextFileSync("sub/${name}", "precious");
      Deno.chdir("sub");
      const client = await socket.unixconnect("../${name}");
      const peer = await task.await(socket.accept(server));
      console.log(socket.getlocal(server)[0], socket.getlocal(peer)[0]);
      [client, peer, server].forEach(socket.close);
    `;
  const { stdout, stderr } = await runProgram(source, ["--no-check", "--allow-all"]);
  assertEquals([stdout, stderr], [`${name} ${name}\n`, ""]);
  assertEquals(names(folder), ["sub"]);
  assertEquals(Deno.readTextFileSync(`${folder}/sub/${name}`), "precious");
});

test("unixserver() works at the longest path that the system takes", async (folder) => {
  const room = 107 - folder.length - 1;
  for (const length of [room - 30, room - 1, room]) {
    const path = `${folder}/${"x".repeat(length)}`;
    const server = socket.unixserver(path);
    await assertTalk(server, path);
    socket.close(server);
    await turn();
    assertEquals(names(folder), []);
  }
  const path = `${folder}/${"x".repeat(room + 1)}`;
  const text = "file name too long, the path has 108 bytes and 107 is the most (ENAMETOOLONG)";
  const thrown = assertThrows(() => socket.unixserver(path), socket.SocketError);
  assertEquals([thrown.code, thrown.message], ["ENAMETOOLONG", `listen ${path}: ${text}`]);
  const rejected = await assertRejects(() => socket.unixconnect(path), socket.SocketError);
  assertEquals([rejected.code, rejected.message], ["ENAMETOOLONG", `connect ${path}: ${text}`]);
  assertInstanceOf(rejected.cause, TypeError); // Deno's own
});

test("unixserver() and unixconnect() say so when the path has a NUL", async (folder) => {
  const path = `${folder}/a\0b`;
  const shown = `${folder}/a\\u{0}b`;
  const text = "invalid argument, a path has no NUL in it (EINVAL)";
  const thrown = assertThrows(() => socket.unixserver(path), socket.SocketError);
  assertEquals(thrown.message, `listen ${shown}: ${text}`);
  const rejected = await assertRejects(() => socket.unixconnect(path), socket.SocketError);
  assertEquals(rejected.message, `connect ${shown}: ${text}`);
});

test("unixconnect() names a relative path as it is", async () => {
  const { message } = await assertRejects(() => socket.unixconnect("rel.sock"), socket.SocketError);
  assertEquals(message, "connect rel.sock: no such file or directory (ENOENT)");
});

for (const pending of [0, 1, 3]) {
  test(`close() removes the file when ${pending} accepts are pending`, async (folder) => {
    const path = `${folder}/gone.sock`;
    const server = socket.unixserver(path);
    const ids = Array.from({ length: pending }, () => socket.accept(server));
    await turn();
    socket.close(server);
    assertEquals(names(folder), []);
    assertEquals(ids.map(faultOf), new Array(pending).fill("ECONNABORTED"));
    await turn();
    const error = await assertRejects(() => socket.unixconnect(path), socket.SocketError);
    assertEquals([error.code, error.op, error.remote], ["ENOENT", "connect", [path, 0]]);
  });

  test(`close() leaves the path to the next when ${pending} accepts are pending`, async (folder) => {
    const path = `${folder}/again.sock`;
    let server = socket.unixserver(path);
    for (let n = 0; n < 3; n++) {
      const ids = Array.from({ length: pending }, () => socket.accept(server));
      if (n > 0) await turn();
      socket.close(server);
      server = socket.unixserver(path);
      ids.forEach(task.forget);
      for (let n = 0; n < 5; n++) await turn();
      await assertTalk(server, path);
    }
  });

  test(`close() leaves what took the path when ${pending} accepts are pending`, async (folder) => {
    const path = `${folder}/taken.sock`;
    const server = socket.unixserver(path);
    for (let n = 0; n < pending; n++) task.forget(socket.accept(server));
    Deno.removeSync(path);
    const other = socket.unixserver(path);
    socket.close(server);
    for (let n = 0; n < 5; n++) await turn();
    await assertTalk(other, path);
    for (let n = 0; n < pending; n++) task.forget(socket.accept(other));
    Deno.removeSync(path);
    Deno.writeTextFileSync(path, "precious");
    socket.close(other);
    for (let n = 0; n < 5; n++) await turn();
    assertEquals(Deno.readTextFileSync(path), "precious");
  });
}

test("close() minds no file that is gone already or has moved", async (folder) => {
  const path = `${folder}/moved.sock`;
  const server = socket.unixserver(path);
  Deno.renameSync(path, `${folder}/elsewhere.sock`);
  await assertTalk(server, `${folder}/elsewhere.sock`);
  socket.close(server);
  await turn();
  assertEquals(names(folder), ["elsewhere.sock"]);
  const other = socket.unixserver(path);
  Deno.removeSync(path);
  socket.close(other);
});

test("close() leaves connections over the path open", async (folder) => {
  const path = `${folder}/open.sock`;
  const server = socket.unixserver(path);
  const [client, peer] = await connected(server, path);
  socket.close(server);
  socket.send(client, "still");
  assertEquals(textOf(await task.await(socket.recv(peer))), "still");
});

test("unixserver() throws EADDRINUSE when somebody listens there", async (folder) => {
  const path = `${folder}/live.sock`;
  const server = socket.unixserver(path);
  const error = assertThrows(() => socket.unixserver(path), socket.SocketError);
  assertEquals([error.code, error.op, error.local], ["EADDRINUSE", "listen", [path, 0]]);
  assert(error.message.includes("remove the file if nobody listens there"), error.message);
  assertEquals(names(folder), ["live.sock"]);
  await assertTalk(server, path);
});

test("unixserver() advises nobody to remove what is no socket", async (folder) => {
  await Deno.writeTextFile(`${folder}/letter`, "dear");
  for (const path of [folder, `${folder}/letter`]) {
    const { message } = assertThrows(() => socket.unixserver(path), socket.SocketError);
    assert(message.includes("address already in use, something else than a socket is"), message);
  }
});

test("unixserver() throws EADDRINUSE when one listens there under another name", async (folder) => {
  Deno.mkdirSync(`${folder}/real`);
  Deno.symlinkSync(`${folder}/real`, `${folder}/link`);
  const before = Deno.cwd();
  const spellings = [
    `${folder}/real/x`,
    `${folder}/link/x`,
    `${folder}/real/../real/x`,
    "x",
    "./x",
  ];
  Deno.chdir(`${folder}/real`);
  try {
    for (const mine of spellings) {
      const server = socket.unixserver(mine);
      for (const theirs of spellings) {
        assertEquals(thrownBy(() => socket.unixserver(theirs)), "EADDRINUSE", `${theirs} ${mine}`);
      }
      await assertTalk(server, mine);
      socket.close(server);
      // Nor is one of Deno's own, which is known by the name that was given.
      const listener = Deno.listen({ transport: "unix", path: mine });
      for (const theirs of spellings) {
        assertEquals(thrownBy(() => socket.unixserver(theirs)), "EADDRINUSE", `${theirs} ${mine}`);
      }
      listener.close();
    }
  } finally {
    Deno.chdir(before);
  }
});

/** A socket file at which nobody listens, as a program that was killed leaves it. */
async function leaveStale(path: string): Promise<void> {
  const outcome = await runProgram(
    `socket.unixserver(${JSON.stringify(path)}); Deno.kill(Deno.pid, "SIGKILL");`,
    ["--allow-all", "--no-check"],
  );
  assertEquals(outcome.stderr, "");
  assert(Deno.lstatSync(path).isSocket);
}

test("unixserver() replaces what a killed program left behind", async (folder) => {
  if (Deno.build.os !== "linux") return;
  const path = `${folder}/stale.sock`;
  await leaveStale(path);
  assertEquals(names(folder), ["stale.sock"]);
  const error = await assertRejects(() => socket.unixconnect(path), socket.SocketError);
  assertEquals([error.code, error.remote], ["ECONNREFUSED", [path, 0]]);
  // One of the same name that listens elsewhere is no hindrance.
  Deno.mkdirSync(`${folder}/other`);
  const elsewhere = socket.unixserver(`${folder}/other/stale.sock`);
  const server = socket.unixserver(path);
  await assertTalk(server, path);
  await assertTalk(elsewhere, `${folder}/other/stale.sock`);
  socket.close(server);
  assertEquals(names(folder), ["other"]);
});

test("unixserver() needs no more than the folder to replace what was left", async (folder) => {
  if (Deno.build.os !== "linux") return;
  const path = `${folder}/folder.sock`;
  await leaveStale(path);
  const source = `
    const server = socket.unixserver(${JSON.stringify(path)});
    console.log(socket.isopen(server));
    socket.close(server);
  `;
  const flags = ["--allow-net", `--allow-read=${folder}`, `--allow-write=${folder}`, "--no-check"];
  const { stdout, stderr, code } = await runProgram(source, flags);
  assertEquals([stdout, stderr, code], ["true\n", "", 0]);
  assertEquals(names(folder), []);
});

/** What a program is told that wants to listen at a path, with these rights only. */
async function told(path: string, rights: string[], limits = ""): Promise<Outcome> {
  const source = `
    try {
      socket.unixserver(${JSON.stringify(path)});
    } catch (error) {
      console.log(error.code, error.message.includes("remove the file if nobody listens there"));
    }
  `;
  return await runProgram(source, ["--allow-net", ...rights, "--no-check"], limits);
}

test("unixserver() leaves a live path alone whatever its name is now", async (folder) => {
  const [from, to] = [`${folder}/from.sock`, `${folder}/to.sock`];
  const server = socket.unixserver(from);
  Deno.renameSync(from, to);
  assertEquals(thrownBy(() => socket.unixserver(to)), "EADDRINUSE");
  await assertTalk(server, to);
  // To another process it is a file like any other.
  const { stdout, stderr } = await told(to, ["--allow-read", "--allow-write"]);
  assertEquals([stdout, stderr], ["EADDRINUSE true\n", ""]);
  socket.close(await task.await(socket.accept(server))); // that was its look
  await assertTalk(server, to);
});

test("unixserver() leaves a live path alone whatever its folder is now", async (folder) => {
  Deno.mkdirSync(`${folder}/old`);
  const server = socket.unixserver(`${folder}/old/x.sock`);
  Deno.renameSync(`${folder}/old`, `${folder}/new`);
  const path = `${folder}/new/x.sock`;
  assertEquals(thrownBy(() => socket.unixserver(path)), "EADDRINUSE");
  const { stdout } = await told(path, ["--allow-read", "--allow-write"]);
  assertEquals(stdout, "EADDRINUSE true\n");
  socket.close(await task.await(socket.accept(server)));
  await assertTalk(server, path);
});

test("unixserver() leaves alone who listens in another network namespace", async (folder) => {
  const { code } = await new Deno.Command("unshare", { args: ["-rn", "true"], stderr: "null" })
    .output().catch(() => ({ code: -1 }));
  if (code !== 0) return console.log("skipped: unshare cannot make a network namespace here");
  const path = `${folder}/elsewhere.sock`;
  const server = socket.unixserver(path);
  // The program's own namespace knows nothing of this listener.
  const rights = ["--allow-read", "--allow-write"];
  const { stdout, stderr } = await told(path, rights, `exec unshare -rn "$@"`);
  assertEquals([stdout, stderr], ["EADDRINUSE true\n", ""]);
  socket.close(await task.await(socket.accept(server)));
  await assertTalk(server, path);
});

test("unixserver() leaves a live path alone when its backlog is full", async (folder) => {
  if (Deno.build.os !== "linux") return;
  const path = `${folder}/full.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  const clients: socket.SocketId[] = [];
  for (let full = false; !full;) {
    await socket.unixconnect(path).then((id) => clients.push(id), () => full = true);
  }
  assertEquals(thrownBy(() => socket.unixserver(path)), "EADDRINUSE");
  clients.forEach(socket.close);
  listener.close();
});

test("unixserver() leaves a stale path alone when it may not change its folder", async (folder) => {
  if (Deno.build.os !== "linux") return;
  const path = `${folder}/unknown.sock`;
  await leaveStale(path);
  const { stdout, stderr } = await told(path, [`--allow-read=${path}`, `--allow-write=${path}`]);
  assertEquals([stdout, stderr], ["EADDRINUSE true\n", ""]);
  assert(Deno.lstatSync(path).isSocket);
});

test("unixserver() puts back who listens there by now", async (folder) => {
  if (Deno.build.os !== "linux") return;
  const path = `${folder}/race.sock`;
  await leaveStale(path);
  const { renameSync } = Deno;
  let other: Deno.Listener | undefined;
  // Between the proof and the removal another program does the same.
  Deno.renameSync = (from, to) => {
    Deno.renameSync = renameSync;
    Deno.removeSync(path);
    other = Deno.listen({ transport: "unix", path });
    renameSync(from, to);
  };
  try {
    assertEquals(thrownBy(() => socket.unixserver(path)), "EADDRINUSE");
  } finally {
    Deno.renameSync = renameSync;
  }
  const client = await Deno.connect({ transport: "unix", path });
  client.close();
  assertEquals(names(folder), ["race.sock"]);
  other!.close();
});

test("unixserver() waits for its turn, and looks again then", async (folder) => {
  if (Deno.build.os !== "linux") return;
  const path = `${folder}/turn.sock`;
  await leaveStale(path);
  using turn = Deno.openSync(folder);
  turn.lockSync(true);
  const { tryLockSync } = Deno.FsFile.prototype;
  let other: Deno.Listener | undefined;
  // Whoever has the turn listens there, and then it ends.
  Deno.FsFile.prototype.tryLockSync = function (exclusive) {
    const isLocked = tryLockSync.call(this, exclusive);
    if (!isLocked) {
      Deno.removeSync(path);
      other = Deno.listen({ transport: "unix", path });
      turn.unlockSync();
    }
    return isLocked;
  };
  try {
    assertEquals(thrownBy(() => socket.unixserver(path)), "EADDRINUSE");
  } finally {
    Deno.FsFile.prototype.tryLockSync = tryLockSync;
  }
  const client = await Deno.connect({ transport: "unix", path });
  client.close();
  other!.close();
});

test("unixserver() replaces what was left for one of three that want it", async (folder) => {
  if (Deno.build.os !== "linux") return;
  const path = `${folder}/race.sock`;
  await leaveStale(path);
  const source = `
    try {
      socket.unixserver(${JSON.stringify(path)});
      console.log("listens");
      // Until both others have tried.
      while (Array.from(Deno.readDirSync(${
    JSON.stringify(folder)
  })).length < 3) await task.sleep(5);
    } catch (error) {
      console.log(error.code);
      Deno.writeTextFileSync(${JSON.stringify(folder)} + "/lost" + Deno.pid, "");
    }
  `;
  const run = () => runProgram(source, ["--allow-all", "--no-check"]);
  const outcomes = await Promise.all([run(), run(), run()]);
  const printed = outcomes.map(({ stdout }) => stdout.trim()).sort();
  assertEquals(printed, ["EADDRINUSE", "EADDRINUSE", "listens"]);
});

test("unixserver() lets one of three listen when one is slow to remove what was left", async (folder) => {
  if (Deno.build.os !== "linux") return;
  const path = `${folder}/race.sock`;
  await leaveStale(path);
  const program = (name: string, before: string) =>
    runProgram(
      `
      const place = (name: string) => ${JSON.stringify(folder)} + "/" + name;
      const tell = (name: string) => Deno.writeTextFileSync(place(name), "");
      const pause = new Int32Array(new SharedArrayBuffer(4));
      function wait(name: string): void {
        for (let i = 0; i < 2000; i++) {
          try {
            return void Deno.lstatSync(place(name));
          } catch {
            Atomics.wait(pause, 0, 0, 10);
          }
        }
      }
      ${before}
      try {
        socket.unixserver(${JSON.stringify(path)});
        console.log("listens");
      } catch (error) {
        console.log(error.code);
      }
      tell("${name} has tried");
      ["a", "b", "c"].forEach((name) => wait(name + " has tried"));
      Deno.exit();
      `,
      ["--allow-all", "--no-check"],
    );
  // One has its proof, and is about to remove the file: then another comes. When the file has gone
  // aside, a third does.
  const slow = `
    const { renameSync } = Deno;
    Deno.renameSync = (from, to) => {
      Deno.renameSync = renameSync;
      tell("a may go");
      wait("a has tried");
      renameSync(from, to);
      tell("c may go");
      wait("c has tried");
    };`;
  const outcomes = await Promise.all([
    program("a", 'wait("a may go");'),
    program("b", slow),
    program("c", 'wait("c may go");'),
  ]);
  assertEquals(outcomes.map(({ stderr }) => stderr), ["", "", ""]);
  const printed = outcomes.map(({ stdout }) => stdout.trim()).sort();
  assertEquals(printed, ["EADDRINUSE", "EADDRINUSE", "listens"]);
  assert(Deno.lstatSync(path).isSocket);
});

test("unixserver() removes its file before anybody could take it for one that was left", (folder) => {
  if (Deno.build.os !== "linux") return;
  const path = `${folder}/closing.sock`;
  const source = `
    import { socket } from ${JSON.stringify(new URL("../../mod.ts", import.meta.url).href)};
    try {
      socket.unixserver(${JSON.stringify(path)});
      console.log("listens");
    } catch (error) {
      console.log(error.code);
    }
    Deno.exit();`;
  const server = socket.unixserver(path);
  const { removeSync } = Deno;
  let other: string | undefined;
  // Another program wants the place at the very moment.
  Deno.removeSync = (...args) => {
    Deno.removeSync = removeSync;
    const { stdout } = new Deno.Command(Deno.execPath(), { args: ["eval", source] }).outputSync();
    other = new TextDecoder().decode(stdout).trim();
    removeSync(...args);
  };
  try {
    socket.close(server);
  } finally {
    Deno.removeSync = removeSync;
  }
  assertEquals([other, names(folder)], ["EADDRINUSE", []]);
});

test("unixserver() replaces what has the number of one's own file, on another device", async (folder) => {
  if (Deno.build.os !== "linux") return;
  const path = `${folder}/stale.sock`;
  await leaveStale(path);
  using own = {
    id: socket.unixserver(`${folder}/own.sock`),
    [Symbol.dispose]: () => socket.close(own.id),
  };
  const { lstatSync } = Deno;
  const { dev, ino } = lstatSync(`${folder}/own.sock`);
  // As where either is in a file system of its own, which counts from the start.
  Deno.lstatSync = (at) => {
    const file = lstatSync(at);
    return `${at}`.endsWith("stale.sock") || `${at}`.endsWith("/stale")
      ? { ...file, dev: dev + 1, ino }
      : file;
  };
  try {
    socket.close(socket.unixserver(path));
  } finally {
    Deno.lstatSync = lstatSync;
  }
  assertEquals(names(folder), ["own.sock"]);
});

test("unixserver() never removes what is no socket", (folder) => {
  const path = `${folder}/precious`;
  Deno.writeTextFileSync(path, "precious");
  assertEquals(thrownBy(() => socket.unixserver(path)), "EADDRINUSE");
  assertEquals(Deno.readTextFileSync(path), "precious");
  Deno.mkdirSync(`${folder}/directory`);
  assertEquals(thrownBy(() => socket.unixserver(`${folder}/directory`)), "EADDRINUSE");
  Deno.symlinkSync(path, `${folder}/link`);
  assertEquals(thrownBy(() => socket.unixserver(`${folder}/link`)), "EADDRINUSE");
  Deno.symlinkSync(`${folder}/nothing`, `${folder}/dangling`);
  assertEquals(thrownBy(() => socket.unixserver(`${folder}/dangling`)), "EADDRINUSE");
  assertEquals(names(folder), ["dangling", "directory", "link", "precious"]);
});

test("unixserver() throws ENOENT when the folder is missing", (folder) => {
  const path = `${folder}/missing/x.sock`;
  const error = assertThrows(() => socket.unixserver(path), socket.SocketError);
  assertEquals([error.code, error.local], ["ENOENT", [path, 0]]);
  assertEquals(names(folder), []);
});

test("unixconnect() rejects when nothing is there", async (folder) => {
  const code = async (path: string) => {
    const error = await assertRejects(() => socket.unixconnect(path), socket.SocketError);
    assertEquals([error.op, error.socket], ["connect", undefined]);
    return error.code;
  };
  assertEquals(await code(`${folder}/nobody.sock`), "ENOENT");
  assertEquals(await code(`${folder}/missing/nobody.sock`), "ENOENT");
  Deno.writeTextFileSync(`${folder}/file`, "");
  assertEquals(await code(`${folder}/file`), "ECONNREFUSED");
});

test("unixconnect() rejects with EAGAIN when too many wait for an accept", async (folder) => {
  if (Deno.build.os !== "linux") return;
  const path = `${folder}/full.sock`;
  const server = socket.unixserver(path);
  const clients: socket.SocketId[] = [];
  let code: string | undefined;
  while (code === undefined) {
    const connecting = socket.unixconnect(path);
    await connecting.then((id) => clients.push(id), (error) => code = error.code);
  }
  assertEquals(code, "EAGAIN");
  clients.forEach(socket.close);
  socket.close(server);
});

test("unixconnect() gives up when its signal aborts or its time is over", async (folder) => {
  const path = `${folder}/late.sock`;
  const server = socket.unixserver(path);
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  const aborted = await assertRejects(() => socket.unixconnect(path, { signal }));
  assertEquals(aborted, reason);
  const error = await assertRejects(() => socket.unixconnect(path, { timeout: 0 }));
  assertEquals((error as socket.SocketError).code, "ETIMEDOUT");
  const controller = new AbortController();
  const connecting = socket.unixconnect(path, { signal: controller.signal, timeout: 60_000 });
  controller.abort(reason);
  assertEquals(await assertRejects(() => connecting), reason);
  // What was made too late is closed.
  const peer = await task.await(socket.accept(server));
  assertEquals(await receiveAll(peer), new Uint8Array(0));
  const client = await socket.unixconnect(path, { timeout: 60_000 });
  assertEquals(socket.isopen(client), true);
});

test("setsockopt() and getsockopt() refuse what is for TCP on a Unix socket", async (folder) => {
  const path = `${folder}/options.sock`;
  const server = socket.unixserver(path);
  const [client, peer] = await connected(server, path);
  for (const id of [client, peer]) {
    for (
      const [level, option] of [
        [socket.SOL_SOCKET, socket.SO_KEEPALIVE],
        [socket.IPPROTO_TCP, socket.TCP_NODELAY],
      ]
    ) {
      assertEquals(thrownBy(() => socket.setsockopt(id, level, option)), "ENOPROTOOPT");
      assertEquals(thrownBy(() => socket.getsockopt(id, level, option)), "ENOPROTOOPT");
    }
  }
});

/** Runs a program that may use no more than these. */
function runWith(source: string, ...flags: string[]): Promise<Outcome> {
  return runProgram(source, ["--no-check", ...flags]);
}

test("unixserver() and unixconnect() pass NotCapable through", async (folder) => {
  const path = JSON.stringify(`${folder}/no.sock`);
  const source = `
    const tell = (error) => console.log(error instanceof Deno.errors.NotCapable, error.message);
    try {
      socket.unixserver(${path});
    } catch (error) {
      tell(error);
    }
    await socket.unixconnect(${path}).catch(tell);
    console.log(socket.errno(), socket.list());
  `;
  const all = ["--allow-net", `--allow-read=${folder}`, `--allow-write=${folder}`];
  for (const missing of all) {
    const { stdout, stderr } = await runWith(source, ...all.filter((flag) => flag !== missing));
    const [server, client, rest] = stdout.trim().split("\n");
    for (const text of [server, client]) assert(text.startsWith("true Requires "), stdout + stderr);
    assertEquals([rest, stderr], ["0 []", ""]);
    assertEquals(names(folder), []);
  }
});

test("unixserver() needs no permission but for its path", async (folder) => {
  const path = `${folder}/only.sock`;
  const { stdout, stderr, code } = await runWith(
    `
    const path = ${JSON.stringify(path)};
    const server = socket.unixserver(path);
    const client = await socket.unixconnect(path);
    const peer = await task.await(socket.accept(server));
    socket.send(peer, "hello");
    console.log((await task.await(socket.recv(client))).length);
    [client, peer, server].forEach(socket.close);
    `,
    "--allow-net",
    `--allow-read=${path}`,
    `--allow-write=${path}`,
  );
  assertEquals([stdout, stderr, code], ["5\n", "", 0]);
  assertEquals(names(folder), []);
});

test("close() never throws, be the file out of reach", async (folder) => {
  const { stdout, stderr, code } = await runWith(
    `
    const server = socket.unixserver(${JSON.stringify(`${folder}/reach.sock`)});
    const accepting = socket.accept(server);
    await Deno.permissions.revoke({ name: "write" });
    await Deno.permissions.revoke({ name: "read" });
    socket.close(server);
    console.log(task.status(accepting), socket.list());
    `,
    "--allow-net",
    "--allow-read",
    "--allow-write",
  );
  assertEquals([stdout, stderr, code], ["Faulted []\n", "", 0]);
});

// deno-lint-ignore no-explicit-any
type Anything = any;

test("unixserver() and unixconnect() throw when an argument is wrong", (folder) => {
  const path = `${folder}/x.sock`;
  const tasks = task.list();
  for (const value of [undefined, null, 5, {}, new URL("file:///tmp/x")] as Anything[]) {
    assertThrows(() => socket.unixserver(value), TypeError, `"path" must be a string`);
    assertThrows(() => socket.unixconnect(value), TypeError, `"path" must be a string`);
  }
  assertThrows(() => socket.unixserver(""), RangeError, `"path" must be not empty`);
  assertThrows(() => socket.unixconnect(""), RangeError, `"path" must be not empty`);
  for (const value of [0, -1, 1.5, NaN, 65536]) {
    for (const options of [value, { backlog: value }]) {
      assertThrows(() => socket.unixserver(path, options), RangeError, `"backlog" must be`);
    }
  }
  for (const value of [null, "5", {}] as Anything[]) {
    assertThrows(() => socket.unixserver(path, { backlog: value }), TypeError, `"backlog"`);
  }
  for (const value of [null, "x", true] as Anything[]) {
    assertThrows(() => socket.unixserver(path, value), TypeError, `"options"`);
    assertThrows(() => socket.unixconnect(path, value), TypeError, `"options"`);
  }
  const unknown = { reusePort: true } as Anything;
  assertThrows(() => socket.unixserver(path, unknown), TypeError, `Unknown option "reusePort"`);
  assertThrows(() => socket.unixconnect(path, unknown), TypeError, `Unknown option "reusePort"`);
  const wrong = (timeout: Anything) => () => socket.unixconnect(path, { timeout });
  assertThrows(wrong("5"), TypeError, `"timeout"`);
  assertThrows(wrong(NaN), RangeError, `"timeout"`);
  const signal = {} as Anything;
  assertThrows(() => socket.unixconnect(path, { signal }), TypeError, `"signal"`);
  assertEquals([names(folder), task.list()], [[], tasks]);
});

test("create(), bind() and listen() work with AF_UNIX", async (folder) => {
  const path = `${folder}/bsd.sock`;
  const server = socket.create(socket.AF_UNIX, socket.SOCK_STREAM);
  assertEquals(socket.getlocal(server), ["", 0]);
  assertEquals(thrownBy(() => socket.listen(server)), "EDESTADDRREQ");
  assertThrows(() => socket.bind(server, ""), RangeError, `"host" must be a path`);
  socket.bind(server, path);
  assertEquals(socket.getlocal(server), [path, 0]);
  // A path is only noted.
  assertEquals(names(folder), []);
  socket.listen(server, 3);
  const client = socket.create(socket.AF_UNIX, socket.SOCK_STREAM);
  const connecting = socket.connect(client, path, 0);
  assertEquals(await task.await(connecting), client);
  const peer = await task.await(socket.accept(server));
  socket.send(client, "hello");
  assertEquals(textOf(await task.await(socket.recv(peer))), "hello");
  assertEquals([socket.getpeer(client), socket.getlocal(server)], [[path, 0], [path, 0]]);
  socket.close(server);
  assertEquals(names(folder), []);
});

test("listen() and connect() of AF_UNIX leave the socket created when they fail", async (folder) => {
  const path = `${folder}/late/bsd.sock`;
  const server = socket.create(socket.AF_UNIX, socket.SOCK_STREAM);
  const client = socket.create(socket.AF_UNIX, socket.SOCK_STREAM);
  socket.bind(server, path);
  assertEquals(thrownBy(() => socket.listen(server)), "ENOENT");
  assertEquals(await codeOf(socket.connect(client, path, 0)), "ENOENT");
  Deno.mkdirSync(`${folder}/late`);
  socket.listen(server);
  assertEquals(await task.await(socket.connect(client, path, 0)), client);
});

Deno.test({
  name: "unixserver() leaves no descriptor behind",
  ignore: !canCount,
  fn: () =>
    leavingNothing(async () => {
      const before = openDescriptors();
      const folder = await Deno.makeTempDir({ prefix: "taskio_" });
      for (let n = 0; n < 50; n++) {
        const path = `${folder}/${n % 3}.sock`;
        const server = socket.unixserver(path);
        const [client, peer] = await connected(server, path);
        if (n % 2) task.forget(socket.accept(server));
        [client, peer, server].forEach(socket.close);
      }
      await descriptorsBackTo(before);
      assertEquals(names(folder), []);
      await Deno.remove(folder);
    }),
});
