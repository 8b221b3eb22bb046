// A live view of the sockets and tasks of a running program that calls `publish`. See README.md.
//
//     deno run -A examples/monitor/monitor.ts --path /tmp/taskio_monitor.sock

import { socket, task } from "@taskio/net";
import { Failure, integer, run, text, toggle } from "../cli.ts";
import { render, rowsIn, View } from "./screen.ts";
import { type Snapshot, withoutMonitor } from "./snapshot.ts";
import { Terminal } from "./terminal.ts";

/** The longest answer that is believed, in bytes: that of some hundred thousand sockets. */
const MAX = 256 * 1024 * 1024;

/** Nobody publishes there, or whoever did has gone without removing the file. */
const NOBODY = new Set(["ENOENT", "ECONNREFUSED"]);

/** Asks a program for snapshots. */
class Source implements Disposable {
  readonly #id: socket.SocketId;
  readonly #path: string;

  private constructor(id: socket.SocketId, path: string) {
    this.#id = id;
    this.#path = path;
  }

  static async connect(path: string): Promise<Source> {
    try {
      return new Source(await socket.unixconnect(path), path);
    } catch (error) {
      if (!(error instanceof socket.SocketError) || !NOBODY.has(error.code)) throw error;
      throw new Failure(`${error.message}. Start a program that calls publish, or give --path.`);
    }
  }

  async ask(): Promise<Snapshot> {
    const answering = socket.recvLine(this.#id, { max: MAX });
    task.forget(socket.send(this.#id, "\n"));
    const line = await task.await(answering);
    if (line === null) throw new Failure("the program has ended");
    return withoutMonitor(JSON.parse(line), this.#path);
  }

  [Symbol.dispose](): void {
    socket.close(this.#id);
  }
}

/** Prints the table once, as wide as it is. */
async function printOnce(path: string): Promise<void> {
  using source = await Source.connect(path);
  const now = await source.ask();
  const size = { columns: 1000, rows: now.sockets.length + 4 };
  const lines = render(now, undefined, new View(), size).slice(0, -1);
  console.log(lines.map(({ text }) => text.trimEnd()).join("\n"));
}

async function monitor(path: string, every: number): Promise<void> {
  if (!Deno.stdin.isTerminal() || !Deno.stdout.isTerminal()) {
    throw new Failure("standard input and output must be a terminal; or give --once");
  }
  using source = await Source.connect(path);
  using terminal = new Terminal();
  using stack = new DisposableStack();
  const view = new View();
  let now: Snapshot | undefined;
  let before: Snapshot | undefined;
  const draw = () => {
    if (now !== undefined) terminal.draw(render(now, before, view, terminal.size));
  };

  const watching = task.interval(every, async () => {
    if (view.paused) return;
    const next = await source.ask();
    [before, now] = [now, next];
    draw();
  });
  stack.defer(() => task.cancel(watching));

  const ended = Promise.withResolvers<void>();
  const onSignal = (signal: Deno.Signal, act: () => void) => {
    Deno.addSignalListener(signal, act);
    stack.defer(() => Deno.removeSignalListener(signal, act));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) onSignal(signal, ended.resolve);
  onSignal("SIGWINCH", draw);

  const reading = (async () => {
    for await (const key of terminal.keys()) {
      if (!press(key, view, rowsIn(terminal.size.rows))) return;
      draw();
    }
  })();
  await Promise.race([task.await(watching), ended.promise, reading]);
}

/** Does what a key means; `false` if that is to end. */
function press(key: string, view: View, page: number): boolean {
  switch (key) {
    case "q":
    case "\x03": // Ctrl-C, which is a key like any other in this mode
      return false;
    case "\x1b[C":
      view.sortByNext(1);
      break;
    case "\x1b[D":
      view.sortByNext(-1);
      break;
    case "r":
      view.sort.reverse = !view.sort.reverse;
      break;
    case "t":
      view.switchTable();
      break;
    case " ":
      view.paused = !view.paused;
      break;
    case "\x1b[A":
      view.top--;
      break;
    case "\x1b[B":
      view.top++;
      break;
    case "\x1b[5~":
      view.top -= page;
      break;
    case "\x1b[6~":
      view.top += page;
  }
  return true;
}

if (import.meta.main) {
  await run({
    name: "monitor/monitor",
    about: "Shows the sockets and tasks of a running program that calls publish, until q.",
    permissions: "--allow-net --allow-read --allow-write",
    flags: {
      path: text("/tmp/taskio_monitor.sock", "The Unix socket that the program publishes at"),
      every: integer(1000, 10, 3_600_000, "Milliseconds from one look to the next"),
      once: toggle("Print the table once and end, with rates of each socket's whole life"),
    },
    main: ({ path, every, once }) => once ? printOnce(path) : monitor(path, every),
  });
  // A read of the keyboard that is under way cannot be taken back, and would keep the program alive
  Deno.exit();
}
