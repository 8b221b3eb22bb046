// The server's side of the monitor: copy this file and call `publish` once.

import { socket, task } from "@taskio/net";

/**
 * Shows this program's sockets and tasks to whoever connects at a path: a line of JSON for each
 * line that comes. So who looks says how often, and nothing is done while nobody looks.
 *
 * @returns The listener, which keeps the program alive until it is closed.
 */
export function publish(path: string): socket.SocketId {
  const server = socket.unixserver(path);
  Deno.chmodSync(path, 0o600); // the addresses of the clients are nobody else's business
  const serving = socket.serve(server, async (id) => {
    while (await task.await(socket.recvLine(id)) !== null) {
      const running = task.inspect().filter(({ status }) => status === "Running");
      const settled = task.list().length - running.length;
      const time = performance.now();
      const snapshot = { pid: Deno.pid, time, sockets: socket.inspect(), tasks: running, settled };
      await task.await(socket.send(id, `${JSON.stringify(snapshot)}\n`));
    }
  }, { grace: 0 });
  task.forget(serving);
  return server;
}
