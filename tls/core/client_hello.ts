/**
 * Reading the ClientHello, the first thing that a TLS client says (RFC 8446, 4.1.2): enough to tell
 * a client from a stranger before anything is spent on it, and to see which name it asks for.
 *
 * Theory of operation. The bytes come in any number of pieces, and each time all that came is read
 * anew. So the lengths are checked first, and the content only once it is complete: what can never
 * become a ClientHello is refused at its first wrong byte, and each time costs one look at
 * every record, of which few are allowed. Nothing is believed beyond what is read here: the
 * engine that carries out the handshake reads the same bytes again.
 */
import { TlsError } from "./codes.ts";
import { parseDnsName } from "./names.ts";

/** What a ClientHello asks for. */
export interface ClientHello {
  /** The server's name, lower case and without a dot at its end; `""` if there is no usable one. */
  readonly serverName: string;
  /** The application protocols on offer, the preferred one first. */
  readonly alpn: readonly string[];
}

const RECORD_HEADER = 5;
const MESSAGE_HEADER = 4;
/** The most that a record may hold. */
const RECORD = 2 ** 14;

/** How many bytes a ClientHello may take on the wire. Real ones take 200 to 2,000. */
export const MAX_HELLO: number = RECORD_HEADER + RECORD;

/** How many records it may come in. Real ones take one, and a few where somebody looks for names. */
const MAX_RECORDS = 64;

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const HOST_NAME = 0;
const ALPN = 16;

/**
 * Reads the ClientHello at the start of a connection; what follows it does not matter.
 *
 * @param bytes All that came since the connection began.
 * @returns What it asks for; `undefined` while more bytes are needed.
 * @throws {TlsError} `EPROTO` as soon as it can be none, or is longer than {@linkcode MAX_HELLO}.
 */
export function readClientHello(bytes: Uint8Array): ClientHello | undefined {
  const fragments: Uint8Array[] = [];
  const header = new Uint8Array(MESSAGE_HEADER);
  let size = MESSAGE_HEADER; // of the message, as far as it is known
  let have = 0;
  for (let at = 0; have < size;) {
    checkRecord(bytes, at);
    // A length that lies is refused when it is read, not when its bytes have been waited for.
    if (at + RECORD_HEADER + size - have > MAX_HELLO) throw tooLong();
    if (bytes.length < at + RECORD_HEADER) return undefined;
    if (fragments.length === MAX_RECORDS) {
      throw notHello(`sends a ClientHello in more than ${MAX_RECORDS} records`);
    }
    const end = at + RECORD_HEADER + (bytes[at + 3] << 8 | bytes[at + 4]);
    const fragment = bytes.subarray(at + RECORD_HEADER, end);
    if (have < MESSAGE_HEADER) {
      header.set(fragment.subarray(0, MESSAGE_HEADER - have), have);
      if (have + fragment.length > 0 && header[0] !== CLIENT_HELLO) {
        throw notHello("does not begin its handshake with a ClientHello");
      }
      if (have + fragment.length >= MESSAGE_HEADER) {
        size += header[1] << 16 | header[2] << 8 | header[3];
        if (at + RECORD_HEADER + size - have > MAX_HELLO) throw tooLong();
      }
    }
    fragments.push(fragment);
    have += fragment.length;
    if (have < size && bytes.length < end) return undefined;
    at = end;
  }
  return readMessage(new Reader(join(fragments, size).subarray(MESSAGE_HEADER)));
}

/** Checks the header of a record, as far as it is there. */
function checkRecord(bytes: Uint8Array, at: number): void {
  const there = bytes.length - at;
  if (there > 0 && bytes[at] !== HANDSHAKE) {
    throw notHello(at === 0 ? resemblance(bytes) : "breaks off its ClientHello");
  }
  // The minor version must be ignored: it says 3.1 or 3.3, whatever is spoken later.
  if (there > 1 && bytes[at + 1] !== 3) throw notHello("does not speak TLS");
  if (there < RECORD_HEADER) return;
  const length = bytes[at + 3] << 8 | bytes[at + 4];
  if (length === 0) throw notHello("sends an empty handshake record");
  if (length > RECORD) throw notHello(`sends a record of ${length} bytes, ${RECORD} are allowed`);
}

function join(fragments: readonly Uint8Array[], size: number): Uint8Array {
  if (fragments.length === 1) return fragments[0].subarray(0, size);
  const message = new Uint8Array(size);
  let at = 0;
  for (const fragment of fragments) {
    message.set(fragment.subarray(0, size - at), at);
    at += fragment.length;
  }
  return message;
}

function readMessage(reader: Reader): ClientHello {
  reader.skip(2 + 32); // version and random
  if (reader.vector(1).length > 32) throw garbled(); // session
  const suites = reader.vector(2).length;
  if (suites === 0 || suites % 2 !== 0) throw garbled();
  if (reader.vector(1).length === 0) throw garbled(); // compression
  let serverName = "";
  let alpn: string[] = [];
  if (reader.length === 0) return { serverName, alpn }; // TLS 1.0 knew no extensions
  const extensions = reader.vector(2);
  reader.end();
  const seen = new Set<number>();
  while (extensions.length > 0) {
    const type = extensions.number(2);
    if (seen.has(type)) throw garbled();
    seen.add(type);
    const value = extensions.vector(2);
    if (type === SERVER_NAME) serverName = readServerName(value);
    else if (type === ALPN) alpn = readAlpn(value);
  }
  return { serverName, alpn };
}

/** A list that may hold one name of each type; there is but one type (RFC 6066, 3). */
function readServerName(value: Reader): string {
  const list = value.vector(2);
  value.end();
  if (list.length === 0) throw garbled();
  let name: Reader | undefined;
  while (list.length > 0) {
    const type = list.number(1);
    const entry = list.vector(2);
    if (type !== HOST_NAME) continue;
    if (name !== undefined) throw garbled();
    name = entry;
  }
  return name === undefined ? "" : usableName(name.rest());
}

/** A name that may stand in a certificate: no IP address, no wildcard, nothing but ASCII. */
function usableName(bytes: Uint8Array): string {
  if (bytes.length > 254 || bytes.some((byte) => byte > 0x7f)) return "";
  const name = String.fromCharCode(...bytes);
  return name.startsWith("*") ? "" : parseDnsName(name) ?? "";
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function readAlpn(value: Reader): string[] {
  const list = value.vector(2);
  value.end();
  if (list.length === 0) throw garbled();
  const protocols: string[] = [];
  while (list.length > 0) {
    const protocol = list.vector(1);
    if (protocol.length === 0) throw garbled();
    protocols.push(decoder.decode(protocol.rest()));
  }
  return protocols;
}

/** Reads numbers and vectors, never beyond the end. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** How many bytes are left. */
  get length(): number {
    return this.#bytes.length - this.#at;
  }

  /** Passes over so many bytes, and gives them. */
  skip(n: number): Uint8Array {
    if (n > this.length) throw garbled();
    const from = this.#at;
    this.#at += n;
    return this.#bytes.subarray(from, this.#at);
  }

  rest(): Uint8Array {
    return this.skip(this.length);
  }

  /** A number of so many bytes. */
  number(size: number): number {
    let n = 0;
    for (const byte of this.skip(size)) n = n << 8 | byte;
    return n;
  }

  /** A vector whose length is a number of so many bytes. */
  vector(size: number): Reader {
    return new Reader(this.skip(this.number(size)));
  }

  /** Nothing may be left. */
  end(): void {
    if (this.length > 0) throw garbled();
  }
}

/** What the first bytes look like, for a peer that sends no handshake. */
function resemblance(bytes: Uint8Array): string {
  const text = String.fromCharCode(...bytes.subarray(0, 16));
  if (text.startsWith("PROXY ") || text.startsWith("\r\n\r\n\0\r\nQUIT\n")) {
    return "sends a PROXY header: listen with proxyProtocol if a proxy is in front";
  }
  if (/^(GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI) /.test(text)) {
    return "speaks HTTP without TLS";
  }
  if (bytes[0] >= 20 && bytes[0] <= 24 && (bytes.length < 2 || bytes[1] === 3)) {
    return bytes[0] === 21
      ? "sends a TLS alert before any handshake"
      : "sends a TLS record that begins no handshake";
  }
  if ((bytes[0] & 0x80) !== 0 && bytes[2] === CLIENT_HELLO) {
    return "sends a hello of SSL 2, which is not spoken any more";
  }
  return /^[\t\n\r\x20-\x7e]/.test(text) ? "sends text in clear, no TLS" : "does not speak TLS";
}

function notHello(what: string): TlsError {
  return new TlsError("EPROTO", `peer ${what}`);
}

function tooLong(): TlsError {
  return notHello(`sends a ClientHello of more than ${MAX_HELLO} bytes`);
}

function garbled(): TlsError {
  return notHello("sends a garbled ClientHello");
}
