// An accept of the system's that fails while no accept of the program's is pending: the next one says so.

import { assertEquals } from "@std/assert";
import { socket, task } from "../../mod.ts";
import { ways } from "../listening.ts";
import { codeOf, leavingNothing, turn } from "../settle.ts";

/** Has the second accept of a listener of Deno's end as told, and the others work. */
function secondAccept(outcome: Promise<never>): Disposable & { asked: () => boolean } {
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const prototype = Object.getPrototypeOf(probe);
  probe.close();
  const { accept } = prototype;
  let calls = 0;
  // A promise of ours keeps no process alive, as an accept of Deno's does.
  const alive = setInterval(() => {}, 1000);
  prototype.accept = function () {
    return ++calls === 2 ? outcome : accept.call(this);
  };
  return {
    asked: () => calls > 1,
    [Symbol.dispose]() {
      clearInterval(alive);
      prototype.accept = accept;
    },
  };
}

const proxied = {
  name: "tcp, with PROXY headers",
  listen: () => socket.tcpserver("127.0.0.1", 0, { proxyProtocol: true }),
  async connect(server: socket.SocketId) {
    const id = await socket.tcpconnect(...socket.getlocal(server));
    socket.send(id, "PROXY UNKNOWN\r\n");
    return id;
  },
};
const encrypted = ways.filter(({ name }) => name.startsWith("tls") && !name.includes("native"))
  .map((way) => ({ ...way, listen: () => way.listen().id }));

for (const { name, listen, connect } of [proxied, ...encrypted]) {
  Deno.test(`accept() [${name}] faults with what failed since the last one, once`, () =>
    leavingNothing(async () => {
      const failing = Promise.withResolvers<never>();
      failing.promise.catch(() => {});
      using second = secondAccept(failing.promise);
      const server = listen();
      const accepting = socket.accept(server);
      const client = await connect(server);
      const peer = await task.await(accepting);
      assertEquals(second.asked(), true);
      failing.reject(Object.assign(new Error("short"), { code: "EMFILE" }));
      await turn();
      assertEquals(await codeOf(socket.accept(server)), "EMFILE");
      const again = socket.accept(server);
      const other = await connect(server);
      [client, peer, other, await task.await(again), server].forEach(socket.close);
    }));
}
