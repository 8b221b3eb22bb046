import { generateKeyPairSync } from "node:crypto";
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { task, tls } from "../../mod.ts";
import { checkAuthorities, checkPair, readCertificate } from "../../tls/core/certificate.ts";
import { TlsError } from "../../tls/core/codes.ts";
import {
  chooseByName,
  formatIp,
  matchesName,
  parseDnsName,
  parseIp,
} from "../../tls/core/names.ts";
import { element, integer, oid, Tag } from "../../tls/core/der.ts";
import { decodePem, encodePem } from "../../tls/core/pem.ts";
import { selfsigned } from "../../tls/selfsigned.ts";
import type { CertificatePair } from "../../tls/core/types.ts";
import { issue } from "../../tls/core/x509.ts";
import { serverKinds } from "./helpers.ts";

const HOUR = 60 * 60 * 1000;
const DAY = 24 * HOUR;
const inDays = (days: number) => new Date(Date.now() + days * DAY);

// RSA, Ed25519 and SEC1 cannot be issued by this module: fixed samples, made by OpenSSL, valid to 2126.
const RSA_CERT = `-----BEGIN CERTIFICATE-----
MIIDTDCCAjSgAwIBAgIUeRjFadiAAUOYeo/Sgs2aW77elcQwDQYJKoZIhvcNAQEL
BQAwFzEVMBMGA1UEAwwMaWdub3JlZC50ZXN0MCAXDTI2MTEyMDA5MTY1N1oYDzIx
MjYxMDI3MDkxNjU3WjAXMRUwEwYDVQQDDAxpZ25vcmVkLnRlc3QwggEiMA0GCSqG
SIb3DQEBAQUAA4IBDwAwggEKAoIBAQCxzxDfiVTV3Yh4TmVAJFa7/I/l7vzwEY+l
4piRYwJugS07vpep/sGlg78bQGJ1qfy3YKo5CaoAQryCVs//UE5vPwGHY75/pYHs
qmrISCd1qZVBhRPNTK6rVm4gudpBlE8TLdC3jwPEqLqqK7gplorq3rBHNAuhnRaD
n7wMhfk+NP0/U6IgiicVsEALy26JgWRMDeyTrUvQ2hOTYHfcbK8Mif44OE8QMA8U
/RQl+oCeqW7dwEOREyygV2qiw3KuM5MpkGhhqGzbpLxCMPdZTpp8Ox7tEcOE0qz+
WdLjaYrckiRHuiqNjWp6Xnj12ZP2gW/zvhEYQl92mj5V9gVWpiSTAgMBAAGjgY0w
gYowHQYDVR0OBBYEFEjfv5rrqjVSouM5BSueV9Z6dDD3MB8GA1UdIwQYMBaAFEjf
v5rrqjVSouM5BSueV9Z6dDD3MA8GA1UdEwEB/wQFMAMBAf8wNwYDVR0RBDAwLoII
cnNhLnRlc3SCCioucnNhLnRlc3SHBH8AAAGHEAAAAAAAAAAAAAAAAAAAAAEwDQYJ
KoZIhvcNAQELBQADggEBAFD1v0oN86/4hjxw0RuCB+v8aiuE7TNS1A3UknL8QlSj
pfCdMx+S2iGJRPi5pX1N2lhVO+h9ucDcSN5+LSRChTfUDQShaUjxDR2J3Ar0Xszg
khiUwgGMkfPD60G2gyOL06yAPXaqmMuYj3A/LoPp8yICVwHzQP2WSrwF8ccDbQj5
xSP/fZUJJIYHi/ugGfr648CimRypEQSU3YxMwwlMLCtSv/7bGxVB/ZZ0QVqUG7Bl
rvLtD5OiL+RD43y4TT/dOwvBFiJh5yBrJsnc/t9CW5OYc67djgnnIgBDZCUcDJ7j
KF/vuiWX6HYL7gtDvgrMKq+Dp7Q9tfRSIzPVOY95LUE=
-----END CERTIFICATE-----
`;
const RSA_PKCS8 = `-----BEGIN PRIVATE KEY-----
MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCxzxDfiVTV3Yh4
TmVAJFa7/I/l7vzwEY+l4piRYwJugS07vpep/sGlg78bQGJ1qfy3YKo5CaoAQryC
Vs//UE5vPwGHY75/pYHsqmrISCd1qZVBhRPNTK6rVm4gudpBlE8TLdC3jwPEqLqq
K7gplorq3rBHNAuhnRaDn7wMhfk+NP0/U6IgiicVsEALy26JgWRMDeyTrUvQ2hOT
YHfcbK8Mif44OE8QMA8U/RQl+oCeqW7dwEOREyygV2qiw3KuM5MpkGhhqGzbpLxC
MPdZTpp8Ox7tEcOE0qz+WdLjaYrckiRHuiqNjWp6Xnj12ZP2gW/zvhEYQl92mj5V
9gVWpiSTAgMBAAECggEADgt7G7fEpGKr+u9w/qYK1oKBTfpDWdB+oO3LJgDExRHI
ZDsOeSEPDryKBeRfYp1GFv4NtBUCq/lEMU9w0ov3W2uF+rnIPFudwvdFxALfCw5A
JJLBw6pWSbZkBeBoUFx0pTaDPAc8lvYfoygc6JFkRl/HW3h4SrsWd4Ml3soJAVQa
2XPaNtyqh5ZqJJsIMMzmiqj+Xd6MO76fRDu/pvgI3wJfy9GeZCXv2BRxstg24UHm
Vss5tfm+na8fMS4J/Iu3Ckp7unIdaeZQFhWtDIDh+76lA17guzDvoAnpN5YmR56W
OMVyBv6AqnxjCsQlK2wkZn9O+nIZSdj2FnxRoNbBkQKBgQDzqdcBI679XA4cPIXH
JHDIBYsI0ShgdLRwZmBoyOXS0PpFRJbIbFa2Tw7cCu7mvZZIDx0YGStNv0th+ufO
2MiNqbDrL2YzEQih0oo0tmgs3dgWpptsOBnsso37qdzX1nNiQOFJXKUdIkrJhDIR
1eNiC3cCCo6tT3VH5xBWzYsURwKBgQC6z6ylu5nZgBb13fvdNSQHR59KafQmW+gq
zHONkt3OVZPvgUJmzdWnmZLf4mB5umWxCuRsIEUCnLdkuL4sqCJYtimiVrrD7bOk
uBhH0eqfxAF5Y6UNYYqOEeTEyY3cHTAsUNhHmi604czLJXiyP/BA4L4Afl4n6zp2
FNcapdXPVQKBgQCxqY+sNAF+mKVtLy/30PkuzuPeTOsc0VtTbUI0hO8V9OvWn7k1
b9EV4rUZ+hrRQUEXT3XOQWPSr31edpyYtHYe3LCz+v6Qk4Xwv9unraxtsl/BvD8s
/AbjEBn4epUdBy9gX6AkZpm5kWxoXKxJVuQRc/yVD2+SrJH+GFtQf1Q+NwKBgB6G
kuqeBhzRXm8cr+xMo6+A15mcSKX//KcJs5QdvJrbxwmq8IPF/LSfVq242xTpDXbp
lbvJZh1wKFOQEJtRehNO6Oy7CVe8vs8aufT6a0FiEO+aBb1zA+YFLIGvgbvHFTkY
mM7SdfFeuE01uUw/QG4Ji2KfQ5l4SZxD+YZENPTlAoGBAINEA48oaeRHUQy79rxx
GgF0Ku0xSPBleFMUxvqA6stxW9e4XJ+EmAeKE8HBSBPatXSxj9yzInunj/RdhXZ8
v2veEyEnCt9E/XwK0rLHD9wILNYEYKw8ViXWLeOBNVnFCepc1RSDZ8iAbGFZZ5zI
hxuiv0JB90SQHeVhLr4EgowQ
-----END PRIVATE KEY-----
`;
const RSA_PKCS1 = `-----BEGIN RSA PRIVATE KEY-----
MIIEpAIBAAKCAQEAsc8Q34lU1d2IeE5lQCRWu/yP5e788BGPpeKYkWMCboEtO76X
qf7BpYO/G0Bidan8t2CqOQmqAEK8glbP/1BObz8Bh2O+f6WB7KpqyEgndamVQYUT
zUyuq1ZuILnaQZRPEy3Qt48DxKi6qiu4KZaK6t6wRzQLoZ0Wg5+8DIX5PjT9P1Oi
IIonFbBAC8tuiYFkTA3sk61L0NoTk2B33GyvDIn+ODhPEDAPFP0UJfqAnqlu3cBD
kRMsoFdqosNyrjOTKZBoYahs26S8QjD3WU6afDse7RHDhNKs/lnS42mK3JIkR7oq
jY1qel549dmT9oFv874RGEJfdpo+VfYFVqYkkwIDAQABAoIBAA4Lexu3xKRiq/rv
cP6mCtaCgU36Q1nQfqDtyyYAxMURyGQ7DnkhDw68igXkX2KdRhb+DbQVAqv5RDFP
cNKL91trhfq5yDxbncL3RcQC3wsOQCSSwcOqVkm2ZAXgaFBcdKU2gzwHPJb2H6Mo
HOiRZEZfx1t4eEq7FneDJd7KCQFUGtlz2jbcqoeWaiSbCDDM5oqo/l3ejDu+n0Q7
v6b4CN8CX8vRnmQl79gUcbLYNuFB5lbLObX5vp2vHzEuCfyLtwpKe7pyHWnmUBYV
rQyA4fu+pQNe4Lsw76AJ6TeWJkeeljjFcgb+gKp8YwrEJStsJGZ/TvpyGUnY9hZ8
UaDWwZECgYEA86nXASOu/VwOHDyFxyRwyAWLCNEoYHS0cGZgaMjl0tD6RUSWyGxW
tk8O3Aru5r2WSA8dGBkrTb9LYfrnztjIjamw6y9mMxEIodKKNLZoLN3YFqabbDgZ
7LKN+6nc19ZzYkDhSVylHSJKyYQyEdXjYgt3AgqOrU91R+cQVs2LFEcCgYEAus+s
pbuZ2YAW9d373TUkB0efSmn0JlvoKsxzjZLdzlWT74FCZs3Vp5mS3+JgebplsQrk
bCBFApy3ZLi+LKgiWLYpola6w+2zpLgYR9Hqn8QBeWOlDWGKjhHkxMmN3B0wLFDY
R5outOHMyyV4sj/wQOC+AH5eJ+s6dhTXGqXVz1UCgYEAsamPrDQBfpilbS8v99D5
Ls7j3kzrHNFbU21CNITvFfTr1p+5NW/RFeK1Gfoa0UFBF091zkFj0q99XnacmLR2
Htyws/r+kJOF8L/bp62sbbJfwbw/LPwG4xAZ+HqVHQcvYF+gJGaZuZFsaFysSVbk
EXP8lQ9vkqyR/hhbUH9UPjcCgYAehpLqngYc0V5vHK/sTKOvgNeZnEil//ynCbOU
Hbya28cJqvCDxfy0n1atuNsU6Q126ZW7yWYdcChTkBCbUXoTTujsuwlXvL7PGrn0
+mtBYhDvmgW9cwPmBSyBr4G7xxU5GJjO0nXxXrhNNblMP0BuCYtin0OZeEmcQ/mG
RDT05QKBgQCDRAOPKGnkR1EMu/a8cRoBdCrtMUjwZXhTFMb6gOrLcVvXuFyfhJgH
ihPBwUgT2rV0sY/csyJ7p4/0XYV2fL9r3hMhJwrfRP18CtKyxw/cCCzWBGCsPFYl
1i3jgTVZxQnqXNUUg2fIgGxhWWecyIcbor9CQfdEkB3lYS6+BIKMEA==
-----END RSA PRIVATE KEY-----
`;
const EC_CERT = `-----BEGIN CERTIFICATE-----
MIIBsjCCAVmgAwIBAgIUY3U7ZxQmtGDoHvbLocL1cVxZngowCgYIKoZIzj0EAwIw
LjEQMA4GA1UECgwHRXhhbXBsZTEaMBgGA1UEAwwRZWMsIEROUzpldmlsLnRlc3Qw
IBcNMjYxMTIwMDkxNjU3WhgPMjEyNjEwMjcwOTE2NTdaMC4xEDAOBgNVBAoMB0V4
YW1wbGUxGjAYBgNVBAMMEWVjLCBETlM6ZXZpbC50ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEfLl2FYy+5FMlObJ3at0vQpGDixu8V8E9KBtZt1SZgF7Hp0aw
a5NJwXvXtEqGQIfFTy7i5QreiCpMidloFmLq+qNTMFEwHQYDVR0OBBYEFAFKVPYp
2LBcZDCxTQossxNtZ3JcMB8GA1UdIwQYMBaAFAFKVPYp2LBcZDCxTQossxNtZ3Jc
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgTko2j7Mft0VahT7P
YJemia1Fuy2bQL9dOvRa/RU52BoCIBnqcRWZJBDoahXr7aU9IZ+aoxb3doehY6rH
Kwxn1ztu
-----END CERTIFICATE-----
`;
const EC_SEC1 = `-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIC52jWV352Y3W+pglGLRCxVBL23XFC5tBvx2R4N8GRIMoAoGCCqGSM49
AwEHoUQDQgAEfLl2FYy+5FMlObJ3at0vQpGDixu8V8E9KBtZt1SZgF7Hp0awa5NJ
wXvXtEqGQIfFTy7i5QreiCpMidloFmLq+g==
-----END EC PRIVATE KEY-----
`;

// One file for key and certificate, Ed25519.
const ED25519 = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINK1nAWf7sw0FU48kRivI31cIrvM+4yLpTtfyEcPAudJ
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBSzCB/qADAgECAhQWEsdtXTmryhlw8Amhq40O0ODPQDAFBgMrZXAwEjEQMA4G
A1UEAwwHZWQudGVzdDAgFw0yNjExMjExNzM4MjRaGA8yMTI2MTAyODE3MzgyNFow
EjEQMA4GA1UEAwwHZWQudGVzdDAqMAUGAytlcAMhAFollRHHch46uHqRWSYRo2/N
AtdU6Y7s2Hd1+JmnTm7+o2QwYjAdBgNVHQ4EFgQULiBeJDVGnPcP255gCWW38tM0
nEMwHwYDVR0jBBgwFoAULiBeJDVGnPcP255gCWW38tM0nEMwEgYDVR0RBAswCYIH
ZWQudGVzdDAMBgNVHRMBAf8EAjAAMAUGAytlcANBAF+TLr3DajYUg8yXIAJDhOrZ
IDoOoGeLJeJbZd0gI57ryYuC6Ox9NJNRq/M97+dGKw9Hr6YPb+tkvztT6R/jsQE=
-----END CERTIFICATE-----
`;

const decode = (pem: string) => decodePem("cert", pem, () => true);

function faultOf(pair: CertificatePair): string {
  return assertThrows(() => checkPair(pair), TlsError).code;
}

/** A handshake over loopback with Deno's own TLS (rustls), the client trusting `ca` alone. */
async function handshake(
  { cert, key }: CertificatePair,
  ca: string,
  hostname: string,
): Promise<void> {
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const server = (async () => {
    using conn = await listener.accept();
    await conn.handshake().catch(() => {});
  })();
  try {
    const plain = await Deno.connect({
      hostname: "127.0.0.1",
      port: (listener.addr as Deno.NetAddr).port,
    });
    using conn = await Deno.startTls(plain, { hostname, caCerts: [ca] });
    await conn.handshake();
  } finally {
    await server;
  }
}

Deno.test("selfsigned() serves every name and address it was given to a client that trusts it", async () => {
  const names = ["localhost", "api.example.com", "*.wild.test", "127.0.0.1", "::1"];
  const pair = selfsigned(names);
  for (const name of ["localhost", "API.example.com", "any.wild.test", "127.0.0.1", "::1"]) {
    await handshake(pair, pair.cert, name);
  }
});

Deno.test("selfsigned() does not serve a name it was not given", async () => {
  const pair = selfsigned(["localhost"]);
  const shaking = handshake(pair, pair.cert, "other.test");
  await assertRejects(() => shaking, Deno.errors.InvalidData, "not valid for name");
});

Deno.test("selfsigned() is trusted by nobody who does not list it", async () => {
  const shaking = handshake(selfsigned(["localhost"]), selfsigned(["localhost"]).cert, "localhost");
  const { message } = await assertRejects(() => shaking, Deno.errors.InvalidData);
  // Another key of an issuer by the same name, or an issuer that is not known.
  assertMatch(message, /^invalid peer certificate: (BadSignature|UnknownIssuer)$/);
});

Deno.test("selfsigned() passes checkPair() and names what it is for", () => {
  const names = ["localhost", "127.0.0.1", "::1", "fe80::1:0:0:2", "bücher.example", "localhost"];
  const { names: found, notAfter } = checkPair(selfsigned(names));
  assertEquals(found, ["localhost", "127.0.0.1", "::1", "fe80::1:0:0:2", "xn--bcher-kva.example"]);
  assert(notAfter > inDays(360) && notAfter < inDays(366));
});

Deno.test("selfsigned() makes a new key every time", () => {
  assert(selfsigned(["a.test"]).key !== selfsigned(["a.test"]).key);
});

Deno.test("selfsigned() takes many names, long names and upper case", () => {
  const names = Array.from({ length: 500 }, (_, i) => `Host-${i}.${"long".repeat(15)}.example`);
  assertEquals(checkPair(selfsigned(names)).names, names.map((name) => name.toLowerCase()));
});

Deno.test("selfsigned() throws for bad names and says which", () => {
  // deno-lint-ignore no-explicit-any
  const loose = selfsigned as (names: any) => unknown;
  assertThrows(() => loose("localhost"), TypeError, '"names"');
  assertThrows(() => loose(undefined), TypeError, '"names"');
  assertThrows(() => loose([7]), TypeError, "number");
  assertThrows(() => loose([]), RangeError, '"names" is empty');
  for (
    const name of [
      "",
      ".",
      "a..b",
      "-a.test",
      "a b",
      "300.1.1.1",
      "1:2",
      "a.*.test",
      "x\n",
      "*",
      "*.1.2.3",
      "a".repeat(64),
    ]
  ) {
    assertThrows(() => loose(["ok.test", name]), RangeError, `"${name}"`);
  }
});

Deno.test("checkPair() accepts RSA with PKCS#8 and PKCS#1 keys and EC with a SEC1 key", () => {
  assertEquals(checkPair({ cert: RSA_CERT, key: RSA_PKCS8 }).names, [
    "rsa.test",
    "*.rsa.test",
    "127.0.0.1",
    "::1",
  ]);
  assertEquals(checkPair({ cert: RSA_CERT, key: RSA_PKCS1 }).names[0], "rsa.test");
  // The file begins with an EC PARAMETERS block, as OpenSSL writes it; the certificate has no subjectAltName.
  assertEquals(checkPair({ cert: EC_CERT, key: EC_SEC1 }).names, ["ec, dns:evil.test"]);
});

Deno.test("checkPair() accepts a chain, CRLF, text between the blocks and one file for both", () => {
  const [leaf, ca] = [selfsigned(["a.test"]), selfsigned(["b.test"])];
  const file = `Subject: a.test\r\n${leaf.cert}some text\n${ca.cert}${leaf.key}`.replaceAll(
    /\r?\n/g,
    "\r\n",
  );
  assertEquals(checkPair({ cert: file, key: file }).names, ["a.test"]);
});

Deno.test("checkPair() accepts an Ed25519 key", () => {
  assertEquals(checkPair({ cert: ED25519, key: ED25519 }).names, ["ed.test"]);
});

Deno.test("checkPair() leaves dates to the peer, and tells the earliest end of the chain", () => {
  const key = (notBefore: number, notAfter: number) =>
    issue({ names: ["a.test"], notBefore: inDays(notBefore), notAfter: inDays(notAfter) });
  const [old, future, good] = [key(-9, -1), key(1, 9), key(-1, 1)];
  const endOf = (cert: string) => readCertificate(decode(cert)[0].bytes).notAfter;
  assertEquals(checkPair(old).notAfter, endOf(old.cert));
  assertEquals(checkPair(future).notAfter, endOf(future.cert));
  assertEquals(
    checkPair({ cert: good.cert + old.cert, key: good.key }).notAfter,
    endOf(old.cert),
  );
  assertEquals(checkPair(good).notAfter, endOf(good.cert));
});

/** What editors, YAML files and mail programs make of a PEM text. */
const disguises: Record<string, (pem: string) => string> = {
  "a byte order mark": (pem) => "\ufeff" + pem,
  "a byte order mark before each block": (pem) => pem.replaceAll("-----BEGIN", "\ufeff-----BEGIN"),
  "indentation as from YAML": (pem) => pem.replaceAll(/^/gm, "    "),
  "indentation by tabs and no-break spaces": (pem) => pem.replaceAll(/^/gm, "\t\u00a0"),
  "CRLF": (pem) => pem.replaceAll("\n", "\r\n"),
  "CR": (pem) => pem.replaceAll("\n", "\r"),
  "blank lines and spaces at the ends": (pem) => pem.replaceAll("\n", "  \n\n"),
  "text around it": (pem) => `subject: x\n${pem.replaceAll("-----BEGIN", "text\n-----BEGIN")}end`,
  "all on one line": (pem) => pem.replaceAll("\n", " "),
  "no line breaks in the Base64": (pem) => pem.replaceAll(/([^-])\n(?!-)/g, "$1"),
};

for (const [what, disguise] of Object.entries(disguises)) {
  Deno.test(`checkPair() and checkAuthorities() make PEM anew from PEM with ${what}`, () => {
    const { cert, key } = selfsigned(["a.test"]);
    for (const pair of [{ cert, key }, { cert: RSA_CERT, key: RSA_PKCS1 }]) {
      const checked = checkPair({ cert: disguise(pair.cert), key: disguise(pair.key) });
      assertEquals([checked.cert, checked.key], [pair.cert, pair.key]);
    }
    const ec = checkPair({ cert: disguise(EC_CERT), key: disguise(EC_SEC1) });
    assertEquals(ec.key, EC_SEC1.slice(EC_SEC1.indexOf("-----BEGIN EC PRIVATE")));
    assertEquals(checkAuthorities(disguise(cert + RSA_CERT)), [cert, RSA_CERT]);
  });

  for (const [engine, serve] of serverKinds) {
    Deno.test(`tcpserver() and tcpconnect() work with PEM with ${what} [${engine}]`, async () => {
      const { cert, key } = selfsigned(["a.test"]);
      const own = { cert: disguise(cert), key: disguise(key) };
      const server = tls.tcpserver("127.0.0.1", 0, serve(own));
      const [ip, port] = tls.getlocal(server);
      for (const options of [{}, own]) {
        const accepting = tls.accept(server);
        const id = await tls.tcpconnect(ip, port, "a.test", { ca: disguise(cert), ...options });
        [id, await task.await(accepting)].forEach(tls.close);
      }
      tls.close(server);
    });
  }
}

Deno.test("checkPair() refuses a chain in the wrong order and says what comes first", () => {
  const dates = { notBefore: inDays(-1), notAfter: inDays(1) };
  const root = issue({ names: ["root"], ca: true, ...dates });
  const leaf = issue({ names: ["a.test"], issuer: { name: "root", key: root.key }, ...dates });
  const wrong = { cert: root.cert + leaf.cert, key: leaf.key };
  assertEquals(faultOf(wrong), "ERR_OSSL_X509_KEY_VALUES_MISMATCH");
  const { message } = assertThrows(() => checkPair(wrong), TlsError);
  assertStringIncludes(
    message,
    'belongs to certificate 2 of the chain, for "a.test": put that one',
  );
});

Deno.test("checkPair() refuses keys that no handshake succeeds with and says which do", () => {
  const { cert } = selfsigned(["a.test"]);
  const pem = { type: "pkcs8", format: "pem" } as const;
  const make = {
    rsa: (modulusLength: number) =>
      generateKeyPairSync("rsa", { modulusLength }).privateKey.export(pem),
    // Deno makes such keys, but does not export them.
    pss: () => {
      const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
      const rsa = new Uint8Array(privateKey.export({ type: "pkcs1", format: "der" }));
      const algorithm = element(Tag.sequence, oid("1.2.840.113549.1.1.10"));
      const version = integer(new Uint8Array([0]));
      const key = element(Tag.sequence, version, algorithm, element(Tag.octetString, rsa));
      return encodePem("PRIVATE KEY", key);
    },
    ec: (namedCurve: string) => generateKeyPairSync("ec", { namedCurve }).privateKey.export(pem),
  };
  for (
    const [key, code, kind] of [
      [make.rsa(1024), "ERR_SSL_EE_KEY_TOO_SMALL", "RSA of 1024 bits"],
      [make.rsa(2040), "ERR_SSL_EE_KEY_TOO_SMALL", "RSA of 2040 bits"],
      [make.pss(), "ERR_OSSL_UNSUPPORTED", "rsa-pss"],
      [make.ec("secp256k1"), "ERR_OSSL_UNSUPPORTED", "EC secp256k1"],
      [make.ec("secp224r1"), "ERR_OSSL_UNSUPPORTED", "EC secp224r1"],
    ] as const
  ) {
    const error = assertThrows(() => checkPair({ cert, key: String(key) }), TlsError);
    assertEquals(error.code, code);
    assertStringIncludes(error.message, kind);
    assertStringIncludes(error.message, "give RSA of 2,048 bits or more");
  }
});

Deno.test("checkPair() says which version of Deno it takes, not that the certificate is garbled", () => {
  const pair = selfsigned(["a.test"]);
  const version = Object.getOwnPropertyDescriptor(Deno, "version")!;
  try {
    for (
      const deno of ["1.46.3", "2.5.6", "2.9.4", "2.9.5-rc.1", "2.9.5", "2.10.0", "3.0.0-rc.1+ab"]
    ) {
      Object.defineProperty(Deno, "version", { ...version, value: { deno } });
      if (/^(1|2\.5|2\.9\.4)/.test(deno)) {
        assertThrows(() => checkPair(pair), Error, `Deno 2.9.5 or later: this is Deno ${deno}`);
      } else checkPair(pair);
    }
  } finally {
    Object.defineProperty(Deno, "version", version);
  }
});

Deno.test("checkPair() refuses a bundle of authorities, which no peer would take", () => {
  const { cert, key } = selfsigned(["a.test"]);
  const error = assertThrows(() => checkPair({ cert: cert.repeat(400), key }), TlsError);
  assertEquals(error.code, "ERR_SSL_EXCESSIVE_MESSAGE_SIZE");
  assertStringIncludes(error.message, "400 certificates");
  assertEquals(checkAuthorities(cert.repeat(400)).length, 400);
});

Deno.test("checkPair() refuses a key that belongs to another certificate", () => {
  const [a, b] = [selfsigned(["a.test"]), selfsigned(["b.test"])];
  assertEquals(faultOf({ cert: a.cert, key: b.key }), "ERR_OSSL_X509_KEY_VALUES_MISMATCH");
  assertEquals(faultOf({ cert: a.cert, key: RSA_PKCS1 }), "ERR_OSSL_X509_KEY_VALUES_MISMATCH");
  assertThrows(() => checkPair({ cert: a.cert, key: b.key }), TlsError, '"a.test"');
});

Deno.test("checkPair() refuses garbled PEM", () => {
  const { cert, key } = selfsigned(["a.test"]);
  assertEquals(faultOf({ cert: "", key }), "ERR_OSSL_PEM_NO_START_LINE");
  assertEquals(faultOf({ cert: key, key }), "ERR_OSSL_PEM_NO_START_LINE");
  assertEquals(faultOf({ cert, key: cert }), "ERR_OSSL_PEM_NO_START_LINE");
  assertEquals(faultOf({ cert: cert.slice(0, 200), key }), "ERR_OSSL_PEM_BAD_BASE64_DECODE");
  assertEquals(
    faultOf({ cert: cert.replace("\nMII", "\n*II"), key }),
    "ERR_OSSL_PEM_BAD_BASE64_DECODE",
  );
  assertEquals(
    faultOf({ cert: encodePem("CERTIFICATE", new Uint8Array(50)), key }),
    "ERR_OSSL_ASN1_PARSE_ERROR",
  );
  assertEquals(
    faultOf({ cert, key: encodePem("PRIVATE KEY", new Uint8Array(50)) }),
    "ERR_OSSL_ASN1_PARSE_ERROR",
  );
});

Deno.test("checkPair() refuses an encrypted key and says what to do", () => {
  const { cert } = selfsigned(["a.test"]);
  const old =
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,7E\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
  assertEquals(
    faultOf({ cert, key: encodePem("ENCRYPTED PRIVATE KEY", new Uint8Array(50)) }),
    "ERR_MISSING_PASSPHRASE",
  );
  assertEquals(faultOf({ cert, key: old }), "ERR_MISSING_PASSPHRASE");
});

Deno.test("checkPair() throws a TypeError for what is no text", () => {
  // deno-lint-ignore no-explicit-any
  const loose = checkPair as (pair: any) => unknown;
  assertThrows(() => loose({ key: "" }), TypeError, '"cert"');
  assertThrows(() => loose({ cert: "", key: new Uint8Array(1) }), TypeError, '"key"');
});

Deno.test("checkAuthorities() gives each certificate of a PEM text", () => {
  const [a, b] = [selfsigned(["a.test"]).cert, selfsigned(["b.test"]).cert];
  assertEquals(checkAuthorities(a), [a]);
  assertEquals(checkAuthorities("text " + a + b), [a, b]);
});

Deno.test("checkAuthorities() refuses what Deno would ignore in silence", () => {
  const code = (ca: string) => assertThrows(() => checkAuthorities(ca), TlsError).code;
  assertEquals(code("ca.pem"), "ERR_OSSL_PEM_NO_START_LINE");
  assertEquals(code(""), "ERR_OSSL_PEM_NO_START_LINE");
  assertEquals(code(encodePem("CERTIFICATE", new Uint8Array(50))), "ERR_OSSL_ASN1_PARSE_ERROR");
});

Deno.test("readCertificate() gives an error, never nonsense, for a certificate cut anywhere or with any byte flipped", () => {
  const [{ bytes }] = decode(selfsigned(["a.test", "::1"]).cert);
  for (let at = 0; at < bytes.length; at++) {
    assertThrows(() => readCertificate(bytes.subarray(0, at)), TlsError);
    const flipped = bytes.slice();
    flipped[at] ^= 0xff;
    try {
      readCertificate(flipped); // most bytes are keys and signatures, which are not looked at
    } catch (error) {
      assert(error instanceof TlsError, `byte ${at}: ${error}`);
    }
  }
});

Deno.test("readCertificate() reads dates on both sides of 2050 to the second", () => {
  const [notBefore, notAfter] = [
    new Date("2001-02-03T04:05:06Z"),
    new Date("2126-12-31T23:59:59Z"),
  ];
  const [{ bytes }] = decode(issue({ names: ["a.test"], notBefore, notAfter }).cert);
  assertEquals(readCertificate(bytes), { names: ["a.test"], notBefore, notAfter });
});

Deno.test("issue() makes a chain that rustls accepts by its root alone", async () => {
  const dates = { notBefore: inDays(-1), notAfter: inDays(1) };
  const root = issue({ names: ["root"], ca: true, ...dates });
  const middle = issue({
    names: ["middle"],
    ca: true,
    issuer: { name: "root", key: root.key },
    ...dates,
  });
  const leaf = issue({
    names: ["leaf.test"],
    issuer: { name: "middle", key: middle.key },
    ...dates,
  });
  await handshake({ cert: leaf.cert + middle.cert, key: leaf.key }, root.cert, "leaf.test");
});

Deno.test("matchesName() ignores case and lets a wildcard stand for one label", () => {
  assert(matchesName("A.test", "a.TEST"));
  assert(matchesName("a.test", "a.test."));
  assert(matchesName("*.a.test", "B.A.test"));
  assert(!matchesName("*.a.test", "a.test"));
  assert(!matchesName("*.a.test", "c.b.a.test"));
  assert(!matchesName("*.a.test", ".a.test"));
  assert(!matchesName("*.0.0.1", "127.0.0.1"));
  assert(!matchesName("b*.a.test", "bc.a.test"));
  assert(!matchesName("a.test", ""));
});

Deno.test("chooseByName() prefers the very name, then a wildcard, then the first", () => {
  const list = [{ names: ["default.test"] }, { names: ["*.a.test", "x.test"] }, {
    names: ["b.a.test"],
  }];
  assertEquals(chooseByName(list, "B.a.test"), list[2]);
  assertEquals(chooseByName(list, "c.a.test"), list[1]);
  assertEquals(chooseByName(list, "unknown.test"), list[0]);
  assertEquals(chooseByName(list, ""), list[0]);
  assertEquals(chooseByName(list), list[0]);
});

Deno.test("chooseByName() finds what a look at every name finds", () => {
  const labels = ["", "a", "b", "*", "*.", "1", "10.0.0.1", "a.b", "B.", "..", "*.a", ".", "::1"];
  const names = labels.flatMap((one) => labels.map((other) => `${one}.${other}`));
  /** As it is documented. */
  const slowly = (list: readonly { names: readonly string[] }[], wanted: string) => {
    const bare = (name: string) => name.toLowerCase().replace(/\.$/, "");
    return list.find(({ names }) => names.some((name) => bare(name) === bare(wanted))) ??
      list.find(({ names }) => names.some((name) => matchesName(name, wanted))) ?? list[0];
  };
  for (let size = 1; size <= names.length; size += 12) {
    const list = names.slice(0, size).toReversed().map((name, i) => ({ names: [name, names[i]] }));
    for (const wanted of [...labels, ...names]) {
      assertEquals(chooseByName(list, wanted), slowly(list, wanted), `${wanted} of ${size}`);
    }
  }
});

Deno.test("chooseByName() looks at no list of names twice", () => {
  let looks = 0;
  const names = Array.from({ length: 100 }, (_, i) => `${i}.test`);
  const list = names.map((name) => ({
    get names() {
      looks++;
      return [name, `*.${name}`];
    },
  }));
  for (const wanted of ["99.test", "a.99.test", "unknown.test", "a.unknown.test", ""]) {
    chooseByName(list, wanted);
  }
  assertEquals(looks, 100);
});

Deno.test("parseIp() and formatIp() agree, and neither takes a name", () => {
  for (
    const ip of [
      "127.0.0.1",
      "::",
      "::1",
      "fe80::",
      "1:2:3:4:5:6:7:8",
      "2001:db8::ff00:42:8329",
      "::ffff:7f00:1",
    ]
  ) {
    assertEquals(formatIp(parseIp(ip)!), ip);
  }
  assertEquals(parseIp("::ffff:127.0.0.1")?.length, 16);
  for (const text of ["", "localhost", "256.1.1.1", "1.2.3", "::g", "1:2", "[::1]", "::1]/x:"]) {
    assertEquals(parseIp(text), undefined);
  }
  assertEquals(formatIp(new Uint8Array(5)), undefined);
});

Deno.test("parseDnsName() gives the name as it stands in a certificate", () => {
  assertEquals(parseDnsName("LocalHost."), "localhost");
  assertEquals(parseDnsName("*.bücher.example"), "*.xn--bcher-kva.example");
  assertEquals(parseDnsName("1.2.3.4"), undefined);
  assertEquals(parseDnsName("ü/x"), undefined);
});
