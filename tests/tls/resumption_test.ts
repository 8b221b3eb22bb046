// A resumed session is no proof: nobody gets in with a ticket who did not get in without one.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { Verified } from "../../tls/core/verified.ts";
import { codeOf, leavingNothing, until } from "../settle.ts";
import { Authority, authority, ca, clientPair, inDays, inspectListener, pair } from "./helpers.ts";
import { available, type Files, OpenSsl, writeFiles } from "./openssl.ts";

const test = (name: string, run: (files: Files) => Promise<void>) =>
  Deno.test({
    name: available ? name : `${name} (skipped: there is no openssl program here)`,
    ignore: !available,
    fn: () =>
      leavingNothing(async () => {
        using files = writeFiles();
        await run(files);
      }),
  });

/** What becomes of a client: the program is given its connection, or it is refused. */
type Verdict = "served" | "refused";

/** Something that clients connect to, whatever makes it. */
interface Door {
  readonly address: socket.Address;
  /** Waits until one more client has been let in or refused. */
  next(): Promise<Verdict>;
  close(): Promise<void>;
}

type Open = (options: tls.TlsServerOptions) => Door;

/** Serves whoever is let in: one line, sent back. */
async function answer(id: socket.SocketId): Promise<void> {
  await task.await(tls.send(id, `you said ${await task.await(tls.recvLine(id))}\n`));
  while ((await task.await(tls.recv(id))).length > 0);
}

const listener: Open = (options) => {
  const server = tls.tcpserver("127.0.0.1", 0, options);
  const serving = tls.serve(server, answer, { onError: () => {}, grace: 0 });
  let [accepted, dropped] = [0, 0];
  return {
    address: tls.getlocal(server),
    async next() {
      await until(() => {
        const record = inspectListener(server);
        return record.accepted > accepted || record.dropped > dropped;
      });
      const verdict = inspectListener(server).accepted > accepted ? "served" : "refused";
      verdict === "served" ? accepted++ : dropped++;
      return verdict;
    },
    async close() {
      tls.close(server);
      await codeOf(serving);
    },
  };
};

const upgrade: Open = (options) => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const verdicts = task.channel<Verdict>();
  const serving = socket.serve(server, async (id) => {
    try {
      await task.await(socket.starttls(id, options));
    } catch {
      return void verdicts.trySend("refused");
    }
    verdicts.trySend("served");
    await answer(id);
  }, { onError: () => {}, grace: 0 });
  return {
    address: socket.getlocal(server),
    next: async () => (await verdicts.recv())!,
    async close() {
      socket.close(server);
      await codeOf(serving);
    },
  };
};

const doors: [string, Open][] = [["listener", listener], ["starttls", upgrade]];
const versions = ["-tls1_2", "-tls1_3"];

/** One visit with `openssl s_client`; tells whether it was served, and whether it resumed. */
async function visit(
  door: Door,
  files: Files,
  ...args: string[]
): Promise<[verdict: Verdict, resumed: boolean]> {
  const [ip, port] = door.address;
  await using program = new OpenSsl(
    ...["s_client", "-connect", `${ip}:${port}`, "-CAfile", files.ca],
    ...args,
  );
  const verdict = await door.next();
  if (verdict === "served") {
    await program.type("hello\n");
    await program.printed(/you said hello/);
    await program.finish();
  } else {
    await program.ended;
    assertEquals(/you said/.test(program.output), false);
  }
  return [verdict, /^Reused, /m.test(program.output)];
}

const demanding = { certs: [pair], requestCert: true, ca };

for (const [kind, open] of doors) {
  for (const version of versions) {
    const what = `[${kind} ${version}]`;

    test(`an honest client resumes its session ${what}`, async (files) => {
      const door = open(demanding);
      const session = files.write("session", "");
      const own = [version, "-cert", files.clientCert, "-key", files.clientKey];
      assertEquals(await visit(door, files, ...own, "-sess_out", session), ["served", false]);
      for (let i = 0; i < 2; i++) {
        const again = [...own, "-sess_in", session, "-sess_out", session];
        assertEquals(await visit(door, files, ...again), ["served", true]);
      }
      await door.close();
    });

    test(`a refused client does not get in with a ticket ${what}`, async (files) => {
      const stranger = tls.selfsigned(["client.test"]);
      const door = open(demanding);
      const session = files.write("session", "");
      const own = [
        ...[version, "-cert", files.write("self.crt", stranger.cert)],
        ...["-key", files.write("self.key", stranger.key)],
      ];
      assertEquals((await visit(door, files, ...own, "-sess_out", session))[0], "refused");
      // A ticket is sent before the refusal, by what Deno does: else there is nothing to come in by.
      const has = Deno.statSync(session).size > 0;
      if (has) {
        const [verdict] = await visit(door, files, ...own, "-sess_in", session);
        assertEquals(verdict, "refused");
      }
      await door.close();
    });

    test(`a ticket of a server that asks for no certificate opens no door ${what}`, async (files) => {
      const careless = open({ certs: [pair] });
      const door = open(demanding);
      const session = files.write("session", "");
      await visit(careless, files, version, "-sess_out", session);
      assert(Deno.statSync(session).size > 0);
      const [verdict] = await visit(door, files, version, "-sess_in", session);
      assertEquals(verdict, "refused");
      // Nor does one that goes back to a session with the right certificate, which nobody verified.
      const own = [version, "-cert", files.clientCert, "-key", files.clientKey];
      await visit(careless, files, ...own, "-sess_out", session);
      assertEquals((await visit(door, files, ...own, "-sess_in", session))[0], "refused");
      await Promise.all([careless.close(), door.close()]);
    });

    test(`a ticket of a server that trusts another authority opens no door ${what}`, async (files) => {
      const other = new Authority("Other Authority");
      const theirs = other.issue(["client.test"]);
      const elsewhere = open({ certs: [pair], requestCert: true, ca: other.cert });
      const door = open(demanding);
      const session = files.write("session", "");
      const own = [
        ...[version, "-cert", files.write("other.crt", theirs.cert)],
        ...["-key", files.write("other.key", theirs.key)],
      ];
      const first = await visit(elsewhere, files, ...own, "-sess_out", session);
      assertEquals(first, ["served", false]);
      assertEquals((await visit(door, files, ...own, "-sess_in", session))[0], "refused");
      // Where it was verified it is good for more.
      const again = await visit(elsewhere, files, ...own, "-sess_in", session);
      assertEquals(again, ["served", true]);
      await Promise.all([elsewhere.close(), door.close()]);
    });
  }
}

for (const version of versions) {
  test(`a ticket of another listener opens no door, though it trusts the same [${version}]`, async (files) => {
    const [first, second] = [listener(demanding), listener(demanding)];
    const session = files.write("session", "");
    const own = [version, "-cert", files.clientCert, "-key", files.clientKey];
    await visit(first, files, ...own, "-sess_out", session);
    assertEquals((await visit(second, files, ...own, "-sess_in", session))[0], "refused");
    // A full handshake is all it takes.
    assertEquals(await visit(second, files, ...own), ["served", false]);
    await Promise.all([first.close(), second.close()]);
  });

  test(`a session outlives the server's certificate [${version}]`, async (files) => {
    const server = tls.tcpserver("127.0.0.1", 0, demanding);
    const session = files.write("session", "");
    const own = [version, "-cert", files.clientCert, "-key", files.clientKey];
    const once = async (...args: string[]) => {
      const [ip, port] = tls.getlocal(server);
      const accepting = tls.accept(server);
      await using program = new OpenSsl(
        ...["s_client", "-connect", `${ip}:${port}`, "-CAfile", files.ca, ...own, ...args],
      );
      const peer = await task.await(accepting);
      await program.type("hello\n");
      await task.await(tls.recvLine(peer));
      assertEquals(tls.info(peer).peerCertificate!.subject, "client.test");
      tls.close(peer);
      await program.finish();
      return program.output;
    };
    await once("-sess_out", session);
    tls.setcerts(server, authority.issue(["server.test"]));
    assertMatch(await once("-sess_in", session), /^Reused, /m);
    tls.close(server);
  });
}

test("tcpconnect() with a certificate gets in again and again", async () => {
  const door = listener({ ...demanding, alpn: ["echo"] });
  for (let i = 0; i < 3; i++) {
    const client = await tls.tcpconnect(...door.address, "server.test", { ca, ...clientPair });
    assertEquals(await door.next(), "served");
    await task.await(tls.send(client, "hello\n"));
    assertEquals(await task.await(tls.recvLine(client)), "you said hello");
    tls.close(client);
  }
  await door.close();
});

// What is remembered

/** What a handshake that is done looks like. */
function handshake(
  fingerprint256: string | undefined,
  { reused = false, authorized = true, from = inDays(-1), to = inDays(1) } = {},
): Parameters<Verified["objection"]>[0] {
  const certificate = fingerprint256 === undefined ? {} : {
    fingerprint256,
    valid_from: from.toUTCString(),
    valid_to: to.toUTCString(),
  };
  return {
    authorized,
    authorizationError: authorized ? null : "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    isSessionReused: () => reused,
    getPeerCertificate: () => certificate,
  } as never;
}

Deno.test("Verified lets in what it has verified itself, and nothing else", () => {
  const verified = new Verified([]);
  const code = (...args: Parameters<typeof handshake>) =>
    verified.objection(handshake(...args))?.code;
  assertEquals(code("A", { reused: true }), "CERT_REJECTED");
  assertEquals(code("A", { authorized: false }), "CERT_REJECTED");
  assertEquals(code("A", { reused: true }), "CERT_REJECTED");
  assertEquals(code("A"), undefined);
  assertEquals(code("A", { reused: true }), undefined);
  assertEquals(code("B", { reused: true }), "CERT_REJECTED");
  assertEquals(code(undefined), "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE");
  assertEquals(code(undefined, { reused: true }), "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE");
});

Deno.test("Verified asks for the date each time", () => {
  const verified = new Verified([]);
  const at = (days: number, reused: boolean) =>
    verified.objection(handshake("A", { reused }), inDays(days).getTime())?.code;
  assertEquals(at(0, false), undefined);
  assertEquals(at(0, true), undefined);
  assertEquals(at(2, true), "CERT_HAS_EXPIRED");
  assertEquals(at(-2, true), "CERT_NOT_YET_VALID");
  const undated = handshake("C", { to: new Date(NaN) });
  assertEquals(verified.objection(undated)?.code, "CERT_HAS_EXPIRED");
});

Deno.test("Verified forgets the certificate that was seen longest ago when there are too many", () => {
  const verified = new Verified([], 3);
  for (const name of ["A", "B", "C"]) verified.objection(handshake(name));
  verified.objection(handshake("A", { reused: true }));
  verified.objection(handshake("D"));
  assertEquals(verified.size, 3);
  const resumed = ["A", "B", "C", "D"]
    .map((name) => verified.objection(handshake(name, { reused: true }))?.code ?? "in");
  assertEquals(resumed, ["in", "CERT_REJECTED", "in", "in"]);
});
