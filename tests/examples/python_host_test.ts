// Python's standard library over taskio. To start a Python costs some ten seconds of CPU time.

import { assertEquals, assertMatch } from "@std/assert";
import { socket, task } from "@taskio/net";
import fetch from "../../examples/python_host/fetch.py" with { type: "text" };
import { Python } from "../../examples/python_host/python.ts";
import { leavingNothing, until } from "../settle.ts";

const wanted = Deno.env.get("TASKIO_PYTHON") !== undefined;
if (!wanted) console.log("Tests of python_host are skipped: they are slow. Set TASKIO_PYTHON=1.");

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `python_host ${name}`, ignore: !wanted, fn });
}

/** An HTTP server that says what it was sent. */
async function withServer(run: (port: number) => Promise<void>): Promise<void> {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) =>
      new Response(`${request.method} ${new URL(request.url).pathname} ${await request.text()}`),
  );
  try {
    await run(server.addr.port);
  } finally {
    await server.shutdown();
  }
}

test("serves the standard library, and gives Python its own sockets and nothing else", () =>
  withServer((port) =>
    leavingNothing(async () => {
      const before = task.list();
      const printed: string[] = [];
      using python = await Python.load({
        allow: (host) => host === "127.0.0.1",
        stdout: (line) => printed.push(line),
      });
      const run = async (source: string, ...args: string[]) =>
        JSON.parse(await python.run(`import json\n${source}\njson.dumps(out)`, ...args) as string);

      await python.run(fetch, "fetch.py", "127.0.0.1", `${port}`, "/a/path");
      assertEquals(printed, ["200 OK", "GET /a/path "]);

      assertEquals(
        await run(
          `
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[0]), timeout=30)
out = []
for i in range(3):
    connection.request("POST", f"/{i}", body=b"x" * (i * 500000))
    body = connection.getresponse().read()
    out.append([body[:8].decode(), len(body)])
connection.close()
import urllib.request
out.append(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[0]}/url").read().decode())`,
          `${port}`,
        ),
        [["POST /0 ", 8], ["POST /1 ", 500_008], ["POST /2 ", 1_000_008], "GET /url "],
      );

      const foreign = socket.tcpserver("127.0.0.1", 0);
      assertEquals(
        await run(
          `
import socket, sys
def failure(call):
    try:
        return repr(call())
    except OSError as error:
        return type(error).__name__ + " " + str(error).rsplit("(")[-1]
server = socket.create_server(("127.0.0.1", 0))
server.settimeout(0.01)
foreign = int(sys.argv[0])
out = [
    failure(lambda: server.accept()),
    failure(lambda: socket.create_connection(("127.0.0.2", 80))),
    failure(lambda: socket.create_server(("127.0.0.2", 0))),
    failure(lambda: socket.create_connection(("127.0.0.1", 70000))),
    failure(lambda: socket.socket(fileno=foreign).accept()),
    failure(lambda: socket.socket(fileno=foreign).getsockname()),
    failure(lambda: socket.socket().recv(1)),
]
socket.socket(fileno=foreign).close()`,
          `${foreign}`,
        ),
        [
          "TimeoutError ETIMEDOUT)",
          "PermissionError EACCES)",
          "PermissionError EACCES)",
          `OSError [Errno 28] "port" must be an integer from 1 to 65535: current value is 70000`,
          "OSError EBADF)",
          "OSError EBADF)",
          "OSError EBADF)",
        ],
      );
      assertEquals(socket.isopen(foreign), true);
      socket.close(foreign);

      assertEquals(
        await run(`
server.settimeout(None)
client = socket.create_connection(server.getsockname())
client_name = client.getsockname()
conn, address = server.accept()
with conn, conn.makefile("rwb") as file:
    client.sendall(b"to the server\\n")
    file.write(b"one\\ntwo \\xff\\n" + file.readline())
    file.flush()
    conn.shutdown(socket.SHUT_WR)
    lines = list(client.makefile("rb"))
    client.close()
    same = address == client_name
out = [str(lines), same, conn.fileno(), failure(lambda: conn.recv(1))]`),
        [`[b'one\\n', b'two \\xff\\n', b'to the server\\n']`, true, -1, "OSError EBADF)"],
      );

      // A program that errs leaves the host and its Python as they are.
      const error = await python.run("1 / 0").catch((error) => error);
      assertMatch(String(error), /ZeroDivisionError/);
      assertEquals(await run("out = 1"), 1);

      // What it waits for ends with it.
      const waiting = python.run("server.accept()").catch((error) => String(error));
      await until(() => task.list().length > before.length);
      python[Symbol.dispose]();
      assertMatch(String(await waiting), /ECONNABORTED/);
      assertEquals(task.list(), before);
    })
  ));
