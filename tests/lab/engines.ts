// Every pair of engines and transports, connected by way of something that stands between.

import { socket, task, tls } from "../../mod.ts";
import { authority, clientPair, pair as serverPair } from "../tls/helpers.ts";

/** A transport and who encrypts at each end. */
export interface Engine {
  readonly name: string;
  /** Whether bytes travel encrypted. */
  readonly tls: boolean;
  /** Begins to listen; a Unix socket at `path`. */
  listen(path: string): socket.SocketId;
  /** Connects and finishes every handshake. */
  connect(to: socket.Address, options: Patience): Promise<socket.SocketId>;
  /** Finishes what is to be done with an accepted connection before it is used. */
  accepted?(id: socket.SocketId, options: Patience): Promise<void>;
}

/** How long a handshake may take, in milliseconds, and what ends it. */
export interface Patience {
  timeout: number;
  signal: AbortSignal;
}

const trust = { ca: authority.cert };
const own = { ...trust, ...clientPair };
const listenTcp = () => socket.tcpserver("127.0.0.1", 0);
const listenUnix = (path: string) => socket.unixserver(path);
const connectUnix = ([path]: socket.Address, patience: Patience) =>
  socket.unixconnect(path, patience);

function overTls(name: string, server: tls.TlsListenOptions, client: tls.TlsClientOptions): Engine {
  return {
    name,
    tls: true,
    listen: () => tls.tcpserver("127.0.0.1", 0, server),
    connect: (to, patience) => tls.tcpconnect(...to, "localhost", { ...client, ...patience }),
  };
}

function byStarttls(
  name: string,
  carrier: Pick<Engine, "listen" | "connect">,
  underWay: boolean,
): Engine {
  return {
    name,
    tls: true,
    listen: carrier.listen,
    async connect(to, patience) {
      const id = await carrier.connect(to, patience);
      try {
        await task.await(socket.send(id, "STARTTLS\n"));
        const answer = await task.await(socket.recvLine(id), { ...patience, cancel: true });
        if (answer !== "GO") throw new Refused(answer);
        if (underWay) socket.peek(id);
        await task.await(socket.starttls(id, { host: "localhost", ...trust, ...patience }));
        return id;
      } catch (error) {
        socket.close(id);
        throw error;
      }
    },
    async accepted(id, { timeout, signal }) {
      const ask = await task.await(socket.recvLine(id), { timeout, signal, cancel: true });
      if (ask !== "STARTTLS") throw new Refused(ask);
      await task.await(socket.send(id, "GO\n"));
      if (underWay) socket.peek(id);
      await task.await(socket.starttls(id, { ...serverPair, handshakeTimeout: timeout }));
    },
  };
}

/** The lines before a handshake were not those that were sent. */
export class Refused extends Error {
  readonly code = "REFUSED";

  constructor(line: string | null) {
    super(`Something else came before the handshake: ${line?.slice(0, 40)}`);
  }
}

const tcp: Engine = {
  name: "tcp",
  tls: false,
  listen: listenTcp,
  connect: (to, patience) => socket.tcpconnect(...to, patience),
};
const unix: Engine = { name: "unix", tls: false, listen: listenUnix, connect: connectUnix };
const asked = { ...serverPair, requestCert: true, ca: authority.cert };

export const engines: readonly Engine[] = [
  tcp,
  unix,
  overTls("tls, deno to node", serverPair, trust),
  overTls("tls, deno to native", { ...serverPair, native: true }, trust),
  overTls("tls, node to node", asked, own),
  overTls("tls, node to native", { ...serverPair, native: true }, own),
  byStarttls("starttls, deno to node", tcp, false),
  byStarttls("starttls, node to node", tcp, true),
  byStarttls("starttls over unix", unix, false),
];

export function engineOf(name: string): Engine {
  const engine = engines.find((engine) => engine.name === name);
  if (engine === undefined) {
    throw new Error(`No engine "${name}": ${engines.map(({ name }) => name).join("; ")}`);
  }
  return engine;
}
