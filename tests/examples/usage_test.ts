// What all the examples have in common: --help and the refusal of wrong flags.

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { PERMISSIONS, runProgram } from "./program.ts";

/** The flags of each program: those that take text, and what else there is. */
const PROGRAMS: Record<string, { texts: string[]; others: string[]; switches?: string[] }> = {
  echo_server: { texts: ["host"], others: ["port"] },
  echo_client: { texts: ["host", "message"], others: ["port", "timeout"] },
  persistent_echo_server: { texts: ["host"], others: ["port"] },
  port_scanner: { texts: ["host"], others: ["from", "to", "timeout", "concurrency"] },
  https_get: { texts: ["host", "sni", "path", "ca"], others: ["port", "timeout"] },
  tls_echo_server: { texts: ["host", "cert", "key", "save"], others: ["port"] },
  starttls_smtp_probe: {
    texts: ["host", "sni", "name", "ca"],
    others: ["port", "timeout"],
    switches: ["any-name"],
  },
  tcp_proxy: {
    texts: ["cert", "key", "sni", "ca"],
    others: ["listen", "target", "timeout"],
    switches: ["target-tls"],
  },
  multicore_server: {
    texts: ["host"],
    others: ["port", "processes", "grace"],
    switches: ["one"],
  },
  "behind_haproxy/server": {
    texts: ["name", "host"],
    others: ["port", "agent", "patience", "grace"],
  },
  "monitor/monitor": { texts: ["path"], others: ["every"], switches: ["once"] },
  "monitor/sample": { texts: ["path"], others: ["port", "clients"] },
  "wasm_guest/host": { texts: ["host"], others: ["port", "frame"] },
  "wasm_guest/fibres_host": { texts: ["host"], others: ["port"] },
  "python_host/host": { texts: ["program", "host", "path"], others: ["port"] },
  "wasi_host/host": { texts: ["program", "host"], others: ["port"], switches: ["tls"] },
};

for (const [name, { texts, others, switches = [] }] of Object.entries(PROGRAMS)) {
  const permissions = ["--allow-net", ...PERMISSIONS[name] ?? []].join(" ");

  for (const help of ["--help", "-h"]) {
    Deno.test(`${name} explains its flags with ${help}`, async () => {
      const { code, stdout, stderr } = await runProgram(name, help);
      assertEquals([code, stderr], [0, ""]);
      assertStringIncludes(stdout, `Usage: deno run ${permissions} examples/${name}.ts [flags]`);
      for (const flag of [...texts, ...others]) {
        assertMatch(stdout, RegExp(`^ +--${flag} <.+> +.+default: `, "m"));
      }
      for (const flag of switches) assertMatch(stdout, RegExp(`^ +--${flag} +`, "m"));
    });
  }

  const wrong: [args: string[], message: string][] = [
    [["--prot", "1"], `Unknown flag or argument "--prot"`],
    [["-p", "1"], `Unknown flag or argument "-p"`],
    [["1"], `Unknown flag or argument "1"`],
    [["--", "1"], `Unknown flag or argument "1"`],
    [[`--${texts[0]}`], `--${texts[0]} takes `],
  ];
  for (const flag of texts) wrong.push([[`--${flag}=`], `current value is ""`]);
  for (const flag of others) {
    for (const value of ["", "x", "1.5", "-1", "99999999"]) {
      wrong.push([[`--${flag}=${value}`], `current value is "${value}"`]);
    }
  }
  Deno.test(`${name} refuses wrong flags with its usage and exit code 2`, async () => {
    const outcomes = await Promise.all(wrong.map(([args]) => runProgram(name, ...args)));
    for (const [i, { code, stdout, stderr }] of outcomes.entries()) {
      const message = wrong[i][1];
      assertEquals([code, stdout], [2, ""]);
      assertStringIncludes(stderr, `${name}: `);
      assertStringIncludes(stderr, message);
      assertStringIncludes(stderr, "Usage: deno run");
    }
  });
}

Deno.test("port_scanner refuses a range that ends before it begins", async () => {
  const { code, stderr } = await runProgram("port_scanner", "--from=2", "--to=1");
  assertEquals(code, 2);
  assertStringIncludes(stderr, "--from must not be greater than --to");
});

const REFUSED: [name: string, args: string[], message: string][] = [
  ["https_get", ["--path=page"], `--path takes /text: current value is "page"`],
  ["https_get", ["--path=/a b"], `--path takes /text: current value is "/a b"`],
  ["https_get", ["--path=/ HTTP/1.1\r\nX: y"], "--path takes /text"],
  ["https_get", ["--sni=a..b"], `--sni takes name: current value is "a..b"`],
  ["starttls_smtp_probe", ["--name=a\r\nQUIT"], "--name takes word"],
  ["tls_echo_server", ["--cert=c.pem"], "--cert and --key belong together"],
  ["tcp_proxy", ["--key=k.pem"], "--cert and --key belong together"],
  ["tcp_proxy", ["--sni=a.test"], "--sni and --ca belong to --target-tls"],
  ["tcp_proxy", ["--target=127.0.0.1"], `--target takes host:port: current value is "127.0.0.1"`],
  ["tcp_proxy", ["--target=127.0.0.1:0"], "--target takes host:port"],
  ["tcp_proxy", ["--target=::1:80"], "--target takes host:port"],
  ["tcp_proxy", ["--target=[::1]:65536"], "--target takes host:port"],
];

for (const [name, args, message] of REFUSED) {
  Deno.test(`${name} refuses ${JSON.stringify(args.join(" "))}`, async () => {
    const { code, stderr } = await runProgram(name, ...args);
    assertEquals(code, 2);
    assertStringIncludes(stderr, `${name}: ${message}`);
  });
}

Deno.test("https_get says which file it cannot read", async () => {
  assertEquals(await runProgram("https_get", "--ca=no/such.pem"), {
    code: 1,
    stdout: "",
    stderr: `https_get: --ca: cannot read "no/such.pem": No such file or directory (os error 2): ` +
      `readfile 'no/such.pem'\n`,
  });
});
