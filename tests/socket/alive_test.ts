// What nobody waits for keeps no process alive; what somebody waits for does.

import { assertEquals } from "@std/assert";
import { clientHello } from "../tls/helpers.ts";
import { available } from "../tls/openssl.ts";

/** Makes a connection of each kind: `a` and `b` are its ends, `server` is a listener. */
const PAIRS: Record<string, string> = {
  tcp: `
    const server = socket.tcpserver("127.0.0.1", 0);
    const accepting = socket.accept(server);
    const a = await socket.tcpconnect(...socket.getlocal(server));
    const b = await task.await(accepting);`,
  "tcp, with PROXY headers": `
    const server = socket.tcpserver("127.0.0.1", 0, { proxyProtocol: true });
    const accepting = socket.accept(server);
    const a = await socket.tcpconnect(...socket.getlocal(server));
    socket.send(a, "PROXY UNKNOWN\\r\\n");
    const b = await task.await(accepting);`,
  unix: `
    const folder = Deno.makeTempDirSync({ prefix: "taskio_" });
    const server = socket.unixserver(folder + "/s");
    const accepting = socket.accept(server);
    const a = await socket.unixconnect(folder + "/s");
    const b = await task.await(accepting);
    Deno.removeSync(folder, { recursive: true });`,
  // An accept of Deno's own TLS keeps the process alive, whatever Deno is told.
  tls: tlsPair(`{ cert: pair.cert, key: pair.key }`) + "socket.close(server);",
  "tls, server of node": tlsPair(`{ certs: [pair] }`),
};

function tlsPair(options: string): string {
  return `
    const pair = tls.selfsigned(["localhost"]);
    const server = tls.tcpserver("127.0.0.1", 0, ${options});
    const accepting = tls.accept(server);
    const connecting = tls.tcpconnect(...tls.getlocal(server), "localhost", { ca: pair.cert });
    const b = await task.await(accepting);
    const a = await connecting;`;
}

/** What leaves an operation of the system's under way that nobody waits for. */
const LEFTOVERS: Record<string, string> = {
  "recv() was cancelled": `task.cancel(socket.recv(a));`,
  "recv() was cancelled a turn later":
    `const id = socket.recv(b); await task.sleep(20); task.cancel(id);`,
  "recvInto() was cancelled": `task.cancel(socket.recvInto(a, new Uint8Array(65536)));`,
  "recvLine() was cancelled": `task.cancel(socket.recvLine(b));`,
  "recv() was served by unrecv()": `socket.recv(a); socket.unrecv(a, "x");`,
  "ready() was cancelled": `{ const id = socket.ready(a); task.cancel(id); }`,
  "ready() was cancelled beside another":
    `{ const ids = [socket.ready(b), socket.ready(b), socket.recv(b)]; ids.forEach((id) => task.cancel(id)); }`,
  "peek() found nothing": `socket.peek(a); socket.peek(b); socket.peek(a);`,
};

/** An accept under way that nobody waits for. */
const LISTENING: Record<string, string> = {
  "accept() was cancelled": `task.cancel(socket.accept(server));`,
  "ready() of a listener was cancelled": `task.cancel(socket.ready(server));`,
  "hasconnection() found none": `socket.hasconnection(server);`,
};

/**
 * Runs a program that is to go on, and gives what it printed. A module that awaits keeps the process
 * alive itself, whatever it waits for: so the program is a function that nobody awaits.
 */
function runOn(source: string): Promise<string> {
  return run(`(async () => {${source}})();`);
}

/** Runs a program that is to end by itself, and gives what it printed. */
async function run(source: string): Promise<string> {
  const url = new URL("../../mod.ts", import.meta.url).href;
  const file = await Deno.makeTempFile({ prefix: "taskio_", suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, `import {socket, task, tls} from "${url}";\n${source}`);
    const { signal, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-config", "--allow-all", file],
      env: { NO_COLOR: "1" },
      signal: AbortSignal.timeout(20_000), // a program that hangs is killed, and so fails its test
    }).output();
    const decoder = new TextDecoder();
    return `${signal ?? ""}${decoder.decode(stdout)}${decoder.decode(stderr)}`;
  } finally {
    await Deno.remove(file);
  }
}

for (const [kind, makePair] of Object.entries(PAIRS)) {
  const leftovers = kind === "tls" ? LEFTOVERS : { ...LEFTOVERS, ...LISTENING };
  Deno.test(`a process ends though ${Object.keys(leftovers).join(", ")} [${kind}]`, async () => {
    const all = Object.values(leftovers).map((leftover) => `{ ${leftover} }`).join("\n");
    assertEquals(await run(`${makePair}\n${all}\nconsole.log("end");`), "end\n");
  });

  Deno.test(`a process goes on for a recv that joins a read under way [${kind}]`, async () => {
    const source = `${makePair}
      task.cancel(socket.recv(a));
      socket.peek(b);
      if (socket.isopen(server)) task.cancel(socket.accept(server));
      await task.sleep(20);
      // Nothing but these receives is under way when the others are sent.
      const receiving = [a, b].map((id) => task.await(socket.recv(id)));
      await Promise.all([a, b].map((id) => task.await(socket.send(id, "x"))));
      await Promise.all(receiving);
      socket.peek(a);
      const last = socket.recv(a);
      socket.peek(a);
      // Nothing but the recv waits for what this timer does.
      Deno.unrefTimer(setTimeout(() => task.forget(socket.send(b, "last")), 100));
      await task.await(last);
      console.log("received");`;
    assertEquals(await runOn(source), "received\n");
  });
}

/** What a pending `ready` of `a` has beside it: a read that keeps no process alive, or one that peeks. */
const WATCHED: Record<string, string> = {
  "joins a read under way": `task.cancel(socket.recv(a)); const id = socket.ready(a);`,
  "joins a read that a peek began": `socket.peek(a); const id = socket.ready(a);`,
  "has a peek after it": `const id = socket.ready(a); socket.peek(a);`,
  "outlives a recv and another ready": `
    const others = [socket.ready(a), socket.recv(a)];
    const id = socket.ready(a);
    others.forEach((other) => task.cancel(other));`,
};

for (const [kind, makePair] of Object.entries(PAIRS)) {
  Deno.test(`a process goes on for a ready that ${Object.keys(WATCHED).join(", ")} [${kind}]`, async () => {
    const each = Object.entries(WATCHED).map(([what, watch]) =>
      `{
      ${watch}
      // Nothing but the ready waits for what this timer does.
      Deno.unrefTimer(setTimeout(() => task.forget(socket.send(b, "x")), 100));
      await task.await(id);
      await task.await(socket.recv(a));
      console.log("${what}");
    }`
    );
    assertEquals(
      await runOn(`${makePair}\n${each.join("\n")}`),
      Object.keys(WATCHED).map((what) => `${what}\n`).join(""),
    );
  });
}

/** Listeners whose connections are prepared before they are given; what a peer has said so far. */
const PREPARING: Record<string, [listen: string, said: string]> = {
  "a silent client of tls": [`tls.tcpserver("127.0.0.1", 0, options)`, ""],
  "a client of tls that said hello": [`tls.tcpserver("127.0.0.1", 0, options)`, "hello"],
  "a silent balancer": [
    `socket.tcpserver("127.0.0.1", 0, { ...options, proxyProtocol: true })`,
    "",
  ],
  "a balancer that broke off": [
    `socket.tcpserver("127.0.0.1", 0, { ...options, proxyProtocol: true })`,
    "PROXY TCP4",
  ],
  "a silent balancer of tls": [
    `tls.tcpserver("127.0.0.1", 0, { ...options, proxyProtocol: true })`,
    "",
  ],
};

/**
 * A listener with a stranger at its door who stays for longer than a test may take: a program of its own,
 * since an end in the same process would be closed with it.
 */
async function withStranger([listen, said]: [string, string], wanting: string): Promise<string> {
  const bytes = said === "hello" ? await clientHello() : new TextEncoder().encode(said);
  return `
    const options = { handshakeTimeout: 600_000 };
    const server = ${listen};
    const wanting = socket.${wanting}(server);
    const [hostname, port] = socket.getlocal(server);
    const stranger = new Deno.Command(Deno.execPath(), {
      args: ["eval", \`
        const conn = await Deno.connect({ hostname: "\${hostname}", port: \${port} });
        await conn.write(new Uint8Array([${bytes}]));
        for (const buffer = new Uint8Array(4096); await conn.read(buffer) !== null;);
      \`],
      stdin: "null", stdout: "null", stderr: "inherit",
    }).spawn();
    stranger.unref();
    while (socket.inspect(server).handshaking === 0) await task.sleep(1);
    await task.sleep(50); // what it says is read`;
}

for (const [who, listener] of Object.entries(PREPARING)) {
  Deno.test(`a process ends though ${who} holds up what nobody waits for`, async () => {
    for (const wanting of ["accept", "ready", "hasconnection"]) {
      const source = `${await withStranger(listener, wanting)}
        if (wanting !== false) task.cancel(wanting);
        console.log("end");`;
      assertEquals(await run(source), "end\n");
    }
  });

  Deno.test(`a process goes on for an accept though all there is is ${who}`, async () => {
    const source = `${await withStranger(listener, "accept")}
      task.cancel(wanting);
      const accepting = socket.accept(server);
      Deno.unrefTimer(setTimeout(() => task.cancel(accepting), 200));
      await task.await(accepting).catch(({ code }) => console.log(code));`;
    assertEquals(await runOn(source), "ECANCELED\n");
  });
}

for (
  const [kind, options] of Object.entries({
    "": "...pair",
    ", with a certificate of its own": "...pair, requestCert: true, ca: pair.cert",
  })
) {
  Deno.test(`a process ends though a client of tls is there that nobody took${kind}`, async () => {
    const source = `
      const pair = tls.selfsigned(["localhost"]);
      const server = tls.tcpserver("127.0.0.1", 0, { ${options} });
      socket.hasconnection(server);
      const own = { ca: pair.cert, ...pair };
      const client = await tls.tcpconnect(...tls.getlocal(server), "localhost", own);
      while (socket.inspect(server).ready === 0) await task.sleep(1);
      const taken = await task.await(socket.accept(server));
      console.log(socket.isopen(taken), socket.hasconnection(server));
      const another = await tls.tcpconnect(...tls.getlocal(server), "localhost", own);
      while (socket.inspect(server).ready === 0) await task.sleep(1);`;
    assertEquals(await run(source), "true false\n");
  });
}

Deno.test("a listener drops whoever is to be ready at once, and Deno has nothing to warn of", async () => {
  const source = `
    const options = { handshakeTimeout: -1 };
    for (
      const server of [
        socket.tcpserver("127.0.0.1", 0, { ...options, proxyProtocol: true }),
        tls.tcpserver("127.0.0.1", 0, options),
        tls.tcpserver("127.0.0.1", 0, { ...options, native: true }),
      ]
    ) {
      socket.accept(server);
      const a = await socket.tcpconnect(...socket.getlocal(server));
      while (socket.inspect(server).dropped === 0) await task.sleep(1);
      socket.close(a);
      socket.close(server);
    }
    console.log("end");`;
  assertEquals(await run(source), "end\n");
});

Deno.test("a process goes on for an accept that joins one under way", async () => {
  const source = `
    const server = socket.tcpserver("127.0.0.1", 0);
    socket.hasconnection(server);
    task.cancel(socket.accept(server));
    const [, port] = socket.getlocal(server);
    const worker = new Deno.Command("bash", {
      args: ["-c", "sleep 0.3; exec 3<>/dev/tcp/127.0.0.1/" + port],
    }).spawn();
    worker.unref();
    const accepting = socket.accept(server);
    socket.hasconnection(server); // a look beside it
    await task.await(accepting);
    console.log("accepted");`;
  assertEquals(await runOn(source), "accepted\n");
});

Deno.test({
  name: `a process goes on for an accept of tls that joins one under way${
    available ? "" : " (skipped: there is no openssl program here)"
  }`,
  ignore: !available,
  fn: async () => {
    const source = `
    const server = tls.tcpserver("127.0.0.1", 0);
    socket.hasconnection(server);
    task.cancel(socket.accept(server));
    const [host, port] = socket.getlocal(server);
    new Deno.Command("bash", {
      args: ["-c", \`sleep 0.3; (echo over; sleep 0.3) | openssl s_client -quiet -connect \${host}:\${port}\`],
      stdout: "null",
      stderr: "null",
    }).spawn().unref();
    const accepted = await task.await(socket.accept(server));
    console.log("accepted");
    socket.close(server);
    task.cancel(socket.recv(accepted));
    console.log(await task.await(socket.recvLine(accepted)));`;
    assertEquals(await runOn(source), "accepted\nover\n");
  },
});

for (const call of ["accept", "ready"]) {
  Deno.test(`a process goes on for ${call}() of a listener that is asked hasconnection()`, async () => {
    const source = `
      const server = socket.tcpserver("127.0.0.1", 0);
      const id = socket.${call}(server);
      socket.hasconnection(server);
      const connect = () => socket.tcpconnect(...socket.getlocal(server));
      Deno.unrefTimer(setTimeout(connect, 100));
      await task.await(id);
      console.log("came");`;
    assertEquals(await runOn(source), "came\n");
  });
}

Deno.test("a process goes on for a ready that joins what is under way", async () => {
  const source = `
    const far = socket.tcpserver("127.0.0.1", 0);
    const accepting = socket.accept(far);
    const to = "/dev/tcp/127.0.0.1/" + socket.getlocal(far)[1];
    new Deno.Command("bash", {
      args: ["-c", "exec 3<>" + to + "; sleep 0.3; echo x >&3; sleep 0.3"],
    }).spawn().unref();
    const a = await task.await(accepting);
    socket.close(far);
    task.cancel(socket.recv(a));
    const ids = [socket.ready(a), socket.ready(a)];
    socket.peek(a);
    task.cancel(ids[0]); // the other one still watches
    await task.await(ids[1]);
    console.log("ready");

    const server = socket.tcpserver("127.0.0.1", 0);
    socket.hasconnection(server);
    const watching = [socket.ready(server), socket.ready(server)];
    socket.hasconnection(server);
    task.cancel(watching[0]);
    socket.hasconnection(server); // a look beside the other one
    const [, port] = socket.getlocal(server);
    new Deno.Command("bash", {
      args: ["-c", "sleep 0.3; exec 3<>/dev/tcp/127.0.0.1/" + port],
    }).spawn().unref();
    await task.await(watching[1]);
    console.log(socket.hasconnection(server));`;
  assertEquals(await runOn(source), "ready\ntrue\n");
});

for (
  const [what, leftover] of Object.entries({
    "was cancelled": "task.cancel(socket.ready(a));",
    "was served by unrecv()": 'socket.ready(a); socket.unrecv(a, "x");',
  })
) {
  Deno.test(`a process ends though nothing but a ready() ${what}`, async () => {
    const source = `const [a] = await socket.pair(); ${leftover} console.log("end");`;
    assertEquals(await run(source), "end\n");
  });
}

Deno.test("a process goes on while a starttls uses a read that a peek began", async () => {
  const source = `
    const pair = tls.selfsigned(["localhost"]);
    const server = socket.tcpserver("127.0.0.1", 0);
    const a = await socket.tcpconnect(...socket.getlocal(server));
    const b = await task.await(socket.accept(server));
    socket.close(server);
    socket.peek(a);
    socket.peek(b);
    await task.all([
      socket.starttls(a, { host: "localhost", ca: pair.cert }),
      socket.starttls(b, { cert: pair.cert, key: pair.key }),
    ]);
    const receiving = task.await(socket.recv(a));
    socket.send(b, "secret");
    console.log((await receiving).length);
    task.cancel(socket.recv(a));
    socket.peek(b);`;
  assertEquals(await runOn(source), "6\n");
});

for (const [engine, options] of Object.entries({ "": "", ", engine of node": "peeked" })) {
  Deno.test(`a process goes on for a starttls beside a recv that was cancelled${engine}`, async () => {
    const source = `
      const pair = tls.selfsigned(["localhost"]);
      const [a, b] = await socket.pair();
      ${options && "socket.peek(a);"}
      const upgrading = [
        socket.starttls(a, { host: "localhost", ca: pair.cert }),
        socket.starttls(b, { cert: pair.cert, key: pair.key }),
      ];
      [a, b].forEach((id) => task.cancel(socket.recv(id)));
      await task.all(upgrading);
      console.log("encrypted");
      // Their reads are nobody's.
      [a, b].forEach((id) => socket.peek(id));`;
    assertEquals(await runOn(source), "encrypted\n");
  });
}
