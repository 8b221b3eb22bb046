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

const handler = { burst, two }[options.kind] ?? echo;

async function handle(conn: Deno.Conn): Promise<void> {
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
