import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  parseProxyHeader,
  type ProxyHeader,
  readProxyHeader,
} from "../../socket/core/proxy_header.ts";
import { addressOf } from "../../socket/core/ip.ts";
import { binaryHeader, type Family, ipv6Bytes, textBytes, tlv } from "../proxy_protocol.ts";

const REST = textBytes("GET / HTTP/1.1\r\n\r\nPROXY TCP4 and more\r\n");

const unixPath = (path: string) => {
  const bytes = new Uint8Array(216);
  bytes.set(textBytes(path));
  bytes.set(textBytes("/to"), 108);
  return bytes;
};
const tcp4 = Uint8Array.of(192, 0, 2, 1, 10, 0, 0, 1, 0xdc, 0x04, 1, 187);
const tcp6 = (client: string) =>
  Uint8Array.of(...ipv6Bytes(client), ...ipv6Bytes("2001:db8::2"), 0xdc, 0x04, 1, 187);
const PROXY = 0x21;
const LOCAL = 0x20;
const binary = (command: number, family: Family, block: Uint8Array, ...tlvs: Uint8Array[]) =>
  binaryHeader(command, family, block, ...tlvs);

/** Good headers and the clients that they name. */
const good: Record<string, [header: Uint8Array<ArrayBuffer>, client: ProxyHeader["client"]]> = {
  "TCP4 as text": [
    textBytes("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"),
    ["192.0.2.1", 56324],
  ],
  "TCP4 as text, at the limits": [
    textBytes("PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n"),
    ["255.255.255.255", 65535],
  ],
  "TCP6 as text": [
    textBytes("PROXY TCP6 2001:DB8::1 ::1 56324 443\r\n"),
    ["2001:db8::1", 56324],
  ],
  "TCP6 as text, an IPv4 client": [
    textBytes("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:10.0.0.1 56324 443\r\n"),
    ["192.0.2.1", 56324],
  ],
  "UNKNOWN as text": [textBytes("PROXY UNKNOWN\r\n"), undefined],
  "UNKNOWN as text, as long as can be": [
    textBytes(
      "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535".padEnd(105, "f") + "\r\n",
    ),
    undefined,
  ],
  "TCP4": [binary(PROXY, 0x11, tcp4), ["192.0.2.1", 0xdc04]],
  "TCP6": [binary(PROXY, 0x21, tcp6("2001:db8:0:0:0:0:0:1")), ["2001:db8::1", 0xdc04]],
  "TCP6, an IPv4 client": [binary(PROXY, 0x21, tcp6("0:0:0:0:0:ffff:c000:201")), [
    "192.0.2.1",
    0xdc04,
  ]],
  "a Unix socket": [binary(PROXY, 0x31, unixPath("/from")), ["/from", 0]],
  "a Unix socket with the longest name": [
    binary(PROXY, 0x31, unixPath("/".padEnd(108, "x")).fill(0x2f, 108)),
    ["/".padEnd(108, "x"), 0],
  ],
  "a Unix socket without a name": [binary(PROXY, 0x31, unixPath("")), ["", 0]],
  "TLVs": [
    binary(PROXY, 0x11, tcp4, tlv(0x02, textBytes("example.com")), tlv(0x04, new Uint8Array(900))),
    ["192.0.2.1", 0xdc04],
  ],
  "as many TLVs as are taken": [
    binary(PROXY, 0x11, tcp4, tlv(0xee, new Uint8Array(4096 - 12 - 3))),
    ["192.0.2.1", 0xdc04],
  ],
  "LOCAL": [binary(LOCAL, 0x00, new Uint8Array(0)), undefined],
  "LOCAL with an address, which means nothing": [binary(LOCAL, 0x11, tcp4), undefined],
  "LOCAL of any family": [binary(LOCAL, 0xff as Family, tcp4), undefined],
  "no family": [binary(PROXY, 0x00, new Uint8Array(0), tlv(1, textBytes("h2"))), undefined],
  "a datagram": [binary(PROXY, 0x12, tcp4), undefined],
};

for (const [name, [header, client]] of Object.entries(good)) {
  Deno.test(`parseProxyHeader() knows ${name} wherever it is split`, () => {
    for (let n = 0; n < header.length; n++) {
      assertEquals(parseProxyHeader(header.subarray(0, n)), undefined, `${n} bytes`);
    }
    assertEquals(parseProxyHeader(header), { length: header.length, client });
    const whole = Uint8Array.of(1, 2, 3, ...header, ...REST).subarray(3);
    assertEquals(parseProxyHeader(whole), { length: header.length, client });
  });
}

const text = (line: string) => textBytes(line);

/** What is no header, and from how many bytes on that is known: unless said, all of them. */
const bad: Record<string, [bytes: Uint8Array, from?: number]> = {
  "HTTP": [text("GET / HTTP/1.1\r\n\r\n"), 1],
  "a ClientHello": [Uint8Array.of(22, 3, 1, 2, 0, 1, 0, 1, 0xfc), 1],
  "zeros": [new Uint8Array(20), 1],
  "lower case": [text("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n"), 1],
  "almost the word": [text("PROXYTCP4 1.2.3.4 1.2.3.4 1 2\r\n"), 6],
  "almost the signature": [Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 11), 12],
  "an unknown family": [text("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n")],
  "no end of line": [text("PROXY UNKNOWN ".padEnd(107, "x")), 107],
  "a line of 108 bytes": [text("PROXY UNKNOWN ".padEnd(106, "x") + "\r\n"), 107],
  "LF without CR": [text("PROXY UNKNOWN\n")],
  "two spaces": [text("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n")],
  "a field too few": [text("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n")],
  "a field too many": [text("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n")],
  "a space at the end": [text("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n")],
  "IPv6 as TCP4": [text("PROXY TCP4 ::1 ::1 1 2\r\n")],
  "IPv4 as TCP6": [text("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n")],
  "an octet of 256": [text("PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n")],
  "an octet with a zero in front": [text("PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n")],
  "three octets": [text("PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n")],
  "a host name": [text("PROXY TCP4 localhost 1.2.3.4 1 2\r\n")],
  "a bracket": [text("PROXY TCP6 ::1]:80/[::1 ::1 1 2\r\n")],
  "a zone": [text("PROXY TCP6 fe80::1%lo ::1 1 2\r\n")],
  "the other address wrong": [text("PROXY TCP4 1.2.3.4 1.2.3 1 2\r\n")],
  "a port of 65536": [text("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n")],
  "a port with a zero in front": [text("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n")],
  "a port below 0": [text("PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n")],
  "a port that is no number": [text("PROXY TCP4 1.2.3.4 1.2.3.4 1 x\r\n")],
  "the other version": [binary(0x11, 0x11, tcp4), 13],
  "version 3": [binary(0x31, 0x11, tcp4), 13],
  "an unknown command": [binary(0x22, 0x11, tcp4), 16],
  "an unknown family of addresses": [binary(PROXY, 0x41 as Family, tcp4), 16],
  "an unknown protocol": [binary(PROXY, 0x13 as Family, tcp4), 16],
  "an IPv4 block that is too short": [binary(PROXY, 0x11, tcp4.subarray(1)), 16],
  "an IPv6 block that is too short": [binary(PROXY, 0x21, tcp4), 16],
  "a Unix block that is too short": [binary(PROXY, 0x31, tcp6("::")), 16],
  "more TLVs than are taken": [
    binary(PROXY, 0x11, tcp4, tlv(0xee, new Uint8Array(4096 - 12 - 2))),
    16,
  ],
  "the longest block there is": [binary(PROXY, 0x11, new Uint8Array(65535)), 16],
};

for (const [name, [bytes, from = bytes.length]] of Object.entries(bad)) {
  Deno.test(`parseProxyHeader() throws EPROTO as soon as it can at ${name}`, () => {
    for (let n = 0; n < from; n++) {
      assertEquals(parseProxyHeader(bytes.subarray(0, n)), undefined, `${n} bytes`);
    }
    for (const n of [from, bytes.length]) {
      const error = assertThrows(() => parseProxyHeader(bytes.subarray(0, n)), Error);
      assertEquals((error as { code?: string }).code, "EPROTO");
    }
  });
}

/** Both ends of a connection of Deno's. */
async function pair(): Promise<{ near: Deno.TcpConn; far: Deno.TcpConn }> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [far, near] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
    listener.accept(),
  ]);
  return { near, far };
}

const read = (conn: Deno.Conn, signal: AbortSignal) =>
  readProxyHeader(conn, addressOf(conn.remoteAddr), signal);

const forever = () => new AbortController().signal;

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let n = 0; n < bytes.length;) n += await conn.write(bytes.subarray(n));
}

for (const [name, [header, client]] of Object.entries(good)) {
  Deno.test(`readProxyHeader() gives peer, proxy and what follows of ${name}`, async () => {
    const { near, far } = await pair();
    const reading = read(near, forever());
    await writeAll(far, Uint8Array.of(...header, ...REST));
    const { peer, proxy, rest } = await reading;
    const balancer = ["127.0.0.1", (far.localAddr as Deno.NetAddr).port];
    assertEquals([peer, proxy], [client ?? balancer, balancer]);
    // What was not read yet is still there to be read.
    const more = new Uint8Array(REST.length);
    let got = rest.length;
    more.set(rest);
    while (got < more.length) got += await near.read(more.subarray(got)) ?? 0;
    assertEquals(more, REST);
    [near, far].forEach((conn) => conn.close());
  });
}

Deno.test("readProxyHeader() reads a header that comes byte by byte", async () => {
  for (const [header, client] of Object.values(good).slice(0, 8)) {
    const { near, far } = await pair();
    far.setNoDelay(true);
    const reading = read(near, forever());
    for (const byte of header) {
      await far.write(Uint8Array.of(byte));
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    const { peer, proxy, rest } = await reading;
    assertEquals([peer, rest.length], [client ?? proxy, 0]);
    [near, far].forEach((conn) => conn.close());
  }
});

Deno.test("readProxyHeader() closes the connection when there is no header", async () => {
  for (const bytes of [text("GET / HTTP/1.1\r\n\r\n"), text("PROXY TCP4 1.2"), new Uint8Array(0)]) {
    const { near, far } = await pair();
    await writeAll(far, bytes);
    await far.closeWrite();
    const error = await assertRejects(() => read(near, forever()), Error);
    assertEquals((error as { code?: string }).code, "EPROTO");
    assertThrows(() => near.close(), Deno.errors.BadResource);
    far.close();
  }
});

Deno.test("readProxyHeader() closes the connection when it is told to give up", async () => {
  const reason = new Error("enough");
  for (const when of ["before", "while it reads"]) {
    const { near, far } = await pair();
    const controller = new AbortController();
    if (when === "before") controller.abort(reason);
    const reading = read(near, controller.signal);
    await far.write(text("PROXY "));
    controller.abort(reason);
    assertEquals(await assertRejects(() => reading), reason);
    assertEquals(await far.read(new Uint8Array(1)).catch(() => null), null);
    far.close();
  }
});

Deno.test("readProxyHeader() leaves the connection alone when told to give up after its header", async () => {
  const { near, far } = await pair();
  const controller = new AbortController();
  const reading = read(near, controller.signal);
  await writeAll(far, textBytes("PROXY UNKNOWN\r\n"));
  await reading;
  controller.abort();
  await far.write(Uint8Array.of(7));
  assertEquals(await near.read(new Uint8Array(9)), 1);
  [near, far].forEach((conn) => conn.close());
});
