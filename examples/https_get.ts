// An HTTPS request over TLS by hand: HTTP/1.1, any length of answer. The body goes to standard
// output as it comes, everything else to standard error.
//
//     deno run --allow-net examples/https_get.ts --host example.com --path / > page.html
//
// With --sni the server is asked for a name other than the host:
//
//     deno run --allow-net examples/https_get.ts --host 203.0.113.10 --sni api.example.com
//
// One file to copy: all it needs is `deno add jsr:@taskio/net jsr:@std/cli`.

import { parseArgs } from "@std/cli/parse-args";
import { socket, task, tls } from "@taskio/net";

const HELP = `Requests a page over HTTPS and prints its body.

Usage: deno run --allow-net --allow-read examples/https_get.ts [flags]

  --host <text>           Address or name of the server (default: example.com)
  --port <1..65535>       Port of the server (default: 443)
  --sni <name>            Name to ask the server for, if it is not --host (default: none)
  --path </text>          What to request (default: /)
  --ca <file>             Certificates to trust besides the system's, PEM (default: none)
  --timeout <1..3600000>  Longest wait for each step, in milliseconds (default: 10000)
  --help, -h              Show this text`;

interface Options {
  host: string;
  port: number;
  sni?: string;
  path: string;
  /** Path of the certificates to trust besides the system's. */
  caFile?: string;
  timeout: number;
}

async function httpsGet({ host, port, sni, path, caFile, timeout }: Options): Promise<void> {
  const ca = readFile("ca", caFile);
  // The name that the certificate must be for is --sni, or the host
  const conn = await tls.tcpconnect(host, port, sni, { ca, timeout, alpn: ["http/1.1"] });
  try {
    console.error("TLS connection established");

    const name = sni || host;
    const authority = name.includes(":") && !name.startsWith("[") ? `[${name}]` : name;
    const request = `GET ${path} HTTP/1.1\r\n` +
      `Host: ${authority}${port === 443 ? "" : `:${port}`}\r\n` +
      `Connection: close\r\n\r\n`;
    await task.await(tls.send(conn, request), { timeout, cancel: true });

    const { line, headers, body } = await readResponse(conn, timeout);
    console.error(line);
    for (const [name, value] of headers) console.error(`${name}: ${value}`);

    // Receive as many times as it takes
    let length = 0;
    for await (const data of body) {
      length += data.length;
      await writeAll(data);
    }
    console.error(`Response length: ${length} bytes`);
  } finally {
    tls.close(conn);
  }
}

async function writeAll(data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length;) at += await Deno.stdout.write(data.subarray(at));
}

// The answer to the request, however its length is told: by Content-Length, in chunks, or by the
// end of the stream. A body that was cut short is an error, never a short body. One piece of it is
// held at a time.

interface HttpResponse {
  readonly status: number;
  /** The status line. */
  readonly line: string;
  readonly headers: Headers;
  /** The body, as it comes. */
  readonly body: AsyncGenerator<Uint8Array>;
}

/** How much of the body is taken at once, in bytes. */
const PIECE = 64 * 1024;

const MAX_FIELDS = 1000;

/** Reads the head of the answer; the body is read when it is iterated over. */
async function readResponse(conn: socket.SocketId, timeout: number): Promise<HttpResponse> {
  for (;;) {
    const { line, headers } = await readHead(conn, timeout);
    const status = Number(line.match(/^HTTP\/1\.[01] (\d{3})(?: |$)/)?.[1]);
    if (Number.isNaN(status)) throw new Error(`not an HTTP/1 answer: "${line.slice(0, 60)}"`);
    // Interim answers, such as 103 Early Hints, precede the real one
    if (status >= 200) {
      return { status, line, headers, body: readBody(conn, status, headers, timeout) };
    }
  }
}

async function readHead(
  conn: socket.SocketId,
  timeout: number,
): Promise<{ line: string; headers: Headers }> {
  const line = await readLine(conn, timeout);
  return { line, headers: await readFields(conn, timeout) };
}

/** Reads header fields, or trailers, through the empty line after them. */
async function readFields(conn: socket.SocketId, timeout: number): Promise<Headers> {
  const headers = new Headers();
  for (let count = 0; count <= MAX_FIELDS; count++) {
    const line = await readLine(conn, timeout);
    if (line === "") return headers;
    const [, name, value] = line.match(/^([!#$%&'*+.^`|~\w-]+):[ \t]*(.*?)[ \t]*$/) ?? [];
    if (name === undefined) throw new Error(`not a header field: "${line.slice(0, 60)}"`);
    headers.append(name, value);
  }
  throw new Error(`more than ${MAX_FIELDS} header fields`);
}

async function* readBody(
  conn: socket.SocketId,
  status: number,
  headers: Headers,
  timeout: number,
): AsyncGenerator<Uint8Array> {
  if (status === 204 || status === 304) return;
  const coding = headers.get("transfer-encoding");
  const length = headers.get("content-length");
  if (coding !== null) {
    if (coding.toLowerCase() !== "chunked") throw new Error(`unknown coding "${coding}"`);
    yield* readChunks(conn, timeout);
  } else if (length !== null) {
    yield* readLength(conn, parseLength(length), timeout);
  } else {
    yield* readToEnd(conn, timeout);
  }
}

/** Several fields with the same length count as one. */
function parseLength(text: string): number {
  const [length, ...others] = new Set(text.split(",").map((part) => part.trim()));
  if (others.length > 0 || !/^\d{1,15}$/.test(length)) {
    throw new Error(`not a content length: "${text}"`);
  }
  return Number(length);
}

async function* readChunks(conn: socket.SocketId, timeout: number): AsyncGenerator<Uint8Array> {
  for (;;) {
    const line = await readLine(conn, timeout);
    const [, size] = line.match(/^([\da-f]{1,12})[ \t]*(?:;.*)?$/i) ?? [];
    if (size === undefined) throw new Error(`not a chunk size: "${line.slice(0, 60)}"`);
    const length = parseInt(size, 16);
    if (length === 0) break;
    yield* readLength(conn, length, timeout);
    if (await readLine(conn, timeout) !== "") throw new Error("chunk is longer than its size");
  }
  await readFields(conn, timeout);
}

async function* readLength(
  conn: socket.SocketId,
  length: number,
  timeout: number,
): AsyncGenerator<Uint8Array> {
  for (let left = length; left > 0;) {
    const data = await task.await(socket.recv(conn, Math.min(left, PIECE)), {
      timeout,
      cancel: true,
    });
    if (data.length === 0) throw new Error(`answer was cut short: ${left} bytes are missing`);
    left -= data.length;
    yield data;
  }
}

async function* readToEnd(conn: socket.SocketId, timeout: number): AsyncGenerator<Uint8Array> {
  for (;;) {
    const data = await task.await(socket.recv(conn, PIECE), { timeout, cancel: true });
    if (data.length === 0) return;
    yield data;
  }
}

async function readLine(conn: socket.SocketId, timeout: number): Promise<string> {
  const line = await task.await(socket.recvLine(conn), { timeout, cancel: true });
  if (line === null) throw new Error("answer was cut short: the server ended the connection");
  return line;
}

/** The text of a file that a flag names; `undefined` if the flag was left out. */
function readFile(flag: string, path: string | undefined): string | undefined {
  try {
    return path === undefined ? undefined : Deno.readTextFileSync(path);
  } catch (error) {
    throw new Error(`--${flag}: cannot read "${path}": ${(error as Error).message}`);
  }
}

// The command line

/** Ends the program: with 1 for a failure, with 2 and its usage for a wrong command line. */
function fail(code: 1 | 2, message: string): never {
  console.error(`https_get: ${message}${code === 2 ? `\n\n${HELP}` : ""}`);
  Deno.exit(code);
}

/** What to do about a failure, where its message does not say so. */
const ADVICE: Record<string, string> = {
  ECONNREFUSED: ". Start the server first, or check --host and --port.",
  UNABLE_TO_GET_ISSUER_CERT: ". If you trust it, give its certificate, or its issuer's, with --ca.",
  ERR_TLS_CERT_ALTNAME_INVALID: ". Give the name that its certificate is for with --sni.",
  EUNEXPECTEDEOF: ". What came before may be incomplete.",
};

if (import.meta.main) {
  const unknown = (arg: unknown) => fail(2, `Unknown flag or argument "${arg}"`);
  const flags = parseArgs(Deno.args, {
    string: ["host", "port", "sni", "path", "ca", "timeout"],
    boolean: ["help"],
    alias: { help: "h" },
    default: { host: "example.com", port: "443", path: "/", timeout: "10000" },
    unknown,
  });
  flags._.forEach(unknown); // what follows "--"
  for (const [flag, value] of Object.entries(flags)) {
    if (value === "") fail(2, `--${flag} takes a value: current value is ""`);
  }
  const integer = (flag: "port" | "timeout", min: number, max: number): number => {
    const value = /^\d+$/.test(flags[flag]) ? Number(flags[flag]) : NaN;
    if (value >= min && value <= max) return value;
    return fail(2, `--${flag} takes ${min}..${max}: current value is "${flags[flag]}"`);
  };
  const { host, sni, path, ca: caFile } = flags;
  if (!/^\/[!-~]*$/.test(path)) fail(2, `--path takes /text: current value is "${path}"`);
  const [port, timeout] = [integer("port", 1, 65535), integer("timeout", 1, 3600000)];
  if (flags.help) console.log(HELP);
  else {
    const getting = httpsGet({ host, port, sni, path, caFile, timeout });
    await getting.catch((error) => {
      // A RangeError is about a flag: the module checks what it is given
      fail(error instanceof RangeError ? 2 : 1, `${error.message}${ADVICE[error.code] ?? ""}`);
    });
  }
}
