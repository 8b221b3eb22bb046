// The package as its users meet it: imported from a registry, imported by path, and what it drags in.

import { assert, assertEquals } from "@std/assert";
import * as taskio from "../mod.ts";
import { config, publishedFiles, serveRegistry } from "./registry.ts";

/** A program that imports the package under `specifier` and sends `ping` through it. */
const pingThrough = (specifier: string) => `
  import { socket, task } from ${JSON.stringify(specifier)};
  const server = socket.tcpserver("127.0.0.1", 0);
  const [, port] = socket.getlocal(server);
  const accepted = socket.accept(server);
  const client = await socket.tcpconnect("127.0.0.1", port);
  const peer = await task.await(accepted);
  const sent: number = await task.await(socket.send(client, "ping"));
  const data: Uint8Array = await task.await(socket.recv(peer));
  console.log(sent, new TextDecoder().decode(data));
  for (const id of [client, peer, server]) socket.close(id);
`;

/** Runs `source` from an empty folder: no configuration, no cache, `--allow-net` alone. */
async function run(source: string, env: Record<string, string> = {}): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "taskio_" });
  try {
    await Deno.writeTextFile(`${folder}/main.ts`, source);
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--check", "--no-config", "--no-prompt", "--allow-net", "main.ts"],
      cwd: folder,
      clearEnv: true,
      env: { DENO_DIR: `${folder}/cache`, NO_COLOR: "1", ...env },
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("package imports from a JSR registry", async () => {
  await using registry = await serveRegistry();
  const JSR_URL = `http://127.0.0.1:${registry.addr.port}/`;
  assertEquals(await run(pingThrough(`jsr:${config.name}`), { JSR_URL }), "4 ping\n");
});

Deno.test("package from a registry loads what only some TLS needs, without a permission", async () => {
  await using registry = await serveRegistry();
  const JSR_URL = `http://127.0.0.1:${registry.addr.port}/`;
  const source = `
    import { task, tls } from "jsr:${config.name}";
    const pair = tls.selfsigned(["localhost"]);
    const server = tls.tcpserver("127.0.0.1", 0, { certs: [pair] });
    const accepting = tls.accept(server);
    const client = await tls.tcpconnect(...tls.getlocal(server), "localhost", { ca: pair.cert });
    const peer = await task.await(accepting);
    tls.send(peer, "ping");
    console.log(new TextDecoder().decode(await task.await(tls.recv(client))));
    [client, peer, server].forEach(tls.close);
  `;
  assertEquals(await run(source, { JSR_URL }), "ping\n");
});

/** An upgrade by `socket` alone, whose engines are not there yet; and what is called meanwhile. */
const upgradeWith = (socket: string, task: string) => `
  import * as socket from ${JSON.stringify(socket)};
  import * as task from ${JSON.stringify(task)};
  const options = ${JSON.stringify(taskio.tls.selfsigned(["localhost"]))};
  const pairs = await Promise.all([socket.pair(), socket.pair(), socket.pair()]);
  const [[client, peer], [closed, left], [cancelled, alone]] = pairs;
  // All of it in the turn in which the loading begins.
  const upgrades = [peer, closed, cancelled].map((id) =>
    socket.starttls(id, { side: "server", ...options })
  );
  upgrades.push(socket.starttls(client, { side: "client", host: "localhost", ca: options.cert }));
  const early = socket.recv(peer);
  socket.send(client, "ping");
  socket.close(closed);
  task.cancel(upgrades[2]);
  console.log(upgrades.map(task.status).join(), [closed, cancelled].map(socket.isopen).join());
  const ends = await task.all([socket.recv(left), socket.recv(alone)]);
  console.log(ends.map(({ length }: Uint8Array) => length).join());
  console.log(new TextDecoder().decode(await task.await(early)), socket.istls(peer));
  console.log((task.error(upgrades[1]) as socket.SocketError).code);
  [client, peer, left, alone].forEach(socket.close);
`;
const UPGRADED = "Running,Faulted,Faulted,Running false,false\n0,0\nping true\nECONNABORTED\n";

Deno.test("socket from a registry loads what encrypts when it upgrades, without a permission", async () => {
  await using registry = await serveRegistry();
  const JSR_URL = `http://127.0.0.1:${registry.addr.port}/`;
  const specifier = `jsr:${config.name}`;
  const source = upgradeWith(`${specifier}/socket`, `${specifier}/task`);
  assertEquals(await run(source, { JSR_URL }), UPGRADED);
});

Deno.test("socket by path loads what encrypts when it upgrades, without a permission", async () => {
  const path = (name: string) =>
    decodeURIComponent(new URL(`../${name}/mod.ts`, import.meta.url).pathname);
  assertEquals(await run(upgradeWith(path("socket"), path("task"))), UPGRADED);
});

Deno.test("package exports its namespaces as modules of their own", async () => {
  await using registry = await serveRegistry();
  const JSR_URL = `http://127.0.0.1:${registry.addr.port}/`;
  const source = `
    import * as net from "jsr:${config.name}";
    import * as socket from "jsr:${config.name}/socket";
    import * as task from "jsr:${config.name}/task";
    import * as tls from "jsr:${config.name}/tls";
    console.log(net.socket === socket, net.task === task, net.tls === tls);
  `;
  assertEquals(await run(source, { JSR_URL }), "true true true\n");
});

Deno.test("package imports by absolute path with no configuration", async () => {
  const path = decodeURIComponent(new URL("../mod.ts", import.meta.url).pathname);
  assertEquals(await run(pingThrough(path)), "4 ping\n");
});

/** Which top folders the modules of each top folder may import from. */
const layers: Record<string, string[]> = {
  "mod.ts": ["task", "socket", "tls"],
  task: ["task"],
  socket: ["socket", "task"],
  // Its table of contents also names starttls; no code of the folder leans on tls.
  "socket/mod.ts": ["tls", "socket", "task"],
  tls: ["tls", "socket", "task"],
};

/** The specifiers that a module names in static and dynamic imports. */
function specifiers(source: string): string[] {
  const code = source.replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "");
  const found = code.matchAll(
    /^\s*(?:import|export)\b[^"'`=;]*?\bfrom\s+"([^"]+)"|(?:^\s*import\s|\bimport\()\s*"([^"]+)"/gm,
  );
  return Array.from(found, ([, named, bare]) => named ?? bare);
}

/** The top folder that `specifier`, found in the file at `path`, leads to. */
const layer = (specifier: string, path: string) =>
  new URL(specifier, `file:///${path}`).pathname.split("/")[1];

Deno.test("package imports only node: built-ins and its own lower layers", async () => {
  const wrong: string[] = [];
  for (const [path, source] of await publishedFiles()) {
    if (!path.endsWith(".ts")) continue;
    for (const specifier of specifiers(source)) {
      const ok = specifier.startsWith("node:") ||
        /^\.\.?\//.test(specifier) &&
          (layers[path] ?? layers[path.split("/")[0]]).includes(layer(specifier, path));
      if (!ok) wrong.push(`${path} imports ${specifier}`);
    }
  }
  assertEquals(wrong, []);
});

Deno.test("package takes from the inside of a lower layer what its door passes, and nothing else", async () => {
  const wrong: string[] = [];
  for (const [path, source] of await publishedFiles()) {
    if (!/^(socket|tls)\//.test(path)) continue;
    for (const specifier of specifiers(source)) {
      const target = new URL(specifier, `file:///${path}`).pathname;
      // mod.ts hands the public types on.
      if (path.endsWith("/mod.ts") && target === "/task/core/types.ts") continue;
      if (/^\/task\/core\/(?!mod\.ts$)/.test(target)) wrong.push(`${path} imports ${specifier}`);
    }
  }
  assertEquals(wrong, []);
});

/** How many modules a program loads at its start that imports one of these. */
const LOADED: Record<string, number> = { "task/mod.ts": 28, "socket/mod.ts": 75, "mod.ts": 111 };

for (const [entry, limit] of Object.entries(LOADED)) {
  Deno.test(`${entry} loads no more modules at the start than it did`, async () => {
    const loaded = await loadedBy(entry);
    assert(
      loaded.length <= limit,
      `${entry} loads ${loaded.length} modules, ${limit} are allowed: each costs every program some 0.1 ms. ` +
        "Let a new one be a part of its neighbour, or load it by `import()` in an asynchronous call, or " +
        "import it by `import type`. If every program needs it, raise the number, and measure: " +
        "deno task bench --only 8",
    );
  });
}

Deno.test("package loads no module that holds nothing but types", async () => {
  const files = await publishedFiles();
  const value = /^export (?:async |abstract )?(?:const|let|function|class|\*|\{)|^import "/m;
  assertEquals(
    (await loadedBy("mod.ts")).filter((path) => !value.test(files.get(path)!)),
    [],
    "import them by `import type`, export them by `export type`",
  );
});

Deno.test("package's cores name first whatever is loaded of them", async () => {
  const loaded = await loadedBy("mod.ts");
  const files = await publishedFiles();
  for (const folder of ["task", "socket", "tls"]) {
    const core = `${folder}/core/mod.ts`;
    const [first] = specifiers(files.get(`${folder}/mod.ts`)!);
    assertEquals(first, "./core/mod.ts", `the first import of ${folder}/mod.ts`);
    const named = new Set(
      specifiers(files.get(core)!).map((name) =>
        new URL(name, `file:///${core}`).pathname.slice(1)
      ),
    );
    const missing = loaded.filter((path) =>
      path.startsWith(`${folder}/core/`) && path !== core && !named.has(path)
    );
    assertEquals(missing, [], `these are for ${core} to name, which says why`);
  }
});

Deno.test("package's code has no character beyond U+00FF, for which V8 would take two bytes for each", async () => {
  const files = [...await publishedFiles()].filter(([path]) => path.endsWith(".ts"));
  assertEquals(
    files.filter(([, text]) => /[\u0100-\uffff]/.test(text)).map(([path]) => path),
    [],
    "write ... for an ellipsis, -> for an arrow, \\u in a string",
  );
});

/** The modules of this package that a program loads which imports one of them, as Deno tells. */
async function loadedBy(entry: string): Promise<string[]> {
  const root = new URL("..", import.meta.url);
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--no-config", "--no-lock", entry],
    cwd: root,
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const graph: { roots: string[]; modules: GraphModule[] } = JSON.parse(
    new TextDecoder().decode(stdout),
  );
  const modules = new Map(graph.modules.map((module) => [module.specifier, module]));
  const loaded = new Set(graph.roots);
  for (const specifier of loaded) {
    for (const { code, isDynamic } of modules.get(specifier)?.dependencies ?? []) {
      if (code && !isDynamic && !code.specifier.startsWith("node:")) loaded.add(code.specifier);
    }
  }
  return Array.from(loaded, (specifier) => specifier.slice(root.href.length));
}

/** What `deno info --json` tells of a module. */
interface GraphModule {
  specifier: string;
  /** Types alone have no `code`. */
  dependencies?: { code?: { specifier: string }; isDynamic?: boolean }[];
}

Deno.test("deno doc shows every call of every namespace", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", "mod.ts"],
    cwd: new URL("..", import.meta.url),
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const { nodes } = JSON.parse(new TextDecoder().decode(stdout));
  const [{ symbols }] = Object.values(nodes) as { symbols: DocSymbol[] }[];
  const shown = new Map(symbols.map((symbol) => [symbol.name, membersOf(symbol)]));
  for (const [name, namespace] of Object.entries(taskio)) {
    assertEquals(Object.keys(namespace).filter((member) => !shown.get(name)?.has(member)), []);
  }
});

interface DocSymbol {
  name: string;
  declarations: { kind: string; def?: { elements?: { name: string }[] } }[];
}

function membersOf({ declarations }: DocSymbol): Set<string> {
  return new Set(
    declarations.flatMap(({ def }) => def?.elements ?? []).map(({ name }) => name),
  );
}
