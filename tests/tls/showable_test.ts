// Certificates of one's own with which there would be no handshake: refused at the call, and no others.

import { assertEquals, assertThrows } from "@std/assert";
import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { socket, task, tls } from "../../mod.ts";
import { concat, context, element, elements, integer, oid, Tag, time } from "../../tls/core/der.ts";
import { encodePem } from "../../tls/core/pem.ts";
import { flawOf } from "../../tls/core/showable.ts";
import type { CertificatePair } from "../../tls/core/types.ts";
import { issue } from "../../tls/core/x509.ts";
import { withSeed } from "../random.ts";
import { leavingNothing } from "../settle.ts";
import { bytes, name, sequence, text, yes } from "./forge.ts";
import { inDays } from "./helpers.ts";

const { key } = issue({ names: ["key"], notBefore: inDays(-1), notAfter: inDays(1) });
const privateKey = createPrivateKey(key);
const publicKey = new Uint8Array(
  createPublicKey(privateKey).export({ type: "spki", format: "der" }),
);

const party = name("x");
const ecdsa = sequence(oid("1.2.840.10045.4.3.2"));
const nothing = element(5);
const extension = (id: string, ...parts: Uint8Array[]) =>
  sequence(oid(id), ...parts.slice(1), element(Tag.octetString, parts[0]));
const localhost = sequence(element(context(2), text("localhost")));
const alternative = extension("2.5.29.17", localhost);

/** A certificate, as DER and signed by itself, and where it differs from a good one. */
function make(
  { version = [element(context(0, true), integer(bytes(2)))], algorithm = ecdsa, ...rest }: {
    version?: Uint8Array[];
    /** What stands beside the signature. */
    algorithm?: Uint8Array;
    spki?: Uint8Array;
    extensions?: Uint8Array[];
    /** Behind the key, behind the extensions, behind the signature. */
    unique?: Uint8Array[];
    behind?: Uint8Array[];
    outside?: Uint8Array[];
  },
): Uint8Array<ArrayBuffer> {
  const { spki = publicKey, extensions = [alternative], unique = [], behind = [] } = rest;
  const content = sequence(
    ...[...version, integer(bytes(5)), ecdsa, party],
    sequence(time(inDays(-1)), time(inDays(1))),
    ...[party, spki, ...unique],
    ...(extensions.length > 0 ? [element(context(3, true), sequence(...extensions))] : []),
    ...behind,
  );
  return seal(content, algorithm, rest.outside);
}

function seal(content: Uint8Array, algorithm: Uint8Array = ecdsa, outside: Uint8Array[] = []) {
  const signature = new Uint8Array(sign("sha256", content, privateKey));
  return sequence(
    content,
    algorithm,
    element(Tag.bitString, concat([bytes(0), signature])),
    ...outside,
  );
}

const old = { version: [], extensions: [] };
const kinds: Record<string, Uint8Array<ArrayBuffer>> = {
  "in good order": make({}),
  "without extensions": make({ extensions: [] }),
  "with an extension that nobody knows": make({
    extensions: [alternative, extension("1.2.3.4", bytes(9, 9))],
  }),
  "with a key usage that means nothing": make({
    extensions: [alternative, extension("2.5.29.15", nothing, yes)],
  }),
  "with names that must be understood": make({
    extensions: [extension("2.5.29.17", localhost, yes)],
  }),
  "of version 1": make(old),
  "of version 2": make({ ...old, version: [element(context(0, true), integer(bytes(1)))] }),
  "with constraints that cannot be decoded": make({
    extensions: [alternative, extension("2.5.29.19", nothing)],
  }),
  "with uses that cannot be decoded": make({
    extensions: [alternative, extension("2.5.29.37", nothing)],
  }),
  "with names that something follows": make({
    extensions: [extension("2.5.29.17", concat([localhost, nothing]))],
  }),
  "with an extension that must be understood": make({
    extensions: [alternative, extension("1.2.3.4", nothing, yes)],
  }),
  "with policies that must be understood": make({
    extensions: [alternative, extension("2.5.29.32", sequence(), yes)],
  }),
  "with a mark that is neither true nor false": make({
    extensions: [alternative, extension("1.2.3.4", nothing, element(Tag.boolean, bytes(1)))],
  }),
  "with an extension of four parts": make({
    extensions: [alternative, extension("1.2.3.4", nothing, yes, yes)],
  }),
  "with something behind the extensions": make({ behind: [nothing] }),
  "with something behind the signature": make({ outside: [nothing] }),
  "with two algorithms": make({ algorithm: sequence(oid("1.2.840.10045.4.3.2"), nothing) }),
  "of more bytes than can be read": make({
    extensions: [alternative, extension("1.2.3.4", new Uint8Array(65_300))],
  }),
};

const pem = (bytes: Uint8Array): CertificatePair => ({
  cert: encodePem("CERTIFICATE", bytes),
  key,
});

/** Whether Deno's own TLS takes it. */
function isTaken(certificate: Uint8Array): boolean {
  try {
    Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...pem(certificate) }).close();
    return true;
  } catch {
    return false;
  }
}

/** The code with which a listener refuses it. */
function refusal(options: tls.TlsListenOptions): string {
  try {
    tls.close(tls.tcpserver("127.0.0.1", 0, options));
    return "listens";
  } catch (error) {
    return (error as socket.SocketError).code;
  }
}

/** Whether a client gets as far as to see a listener's certificate. */
async function isShown(pair: CertificatePair): Promise<boolean> {
  const server = tls.tcpserver("127.0.0.1", 0, pair);
  const accepting = tls.accept(server);
  const settled = task.await(accepting, { cancel: true, timeout: 9000 }).then(tls.close, () => {});
  const [hostname, port] = tls.getlocal(server);
  const conn = await Deno.connect({ hostname: String(hostname), port });
  const secure = await Deno.startTls(conn, { hostname: "localhost" });
  const reason = await secure.handshake().then(() => "", String);
  secure.close();
  tls.close(server);
  await settled;
  return /UnknownIssuer|CaUsedAsEndEntity|UnsupportedCertVersion/.test(reason);
}

Deno.test("tcpserver() refuses what it cannot show, and takes what it can", () =>
  leavingNothing(async () => {
    for (const [what, certificate] of Object.entries(kinds)) {
      const pair = pem(certificate);
      const native = refusal({ ...pair, native: true });
      assertEquals(native === "listens", isTaken(certificate), `native, ${what}`);
      const complete = refusal(pair);
      if (complete === "listens") assertEquals(await isShown(pair), true, what);
      else if (!what.startsWith("of version")) assertEquals(native, complete, what);
    }
  }));

Deno.test("tcpserver() says why it cannot show a certificate", () => {
  const codes: Record<string, [complete: string, native: string]> = {
    "of version 1": ["listens", "ERR_OSSL_UNSUPPORTED"],
    "with constraints that cannot be decoded": [
      "ERR_OSSL_ASN1_PARSE_ERROR",
      "ERR_OSSL_ASN1_PARSE_ERROR",
    ],
    "with an extension that must be understood": ["ERR_OSSL_UNSUPPORTED", "ERR_OSSL_UNSUPPORTED"],
    "of more bytes than can be read": [
      "ERR_SSL_EXCESSIVE_MESSAGE_SIZE",
      "ERR_SSL_EXCESSIVE_MESSAGE_SIZE",
    ],
  };
  for (const [what, [complete, native]] of Object.entries(codes)) {
    const pair = pem(kinds[what]);
    assertEquals(refusal(pair), complete, what);
    assertEquals(refusal({ ...pair, native: true }), native, what);
  }
});

Deno.test("connect() refuses what it cannot show", () => {
  const pair = pem(kinds["with uses that cannot be decoded"]);
  const thrown = (call: () => unknown) => assertThrows(call, socket.SocketError).code;
  assertEquals(thrown(() => tls.connect("127.0.0.1", 1, "", pair)), "ERR_OSSL_ASN1_PARSE_ERROR");
});

Deno.test("flawOf() agrees with Deno's TLS on certificates that were changed at random", () =>
  withSeed((random) => {
    const tags = [Tag.boolean, Tag.integer, Tag.octetString, Tag.oid, Tag.sequence, 0xa0, 0xa3];
    /** Changes one place of a tree of elements, but not the key. */
    const change = (bytes: Uint8Array): Uint8Array => {
      const parts = readable(bytes);
      const at = random.integer(0, parts.length);
      const part = parts[at];
      if (part !== undefined && isSame(part, publicKey)) return bytes;
      if (part !== undefined && (part[0] & 0x20) !== 0 && !random.oneIn(4)) {
        const [{ tag, value }] = elements(part);
        parts[at] = element(tag, change(value));
      } else if (part === undefined || random.oneIn(3)) parts.splice(at, 0, nothing);
      else if (random.oneIn(2)) parts.splice(at, 1);
      else parts[at] = element(random.pick(tags), part.subarray(2));
      return concat(parts);
    };
    const whole = make({
      extensions: [
        alternative,
        extension("2.5.29.19", sequence(), yes),
        extension("2.5.29.15", element(Tag.bitString, bytes(7, 0x80)), yes),
        extension("1.2.3.4", nothing, element(Tag.boolean, bytes(0))),
      ],
    });
    const [{ tag, value }] = elements(elements(whole)[0].value);
    for (let i = 0; i < 300; i++) {
      const changed = seal(element(tag, change(value)));
      const isGood = flawOf(changed) === undefined;
      assertEquals(isGood, isTaken(changed), encodePem("CERTIFICATE", changed));
    }
    return Promise.resolve();
  }));

/** The elements of some bytes; none if they are not made of them. */
function readable(bytes: Uint8Array): Uint8Array[] {
  try {
    return elements(bytes).map(({ raw }) => raw);
  } catch {
    return [];
  }
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}
