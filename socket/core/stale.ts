/**
 * Socket files that a program which was killed left behind.
 *
 * Theory of operation. That nobody listens at a file is proved by a connect that is refused, and by
 * nothing else: the system's list of sockets has the name that was given, which a rename makes
 * wrong, and only those of its own network namespace. Listening is synchronous, Deno's connect is
 * not; so a worker connects while this thread waits for it, which takes some 20 ms, and only when a
 * file is in the way. Somebody who does listen there sees a connection come and go.
 *
 * A refusal is a proof on Linux only: elsewhere a listener with a full backlog refuses, too.
 *
 * Several programs may find the same file at once. They take turns: whoever holds the lock of the
 * folder proves, removes and listens, and the next finds a listener. A file system that knows no
 * such lock may be another machine's, too, where a refusal proves nothing.
 *
 * Between the proof and the removal somebody who knows of no turns may listen there already. So the
 * file is moved aside, which only one can do, and looked at again: a file that is not the one that
 * was tried is put back.
 */

/** The worker's answers; 0 is none yet. */
const REFUSED = 1;
const OTHERWISE = 2;
/** What the worker does: connects to a path and tells how that went. */
const SOURCE = `onmessage = async ({ data: [path, answer] }) => {
  let refused = false;
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    refused = error.code === "ECONNREFUSED";
  }
  Atomics.store(answer, 0, refused ? ${REFUSED} : ${OTHERWISE});
  Atomics.notify(answer, 0);
};`;
/** The system answers at once; a machine may be too busy to ask it, in milliseconds. */
const PATIENCE = 5000;
/** From one look at a lock that somebody has to the next, in milliseconds. */
const PAUSE = 5;

/**
 * Listens at a path in place of whoever left its file behind; `undefined` if it is not certain that
 * nobody listens there.
 */
export function listenInPlace<T>(path: string, listen: () => T): T | undefined {
  const turn = Deno.build.os === "linux" ? takeTurn(folderOf(path)) : undefined;
  try {
    return turn !== undefined && removeStale(path) ? listen() : undefined;
  } finally {
    turn?.close(); // which unlocks it
  }
}

/** The folder, locked until it is closed; `undefined` if that cannot be had. */
function takeTurn(path: string): Deno.FsFile | undefined {
  let folder: Deno.FsFile | undefined;
  try {
    folder = Deno.openSync(path);
    const never = new Int32Array(new SharedArrayBuffer(4));
    for (const end = Date.now() + PATIENCE; Date.now() < end; Atomics.wait(never, 0, 0, PAUSE)) {
      if (folder.tryLockSync(true)) return folder;
    }
  } catch {
    // Not allowed, or not on this file system.
  }
  folder?.close();
  return undefined;
}

/** Removes a socket's file if it is certain that nobody listens there; tells whether it did. */
function removeStale(path: string): boolean {
  try {
    const file = Deno.lstatSync(path);
    return file.isSocket === true && isRefused(path) && remove(path, file);
  } catch {
    return false; // not allowed, or gone: the caller is told that the path is taken
  }
}

/** Whether a connect is refused. */
function isRefused(path: string): boolean {
  const answer = new Int32Array(new SharedArrayBuffer(4));
  const url = `data:text/javascript,${encodeURIComponent(SOURCE)}`;
  const worker = new Worker(url, { type: "module", name: "taskio" });
  worker.onerror = (event) => event.preventDefault(); // then there is no answer
  try {
    worker.postMessage([path, answer]);
    Atomics.wait(answer, 0, 0, PATIENCE);
    return Atomics.load(answer, 0) === REFUSED;
  } finally {
    worker.terminate();
  }
}

/** Removes a file if it is still the one that was looked at. */
function remove(path: string, before: Deno.FileInfo): boolean {
  const aside = Deno.makeTempDirSync({ dir: folderOf(path), prefix: ".taskio_" });
  const moved = `${aside}/stale`;
  try {
    Deno.renameSync(path, moved);
  } catch (error) {
    Deno.removeSync(aside);
    throw error;
  }
  const file = Deno.lstatSync(moved);
  // A number alone may have been given to a new file.
  const isSame = file.ino === before.ino && file.mtime?.getTime() === before.mtime?.getTime();
  // Should that fail, it stays aside: it is somebody's.
  if (!isSame) Deno.linkSync(moved, path);
  Deno.removeSync(aside, { recursive: true });
  return isSame;
}

/** Where a path's file is. */
export function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/") + 1) || ".";
}
