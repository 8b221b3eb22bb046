// Certificates, servers and clients that the tests of this folder share.

import { assertEquals } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import type { CertificatePair } from "../../tls/core/types.ts";
import { issue } from "../../tls/core/x509.ts";
import { randomBytes, receive, sha256 } from "../bytes.ts";

const DAY = 24 * 60 * 60 * 1000;

/** The moment so many days from now. */
export const inDays = (days: number): Date => new Date(Date.now() + days * DAY);

/** From when to when a certificate is valid. */
interface Validity {
  notBefore?: Date;
  notAfter?: Date;
}

/** Whoever issues certificates. */
export class Authority {
  readonly name: string;
  readonly cert: string;
  readonly #key: string;

  constructor(name = "Test Authority", issuer?: Authority) {
    this.name = name;
    const { cert, key } = issue({
      names: [name],
      ...VALID,
      ca: true,
      issuer: issuer && { name: issuer.name, key: issuer.#key },
    });
    this.cert = cert;
    this.#key = key;
  }

  issue(names: string[], validity: Validity = {}): CertificatePair {
    const issuer = { name: this.name, key: this.#key };
    return issue({ names, ...VALID, ...validity, issuer });
  }
}

const VALID = { notBefore: inDays(-1), notAfter: inDays(1) };

export const authority: Authority = new Authority();

/** What most servers of the tests show. */
export const pair: CertificatePair = authority.issue(["server.test", "localhost", "127.0.0.1"]);

/** What most clients of the tests trust. */
export const ca: string = authority.cert;

/** A certificate for clients that `authority` vouches for. */
export const clientPair: CertificatePair = authority.issue(["client.test"]);

/** An option makes a client use one implementation of TLS or the other. */
export const clientKinds: readonly (readonly [string, tls.TlsClientOptions])[] = [
  ["deno", {}],
  ["node", clientPair],
];

/** The same for a server with a certificate. */
export const serverKinds: readonly (readonly [
  string,
  (pair: CertificatePair) => tls.TlsListenOptions,
])[] = [
  ["deno", (pair) => ({ ...pair, native: true })],
  ["node", (pair) => pair],
];

/** Every way to give a complete server its certificate. */
export const completeKinds: typeof serverKinds = [
  ["cert and key", (pair) => pair],
  ["certs", (pair) => ({ certs: [pair] })],
  ["three certs", (pair) => ({
    certs: [pair, ...["a.test", "b.test"].map((name) => authority.issue([name]))],
  })],
];

/** The code of what an attempt to connect rejects with; a connection is closed again. */
export async function refusal(connecting: Promise<socket.SocketId>): Promise<string> {
  try {
    tls.close(await connecting);
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return "connected";
}

/** Waits for a task to settle and claims it, whatever became of it. */
export async function settled(id: task.TaskId): Promise<void> {
  await task.await(id).catch(() => {});
}

/** Bytes go both ways, unharmed. */
export async function assertCarries(
  client: socket.SocketId,
  peer: socket.SocketId,
  size = 1000,
): Promise<void> {
  const data = randomBytes(size);
  const sending = task.all([tls.send(client, data), tls.send(peer, data)]);
  const received = await Promise.all([receive(peer, size), receive(client, size)]);
  assertEquals(received.map((bytes) => sha256(bytes)), [sha256(data), sha256(data)]);
  await sending;
}

/** Something that listens on loopback, independent of what is tested. */
export interface Independent extends AsyncDisposable {
  readonly address: socket.Address;
}

/** A TLS server of Deno's own, which shows whatever it is given, and then waits for the end. */
export function serveTls(options: CertificatePair & { alpnProtocols?: string[] }): Independent {
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...options });
  return independent(listener, async (conn) => {
    await conn.handshake();
    while (await conn.read(new Uint8Array(1024)) !== null);
  });
}

/** A TCP server that does with a connection what it is told to, and closes it then or at its end. */
export function serveTcp(handle: (conn: Deno.TcpConn) => Promise<unknown>): Independent {
  return independent(Deno.listen({ hostname: "127.0.0.1", port: 0 }), handle);
}

function independent<C extends Deno.Conn>(
  listener: Deno.Listener<C> & { addr: Deno.Addr },
  handle: (conn: C) => Promise<unknown>,
): Independent {
  const connections = new Map<C, Promise<void>>();
  const serve = async (conn: C) => {
    await handle(conn).catch(() => {});
    closeQuietly(conn);
  };
  const serving = (async () => {
    for await (const conn of listener) connections.set(conn, serve(conn));
  })();
  const { port } = listener.addr as Deno.NetAddr;
  return {
    address: ["127.0.0.1", port],
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
      for (const conn of connections.keys()) closeQuietly(conn);
      await Promise.all(connections.values());
    },
  };
}

/** Closes what may be closed already. */
export function closeQuietly(conn: { close(): void }): void {
  try {
    conn.close();
  } catch {
    // It was.
  }
}

/** What a client sends first. */
export async function clientHello(): Promise<Uint8Array> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array>();
  await using server = serveTcp(async (conn) => {
    const buffer = new Uint8Array(4096);
    resolve(buffer.subarray(0, (await conn.read(buffer))!));
  });
  const connecting = tls.tcpconnect(...server.address, "localhost");
  const hello = await promise;
  await connecting.catch(() => {});
  return hello;
}

/** A listener's record. */
export function inspectListener(server: socket.SocketId): socket.ListenerRecord {
  return socket.inspect(server) as socket.ListenerRecord;
}
