// What strangers send, changed at random: the same seed gives the same changes, and every run takes a new one.

import { assert, assertEquals } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { parseProxyHeader } from "../../socket/core/proxy_header.ts";
import { concat } from "../bytes.ts";
import { binaryHeader, ipv6Bytes, textBytes, tlv } from "../proxy_protocol.ts";
import { type Random, withSeed } from "../random.ts";
import { leavingNothing } from "../settle.ts";

/** How many rounds: a short share by default. */
const ROUNDS = Number(Deno.env.get("TASKIO_ROUNDS") ?? 5000);

const tcp4 = Uint8Array.of(192, 0, 2, 1, 10, 0, 0, 1, 0xdc, 4, 1, 187);
const tcp6 = Uint8Array.of(...ipv6Bytes("2001:db8::1"), ...ipv6Bytes("::1"), 0xdc, 4, 1, 187);
const headers = [
  textBytes("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"),
  textBytes("PROXY TCP6 2001:db8::1 ::ffff:10.0.0.1 56324 443\r\n"),
  textBytes("PROXY UNKNOWN some more\r\n"),
  binaryHeader(0x21, 0x11, tcp4, tlv(4, new Uint8Array(9))),
  binaryHeader(0x21, 0x21, tcp6),
  binaryHeader(0x21, 0x31, new Uint8Array(216)),
  binaryHeader(0x20, 0, tlv(1, textBytes("h2"))),
];

/** Changes a few bytes, takes some away, or puts some in. */
function garble(random: Random, original: Uint8Array): Uint8Array {
  let data: Uint8Array = original.slice();
  for (let changes = random.integer(0, 3); changes > 0; changes--) {
    const at = random.integer(0, Math.max(0, data.length - 1));
    const kind = random.integer(0, 7);
    if (kind === 0) data = data.slice(0, at);
    else if (kind === 1) data = concat([data.subarray(0, at), data.subarray(at + 1)]);
    else if (kind === 2) {
      data = concat([data.subarray(0, at), Uint8Array.of(32), data.subarray(at)]);
    } else {data[at] = kind < 5
        ? random.pick([...textBytes("0129:.PROXY \r\n\0")])
        : random.next() * 256;}
  }
  return data;
}

/** What a header comes to: a header, a code, or nothing yet. */
function read(bytes: Uint8Array): string {
  try {
    return JSON.stringify(parseProxyHeader(bytes)) ?? "more";
  } catch (error) {
    const { code } = error as { code?: string };
    assertEquals(code, "EPROTO", String(error));
    return "EPROTO";
  }
}

Deno.test("parseProxyHeader() gives a header or EPROTO for whatever is changed in one, once and for all", () =>
  withSeed((random) => {
    const came: Record<string, number> = {};
    for (let round = 0; round < ROUNDS; round++) {
      const data = garble(random, random.pick(headers));
      const whole = read(data);
      came[whole[0]] = (came[whole[0]] ?? 0) + 1;
      // Whatever is decided early is decided: more bytes change nothing.
      const early = read(data.subarray(0, random.integer(0, data.length)));
      if (early !== "more") assertEquals(early, whole);
      if (whole !== "more") assertEquals(read(concat([data, textBytes("GET /\r\n")])), whole);
      if (whole[0] !== "{") continue;
      const { length, client } = JSON.parse(whole);
      assert(length <= data.length);
      if (client !== undefined) assert(client[1] >= 0 && client[1] <= 65535, whole);
    }
    assert(came["{"] > 0 && came.E > 0 && came.m > 0, JSON.stringify(came));
    return Promise.resolve();
  }));

const PIECES = [
  ...[
    "a",
    "A",
    "9",
    "-",
    ".",
    "..",
    "*",
    "*.",
    "xn--",
    "_",
    ":",
    "::",
    "[",
    "]",
    "%",
    "/",
    "\\",
    "@",
  ],
  ...[
    "\0",
    "\ud800",
    "\udc00",
    "é",
    "ß",
    "İ",
    "。",
    "\u200d",
    "☃",
    "1.2.3.4",
    "::1",
    "256",
    "test",
  ],
  ...[" ", "\n", "?", "#", "a".repeat(63), "b".repeat(64)],
];

Deno.test("connect() and selfsigned() take a name or throw RangeError, whatever it is made of", () =>
  leavingNothing(() =>
    withSeed((random) => {
      const listener = socket.tcpserver("127.0.0.1", 0);
      const [, port] = socket.getlocal(listener);
      socket.close(listener);
      const came = { taken: 0, refused: 0 };
      const ends = (call: () => unknown) => {
        try {
          call();
          came.taken++;
        } catch (error) {
          assert(error instanceof RangeError, String(error));
          came.refused++;
        }
      };
      for (let round = 0; round < ROUNDS / 10; round++) {
        const pieces = Array.from({ length: random.integer(1, 6) }, () => random.pick(PIECES));
        const name = pieces.join("");
        ends(() => {
          const id = tls.connect("127.0.0.1", port, name);
          task.cancel(id);
          task.forget(id);
        });
        ends(() => {
          // What was made can be served.
          socket.close(tls.tcpserver("127.0.0.1", 0, tls.selfsigned([name])));
        });
      }
      assert(came.taken > 0 && came.refused > 0, JSON.stringify(came));
      return Promise.resolve();
    })
  ));
