/**
 * The inside of `socket/`, file by file. It is loaded by this list, for the start's sake: Deno
 * reads the source map of every module that is the first to name another, and this one is small.
 *
 * @module
 */

// What it takes of `task/`.
import "../../task/core/mod.ts";
import "../../task/await.ts";
import "../../task/cancel.ts";
import "../../task/clock.ts";

// Arguments, IDs, errors.
import "./check.ts";
import "./ip.ts";
import "./lookup.ts"; // from an ID to what it stands for
import "./error.ts"; // SocketError
import "./failure.ts"; // from what Deno throws to a SocketError
import "./codes.ts"; // codes, their numbers and texts

// What an ID stands for.
import "./handle.ts"; // any of the three
import "./stream.ts"; // a connection
import "./listener.ts";
import "./unbound.ts"; // neither yet
import "./created.ts"; // what becomes of it

// The halves of a connection.
import "./receiver.ts";
import "./buffer.ts"; // what was received and not taken
import "./pushback.ts"; // what unrecv puts back
import "./sender.ts";
import "./store.ts"; // memory, given and used again

// What the calls have in common with those of `tls/`, and what they begin.
import "./verbs.ts";
import "./demands.ts"; // receives that want a certain amount
import "./loops.ts"; // connections, chunks, lines
import "./finishing.ts";
import "./service.ts"; // serve
import "./handover.ts"; // a result used when it settles

// The system's part.
import "./tcp.ts";
import "./unix.ts";
import "./stale.ts"; // files that Unix sockets left behind
import "./dial.ts"; // connecting
import "./preparing.ts"; // connections that are not ready when they come
import "./proxied.ts"; // those that a load balancer passes on
import "./proxy_header.ts";
