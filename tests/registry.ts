// Serves this package on loopback the way JSR would, so that a test can import it from there.

const root = new URL("../", import.meta.url);

/** What `deno.json` says about the package. */
export const config: {
  name: string;
  version: string;
  exports: Record<string, string>;
  publish: { include: string[] };
} = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));

/** The text of every published file, by its path in the package (`"socket/mod.ts"`). */
export async function publishedFiles(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  async function visit(path: string): Promise<void> {
    const url = new URL(path, root);
    if ((await Deno.stat(url)).isFile) {
      files.set(path, await Deno.readTextFile(url));
      return;
    }
    for await (const entry of Deno.readDir(url)) await visit(`${path}/${entry.name}`);
  }
  for (const path of config.publish.include) await visit(path);
  return files;
}

/** A registry on a free port of 127.0.0.1 that holds this one package. */
export async function serveRegistry(): Promise<Deno.HttpServer<Deno.NetAddr>> {
  const { name, version, exports } = config;
  const scope = name.slice(1).split("/")[0];
  const answers = new Map<string, string>();
  const manifest: Record<string, { size: number; checksum: string }> = {};
  for (const [path, text] of await publishedFiles()) {
    const bytes = new TextEncoder().encode(text);
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    manifest[`/${path}`] = { size: bytes.length, checksum: `sha256-${hash}` };
    answers.set(`/${name}/${version}/${path}`, text);
  }
  answers.set(
    `/${name}/meta.json`,
    JSON.stringify({
      scope,
      name: name.split("/")[1],
      latest: version,
      versions: { [version]: {} },
    }),
  );
  answers.set(`/${name}/${version}_meta.json`, JSON.stringify({ manifest, exports }));
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const answer = answers.get(new URL(request.url).pathname);
    return answer === undefined ? new Response(null, { status: 404 }) : new Response(answer);
  });
}
