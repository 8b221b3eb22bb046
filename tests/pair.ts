// Connected pairs of sockets, one maker per transport, so that one suite runs over all of them.

import { socket, task, tls } from "../mod.ts";

/** Both ends of one connection. */
export interface Pair extends Disposable {
  /** The end that connected. */
  readonly client: socket.SocketId;
  /** The end that was accepted. */
  readonly peer: socket.SocketId;
  /** Closes both ends and whatever was needed to connect them. */
  close(): void;
}

/** A way of connecting two sockets. */
export interface Transport {
  /** For the names of tests. */
  readonly name: string;
  /** Makes a new connection. */
  makePair(): Promise<Pair>;
}

/** A pair of these two ends; `others` are sockets to be closed with them. */
export function pairOf(
  client: socket.SocketId,
  peer: socket.SocketId,
  ...others: socket.SocketId[]
): Pair {
  const close = () => [client, peer, ...others].forEach(socket.close);
  return { client, peer, close, [Symbol.dispose]: close };
}

/** A plain TCP connection on loopback. */
export async function tcpPair(): Promise<Pair> {
  const server = socket.tcpserver("127.0.0.1", 0);
  const accepting = socket.accept(server);
  const client = await socket.tcpconnect(...socket.getlocal(server));
  const peer = await task.await(accepting);
  socket.close(server);
  return pairOf(client, peer);
}

/** A connection over a Unix socket, whose file is gone once it is connected. */
export async function unixPair(): Promise<Pair> {
  const folder = await Deno.makeTempDir({ prefix: "taskio_" });
  try {
    const server = socket.unixserver(`${folder}/pair.sock`);
    const accepting = socket.accept(server);
    const client = await socket.unixconnect(`${folder}/pair.sock`);
    const peer = await task.await(accepting);
    socket.close(server);
    return pairOf(client, peer);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const certificate = tls.selfsigned(["localhost"]);
const trust = { ca: certificate.cert };

/** An encrypted connection to a server of Node's TLS, or with `native` to one of Deno's own. */
export async function tlsPair(
  server: tls.TlsListenOptions = certificate,
  client: tls.TlsClientOptions = trust,
): Promise<Pair> {
  const listener = tls.tcpserver("127.0.0.1", 0, server);
  const accepting = tls.accept(listener);
  const connecting = tls.tcpconnect(...tls.getlocal(listener), "localhost", client);
  const [peer, id] = await Promise.all([task.await(accepting), connecting]);
  tls.close(listener);
  return pairOf(id, peer);
}

/** A plain connection upgraded on both sides; `underWay`: with reads that peeks left behind. */
export async function starttlsPair(underWay = false): Promise<Pair> {
  const pair = await tcpPair();
  if (underWay) [pair.client, pair.peer].forEach((id) => socket.peek(id));
  await task.all([
    socket.starttls(pair.peer, certificate),
    socket.starttls(pair.client, { host: "localhost", ...trust }),
  ]);
  return pair;
}

/** Every transport that the duplex suite runs over. */
export const transports: readonly Transport[] = [
  { name: "tcp", makePair: tcpPair },
  { name: "unix", makePair: unixPair },
  { name: "tls", makePair: () => tlsPair() },
  { name: "tls, native server", makePair: () => tlsPair({ ...certificate, native: true }) },
  { name: "starttls", makePair: () => starttlsPair() },
  { name: "starttls, both of node", makePair: () => starttlsPair(true) },
];
