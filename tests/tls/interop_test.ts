// Against openssl: every behaviour that two ends of this module could agree on and both have wrong.

import { assert, assertEquals } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { concat, receive, textOf } from "../bytes.ts";
import { codeOf, leavingNothing, until } from "../settle.ts";
import {
  authority,
  ca,
  clientKinds,
  clientPair,
  inspectListener,
  pair,
  refusal,
  serverKinds,
  serveTcp,
} from "./helpers.ts";
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

const versions = [["-tls1_2", "TLSv1.2"], ["-tls1_3", "TLSv1.3"]] as const;

/** What comes, until it ends or breaks. */
async function* chunksOf(conn: Deno.Conn): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(65536);
  for (let n; (n = await conn.read(buffer).catch(() => null)) !== null;) yield buffer.slice(0, n);
}

/** `openssl s_client`, which verifies the server. */
function client(server: socket.SocketId, files: Files, ...args: string[]): OpenSsl {
  const [ip, port] = socket.getlocal(server);
  return new OpenSsl(
    ...["s_client", "-connect", `${ip}:${port}`, "-CAfile", files.ca, "-verify_return_error"],
    ...args,
  );
}

/** `openssl s_server`, which sends every line back in reverse. */
async function server(files: Files, ...args: string[]): Promise<[OpenSsl, port: number]> {
  const program = new OpenSsl(
    ...["s_server", "-accept", "127.0.0.1:0", "-cert", files.cert, "-key", files.key, "-rev"],
    ...["-CAfile", files.ca, ...args],
  );
  const [, port] = await program.printed(/ACCEPT.*:(\d+)/);
  return [program, Number(port)];
}

/** A line goes there and back. */
async function assertReverses(id: socket.SocketId): Promise<void> {
  await task.await(tls.send(id, "abcdef\n"));
  assertEquals(await task.await(tls.recvLine(id)), "fedcba");
}

test("send() sends all though openssl s_client is refused new keys meanwhile", async (files) => {
  const listener = tls.tcpserver("127.0.0.1", 0, { certs: [pair] });
  const [hostname, port] = tls.getlocal(listener);
  const accepting = tls.accept(listener);
  const held: Uint8Array[] = [];
  let holding = false;
  /** Lengths of the records that went to the client since. */
  const records: number[] = [];
  await using proxy = serveTcp(async (near) => {
    const far = await Deno.connect({ hostname, port });
    const back = (async () => {
      for await (const bytes of chunksOf(far)) {
        for (let at = 0; holding && at < bytes.length; at += records.at(-1)!) {
          records.push(5 + bytes[at + 3] * 256 + bytes[at + 4]);
        }
        await near.write(bytes);
      }
    })().catch(() => {});
    for await (const bytes of chunksOf(near)) {
      if (!holding) await far.write(bytes);
      else if (held.push(bytes) === 2) await far.write(concat(held));
    }
    far.close();
    await back;
  });
  const [ip, at] = proxy.address;
  const args = ["-connect", `${ip}:${at}`, "-CAfile", files.ca, "-tls1_2"];
  await using program = new OpenSsl("s_client", ...args);
  const peer = await task.await(accepting);
  await program.type("hello\n");
  assertEquals(await task.await(tls.recvLine(peer)), "hello");
  await task.await(tls.send(peer, "a small answer\n"));
  await program.printed(/a small answer/);
  // Data and the first message of a renegotiation come at once: there is an alert to be sent.
  holding = true;
  await program.type("more\n");
  await until(() => held.length === 1);
  await program.type("R\n");
  assertEquals(await task.await(tls.recvLine(peer)), "more");
  await task.await(tls.send(peer, "b\n"));
  await until(() => records.length >= 2);
  assert(records[1] >= 5 + 2 + 16, `${records}`);
  [peer, listener].forEach(tls.close);
});

for (const [kind, serve] of serverKinds) {
  test(`openssl s_client changes its keys and has ours changed [${kind}]`, async (files) => {
    const listener = tls.tcpserver("127.0.0.1", 0, serve(pair));
    const accepting = tls.accept(listener);
    await using program = client(listener, files, "-tls1_3", "-msg");
    const peer = await task.await(accepting);
    for (const [time, command] of ["k", "K", "K"].entries()) {
      await program.type(`${command}\n`);
      await program.printed(new RegExp(`(KEYUPDATE[^]*){${time + 1}}`));
      await program.type(`after ${command}\n`);
      assertEquals(await task.await(tls.recvLine(peer)), `after ${command}`);
      await task.await(tls.send(peer, `answer ${time}\n`));
      await program.printed(new RegExp(`answer ${time}`));
    }
    await program.printed(/>>> TLS 1.3,[^\n]*KeyUpdate/);
    await program.printed(/<<< TLS 1.3,[^\n]*KeyUpdate/);
    tls.close(peer);
    await program.printed(/^closed$|DONE/m);
    tls.close(listener);
  });

  for (const [flag, version] of versions) {
    test(`openssl s_client ${flag} talks to tcpserver() [${kind}]`, async (files) => {
      const listener = tls.tcpserver("127.0.0.1", 0, { ...serve(pair), alpn: ["http/1.1", "h2"] });
      const accepting = tls.accept(listener);
      await using program = client(
        ...[listener, files, flag, "-servername", "server.test", "-alpn", "h2"] as const,
        ...["-verify_hostname", "server.test"],
      );
      const peer = await task.await(accepting);
      await program.type("hello\n");
      assertEquals(await task.await(tls.recvLine(peer)), "hello");
      await task.await(tls.send(peer, "answer\n"));
      await program.printed(/answer/);
      await program.printed(new RegExp(`${version}, Cipher is`));
      await program.printed(/ALPN protocol: h2/);
      await program.printed(/Verify return code: 0 \(ok\)/);
      await program.printed(/subject=CN *= *server.test/);
      const info = tls.info(peer);
      assertEquals(info.alpn, "h2");
      if (kind === "node") assertEquals([info.protocol, info.sni], [version, "server.test"]);
      // The end of its input makes it end the stream in good order.
      const ended = tls.recv(peer);
      await program.finish();
      assertEquals(await codeOf(ended), "completed with ");
      [peer, listener].forEach(tls.close);
    });

    test(`openssl s_client ${flag} is cut when it is killed [${kind}]`, async (files) => {
      const listener = tls.tcpserver("127.0.0.1", 0, serve(pair));
      const accepting = tls.accept(listener);
      await using program = client(listener, files, flag);
      const peer = await task.await(accepting);
      await program.type("last words\n");
      assertEquals(await task.await(tls.recvLine(peer)), "last words");
      program.kill();
      assertEquals(await codeOf(tls.recv(peer)), "EUNEXPECTEDEOF");
      [peer, listener].forEach(tls.close);
    });

    test(`openssl s_client ${flag} sees close() as the end in good order [${kind}]`, async (files) => {
      const listener = tls.tcpserver("127.0.0.1", 0, serve(pair));
      const accepting = tls.accept(listener);
      await using program = client(listener, files, flag);
      const peer = await task.await(accepting);
      await task.await(tls.send(peer, "bye\n"));
      tls.close(peer);
      await program.printed(/bye[^]*(^closed$|DONE)/m);
      assertEquals(/unexpected eof|errno/.test(program.output), false, program.output);
      tls.close(listener);
    });

    if (kind === "deno") continue;

    test(`openssl s_client ${flag} shows the certificate that is required [${kind}]`, async (files) => {
      const options = { ...serve(pair), requestCert: true, ca };
      const listener = tls.tcpserver("127.0.0.1", 0, options);
      const accepting = tls.accept(listener);
      await using program = client(
        ...[listener, files, flag, "-cert", files.clientCert, "-key", files.clientKey] as const,
      );
      const peer = await task.await(accepting);
      assertEquals(tls.info(peer).peerCertificate!.subject, "client.test");
      await program.type("hello\n");
      assertEquals(await task.await(tls.recvLine(peer)), "hello");
      await program.finish();
      [peer, listener].forEach(tls.close);
    });

    test(`openssl s_client ${flag} is told when a certificate is required [${kind}]`, async (files) => {
      const options = { ...serve(pair), requestCert: true, ca };
      const listener = tls.tcpserver("127.0.0.1", 0, options);
      const accepting = tls.accept(listener);
      await using program = client(listener, files, flag);
      await program.printed(/alert (certificate required|handshake failure|bad certificate)/);
      await until(() => inspectListener(listener).dropped === 1);
      assertEquals(task.status(accepting), "Running");
      tls.close(listener);
      await codeOf(accepting);
    });
  }

  test(`openssl s_client is refused when it knows nothing newer than TLS 1.1 [${kind}]`, async (files) => {
    const listener = tls.tcpserver("127.0.0.1", 0, serve(pair));
    const accepting = tls.accept(listener);
    await using program = client(listener, files, "-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0");
    await program.printed(/alert protocol version|no protocols available|error/i);
    assertEquals(task.status(accepting), "Running");
    tls.close(listener);
    await codeOf(accepting);
  });

  test(`openssl s_client is told when no protocol is agreed on [${kind}]`, async (files) => {
    const listener = tls.tcpserver("127.0.0.1", 0, { ...serve(pair), alpn: ["h2"] });
    const accepting = tls.accept(listener);
    await using program = client(listener, files, "-alpn", "smtp");
    await program.printed(/no application protocol/);
    await until(() => inspectListener(listener).dropped === 1);
    tls.close(listener);
    await codeOf(accepting);
  });
}

test("openssl s_client gets the certificate for the name that it asks for", async (files) => {
  const certs = ["one.test", "*.two.test"].map((name) => authority.issue([name]));
  const listener = tls.tcpserver("127.0.0.1", 0, { certs });
  for (
    const [args, subject] of [
      [["-servername", "a.TWO.test"], "*.two.test"],
      [["-servername", "one.test"], "one.test"],
      [["-servername", "other.test"], "one.test"],
      [["-noservername"], "one.test"],
    ] as [string[], string][]
  ) {
    const accepting = tls.accept(listener);
    await using program = client(listener, files, ...args);
    const peer = await task.await(accepting);
    const [, shown] = await program.printed(/subject=CN *= *(\S+)/);
    assertEquals(shown, subject);
    tls.close(peer);
  }
  tls.close(listener);
});

for (const [kind, own] of clientKinds) {
  for (const [flag, version] of versions) {
    test(`tcpconnect() talks to openssl s_server ${flag} [${kind}]`, async (files) => {
      const [program, port] = await server(files, flag, "-alpn", "h2,http/1.1");
      await using _program = program;
      const options = { ca, ...own, alpn: ["http/1.1"] };
      const id = await tls.tcpconnect("127.0.0.1", port, "server.test", options);
      await assertReverses(id);
      const { alpn, sni, protocol, peerCertificate } = tls.info(id);
      assertEquals([alpn, sni, peerCertificate!.subject], [
        "http/1.1",
        "server.test",
        "server.test",
      ]);
      assertEquals(protocol, kind === "node" ? version : null);
      tls.close(id);
      await program.printed(/CONNECTION CLOSED/);
    });

    test(`tcpconnect() is cut when openssl s_server ${flag} is killed [${kind}]`, async (files) => {
      const [program, port] = await server(files, flag);
      await using _program = program;
      const id = await tls.tcpconnect("127.0.0.1", port, "server.test", { ca, ...own });
      await assertReverses(id);
      program.kill();
      assertEquals(await codeOf(tls.recv(id)), "EUNEXPECTEDEOF");
      tls.close(id);
    });

    test(`tcpconnect() shows openssl s_server ${flag} -Verify its certificate [${kind}]`, async (files) => {
      const [program, port] = await server(files, flag, "-Verify", "1", "-verify_return_error");
      await using _program = program;
      const id = await tls.tcpconnect("127.0.0.1", port, "server.test", { ca, ...clientPair });
      await assertReverses(id);
      tls.close(id);
      if (kind === "node") return;
      // Without one it is refused; with TLS 1.3 at its first recv.
      const bare = await tls.tcpconnect("127.0.0.1", port, "server.test", { ca })
        .catch((error) => error.code as string);
      const code = typeof bare === "string" ? bare : await codeOf(tls.recv(bare));
      assert(/^ERR_SSL_\w*(CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE)$/.test(code), code);
      if (typeof bare !== "string") tls.close(bare);
    });
  }

  test(`tcpconnect() refuses openssl s_server for another name [${kind}]`, async (files) => {
    const [program, port] = await server(files);
    await using _program = program;
    const code = await refusal(tls.tcpconnect("127.0.0.1", port, "other.test", { ca, ...own }));
    assertEquals(code, "ERR_TLS_CERT_ALTNAME_INVALID");
  });

  test(`tcpconnect() is told by openssl s_server that no protocol is agreed on [${kind}]`, async (files) => {
    const [program, port] = await server(files, "-alpn", "h2");
    await using _program = program;
    const options = { ca, ...own, alpn: ["smtp"] };
    const code = await refusal(tls.tcpconnect("127.0.0.1", port, "server.test", options));
    assertEquals(code, "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL");
  });

  test(`tcpconnect() asks openssl s_server for the certificate of its sni [${kind}]`, async (files) => {
    const other = authority.issue(["other.test"]);
    const [cert2, key2] = [`${files.cert}2`, `${files.key}2`];
    await Deno.writeTextFile(cert2, other.cert);
    await Deno.writeTextFile(key2, other.key);
    const names = ["-servername", "other.test", "-cert2", cert2, "-key2", key2];
    const [program, port] = await server(files, ...names);
    await using _program = program;
    for (const sni of ["other.test", "server.test"]) {
      const id = await tls.tcpconnect("127.0.0.1", port, sni, { ca, ...own });
      assertEquals(tls.info(id).peerCertificate!.subject, sni);
      tls.close(id);
    }
  });
}

for (
  const [name, algorithm] of [
    ["RSA", ["rsa:2048"]],
    ["EC P-384", ["ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"]],
    ["Ed25519", ["ed25519"]],
  ] as [string, string[]][]
) {
  test(`tcpserver() serves ${name} certificates made by openssl`, async (files) => {
    const [certFile, keyFile] = [`${files.cert}3`, `${files.key}3`];
    await using program = new OpenSsl(
      ...["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=made.test", "-newkey"],
      ...[...algorithm, "-keyout", keyFile, "-out", certFile],
      ...["-addext", "subjectAltName=DNS:made.test"],
      ...["-addext", "basicConstraints=critical,CA:FALSE"],
    );
    await program.finish();
    const [cert, key] = await Promise.all([certFile, keyFile].map((f) => Deno.readTextFile(f)));
    for (const [, serve] of serverKinds) {
      const listener = tls.tcpserver("127.0.0.1", 0, serve({ cert, key }));
      for (const [, own] of clientKinds) {
        const accepting = tls.accept(listener);
        const address = tls.getlocal(listener);
        const id = await tls.tcpconnect(...address, "made.test", { ca: cert, ...own });
        await task.await(tls.send(id, "x"));
        const peer = await task.await(accepting);
        assertEquals(textOf(await receive(peer, 1)), "x");
        [id, peer].forEach(tls.close);
      }
      tls.close(listener);
    }
  });
}

/** As much of SMTP as a client needs to come to TLS: RFC 3207. */
async function serveSmtp(id: socket.SocketId): Promise<string[]> {
  const heard: string[] = [];
  const say = (text: string) => task.await(socket.send(id, `${text}\r\n`));
  await say("220 mail.test ESMTP");
  for (let line; (line = await task.await(socket.recvLine(id))) !== null;) {
    heard.push(line);
    const verb = line.toUpperCase().split(" ")[0];
    if (verb === "EHLO") {
      await say(socket.istls(id) ? "250 mail.test" : "250-mail.test\r\n250 STARTTLS");
    } else if (verb === "STARTTLS") {
      await say("220 go ahead");
      await task.await(socket.starttls(id, { certs: [pair] }));
    } else if (verb === "QUIT") {
      await say("221 bye");
      break;
    } else await say("250 OK");
  }
  return heard;
}

for (const [flag, version] of versions) {
  test(`openssl s_client -starttls smtp ${flag} comes to TLS`, async (files) => {
    const listener = socket.tcpserver("127.0.0.1", 0);
    const accepting = socket.accept(listener);
    await using program = client(
      ...[listener, files, flag, "-starttls", "smtp", "-servername", "server.test"] as const,
      ...["-verify_hostname", "server.test", "-crlf"],
    );
    const peer = await task.await(accepting);
    const serving = task.spawn(serveSmtp, [peer]);
    await program.printed(/Verify return code: 0 \(ok\)/);
    await program.type("EHLO me.test\n");
    await program.printed(/^250 mail\.test/m);
    await program.type("NOOP\n");
    await program.printed(/^250 OK/m);
    await program.printed(new RegExp(`${version}, Cipher is`));
    const { protocol, sni } = tls.info(peer);
    assertEquals([protocol, sni], [version, "server.test"]);
    await program.finish();
    const heard = await task.await(serving);
    assertEquals(heard.slice(1), ["STARTTLS", "EHLO me.test", "NOOP"]);
    [peer, listener].forEach(socket.close);
  });
}

test("openssl s_client -starttls smtp waits with its handshake for the answer", async (files) => {
  const listener = socket.tcpserver("127.0.0.1", 0);
  const accepting = socket.accept(listener);
  await using program = client(listener, files, "-starttls", "smtp");
  const peer = await task.await(accepting);
  await task.await(socket.send(peer, "220 mail.test\r\n"));
  await task.await(socket.recvLine(peer));
  await task.await(socket.send(peer, "250-mail.test\r\n250 STARTTLS\r\n"));
  assertEquals(await task.await(socket.recvLine(peer)), "STARTTLS");
  await task.await(socket.send(peer, "220 go ahead\r\n"));
  // The ClientHello arrives, and is received, before the upgrade begins.
  await until(() => socket.peek(peer) !== undefined);
  assertEquals(await task.await(socket.starttls(peer, pair)), true);
  await program.type("hello\n");
  assertEquals(await task.await(tls.recvLine(peer)), "hello");
  await program.finish();
  [peer, listener].forEach(socket.close);
});
