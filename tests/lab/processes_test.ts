// Ends, signals, workers and permissions: each in a process of its own.

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { socket, task, tls } from "../../mod.ts";
import { textOf } from "../bytes.ts";
import { canCount, openDescriptors } from "../descriptors.ts";
import { serveRegistry } from "../registry.ts";
import { codeOf, leavingNothing } from "../settle.ts";
import { Child, type Ended } from "./child.ts";

const certificate = tls.selfsigned(["localhost"]);

/** How a program listens, and how this process connects to it. */
interface Way {
  name: string;
  /** An expression of the program's: a listener. */
  listen: string;
  connect(port: number): Promise<socket.SocketId>;
}

const pair = JSON.stringify(certificate);
const connectTls = (port: number) =>
  tls.tcpconnect("127.0.0.1", port, "localhost", { ca: certificate.cert });

const ways: readonly Way[] = [
  {
    name: "tcp",
    listen: `socket.tcpserver("127.0.0.1", 0)`,
    connect: (port) => socket.tcpconnect("127.0.0.1", port),
  },
  { name: "tls", listen: `tls.tcpserver("127.0.0.1", 0, ${pair})`, connect: connectTls },
  {
    name: "tls, native server",
    listen: `tls.tcpserver("127.0.0.1", 0, { ...${pair}, native: true })`,
    connect: connectTls,
  },
];

const CLEAN: Ended = { code: 0, signal: null, stdout: "", stderr: "" };

for (const { name, listen, connect } of ways) {
  Deno.test(`serve() ends gently on SIGINT when the program closes the listener [${name}]`, () =>
    leavingNothing(async () => {
      await using child = await Child.start(`
        const server = ${listen};
        const serving = socket.serve(server, async (id, { signal }) => {
          while (!signal.aborted) {
            await task.await(socket.send(id, "tick\\n"));
            await task.sleep(5, { signal }).catch(() => {});
          }
          socket.send(id, "x".repeat(1_000_000) + "\\n"); // not awaited, and more than fits
        });
        Deno.addSignalListener("SIGINT", () => socket.close(server));
        console.log(socket.getlocal(server)[1]);
        await task.await(serving);
        console.log("served", socket.list().length, task.busy());
      `);
      const port = Number(await child.line());
      const clients = await Promise.all([connect(port), connect(port), connect(port)]);
      for (const id of clients) assertEquals(await task.await(socket.recvLine(id)), "tick");
      child.kill("SIGINT");
      await Promise.all(clients.map(async (id) => {
        let line: string | null;
        do line = await task.await(socket.recvLine(id, { max: 2_000_000 })); while (
          line === "tick"
        );
        assertEquals(line?.length, 1_000_000);
        assertEquals(await task.await(socket.recvLine(id)), null);
        socket.close(id);
      }));
      assertEquals(await child.line(), "served 0 false");
      assertEquals(await child.ended(), CLEAN);
    }));

  Deno.test(`recv() learns that the peer's process was killed [${name}]`, () =>
    leavingNothing(async () => {
      await using child = await Child.start(`
        const server = ${listen};
        socket.serve(server, async (id) => {
          await task.await(socket.send(id, "here"));
          await task.await(socket.recv(id));
        });
        console.log(socket.getlocal(server)[1]);
      `);
      const client = await connect(Number(await child.line()));
      assertEquals(textOf(await task.await(socket.recv(client))), "here");
      const receiving = socket.recv(client);
      child.kill("SIGKILL");
      // In clear this is the end; over TLS it is known that there was none.
      const code = name === "tcp" ? "completed with " : "EUNEXPECTEDEOF";
      assertEquals(await codeOf(receiving), code);
      assertEquals((await child.ended()).signal, "SIGKILL");
      socket.close(client);
    }));

  Deno.test(`a handler may end the process [${name}]`, () =>
    leavingNothing(async () => {
      await using child = await Child.start(`
        const server = ${listen};
        socket.serve(server, async (id) => {
          const data = await task.await(socket.recv(id));
          await task.await(socket.send(id, data));
          socket.recv(id);
          Deno.exit(7);
        });
        console.log(socket.getlocal(server)[1]);
      `);
      const client = await connect(Number(await child.line()));
      socket.send(client, "last words");
      assertEquals(textOf(await task.await(socket.recv(client))), "last words");
      const outcome = await codeOf(socket.recv(client));
      assert(["completed with ", "EUNEXPECTEDEOF", "ECONNRESET"].includes(outcome), outcome);
      assertEquals(await child.ended(), { ...CLEAN, code: 7 });
      socket.close(client);
    }));

  for (const [how, end] of [["is terminated", ""], ["ends itself", "self.close();"]]) {
    Deno.test(`a worker that ${how} leaves none of its sockets open [${name}]`, async () => {
      const root = new URL("../../mod.ts", import.meta.url).href;
      const worker = `
        import { socket, task, tls } from "${root}";
        const server = ${listen};
        const waiting = socket.accept(server);
        self.onmessage = async () => {
          const id = await task.await(waiting);
          const [, port] = socket.getlocal(server);
          socket.recv(id);
          socket.send(id, new Uint8Array(50_000_000)); // more than anybody takes
          task.forget(socket.serve(server, () => task.sleep(60_000)));
          task.after(60_000);
          self.postMessage("busy");
          ${end}
        };
        self.postMessage(socket.getlocal(server)[1]);
      `;
      await using child = await Child.start(`
        const openDescriptors = ${canCount ? openDescriptors : "() => 0"};
        const url = URL.createObjectURL(new Blob([${JSON.stringify(worker)}],
          { type: "application/typescript" }));
        const worker = new Worker(url, { type: "module" });
        const message = () => new Promise((resolve) => worker.onmessage = (e) => resolve(e.data));
        const before = openDescriptors();
        const port = await message();
        const connecting = ${
        name === "tcp"
          ? `socket.tcpconnect("127.0.0.1", port)`
          : `tls.tcpconnect("127.0.0.1", port, "localhost", { ca: ${
            JSON.stringify(certificate.cert)
          } })`
      };
        const client = await connecting;
        worker.postMessage("go");
        await message();
        ${end === "" ? "worker.terminate();" : ""}
        let outcome;
        try {
          while ((outcome = (await task.await(socket.recv(client, 1_000_000))).length) > 0);
        } catch (error) {
          outcome = error.code;
        }
        console.log(outcome);
        socket.close(client);
        // The place is free again, and so are the descriptors.
        for (;;) {
          try {
            socket.close(socket.tcpserver("127.0.0.1", port));
            break;
          } catch (error) {
            if (error.code !== "EADDRINUSE") throw error;
            await task.sleep(5);
          }
        }
        while (openDescriptors() > before) await task.sleep(5);
        console.log("free");
      `);
      const outcome = await child.line();
      assert(["0", "EUNEXPECTEDEOF", "ECONNRESET"].includes(outcome), outcome);
      assertEquals(await child.line(), "free");
      assertEquals(await child.ended(), CLEAN);
    });
  }
}

Deno.test("a permission for one host opens nothing else, and the error says what is missing", async () => {
  const calls = {
    tcpserver: `socket.tcpserver("127.0.0.2", 0)`,
    "tcpserver of any address": `socket.tcpserver("", 0)`,
    "tls.tcpserver": `tls.tcpserver("127.0.0.2", 0, ${pair})`,
    "tls.tcpserver, native": `tls.tcpserver("127.0.0.2", 0, { ...${pair}, native: true })`,
    tcpconnect: `await socket.tcpconnect("127.0.0.2", port)`,
    "tls.tcpconnect": `await tls.tcpconnect("127.0.0.2", port)`,
    connect: `await task.await(socket.connect("127.0.0.2", port))`,
    "tls.connect": `await task.await(tls.connect("127.0.0.2", port))`,
    "connect by ID": `await task.await(socket.connect(
      socket.create(socket.AF_INET, socket.SOCK_STREAM), "127.0.0.2", port))`,
    unixserver: `socket.unixserver("/tmp/taskio_forbidden")`,
    unixconnect: `await socket.unixconnect("/tmp/taskio_forbidden")`,
  };
  await using child = await Child.start(
    `
    const server = socket.tcpserver("127.0.0.1", 0);
    const port = socket.getlocal(server)[1];
    ${
      Object.entries(calls).map(([name, call]) => `
        try { ${call}; console.log("no error"); }
        catch (error) {
          console.log(error.name, /--allow-(net|read|write)/.exec(error.message)?.[0], "of ${name}");
        }`).join("\n")
    }
    socket.list().filter((id) => id !== server).forEach(socket.close);
    const accepting = socket.accept(server);
    const client = await socket.tcpconnect("127.0.0.1", port);
    const peer = await task.await(accepting);
    socket.send(client, "allowed");
    console.log((await task.await(socket.recv(peer))).length);
    [client, peer, server].forEach(socket.close);
    const [a, b] = await socket.pair();
    socket.close(a);
    socket.close(b);
    console.log(socket.list(), task.inspect().filter(({ status }) => status === "Running"));
  `,
    ["--allow-net=127.0.0.1"],
  );
  for (const name of Object.keys(calls)) {
    const flag = name.startsWith("unix") ? "(read|write)" : "net";
    assertMatch(await child.line(), new RegExp(`^NotCapable --allow-${flag} of ${name}$`));
  }
  assertEquals(await child.line(), "7");
  assertEquals(await child.line(), "[] []");
  assertEquals(await child.ended(), CLEAN);
});

Deno.test("a permission that is revoked ends nothing that is open, and opens nothing more", async () => {
  await using child = await Child.start(`
    const pair = ${pair};
    const folder = Deno.makeTempDirSync({ prefix: "taskio_" });
    const servers = [
      socket.tcpserver("127.0.0.1", 0),
      tls.tcpserver("127.0.0.1", 0, pair),
      tls.tcpserver("127.0.0.1", 0, { ...pair, native: true }),
      socket.unixserver(folder + "/s"),
    ];
    const trust = { ca: pair.cert };
    const connect = [
      () => socket.tcpconnect(...socket.getlocal(servers[0])),
      () => tls.tcpconnect(...socket.getlocal(servers[1]), "localhost", trust),
      () => tls.tcpconnect(...socket.getlocal(servers[2]), "localhost", trust),
      () => socket.unixconnect(folder + "/s"),
    ];
    const pairs = [];
    for (const [n, server] of servers.entries()) {
      const accepting = socket.accept(server);
      const client = await connect[n]();
      pairs.push([client, await task.await(accepting)]);
    }
    const upgradable = await socket.pair();
    const accepting = servers.map((server) => socket.accept(server));
    const connecting = connect.map((open) => open()); // under way
    const ends = await Promise.all(connecting);
    for (const name of ["net", "read", "write"]) Deno.permissions.revokeSync({ name });
    pairs.push(...await Promise.all(accepting.map(async (id, n) => [ends[n], await task.await(id)])));
    // An upgrade opens nothing.
    await task.all([
      socket.starttls(upgradable[0], { host: "localhost", ...trust }),
      socket.starttls(upgradable[1], pair),
    ]).catch((error) => console.log("starttls", error.name));
    pairs.push(upgradable);
    for (const [one, other] of pairs) {
      if (!socket.isopen(one)) continue;
      socket.send(one, "still");
      const got = await task.await(socket.recv(other));
      await task.await(socket.send(other, got));
      if ((await task.await(socket.recv(one))).length !== 5) console.log("lost");
      socket.peek(one);
      socket.getpeer(one);
    }
    for (const open of connect) await open().then(() => console.log("open"), (error) => {
      if (error.name !== "NotCapable") console.log(error);
    });
    for (const server of servers) socket.hasconnection(server);
    const waiting = servers.map((server) => socket.accept(server));
    await task.sleep(10);
    for (const id of waiting) if (task.status(id) !== "Running") console.log(task.error(id));
    [...pairs.flat(), ...servers].forEach((id) => {
      try { socket.close(id); } catch (error) { console.log("close", error.name); }
    });
    console.log(socket.list(), waiting.map((id) => task.error(id).code).join());
    console.log(folder);
  `);
  assertEquals(await child.line(), `[] ${new Array(4).fill("ECONNABORTED").join()}`);
  await Deno.remove(await child.line(), { recursive: true });
  assertEquals(await child.ended(), CLEAN);
});

Deno.test("copies of the module, by path and from a registry, work in one process", async () => {
  await using registry = await serveRegistry();
  const folder = await Deno.makeTempDir({ prefix: "taskio_" });
  try {
    const source = `
      import * as one from "${new URL("../../mod.ts", import.meta.url).href}";
      import * as two from "jsr:@taskio/net";
      console.log(one.socket === two.socket);
      const pair = ${pair};
      const server = one.socket.tcpserver("127.0.0.1", 0);
      const accepting = one.socket.accept(server);
      const client = await two.socket.tcpconnect(...one.socket.getlocal(server));
      const peer = await one.task.await(accepting);
      await Promise.all([
        one.task.await(one.socket.starttls(peer, pair)),
        two.task.await(two.socket.starttls(client, { host: "localhost", ca: pair.cert })),
      ]);
      two.socket.send(client, "from the other");
      console.log((await one.task.await(one.socket.recv(peer))).length);
      // Neither touches what is the other's.
      one.socket.close(client);
      two.socket.close(server);
      console.log(two.socket.isopen(client), one.socket.isopen(server), client !== peer);
      for (const run of [() => one.task.await(two.socket.recv(client)),
        () => two.task.await(one.socket.accept(server))]) {
        await run().catch((error) => console.log(error.message.includes("another copy")));
      }
      two.socket.close(client);
      [peer, server].forEach(one.socket.close);
    `;
    await Deno.writeTextFile(`${folder}/main.ts`, source);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-config", "--no-prompt", "--allow-net", "main.ts"],
      cwd: folder,
      env: {
        NO_COLOR: "1",
        DENO_DIR: `${folder}/cache`,
        JSR_URL: `http://127.0.0.1:${registry.addr.port}/`,
      },
      signal: AbortSignal.timeout(60_000),
    }).output();
    const expected = ["false", "14", "true true true", "true", "true", ""].join("\n");
    assertEquals([textOf(stdout), code], [expected, 0], textOf(stderr));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** What keeps no process alive, whatever is open. */
const IDLE = `
  const server = socket.tcpserver("127.0.0.1", 0);
  const other = tls.tcpserver("127.0.0.1", 0, ${pair});
  const [a, b] = await socket.pair();
  socket.send(a, "received by nobody");
  const queue = task.completions();
  queue.add(socket.recv(b));
  task.spawn(() => "claimed by nobody");
  task.cancel(task.after(60_000));
  const channel = task.channel(); channel.recv(); // a promise alone holds nothing
  socket.shutdown(a);
  socket.streams(b);
`;

Deno.test("a process ends with sockets open, results unclaimed and nothing under way", async () => {
  await using child = await Child.start(`${IDLE} console.log("end");`);
  assertEquals(await child.line(), "end");
  assertEquals(await child.ended(), CLEAN);
});

/** What keeps a process alive until a line is sent to its server. */
const PENDING: Record<string, string> = {
  "an accept that nobody awaits": `
    socket.accept(server); globalThis.onunload = () => console.log("end");`,
  serve: `
    const serving = socket.serve(server, () => socket.close(server), { grace: 50 });
    task.await(serving).then(() => console.log("end"));`,
  "a recv that is forgotten": `
    task.await(socket.accept(server)).then((id) => {
      task.forget(socket.recv(id, 1));
      globalThis.onunload = () => console.log("end");
    });`,
  "a recv in a completion queue": `
    const queue = task.completions();
    queue.onready = () => {
      const { value, status } = queue.take();
      if (typeof value === "number") queue.add(socket.recvLine(value));
      else console.log("end");
    };
    queue.add(socket.accept(server));`,
  "a relay": `
    const accepting = task.await(socket.accept(server));
    const [a, b] = await socket.pair();
    accepting.then((id) => socket.relay(id, a));
    task.await(socket.recvLine(b)).then((line) => { console.log("end"); socket.close(b); });`,
  "a readable": `
    task.await(socket.accept(server)).then(async (id) => {
      for await (const chunk of socket.streams(id).readable) break;
      console.log("end");
    });`,
};

for (const [what, source] of Object.entries(PENDING)) {
  Deno.test(`a process goes on as long as it has ${what}`, () =>
    leavingNothing(async () => {
      await using child = await Child.start(`
        const server = socket.tcpserver("127.0.0.1", 0);
        ${source}
        console.log(socket.getlocal(server)[1]);
      `);
      const port = Number(await child.line());
      const client = await socket.tcpconnect("127.0.0.1", port);
      socket.send(client, "a line\n");
      assertEquals(await child.line(), "end");
      socket.close(client);
      assertEquals(await child.ended(), CLEAN);
    }));
}

Deno.test("a process that ends at once still tells of a fault that nobody saw", async () => {
  await using child = await Child.start(`
    task.spawn(() => { throw new Error("unseen"); });
    await task.sleep(1);
  `);
  const { code, stdout, stderr } = await child.ended();
  assertEquals([code, stdout], [0, ""]);
  assertStringIncludes(stderr, "unseen");
});
