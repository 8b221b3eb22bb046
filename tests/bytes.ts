// Bytes to send, and whether the same ones arrived.

import { createHash } from "node:crypto";
import { socket, task } from "../mod.ts";
import type { Random } from "./random.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const bytesOf = (text: string): Uint8Array => encoder.encode(text);

export const textOf = (bytes: Uint8Array): string => decoder.decode(bytes);

/** Random bytes: no two blocks are alike, so a lost or doubled one shows. */
export function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65536));
  }
  return bytes;
}

export function sha256(...chunks: Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest("hex");
}

export function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** Fails unless the bytes are the same: for many of them, `assertEquals` takes its time. */
export function assertSame(actual: Uint8Array, expected: Uint8Array, what: string): void {
  const length = Math.max(actual.length, expected.length);
  for (let i = 0; i < length; i++) {
    if (actual[i] !== expected[i]) {
      throw new Error(
        `${what}: byte ${i} is ${actual[i]}, not ${expected[i]}; ` +
          `${actual.length} bytes, expected ${expected.length}`,
      );
    }
  }
}

/** Receives `length` bytes, fewer only if the stream ends first. */
export async function receive(id: socket.SocketId, length: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let left = length; left > 0;) {
    const chunk = await task.await(socket.recv(id, Math.min(left, 65536)));
    if (chunk.length === 0) break;
    chunks.push(chunk);
    left -= chunk.length;
  }
  return concat(chunks);
}

/** Receives everything up to the end of the stream. */
export function receiveAll(id: socket.SocketId): Promise<Uint8Array> {
  return receive(id, Infinity);
}

/** Receives text as long as `expected`. */
export async function receiveText(id: socket.SocketId, length: number): Promise<string> {
  return textOf(await receive(id, length));
}

/** More than two ends and the system between them hold: a send of it waits for the peer. */
export const HUGE: Uint8Array = new Uint8Array(64 * 1024 * 1024);

/** A copy in memory of a size that serves receives once it was given up, if it fits; anywhere in it. */
export function inKeptMemory(data: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const size = random.pick([0, 4096, 16_384, 65_536]);
  const memory = new Uint8Array(Math.max(data.length, size));
  const at = random.integer(0, memory.length - data.length);
  memory.set(data, at);
  return memory.subarray(at, at + data.length);
}
