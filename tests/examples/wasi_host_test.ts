// Programs of C in the WASI host, as a process of their own and in this one.

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { socket, task, tls } from "@taskio/net";
import { once } from "node:events";
import net from "node:net";
import { TerminatedError, Wasi } from "../../examples/wasi_host/wasi.ts";
import { leavingNothing, until } from "../settle.ts";
import { compileC, hasClang } from "./clang.ts";
import { Folder } from "./folder.ts";
import { exchange, pattern, readFull } from "./peer.ts";
import { portOf, Program, runProgram } from "./program.ts";

const SERVER = new URL("../../examples/wasi_host/poll_server.c", import.meta.url).pathname;

/** A test with programs of C, if there is a compiler. */
function testC(name: string, fn: (folder: Folder) => Promise<void>, ignore = false): void {
  Deno.test({
    name: `wasi_host ${name}`,
    ignore: ignore || !hasClang, // without the compiler; clang.ts says what is missing
    async fn() {
      using folder = new Folder();
      await fn(folder);
    },
  });
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The poll server as a process, listening. */
async function startServer(folder: Folder): Promise<Program & { port: number }> {
  const program = await compileC(SERVER, folder);
  const server = new Program("wasi_host/host", "--port=0", `--program=${program}`);
  const listening = await server.line();
  assertMatch(listening, /^File descriptor 3 listens on 127\.0\.0\.1:\d+$/);
  assertEquals(await server.line(), "Echo server ready");
  return Object.assign(server, { port: portOf(listening) });
}

testC("holds 500 clients of a poll server at once", async (folder) => {
  await using server = await startServer(folder);
  const { port } = server;
  const held: Deno.Conn[] = [];
  while (held.length < 500) {
    const connecting = Array.from({ length: 50 }, () => Deno.connect({ port }));
    held.push(...await Promise.all(connecting));
  }
  for (let round = 0; round < 3; round++) {
    await Promise.all(held.map(async (conn, i) => {
      const text = `round ${round} of client ${i}`;
      await conn.write(encode(text));
      assertEquals(await readFull(conn, text.length), encode(text));
    }));
  }
  // They end their sides, and so does the server.
  await Promise.all(held.map(async (conn) => {
    await conn.closeWrite();
    assertEquals(await conn.read(new Uint8Array(1)), null);
    conn.close();
  }));
});

testC(
  "carries 3 MB both ways through a poll server, and the half-close after it",
  async (folder) => {
    await using server = await startServer(folder);
    const sent = [3_000_000, 1_000_000, 100_000, 1, 0].map(pattern);
    const replies = await Promise.all(sent.map((data) => exchange(server.port, data)));
    for (const [i, reply] of replies.entries()) {
      assertEquals(reply.length, sent[i].length);
      assertEquals(reply.every((byte, at) => byte === sent[i][at]), true);
    }
  },
);

testC("goes on with a poll server whose clients reset", async (folder) => {
  await using server = await startServer(folder);
  const { port } = server;
  for (let i = 0; i < 30; i++) {
    const client = net.connect(port, "127.0.0.1");
    await once(client, "connect");
    // At once, while it sends, and while it is sent to
    if (i % 3 > 0) client.write(new Uint8Array(1_000_000));
    if (i % 3 > 1) await once(client, "data");
    client.resetAndDestroy();
  }
  assertEquals(await exchange(port, encode("next")), encode("next"));
});

testC("ends a poll server on Ctrl-C", async (folder) => {
  await using server = await startServer(folder);
  using conn = await Deno.connect({ port: server.port });
  await conn.write(encode("hello"));
  assertEquals(await conn.read(new Uint8Array(10)), 5);
  server.kill("SIGINT");
  const stdout = "Interrupted: every socket is closed.\n";
  assertEquals(await server.ended(), { code: 0, stdout, stderr: "" });
  assertEquals(await conn.read(new Uint8Array(1)).catch(() => null), null);
}, Deno.build.os === "windows"); // has no SIGINT to send

testC("says how a program has failed", async (folder) => {
  const program = await compileC(
    folder.write("exit.c", "#include <stdlib.h>\nint main(void) { exit(7); }\n"),
    folder,
  );
  const { code, stderr } = await runProgram("wasi_host/host", "--port=0", `--program=${program}`);
  assertEquals([code, stderr], [1, `wasi_host/host: "${program}" ended with code 7\n`]);

  await compileC(folder.write("trap.c", "int main(void) { __builtin_trap(); }\n"), folder);
  const trapped = await runProgram("wasi_host/host", "--port=0", `--program=${program}`);
  assertEquals([trapped.code, trapped.stderr], [
    1,
    `wasi_host/host: "${program}" trapped: unreachable\n`,
  ]);
});

/** Runs a program of C in this process and gives its exit code and what it printed. */
async function runC(
  folder: Folder,
  source: string,
  options: ConstructorParameters<typeof Wasi>[1] = {},
): Promise<{ code: number; output: string }> {
  const path = await compileC(folder.write("program.c", source), folder);
  let output = "";
  const print = (bytes: Uint8Array) => void (output += new TextDecoder().decode(bytes));
  using wasi = new Wasi(await WebAssembly.compile(await Deno.readFile(path)), {
    stdout: print,
    stderr: print,
    ...options,
  });
  return { code: await wasi.run(), output };
}

testC(
  "gives a program arguments, environment, clocks, random bytes and outputs",
  async (folder) => {
    const before = Math.floor(Date.now() / 1000);
    const { code, output } = await runC(
      folder,
      `
    #include <stdio.h>
    #include <stdlib.h>
    #include <time.h>
    #include <unistd.h>
    int main(int argc, char **argv) {
      struct timespec a, b, pause = {0, 20000000};
      unsigned char random[256];
      int different = 0;
      clock_gettime(CLOCK_MONOTONIC, &a);
      nanosleep(&pause, NULL);
      clock_gettime(CLOCK_MONOTONIC, &b);
      if (getentropy(random, sizeof random) != 0) return 1;
      for (int i = 1; i < 256; i++) different += random[i] != random[0];
      fprintf(stderr, "%d %s %s|%s|", argc, argv[0], argv[1], getenv("NAME"));
      printf("%lld|%d|%d|%d|", (long long)time(NULL), different > 200,
        (b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec >= 20000000, getchar());
      return 42;
    }`,
      { args: ["name", "grüezi"], env: { NAME: "value=1" } },
    );
    const [args, env, time, random, slept, end] = output.split("|");
    assertEquals([code, args, env, random, slept, end], [
      42,
      "2 name grüezi",
      "value=1",
      "1",
      "1",
      "-1",
    ]);
    assertEquals(Number(time) >= before && Number(time) <= Date.now() / 1000, true);
  },
);

testC("suspends a program that blocks: accept, recv, send of 3 MB, select", async (folder) => {
  await leavingNothing(async () => {
    const listener = socket.tcpserver("127.0.0.1", 0);
    const [host, port] = socket.getlocal(listener);
    const running = runC(
      folder,
      `
      #include <stdio.h>
      #include <stdlib.h>
      #include <sys/select.h>
      #include <sys/socket.h>
      #include <unistd.h>
      static char data[3000000];
      int main(void) {
        int fd = accept(3, NULL, NULL), late = accept(3, NULL, NULL);
        size_t size = 0;
        for (ssize_t n; size < sizeof data && (n = read(fd, data + size, sizeof data - size)) > 0;)
          size += n;
        ssize_t sent = send(fd, data, size, 0);
        shutdown(fd, SHUT_WR);
        fd_set set;
        FD_ZERO(&set);
        FD_SET(fd, &set);
        FD_SET(late, &set);
        struct timeval none = {0, 0}, long_time = {60, 0};
        int now = select(late + 1, &set, NULL, NULL, &none);
        FD_SET(fd, &set);
        FD_SET(late, &set);
        int then = select(late + 1, &set, NULL, NULL, &long_time);
        printf("%d %d %ld %d %d %d", fd, late, (long)sent, now, then, FD_ISSET(late, &set) != 0);
        return 0;
      }`,
      { preopened: [listener] },
    );
    const client = await socket.tcpconnect(host, port);
    const late = await socket.tcpconnect(host, port);
    const data = pattern(3_000_000, 5);
    task.forget(socket.send(client, data));
    const reply = await task.await(socket.recvExact(client, data.length));
    assertEquals(reply.every((byte, i) => byte === data[i]), true);
    assertEquals((await task.await(socket.recv(client))).length, 0);
    await task.await(socket.send(late, "now"));
    const { code, output } = await running;
    assertEquals([code, output], [0, "4 5 3000000 0 1 1"]);
    socket.close(client);
    socket.close(late);
  });
});

testC("sends what a program has queued after its end", async (folder) => {
  await leavingNothing(async () => {
    const listener = socket.tcpserver("127.0.0.1", 0);
    let output = "";
    const running = runC(
      folder,
      `
      #include <errno.h>
      #include <fcntl.h>
      #include <stdio.h>
      #include <sys/socket.h>
      static char data[50000];
      int main(void) {
        int fd = accept(3, NULL, NULL), full = 0;
        long sum = 0;
        fcntl(fd, F_SETFL, O_NONBLOCK);
        while (full < 100) { // until the system takes no more either
          ssize_t n = send(fd, data, sizeof data, 0);
          if (n > 0) sum += n;
          full = n > 0 ? 0 : full + 1;
        }
        printf("%ld", sum);
        return errno == EAGAIN ? 3 : 4;
      }`,
      {
        preopened: [listener],
        stdout: (bytes) => void (output += new TextDecoder().decode(bytes)),
      },
    );
    const client = await socket.tcpconnect(...socket.getlocal(listener));
    await until(() => output !== "");
    let received = 0;
    for (let n; (n = (await task.await(socket.recv(client, 65_536))).length) > 0;) received += n;
    socket.close(client);
    assertEquals([(await running).code, received], [3, Number(output)]);
  });
});

testC("serves TLS with a program that knows nothing of it", async (folder) => {
  await leavingNothing(async () => {
    const certificate = tls.selfsigned(["localhost"]);
    const listener = tls.tcpserver("127.0.0.1", 0, certificate);
    const [host, port] = tls.getlocal(listener);
    const module = await WebAssembly.compile(await Deno.readFile(await compileC(SERVER, folder)));
    using wasi = new Wasi(module, { preopened: [listener] });
    const ended = assertRejects(() => wasi.run(), TerminatedError);
    const clients = await Promise.all(
      Array.from(
        { length: 10 },
        () => tls.tcpconnect(host, port, "localhost", { ca: certificate.cert }),
      ),
    );
    await Promise.all(clients.map(async (client, i) => {
      const data = pattern(100_000, i);
      task.forget(socket.send(client, data));
      assertEquals(await task.await(socket.recvExact(client, data.length)), data);
      socket.close(client);
    }));
    wasi[Symbol.dispose]();
    await ended;
  });
});

testC("leaves nothing of a poll server that is ended with clients", async (folder) => {
  await leavingNothing(async () => {
    const module = await WebAssembly.compile(await Deno.readFile(await compileC(SERVER, folder)));
    const listener = socket.tcpserver("127.0.0.1", 0);
    const tasks = task.list();
    const wasi = new Wasi(module, { preopened: [listener] });
    const ended = assertRejects(() => wasi.run(), TerminatedError);
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => socket.tcpconnect(...socket.getlocal(listener))),
    );
    for (const client of clients) {
      await task.await(socket.send(client, "hello"));
      assertEquals((await task.await(socket.recv(client))).length, 5);
    }
    wasi[Symbol.dispose]();
    await ended;
    for (const client of clients) {
      assertEquals((await task.await(socket.recv(client))).length, 0);
      socket.close(client);
    }
    await until(() => task.list().length === tasks.length);
    await assertRejects(() => wasi.run(), TerminatedError);
  });
});
