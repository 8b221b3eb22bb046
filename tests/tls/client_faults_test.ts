// A client whose server does not speak TLS, says nothing, hangs up, or whose bytes are altered.

import { assert, assertEquals, assertInstanceOf, assertMatch } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { serveProxy } from "../proxy.ts";
import { codeOf, faultOf, leavingNothing, until } from "../settle.ts";
import { ca, clientKinds, pair, refusal, serveTcp, serveTls } from "./helpers.ts";

/** Reads until the peer has gone. */
async function readAll(conn: Deno.Conn): Promise<void> {
  while (await conn.read(new Uint8Array(1024)) !== null);
}

const clearTexts: Record<string, string> = {
  "an HTTP answer": "HTTP/1.1 400 Bad Request\r\n\r\n",
  "an SMTP greeting": "220 mail.test ESMTP\r\n",
  "zeros": "\0".repeat(100),
  "random letters": "qwertzuiop".repeat(1000),
};

for (const [kind, own] of clientKinds) {
  const options = { ca, ...own };
  const test = (name: string, run: () => Promise<void>) =>
    Deno.test(`${name} [${kind}]`, () => leavingNothing(run));

  for (const [what, text] of Object.entries(clearTexts)) {
    test(`tcpconnect() rejects with EPROTO when the peer sends ${what}`, async () => {
      await using server = serveTcp(async (conn) => {
        await conn.write(new TextEncoder().encode(text));
        await readAll(conn);
      });
      assertEquals(
        await refusal(tls.tcpconnect(...server.address, "localhost", options)),
        "EPROTO",
      );
    });
  }

  test("tcpconnect() rejects with EUNEXPECTEDEOF when the peer hangs up at once", async () => {
    await using server = serveTcp((conn) => conn.closeWrite().then(() => readAll(conn)));
    const connecting = tls.tcpconnect(...server.address, "localhost", options);
    assertEquals(await refusal(connecting), "EUNEXPECTEDEOF");
  });

  test("tcpconnect() rejects with ECONNRESET when the peer resets", async () => {
    await using target = serveTls(pair);
    await using proxy = await serveProxy(target.address, { toClient: { resetAt: 70 } });
    const connecting = tls.tcpconnect(...proxy.address, "localhost", options);
    assertEquals(await refusal(connecting), "ECONNRESET");
  });

  for (const cutAt of [0, 1, 5, 70, 200, 600]) {
    test(`tcpconnect() rejects with EUNEXPECTEDEOF when cut at byte ${cutAt}`, async () => {
      await using target = serveTls(pair);
      await using proxy = await serveProxy(target.address, { toClient: { cutAt } });
      const connecting = tls.tcpconnect(...proxy.address, "localhost", options);
      const code = await refusal(connecting);
      // What the client has sent meanwhile may be answered by a reset.
      assert(["EUNEXPECTEDEOF", "ECONNRESET"].includes(code), code);
    });
  }

  for (const flipAt of [0, 1, 5, 11, 70, 130, 200]) {
    test(`tcpconnect() rejects with a code when byte ${flipAt} is flipped`, async () => {
      await using target = serveTls(pair);
      await using proxy = await serveProxy(target.address, { toClient: { flipAt } });
      const code = await refusal(tls.tcpconnect(...proxy.address, "localhost", options));
      assert(/^(EPROTO|ERR_SSL_\w+|EUNEXPECTEDEOF)$/.test(code), code);
    });

    test(`tcpconnect() rejects with a code when its own byte ${flipAt} is flipped`, async () => {
      await using target = serveTls(pair);
      await using proxy = await serveProxy(target.address, { toServer: { flipAt } });
      const code = await refusal(tls.tcpconnect(...proxy.address, "localhost", options));
      assert(/^(EPROTO|ERR_SSL_\w+|EUNEXPECTEDEOF|ECONNRESET)$/.test(code), code);
    });
  }

  test("tcpconnect() completes when the bytes come in slices", async () => {
    await using target = serveTls(pair);
    await using proxy = await serveProxy(target.address, {
      toClient: { slice: 1 },
      toServer: { slice: 7 },
    });
    tls.close(await tls.tcpconnect(...proxy.address, "localhost", options));
  });

  test("tcpconnect() rejects with ETIMEDOUT when the peer stays silent", async () => {
    await using server = serveTcp(readAll);
    const connecting = tls.tcpconnect(...server.address, "localhost", { ...options, timeout: 20 });
    const error = await connecting.catch((error) => error);
    assertInstanceOf(error, socket.SocketError);
    assertEquals([error.code, error.op, error.remote], ["ETIMEDOUT", "connect", server.address]);
    assertMatch(error.message, /: timed out waiting for the handshake: does the server accept/);
  });

  test("tcpconnect() rejects with ETIMEDOUT when the peer stops midway", async () => {
    await using target = serveTls(pair);
    await using server = serveTcp(async (conn) => {
      using upstream = await Deno.connect({ hostname: "127.0.0.1", port: target.address[1] });
      const buffer = new Uint8Array(4096);
      const sent = await conn.read(buffer);
      await upstream.write(buffer.subarray(0, sent!));
      await upstream.read(buffer);
      await conn.write(buffer.subarray(0, 100));
      await readAll(conn);
    });
    const connecting = tls.tcpconnect(...server.address, "localhost", { ...options, timeout: 50 });
    assertEquals(await refusal(connecting), "ETIMEDOUT");
  });

  test("tcpconnect() rejects at once when its time is up already", async () => {
    await using server = serveTls(pair);
    for (const timeout of [0, -1]) {
      const connecting = tls.tcpconnect(...server.address, "localhost", { ...options, timeout });
      assertEquals(await refusal(connecting), "ETIMEDOUT");
    }
  });

  test("tcpconnect() rejects with the signal's reason when it aborts midway", async () => {
    const began = Promise.withResolvers<void>();
    await using server = serveTcp(async (conn) => {
      await conn.read(new Uint8Array(1024));
      began.resolve();
      await readAll(conn);
    });
    const controller = new AbortController();
    const { signal } = controller;
    const connecting = tls.tcpconnect(...server.address, "localhost", { ...options, signal });
    await began.promise;
    const reason = new Error("enough");
    controller.abort(reason);
    assertEquals(await connecting.catch((error) => error), reason);
  });

  test("tcpconnect() rejects with the signal's reason when it has aborted before", async () => {
    await using server = serveTls(pair);
    const signal = AbortSignal.abort("never");
    const connecting = tls.tcpconnect(...server.address, "localhost", { ...options, signal });
    assertEquals(await connecting.catch((error) => error), "never");
  });

  test("connect() is Faulted when it is cancelled midway", async () => {
    let gone = false;
    const began = Promise.withResolvers<void>();
    await using server = serveTcp(async (conn) => {
      await conn.read(new Uint8Array(1024));
      began.resolve();
      // Deno's own TLS lets go only when the peer closes: tls/core/backend.ts.
      if (kind === "node") await readAll(conn);
      gone = true;
    });
    const id = tls.connect(...server.address, "localhost", options);
    await began.promise;
    assertEquals(task.cancel(id), true);
    assertEquals(faultOf(id), "ECANCELED");
    await until(() => gone);
  });

  test("connect() leaves nothing open when it is cancelled at any moment", async () => {
    await using server = serveTls(pair);
    for (let turns = 0; turns < 25; turns++) {
      const id = tls.connect(...server.address, "localhost", options);
      for (let i = 0; i < turns; i++) await new Promise((resolve) => setTimeout(resolve, 0));
      if (task.cancel(id)) assertEquals(await codeOf(id), "ECANCELED");
      else tls.close(await task.await(id));
    }
  });

  test("tcpconnect() rejects with the codes of a plain connect", async () => {
    const closed = socket.tcpserver("127.0.0.1", 0);
    const address = socket.getlocal(closed);
    socket.close(closed);
    assertEquals(await refusal(tls.tcpconnect(...address, "localhost", options)), "ECONNREFUSED");
    const unknown = tls.tcpconnect("no-such-host.invalid", 443, "localhost", options);
    const code = await refusal(unknown);
    assert(["ENOTFOUND", "EAI_AGAIN"].includes(code), code);
  });
}
