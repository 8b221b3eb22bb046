// Node's TLS over carriers that are played here, which take and give when the test says so.

import { assertEquals } from "@std/assert";
import type { Transport } from "../../socket/core/transport.ts";
import { secureClient, secureServer } from "../../tls/core/backend.ts";
import { TlsError } from "../../tls/core/codes.ts";
import { NodeServer } from "../../tls/core/node_server.ts";
import { checkClient, checkServer } from "../../tls/core/plan.ts";
import type { Verified } from "../../tls/core/verified.ts";
import { randomBytes } from "../bytes.ts";
import { leavingNothing, turn, until } from "../settle.ts";
import { ca, clientPair, pair } from "./helpers.ts";

const test = (name: string, run: () => Promise<void>) => Deno.test(name, () => leavingNothing(run));

/** One end of a pipe. */
class Carrier implements Transport {
  peer!: Carrier;
  /** What is being written, while the test holds writes back. */
  held: (() => void)[] | undefined;
  /** How often it was closed. */
  closes = 0;
  readonly #came: Uint8Array[] = [];
  #ended = false;
  #reading: { buffer: Uint8Array; resolve: (n: number | null) => void } | undefined;

  read(buffer: Uint8Array): Promise<number | null> {
    const { promise, resolve } = Promise.withResolvers<number | null>();
    this.#reading = { buffer, resolve };
    this.#give();
    return promise;
  }

  write(data: Uint8Array): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    const written = () => {
      this.peer.#came.push(data.slice());
      this.peer.#give();
      resolve(data.length);
    };
    if (this.held === undefined) written();
    else this.held.push(written);
    return promise;
  }

  closeWrite(): Promise<void> {
    this.peer.#ended = true;
    this.peer.#give();
    return Promise.resolve();
  }

  get closed(): boolean {
    return this.closes > 0;
  }

  close(): void {
    this.closes++;
    this.closeWrite();
  }

  #give(): void {
    const reading = this.#reading;
    if (reading === undefined || !this.#ended && this.#came.length === 0) return;
    this.#reading = undefined;
    const chunk = this.#came.shift();
    if (chunk === undefined) return reading.resolve(null);
    const n = Math.min(chunk.length, reading.buffer.length);
    reading.buffer.set(chunk.subarray(0, n));
    if (n < chunk.length) this.#came.unshift(chunk.subarray(n));
    reading.resolve(n);
  }
}

/** So many bytes of a stream. */
async function readAll(transport: Transport, size: number): Promise<Uint8Array> {
  const data = new Uint8Array(size);
  for (let at = 0; at < size;) at += (await transport.read(data.subarray(at)))!;
  return data;
}

interface End {
  readonly carrier: Carrier;
  readonly transport: Transport;
}

/** Both ends of an encrypted connection, which has nothing under way. */
async function connected(): Promise<{ client: End; server: End }> {
  const [near, far] = [new Carrier(), new Carrier()];
  [near.peer, far.peer] = [far, near];
  const { signal } = new AbortController();
  const preface = { buffered: new Uint8Array(), arriving: undefined };
  const [client, server] = await Promise.all([
    secureClient(near, "localhost", checkClient("connect", { ca }), signal),
    secureServer(far, checkServer("listen", pair), signal, preface),
  ]);
  const ends = {
    client: { carrier: near, transport: client.transport },
    server: { carrier: far, transport: server.transport },
  };
  for (const [from, to] of [[ends.server, ends.client], [ends.client, ends.server]]) {
    await from.transport.write(new Uint8Array(1));
    assertEquals(await to.transport.read(new Uint8Array(9)), 1);
    await turn();
  }
  return ends;
}

async function close({ client, server }: { client: End; server: End }): Promise<void> {
  client.transport.close();
  server.transport.close();
  await until(() => client.carrier.closed && server.carrier.closed);
}

for (const size of [1, 1000, 16 * 1024, 16 * 1024 + 1, 48 * 1024]) {
  test(`write() of ${size} bytes is done when their ciphertext is written, and not before`, async () => {
    const ends = await connected();
    for (const [from, to] of [[ends.client, ends.server], [ends.server, ends.client]]) {
      const data = randomBytes(size);
      let done = 0;
      const held: (() => void)[] = from.carrier.held = [];
      from.transport.write(data).then((n) => done = n);
      for (let written = 0; done === 0; written++) {
        await until(() => held.length > written || done > 0);
        await turn();
        assertEquals(done, 0);
        held[written]();
        await turn();
      }
      assertEquals(done, size);
      from.carrier.held = undefined;
      assertEquals(await readAll(to.transport, size), data);
    }
    await close(ends);
  });
}

test("write() rejects when the carrier's does, and so do the next, while reads go on", async () => {
  const ends = await connected();
  for (const [from, to] of [[ends.client, ends.server], [ends.server, ends.client]]) {
    const error = new Error("no more");
    from.carrier.write = () => Promise.reject(error);
    for (let time = 0; time < 2; time++) {
      assertEquals(await from.transport.write(new Uint8Array(9)).catch((error) => error), error);
    }
    assertEquals(await from.transport.closeWrite().catch((error) => error), error);
    assertEquals(from.carrier.closed, false);
    if (from === ends.server) continue; // the other can write no more
    const data = randomBytes(100);
    await to.transport.write(data);
    assertEquals(await readAll(from.transport, data.length), data);
  }
  await close(ends);
});

test("write() rejects with what ended the connection, and writes nothing", async () => {
  const ends = await connected();
  for (const { carrier, transport } of [ends.client, ends.server]) {
    const error = new Error("reset");
    carrier.read = () => Promise.reject(error);
    for (let time = 0; time < 2; time++) {
      assertEquals(await transport.read(new Uint8Array(1)).catch((error) => error), error);
    }
    const held: (() => void)[] = carrier.held = [];
    assertEquals(await transport.write(new Uint8Array(9)).catch((error) => error), error);
    await turn();
    assertEquals(held, []);
    carrier.held = undefined;
  }
  await close(ends);
});

test("close() of what failed says no close_notify, and lets go soon", async () => {
  const error = new Error("reset");
  for (const verb of ["read", "write"] as const) {
    const ends = await connected();
    for (const { carrier, transport } of [ends.client, ends.server]) {
      carrier[verb] = (): Promise<never> => Promise.reject(error);
      assertEquals(await transport[verb](new Uint8Array(1)).catch((error) => error), error);
      const written: Uint8Array[] = [];
      carrier.write = (data) => {
        written.push(data);
        return Promise.withResolvers<number>().promise;
      };
      transport.close();
      for (let i = 0; i < 9; i++) await turn(); // nothing else happens meanwhile
      assertEquals([carrier.closed, written], [true, []]);
    }
  }
});

test("read() gives what was decrypted in pieces, none of which shares memory", async () => {
  const ends = await connected();
  const { client: { transport: from }, server: { transport: to } } = ends;
  const data = randomBytes(1000);
  await from.write(data);
  const into = new Uint8Array(300);
  assertEquals(await to.read(into), 300);
  assertEquals(into, data.subarray(0, 300));
  assertEquals(await to.read(new Uint8Array(0)), 0);
  const rest = (await to.readOwned!())!;
  assertEquals(rest, data.subarray(300));
  assertEquals([rest.byteOffset, rest.buffer.byteLength], [0, 700]);
  await from.write(data);
  for (const [size, at, n] of [[1, 0, 1], [200, 1, 200], [800, 201, 799]]) {
    const into = new Uint8Array(size);
    assertEquals(await to.read(into), n);
    assertEquals(into.subarray(0, n), data.subarray(at, at + n));
  }
  const reading = to.readOwned!();
  await from.write(data);
  const whole = (await reading)!;
  assertEquals([whole, whole.buffer.byteLength], [data, 1000]);
  await close(ends);
});

test("closeWrite() says close_notify before the carrier's", async () => {
  const ends = await connected();
  for (const [from, to] of [[ends.client, ends.server], [ends.server, ends.client]]) {
    const held: (() => void)[] = from.carrier.held = [];
    let [ended, carrierEnded] = [false, false];
    const { closeWrite } = from.carrier;
    from.carrier.closeWrite = () => {
      carrierEnded = true;
      return closeWrite.call(from.carrier);
    };
    const ending = from.transport.closeWrite().then(() => ended = true);
    await until(() => held.length > 0);
    await turn();
    assertEquals([ended, carrierEnded, held.length], [false, false, 1]);
    from.carrier.held = undefined;
    held[0]();
    await ending;
    assertEquals(carrierEnded, true);
    assertEquals(await to.transport.read(new Uint8Array(1)), null);
    assertEquals(await to.transport.readOwned!(), null);
  }
  await close(ends);
});

test("close() says close_notify behind writes of every size", async () => {
  for (const size of [1, 16 * 1024, 48 * 1024]) {
    const ends = await connected();
    await ends.client.transport.write(new Uint8Array(size));
    ends.client.transport.close();
    await readAll(ends.server.transport, size);
    assertEquals(await ends.server.transport.read(new Uint8Array(1)), null);
    await close(ends);
  }
});

test("a client gets in only if the check of its certificate says nothing and does not fail", async () => {
  const plan = checkServer("listen", { ...pair, requestCert: true, ca });
  const client = checkClient("connect", { ca, ...clientPair });
  const objections: Record<string, () => TlsError | undefined> = {
    "in": () => undefined,
    "CERT_REVOKED": () => new TlsError("CERT_REVOKED", "it was revoked"),
    "EPROTO": () => {
      throw new TlsError("EPROTO", "it cannot be read");
    },
  };
  for (const [outcome, objection] of Object.entries(objections)) {
    const [near, far] = [new Carrier(), new Carrier()];
    [near.peer, far.peer] = [far, near];
    const server = new NodeServer(plan, plan.pairs, { objection } as unknown as Verified);
    const { signal } = new AbortController();
    const [connecting, accepting] = [
      secureClient(near, "localhost", client, signal),
      server.secure(far, signal),
    ];
    const accepted = accepting.then(({ transport }) => (transport.close(), "in"), codeOf);
    assertEquals(await accepted, outcome);
    await connecting.then(({ transport }) => transport.close(), () => {});
    await until(() => near.closed && far.closed);
  }
});

const codeOf = (error: { code: string }) => error.code;

test("a handshake fails when the carrier takes nothing, though nothing has come", async () => {
  const carrier = new Carrier();
  carrier.peer = new Carrier();
  carrier.write = () => Promise.reject(new TlsError("EPIPE", "no more"));
  const { signal } = new AbortController();
  const connecting = secureClient(carrier, "localhost", checkClient("connect", { ca }), signal);
  assertEquals(await connecting.then(() => "in", codeOf), "EPIPE");
  await until(() => carrier.closed);
});

test("close() lets go when close_notify is written, or after a second if it is not", async () => {
  for (const taken of [true, false]) {
    const ends = await connected();
    const { client: { carrier, transport }, server } = ends;
    const held: (() => void)[] = carrier.held = [];
    const reading = transport.read(new Uint8Array(1)).catch(({ code }) => code);
    transport.close();
    assertEquals(await reading, "ECONNABORTED");
    await until(() => held.length > 0);
    await turn();
    assertEquals(carrier.closed, false);
    if (taken) {
      held[0]();
      assertEquals(await server.transport.read(new Uint8Array(1)), null);
    }
    await until(() => carrier.closed);
    if (!taken) held[0]();
    await close(ends);
    for (let i = 0; i < 9; i++) await turn();
    assertEquals([carrier.closes, server.carrier.closes], [1, 1]);
  }
});

test("close() rejects a write that the peer has not taken, at once, and lets go soon", async () => {
  const ends = await connected();
  for (const { carrier, transport } of [ends.client, ends.server]) {
    const held: (() => void)[] = carrier.held = [];
    let fault = "";
    transport.write(new Uint8Array(1)).catch(({ code }) => fault = code);
    await until(() => held.length > 0);
    transport.close();
    for (let i = 0; i < 9; i++) await Promise.resolve(); // in this very turn
    assertEquals([fault, carrier.closed], ["ECONNABORTED", false]);
    for (let i = 0; i < 9; i++) await turn(); // nothing else happens meanwhile
    assertEquals([carrier.closed, held.length], [true, 1]);
    held[0]();
  }
});

test("read() says that the stream was cut, once what came has been taken", async () => {
  const ends = await connected();
  const { client, server } = ends;
  await client.transport.write(new Uint8Array([1, 2]));
  await client.carrier.closeWrite();
  assertEquals(await readAll(server.transport, 2), new Uint8Array([1, 2]));
  for (let time = 0; time < 2; time++) {
    const code = await server.transport.read(new Uint8Array(1)).catch(({ code }) => code);
    assertEquals(code, "EUNEXPECTEDEOF");
  }
  const waiting = client.transport.read(new Uint8Array(1)).catch(({ code }) => code);
  await turn();
  await server.carrier.closeWrite();
  assertEquals(await waiting, "EUNEXPECTEDEOF");
  await close(ends);
});
