// What is read from the first bytes of a client, for anything that they may be.

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { type ClientHello, MAX_HELLO, readClientHello } from "../../tls/core/client_hello.ts";
import { TlsError } from "../../tls/core/codes.ts";
import { concat } from "../../tls/core/der.ts";
import { Random } from "../random.ts";
import { clientHello, closeQuietly } from "./helpers.ts";
import { available as openssl } from "./openssl.ts";

const encoder = new TextEncoder();
const bytes = (...list: (number | Uint8Array | string)[]): Uint8Array =>
  concat(
    list.map((item) =>
      typeof item === "number"
        ? new Uint8Array([item])
        : typeof item === "string"
        ? encoder.encode(item)
        : item
    ),
  );

/** A vector: its length in so many bytes, then its parts. */
function vector(size: number, ...parts: (number | Uint8Array | string)[]): Uint8Array {
  const body = bytes(...parts);
  const length = Array.from({ length: size }, (_, i) => body.length >>> 8 * (size - 1 - i) & 0xff);
  return bytes(...length, body);
}

const extension = (type: number, ...parts: (number | Uint8Array | string)[]) =>
  bytes(type >> 8, type & 0xff, vector(2, ...parts));
const serverName = (...names: (Uint8Array | string)[]) =>
  extension(0, vector(2, ...names.map((name) => bytes(0, vector(2, name)))));
const alpn = (...names: string[]) =>
  extension(16, vector(2, ...names.map((name) => vector(1, name))));

interface Shape {
  version?: number;
  session?: Uint8Array;
  suites?: Uint8Array;
  compression?: Uint8Array;
  extensions?: Uint8Array[] | null;
}

function message(
  {
    version = 0x0303,
    session = new Uint8Array(32).fill(5),
    suites = bytes(0x13, 0x01, 0xc0, 0x2f),
    compression = bytes(0),
    extensions = [],
  }: Shape = {},
): Uint8Array {
  const body = bytes(
    version >> 8,
    version & 0xff,
    new Uint8Array(32).fill(7),
    vector(1, session),
    vector(2, suites),
    vector(1, compression),
    extensions === null ? "" : vector(2, ...extensions),
  );
  return bytes(1, vector(3, body));
}

const record = (content: Uint8Array, version = 0x0301) =>
  bytes(22, version >> 8, version & 0xff, vector(2, content));

const hello = (...extensions: Uint8Array[]) => record(message({ extensions }));

/** The message in records of so many bytes. */
function fragmented(whole: Uint8Array, size: number): Uint8Array {
  const records: Uint8Array[] = [];
  for (let at = 0; at < whole.length; at += size) {
    records.push(record(whole.subarray(at, at + size)));
  }
  return concat(records);
}

/** Why it is refused. */
function refusal(data: Uint8Array): string {
  const error = assertThrows(() => readClientHello(data), TlsError);
  assertEquals(error.code, "EPROTO");
  return error.message;
}

/** Read whole, and undecided at every byte before. */
function assertReads(data: Uint8Array, expected: ClientHello): void {
  assertEquals(readClientHello(data), expected);
  for (let length = 0; length < data.length; length++) {
    assertEquals(readClientHello(data.subarray(0, length)), undefined, `cut after ${length}`);
  }
  assertEquals(readClientHello(concat([data, data])), expected);
}

/** The first bytes of what a program sends to a server. */
async function capture(connect: (port: number) => Promise<unknown>): Promise<Uint8Array> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connected = connect((listener.addr as Deno.NetAddr).port);
  const conn = await listener.accept();
  let data = new Uint8Array(0);
  try {
    const buffer = new Uint8Array(4096);
    while (readClientHello(data) === undefined) {
      const n = await conn.read(buffer);
      assert(n !== null, "the client ended before its ClientHello did");
      data = concat([data, buffer.subarray(0, n)]);
    }
  } finally {
    closeQuietly(conn);
    await connected;
  }
  return data;
}

async function runs(program: string): Promise<boolean> {
  const version = new Deno.Command(program, { args: ["--version"], stderr: "null" });
  return await version.output().then(({ success }) => success, () => false);
}

/** Programs, each with what it is to ask for. */
const programs: readonly [name: string, there: boolean, expected: ClientHello, args: string[]][] = [
  ...["-tls1_2", "-tls1_3"].map((version): typeof programs[number] => [
    `openssl ${version}`,
    openssl,
    { serverName: "open.ssl.test", alpn: ["h2", "http/1.1"] },
    [
      "openssl",
      "s_client",
      version,
      "-servername",
      "open.ssl.test",
      "-alpn",
      "h2,http/1.1",
      "-connect",
      "127.0.0.1:PORT",
    ],
  ]),
  ["openssl -tls1", openssl, { serverName: "", alpn: [] }, [
    "openssl",
    "s_client",
    "-tls1",
    "-cipher",
    "ALL:@SECLEVEL=0",
    "-noservername",
    "-connect",
    "127.0.0.1:PORT",
  ]],
  ["node", await runs("node"), { serverName: "node.test", alpn: ["one", "two"] }, [
    "node",
    "-e",
    `require("tls").connect({host: "127.0.0.1", port: PORT, servername: "Node.test",
      ALPNProtocols: ["one", "two"]}).on("error", () => {})`,
  ]],
  ["python3", await runs("python3"), { serverName: "python.test", alpn: ["imap"] }, [
    "python3",
    "-c",
    `import socket, ssl
context = ssl.create_default_context()
context.set_alpn_protocols(["imap"])
try: context.wrap_socket(socket.create_connection(("127.0.0.1", PORT)), server_hostname="python.test")
except OSError: pass`,
  ]],
];

for (const [name, there, expected, [program, ...args]] of programs) {
  Deno.test({
    name: there
      ? `readClientHello() reads what ${name} sends`
      : `readClientHello() reads what ${name} sends (skipped: there is no such program here)`,
    ignore: !there,
    fn: async () => {
      const data = await capture((port) =>
        new Deno.Command(program, {
          args: args.map((arg) => arg.replace("PORT", String(port))),
          stdin: "null",
        }).output()
      );
      assertEquals(readClientHello(data), expected);
    },
  });
}

Deno.test("readClientHello() reads what Deno sends, with a name, with an address and with ALPN", async () => {
  const send = (hostname: string, alpnProtocols?: string[]) =>
    capture(async (port) => {
      const conn = await Deno.connect({ hostname: "127.0.0.1", port });
      const secured = await Deno.startTls(conn, { hostname, alpnProtocols });
      await secured.handshake().catch(() => {});
      secured.close();
    });
  assertEquals(readClientHello(await send("deno.test", ["h2"])), {
    serverName: "deno.test",
    alpn: ["h2"],
  });
  assertEquals(readClientHello(await send("127.0.0.1")), { serverName: "", alpn: [] });
});

Deno.test("readClientHello() waits at every byte of a real hello and of one in many records", async () => {
  const real = await clientHello();
  const end = 5 + (real[3] << 8 | real[4]);
  assertReads(real.subarray(0, end), { serverName: "localhost", alpn: [] });
  const whole = message({ extensions: [serverName("a.test"), alpn("h2")] });
  for (const size of [2, 3, 4, 5, 50, whole.length - 1]) {
    assertReads(fragmented(whole, size), { serverName: "a.test", alpn: ["h2"] });
  }
});

Deno.test("readClientHello() takes the extensions in every order, GREASE between them", () => {
  const parts = [
    serverName("a.test"),
    alpn("h2", "http/1.1"),
    extension(43, vector(1, 3, 4, 3, 3)),
    extension(0x0a0a, 0),
    extension(0xfafa),
  ];
  const orders = (list: Uint8Array[]): Uint8Array[][] =>
    list.length < 2
      ? [list]
      : list.flatMap((one) =>
        orders(list.filter((other) => other !== one)).map((rest) => [one, ...rest])
      );
  const found = orders(parts);
  assertEquals(found.length, 120);
  for (const order of found) {
    assertEquals(readClientHello(hello(...order)), {
      serverName: "a.test",
      alpn: ["h2", "http/1.1"],
    });
  }
});

Deno.test("readClientHello() reads the shapes of TLS 1.0 to 1.3", () => {
  const nothing = { serverName: "", alpn: [] };
  for (const version of [0x0300, 0x0301, 0x0302, 0x0303, 0x0304]) {
    for (const outer of [0x0300, 0x0301, 0x0303, 0x0304]) {
      assertEquals(readClientHello(record(message({ version, extensions: null }), outer)), nothing);
      assertEquals(readClientHello(record(message({ version, extensions: [] }), outer)), nothing);
    }
  }
  assertReads(record(message({ session: new Uint8Array(0), compression: bytes(1, 0) })), nothing);
});

Deno.test("readClientHello() gives a server's name as it stands in certificates, and nothing else", () => {
  const name = (name: Uint8Array | string) => readClientHello(hello(serverName(name)))!.serverName;
  const long = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`;
  assertEquals(name("a.test"), "a.test");
  assertEquals(name("A.Test"), "a.test");
  assertEquals(name("a.test."), "a.test");
  assertEquals(name("xn--bcher-kva.example"), "xn--bcher-kva.example");
  assertEquals(name("_under.score_.test"), "_under.score_.test");
  assertEquals([long.length, name(long), name(long + ".")], [253, long, long]);
  for (
    const hostile of [
      "",
      ".",
      "..",
      "a..test",
      "a.test..",
      "\0",
      "a.test\0",
      "a.test\0.evil.test",
      "a test",
      "a.test\r\n",
      "bücher.example",
      bytes(0xff, 0xfe),
      bytes(0xe0),
      "127.0.0.1",
      "1.2.3",
      "::1",
      "[::1]",
      "*",
      "*.a.test",
      "-a.test",
      "a.test:443",
      "../../etc/passwd",
      `${long}e`,
      "a".repeat(64) + ".test",
      "a".repeat(255),
      "a.".repeat(5000),
    ]
  ) {
    assertEquals(name(hostile), "", String(hostile).slice(0, 40));
  }
});

Deno.test("readClientHello() refuses extensions that contradict themselves", () => {
  for (
    const extensions of [
      [serverName("a.test"), serverName("a.test")],
      [alpn("a"), alpn("b")],
      [extension(0x0a0a), extension(0x0a0a)],
      [serverName("a.test", "b.test")],
      [extension(0)],
      [extension(0, vector(2))],
      [extension(0, vector(2, 0, vector(2, "a.test")), 0)],
      [extension(0, vector(2, 0, 0, 7, "a.test"))],
      [extension(0, vector(2, 0, 0, 5, "a.test"))],
      [extension(0, 0, 99, 0, vector(2, "a.test"))],
      [extension(16)],
      [extension(16, vector(2))],
      [extension(16, vector(2, vector(1)))],
      [extension(16, vector(2, 9, "h2"))],
      [extension(16, vector(2, vector(1, "h2")), 0)],
      [bytes(0, 16, 255, 255)],
      [bytes(0)],
    ]
  ) assertStringIncludes(refusal(hello(...extensions)), "garbled ClientHello");
  // A type of name that nobody knows is passed over.
  const odd = extension(0, vector(2, 7, vector(2, "x"), 0, vector(2, "a.test")));
  assertEquals(readClientHello(hello(odd))?.serverName, "a.test");
});

Deno.test("readClientHello() refuses lengths that lie as soon as it reads them", () => {
  const whole = hello(serverName("a.test"));
  const changed = (at: number, ...values: number[]) => {
    const copy = whole.slice();
    copy.set(values, at);
    return copy;
  };
  assertStringIncludes(refusal(changed(3, 0x40, 0x01).subarray(0, 5)), "record of 16385 bytes");
  assertStringIncludes(refusal(changed(3, 0, 0).subarray(0, 5)), "empty handshake record");
  assertStringIncludes(refusal(changed(6, 0, 0x3f, 0xfd).subarray(0, 9)), "more than 16389 bytes");
  assertStringIncludes(refusal(changed(6, 0xff, 0xff, 0xff).subarray(0, 9)), "more than 16389");
  // Of the message, the session, the suites, the compression and the extensions.
  for (const [at, value] of [[8, 1], [8, 50], [43, 33], [43, 255], [77, 5], [77, 0], [82, 0]]) {
    assertStringIncludes(refusal(changed(at, value)), "garbled", `${value} at ${at}`);
  }
  assertStringIncludes(refusal(record(bytes(1, 0, 0, 0))), "garbled");
  assertStringIncludes(refusal(record(message({ suites: bytes(1, 2, 3) }))), "garbled");
  assertStringIncludes(refusal(record(message({ compression: bytes() }))), "garbled");
});

Deno.test("readClientHello() reads a hello of MAX_HELLO bytes and refuses a longer one", () => {
  const padded = (length: number) => {
    const padding = length - hello(serverName("a.test"), extension(21)).length;
    return message({ extensions: [serverName("a.test"), extension(21, new Uint8Array(padding))] });
  };
  const longest = padded(MAX_HELLO);
  assertEquals(record(longest).length, MAX_HELLO);
  assertEquals(readClientHello(record(longest))?.serverName, "a.test");
  assertEquals(readClientHello(record(longest).subarray(0, MAX_HELLO - 1)), undefined);
  assertStringIncludes(refusal(fragmented(longest, 16000)), "more than 16389 bytes");
  assertStringIncludes(
    refusal(fragmented(padded(MAX_HELLO + 1), 9000).subarray(0, 9)),
    "more than",
  );
  // In small records: refused when the bytes are too many, whatever the header says.
  const drip = fragmented(longest, 260);
  assert(drip.length > MAX_HELLO);
  assertStringIncludes(refusal(drip.subarray(0, pending(drip) + 1)), "more than 16389 bytes");
});

/** How much of it may come without being refused. */
function pending(data: Uint8Array): number {
  for (let length = 0; length < data.length; length++) {
    try {
      assertEquals(readClientHello(data.subarray(0, length + 1)), undefined);
    } catch {
      return length;
    }
  }
  return data.length;
}

Deno.test("readClientHello() reads a hello in 64 records and refuses one in more", () => {
  const whole = message({ extensions: [serverName("a.test")] });
  const parts = (count: number) =>
    concat([
      fragmented(whole.subarray(0, count - 1), 1),
      record(whole.subarray(count - 1)),
    ]);
  assert(whole.length > 65);
  assertReads(parts(64), { serverName: "a.test", alpn: [] });
  assertStringIncludes(refusal(parts(65)), "in more than 64 records");
  // The most that may be looked through again for every byte that comes.
  const drip = fragmented(message({ extensions: [extension(21, new Uint8Array(9000))] }), 1);
  assertEquals(pending(drip), 64 * 6 + 5 - 1);
});

Deno.test("readClientHello() refuses what is no handshake at its first wrong byte and says what it looks like", () => {
  for (
    const [data, text] of [
      [bytes("GET / HTTP/1.1\r\n"), "HTTP without TLS"],
      [bytes("OPTIONS * HTTP/1.1\r\n"), "HTTP without TLS"],
      [bytes("PRI * HTTP/2.0\r\n"), "HTTP without TLS"],
      [bytes("EHLO me\r\n"), "text in clear"],
      [bytes("G"), "text in clear"],
      [bytes("\r\n"), "text in clear"],
      [bytes("PROXY TCP4 10.0.0.1"), "proxyProtocol"],
      [bytes("\r\n\r\n\0\r\nQUIT\n!"), "proxyProtocol"],
      [bytes(0x80, 0x2e, 0x01, 0x03, 0x01, 0), "SSL 2"],
      [bytes(21, 3, 3, 0, 2, 2, 40), "alert"],
      [bytes(23, 3, 3, 0, 9), "begins no handshake"],
      [bytes(20), "begins no handshake"],
      [bytes(0), "does not speak TLS"],
      [bytes(0xff, 0xff), "does not speak TLS"],
      [bytes(22, 0xfe), "does not speak TLS"], // DTLS
      [bytes(22, 2), "does not speak TLS"],
      [bytes(22, 3, 1, 0, 9, 2), "begin its handshake with a ClientHello"], // a ServerHello
      [bytes(record(bytes(1)), 23), "breaks off"],
      [bytes(record(bytes(1)), 22, 9), "does not speak TLS"],
    ] as const
  ) {
    assertStringIncludes(refusal(data), text);
    assertStringIncludes(refusal(concat([data, new Uint8Array(100)])), data.length > 1 ? text : "");
  }
});

Deno.test("readClientHello() gives a hello or EPROTO, nothing else, for whatever is changed in one", async () => {
  const random = new Random(20);
  const whole = message({
    extensions: [serverName("a.test"), alpn("h2", "imap"), extension(43, vector(1, 3, 4))],
  });
  const originals = [
    record(whole),
    fragmented(whole, 20),
    fragmented(whole, 2),
    await clientHello(),
  ];
  let [read, refused, undecided] = [0, 0, 0];
  for (let round = 0; round < 20_000; round++) {
    let data: Uint8Array = random.pick(originals).slice();
    for (let changes = random.integer(1, 4); changes > 0; changes--) {
      const at = random.integer(0, Math.max(0, data.length - 1));
      const kind = random.integer(0, 9);
      if (kind === 0) data = data.slice(0, at);
      else if (kind === 1) data = concat([data.subarray(0, at), data.subarray(at + 1)]);
      else if (kind === 2) data = bytes(data.subarray(0, at), 0, data.subarray(at));
      else data[at] = kind < 6 ? random.pick([0, 1, 0x7f, 0x80, 0xff]) : random.integer(0, 255);
    }
    try {
      const found = readClientHello(data);
      if (found === undefined) undecided++;
      else {
        read++;
        assert(/^[a-z0-9._-]*$/.test(found.serverName), found.serverName);
      }
    } catch (error) {
      refused++;
      assert(error instanceof TlsError && error.code === "EPROTO", String(error));
    }
  }
  assert(read > 1000 && refused > 1000 && undecided > 1000, `${[read, refused, undecided]}`);
});

Deno.test("readClientHello() refuses what is out of range by one", () => {
  // Of the length of the message, the third byte from the right counts as well.
  const long = hello(serverName("a.test")).slice();
  long.set([1, 0, 16], 6);
  assertStringIncludes(refusal(long.subarray(0, 9)), "more than 16389");
  const session = (length: number) => record(message({ session: new Uint8Array(length) }));
  assertEquals(readClientHello(session(32)), { serverName: "", alpn: [] });
  assertStringIncludes(refusal(session(33)), "garbled");
  assertStringIncludes(refusal(record(message({ suites: bytes() }))), "garbled");
  // A name has 253 characters at most, and may have a dot behind it.
  const longest = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`;
  assertEquals(longest.length, 253);
  assertEquals(readClientHello(hello(serverName(`${longest}.`)))?.serverName, longest);
  assertEquals(readClientHello(hello(serverName(`${longest}..`)))?.serverName, "");
});

Deno.test("readClientHello() tells other records of TLS, and SSL 2, from what only begins like them", () => {
  for (
    const [data, text] of [
      [bytes(24, 3, 3, 0, 1), "begins no handshake"],
      [bytes(20, 3), "begins no handshake"],
      [bytes(20, 9), "does not speak TLS"],
      [bytes(25, 3, 3), "does not speak TLS"],
      [bytes(19, 3, 3), "does not speak TLS"],
      [bytes(1, 9, 1), "does not speak TLS"],
      [bytes(0x81, 9, 1), "SSL 2"],
    ] as const
  ) assertStringIncludes(refusal(data), text);
});
