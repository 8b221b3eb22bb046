// The programs of Pluto's manual as Lua scripts, with Python, nc and openssl as peers.

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { OpenSsl, writeFiles } from "../../tls/openssl.ts";
import { ca, pair } from "../../tls/helpers.ts";
import { sha256 } from "../../bytes.ts";
import { Folder } from "../folder.ts";
import { Program, runProgram } from "../program.ts";
import { output, peer, python, PythonServer, sample, samplePath, Script, test } from "./helpers.ts";

const PAGE = "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 13\r\n\r\nHello, world!";

/** A Python server of one client, whose socket `s` is left to the source. */
const serveOne = (source: string) => `
import socket, ssl, sys
l = socket.create_server(("127.0.0.1", 0))
print(l.getsockname()[1])
s, _ = l.accept()
${source}
s.close()`;

test(
  "serves the page of socket.bind to Python and nc, side by side",
  ["python3", "nc"],
  async () => {
    const script = await Script.start(sample("hello.lua"), [0]);
    const port = await script.port();
    const fetch = `
import http.client, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
c.request("GET", "/")
r = c.getresponse()
print(r.status, r.read())`;
    const answers = await Promise.all([
      python(fetch, port),
      python(fetch, port),
      peer("nc", ["-N", "127.0.0.1", port], "GET / HTTP/1.0\r\n\r\n"),
    ]);
    assertEquals(answers, ["200 b'Hello, world!'\n", "200 b'Hello, world!'\n", PAGE]);
    await script.quit();
  },
);

test("prints the chunk of socket.recv that Python sends", ["python3"], async () => {
  await using server = await PythonServer.start(serveOne(`
print(s.recv(1000))
s.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n\\x00\\xff")`));
  assertEquals(
    await output(sample("get.lua"), ["127.0.0.1", server.port]),
    "HTTP/1.0 200 OK\r\n\r\n\0\xff\n",
  );
  assertEquals(await server.ended(), "b'GET / HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n'\n");
});

test("prints what socket.unrecv puts back, and both ends", ["python3"], async () => {
  await using first = await PythonServer.start(serveOne("s.recv(1)"));
  assertEquals(await output(sample("unrecv.lua"), ["127.0.0.1", first.port]), "Hello\nWorld\n");
  await using second = await PythonServer.start(serveOne("s.recv(1)"));
  assertEquals(
    await output(sample("ends.lua"), ["127.0.0.1", second.port]),
    `127.0.0.1\n${second.port}\nclient\n`,
  );
});

test("waits by hasconnection for a client, which is nc", ["nc"], async () => {
  const script = await Script.start(sample("poll.lua"), [0]);
  const [received] = await Promise.all([
    script.ended(),
    script.port().then((port) => peer("nc", ["-N", "127.0.0.1", port], "knock knock")),
  ]);
  assertMatch(received.stdout, /\nknock knock\n$/);
  assertEquals([received.code, received.stderr], [0, ""]);
});

test("starttls() as client fetches a page from openssl", ["openssl"], async () => {
  using files = writeFiles();
  await using server = new OpenSsl(
    ...["s_server", "-accept", "127.0.0.1:0", "-cert", files.cert, "-key", files.key, "-www"],
  );
  const [, port] = await server.printed(/ACCEPT 127\.0\.0\.1:(\d+)/);
  const page = await output(sample("get_tls.lua"), ["127.0.0.1", port, "server.test"], ca);
  assertStringIncludes(page, "HTTP/1.0 200 ok");
  assertStringIncludes(page, "New, TLSv1.3");
});

test("starttls() as server shows openssl the page, by certificates fetched from Python", [
  "openssl",
  "python3",
], async () => {
  using files = writeFiles();
  await using certificates = await PythonServer.start(
    `
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    self.send_response(200)
    self.end_headers()
    self.wfile.write(open(sys.argv[1] if self.path == "/cert.pem" else sys.argv[2], "rb").read())
  def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port)
server.serve_forever()`,
    files.cert,
    files.key,
  );
  const url = `http://127.0.0.1:${certificates.port}`;
  const script = await Script.start(sample("hello_tls.lua"), [
    0,
    `${url}/cert.pem`,
    `${url}/key.pem`,
  ]);
  const port = await script.port();
  const connect = ["s_client", "-quiet", "-verify_return_error", "-CAfile", files.ca];
  const to = ["-connect", `127.0.0.1:${port}`, "-verify_hostname", "server.test"];
  assertStringIncludes(await peer("openssl", [...connect, ...to]), PAGE);

  // Whoever speaks no TLS, or does not trust the certificate, gets nothing and disturbs nobody
  const untrusting = ["s_client", "-verify_return_error", "-connect", `127.0.0.1:${port}`];
  const [nonsense, refused] = await Promise.all([
    peer("nc", ["-N", "127.0.0.1", port], "GET / HTTP/1.0\r\n\r\n").catch(String),
    peer("openssl", untrusting),
  ]);
  assert(!nonsense.includes("Hello"));
  assert(!refused.includes("Hello"));
  assertStringIncludes(await peer("openssl", [...connect, ...to]), PAGE);
  await script.quit();
});

const SMTP = `
local scheduler, socket = require "scheduler", require "socket"
local sched = scheduler()
local certs = { { chain = arg[1], private_key = arg[2] } }
local l = socket.bind(sched, 0, function(s)
  s:send("220 ready\\r\\n")
  for command in s.recv, s do
    if command:find "^EHLO" then
      s:send("250-here\\r\\n250 STARTTLS\\r\\n")
    elseif command:find "^STARTTLS" then
      s:send("220 go ahead\\r\\n")
      assert(s:starttls(certs))
      assert(s:istls() and s:starttls(certs) == nil)
    else
      s:send("250 " .. command)
    end
  end
end)
print(l:getport())
sched:run()`;

test("starttls() upgrades an SMTP conversation with openssl", ["openssl"], async () => {
  using files = writeFiles();
  const script = await Script.start(SMTP, [pair.cert, pair.key]);
  const port = await script.port();
  await using client = new OpenSsl(
    ...["s_client", "-starttls", "smtp", "-connect", `127.0.0.1:${port}`, "-crlf", "-quiet"],
    ...["-CAfile", files.ca, "-verify_return_error", "-verify_hostname", "server.test"],
  );
  await client.type("NOOP\n");
  await client.printed(/250 NOOP\r?\n/);
  await script.quit();
});

const SMTP_CLIENT = `
local socket = require "socket"
local s <close> = assert(socket.connect("127.0.0.1", tonumber(arg[1])))
print((s:recv():gsub("\\r\\n", "")))
s:send("STARTTLS\\r\\n")
print((s:recv():gsub("\\r\\n", "")))
print(s:starttls("server.test"))
s:send("\\0 over TLS \\255\\r\\n")
print((s:recv():gsub("\\r\\n", "")))`;

const SPOKEN = "220 ready\n220 go ahead\ntrue\n250 \0 over TLS \xff\n";

test("starttls() upgrades a connection to Python", ["python3"], async () => {
  using files = writeFiles();
  await using server = await PythonServer.start(
    serveOne(`
s.sendall(b"220 ready\\r\\n")
assert s.recv(100) == b"STARTTLS\\r\\n"
s.sendall(b"220 go ahead\\r\\n")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
s = context.wrap_socket(s, server_side=True)
s.sendall(b"250 " + s.recv(100))
s.recv(1)`),
    files.cert,
    files.key,
  );
  assertEquals(await output(SMTP_CLIENT, [server.port], ca), SPOKEN);
});

test("starttls() on both sides, two scripts", [], async () => {
  const server = await Script.start(SMTP, [pair.cert, pair.key]);
  assertEquals(await output(SMTP_CLIENT, [await server.port()], ca), SPOKEN);
  await server.quit();
});

test("starttls() gives false, and why, for a certificate that is not trusted", [], async () => {
  const server = await Script.start(
    SMTP.replace("assert(s:starttls(certs))", "s:starttls(certs)"),
    [
      pair.cert,
      pair.key,
    ],
  );
  const lines = (await output(
    SMTP_CLIENT.replace(/s:send\("\\0[^]*$/, "print(s:isopen(), s:recv(), s:starttls('x'))"),
    [await server.port()],
  )).split("\n");
  assertMatch(lines[2], /^false\tstarttls .*\t[A-Z_]+$/);
  assertEquals(lines[3], "false\tnil\tfalse");
  server.stop();
  await server.ended();
});

test("echoes every byte there is to nc and Python", ["nc", "python3"], async () => {
  const script = await Script.start(sample("echo.lua"), [0]);
  const port = await script.port();
  const every = Array.from({ length: 1024 }, (_, i) => String.fromCharCode(i % 256)).join("");
  assertEquals(await peer("nc", ["-N", "127.0.0.1", port], every), every);

  const large = await python(
    `
import hashlib, os, socket, sys, threading
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
data = os.urandom(3_000_000)
def send():
  s.sendall(data)
  s.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
echo = b""
while chunk := s.recv(65536):
  echo += chunk
print(echo == data, len(echo))`,
    port,
  );
  assertEquals(large, "True 3000000\n");
  await script.quit();
});

test("strings of a script are bytes: NUL, 0xFF, no UTF-8, and megabytes of them", [], async () => {
  const source = `
local scheduler, socket = require "scheduler", require "socket"
local every = {}
for i = 0, 255 do every[i + 1] = string.char(i) end
every = table.concat(every):rep(4096)
local sched = scheduler()
local l = socket.listen(0)
local received = {}
sched:add(function()
  local s <close> = l:accept()
  for data in s.recv, s do table.insert(received, data) end
end)
sched:add(function()
  local s <close> = socket.connect("127.0.0.1", l:getport())
  s:unrecv(every)
  assert(s:peek() == every and s:recv() == every and s:peek() == nil)
  s:send(every)
  s:send("")
  s:send("\\0")
end)
sched:run()
io.write(table.concat(received))`;
  const every = new Uint8Array(4096 * 256 + 1).map((_, i) => i === 4096 * 256 ? 0 : i);
  const received = await output(source);
  assertEquals(received.length, every.length);
  assertEquals(sha256(Uint8Array.from(received, (c) => c.charCodeAt(0))), sha256(every));
});

test("holds a thousand coroutines, client and server", [], async () => {
  const server = await Script.start(sample("echo.lua"), [0]);
  const client = `
local scheduler, socket = require "scheduler", require "socket"
local sched = scheduler()
local right = 0
for i = 1, 500 do
  sched:add(function()
    local s <close> = assert(socket.connect("127.0.0.1", tonumber(arg[1])))
    for round = 1, 5 do
      local text = i .. " " .. round
      s:send(text)
      assert(s:recv() == text)
    end
    right = right + 1
  end)
end
sched:run()
print(right)`;
  assertEquals(await output(client, [await server.port()]), "500\n");
  await server.quit();
});

test("runs from its command line until Ctrl-C", ["nc"], async () => {
  await using program = new Program(
    "lua_host/main",
    ...["--host", "127.0.0.1", samplePath("echo.lua"), "0"],
  );
  const port = (await program.line()).match(/\d+$/)![0];
  assertEquals(await peer("nc", ["-N", "127.0.0.1", port], "hello"), "hello");
  program.kill("SIGINT");
  assertEquals(await program.ended(), {
    code: 130,
    stdout: "",
    stderr: "lua: interrupted, every socket is closed\n",
  });
});

test("says in one line which file cannot be read", [], async () => {
  for (const args of [["no/such.lua"], ["--ca", "no/such.lua", samplePath("echo.lua")]]) {
    const { code, stdout, stderr } = await runProgram("lua_host/main", ...args);
    assertEquals([code, stdout], [1, ""]);
    assertMatch(stderr, /^lua: cannot read "no\/such\.lua": .+\n$/);
    assertEquals(stderr.split("\n").length, 2);
  }
});

test("explains its command line, and ends with the script's exit code", [], async () => {
  const help = await runProgram("lua_host/main", "--help");
  assertEquals([help.code, help.stderr], [0, ""]);
  assertStringIncludes(
    help.stdout,
    "Usage: deno run --allow-net --allow-read examples/lua_host/main.ts [options] script.lua",
  );
  for (const args of [[], ["--prot", "1"]]) {
    const wrong = await runProgram("lua_host/main", ...args);
    assertEquals([wrong.code, wrong.stdout, wrong.stderr], [2, "", help.stdout]);
  }

  using folder = new Folder();
  const script = folder.write("fails.lua", "print(arg[0] == ..., arg[1], #arg)\nerror('no', 0)");
  const failed = await runProgram("lua_host/main", "--host", "127.0.0.1", script, "x", "--y");
  assertEquals([failed.code, failed.stdout], [1, "false\tx\t2\n"]);
  assertMatch(failed.stderr, /^lua: no\nstack traceback:/);
});
