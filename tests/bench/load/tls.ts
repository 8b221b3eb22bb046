import type { Load } from "./mod.ts";

/**
 * Load over TLS, on `Deno.startTls`: the C library has no TLS, and this side of a handshake or a
 * record costs about as much as the server's. Look at the load's share in the table before
 * reading anything into the server's idle time.
 */
async function dial(port: number, ca: string): Promise<Deno.TlsConn> {
  const plain = await Deno.connect({ hostname: "127.0.0.1", port });
  plain.setNoDelay(true);
  const conn = await Deno.startTls(plain, { hostname: "localhost", caCerts: [ca] });
  await conn.handshake();
  return conn;
}

async function writeAll(conn: Deno.Conn, data: Uint8Array): Promise<void> {
  for (let n = 0; n < data.length;) n += await conn.write(data.subarray(n));
}

/** Reads `size` bytes in all, or more if the last read brings more. */
async function readAtLeast(conn: Deno.Conn, buffer: Uint8Array, size: number): Promise<number> {
  let total = 0;
  while (total < size) {
    const n = await conn.read(buffer);
    if (n === null) throw new Error("The server ended a connection");
    total += n;
  }
  return total;
}

/** Closes the connections of a run that does not end, so that it fails instead. */
async function within<T>(ms: number, conns: Iterable<Deno.Conn>, run: Promise<T>): Promise<T> {
  const timer = setTimeout(() => {
    for (const conn of conns) conn.close();
  }, ms + 5_000);
  try {
    return await run;
  } finally {
    clearTimeout(timer);
  }
}

/** How many descriptors this process holds. */
const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;

const total = (counts: number[]) => counts.reduce((a, b) => a + b, 0);

/** The part that ping-pong and bulk share: connections that live as long as the load. */
abstract class Connected implements Load {
  #conns: Deno.TlsConn[];

  constructor(conns: Deno.TlsConn[]) {
    this.#conns = conns;
  }

  protected static dialAll(port: number, ca: string, n: number): Promise<Deno.TlsConn[]> {
    return Promise.all(Array.from({ length: n }, () => dial(port, ca)));
  }

  async run(ms: number): Promise<number> {
    const end = performance.now() + ms;
    const work = Promise.all(this.#conns.map((conn) => this.work(conn, end)));
    return total(await within(ms, this.#conns, work));
  }

  /** Works on one connection until `end`; gives the units done. */
  protected abstract work(conn: Deno.TlsConn, end: number): Promise<number>;

  [Symbol.dispose](): void {
    for (const conn of this.#conns) conn.close();
  }
}

/** 64 bytes there and back. The unit is one exchange. */
export class TlsPingPong extends Connected {
  static async open(port: number, ca: string, connections: number): Promise<TlsPingPong> {
    return new TlsPingPong(await this.dialAll(port, ca, connections));
  }

  protected async work(conn: Deno.TlsConn, end: number): Promise<number> {
    const data = new Uint8Array(64);
    const buffer = new Uint8Array(1024);
    let done = 0;
    do {
      await conn.write(data);
      await readAtLeast(conn, buffer, data.length);
      done++;
    } while (performance.now() < end);
    return done;
  }
}

/** An echo in bulk, half a megabyte under way on each connection. The unit is 1 GB echoed. */
export class TlsBulk extends Connected {
  static async open(port: number, ca: string, connections: number): Promise<TlsBulk> {
    return new TlsBulk(await this.dialAll(port, ca, connections));
  }

  protected async work(conn: Deno.TlsConn, end: number): Promise<number> {
    const data = new Uint8Array(64 * 1024);
    const buffer = new Uint8Array(256 * 1024);
    let sent = 0;
    let received = 0;
    let writing = Promise.resolve();
    while (received < sent || performance.now() < end) {
      while (sent - received < 8 * data.length && performance.now() < end) {
        writing = writing.then(() => writeAll(conn, data));
        sent += data.length;
      }
      received += await readAtLeast(conn, buffer, 1);
    }
    await writing;
    return received / 1e9;
  }
}

/** Connect, handshake, one echo of 64 bytes, close; some at a time. The unit is one connection. */
export class TlsHandshakes implements Load {
  #port: number;
  #ca: string;
  #atOnce: number;
  #open = new Set<Deno.Conn>();

  constructor(port: number, ca: string, atOnce: number) {
    this.#port = port;
    this.#ca = ca;
    this.#atOnce = atOnce;
  }

  async run(ms: number): Promise<number> {
    const end = performance.now() + ms;
    const work = Promise.all(Array.from({ length: this.#atOnce }, () => this.#work(end)));
    const done = total(await within(ms, this.#open, work));
    // The last connections are still being closed on the other side. On this side Deno gives back
    // the descriptors of closed TLS connections at a few hundred per second only: do not run out.
    const patience = performance.now() + 10_000;
    do await new Promise((resolve) => setTimeout(resolve, 5)); while (
      descriptors() > 1000 && performance.now() < patience
    );
    return done;
  }

  async #work(end: number): Promise<number> {
    const data = new Uint8Array(64);
    let done = 0;
    do {
      const conn = await dial(this.#port, this.#ca);
      this.#open.add(conn);
      await conn.write(data);
      await readAtLeast(conn, new Uint8Array(1024), data.length);
      this.#open.delete(conn);
      conn.close();
      done++;
    } while (performance.now() < end);
    return done;
  }

  [Symbol.dispose](): void {}
}
