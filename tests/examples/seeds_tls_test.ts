// The two TLS examples of the documents that this module began with, word for word but for the hosts:
// a local server stands in for the public ones, and its certificate is given as `ca`.

import { assertEquals, assertStringIncludes } from "@std/assert";
import { socket, task, tls } from "@taskio/net";

const certs = ["example.com", "api.example.com"].map((name) => tls.selfsigned([name]));
const ca = certs.map(({ cert }) => cert);

/** A web server with a certificate for each name, which tells what it was asked. */
class Server implements AsyncDisposable {
  readonly #id = tls.tcpserver("127.0.0.1", 0, { certs });
  readonly port = tls.getlocal(this.#id)[1];
  readonly requests: string[] = [];
  readonly #serving = tls.serve(this.#id, async (client) => {
    const head = new TextDecoder().decode(await task.await(tls.recvUntil(client, "\r\n\r\n")));
    this.requests.push(head.split("\r\n").slice(0, 2).join(", "));
    const body = `asked for ${tls.info(client).sni}`;
    const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    await task.await(tls.send(client, answer));
  });

  async [Symbol.asyncDispose](): Promise<void> {
    tls.close(this.#id);
    await task.await(this.#serving);
    assertEquals(socket.list(), []);
  }
}

Deno.test("seed example: HTTPS request over TLS", async () => {
  await using server = new Server();
  const printed: string[] = [];
  const println = (text: string) => printed.push(text);

  // Connect with TLS
  const conn = await tls.tcpconnect("127.0.0.1", server.port, "example.com", { ca });
  println("TLS connection established");

  // Build a minimal HTTP/1.1 request
  const request = "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n";
  await task.await(tls.send(conn, new TextEncoder().encode(request)));

  // Read the response (may need multiple recv calls for large responses)
  const response = await task.await(tls.recv(conn));
  println(new TextDecoder().decode(response));

  tls.close(conn);

  assertEquals(printed[0], "TLS connection established");
  assertStringIncludes(printed[1], "HTTP/1.1 200 OK");
  assertStringIncludes(printed[1], "asked for example.com");
  assertEquals(server.requests, ["GET / HTTP/1.1, Host: example.com"]);
});

Deno.test("seed example: TLS client with SNI", async () => {
  await using server = new Server();
  const printed: string[] = [];
  const println = (text: string) => printed.push(text);

  // SNI lets the server select the correct certificate for "api.example.com"
  const conn = await tls.tcpconnect("127.0.0.1", server.port, "api.example.com", { ca });
  const subject = tls.info(conn).peerCertificate?.subject;

  const request = "GET /status HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n";
  await task.await(tls.send(conn, new TextEncoder().encode(request)));

  const data = await task.await(tls.recv(conn));
  println(`Response length: ${data.length} bytes`);

  tls.close(conn);

  assertEquals(subject, "api.example.com");
  assertEquals(printed, ["Response length: 64 bytes"]);
  assertEquals(server.requests, ["GET /status HTTP/1.1, Host: api.example.com"]);
});
