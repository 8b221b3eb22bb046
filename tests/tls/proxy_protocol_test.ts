// Behind a load balancer: the PROXY header comes first, then the handshake.

import { assertEquals } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { codeOf, leavingNothing, until } from "../settle.ts";
import { assertCarries, ca, clientPair, inspectListener, pair } from "./helpers.ts";

const test = (name: string, run: () => Promise<void>) => Deno.test(name, () => leavingNothing(run));

const TEXT = new TextEncoder().encode("PROXY TCP4 192.0.2.1 192.0.2.9 56324 443\r\n");
const BINARY = new Uint8Array([
  ...[13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10, 0x21, 0x11, 0, 12],
  ...[192, 0, 2, 1, 192, 0, 2, 9, 0xdc, 0x04, 0x01, 0xbb],
]);

for (const [version, header] of [["1", TEXT], ["2", BINARY]] as const) {
  for (const extra of [{}, { requestCert: true, ca }]) {
    test(`getpeer() is the original client, with a header of version ${version} ${Object.keys(extra)}`, async () => {
      const server = tls.tcpserver("127.0.0.1", 0, { ...pair, ...extra, proxyProtocol: true });
      const accepting = tls.accept(server);
      const client = await socket.tcpconnect(...tls.getlocal(server));
      await task.await(socket.send(client, header));
      await task.await(socket.starttls(client, { host: "server.test", ca, ...clientPair }));
      const peer = await task.await(accepting);
      assertEquals(tls.getpeer(peer), ["192.0.2.1", 56324]);
      assertEquals(tls.getlocal(peer), tls.getlocal(server));
      const { proxy } = socket.inspect(peer) as socket.StreamRecord;
      assertEquals(proxy, tls.getlocal(client));
      assertEquals(tls.info(peer).sni, "server.test");
      await assertCarries(client, peer);
      [client, peer, server].forEach(tls.close);
    });
  }
}

test("accept() drops connections without a good header, or whose header comes too late", async () => {
  const options = { ...pair, proxyProtocol: true, handshakeTimeout: 50 };
  const server = tls.tcpserver("127.0.0.1", 0, options);
  const accepting = tls.accept(server);
  const [hostname, port] = tls.getlocal(server);
  // A ClientHello is no header.
  assertEquals(
    await tls.tcpconnect(hostname, port, "server.test", { ca }).then(() => "in", () => "out"),
    "out",
  );
  const late = await Deno.connect({ hostname, port });
  await late.write(TEXT.subarray(0, 20));
  const silent = await Deno.connect({ hostname, port });
  await silent.write(TEXT);
  assertEquals(await late.read(new Uint8Array(1)), null);
  assertEquals(await silent.read(new Uint8Array(1)), null);
  await until(() => inspectListener(server).dropped === 3);
  assertEquals(task.status(accepting), "Running");
  late.close();
  silent.close();
  tls.close(server);
  await codeOf(accepting);
});
