/**
 * What a round trip through the Lua host costs, beside taskio as a user writes it: CPU time of the
 * servers.
 *
 *     deno run -A tests/bench/lua_host.ts
 */
import { ARMS } from "./arms.ts";
import { Exchange } from "./load/mod.ts";
import { measure } from "./measure.ts";
import { rows } from "./row.ts";
import { table } from "./table.ts";

const lua = new URL("./arms/lua.ts", import.meta.url).pathname;
ARMS.lua = [Deno.execPath(), "run", "-A", lua];

const series = await measure(
  ["taskio", "lua"].map((arm) => ({ arm, kind: "echo" })),
  (port) => new Exchange(port, { connections: 64, request: 64, reply: 64 }),
  { launches: 2, rounds: 12, window: 200, bulkWindow: 200, warmup: 1_000, all: true },
);
console.log(table(rows("ping-pong, 64 × 64 B", { name: "µs", size: 1 }, series)));
