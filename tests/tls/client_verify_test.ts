// A client verifies its server: who vouches for it, since when and until when, and its name.
// "deno" and "node" are the implementations of TLS that the client may be given (tls/core/backend.ts).

import { assertEquals } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import type { CertificatePair } from "../../tls/core/types.ts";
import { codeOf, leavingNothing } from "../settle.ts";
import { Authority, authority, ca, clientKinds, inDays, refusal, serveTls } from "./helpers.ts";

const stranger = new Authority("Stranger");
const intermediate = new Authority("Intermediate", authority);
const leaf = intermediate.issue(["server.test"]);
const wildcard = authority.issue(["*.server.test"]);
const byAddress = authority.issue(["127.0.0.1", "::1"]);
const selfsigned = tls.selfsigned(["server.test"]);

interface Case {
  when: string;
  shown: CertificatePair;
  /** What the client connects with, besides the host. */
  sni?: string;
  options?: tls.TlsClientOptions;
  code: string;
  /** Node's TLS says something else. */
  nodeCode?: string;
}

const LEAF = "UNABLE_TO_VERIFY_LEAF_SIGNATURE";

const cases: Case[] = [
  {
    when: "the certificate has expired",
    shown: authority.issue(["server.test"], { notBefore: inDays(-3), notAfter: inDays(-1) }),
    code: "CERT_HAS_EXPIRED",
  },
  {
    when: "the certificate is not valid yet",
    shown: authority.issue(["server.test"], { notBefore: inDays(1), notAfter: inDays(3) }),
    code: "CERT_NOT_YET_VALID",
  },
  {
    when: "the certificate is for another host",
    shown: authority.issue(["other.test"]),
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
  },
  {
    when: "the certificate is for another address",
    shown: authority.issue(["127.0.0.2", "::1"]),
    sni: "127.0.0.1",
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
  },
  {
    when: "the certificate is for a name and an address is asked for",
    shown: authority.issue(["server.test"]),
    sni: "127.0.0.1",
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
  },
  {
    when: "the certificate is for an address and a name is asked for",
    shown: byAddress,
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
  },
  {
    when: "the certificate vouches for itself and is not listed",
    shown: selfsigned,
    code: "UNABLE_TO_GET_ISSUER_CERT",
    nodeCode: "DEPTH_ZERO_SELF_SIGNED_CERT",
  },
  {
    when: "another certificate of the same name is listed",
    shown: selfsigned,
    options: { ca: tls.selfsigned(["server.test"]).cert },
    code: "CERT_SIGNATURE_FAILURE",
  },
  {
    when: "the root is not trusted",
    shown: stranger.issue(["server.test"]),
    code: "UNABLE_TO_GET_ISSUER_CERT",
  },
  {
    when: "no own authority is listed",
    shown: authority.issue(["server.test"]),
    options: { ca: [] },
    code: "UNABLE_TO_GET_ISSUER_CERT",
  },
  {
    when: "an intermediate certificate is missing",
    shown: leaf,
    code: "UNABLE_TO_GET_ISSUER_CERT",
  },
  {
    when: "a wildcard would have to stand for no label",
    shown: wildcard,
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
  },
  {
    when: "a wildcard would have to stand for two labels",
    shown: wildcard,
    sni: "a.b.server.test",
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
  },
  { when: "the certificate is for the name", shown: authority.issue(["server.test"]), code: "" },
  {
    when: "the certificate is for several names",
    shown: authority.issue(["a.test", "b.test", "server.test"]),
    code: "",
  },
  {
    when: "the case of the name differs",
    shown: authority.issue(["server.test"]),
    sni: "SERVER.Test",
    code: "",
  },
  {
    when: "the name ends in a dot",
    shown: authority.issue(["server.test"]),
    sni: "server.test.",
    code: "",
  },
  { when: "a wildcard covers the name", shown: wildcard, sni: "a.server.test", code: "" },
  { when: "the certificate is for the address", shown: byAddress, sni: "127.0.0.1", code: "" },
  { when: "the certificate is for the IPv6 address", shown: byAddress, sni: "::1", code: "" },
  { when: "the IPv6 address stands in brackets", shown: byAddress, sni: "[::1]", code: "" },
  {
    when: "the intermediate certificate is sent along",
    shown: { cert: leaf.cert + intermediate.cert, key: leaf.key },
    code: "",
  },
  {
    when: "a self-signed certificate is listed",
    shown: selfsigned,
    options: { ca: selfsigned.cert },
    code: "",
  },
  {
    when: "one of several listed authorities vouches for it",
    shown: stranger.issue(["server.test"]),
    options: { ca: [ca, selfsigned.cert + stranger.cert] },
    code: "",
  },
];

for (const [kind, own] of clientKinds) {
  for (const { when, shown, sni = "server.test", options = { ca }, code, nodeCode } of cases) {
    const expected = (kind === "node" ? nodeCode : undefined) ?? code;
    const what = code === "" ? "resolves" : `rejects with ${expected}`;
    Deno.test(`tcpconnect() ${what} when ${when} [${kind}]`, () =>
      leavingNothing(async () => {
        await using server = serveTls(shown);
        const connecting = tls.tcpconnect(...server.address, sni, { ...options, ...own });
        assertEquals(await refusal(connecting), expected === "" ? "connected" : expected);
      }));
  }

  Deno.test(`tcpconnect() takes the host for the name when sni is empty [${kind}]`, () =>
    leavingNothing(async () => {
      await using server = serveTls(authority.issue(["localhost", "127.0.0.1"]));
      const [, port] = server.address;
      for (const host of ["localhost", "127.0.0.1"]) {
        const client = await tls.tcpconnect(host, port, "", { ca, ...own });
        assertEquals(socket.istls(client), true);
        tls.close(client);
      }
      await using other = serveTls(authority.issue(["server.test"]));
      assertEquals(
        await refusal(tls.tcpconnect("localhost", other.address[1], undefined, { ca, ...own })),
        "ERR_TLS_CERT_ALTNAME_INVALID",
      );
    }));

  Deno.test(`tcpconnect() accepts another name when unsafelyIgnoreHostname is on [${kind}]`, () =>
    leavingNothing(async () => {
      const unsafe = { ca, unsafelyIgnoreHostname: true, ...own };
      await using other = serveTls(authority.issue(["other.test"]));
      for (const sni of ["server.test", "127.0.0.1"]) {
        assertEquals(await refusal(tls.tcpconnect(...other.address, sni, unsafe)), "connected");
      }
    }));

  Deno.test(`tcpconnect() verifies the rest when unsafelyIgnoreHostname is on [${kind}]`, () =>
    leavingNothing(async () => {
      const unsafe = { ca, unsafelyIgnoreHostname: true, ...own };
      const expired = authority.issue(["a.test"], { notBefore: inDays(-3), notAfter: inDays(-1) });
      for (const shown of [expired, stranger.issue(["a.test"]), tls.selfsigned(["a.test"])]) {
        await using server = serveTls(shown);
        const code = await refusal(tls.tcpconnect(...server.address, "server.test", unsafe));
        assertEquals(/^(CERT_|UNABLE_|DEPTH_)/.test(code), true, code);
      }
    }));

  Deno.test(`tcpconnect() does not trust a server by default that nobody vouches for [${kind}]`, () =>
    leavingNothing(async () => {
      await using server = serveTls(authority.issue(["127.0.0.1"]));
      const code = await refusal(tls.tcpconnect(...server.address, "", own));
      assertEquals(code, "UNABLE_TO_GET_ISSUER_CERT");
    }));

  Deno.test(`connect() faults with a SocketError that says what is wrong [${kind}]`, () =>
    leavingNothing(async () => {
      await using server = serveTls(authority.issue(["other.test"]));
      const id = tls.connect(...server.address, "server.test", { ca, ...own });
      const error = await task.await(id).catch((error) => error);
      assertEquals(error instanceof socket.SocketError, true);
      assertEquals(error.code, "ERR_TLS_CERT_ALTNAME_INVALID");
      assertEquals([error.op, error.remote], ["connect", server.address]);
      assertEquals(error.cause instanceof Error, true);
      assertEquals(error.message.endsWith("(ERR_TLS_CERT_ALTNAME_INVALID)"), true);
      assertEquals(socket.errno(), error.errno);
    }));

  Deno.test(`starttls() faults and closes the socket when it cannot verify [${kind}]`, () =>
    leavingNothing(async () => {
      for (const { shown, sni: host = "server.test", options, code, nodeCode } of cases) {
        if (code === "") continue;
        await using server = serveTls(shown);
        const client = await socket.tcpconnect(...server.address);
        const plan = { host, ...options ?? { ca }, ...own };
        const upgrade = codeOf(socket.starttls(client, plan));
        // Node's TLS tells little, and there is no connecting once more to find out.
        const vague = nodeCode ?? (code === "ERR_TLS_CERT_ALTNAME_INVALID" ? code : LEAF);
        assertEquals(await upgrade, kind === "node" ? vague : code);
        assertEquals(socket.isopen(client), false);
      }
    }));
}
