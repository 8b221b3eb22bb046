// The Lua host: what goes wrong in a script is the script's, and nothing is left of it.

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { socket, task } from "../../../mod.ts";
import { until } from "../../settle.ts";
import { Guest } from "../../../examples/lua_host/guest.ts";
import { LuaVm } from "../../../examples/lua_host/vm.ts";
import { refusingPort } from "../program.ts";
import { output, run, sample, Script, test } from "./helpers.ts";

const LIBRARIES = `
local scheduler, socket = require "scheduler", require "socket"
local taskio, task = require "taskio", require "task"
local sched = scheduler()
`;

/** The lines that a script prints that ends well. */
async function lines(source: string, ...args: unknown[]): Promise<string[]> {
  return (await output(LIBRARIES + source, args)).split("\n").slice(0, -1);
}

/** What a server gives one client that says nothing, until it closes. */
async function received(port: number, text = ""): Promise<string> {
  const id = await socket.tcpconnect("127.0.0.1", port);
  if (text !== "") await task.await(socket.send(id, text));
  await task.await(socket.shutdown(id));
  let all = "";
  for (;;) {
    const data = await task.await(socket.recv(id));
    if (data.length === 0) break;
    all += new TextDecoder().decode(data);
  }
  socket.close(id);
  return all;
}

test("an error of the main chunk ends the script with its traceback", [], async () => {
  const { code, stdout, stderr } = await run(`
local l = require "socket".listen(0)
local function fail() error "what went wrong" end
print "begun"
fail()`);
  assertEquals([code, stdout], [1, "begun\n"]);
  assertMatch(stderr, /^lua: script\.lua:3: what went wrong\nstack traceback:\n/);
  assertMatch(stderr, /script\.lua:5: in main chunk/);
});

test("an error that is no text, a syntax error, and an error after a wait", [], async () => {
  const table = await run("error(setmetatable({}, { __tostring = function() return 'odd' end }))");
  assertEquals([table.code, table.stderr.split("\n")[0]], [1, "lua: odd"]);
  const syntax = await run("#!/usr/bin/lua\n\nlocal = 1");
  assertEquals([syntax.code, syntax.stderr], [
    1,
    "lua: script.lua:3: <name> expected near '='\n",
  ]);
  const later = await run("os.sleep(1)\nos.sleep(1)\nerror 'late'");
  assertEquals([later.code, later.stderr.split("\n")[0]], [1, "lua: script.lua:3: late"]);
});

test("an error in a callback of bind closes that client, and nobody else notices", [], async () => {
  const script = await Script.start(`${LIBRARIES}
sched.errorfunc = function(err) print("told " .. err) end
local l = socket.bind(sched, 0, function(s)
  local data = s:recv()
  s:send("got " .. data)
  if data == "bad" then error("bad client", 0) end
  s:send(s:recv() or ", and no more")
end)
print(l:getport())
sched:run()`);
  const port = await script.port();
  const answers = await Promise.all(["good", "bad", "fine"].map((text) => received(port, text)));
  assertEquals(answers, ["got good, and no more", "got bad", "got fine, and no more"]);
  assertEquals(await script.line(), "told bad client");
  await script.quit();
});

test("without an errorfunc an error is printed; one in errorfunc, too", [], async () => {
  const { code, stdout, stderr } = await run(`${LIBRARIES}
sched:add(function() error "first" end)
sched:add(function() os.sleep(1) error "second" end)
sched:add(function() os.sleep(5) print "goes on" end)
sched:run()
sched.errorfunc = function(err) error("told of " .. err, 0) end
sched:add(function() error("third", 0) end)
sched:run()`);
  assertEquals([code, stdout], [0, "goes on\n"]);
  assertMatch(stderr, /^script\.lua:\d+: first\nstack traceback:/);
  assertMatch(stderr, /\nscript\.lua:\d+: second\nstack traceback:/);
  assertMatch(stderr, /\nthird\nstack traceback:[^]*in errorfunc: told of third\n$/);
});

test("reaches no socket and no task that it was not given", [], async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const client = await socket.tcpconnect(...socket.getlocal(server));
  const receiving = socket.recv(client);
  const printed = await lines(
    `
local id, receiving = tonumber(arg[1]), tonumber(arg[2])
for _, call in ipairs { "recv", "accept", "close", "peek", "getpeer", "sending", "hasconnection" } do
  print(call, select(2, pcall(taskio[call], id)))
end
print("send", select(2, pcall(taskio.send, id, "stolen")))
print("take", select(2, pcall(taskio.take, receiving)))
print("cancel", taskio.cancel(receiving))
print("await", task.await(receiving))
print("yield", select(2, coroutine.yield(receiving)))
print("never", select(2, coroutine.yield(1 << 60)))
print("words", select(2, pcall(taskio.recv, "x")))`,
    client,
    receiving,
  );
  const refusal = `${client} is not a socket of this script`;
  const asleep =
    `nil\t${receiving} is not a task of this script, or another coroutine waits for it`;
  assertEquals(printed, [
    ...["recv", "accept", "close", "peek", "getpeer"].map((call) => `${call}\t${refusal}`),
    `sending\t${client} is not a connection of this script`,
    `hasconnection\t${refusal}`,
    `send\t${client} is not a connection of this script`,
    `take\t${receiving} is not a task of this script`,
    "cancel\tfalse",
    `await\t${asleep}\tEBADF`,
    `yield\t${asleep}\tEBADF`,
    `never\tnil\t${2 ** 60} is not a task of this script, or another coroutine waits for it\tEBADF`
      .replace(`${2 ** 60}`, "1152921504606846976"),
    "words\tArgument 1 must be a number",
  ]);
  assertEquals([task.status(receiving), socket.isopen(client)], ["Running", true]);
  task.cancel(receiving);
  task.forget(receiving);
  [client, server].forEach(socket.close);
});

test("a task that two coroutines wait for refuses the second", [], async () => {
  const printed = await lines(`
local id = taskio.after(5)
sched:add(function() print("first", task.await(id)) end)
sched:add(function() print("second", select(3, task.await(id))) end)
sched:run()`);
  assertEquals(printed, ["second\tEBADF", "first\tnil"]);
});

test(
  "a mistake in a call is an error that pcall catches, with the state of before",
  [],
  async () => {
    const printed = await lines(`
local s = socket.connect("127.0.0.1", socket.bind(sched, 0, function(s) s:recv() end):getport())
print(pcall(s.send, s, 42))
print(pcall(s.unrecv, s, nil))
print(pcall(s.starttls, s, nil))
print(pcall(s.starttls, s, { { chain = 1 } }))
print(pcall(socket.connect, "127.0.0.1", 99999))
print(pcall(socket.listen, "x"))
print(pcall(os.sleep, {}))
s:send "still open"
print(s:isopen())
print(s:starttls({ { chain = "no PEM", private_key = "none" } }))
print(s:isopen())`);
    for (const line of printed.slice(0, 7)) assert(line.startsWith("false\t"), line);
    assertStringIncludes(printed[0], "Cannot send a number: data is a string");
    assertEquals(printed[7], "true");
    assertMatch(printed[8], /^false\t.*PEM/);
    assertEquals(printed.slice(9), ["false"]);
  },
);

test("a failure is nil, a message and a code", [], async () => {
  const printed = await lines(
    `
print(socket.connect("127.0.0.1", tonumber(arg[1])))
local taken = socket.listen(0)
print(socket.listen(taken:getport()))
print(pcall(function() socket.bind(sched, taken:getport(), print) end))
taken:close()
sched:run()`,
    refusingPort,
  );
  const at = `127.0.0.1:${refusingPort}`;
  assertEquals(printed[0], `nil\tconnect ${at}: connection refused (ECONNREFUSED)\tECONNREFUSED`);
  assertMatch(printed[1], /^nil\t.*EADDRINUSE\)\tEADDRINUSE$/);
  assertMatch(printed[2], /^false\tscript\.lua:\d+: .*EADDRINUSE\)$/);
});

test(
  "close() tells who waits: a recv, an accept, and an accept that was about to be told",
  [],
  async () => {
    const printed = await lines(`
local l = socket.listen(0)
local first
sched:add(function() first = l:accept() end)
local s = socket.connect("127.0.0.1", l:getport())
while not first do os.sleep(1) end
sched:add(function() print("recv", (s:recv())) end)
sched:add(function() print("accept", (l:accept())) end)
s:close()
l:close()
l:close()
os.sleep(5)
print(s:recv(), s:peek(), s:send "x", s:isopen(), s:getside(), s:getpeer())
print(l:accept(), l:hasconnection())

l = socket.listen(0)
local second
sched:add(function() second = l:accept() end)
local function connect() return socket.connect("127.0.0.1", l:getport()) end
sched:add(function() connect() l:close() end)
sched:run()
print(second and second:getside())`);
    assertMatch(
      printed[2],
      /^nil\tnil\tfalse\tclient\t127\.0\.0\.1\t\d+$|^nil\tnil\tnil\tfalse\tclient\t127/,
    );
    assertEquals(printed.slice(0, 2).toSorted(), ["accept\tnil", "recv\tnil"]);
    assertEquals(printed[3], "nil\tfalse");
    assert(printed[4] === "server" || printed[4] === "nil");
    assertEquals(printed.length, 5);
  },
);

test("what was sent arrives, also when the script ends at once", [], async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const [, port] = socket.getlocal(server);
  const accepting = socket.accept(server);
  const script = await Script.start(
    `local s = require "socket".connect("127.0.0.1", tonumber(arg[1]))
for i = 1, 50 do s:send(("x"):rep(10000)) end`,
    [port],
  );
  const peer = await task.await(accepting);
  let size = 0;
  for (let n; (n = (await task.await(socket.recv(peer, 65536))).length) > 0;) size += n;
  assertEquals(size, 500_000);
  [peer, server].forEach(socket.close);
  assertEquals((await script.ended()).code, 0);
});

test("send() waits while more than a megabyte has not gone out", [], async () => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const accepting = socket.accept(server);
  const script = await Script.start(
    `local s = require "socket".connect("127.0.0.1", tonumber(arg[1]))
local chunk = ("x"):rep(500000)
for i = 1, 40 do s:send(chunk) print(i) end
print "sent"`,
    [socket.getlocal(server)[1]],
  );
  const peer = await task.await(accepting);
  for (let i = 1; i <= 3; i++) assertEquals(await script.line(), `${i}`);
  let largest = 0, size = 0;
  for (;;) {
    for (const record of socket.inspect()) {
      if (record.kind === "stream") largest = Math.max(largest, record.queuedOut);
    }
    const { length } = await task.await(socket.recv(peer, 65536));
    if (length === 0) break;
    size += length;
  }
  assertEquals(size, 20_000_000);
  assert(largest <= 2_000_000, `${largest} bytes queued`);
  [peer, server].forEach(socket.close);
  assertMatch((await script.ended()).stdout, /sent\n$/);
});

test("a socket that is dropped, or goes out of scope, is closed", [], async () => {
  const printed = await lines(`
local l = socket.listen(0)
local function connected()
  local s = socket.connect("127.0.0.1", l:getport())
  return s, l:accept()
end
local dropped, first = connected()
dropped = nil
collectgarbage()
print(first:recv())
local second
do
  local s <close>, other = connected()
  second = other
end
print(second:recv())
local third
sched:add(function()
  local s <close>, other = connected()
  third = other
  error("in passing", 0)
end)
sched.errorfunc = print
sched:run()
print(third:recv())`);
  assertEquals(printed, ["nil", "nil", "in passing", "nil"]);
});

test("a script may drive coroutines itself", [], async () => {
  const printed = await lines(`
local l = socket.bind(sched, 0, function(s)
  for data in s.recv, s do s:send(data:upper()) end
end)
local result
local co = coroutine.create(function()
  local s <close> = socket.connect("127.0.0.1", l:getport())
  s:send "by hand"
  result = s:recv()
end)
while coroutine.status(co) ~= "dead" do
  local ok, id = coroutine.resume(co)
  assert(ok, id)
  assert(id == nil or math.type(id) == "integer")
  os.sleep(1)
end
print(result)

-- what is passed up sleeps as well
local function generate(fn)
  return coroutine.wrap(function() fn(coroutine.yield) end)
end
local words = generate(function(yield)
  local s <close> = socket.connect("127.0.0.1", l:getport())
  s:send "passed up"
  yield(s:recv())
end)
local value = words()
while math.type(value) == "integer" do value = words(coroutine.yield(value)) end
print(value)`);
  assertEquals(printed, ["BY HAND", "PASSED UP"]);
});

test("a coroutine that is closed while it sleeps is done", [], async () => {
  const printed = await lines(`
local co = sched:add(function()
  local shown <close> = setmetatable({}, { __close = function() print "closed" end })
  os.sleep(10)
  print "never"
end)
assert(coroutine.close(co))
sched:run()
print "run has ended"`);
  assertEquals(printed, ["closed", "run has ended"]);
});

test("a connection that has come for an accept outlives the listener's close", [], async () => {
  const guest = new Guest();
  const listener = guest.listen("127.0.0.1", 0);
  const accepting = guest.accept(listener);
  assertEquals(guest.sleep(1, accepting), true);
  const client = await socket.tcpconnect(...socket.getlocal(listener));
  await until(() => guest.queue.size === 1);
  guest.close(listener);
  const outcome = guest.next();
  assertEquals([outcome?.id, outcome?.status], [accepting, "Completed"]);
  assertEquals(guest.sleeper(accepting), 1);
  guest.claim(outcome!);
  assertEquals(socket.getside(guest.own((outcome as { value: socket.SocketId }).value)), "server");
  socket.close(client);
  await guest.end();
});

test("a script has 100,000 tasks at once and no more", [], async () => {
  const printed = await lines(`
local count = 0
local ok, message = pcall(function()
  while true do
    taskio.after(0)
    count = count + 1
  end
end)
print(count, message)`);
  assertEquals(printed, ["100000\tToo many tasks: a script may have 100000 at once"]);
});

test("a connection for a coroutine that was closed meanwhile is closed", [], async () => {
  const printed = await lines(`
local l = socket.listen(0)
local co = sched:add(function() l:accept() end)
coroutine.close(co)
local s = socket.connect("127.0.0.1", l:getport())
sched:run()
print(s:recv())`);
  assertEquals(printed, ["nil"]);
});

test("scheduler runs to the first wait, loops by rounds, and takes coroutines", [], async () => {
  const printed = await lines(`
local log = {}
sched:add(function() table.insert(log, "a1") os.sleep(3) table.insert(log, "a2") end)
table.insert(log, "main")
sched:add(coroutine.create(function() table.insert(log, "b") end))
local n = 0
sched:addloop(function() n = n + 1 table.insert(log, n) return n < 3 and nil end)
sched:run()
print(table.concat(log, " "))

local rounds = 0
sched.yieldfunc = function() rounds = rounds + 1 end
local slept = false
sched:add(function() os.sleep(2) slept = true end)
sched:run()
print(slept, rounds > 0)
sched:run()`);
  assertMatch(
    printed[0],
    /^a1 main b 1 2 3 a2$|^a1 main b 1 2( a2)? 3( a2)?$|^a1 main b 1( a2)? 2 3$/,
  );
  assertEquals(printed[1], "true\ttrue");
});

test("os.exit() ends the script through every pcall, and closes what it has", [], async () => {
  const script = `
local l = require "socket".listen(0)
pcall(function() os.exit(ARG) end)
print "never"`;
  for (const [arg, code] of [["", 0], ["true", 0], ["false", 1], ["7", 7]] as const) {
    assertEquals(await run(script.replace("ARG", arg)), { code, stdout: "", stderr: "" });
  }
  const later = await run(`local sched = require "scheduler"()
sched:add(function() os.sleep(1) os.exit(3) end)
sched:run()
print "never"`);
  assertEquals(later, { code: 3, stdout: "", stderr: "" });
});

/** Bytecode that loads a constant half a gigabyte off: a trap of the WebAssembly instance. */
const TRAP = `
local code = string.dump(function() return nil end, true)
local LOADNIL, LOADKX, EXTRAARG = "\\8\\0\\0\\0", "\\4\\0\\0\\0", "\\xD2\\xFF\\xFF\\xFF"
local broken, count = code:gsub(LOADNIL .. "....", LOADKX .. EXTRAARG)
assert(count == 1)
pcall(load(broken, "broken", "b"))
print "survived"`;

test(
  "a script that traps ends, everything of it is closed, and no other is disturbed",
  [],
  async () => {
    const other = await Script.start(sample("echo.lua"), [0]);
    const port = await other.port();
    const trapped = await run(`
local socket = require "socket"
local l = socket.listen(0)
local s = socket.connect("127.0.0.1", l:getport())
local sched = require "scheduler"()
sched:add(function() s:recv() end)
sched:add(function() os.sleep(1) ${TRAP} end)
sched:run()`);
    assertEquals([trapped.code, trapped.stdout], [1, ""]);
    assertMatch(trapped.stderr, /^lua: RuntimeError: /);
    assertEquals(await received(port, "still here"), "still here");
    await other.quit();
  },
);

test("a string that is too large is an error of the script's", [], async () => {
  const printed = await lines(`
print((pcall(string.rep, "x", 1 << 40)))
print((pcall(string.rep, "x", (1 << 31) - 100)))
print "goes on"`);
  assertEquals(printed, ["false", "false", "goes on"]);
});

test("is ended from outside in the middle of everything", [], async () => {
  const script = await Script.start(`${LIBRARIES}
local l = socket.bind(sched, 0, function(s) s:recv() end)
for i = 1, 20 do
  sched:add(function()
    local s = socket.connect("127.0.0.1", l:getport())
    s:recv()
  end)
end
sched:addloop(function() end)
sched:add(function() os.sleep(100000) end)
sched:add(function() os.sleep(20) print "all there" end)
sched:run()`);
  await script.line();
  await until(() => socket.list().length > 20);
  script.stop(5);
  assertEquals(await script.ended(), { code: 5, stdout: "all there\n", stderr: "" });
});

test("print and io.write pass bytes on, to where the host says", [], async () => {
  const { stdout, stderr, code } = await run(
    `
print("a\\0b", 1, nil, true)
io.write("\\255", 2, "\\n"):write("more\\n")
io.stdout:write "stdout\\n"
io.stderr:write "stderr\\n"
assert(arg[0] == "script.lua" and arg[1] == "x" and #arg == 2)`,
    ["x", "y"],
  );
  assertEquals([code, stdout, stderr], [
    0,
    "a\0b\t1\tnil\ttrue\n\xff2\nmore\nstdout\n",
    "stderr\n",
  ]);
});

test("integers up to 2⁵³ pass both ways", [], async () => {
  const vm = await LuaVm.create();
  const ids = [-1, 0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 5, 2 ** 53 - 1];
  const seen: [string, number][] = [];
  const see = (state: number) => {
    seen.push([vm.textAt(state, 1), vm.numberAt(state, 2)]);
    return 0;
  };
  for (const id of ids) {
    vm.load("local t, id = ... t.see(math.type(id) .. ' ' .. id, id)", "see", (state) => {
      vm.pushTable(state, { see });
      vm.pushInteger(state, id);
      return 2;
    });
  }
  assertEquals(seen, ids.map((id) => [`integer ${id}`, id]));
  vm.close();
});

test("programs start side by side, and leave WebAssembly as it was", [], async () => {
  const { instantiate } = WebAssembly;
  const scripts = await Promise.all(
    [1, 2, 3].map((n) => Script.start("print(...)\nprint(arg[1])", [n])),
  );
  const ended = await Promise.all(scripts.map((script) => script.ended()));
  assertEquals(ended.map(({ stdout }) => stdout), ["\n1\n", "\n2\n", "\n3\n"]);
  assertEquals(WebAssembly.instantiate, instantiate);
});
