/** Receiving certain amounts: the calls of `socket` for encrypted connections only. */
import type { UntilOptions } from "../socket/core/types.ts";
import { refuseOptions, type SocketId, type TaskId } from "../task/core/mod.ts";
import { encrypted } from "./core/encrypted.ts";
import * as verbs from "../socket/core/verbs.ts";

/**
 * Receives exactly so many bytes: as `socket.recvExact`, from an encrypted connection only.
 *
 * Cancel safety: loses nothing, as `socket.recvExact`. Limit its time with
 * `task.await(id, { timeout, cancel: true })`.
 *
 * State: of an encrypted connection. Faults `EPROTO` if it is not encrypted, so that nothing is
 * received or sent in clear by mistake; otherwise as `socket.recvExact`, with the codes of TLS
 * besides: `EUNEXPECTEDEOF` if the stream was cut without close_notify, `EPROTO` if it was tampered
 * with.
 *
 * @param id An encrypted connection.
 * @param n How many bytes, from 0.
 * @returns The task; its result is the bytes.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If `n` is not an integer from 0.
 *
 * @example Receive three bytes
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * tls.send(peer, "hello");
 * assertEquals(new TextDecoder().decode(await task.await(tls.recvExact(client, 3))), "hel");
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function recvExact(id: SocketId, n: number): TaskId<Uint8Array<ArrayBuffer>> {
  if (arguments.length > 2) refuseOptions("recvExact", arguments[2]);
  return verbs.recvExact(encrypted, id, n);
}

/**
 * Receives through a delimiter: as `socket.recvUntil`, from an encrypted connection only.
 *
 * Cancel safety: loses nothing, as `socket.recvUntil`. Limit its time with
 * `task.await(id, { timeout, cancel: true })`.
 *
 * State: of an encrypted connection. Faults `EPROTO` if it is not encrypted, so that nothing is
 * received or sent in clear by mistake; otherwise as `socket.recvUntil`, with the codes of TLS
 * besides: `EUNEXPECTEDEOF` if the stream was cut without close_notify, `EPROTO` if it was tampered
 * with.
 *
 * @param id An encrypted connection.
 * @param delimiter What ends the message, not empty.
 * @param options `max`: the longest result in bytes. Default: 65536.
 * @returns The task; its result is the bytes, the delimiter included.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If `delimiter` is empty or `max` not an integer from 1.
 *
 * @example Receive a message
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * tls.send(peer, "one;two;");
 * assertEquals(new TextDecoder().decode(await task.await(tls.recvUntil(client, ";"))), "one;");
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function recvUntil(
  id: SocketId,
  delimiter: Uint8Array | string,
  options: UntilOptions = {},
): TaskId<Uint8Array<ArrayBuffer>> {
  return verbs.recvUntil(encrypted, id, delimiter, options);
}

/**
 * Receives a line of text: as `socket.recvLine`, from an encrypted connection only.
 *
 * Cancel safety: loses nothing, as `socket.recvLine`. Limit its time with
 * `task.await(id, { timeout, cancel: true })`.
 *
 * State: of an encrypted connection. Faults `EPROTO` if it is not encrypted, so that nothing is
 * received or sent in clear by mistake; otherwise as `socket.recvLine`, with the codes of TLS
 * besides: `EUNEXPECTEDEOF` if the stream was cut without close_notify, `EPROTO` if it was tampered
 * with.
 *
 * @param id An encrypted connection.
 * @param options `max`: the longest line in bytes, with its end. Default: 65536.
 * @returns The task; its result is the line, or `null` at end of stream.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If `max` is not an integer from 1.
 *
 * @example Receive a line
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * tls.send(peer, "220 ready\r\n");
 * assertEquals(await task.await(tls.recvLine(client)), "220 ready");
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function recvLine(id: SocketId, options: UntilOptions = {}): TaskId<string | null> {
  return verbs.recvLine(encrypted, id, options);
}

/**
 * Receives lines of text until the end of the stream, for `for await`: as `socket.lines`, from an
 * encrypted connection only.
 *
 * Cancel safety: leaving the loop cancels the receive that is pending and loses nothing.
 *
 * State: of an encrypted connection. Throws `EPROTO` if it is not encrypted, `EUNEXPECTEDEOF` if
 * the stream was cut without close_notify, otherwise as `socket.lines`.
 *
 * @param id An encrypted connection.
 * @param options `max`: the longest line in bytes, with its end. Default: 65536.
 * @returns The lines, without `\n` or `\r\n`.
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If `max` is not an integer from 1.
 *
 * @example Commands
 * ```ts
 * import { task, tls } from "@taskio/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = tls.tcpserver("127.0.0.1", 0);
 * const accepting = tls.accept(server);
 * const [ip, port] = tls.getlocal(server);
 * const client = await tls.tcpconnect(ip, port, "localhost", { ca: tls.certificate(server) });
 * const peer = await task.await(accepting);
 * tls.send(client, "HELO\r\nQUIT\r\n");
 * const commands: string[] = [];
 * for await (const line of tls.lines(peer)) {
 *   commands.push(line);
 *   if (line === "QUIT") break;
 * }
 * assertEquals(commands, ["HELO", "QUIT"]);
 * [client, peer, server].forEach(tls.close);
 * ```
 */
export function lines(
  id: SocketId,
  options: UntilOptions = {},
): AsyncIterableIterator<string, undefined> {
  return verbs.lines(encrypted, id, options);
}
