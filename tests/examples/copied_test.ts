// Examples of one file: a reader copies it and it runs.

import { assertEquals, assertGreater, assertStringIncludes } from "@std/assert";
import { Folder } from "./folder.ts";

const examples = new URL("../../examples/", import.meta.url);

/** The sources of the examples that stand alone, by name. */
const sources: Map<string, string> = new Map();
for (const { name } of Deno.readDirSync(examples)) {
  // The first is for the examples that are folders, the second runs all the others.
  if (!name.endsWith(".ts") || ["cli.ts", "demo.ts"].includes(name)) continue;
  sources.set(name, Deno.readTextFileSync(new URL(name, examples)));
}

/** Runs a copy of an example in a folder where nothing else is. */
async function runCopy(name: string, ...args: string[]) {
  using folder = new Folder();
  folder.write(name, sources.get(name)!);
  // What `deno add jsr:@taskio/net` writes, but that it leads to this clone.
  const imports = { "@taskio/net": new URL("../mod.ts", examples).href };
  folder.write("deno.json", JSON.stringify({ imports }));
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--no-remote", "--no-npm", name, ...args],
    cwd: folder.path,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

for (const name of sources.keys()) {
  Deno.test(`${name} runs when it is copied alone`, async () => {
    const { code, stdout, stderr } = await runCopy(name, "--help");
    assertEquals([code, stderr], [0, ""]);
    assertStringIncludes(stdout, `examples/${name} [flags]`);
  });

  Deno.test(`${name} says how to copy it`, () => {
    const [head] = sources.get(name)!.split("\n\n");
    assertStringIncludes(head, "// One file to copy: all it needs is `deno add jsr:@taskio/net`.");
  });
}

/** What stands between the top-level declarations of a file: each with its comment, by name. */
function declarations(source: string): Map<string, string> {
  const found = new Map<string, string>();
  const comment = String.raw`^(?:/\*\*(?:[^*]|\*(?!/))*\*/\n)?`;
  const begin = String.raw`(?:async )?(?:function\*?|class|const) (\w+)`;
  const end = String.raw`(?:^[})\]]+;?$|\{\}$)`;
  const pattern = RegExp(`${comment}${begin}[^]*?${end}`, "gm");
  for (const [text, name] of source.matchAll(pattern)) found.set(name, text);
  return found;
}

Deno.test("examples have the same text where they share a function", () => {
  const shared = new Map<string, Set<string>>();
  const holders = new Map<string, number>();
  for (const source of sources.values()) {
    const commandLine = source.slice(source.indexOf("// The command line. "));
    for (const [name, text] of declarations(commandLine)) {
      if (!shared.has(name)) shared.set(name, new Set());
      shared.get(name)!.add(text);
      holders.set(name, (holders.get(name) ?? 0) + 1);
    }
  }
  const everywhere = ["UsageError", "Failure", "KINDS", "matches", "readFlags", "explain", "run"];
  assertEquals(everywhere.map((name) => holders.get(name)), everywhere.map(() => sources.size));
  assertEquals(everywhere.map((name) => shared.get(name)!.size), everywhere.map(() => 1));

  for (const name of ["untilInterrupt", "formatAddress", "readFile", "readPair", "showProgress"]) {
    const texts = sources.values().map((source) => declarations(source).get(name)).toArray();
    const distinct = new Set(texts.filter((text) => text !== undefined));
    assertEquals(distinct.size, 1, name);
  }
});

Deno.test("README of the examples names each of them", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", examples));
  for (const { name, isDirectory } of Deno.readDirSync(examples)) {
    if (name !== "README.md") {
      assertStringIncludes(readme, isDirectory ? `${name}/` : `[\`${name}\`]`);
    }
  }
});

Deno.test("examples cancel what they give up waiting for", () => {
  const waits: string[] = [];
  const visit = (folder: URL) => {
    for (const { name, isDirectory } of Deno.readDirSync(folder)) {
      if (isDirectory) visit(new URL(`${name}/`, folder));
      if (!name.endsWith(".ts")) continue;
      const source = Deno.readTextFileSync(new URL(name, folder));
      // The options of an await, and not of the call that it waits for.
      const pattern = /task\.await\([^;]*?\), (\{[^{}]*\btimeout\b[^{}]*\})\)/g;
      for (const [, options] of source.matchAll(pattern)) waits.push(`${name}: ${options}`);
    }
  };
  visit(examples);
  assertGreater(waits.length, 5);
  assertEquals(waits.filter((options) => !options.includes("cancel: true")), []);
});
