// Whom a client trusts: its `ca` adds to the authorities that Deno was told of, whatever engine carries
// it.

import { assertEquals } from "@std/assert";
import type { tls } from "../../mod.ts";
import { leavingNothing } from "../settle.ts";
import { runProgram } from "../subprocess.ts";
import { Authority, clientPair, serveTls } from "./helpers.ts";

const configured = new Authority("Configured Authority");
const own = new Authority("An Authority Of One's Own");
const stranger = new Authority("Stranger");

/** Connects to servers of each authority, with each set of options, and prints what came of it. */
const program = (ports: number[], options: tls.TlsClientOptions[]) => `
  import { tls } from ${JSON.stringify(new URL("../../mod.ts", import.meta.url).href)};
  for (const options of ${JSON.stringify(options)}) {
    for (const port of ${JSON.stringify(ports)}) {
      const how = [
        () => tls.tcpconnect("127.0.0.1", port, "server.test", options),
        async () => {
          const id = await socket.tcpconnect("127.0.0.1", port);
          await task.await(socket.starttls(id, { host: "server.test", ...options }));
          return id;
        },
      ];
      for (const connect of how) {
        console.log(await connect().then((id) => (socket.close(id), "trusted"), () => "refused"));
      }
    }
  }
`;

const [T, R] = ["trusted", "refused"];

for (
  const [name, flags, setting, system] of [
    ["nothing", () => [], () => "", R],
    ["--cert", (path) => ["--cert", path], () => "", T],
    ["DENO_CERT", () => [], (path) => `export DENO_CERT=${path}`, T],
    ["NODE_EXTRA_CA_CERTS", () => [], (path) => `export NODE_EXTRA_CA_CERTS=${path}`, T],
  ] as [string, (path: string) => string[], (path: string) => string, string][]
) {
  Deno.test(`a client with a ca of its own trusts what Deno was told to as well [${name}]`, () =>
    leavingNothing(async () => {
      const path = await Deno.makeTempFile({ suffix: ".pem" });
      await Deno.writeTextFile(path, configured.cert);
      const authorities = [configured, own, stranger];
      const servers = authorities.map((authority) => serveTls(authority.issue(["server.test"])));
      const ports = servers.map(({ address }) => address[1]);
      const options = [{ ca: own.cert }, { ca: own.cert, ...clientPair }, clientPair, {}];
      const { stdout, stderr } = await runProgram(
        program(ports, options),
        ["--allow-net", "--allow-read", "--allow-env", ...flags(path)],
        setting(path),
      );
      const lines = stdout.trim().split("\n");
      const [mine, none] = [[system, system, T, T, R, R], [system, system, R, R, R, R]];
      assertEquals(lines, [...mine, ...mine, ...none, ...none], stderr);
      for (const server of servers) await server[Symbol.asyncDispose]();
      await Deno.remove(path);
    }));
}
