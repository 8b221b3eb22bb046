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
 * Between the proof and the removal another program may have found the same and listen there
 * already. Those that do as it is done here take turns, by a lock on the folder, which goes with
 * whoever has it, and look again before they remove anything. Others do not know of that: so the
 * file is moved aside, which only one can do, and looked at once more, and if it is not the one that
 * was tried it is put back. For that moment nobody finds it, and somebody may take its place.
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

/** How long others may be at it in the same folder, in milliseconds: each is for one or two. */
const TURN = 1000;

/** Removes a socket's file if it is certain that nobody listens there; tells whether it did. */
export function removeStale(path: string): boolean {
  if (Deno.build.os !== "linux") return false;
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
  const folder = path.slice(0, path.lastIndexOf("/") + 1) || ".";
  using lock = Deno.openSync(folder);
  if (!hasTurn(lock) || !isSame(Deno.lstatSync(path), before)) return false;
  const aside = Deno.makeTempDirSync({ dir: folder, prefix: ".taskio_" });
  const moved = `${aside}/stale`;
  try {
    Deno.renameSync(path, moved);
  } catch (error) {
    Deno.removeSync(aside);
    throw error;
  }
  const removed = isSame(Deno.lstatSync(moved), before);
  // Should that fail, it stays aside: it is somebody's.
  if (!removed) Deno.linkSync(moved, path);
  Deno.removeSync(aside, { recursive: true });
  return removed;
}

/** Whether a file is the one that was looked at: a number alone may have been given to a new one. */
function isSame(file: Deno.FileInfo, before: Deno.FileInfo): boolean {
  return file.ino === before.ino && file.mtime?.getTime() === before.mtime?.getTime();
}

/** Waits until nobody else is at it; `false` if somebody is for too long. Closing the folder ends it. */
function hasTurn(folder: Deno.FsFile): boolean {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const end = performance.now() + TURN;
  while (!folder.tryLockSync(true)) {
    if (performance.now() > end) return false;
    Atomics.wait(pause, 0, 0, 2);
  }
  return true;
}
