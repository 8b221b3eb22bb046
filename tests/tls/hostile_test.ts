// Peers that reset and end connections at any moment: every failure has its name, and nothing is left.

import { assert, assertEquals } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { textOf } from "../bytes.ts";
import { Hostile } from "../hostile.ts";
import { leavingNothing } from "../settle.ts";
import { ca, clientPair, pair } from "./helpers.ts";

const TIMES = 108;

/** Whatever goes wrong is one of these: the peer was rude, or talked nonsense. */
const RUDE = new Set(["ECONNRESET", "EUNEXPECTEDEOF"]);
const NONSENSE = new Set([...RUDE, "EPROTO"]);

const codeOf = (error: unknown) => (error as { code?: string }).code ?? String(error);

const forClient = { host: "server.test", ca };

type Connect = (port: number) => Promise<socket.SocketId>;

const inClear: Connect = (port) => socket.tcpconnect("127.0.0.1", port);
const encrypted: Connect = (port) => tls.tcpconnect("127.0.0.1", port, "server.test", { ca });
const upgrading: Connect = (port) => upgraded(port, forClient);

const clients: Record<string, Connect> = {
  "socket.tcpconnect()": inClear,
  "tls.tcpconnect()": encrypted,
  "tls.tcpconnect() with a certificate": (port) =>
    tls.tcpconnect("127.0.0.1", port, "server.test", { ca, ...clientPair }),
  "starttls()": upgrading,
  "starttls() with a certificate": (port) => upgraded(port, { ...forClient, ...clientPair }),
};

async function upgraded(
  port: number,
  options: tls.StarttlsClientOptions,
): Promise<socket.SocketId> {
  const id = await socket.tcpconnect("127.0.0.1", port);
  await task.await(socket.starttls(id, options));
  return id;
}

for (const [name, connect] of Object.entries(clients)) {
  Deno.test(`${name} to a hostile server fails by name and leaves nothing`, () =>
    leavingNothing(async () => {
      using hostile = new Hostile();
      const port = await hostile.serve();
      const codes = new Set<string>();
      let [left, open] = [TIMES, 0];
      const one = async () => {
        while (left-- > 0) {
          let id: socket.SocketId;
          try {
            id = await connect(port);
          } catch (error) {
            codes.add(codeOf(error));
            continue;
          }
          open++;
          try {
            await task.await(socket.send(id, "hello"));
            while ((await task.await(socket.recv(id))).length > 0);
          } catch (error) {
            if (codeOf(error) !== "EPIPE") codes.add(codeOf(error));
          }
          socket.close(id);
        }
      };
      await Promise.all(Array.from({ length: 8 }, one));
      const plain = connect === inClear;
      assertEquals(codes.difference(plain ? new Set(["ECONNRESET"]) : NONSENSE), new Set());
      assert(plain || open === 0, `${open} handshakes succeeded`);
    }));
}

/** Sends back the first bytes. */
async function answer(id: socket.SocketId): Promise<void> {
  await task.await(socket.send(id, await task.await(socket.recv(id))));
}

Deno.test("servers go on and keep nothing when visitors are hostile", () =>
  leavingNothing(async () => {
    using hostile = new Hostile();
    const codes = new Set<string>();
    const options = { onError: (error: unknown) => void codes.add(codeOf(error)) };
    const upgrade = async (id: socket.SocketId) => {
      await task.await(socket.starttls(id, { certs: [pair] }));
      await answer(id);
    };
    const plain = socket.tcpserver("127.0.0.1", 0);
    const starttls = socket.tcpserver("127.0.0.1", 0);
    const native = tls.tcpserver("127.0.0.1", 0, { ...pair, native: true });
    const node = tls.tcpserver("127.0.0.1", 0, { certs: [pair] });
    const serving = [
      socket.serve(plain, answer, options),
      socket.serve(starttls, upgrade, options),
      tls.serve(native, answer, options),
      tls.serve(node, answer, options),
    ];
    const servers = [plain, starttls, native, node];
    const ports = servers.map((id) => socket.getlocal(id)[1]);
    assert(await hostile.visit(ports, TIMES) >= TIMES);
    assertEquals(codes.difference(new Set([...NONSENSE, "EPIPE"])), new Set());
    assertEquals(serving.map(task.status), serving.map(() => "Running"));

    // Whoever behaves is served as ever.
    for (const [i, connect] of [inClear, upgrading, encrypted, encrypted].entries()) {
      const id = await connect(ports[i]);
      await task.await(socket.send(id, "hello"));
      assertEquals(textOf(await task.await(socket.recvExact(id, 5))), "hello");
      socket.close(id);
    }
    servers.forEach(socket.close);
    await task.all(serving);
  }));
