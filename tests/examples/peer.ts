// A client of an echo server, by Deno's own sockets.

/** Bytes that differ from one place to the next, and with the seed. */
export function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) * 7 + seed) & 255);
}

/** Reads exactly so many bytes. */
export async function readFull(conn: Deno.Conn, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let size = 0; size < length;) {
    const n = await conn.read(bytes.subarray(size));
    if (n === null) throw new Error(`The stream ended after ${size} of ${length} bytes`);
    size += n;
  }
  return bytes;
}

/** Sends data and the end, and reads until the end. */
export async function exchange(port: number, data: Uint8Array): Promise<Uint8Array> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const sending = (async () => {
    for (let at = 0; at < data.length;) at += await conn.write(data.subarray(at));
    await conn.closeWrite();
  })();
  const reply = new Uint8Array(data.length + 1); // more would be an error, and show
  let size = 0;
  for (let n; (n = await conn.read(reply.subarray(size))) !== null;) size += n;
  await sending;
  return reply.subarray(0, size);
}
