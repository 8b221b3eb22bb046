// A TCP proxy: relays every connection to a target, with or without TLS on either side.
//
//     deno run --allow-net examples/tcp_proxy.ts --listen 127.0.0.1:9000 --target 127.0.0.1:8080
//
// With --cert and --key it is a TLS terminator: clients speak TLS to it, the target need not.
// With --target-tls it is the reverse: the target speaks TLS, clients need not.

import { socket, task, tls } from "@taskio/net";
import {
  address,
  closeOnInterrupt,
  formatAddress,
  integer,
  optional,
  readFile,
  readPair,
  run,
  serverName,
  toggle,
  UsageError,
} from "./cli.ts";

interface Options {
  listen: socket.Address;
  target: socket.Address;
  pair: tls.CertificatePair | undefined;
  connect(): Promise<socket.SocketId>;
}

async function tcpProxy({ listen, target, pair, connect }: Options): Promise<void> {
  closeOnInterrupt();
  // As a list, the certificate is served by Node's TLS, which is rid of silent clients at once
  const server = pair === undefined
    ? socket.tcpserver(...listen)
    : tls.tcpserver(...listen, { certs: [pair] });
  console.log(
    `Proxy to ${formatAddress(target)} running on ${formatAddress(socket.getlocal(server))}`,
  );

  /** Relays one connection. When it returns or throws, the client's connection is closed. */
  const handle = async (client: socket.SocketId) => {
    const from = formatAddress(socket.getpeer(client));
    console.log(`Client ${client} connected from ${from}`);
    const upstream = await connect();
    try {
      const [up, down] = await task.await(socket.relay(client, upstream));
      console.log(`Client ${client} has ended: ${up} bytes to the target, ${down} bytes back`);
    } finally {
      socket.close(upstream);
    }
  };
  const serving = socket.serve(server, handle, {
    // What happens to one client is no concern of the others
    onError(error, client) {
      if (socket.isopen(server)) console.error(`Client ${client}:`, (error as Error).message);
    },
  });
  await task.await(serving);
}

if (import.meta.main) {
  await run({
    name: "tcp_proxy",
    about: "Relays TCP connections to a target, with or without TLS on either side, until Ctrl-C.",
    permissions: "--allow-net --allow-read",
    flags: {
      listen: address(["127.0.0.1", 9000], "Address to listen on, port 0 for any free one", true),
      target: address(["127.0.0.1", 8080], "Where to relay to"),
      cert: optional("file", "Certificate to listen with TLS, PEM"),
      key: optional("file", "Private key of --cert, PEM"),
      "target-tls": toggle("Connect to the target with TLS"),
      sni: serverName("Name to ask the target for, if it is not its host"),
      ca: optional("file", "Certificates of the target to trust besides the system's, PEM"),
      timeout: integer(10_000, 1, 3_600_000, "Longest wait for the target, in milliseconds"),
    },
    main: ({ listen, target, timeout, ...flags }) => {
      const secure = flags["target-tls"];
      if (!secure && flags.sni + flags.ca !== "") {
        throw new UsageError("--sni and --ca belong to --target-tls");
      }
      const ca = readFile("ca", flags.ca);
      const connect = secure
        ? () => tls.tcpconnect(...target, flags.sni, { ca, timeout })
        : () => socket.tcpconnect(...target, { timeout });
      return tcpProxy({ listen, target, pair: readPair(flags), connect });
    },
  });
}
