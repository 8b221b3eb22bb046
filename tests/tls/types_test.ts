// What the compiler takes and what it refuses. These tests fail when this file does not type-check.

import { assertEquals } from "@std/assert";
import { socket, tls } from "../../mod.ts";

const id: socket.SocketId = 1;
const pair: tls.CertificatePair = { cert: "", key: "" };
const { cert, key } = pair;
const certs: tls.CertificatePair[] = [pair];

/** Compiled, not called. */
const compiles = (..._calls: (() => unknown)[]) => assertEquals(_calls.length > 0, true);

Deno.test("the options of TLS take a certificate with its key, a list, or none", () => {
  compiles(
    () => tls.tcpconnect("localhost", 1, "", {}),
    () => tls.tcpconnect("localhost", 1, "", pair),
    () => tls.connect("localhost", 1, "", { ...pair, ca: [cert], alpn: ["h2"] as const }),
    () => tls.tcpserver("", 0, {}),
    () => tls.tcpserver("", 0, 128),
    () => tls.tcpserver("", 0, { cert, key, requestCert: true, ca: cert, backlog: 1 }),
    () => tls.tcpserver("", 0, { certs }),
    () => socket.starttls(id),
    () => socket.starttls(id, {}),
    () => socket.starttls(id, pair),
    () => socket.starttls(id, { certs }),
    () => socket.starttls(id, { host: "localhost", ...pair, timeout: 1 }),
    () => socket.starttls(id, { side: "client", host: "localhost" }),
    () => socket.starttls(id, { side: "server", ...pair, handshakeTimeout: 1 }),
    () => tls.setcerts(id, pair),
    () => tls.setcerts(id, certs as readonly tls.CertificatePair[]),
    (options?: tls.StarttlsOptions) => socket.starttls(id, options),
    (options?: tls.StarttlsClientOptions) => socket.starttls(id, options),
    (options?: tls.StarttlsServerOptions) => socket.starttls(id, options),
  );
});

Deno.test("the options of TLS refuse half a certificate, both kinds at once, and the other side's", () => {
  compiles(
    // @ts-expect-error The key is missing.
    () => tls.tcpconnect("localhost", 1, "", { cert }),
    // @ts-expect-error The certificate is missing.
    () => tls.connect("localhost", 1, "", { key }),
    // @ts-expect-error The key is missing.
    () => tls.tcpserver("", 0, { cert }),
    // @ts-expect-error Either, not both.
    () => tls.tcpserver("", 0, { ...pair, certs }),
    // @ts-expect-error The key is missing.
    () => socket.starttls(id, { cert }),
    // @ts-expect-error The key is missing.
    () => socket.starttls(id, { host: "localhost", cert }),
    // @ts-expect-error A list is the server's, a host the client's.
    () => socket.starttls(id, { side: "client", certs }),
    // @ts-expect-error The server needs a certificate.
    () => socket.starttls(id, { side: "server" }),
    // @ts-expect-error A host is the client's.
    () => socket.starttls(id, { side: "server", ...pair, host: "localhost" }),
    // @ts-expect-error There is no such side.
    () => socket.starttls(id, { side: "both" }),
  );
});
