// Which tests concern which file: those that are nearest to it first, then all that may notice a change.

import { basename } from "node:path/posix";

/** Files whose tests are fast. */
export const FILES: string[] = [
  ...["await", "cancel", "channel", "clock", "combine", "completions", "inspect", "mutex", "select"]
    .map((name) => `task/${name}.ts`),
  ...["settings", "settled", "spawn", "take"].map((name) => `task/${name}.ts`),
  ...["bound", "check", "errors", "ids", "now", "queue", "record"]
    .map((name) => `task/core/${name}.ts`),
  ...["sparse", "stack", "table", "unseen", "work"].map((name) => `task/core/${name}.ts`),
  ...["codes", "proxy_header"].map((name) => `socket/core/${name}.ts`),
];

/** The nearest tests of a file, by its name without `.ts`, where they are not called like the file. */
export const NEAREST: Record<string, string[]> = {
  "task/channel": ["task/channel", "task/select"],
  "task/clock": ["task/clock", "task/after", "task/arguments"],
  "task/combine": ["task/combine", "task/arguments", "task/stack"],
  "task/completions": ["task/completions", "task/stack"],
  "task/select": ["task/select", "task/arguments"],
  "task/core/bound": ["task/await", "task/wait", "task/hub", "task/mutex", "task/settled"],
  "task/core/check": ["task/arguments", "task/clock", "task/unclaimed", "socket/arguments"],
  "task/core/errors": ["task/cancel", "task/await", "task/channel", "task/ids", "task/copies"],
  "task/core/queue": ["task/cancel", "task/channel", "task/completions"],
  "task/core/record": [
    "task/await",
    "task/cancel",
    "task/unclaimed",
    "task/take",
    "task/completions",
  ],
  "task/core/stack": ["task/stack", "task/combine"],
  "task/core/unseen": ["task/faults"],
  "task/core/work": [
    "task/spawn",
    "task/cancel",
    "task/await_cancel",
    "task/after",
    "task/clock",
    "task/completions",
    "task/faults",
  ],
  "task/core/now": ["task/inspect"],
  "task/await": ["task/await", "task/await_cancel", "task/wait", "task/stack", "task/arguments"],
  "task/mutex": ["task/mutex", "task/arguments"],
  "task/settings": ["task/arguments", "task/unclaimed", "task/faults"],
  "task/settled": ["task/settled", "task/arguments"],
  "task/spawn": ["task/spawn", "task/arguments"],
  "task/take": ["task/take", "task/arguments"],
  "task/cancel": [
    "task/cancel",
    "task/await_cancel",
    "task/clock",
    "task/arguments",
    "task/faults",
  ],
  "task/inspect": ["task/inspect", "task/status", "task/faults", "task/arguments"],
  "socket/accept": ["socket/listener"],
  "socket/address": ["socket/listener", "socket/connect"],
  "socket/inspect": ["socket/listener", "socket/connect", "socket/backpressure"],
  "socket/listen": ["socket/listener", "socket/arguments"],
  "socket/recv": ["socket/arguments", "socket/errors", "socket/ready"],
  "socket/send": ["socket/arguments", "socket/errors"],
  "socket/core/buffer": ["socket/buffer"],
  "socket/core/check": [
    "socket/arguments",
    "socket/detached",
    "socket/errors",
    "socket/connect",
    "socket/finish",
    "socket/framing",
    "socket/serve",
  ],
  "socket/core/codes": ["socket/codes", "socket/errors"],
  "socket/core/created": ["socket/bsd", "socket/unix"],
  "socket/core/demands": ["socket/framing"],
  "socket/core/dial": ["socket/dial", "socket/connect", "socket/bsd", "socket/options"],
  "socket/core/error": ["socket/errors"],
  "socket/core/failure": ["socket/errors", "socket/connect", "socket/listener"],
  "socket/core/finishing": ["socket/finish"],
  "socket/core/listener": ["socket/listener", "socket/ready", "socket/alive"],
  "socket/core/handle": ["socket/listener", "socket/bsd", "socket/errors"],
  "socket/core/handover": ["socket/handover", "socket/relay", "socket/streams"],
  "socket/core/ip": ["socket/listener", "socket/connect", "socket/proxy_header"],
  "socket/core/lookup": ["socket/errors", "socket/pair", "socket/bsd", "socket/listener"],
  "socket/core/loops": ["socket/iterate"],
  "socket/core/preparing": ["socket/preparing"],
  "socket/core/proxied": ["socket/proxy_protocol"],
  "socket/core/pushback": ["socket/pushback"],
  "socket/core/receiver": ["socket/framing", "socket/duplex"],
  "socket/core/sender": ["socket/duplex"],
  "socket/core/service": ["socket/serve"],
  "socket/core/stale": ["socket/unix"],
  "socket/core/stream": ["socket/errors", "socket/reset", "socket/listener"],
  "socket/core/tcp": ["socket/connect", "socket/listener"],
  "socket/core/unbound": ["socket/bsd", "socket/options"],
  "socket/core/verbs": ["socket/errors", "socket/arguments", "socket/framing"],
  "tls/core/authority": ["tls/authority", "tls/constraints"],
  "tls/core/chain": ["tls/chain_search", "tls/authority", "tls/signature"],
  "tls/der": ["tls/der", "tls/certificate", "tls/hostile_pem"],
  "tls/names": ["tls/certificate", "tls/addresses", "tls/client_verify"],
  "tls/node": [
    "tls/node",
    "tls/stream",
    "tls/starttls",
    "tls/leak",
    "tls/resumption",
    "tls/engine",
    "socket/alive",
  ],
  "tls/pem": ["tls/certificate", "tls/hostile_pem"],
  "tls/session": ["tls/stream", "tls/engine", "tls/clients"],
  "tls/verified": ["tls/client_verify", "tls/resumption"],
  "tls/wire": ["tls/wire", "tls/node", "tls/stream", "tls/starttls"],
  "tls/x509": ["tls/certificate"],
};

/** All the tests that a folder's files concern. */
const ALL: Record<string, string[][]> = {
  task: [["tests/task"], ["tests/inputs"]],
  socket: [["tests/socket"], ["tests/inputs"]],
  tls: [["tests/tls"], ["tests/socket", "tests/inputs"]],
};

/** Stages of tests for a file: a later one is run if the earlier ones have noticed nothing. */
export function testsOf(file: string): string[][] {
  const [folder] = file.split("/");
  const name = basename(file, ".ts");
  // Files move between a folder and its core.
  const near = NEAREST[file.replace(/\.ts$/, "")] ?? NEAREST[`${folder}/${name}`] ??
    NEAREST[`${folder}/core/${name}`] ?? [`${folder}/${name}`];
  const nearest = near.map((test) => `tests/${test}_test.ts`).filter(exists);
  const all = ALL[folder];
  if (all === undefined) throw new Error(`No tests are known for ${file}`);
  return [nearest, ...all].filter((tests) => tests.length > 0);
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
