// What a client says when it refuses a server: the code, and words that tell what to do.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { toTlsError } from "../../tls/core/codes.ts";
import { issue } from "../../tls/core/x509.ts";
import { leavingNothing } from "../settle.ts";
import {
  Authority,
  authority,
  ca,
  clientKinds,
  clientPair,
  inDays,
  type Independent,
  serverKinds,
  serveTcp,
  serveTls,
  settled,
} from "./helpers.ts";

// What this module cannot issue: fixed samples, made by OpenSSL, valid to 2126. One key for all.
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg8wgwH9a1bUOlOs3Q
HjNdNOHDiDbQKn0PD3s45U6SkTShRANCAAR4ZsAnTsl11UJ4pY4fKMRBBL+jOcCA
nl+n/lkuTTZL/4/qqiU9ZxHqu+Gbx4sKrWVBmyaAiCnWhvlA9f8gNRFv
-----END PRIVATE KEY-----
`;
/** For clients only. */
const FOR_CLIENTS = `-----BEGIN CERTIFICATE-----
MIIBqzCCAVGgAwIBAgIUUoprtHPVx0TUfDAlJy6jx5Q9aDMwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJYXV0aG9yaXR5MCAXDTI2MTEyMTE3NDUxMVoYDzIxMjYxMDI4
MTc0NTExWjAWMRQwEgYDVQQDDAtzZXJ2ZXIudGVzdDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABHhmwCdOyXXVQniljh8oxEEEv6M5wICeX6f+WS5NNkv/j+qqJT1n
Eeq74ZvHiwqtZUGbJoCIKdaG+UD1/yA1EW+jfTB7MBYGA1UdEQQPMA2CC3NlcnZl
ci50ZXN0MAwGA1UdEwEB/wQCMAAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0O
BBYEFGe2l1XRZJmREudrqQ5NCuaAGVkPMB8GA1UdIwQYMBaAFK+QbyN9ZFtHn9le
bEWbOff77GbwMAoGCCqGSM49BAMCA0gAMEUCIQDuB8JyH5YRHvQ4UqXbl41lWHzL
CupUl1Kc+bMHqhnGyQIgbVeQ/Aj5nSXttInMUx2unCkkXUi9zrRfTgqoYW/PoVU=
-----END CERTIFICATE-----
`;
const ITS_AUTHORITY = `-----BEGIN CERTIFICATE-----
MIIBfzCCASWgAwIBAgIUZZpNgNlaIUjsPPAgzw0Z6JVPzd4wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJYXV0aG9yaXR5MCAXDTI2MTEyMTE3NDUxMVoYDzIxMjYxMDI4
MTc0NTExWjAUMRIwEAYDVQQDDAlhdXRob3JpdHkwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQ1ZyZDyXFVqk/DgDHHa8PWbFfr3aH9CiD9ZU56owxzWO0TX1yIBi64
K5kzAEkzpwN8ds1KhMqf37ET3yxFy+FNo1MwUTAdBgNVHQ4EFgQUr5BvI31kW0ef
2V5sRZs59/vsZvAwHwYDVR0jBBgwFoAUr5BvI31kW0ef2V5sRZs59/vsZvAwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAjsbdU6e9sWe0K8zmKZep
CMmkLfqEzV+xWvvQZn7lIhQCIGSUhXUfFI2KkGFMQ6N1Evhui528umS9t1T1SIz8
LrqT
-----END CERTIFICATE-----
`;
/** Issued by an RSA key of 1,024 bits. */
const BY_WEAK = `-----BEGIN CERTIFICATE-----
MIIB0TCCATqgAwIBAgIUJX57QXV+V0aMU+UBnqkqU5Cu7WEwDQYJKoZIhvcNAQEL
BQAwDzENMAsGA1UEAwwEd2VhazAgFw0yNjExMjExNzQ1MTFaGA8yMTI2MTAyODE3
NDUxMVowFjEUMBIGA1UEAwwLc2VydmVyLnRlc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAR4ZsAnTsl11UJ4pY4fKMRBBL+jOcCAnl+n/lkuTTZL/4/qqiU9ZxHq
u+Gbx4sKrWVBmyaAiCnWhvlA9f8gNRFvo2gwZjAWBgNVHREEDzANggtzZXJ2ZXIu
dGVzdDAMBgNVHRMBAf8EAjAAMB0GA1UdDgQWBBRntpdV0WSZkRLna6kOTQrmgBlZ
DzAfBgNVHSMEGDAWgBRwfAhZ2/Mw2k0XeOPDVTXPLyJrYjANBgkqhkiG9w0BAQsF
AAOBgQClq2h3Jgtn+fMuxr9KtJ47eYVVXamxWZpNhMeONCYEObeTyMgnuqn9RTLy
gYA2SgccQuhdzEDJaBKAkMJpry7NhZnOR8ynuY+FlO2ucE8UosO0CAvT3T+Jvq6s
K0/Z8je5p28JQx7/cNPXTlnrDJ5+qwx3MEfD2u4dt9Dxo9xcjQ==
-----END CERTIFICATE-----
`;
const WEAK_AUTHORITY = `-----BEGIN CERTIFICATE-----
MIIB/DCCAWWgAwIBAgIUfrryR5sCJLj4yrCAsXothWOKOQ4wDQYJKoZIhvcNAQEL
BQAwDzENMAsGA1UEAwwEd2VhazAgFw0yNjExMjExNzQ1MTFaGA8yMTI2MTAyODE3
NDUxMVowDzENMAsGA1UEAwwEd2VhazCBnzANBgkqhkiG9w0BAQEFAAOBjQAwgYkC
gYEAwYgRi/YyFNHbxG6czEc/YwCmUwcu9hNBnkbAB4Yyg7oLkYlwLqltlU+JizXz
hgHokSM7a27KzZdNtC0hEDEVtZFNWyLMHBJ+vSuTaZmnbfdjy9JnXq8ukPJQ+kqW
oYhRWNXDM/dErI0PyGo/0zpsl31gfLB0OwyCr2Txnkk9t0MCAwEAAaNTMFEwHQYD
VR0OBBYEFHB8CFnb8zDaTRd448NVNc8vImtiMB8GA1UdIwQYMBaAFHB8CFnb8zDa
TRd448NVNc8vImtiMA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADgYEA
d6kea1nC1dEa86MWliy6oiGiuRnovS/FqmI+3dED6ZZOBNNM7C/Gky01hOWr6Mv3
7ptbLJJGSTOFBswmupPZqcn5YeiH39d0JPXJsSBoe+XWlCo1/SnOmUQINtAqFJS8
69CeGto6HOduazNw1d1h3LpYxeeVEOtH2UiyILxsaVE=
-----END CERTIFICATE-----
`;
/** Self-signed, with SHA-1. */
const SHA1 = `-----BEGIN CERTIFICATE-----
MIIBljCCAT2gAwIBAgIUJzK/IEStIB0JR8H+Wb2Kphh2SdUwCQYHKoZIzj0EATAW
MRQwEgYDVQQDDAtzZXJ2ZXIudGVzdDAgFw0yNjExMjExNzQ1MTFaGA8yMTI2MTAy
ODE3NDUxMVowFjEUMBIGA1UEAwwLc2VydmVyLnRlc3QwWTATBgcqhkjOPQIBBggq
hkjOPQMBBwNCAASGw576tIkhenfaSVWLUoV7pxmRps/ObwfTauo49W8FmOCryGCl
tXcQhTWkdOWszxwtRtQjNYnbEmdIXrtDMxn0o2gwZjAdBgNVHQ4EFgQUmINz4Afo
rwgpg2oVtRk01a7h9kMwHwYDVR0jBBgwFoAUmINz4Aforwgpg2oVtRk01a7h9kMw
FgYDVR0RBA8wDYILc2VydmVyLnRlc3QwDAYDVR0TAQH/BAIwADAJBgcqhkjOPQQB
A0gAMEUCIGNHvRLdKGiFZDxcPxntBqEDLNwm9XMS7bW4ljZCTc8dAiEAoX+oDbUf
K84e6xfQNG/rO2fHhjjEmxO2THXv/pHd6tg=
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJhasyqfWl9C3y1iQ
XqXK9+tFhcpGMFkR54m11Zu8HvihRANCAASGw576tIkhenfaSVWLUoV7pxmRps/O
bwfTauo49W8FmOCryGCltXcQhTWkdOWszxwtRtQjNYnbEmdIXrtDMxn0
-----END PRIVATE KEY-----
`;

const test = (name: string, run: () => Promise<void>) => Deno.test(name, () => leavingNothing(run));

/** What connecting rejects with. */
async function refusal(
  server: Independent,
  options: tls.TlsClientOptions,
  sni = "server.test",
): Promise<socket.SocketError> {
  try {
    tls.close(await tls.tcpconnect(...server.address, sni, options));
  } catch (error) {
    assert(error instanceof socket.SocketError, String(error));
    return error;
  }
  throw new Error("it was accepted");
}

const stranger = new Authority("Stranger");
const intermediate = new Authority("Intermediate", authority);
const valid = { notBefore: inDays(-1), notAfter: inDays(1) };
const expired = { notBefore: inDays(-3), notAfter: inDays(-1) };
const early = { notBefore: inDays(1), notAfter: inDays(3) };
const toTheSecond = (date: Date) => date.toISOString().slice(0, 19);

const cases: {
  what: string;
  shown: tls.CertificatePair;
  trusted?: string;
  code: string;
  nodeCode?: string;
  text: string;
  /** What Node's TLS says; `null` if it takes the certificate, since it is the one that is trusted. */
  nodeText?: string | null;
}[] = [
  {
    what: "it has expired",
    shown: authority.issue(["server.test"], expired),
    code: "CERT_HAS_EXPIRED",
    text: `certificate expired on ${toTheSecond(expired.notAfter)}`,
  },
  {
    what: "it is not valid yet",
    shown: authority.issue(["server.test"], early),
    code: "CERT_NOT_YET_VALID",
    text: `certificate is not valid yet before ${toTheSecond(early.notBefore)}`,
  },
  {
    what: "nobody trusted issued it",
    shown: stranger.issue(["server.test"]),
    code: "UNABLE_TO_GET_ISSUER_CERT",
    text: 'name the certificate of its authority in "ca"',
  },
  {
    what: "it is a development server's",
    shown: tls.selfsigned(["server.test"]),
    code: "UNABLE_TO_GET_ISSUER_CERT",
    nodeCode: "DEPTH_ZERO_SELF_SIGNED_CERT",
    text: "(of a development server: what tls.certificate(server) gives there)",
  },
  {
    what: "an intermediate certificate is missing",
    shown: intermediate.issue(["server.test"]),
    code: "UNABLE_TO_GET_ISSUER_CERT",
    text: "does not send the intermediate certificates",
  },
  {
    what: "another authority of the same name is trusted",
    shown: new Authority(authority.name).issue(["server.test"]),
    code: "CERT_SIGNATURE_FAILURE",
    text: "the authority of that name has another key",
  },
  {
    what: "its authority has a weak key",
    shown: { cert: BY_WEAK, key: KEY },
    trusted: WEAK_AUTHORITY,
    code: "CERT_SIGNATURE_FAILURE",
    text: "RSA key of less than 2,048 bits",
  },
  {
    what: "it is for clients",
    shown: { cert: FOR_CLIENTS, key: KEY },
    trusted: ITS_AUTHORITY,
    code: "INVALID_PURPOSE",
    text: "not meant for this use: certificate does not allow extended key usage for server",
  },
  {
    what: "it is an authority's",
    shown: issue({ names: ["server.test"], ca: true, ...valid }),
    code: "INVALID_PURPOSE",
    text: "put its own certificate first, or mark a self-signed one CA:FALSE",
    nodeText: null,
  },
  {
    what: "it is signed with SHA-1",
    shown: { cert: SHA1, key: SHA1 },
    trusted: SHA1,
    code: "CERT_REJECTED",
    text: "signed with SHA-1, which is too weak: have it issued anew, signed with SHA-256",
  },
  {
    what: "it is for another name",
    shown: authority.issue(["a.test", "b.test"]),
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
    text: 'not valid for name "server.test"; certificate is only valid for "a.test" or "b.test"',
  },
];

for (const [kind, own] of clientKinds) {
  for (const { what, shown, trusted, ...deno } of cases) {
    const { code, text } = kind === "deno"
      ? deno
      : { code: deno.nodeCode ?? deno.code, text: deno.nodeText ?? deno.text };
    if (kind === "node" && deno.nodeText === null) continue;
    test(`tcpconnect() says so when it refuses a certificate because ${what} [${kind}]`, async () => {
      await using server = serveTls(shown);
      // An authority that shows its own certificate as the server's is trusted, and refused.
      const trust = trusted ?? (code === "INVALID_PURPOSE" ? shown.cert : ca);
      const error = await refusal(server, { ca: trust, ...own });
      assertEquals(error.code, code, error.message);
      assertStringIncludes(error.message, text);
      assert(error.message.length < 400, error.message);
    });
  }
}

/** Shows an expired certificate to the first who comes, and does something else with the next. */
function serveOnce(next: (conn: Deno.TcpConn) => Promise<unknown>): Independent {
  let first = true;
  const backend = serveTls(authority.issue(["server.test"], expired));
  const front = serveTcp(async (conn) => {
    if (!first) return await next(conn);
    first = false;
    const [hostname, port] = backend.address;
    using onward = await Deno.connect({ hostname, port });
    await Promise.allSettled([copy(conn, onward), copy(onward, conn)]);
  });
  return {
    address: front.address,
    async [Symbol.asyncDispose]() {
      await front[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    },
  };
}

async function copy(from: Deno.Conn, to: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(16384);
  for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
    for (let at = 0; at < n;) at += await to.write(buffer.subarray(at, n));
  }
  await to.closeWrite();
}

test("tcpconnect() with a certificate says what may be wrong if asking once more does not tell", async () => {
  await using server = serveOnce(() => Promise.resolve());
  const error = await refusal(server, { ca, ...clientPair });
  assertEquals(error.code, "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
  assertStringIncludes(
    error.message,
    "it has expired, is not valid yet, is not meant for this use",
  );
});

test("tcpconnect() with a certificate asks once more within its own time", async () => {
  await using server = serveOnce(async (conn) => {
    while (await conn.read(new Uint8Array(4096)) !== null);
  });
  const error = await refusal(server, { ca, ...clientPair, timeout: 1000 });
  assertEquals(error.code, "ETIMEDOUT");
});

test("tcpconnect() does not fill the screen with the names of a certificate", async () => {
  const names = Array.from({ length: 500 }, (_, i) => `name${i}.test`);
  await using server = serveTls(authority.issue(names));
  const error = await refusal(server, { ca });
  assertEquals(error.code, "ERR_TLS_CERT_ALTNAME_INVALID");
  assert(error.message.length < 500, error.message);
});

const encoder = new TextEncoder();

for (
  const [what, words] of [
    ["a web server", "HTTP/1.1 400 Bad Request\r\n\r\n"],
    ["a mail server", "220 mail.test ESMTP\r\n"],
    ["an SSH server", "SSH-2.0-OpenSSH_9.7\r\n"],
  ]
) {
  for (const [kind, own] of clientKinds) {
    test(`tcpconnect() and starttls() say that ${what} does not speak TLS [${kind}]`, async () => {
      await using server = serveTcp(async (conn) => {
        await conn.read(new Uint8Array(4096));
        await conn.write(encoder.encode(words));
        while (await conn.read(new Uint8Array(4096)) !== null);
      });
      const error = await refusal(server, { ca, ...own });
      assertEquals(error.code, "EPROTO");
      assertStringIncludes(error.message, "the peer does not speak TLS");
      const id = await socket.tcpconnect(...server.address);
      const upgrade = await task.await(socket.starttls(id, { ca, ...own })).catch((error) => error);
      assertEquals(upgrade.code, "EPROTO");
      assertStringIncludes(upgrade.message, "the peer does not speak TLS");
    });
  }
}

Deno.test("toTlsError() knows the texts of older versions, too", () => {
  const codeOf = (text: string) =>
    (toTlsError(new Deno.errors.InvalidData(text)) as { code?: string }).code;
  assertEquals(codeOf("invalid peer certificate: InvalidPurpose"), "INVALID_PURPOSE");
  assertEquals(codeOf("invalid peer certificate: Other(CaUsedAsEndEntity)"), "INVALID_PURPOSE");
  assertEquals(codeOf("invalid peer certificate: certificate expired"), "CERT_HAS_EXPIRED");
  assertEquals(codeOf("invalid peer certificate: certificate expired: NaN"), "CERT_HAS_EXPIRED");
  assertEquals(codeOf("invalid peer certificate: Revoked"), "CERT_REVOKED");
  assertEquals(codeOf("invalid peer certificate: whatever"), "CERT_REJECTED");
});

for (
  const [what, dates, code] of [
    ["has expired", expired, "CERT_HAS_EXPIRED"],
    ["is not valid yet", early, "CERT_NOT_YET_VALID"],
  ] as const
) {
  const outdated = authority.issue(["server.test"], dates);

  const serves = async (server: socket.SocketId, begin = () => {}) => {
    const accepting = tls.accept(server);
    begin();
    const error = await refusal({ address: tls.getlocal(server) } as Independent, { ca });
    assertEquals([error.code, tls.certificate(server)], [code, outdated.cert]);
    tls.close(server);
    await settled(accepting);
  };

  for (const [kind, serve] of serverKinds) {
    test(`tcpserver() serves a certificate that ${what}, for clients to refuse [${kind}]`, () =>
      serves(tls.tcpserver("127.0.0.1", 0, serve(outdated))));
  }

  test(`setcerts() takes a certificate that ${what}, for clients to refuse`, () => {
    const server = tls.tcpserver("127.0.0.1", 0, { certs: [authority.issue(["server.test"])] });
    return serves(server, () => tls.setcerts(server, outdated));
  });
}

test("starttls() and tcpconnect() take a certificate of one's own that has expired", async () => {
  const outdated = authority.issue(["server.test"], expired);
  await using server = serveTls(authority.issue(["server.test"]));
  tls.close(await tls.tcpconnect(...server.address, "server.test", { ca, ...outdated }));
  const [client, peer] = await connectedInClear();
  const serving = socket.starttls(peer, outdated);
  const upgrading = socket.starttls(client, { host: "server.test", ca });
  const error = await task.await(upgrading).catch((error) => error);
  assertEquals(error.code, "CERT_HAS_EXPIRED");
  await settled(serving);
});

async function connectedInClear(): Promise<[client: socket.SocketId, peer: socket.SocketId]> {
  const listener = socket.tcpserver("127.0.0.1", 0);
  const client = await socket.tcpconnect(...socket.getlocal(listener));
  const peer = await task.await(socket.accept(listener));
  socket.close(listener);
  return [client, peer];
}
