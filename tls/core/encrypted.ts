/**
 * Which sockets the calls of `tls` work on: encrypted ones alone, so that nothing goes out in clear
 * by mistake.
 */
import { findListener, findStream, noSuch } from "../../socket/core/lookup.ts";
import type { Finder } from "../../socket/core/verbs.ts";

/** Encrypted connections, and listeners whose connections are; what else is wrong is as for any socket. */
export const encrypted: Finder = {
  stream(id) {
    const stream = findStream(id);
    return stream?.tls ? stream : undefined;
  },
  listener(id) {
    const listener = findListener(id);
    return listener?.acceptor.tls ? listener : undefined;
  },
  objection(op, id) {
    const stream = findStream(id);
    if (stream !== undefined && !stream.tls) {
      return stream.fail("EPROTO", op, "connection is not encrypted");
    }
    const listener = findListener(id);
    if (listener !== undefined && !listener.acceptor.tls) {
      return listener.fail("EPROTO", op, "listener is not encrypted");
    }
    return noSuch(op, id);
  },
};
