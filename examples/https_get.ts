// An HTTPS request over TLS by hand: HTTP/1.1, any length of answer. The body goes to standard
// output as it comes, everything else to standard error.
//
//     deno run --allow-net examples/https_get.ts --host example.com --path / > page.html
//
// With --sni the server is asked for a name other than the host:
//
//     deno run --allow-net examples/https_get.ts --host 203.0.113.10 --sni api.example.com
//
// One file to copy: all it needs is `deno add jsr:@taskio/net`.

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
  sni: string;
  path: string;
  ca: string | undefined;
  timeout: number;
}

async function httpsGet({ host, port, sni, path, ca, timeout }: Options): Promise<void> {
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
    if (Number.isNaN(status)) throw new Failure(`not an HTTP/1 answer: "${line.slice(0, 60)}"`);
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
    if (name === undefined) throw new Failure(`not a header field: "${line.slice(0, 60)}"`);
    headers.append(name, value);
  }
  throw new Failure(`more than ${MAX_FIELDS} header fields`);
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
    if (coding.toLowerCase() !== "chunked") throw new Failure(`unknown coding "${coding}"`);
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
    throw new Failure(`not a content length: "${text}"`);
  }
  return Number(length);
}

async function* readChunks(conn: socket.SocketId, timeout: number): AsyncGenerator<Uint8Array> {
  for (;;) {
    const line = await readLine(conn, timeout);
    const [, size] = line.match(/^([\da-f]{1,12})[ \t]*(?:;.*)?$/i) ?? [];
    if (size === undefined) throw new Failure(`not a chunk size: "${line.slice(0, 60)}"`);
    const length = parseInt(size, 16);
    if (length === 0) break;
    yield* readLength(conn, length, timeout);
    if (await readLine(conn, timeout) !== "") throw new Failure("chunk is longer than its size");
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
    if (data.length === 0) throw new Failure(`answer was cut short: ${left} bytes are missing`);
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
  if (line === null) throw new Failure("answer was cut short: the server ended the connection");
  return line;
}

/** The text of a file that a flag names; `undefined` if the flag was left out. */
function readFile(flag: string, path: string): string | undefined {
  if (path === "") return undefined;
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw fileFailure(`--${flag}: cannot read`, path, error);
  }
}

/** A failure to read or write a file, in words; a missing permission is left in Deno's. */
function fileFailure(what: string, path: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Deno.errors.NotCapable) return error;
  return new Failure(`${what} "${path}": ${error.message}`);
}

// The command line. The same lines are in every example, so that each is one file to copy.

/** A wrong command line. */
class UsageError extends Error {}

/** A failure that its message explains. */
class Failure extends Error {}

/** What to do about a failure, where its message does not say so. */
const ADVICE: Record<string, string> = {
  ECONNREFUSED: "Start the server first, or check --host and --port.",
  ECONNRESET: "Try again, or see what the other side says.",
  EMFILE: "Allow more open files (ulimit -n), or do less at once.",
  ENETUNREACH: "Check --host and the network.",
  EHOSTUNREACH: "Check --host and the network.",
  ENOTFOUND: "Check --host.",
  EAI_AGAIN: "Check --host and the network.",
  EINVAL: "Check --host.",
  ETIMEDOUT: "Check --host and --port, or raise --timeout.",
  UNABLE_TO_GET_ISSUER_CERT: "If you trust it, give its certificate, or its issuer's, with --ca.",
  ERR_TLS_CERT_ALTNAME_INVALID: "Give the name that its certificate is for with --sni.",
  EUNEXPECTEDEOF: "What came before may be incomplete.",
};

/** What a flag may be, by the word in the help; `1..9` is a range. */
const KINDS: Record<string, RegExp> = {
  "text": /./s,
  "file": /./s,
  "word": /^[!-~]+$/,
  "/text": /^\/[!-~]*$/,
  "name": /^(\w([\w-]*\w)?(\.|$))+$|^\[?[\da-f.]*:[\da-f:.]*\]?$/i,
  "host:port": /^(\[[\da-f.:]+\]|[^:[\]\s]+):\d{1,5}$/i,
};

function matches(kind: string, text: string): boolean {
  const [, min, max] = /^(\d+)\.\.(\d+)$/.exec(kind) ?? [];
  if (min === undefined) return KINDS[kind].test(text);
  return /^\d+$/.test(text) && Number(text) >= Number(min) && Number(text) <= Number(max);
}

/** The flags that a help text lists, from the command line; `undefined` if help was asked for. */
function readFlags(help: string, args: string[]): Record<string, string> | undefined {
  const kinds = new Map<string, string | undefined>();
  const values: Record<string, string> = {};
  const rows = help.matchAll(/^ {2}--([\w-]+)(?: <(.+?)>)? .*?(?:\(default: (.*)\))?$/gm);
  for (const [, name, kind, initial = ""] of rows) {
    kinds.set(name, kind);
    values[name] = initial === "none" ? "" : initial;
  }
  const rest = args.filter((arg) => arg !== "--");
  for (let arg; (arg = rest.shift()) !== undefined;) {
    if (arg === "--help" || arg === "-h") return undefined;
    const [, name, text] = /^--([\w-]+)(?:=(.*))?$/s.exec(arg) ?? [];
    if (!kinds.has(name)) throw new UsageError(`Unknown flag or argument "${arg}"`);
    const kind = kinds.get(name);
    if (kind === undefined) {
      values[name] = text ?? "true";
      continue;
    }
    const value = text ?? (rest[0]?.startsWith("-") === false ? rest.shift()! : "");
    if (!matches(kind, value)) {
      throw new UsageError(`--${name} takes ${kind}: current value is "${value}"`);
    }
    values[name] = value;
  }
  return values;
}

/** A failure in one line. Whatever is not a known failure is a bug, and thrown on. */
function explain(error: unknown): string {
  if (error instanceof Deno.errors.NotCapable || error instanceof Failure) return error.message;
  if (error instanceof Deno.errors.BrokenPipe) return "nobody reads the output";
  if (error instanceof socket.SocketError || error instanceof task.TimeoutError) {
    const advice = ADVICE[error.code];
    return advice === undefined ? error.message : `${error.message}. ${advice}`;
  }
  throw error;
}

/**
 * Runs a program with the flags that its help lists. The exit code is 1 if it failed, which one
 * line on standard error explains, and 2 if the flags were wrong.
 */
async function run(
  help: string,
  main: (flags: Record<string, string>) => Promise<void>,
): Promise<void> {
  const name = /(\w+)\.ts \[flags\]/.exec(help)?.[1];
  try {
    const flags = readFlags(help, Deno.args);
    if (flags === undefined) console.log(help);
    else await main(flags);
  } catch (error) {
    const wrong = error instanceof UsageError;
    console.error(`${name}: ${wrong ? `${error.message}\n\n${help}` : explain(error)}`);
    Deno.exit(wrong ? 2 : 1);
  }
}

if (import.meta.main) {
  await run(HELP, ({ host, port, sni, path, ca, timeout }) => {
    const numbers = { port: Number(port), timeout: Number(timeout) };
    return httpsGet({ host, sni, path, ca: readFile("ca", ca), ...numbers });
  });
}
