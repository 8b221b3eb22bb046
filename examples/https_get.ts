// An HTTPS request over TLS by hand: HTTP/1.1, any length of answer. The body goes to standard
// output as it comes, everything else to standard error.
//
//     deno run --allow-net examples/https_get.ts --host example.com --path / > page.html
//
// With --sni the server is asked for a name other than the host:
//
//     deno run --allow-net examples/https_get.ts --host 203.0.113.10 --sni api.example.com

import { task, tls } from "@taskio/net";
import { integer, matching, optional, readFile, run, serverName, text } from "./cli.ts";
import { readResponse } from "./http_response.ts";

interface Options {
  host: string;
  port: number;
  sni: string;
  path: string;
  ca: string | undefined;
  timeout: number;
}

async function httpsGet({ host, port, sni, path, ca, timeout }: Options): Promise<void> {
  // The name that the certificate must be for is --sni, or the host
  const conn = await tls.tcpconnect(host, port, sni, { ca, timeout, alpn: ["http/1.1"] });
  try {
    console.error("TLS connection established");

    const name = sni || host;
    const authority = name.includes(":") && !name.startsWith("[") ? `[${name}]` : name;
    const request = `GET ${path} HTTP/1.1\r\n` +
      `Host: ${authority}${port === 443 ? "" : `:${port}`}\r\n` +
      `Connection: close\r\n\r\n`;
    await task.await(tls.send(conn, request), { timeout });

    const { line, headers, body } = await readResponse(conn, timeout);
    console.error(line);
    for (const [name, value] of headers) console.error(`${name}: ${value}`);

    // Receive as many times as it takes
    let length = 0;
    for await (const data of body) {
      length += data.length;
      await writeAll(data);
    }
    console.error(`Response length: ${length} bytes`);
  } finally {
    tls.close(conn);
  }
}

async function writeAll(data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length;) at += await Deno.stdout.write(data.subarray(at));
}

if (import.meta.main) {
  await run({
    name: "https_get",
    about: "Requests a page over HTTPS and prints its body.",
    permissions: "--allow-net --allow-read",
    flags: {
      host: text("example.com", "Address or name of the server"),
      port: integer(443, 1, 65535, "Port of the server"),
      sni: serverName("Name to ask the server for, if it is not --host"),
      path: matching(/^\/[!-~]*$/, "/text", "/", "What to request"),
      ca: optional("file", "Certificates to trust besides the system's, PEM"),
      timeout: integer(10_000, 1, 3_600_000, "Longest wait for each step, in milliseconds"),
    },
    main: ({ ca, ...options }) => httpsGet({ ...options, ca: readFile("ca", ca) }),
  });
}
