// Reads the answer to an HTTP/1.1 request from a socket, however its length is told: by
// Content-Length, in chunks, or by the end of the stream. A body that was cut short is an error,
// never a short body. It holds one piece of the body at a time.

import { socket, task } from "@taskio/net";
import { Failure } from "./cli.ts";

export interface HttpResponse {
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
export async function readResponse(conn: socket.SocketId, timeout: number): Promise<HttpResponse> {
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
    const data = await task.await(socket.recv(conn, Math.min(left, PIECE)), { timeout });
    if (data.length === 0) throw new Failure(`answer was cut short: ${left} bytes are missing`);
    left -= data.length;
    yield data;
  }
}

async function* readToEnd(conn: socket.SocketId, timeout: number): AsyncGenerator<Uint8Array> {
  for (;;) {
    const data = await task.await(socket.recv(conn, PIECE), { timeout });
    if (data.length === 0) return;
    yield data;
  }
}

async function readLine(conn: socket.SocketId, timeout: number): Promise<string> {
  const line = await task.await(socket.recvLine(conn), { timeout });
  if (line === null) throw new Failure("answer was cut short: the server ended the connection");
  return line;
}
