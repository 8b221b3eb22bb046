/** The bare Deno API: a plain loop over read and write with one reused buffer per connection. */
import { BURST, control, MESSAGE, options } from "./control.mjs";

const address = { hostname: "127.0.0.1", port: 0 };

async function writeAll(conn: Deno.Conn, data: Uint8Array): Promise<void> {
  for (let n = 0; n < data.length;) n += await conn.write(data.subarray(n));
}

async function echo(conn: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(options.size);
  for (;;) {
    const n = await conn.read(buffer);
    if (n === null) break;
    await writeAll(conn, buffer.subarray(0, n));
  }
}

/** An answer of two writes, as a header and a body. */
async function two(conn: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(options.size);
  for (;;) {
    const n = await conn.read(buffer);
    if (n === null) break;
    await writeAll(conn, buffer.subarray(0, n / 2));
    await writeAll(conn, buffer.subarray(n / 2, n));
  }
}

async function burst(conn: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(options.size);
  while (await conn.read(buffer) !== null) {
    const writes = [];
    for (let i = 0; i < BURST; i++) writes.push(conn.write(MESSAGE));
    await Promise.all(writes);
  }
}

/** Every second connection is the other end of the one before it. */
let waiting: Deno.Conn | undefined;

async function relay(conn: Deno.Conn): Promise<void> {
  const other = waiting;
  waiting = other === undefined ? conn : undefined;
  if (other === undefined) await new Promise(() => {}); // the next one copies both ways
  else await Promise.all([copy(conn, other), copy(other, conn)]);
}

async function copy(from: Deno.Conn, to: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(options.size);
  for (;;) {
    const n = await from.read(buffer);
    if (n === null) break;
    await writeAll(to, buffer.subarray(0, n));
  }
  await to.closeWrite();
}

const handler = { burst, two, relay }[options.kind] ?? echo;

async function handle(conn: Deno.Conn): Promise<void> {
  if (options.kind === "streams") return await conn.readable.pipeTo(conn.writable); // closes it, too
  try {
    await handler(conn);
  } catch (error) {
    console.error("raw:", error);
  } finally {
    conn.close();
  }
}

if (options.tls) {
  const listener = Deno.listenTls({ ...address, ...options.tls });
  control(listener.addr.port);
  for (;;) handle(await listener.accept());
} else {
  const listener = Deno.listen(address);
  control(listener.addr.port);
  for (;;) {
    const conn = await listener.accept();
    conn.setNoDelay(true);
    handle(conn);
  }
}
