import { assertEquals, assertLess, assertMatch, assertStringIncludes } from "@std/assert";
import { runProgram } from "./program.ts";

Deno.test("demo ends by itself in a few seconds with exit code 0", async () => {
  const began = performance.now();
  const { code, stdout, stderr } = await runProgram("demo");
  assertEquals([code, stderr], [0, ""]);
  assertLess(performance.now() - began, 15_000);
  for (
    const line of [
      /tcpserver\("127\.0\.0\.1", 0\) +→ socket \d+, listens on 127\.0\.0\.1:\d+/,
      /accept\(\d+\) +→ task \d+: Running/,
      /Eva receives on socket \d+ +→ "I am Eva"/,
      /status\(\d+\), 5 ms later +→ Running/,
      /cancel\(\d+\) +→ task \d+: Faulted/,
      /await\(\d+\), the next recv of \d+ +→ "still here"/,
      /127\.0\.0\.1:\d+ +→ open \(is silent\)/,
      /127\.0\.0\.1:\d+ +→ closed \(nobody listens\)/,
      /tls\.tcpconnect\(…, "beta\.test"\) +→ socket \d+, its certificate is for beta\.test/,
      /tls\.recv\(\d+\) +→ "hello, alpha\.test"/,
      /tls\.connect\(…, "gamma\.test"\) +→ task \d+: Faulted, ERR_TLS_CERT_ALTNAME_INVALID/,
      /recvLine\(\d+\) +→ "STARTTLS", istls\(\d+\) is false/,
      /istls\(\d+\), istls\(\d+\) +→ true, true: the same two sockets, encrypted/,
      /task\.list\(\) +→ 0 unclaimed tasks/,
    ]
  ) assertMatch(stdout, line);
  assertStringIncludes(stdout, "\nAll as expected.\n");
});

Deno.test("demo explains itself with --help and refuses flags", async () => {
  const help = await runProgram("demo", "--help");
  assertEquals([help.code, help.stderr], [0, ""]);
  assertStringIncludes(
    help.stdout,
    "Usage: deno run --allow-net=127.0.0.1 examples/demo.ts [flags]",
  );
  const wrong = await runProgram("demo", "--prot=1");
  assertEquals([wrong.code, wrong.stdout], [2, ""]);
  assertStringIncludes(wrong.stderr, 'Unknown flag or argument "--prot=1"');
});
