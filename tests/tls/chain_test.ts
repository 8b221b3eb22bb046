// Who vouches for whom, on every way a peer is verified: chains that lead to nobody who is trusted, names
// that forge others, certificates that are no authority's. Every engine must say the same.

import { assertEquals } from "@std/assert";
import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { socket, task, tls } from "../../mod.ts";
import { concat, context, element, integer, oid, Tag, time } from "../../tls/core/der.ts";
import { encodePem } from "../../tls/core/pem.ts";
import type { CertificatePair } from "../../tls/core/types.ts";
import { issue } from "../../tls/core/x509.ts";
import { codeOf, leavingNothing } from "../settle.ts";
import { authority, ca, clientPair, inDays } from "./helpers.ts";

const text = (value: string) => new TextEncoder().encode(value);
const name = (cn: string) =>
  element(
    Tag.sequence,
    element(Tag.set, element(Tag.sequence, oid("2.5.4.3"), element(Tag.utf8String, text(cn)))),
  );
const extension = (id: string, value: Uint8Array) =>
  element(Tag.sequence, oid(id), element(Tag.octetString, value));
const dns = (value: string) => element(context(2), text(value));
const alternative = (...names: Uint8Array[]) =>
  extension("2.5.29.17", element(Tag.sequence, ...names));

interface Forged {
  /** Its own, or whose key it is that it is signed with. */
  signer?: string;
  issuer: string;
  subject: string;
  version?: 1 | 3;
  extensions?: Uint8Array[];
  days?: [number, number];
  /** Comes behind it in the chain. */
  chain?: string;
}

/** A certificate as no library would write it. */
function forge(
  { signer, issuer, subject, version = 3, extensions = [], days = [-1, 1], chain = "" }: Forged,
): CertificatePair {
  const { key } = issue({ names: ["key"], notBefore: inDays(-1), notAfter: inDays(1) });
  const algorithm = element(Tag.sequence, oid("1.2.840.10045.4.3.2"));
  const spki = createPublicKey(createPrivateKey(key)).export({ type: "spki", format: "der" });
  const content = element(
    Tag.sequence,
    ...(version === 3 ? [element(context(0, true), integer(new Uint8Array([2])))] : []),
    integer(crypto.getRandomValues(new Uint8Array(8))),
    algorithm,
    name(issuer),
    element(Tag.sequence, ...days.map((day) => time(inDays(day)))),
    name(subject),
    new Uint8Array(spki),
    ...(extensions.length > 0
      ? [element(context(3, true), element(Tag.sequence, ...extensions))]
      : []),
  );
  const signature = new Uint8Array(sign("sha256", content, createPrivateKey(signer ?? key)));
  const bits = element(Tag.bitString, concat([new Uint8Array([0]), signature]));
  const cert = encodePem("CERTIFICATE", element(Tag.sequence, content, algorithm, bits));
  return { cert: cert + chain, key };
}

/** An authority whose key the tests have. */
const root = issue({
  names: ["Root"],
  notBefore: inDays(-1),
  notAfter: inDays(1),
  ca: true,
});
const signed = (subject: string, more: Partial<Forged>) =>
  forge({ issuer: "Root", signer: root.key, subject, ...more });
const localhost = alternative(dns("localhost"));
const byNameAlone = { issuer: "Root", subject: "localhost" };
const forgedIntermediate = forge({ issuer: "Root", subject: "Middle", version: 1 });
const selfsigned = tls.selfsigned(["localhost"]);
/** What the holder of a certificate that is listed, and no authority's, makes for somebody else. */
const impostor = issue({
  names: ["bank.test", "localhost"],
  notBefore: inDays(-1),
  notAfter: inDays(1),
  issuer: { name: "localhost", key: selfsigned.key },
});

/** Servers whose certificates are not to be accepted, and what is listed in `ca` besides the root. */
const bad: Record<string, CertificatePair> = {
  "of version 1, by an authority's name alone": forge({ ...byNameAlone, version: 1 }),
  "by an authority's name alone": forge({ ...byNameAlone, extensions: [localhost] }),
  "by an intermediate of version 1 that forges the authority's signature": forge({
    issuer: "Middle",
    signer: forgedIntermediate.key,
    subject: "localhost",
    extensions: [localhost],
    chain: forgedIntermediate.cert,
  }),
  "by the same behind another certificate": forge({
    issuer: "Middle",
    signer: forgedIntermediate.key,
    subject: "localhost",
    extensions: [localhost],
    chain: authority.issue(["elsewhere.test"]).cert + forgedIntermediate.cert,
  }),
  "by a certificate that is listed, and no authority's": impostor,
  "of version 1": signed("localhost", { version: 1 }),
  "that has expired": signed("localhost", { extensions: [localhost], days: [-3, -2] }),
  "with a name that holds another": signed("a.test", {
    extensions: [alternative(dns("a.test, DNS:localhost"))],
  }),
  "with no name but a common one": signed("localhost", { extensions: [alternative()] }),
  "without names": signed("localhost", {}),
};

/** What a client trusts. */
const trusted = [ca, root.cert, selfsigned.cert];

/** Connects to a server with this certificate; gives the code, or that it was accepted. */
type Connect = (server: CertificatePair, options: tls.TlsClientOptions) => Promise<string>;

async function connected(server: CertificatePair, options: tls.TlsClientOptions): Promise<string> {
  const id = tls.tcpserver("127.0.0.1", 0, server);
  const accepting = task.await(tls.accept(id), { cancel: true, signal: AbortSignal.timeout(9000) });
  accepting.catch(() => {});
  try {
    const client = await tls.tcpconnect(...tls.getlocal(id), "localhost", options);
    socket.close(client);
    socket.close(await accepting);
    return "accepted";
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    socket.close(id);
  }
}

async function upgraded(
  server: CertificatePair,
  options: tls.TlsClientOptions,
  before: (client: socket.SocketId) => void = () => {},
): Promise<string> {
  const [client, peer] = await socket.pair();
  const serving = codeOf(socket.starttls(peer, { ...server, side: "server" }));
  before(client);
  const code = await codeOf(socket.starttls(client, { host: "localhost", ...options }));
  socket.close(client);
  await serving;
  socket.close(peer);
  return code === "completed with true" ? "accepted" : code;
}

const ways: Record<string, Connect> = {
  "tcpconnect": connected,
  "tcpconnect with a certificate": (server, options) =>
    connected(server, { ...options, ...clientPair }),
  "starttls": upgraded,
  "starttls with a certificate": (server, options) =>
    upgraded(server, { ...options, ...clientPair }),
  "starttls after a peek": (server, options) => upgraded(server, options, socket.peek),
};

for (const [way, connect] of Object.entries(ways)) {
  const isDeno = way === "tcpconnect" || way === "starttls";
  Deno.test(`${way}() refuses a server's certificate that proves nothing`, () =>
    leavingNothing(async () => {
      const accepted = [];
      for (const [what, pair] of Object.entries(bad)) {
        // Deno's own TLS takes whoever is listed for an authority; it cannot be asked for the chain.
        if (isDeno && pair === impostor) continue;
        if (await connect(pair, { ca: trusted }) === "accepted") accepted.push(what);
      }
      assertEquals(accepted, []);
    }));

  Deno.test(`${way}() refuses the same of a host whose name does not matter`, () =>
    leavingNothing(async () => {
      const accepted = [];
      for (const [what, pair] of Object.entries(bad)) {
        if (/name|names$/.test(what) && !what.includes("alone")) continue; // nothing else is wrong
        if (isDeno && pair === impostor) continue;
        const options = { ca: trusted, unsafelyIgnoreHostname: true };
        if (await connect(pair, options) === "accepted") accepted.push(what);
      }
      assertEquals(accepted, []);
    }));

  Deno.test(`${way}() accepts a server's certificate that proves what it says`, () =>
    leavingNothing(async () => {
      const middle = issue({
        names: ["Middle"],
        notBefore: inDays(-1),
        notAfter: inDays(1),
        ca: true,
        issuer: { name: "Root", key: root.key },
      });
      const below = forge({
        issuer: "Middle",
        signer: middle.key,
        subject: "below",
        extensions: [localhost],
        chain: middle.cert,
      });
      const good: Record<string, CertificatePair> = {
        "of an authority": signed("x", { extensions: [localhost] }),
        "of an authority's authority": below,
        "of its own": selfsigned,
        "with a wildcard beside": signed("x", {
          extensions: [alternative(dns("*.test"), dns("localhost"))],
        }),
      };
      for (const [what, pair] of Object.entries(good)) {
        assertEquals(await connect(pair, { ca: trusted }), "accepted", what);
      }
    }));
}

/** A client with a certificate: how it comes out at a server that trusts these. */
async function asked(client: CertificatePair, trusts: string[]): Promise<string[] | "refused"> {
  const server = tls.tcpserver("127.0.0.1", 0, { ...selfsigned, requestCert: true, ca: trusts });
  const accepting = tls.accept(server);
  const options = { ca: selfsigned.cert, ...client };
  const id = await tls.tcpconnect(...tls.getlocal(server), "localhost", options);
  while (task.status(accepting) === "Running" && socket.inspect(server)!.kind === "listener") {
    const { dropped } = socket.inspect(server) as socket.ListenerRecord;
    if (dropped > 0) break;
    await task.sleep(1);
  }
  const outcome = task.take(accepting);
  const names = outcome?.status === "Completed"
    ? tls.info(outcome.value as socket.SocketId).peerCertificate!.names
    : "refused";
  if (outcome?.status === "Completed") socket.close(outcome.value as socket.SocketId);
  [id, server].forEach(socket.close);
  return names as string[] | "refused";
}

Deno.test("a client that is trusted cannot make itself another one that is", () =>
  leavingNothing(async () => {
    const [alice, bob] = ["alice", "bob"].map((one) => tls.selfsigned([one]));
    const trusts = [alice.cert, bob.cert];
    assertEquals(await asked(alice, trusts), ["alice"]);
    assertEquals(await asked(bob, trusts), ["bob"]);
    const forged = issue({
      names: ["bob"],
      notBefore: inDays(-1),
      notAfter: inDays(1),
      issuer: { name: "alice", key: alice.key },
    });
    assertEquals(await asked(forged, trusts), "refused");
  }));

Deno.test("a client of an authority, and of its authority, is let in", () =>
  leavingNothing(async () => {
    assertEquals(await asked(clientPair, [ca]), ["client.test"]);
    const middle = issue({
      names: ["Middle"],
      notBefore: inDays(-1),
      notAfter: inDays(1),
      ca: true,
      issuer: { name: "Root", key: root.key },
    });
    const below = issue({
      names: ["below.test"],
      notBefore: inDays(-1),
      notAfter: inDays(1),
      issuer: { name: "Middle", key: middle.key },
    });
    const chain = { cert: below.cert + middle.cert, key: below.key };
    assertEquals(await asked(chain, [root.cert]), ["below.test"]);
    assertEquals(await asked(chain, [authority.cert, middle.cert]), ["below.test"]);
  }));

Deno.test("info() tells no name that a certificate only seems to have", () =>
  leavingNothing(async () => {
    const uri = (value: string) => element(context(6), text(value));
    const odd = signed("odd", {
      extensions: [
        alternative(uri("admin.test"), dns("bob.test, DNS:admin.test"), dns("bob.test")),
        extension("2.5.29.37", element(Tag.sequence, oid("1.3.6.1.5.5.7.3.2"))),
      ],
    });
    assertEquals(await asked(odd, [root.cert]), ["bob.test, DNS:admin.test", "bob.test"]);
  }));
