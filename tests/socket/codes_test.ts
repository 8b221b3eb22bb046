// The numbers and texts of codes: the system's own where it has them.

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { constants } from "node:os";
import { socket, task } from "../../mod.ts";

/** The codes that Linux has a number for. */
const LINUX = `
  EPERM ENOENT ESRCH EINTR EIO EBADF EAGAIN ENOMEM EACCES EBUSY EEXIST ENOTDIR EINVAL ENFILE EMFILE
  ENOSPC EROFS EPIPE EDQUOT
  ENAMETOOLONG ELOOP ENOSR ENONET EPROTO EOVERFLOW ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT
  EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH
  ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETIMEDOUT ECONNREFUSED EHOSTDOWN
  EHOSTUNREACH EALREADY EINPROGRESS ECANCELED
`.trim().split(/\s+/);

/** Those that Node has no name for on Linux. */
const NAMELESS: Record<string, number> = {
  ENONET: 64,
  ESOCKTNOSUPPORT: 94,
  ESHUTDOWN: 108,
  EHOSTDOWN: 112,
};

/** Codes that no kernel has. */
const OURS = { ENOTFOUND: 4001, EAI_AGAIN: 4002, EUNEXPECTEDEOF: 4003, EUNKNOWN: 4004 };

Deno.test({
  name: "SocketError has the number that Linux gives its code",
  ignore: Deno.build.os !== "linux", // elsewhere the system's numbers are others
  fn() {
    const system = constants.errno as unknown as Record<string, number | undefined>;
    for (const code of LINUX) {
      const errno = system[code] ?? NAMELESS[code];
      assert(errno !== undefined, code);
      assertEquals(new socket.SocketError(code, "test").errno, errno, code);
    }
  },
});

Deno.test("SocketError has a number of ours for a code that Linux does not have, 71 for one of TLS", () => {
  for (const [code, errno] of Object.entries(OURS)) {
    assertEquals(new socket.SocketError(code, "test").errno, errno, code);
  }
  assertEquals(new socket.SocketError("CERT_HAS_EXPIRED", "test").errno, 71);
});

Deno.test("strerror() gives the text that a SocketError of the same number has", () => {
  const texts = new Set<string>();
  for (const code of [...LINUX, ...Object.keys(OURS)]) {
    const { errno, message } = new socket.SocketError(code, "test");
    const text = socket.strerror(errno);
    assertNotEquals(text, `Unknown error ${errno}`);
    assertEquals(message, `test: ${text[0].toLowerCase()}${text.slice(1)} (${code})`);
    texts.add(text);
  }
  assertEquals(texts.size, LINUX.length + Object.keys(OURS).length, "no two have the same");
  assertEquals(socket.strerror(0), "Success");
});

Deno.test("strerror() knows the number of every error of a task", () => {
  const errors = [
    new task.UnknownTaskError(1),
    new task.CancelledError(1, "recv"),
    new task.TimeoutError("wait", 1),
    new task.ChannelClosedError(1),
  ];
  const texts = errors.map(({ errno }) => socket.strerror(errno));
  assertEquals(texts, [
    "No such task",
    "Operation canceled",
    "Connection timed out",
    "Broken pipe",
  ]);
});
