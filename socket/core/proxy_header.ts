/**
 * The PROXY header, versions 1 and 2: with it a load balancer tells, ahead of everything else,
 * whose connection it passes on. What follows is decided by what HAProxy, which defined it, sends
 * and takes.
 *
 * Theory of operation. {@linkcode parseProxyHeader} looks at what has come so far and says that it
 * is a header, that it is none, or that more is needed; it keeps nothing, so it does not matter how
 * the bytes were split. It is cheap enough to begin anew with every read: a header of version 1 has
 * at most 107 bytes, one of version 2 tells its length. {@linkcode readProxyHeader} reads until the
 * answer is there. It may read further than the header: the rest is the stream's first bytes.
 *
 * A header is believed whoever sent it, so it is looked for only where the program has said so.
 */
import type { Address } from "./types.ts";
import { CodedError } from "./failure.ts";
import { isIpv4, parseIpv6 } from "./ip.ts";
import type { Transport } from "./transport.ts";

/** A header that was found. */
export interface ProxyHeader {
  /** Its length in bytes. */
  readonly length: number;
  /** The original client; `undefined` if the header speaks of the balancer's own connection. */
  readonly client: Address | undefined;
}

/** What stands at the beginning of a connection that was passed on. */
export interface Proxied {
  /** The original client; of a connection of the balancer's own, the balancer. */
  readonly peer: Address;
  /** Who passed it on. */
  readonly proxy: Address;
  /** Bytes that came after the header. */
  readonly rest: Uint8Array<ArrayBuffer>;
}

const SIGNATURE_1 = new TextEncoder().encode("PROXY ");
const SIGNATURE_2 = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10);
/** The longest header of version 1, with its end of line. */
const MAX_1 = 107;
/** The fixed part of version 2, and the most that is read of what follows it: addresses, then TLVs. */
const FIXED_2 = 16;
const MAX_2 = 4096;
/** Enough for every header but one with long TLVs. */
const FIRST_READ = 512;

/**
 * Looks for a header at the start of what has come.
 *
 * @returns The header, `undefined` if more bytes are needed.
 * @throws {CodedError} `EPROTO` if this is no header and will not become one.
 */
export function parseProxyHeader(bytes: Uint8Array): ProxyHeader | undefined {
  if (beginsLike(bytes, SIGNATURE_1)) return parseText(bytes);
  if (beginsLike(bytes, SIGNATURE_2)) return parseBinary(bytes);
  throw bad("the connection does not begin with a PROXY header");
}

/** What it takes to read a header. */
type Source = Pick<Transport, "read" | "close">;

/**
 * Reads the header of a connection. Whatever goes wrong, the connection is closed.
 *
 * @param conn A fresh connection.
 * @param proxy Who has connected.
 * @param signal Gives up when it aborts.
 */
export async function readProxyHeader(
  conn: Source,
  proxy: Address,
  signal: AbortSignal,
): Promise<Proxied> {
  const giveUp = () => conn.close();
  try {
    signal.throwIfAborted();
    signal.addEventListener("abort", giveUp);
    const { header, bytes } = await readHeader(conn);
    signal.removeEventListener("abort", giveUp);
    signal.throwIfAborted();
    const { length, client } = header;
    return { peer: client ?? proxy, proxy, rest: bytes.slice(length) };
  } catch (cause) {
    signal.removeEventListener("abort", giveUp);
    closeOnce(conn);
    throw signal.aborted ? signal.reason : cause;
  }
}

async function readHeader(
  conn: Source,
): Promise<{ header: ProxyHeader; bytes: Uint8Array<ArrayBuffer> }> {
  let buffer = new Uint8Array(FIRST_READ);
  for (let used = 0;;) {
    const n = await conn.read(buffer.subarray(used));
    if (n === null) throw bad("the connection ended before its PROXY header");
    used += n;
    const bytes = buffer.subarray(0, used);
    const header = parseProxyHeader(bytes);
    if (header !== undefined) return { header, bytes };
    if (used === buffer.length) {
      buffer = new Uint8Array(FIXED_2 + MAX_2);
      buffer.set(bytes);
    }
  }
}

/** Closes a connection that may be closed already. */
function closeOnce(conn: Source): void {
  try {
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/** Whether all that has come of a signature is right. */
function beginsLike(bytes: Uint8Array, signature: Uint8Array): boolean {
  const length = Math.min(bytes.length, signature.length);
  for (let i = 0; i < length; i++) if (bytes[i] !== signature[i]) return false;
  return true;
}

/** `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443` and an end of line. */
function parseText(bytes: Uint8Array): ProxyHeader | undefined {
  const end = bytes.subarray(0, MAX_1).indexOf(10);
  if (end === -1) {
    if (bytes.length >= MAX_1) throw bad("a PROXY header of version 1 has at most 107 bytes");
    return undefined;
  }
  if (bytes[end - 1] !== 13) throw bad("a PROXY header of version 1 ends with CR and LF");
  const length = end + 1;
  const text = String.fromCharCode(...bytes.subarray(0, end - 1));
  const [, family, ...fields] = text.split(" ");
  if (family === "UNKNOWN") return { length, client: undefined };
  const [client, local, clientPort, localPort] = fields;
  const parse = family === "TCP4" ? parseIpv4 : family === "TCP6" ? parseIpv6 : undefined;
  if (parse === undefined || fields.length !== 4) throw bad("the PROXY header is malformed");
  const ip = parse(client);
  const port = parsePort(clientPort);
  if (ip === undefined || parse(local) === undefined) {
    throw bad(`a PROXY header has an address that is not of ${family}`);
  }
  if (port === undefined || parsePort(localPort) === undefined) {
    throw bad("a PROXY header has a port out of range");
  }
  return { length, client: [ip, port] };
}

function parseIpv4(text: string): string | undefined {
  return isIpv4(text) ? text : undefined;
}

function parsePort(text: string): number | undefined {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65535 ? Number(text) : undefined;
}

/** Version and command, family and protocol, the length of the rest; then addresses, then TLVs. */
function parseBinary(bytes: Uint8Array): ProxyHeader | undefined {
  if (bytes.length > 12 && bytes[12] >> 4 !== 2) throw bad("the PROXY header's version is not 2");
  if (bytes.length < FIXED_2) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const size = view.getUint16(14);
  if (size > MAX_2) throw bad(`a PROXY header of more than ${MAX_2} bytes is not taken`);
  const command = bytes[12] & 15;
  if (command > 1) throw bad("the PROXY header's command is unknown");
  const family = bytes[13] >> 4;
  const protocol = bytes[13] & 15;
  const isOurs = command === 1;
  if (isOurs && (family > 3 || protocol > 2)) throw bad("the PROXY header's family is unknown");
  const length = FIXED_2 + size;
  // Anything but a stream from a known address: the balancer's own connection.
  const reader = isOurs && protocol === 1 ? READERS[family] : undefined;
  if (reader !== undefined && size < reader.size) throw bad("the PROXY header is too short");
  if (bytes.length < length) return undefined;
  return { length, client: reader?.read(view) };
}

/** How the client's address is found in what follows the fixed part, by family. */
const READERS: readonly ({ size: number; read(view: DataView): Address } | undefined)[] = [
  undefined,
  {
    size: 12,
    read(view) {
      const ip = [0, 1, 2, 3].map((i) => view.getUint8(FIXED_2 + i)).join(".");
      return [ip, view.getUint16(FIXED_2 + 8)];
    },
  },
  {
    size: 36,
    read(view) {
      const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(FIXED_2 + i * 2));
      const ip = parseIpv6(groups.map((group) => group.toString(16)).join(":"))!;
      return [ip, view.getUint16(FIXED_2 + 32)];
    },
  },
  {
    size: 216,
    read(view) {
      const path = new Uint8Array(view.buffer, view.byteOffset + FIXED_2, 108);
      const end = path.indexOf(0);
      return [new TextDecoder().decode(path.subarray(0, end === -1 ? 108 : end)), 0];
    },
  },
];

function bad(text: string): CodedError {
  return new CodedError("EPROTO", text);
}
