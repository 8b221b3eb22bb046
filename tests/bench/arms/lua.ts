/** The Lua host's sample echo server. */
import { LuaProgram } from "../../../examples/lua_host/program.ts";
import { control } from "./control.mjs";

const script = new URL("../../../examples/lua_host/samples/echo.lua", import.meta.url);
const program = await LuaProgram.create({
  address: "127.0.0.1",
  // The only line that it prints ends in its port
  write: (bytes) => control(Number(/\d+\n$/.exec(new TextDecoder().decode(bytes))![0])),
});
await program.run(await Deno.readFile(script), "echo.lua", ["0"]);
