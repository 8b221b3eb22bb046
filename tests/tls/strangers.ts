/**
 * A program that many strangers visit, to see what is left of them: memory, descriptors, timers (a
 * program that a timer holds does not end).
 *
 * `deno run -A --v8-flags=--expose-gc tests/tls/strangers.ts DOOR COUNT [KIND]…` has strangers of each
 * kind (or all kinds) come in turn, first some to warm up, then COUNT, and prints for each kind what has
 * grown per visit, as JSON.
 */
import { connect } from "node:tls";
import { socket, task, tls } from "../../mod.ts";
import { openDescriptors } from "../descriptors.ts";
import { until } from "../settle.ts";
import { authority, ca, clientHello, inspectListener, pair } from "./helpers.ts";

/** How a stranger behaves until the server hangs up. */
type Kind = (address: socket.Address) => Promise<void>;

const hello = await clientHello();
const stranger = tls.selfsigned(["client.test"]);

/** A ClientHello of TLS 1.1: version, random, no session, one suite, no compression. */
const old = new Uint8Array([22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2, ...new Uint8Array(33)]);
const oldHello = new Uint8Array([...old, 0, 2, 0, 0x2f, 1, 0]);

/** Sends bytes, and waits for the end. */
function sends(bytes: Uint8Array): Kind {
  return async ([hostname, port]) => {
    const conn = await Deno.connect({ hostname, port });
    try {
      if (bytes.length > 0) await conn.write(bytes);
      while (await conn.read(new Uint8Array(4096)) !== null);
    } catch {
      // The server was rude, which is its right.
    } finally {
      conn.close();
    }
  };
}

const text = (text: string) => new TextEncoder().encode(text);

export const kinds: Record<string, Kind> = {
  "silent": sends(new Uint8Array(0)),
  "one byte": sends(new Uint8Array([22])),
  "half a hello": sends(hello.subarray(0, hello.length / 2)),
  "garbage": sends(new Uint8Array(300).fill(22)),
  "plain HTTP": sends(text("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")),
  "hello, then silence": sends(hello),
  "hello, then garbage": sends(new Uint8Array([...hello, ...new Uint8Array(300)])),
  "wrong version": sends(oldHello),
  async "refused certificate"([host, port]) {
    await new Promise<void>((resolve) => {
      const socket = connect({ host, port, ca, ...stranger, servername: "server.test" });
      socket.on("error", () => {});
      socket.on("data", () => {});
      socket.on("close", () => resolve());
    });
  },
  async "reset"([host, port]) {
    const { connect } = await import("node:net");
    await new Promise<void>((resolve) => {
      const socket = connect(
        { host, port },
        () => socket.write(hello, () => socket.resetAndDestroy()),
      );
      socket.on("error", () => {});
      socket.on("close", () => resolve());
    });
  },
};

const three = [pair, ...["a.test", "b.test"].map((name) => authority.issue([name]))];
const limits = { handshakeTimeout: 100, maxHandshakes: 10_000 };

/** Something to visit, and how many were turned away. */
interface Door {
  readonly address: socket.Address;
  dropped(): number;
  close(): void;
}

function listener(options: tls.TlsListenOptions): Door {
  const server = tls.tcpserver("127.0.0.1", 0, { ...options, ...limits });
  task.forget(tls.accept(server));
  return {
    address: tls.getlocal(server),
    dropped: () => inspectListener(server).dropped,
    close: () => tls.close(server),
  };
}

function upgrade(options: tls.StarttlsServerOptions): Door {
  const server = socket.tcpserver("127.0.0.1", 0, 1024);
  let dropped = 0;
  const timeout = limits.handshakeTimeout;
  const serving = socket.serve(server, async (id) => {
    const upgrading = socket.starttls(id, { ...options, handshakeTimeout: timeout });
    await task.await(upgrading).catch(() => dropped++);
  }, { onError: () => {} });
  task.forget(serving);
  return {
    address: socket.getlocal(server),
    dropped: () => dropped + inspectListener(server).dropped,
    close: () => socket.close(server),
  };
}

const doors: Record<string, (options: tls.TlsServerSettings) => Door> = {
  "one certificate": (options) => listener({ ...pair, ...options }),
  "three certificates": (options) => listener({ certs: three, ...options }),
  "starttls": (options) => upgrade({ certs: three, ...options }),
};
export const doorNames: string[] = Object.keys(doors);

const AT_ONCE = 50;

if (import.meta.main) {
  const [door, count, ...chosen] = Deno.args;
  const n = Number(count);
  const { address, dropped, close } = doors[door]({ requestCert: true, ca });
  const { gc } = globalThis as unknown as { gc(): void };

  const visits = async (visit: Kind, n: number): Promise<void> => {
    const before = dropped();
    let begun = 0;
    const one = async () => {
      while (begun < n) {
        begun++;
        await visit(address);
        // Whoever resets at once must not be faster than the backlog is long.
        await until(() => begun - (dropped() - before) < 2 * AT_ONCE);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    await until(() => dropped() === before + n);
  };

  const measure = async () => {
    for (let i = 0; i < 4; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      gc();
    }
    const { heapUsed, external, rss } = Deno.memoryUsage();
    return { heap: heapUsed, external, rss, descriptors: openDescriptors() };
  };

  for (const kind of chosen.length > 0 ? chosen : Object.keys(kinds)) {
    await visits(kinds[kind], Math.max(AT_ONCE, n / 10));
    const before = await measure();
    await visits(kinds[kind], n);
    const after = await measure();
    const grown = (name: keyof typeof before) => Math.round((after[name] - before[name]) / n);
    console.log(JSON.stringify({
      kind,
      heap: grown("heap"),
      external: grown("external"),
      rss: grown("rss"),
      descriptors: after.descriptors - before.descriptors,
    }));
  }
  close();
}
