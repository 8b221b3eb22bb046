// What verifies a server cannot be turned off from outside the program.

import { assertEquals } from "@std/assert";
import { runProgram } from "../subprocess.ts";

/** Clients of both engines, each with a server that nobody vouches for, and one of another name. */
const program = `
const { tls } = await import(MOD);
const stranger = tls.selfsigned(["server.test"]);
const own = tls.selfsigned(["client.test"]);

/** Secures the client's end; the other end begins at once, so nothing is received before. */
async function upgraded([client, peer], options, before) {
  const serving = task.await(socket.starttls(peer, { ...stranger, side: "server" })).catch(() => {});
  before?.(client);
  try {
    await task.await(socket.starttls(client, { side: "client", ...options }));
  } finally {
    socket.close(client);
    await serving;
    socket.close(peer);
  }
}

async function connected(options) {
  const server = tls.tcpserver("127.0.0.1", 0, stranger);
  task.forget(tls.accept(server));
  try {
    const { host, ...rest } = options;
    await tls.tcpconnect(...socket.getlocal(server), host, rest);
  } finally {
    socket.close(server);
  }
}

async function unixPair() {
  const folder = Deno.makeTempDirSync({ prefix: "taskio_" });
  const server = socket.unixserver(folder + "/s");
  const accepting = task.await(socket.accept(server));
  const client = await socket.unixconnect(folder + "/s");
  const pair = [client, await accepting];
  socket.close(server);
  Deno.removeSync(folder, { recursive: true });
  return pair;
}

const wrong = {
  "a stranger": { host: "server.test" },
  "another name": { host: "other.test", ca: stranger.cert },
};
const ways = {
  "tcpconnect": (options) => connected(options),
  "tcpconnect with a certificate": (options) => connected({ ...options, ...own }),
  "starttls": async (options) => upgraded(await socket.pair(), options),
  "starttls with a certificate": async (options) => upgraded(await socket.pair(), { ...options, ...own }),
  "starttls after a peek": async (options) => upgraded(await socket.pair(), options, socket.peek),
  "starttls over a Unix socket": async (options) => upgraded(await unixPair(), options),
};
for (const [way, connect] of Object.entries(ways)) {
  for (const [who, options] of Object.entries(wrong)) {
    const said = await connect(options).then(() => "accepted", ({ name }) => name);
    if (said !== "SocketError") console.log(way, "to", who + ":", said);
  }
}
console.log("end");
`;

Deno.test("a server is verified though NODE_TLS_REJECT_UNAUTHORIZED says otherwise", async () => {
  const url = JSON.stringify(new URL("../../mod.ts", import.meta.url).href);
  const { stdout } = await runProgram(
    program.replace("MOD", url),
    ["--no-check", "--allow-all"],
    "export NODE_TLS_REJECT_UNAUTHORIZED=0",
  );
  assertEquals(stdout, "end\n");
});
