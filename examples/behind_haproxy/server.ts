// One of several processes behind HAProxy: answers each line with its name and the client's
// address. SIGTERM or Ctrl-C takes it out of the rotation and ends it without losing a connection.
// See README.md.
//
//     deno run --allow-net examples/behind_haproxy/server.ts --name a --port 9001 --agent 9101

import { socket, task } from "@taskio/net";
import { formatAddress, integer, matching, run, text } from "../cli.ts";

interface Options {
  name: string;
  host: string;
  port: number;
  agent: number;
  patience: number;
  grace: number;
}

/** What HAProxy's agent checks are told, and who has heard it. */
class Agent {
  readonly #server: socket.SocketId;
  readonly #serving: task.TaskId<void>;
  /** How often each HAProxy was told to send nobody any more. */
  readonly #told: Map<string, number> = new Map();
  #draining = false;

  constructor(host: string, port: number) {
    this.#server = socket.tcpserver(host, port);
    this.#serving = socket.serve(this.#server, (id) => this.#tell(id), { grace: 1000 });
  }

  #tell(id: socket.SocketId): void {
    const [balancer] = socket.getpeer(id);
    socket.send(id, this.#draining ? "drain\n" : "up ready\n");
    this.#told.set(balancer, this.#draining ? (this.#told.get(balancer) ?? 0) + 1 : 0);
  }

  /**
   * Waits until every HAProxy has asked twice: the second time it has acted on the first answer,
   * and whatever it passed on before has arrived. One that does not ask any more is waited for no
   * longer than `patience` milliseconds.
   */
  async drain(patience: number): Promise<void> {
    this.#draining = true;
    const end = performance.now() + patience;
    const heard = () => [...this.#told.values()].every((times) => times >= 2);
    while (!heard() && performance.now() < end) await task.sleep(20);
  }

  async close(): Promise<void> {
    socket.close(this.#server);
    await task.await(this.#serving);
  }
}

async function server({ name, host, port, patience, grace, ...options }: Options): Promise<void> {
  const interrupted = interruption();
  let served = 0;
  let cut = 0;
  const listener = socket.tcpserver(host, port, { proxyProtocol: true });
  const agent = new Agent(host, options.agent);

  const answer = async (client: socket.SocketId) => {
    const first = await task.await(socket.recvLine(client));
    if (first === null) return; // a check that only connects
    if (first === "health") return void socket.send(client, "ok\n");
    served++;
    const from = formatAddress(socket.getpeer(client));
    try {
      for (let line: string | null = first; line !== null;) {
        await task.await(socket.send(client, `${name} to ${from}: ${line}\n`));
        line = await task.await(socket.recvLine(client));
      }
    } catch (error) {
      cut++;
      throw error;
    }
  };
  const serving = socket.serve(listener, answer, {
    grace,
    // What happens to one client is no concern of the others
    onError: (error, client) => console.error(`Client ${client}:`, (error as Error).message),
  });
  console.log(`${name} running on ${formatAddress(socket.getlocal(listener))}`);

  await interrupted;
  console.log(`${name} takes itself out of the rotation`);
  await agent.drain(patience);
  // From here on HAProxy sends nobody. Those who are here have their time to end
  socket.close(listener);
  await task.await(serving);
  await agent.close();
  console.log(`${name} served ${served} connections, ${cut} were cut off`);
}

/** Waits for SIGTERM or Ctrl-C. The next one ends the process at once. */
function interruption(): Promise<void> {
  return new Promise((resolve) => {
    const signals = Deno.build.os === "windows"
      ? ["SIGINT"] as const
      : ["SIGINT", "SIGTERM"] as const;
    const onSignal = () => {
      for (const signal of signals) Deno.removeSignalListener(signal, onSignal);
      resolve();
    };
    for (const signal of signals) Deno.addSignalListener(signal, onSignal);
  });
}

if (import.meta.main) {
  await run({
    name: "behind_haproxy/server",
    about: "Answers lines behind HAProxy, and takes itself out of the rotation before it ends.",
    flags: {
      name: matching(/^\w+$/, "name", "a", "Its name, which begins every answer"),
      host: text("127.0.0.1", "Address to listen on"),
      port: integer(9001, 0, 65535, "Port for what HAProxy passes on"),
      agent: integer(9101, 0, 65535, "Port for HAProxy's agent checks"),
      patience: integer(
        10_000,
        0,
        3_600_000,
        "Longest wait for the agent checks at the end, in ms",
      ),
      grace: integer(60_000, 0, 3_600_000, "How long clients may go on at the end, in ms"),
    },
    main: server,
  });
}
