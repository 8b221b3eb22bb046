// Who vouches for whom, on every way a peer is verified: chains that lead to nobody who is trusted, names
// that forge others, certificates that are no authority's. Every engine must say the same.

import { assertEquals } from "@std/assert";
import { once } from "node:events";
import { connect, createServer } from "node:tls";
import { socket, task, tls } from "../../mod.ts";
import { context, element } from "../../tls/core/der.ts";
import type { CertificatePair } from "../../tls/core/types.ts";
import { issue } from "../../tls/core/x509.ts";
import { codeOf, leavingNothing } from "../settle.ts";
import {
  alternative,
  CLIENT_AUTH,
  dns,
  extendedKeyUsage,
  forge,
  type Forged,
  isAuthority,
  nameConstraints,
  text,
} from "./forge.ts";
import { authority, ca, clientPair, inDays, inspectListener } from "./helpers.ts";

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
/** An authority below it, in good order. */
const middle = issue({
  names: ["Middle"],
  notBefore: inDays(-1),
  notAfter: inDays(1),
  ca: true,
  issuer: { name: "Root", key: root.key },
});
/** What the holder of a certificate that is listed, and no authority's, makes for somebody else. */
const impostor = issue({
  names: ["bank.test", "localhost"],
  notBefore: inDays(-1),
  notAfter: inDays(1),
  issuer: { name: "localhost", key: selfsigned.key },
});

/** A leaf of the forged intermediate's. */
const belowForged: Forged = {
  issuer: "Middle",
  signer: forgedIntermediate.key,
  subject: "localhost",
  extensions: [localhost],
};
const twice = forge(belowForged);
const hidden = { cert: twice.cert + twice.cert + forgedIntermediate.cert, key: twice.key };
const crowd = Array.from({ length: 40 }, (_, i) => authority.issue([`${i}.test`]).cert);
const crowded = forge({ ...belowForged, chain: crowd.join("") + forgedIntermediate.cert });
/** Nine authorities that node:tls cannot read well, the first a forged one, and a server of the last. */
let distant: CertificatePair | undefined;
for (let i = 0; i <= 9; i++) {
  distant = forge({
    issuer: i === 0 ? "Root" : `Middle ${i}`,
    signer: distant?.key,
    subject: i === 9 ? "localhost" : `Middle ${i + 1}`,
    extensions: i === 9 ? [localhost] : [isAuthority(), extendedKeyUsage()],
    chain: distant?.cert,
  });
}
const limited = signed("Limited", { extensions: [isAuthority(0)] });
const belowIt = forge({
  issuer: "Limited",
  signer: limited.key,
  subject: "Below",
  extensions: [isAuthority()],
  chain: limited.cert,
});
const belowLimited = forge({
  issuer: "Below",
  signer: belowIt.key,
  subject: "localhost",
  extensions: [localhost],
  chain: belowIt.cert,
});
const constrained = signed("Constrained", {
  extensions: [isAuthority(), nameConstraints([dns("other.test")])],
});
const belowConstrained = forge({
  issuer: "Constrained",
  signer: constrained.key,
  subject: "localhost",
  extensions: [localhost],
  chain: constrained.cert,
});

/** Servers whose certificates are not to be accepted, and what is listed in `ca` besides the root. */
const bad: Record<string, CertificatePair> = {
  "of version 1, by an authority's name alone": forge({ ...byNameAlone, version: 1 }),
  "by an authority's name alone": forge({ ...byNameAlone, extensions: [localhost] }),
  "by an intermediate of version 1 that forges the authority's signature": forge({
    ...belowForged,
    chain: forgedIntermediate.cert,
  }),
  "by the same behind another certificate": forge({
    ...belowForged,
    chain: authority.issue(["elsewhere.test"]).cert + forgedIntermediate.cert,
  }),
  "by the same behind itself once more": hidden,
  "by the same behind forty others": crowded,
  "by the same behind nine authorities of its own": distant!,
  "by an authority of an authority that may have none": belowLimited,
  "by an authority for other hosts": belowConstrained,
  "for clients": signed("x", { extensions: [localhost, extendedKeyUsage(CLIENT_AUTH)] }),
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

/** Waits until somebody was let in, or was not. */
async function decided(server: socket.SocketId, accepting: task.TaskId): Promise<void> {
  while (task.status(accepting) === "Running" && inspectListener(server).dropped === 0) {
    await task.sleep(1);
  }
}

/** A client with a certificate: how it comes out at a server that trusts these. */
async function asked(client: CertificatePair, trusts: string[]): Promise<string[] | "refused"> {
  const server = tls.tcpserver("127.0.0.1", 0, { ...selfsigned, requestCert: true, ca: trusts });
  const accepting = tls.accept(server);
  const options = { ca: selfsigned.cert, ...client };
  const id = await tls.tcpconnect(...tls.getlocal(server), "localhost", options);
  await decided(server, accepting);
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

Deno.test("a server that has a listed certificate and not its key is refused", () =>
  leavingNothing(async () => {
    for (const version of [1, 3] as const) {
      const localhostOnly = { issuer: "localhost", subject: "localhost" };
      const { cert } = forge({ ...localhostOnly, version });
      const { key } = forge(localhostOnly);
      const server = createServer({ cert, key });
      server.on("tlsClientError", () => {});
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as { port: number };
      const options = { ca: cert, unsafelyIgnoreHostname: true, ...clientPair };
      assertEquals(
        await tls.tcpconnect("127.0.0.1", port, "localhost", options).then(socket.close, () => 0),
        0,
        `version ${version}`,
      );
      server.close();
      await once(server, "close");
    }
  }));

Deno.test("a client that has a listed certificate and not its key is refused", () =>
  leavingNothing(async () => {
    const alice = forge({ issuer: "alice", subject: "alice", version: 1 });
    const { key } = forge({ issuer: "alice", subject: "alice" });
    const options = { ...selfsigned, requestCert: true, ca: alice.cert };
    const server = tls.tcpserver("127.0.0.1", 0, options);
    const accepting = tls.accept(server);
    const [host, port] = tls.getlocal(server);
    const names = { host, port, servername: "localhost" };
    const thief = connect({ ...names, ca: selfsigned.cert, cert: alice.cert, key });
    thief.on("error", () => {});
    const closed = new Promise((resolve) => thief.on("close", resolve));
    await decided(server, accepting);
    assertEquals(task.status(accepting), "Running");
    task.forget(accepting);
    socket.close(server);
    await closed;
  }));

Deno.test("a client of an authority, and of its authority, is let in", () =>
  leavingNothing(async () => {
    assertEquals(await asked(clientPair, [ca]), ["client.test"]);
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
        extendedKeyUsage(CLIENT_AUTH),
      ],
    });
    assertEquals(await asked(odd, [root.cert]), ["bob.test, DNS:admin.test", "bob.test"]);
  }));
