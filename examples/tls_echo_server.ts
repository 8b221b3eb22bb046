// A TLS echo server for any number of clients at once, until Ctrl-C. Without --cert and --key it
// makes a certificate for localhost, which clients trust that are given it:
//
//     deno run --allow-net --allow-write examples/tls_echo_server.ts --save cert.pem
//     openssl s_client -connect 127.0.0.1:8443 -CAfile cert.pem -quiet      (in another terminal)

import { socket, task, tls } from "@taskio/net";
import {
  closeOnInterrupt,
  fileFailure,
  formatAddress,
  integer,
  optional,
  readPair,
  run,
  text,
} from "./cli.ts";

/** Echoes until the client ends its side. When it returns, the connection is closed. */
async function echo(client: socket.SocketId): Promise<void> {
  for (;;) {
    const data = await task.await(tls.recv(client));
    if (data.length === 0) return;
    await task.await(tls.send(client, data));
  }
}

interface Options {
  host: string;
  port: number;
  cert: string;
  key: string;
  save: string;
}

async function tlsEchoServer({ host, port, save, ...files }: Options): Promise<void> {
  closeOnInterrupt();

  // Without a certificate, the server makes one in memory
  const server = tls.tcpserver(host, port, readPair(files));
  showCertificate(tls.certificate(server), save);
  console.log(`TLS echo server running on ${formatAddress(tls.getlocal(server))}`);

  const serving = tls.serve(server, async (client) => {
    console.log(`Client ${client} connected from ${formatAddress(tls.getpeer(client))}`);
    await echo(client);
    console.log(`Client ${client} has ended`);
  }, {
    // What happens to one client is no concern of the others
    onError(error, client) {
      if (socket.isopen(server)) console.error(`Client ${client}:`, (error as Error).message);
    },
  });
  await task.await(serving);
}

/** Saves the certificate, or prints it. The key stays in memory. */
function showCertificate(cert: string, path: string): void {
  if (path === "") return console.log(cert.trimEnd());
  try {
    Deno.writeTextFileSync(path, cert);
  } catch (error) {
    throw fileFailure("--save: cannot write", path, error);
  }
  console.log(`Certificate saved to ${path}`);
}

if (import.meta.main) {
  await run({
    name: "tls_echo_server",
    about: "Echoes over TLS what each client sends, many clients at once, until Ctrl-C.",
    permissions: "--allow-net --allow-read --allow-write",
    flags: {
      host: text("127.0.0.1", "Address to listen on"),
      port: integer(8443, 0, 65535, "Port to listen on, 0 for any free one"),
      cert: optional("file", "Certificate to show, PEM; made in memory without"),
      key: optional("file", "Private key of --cert, PEM"),
      save: optional("file", "Where to save the certificate instead of printing it"),
    },
    main: tlsEchoServer,
  });
}
