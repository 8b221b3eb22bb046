// HAProxy and nginx, as peers that share no code with this module.

/** Whether HAProxy is installed. */
export const hasHaproxy: boolean = await runs("haproxy", "-v");

/** Where Debian puts nginx's modules that are loaded on demand. */
const STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so";

/** Whether nginx is installed, and with it the module that relays TCP. */
export const hasNginx: boolean = await runs("nginx", "-v") && exists(STREAM_MODULE);

async function runs(program: string, ...args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false; // thrown at the call, not rejected with
    throw error;
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** A balancer under way, which listens already. Disposing of it ends it. */
export interface Balancer extends AsyncDisposable {
  /** Its port on 127.0.0.1 and, if its configuration says so, on ::1. */
  readonly port: number;
  /** A folder of its own, gone with it. */
  readonly folder: string;
}

/** A HAProxy that one can ask. */
export interface Haproxy extends Balancer {
  /** Gives the answer to a command of its management guide, such as `show servers state`. */
  ask(command: string): Promise<string>;
}

/** This process's ports, and the next of them: another suite beside this one takes others. */
const FIRST = 12_000 + (Deno.pid % 200) * 100;
let next = 0;

/**
 * Ports that are free now. They lie below those that the system gives out itself, so that no connection
 * is given them meanwhile.
 */
export function freePorts(count: number): number[] {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = FIRST + next++ % 100;
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      ports.push(port);
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  return ports;
}

/**
 * Starts HAProxy.
 *
 * @param configuration Makes its text for a port to listen on and a folder; it must have the line
 * `stats socket FOLDER/admin.sock level admin`.
 * @param env What the text refers to, for the same port and folder.
 */
export async function startHaproxy(
  configuration: (port: number, folder: string) => string,
  env: (port: number, folder: string) => Record<string, string> = () => ({}),
): Promise<Haproxy> {
  const balancer = await start(configuration, {
    command: "haproxy",
    args: (file) => ["-db", "-f", file],
    env,
    isUp: (folder) => ask(folder, "show info").then((text) => text.includes("Uptime_sec"), no),
  });
  return { ...balancer, ask: (command) => ask(balancer.folder, command) };
}

async function ask(folder: string, command: string): Promise<string> {
  using conn = await Deno.connect({ transport: "unix", path: `${folder}/admin.sock` });
  await conn.write(new TextEncoder().encode(`${command}\n`));
  const decoder = new TextDecoder();
  const data = new Uint8Array(16384);
  let text = "";
  for (let n; (n = await conn.read(data)) !== null;) text += decoder.decode(data.subarray(0, n));
  return text;
}

/** Starts nginx with a block of its `stream` module. */
export function startNginx(stream: (port: number) => string): Promise<Balancer> {
  const configuration = (port: number, folder: string) => `
    load_module ${STREAM_MODULE};
    daemon off;
    master_process off;
    pid ${folder}/nginx.pid;
    error_log stderr;
    events {}
    stream { ${stream(port)} }
  `;
  return start(configuration, {
    command: "nginx",
    args: (file) => ["-e", "stderr", "-c", file],
    env: () => ({}),
    // It writes the file when it listens.
    isUp: (folder) => Deno.readTextFile(`${folder}/nginx.pid`).then((text) => text !== "", no),
  });
}

const no = () => false;

interface Start {
  readonly command: string;
  readonly args: (file: string) => string[];
  readonly env: (port: number, folder: string) => Record<string, string>;
  isUp(folder: string): Promise<boolean>;
}

async function start(
  configuration: (port: number, folder: string) => string,
  { command, args, env, isUp }: Start,
): Promise<Balancer> {
  for (let attempt = 1;; attempt++) {
    const folder = await Deno.makeTempDir({ prefix: "taskio_" });
    const [port] = freePorts(1);
    const file = `${folder}/configuration`;
    await Deno.writeTextFile(file, `${configuration(port, folder).trimEnd()}\n`);
    const process = new Deno.Command(command, {
      args: args(file),
      env: env(port, folder),
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const said = new Response(process.stderr).text();
    let ended = false;
    process.status.then(() => ended = true);
    const end = async () => {
      if (!ended) process.kill("SIGKILL");
      await process.status;
      const text = await said;
      await Deno.remove(folder, { recursive: true });
      return text;
    };

    const limit = performance.now() + 30_000;
    while (!ended && performance.now() < limit) {
      if (await isUp(folder)) {
        return {
          port,
          folder,
          async [Symbol.asyncDispose]() {
            await end();
          },
        };
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const text = await end();
    // Another program has taken the port meanwhile.
    if (attempt < 5 && /bind|in use/i.test(text)) continue;
    throw new Error(`${command} does not start:\n${text}`);
  }
}
