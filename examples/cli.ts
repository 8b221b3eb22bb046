// What the examples share that is not about sockets: flags, --help, errors in one line, Ctrl-C.

import { parseArgs } from "@std/cli";
import { socket, task, type tls } from "@taskio/net";

/** One flag of a program. */
export interface Flag<T> {
  readonly about: string;
  /** What it takes, for the help; a flag without is a switch. */
  readonly values?: string;
  readonly initial: T;
  /** The value, or `undefined` if the text is not one of `values`. */
  parse(text: string): T | undefined;
}

/** A flag that takes any text but the empty one. */
export function text(initial: string, about: string): Flag<string> {
  return { about, values: "text", initial, parse: (text) => text === "" ? undefined : text };
}

/** A flag that takes an integer. */
export function integer(initial: number, min: number, max: number, about: string): Flag<number> {
  const parse = (text: string) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    return value >= min && value <= max ? value : undefined;
  };
  return { about, values: `${min}..${max}`, initial, parse };
}

/** A flag that takes text or is left out, and then is empty. */
export function optional(values: string, about: string): Flag<string> {
  return { ...text("", about), values };
}

/** A flag that takes text that matches. */
export function matching(
  pattern: RegExp,
  values: string,
  initial: string,
  about: string,
): Flag<string> {
  return { about, values, initial, parse: (text) => pattern.test(text) ? text : undefined };
}

/** A flag that takes the name or address that a server is asked for, or is left out. */
export function serverName(about: string): Flag<string> {
  return matching(/^(\w([\w-]*\w)?(\.|$))+$|^\[?[\da-f.]*:[\da-f:.]*\]?$/i, "name", "", about);
}

/** A flag that takes an address like `127.0.0.1:80` or `[::1]:80`; port 0 if `free` allows it. */
export function address(
  initial: socket.Address,
  about: string,
  free = false,
): Flag<socket.Address> {
  const parse = (text: string): socket.Address | undefined => {
    const [, ipv6, name, port] = /^(?:\[([\da-f.:]+)\]|([^:[\]\s]+)):(\d{1,5})$/i.exec(text) ?? [];
    const valid = Number(port) <= 65535 && (free || Number(port) > 0);
    return valid ? [ipv6 ?? name, Number(port)] : undefined;
  };
  return { about, values: "host:port", initial, parse };
}

/** A switch, which is off unless it is given. */
export function toggle(about: string): Flag<boolean> {
  return { about, initial: false, parse: (text) => text === "true" };
}

/** A wrong command line. */
export class UsageError extends Error {}

/** A failure that its message explains. */
export class Failure extends Error {}

/** The text of a file that a flag names; `undefined` if the flag was left out. */
export function readFile(flag: string, path: string): string | undefined {
  if (path === "") return undefined;
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw fileFailure(`--${flag}: cannot read`, path, error);
  }
}

/** A failure to read or write a file, in words; a missing permission is left in Deno's. */
export function fileFailure(what: string, path: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Deno.errors.NotCapable) return error;
  return new Failure(`${what} "${path}": ${error.message}`);
}

/** The certificate and its key that `--cert` and `--key` name; `undefined` without them. */
export function readPair(files: { cert: string; key: string }): tls.CertificatePair | undefined {
  if ((files.cert === "") !== (files.key === "")) {
    throw new UsageError("--cert and --key belong together");
  }
  const cert = readFile("cert", files.cert);
  const key = readFile("key", files.key);
  return cert === undefined || key === undefined ? undefined : { cert, key };
}

export interface Program<T> {
  /** Its file below `examples`, without the `.ts`. */
  readonly name: string;
  readonly about: string;
  /**
   * What it may do, for the help.
   *
   * @default {"--allow-net"}
   */
  readonly permissions?: string;
  readonly flags: { readonly [K in keyof T]: Flag<T[K]> };
  main(values: T): Promise<void>;
}

/**
 * Runs a program with the flags of the command line. The exit code is 1 if it failed, which one
 * line on standard error explains, and 2 if the flags were wrong.
 */
export async function run<T>(program: Program<T>): Promise<void> {
  try {
    const values = readFlags(program, Deno.args);
    if (values === undefined) console.log(help(program));
    else await program.main(values);
    if (interrupted) sayInterrupted();
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${program.name}: ${error.message}\n\n${help(program)}`);
      Deno.exit(2);
    } else if (interrupted) {
      sayInterrupted();
    } else {
      console.error(`${program.name}: ${explain(error)}`);
      Deno.exit(1);
    }
  }
}

/** The values of the flags, or `undefined` if help was asked for. */
function readFlags<T>({ flags }: Program<T>, args: string[]): T | undefined {
  const names = Object.keys(flags) as (keyof T & string)[];
  const switches = names.filter((name) => flags[name].values === undefined);
  const strange: string[] = [];
  const given = parseArgs(args, {
    string: names.filter((name) => !switches.includes(name)),
    boolean: ["help", ...switches],
    alias: { h: "help" },
    unknown: (arg) => void strange.push(arg),
  }) as Record<string, unknown>;
  if (given.help === true) return undefined;
  // What follows "--" is not reported as unknown.
  const [first] = [...strange, ...given._ as unknown[]];
  if (first !== undefined) throw new UsageError(`Unknown flag or argument "${first}"`);
  const values: Partial<T> = {};
  for (const name of names) {
    const { initial, values: range, parse } = flags[name];
    const value = name in given ? parse(String(given[name])) : initial;
    if (value === undefined) {
      throw new UsageError(`--${name} takes ${range}: current value is "${given[name]}"`);
    }
    values[name] = value;
  }
  return values as T;
}

function help<T>({ name, about, permissions = "--allow-net", flags }: Program<T>): string {
  const rows = Object.entries<Flag<unknown>>(flags).map(([name, { values, about, initial }]) => {
    if (values === undefined) return [`--${name}`, about];
    const value = Array.isArray(initial) ? formatAddress(initial as never) : initial;
    return [`--${name} <${values}>`, `${about} (default: ${value === "" ? "none" : value})`];
  });
  rows.push(["--help, -h", "Show this text"]);
  const width = Math.max(...rows.map(([flag]) => flag.length));
  return [
    about,
    "",
    `Usage: deno run ${permissions} examples/${name}.ts [flags]`,
    "",
    ...rows.map(([flag, about]) => `  ${flag.padEnd(width)}  ${about}`),
  ].join("\n");
}

/** What to do about a failure, where its message does not say so. */
const ADVICE: Record<string, string> = {
  ECONNREFUSED: "Start the server first, or check --host and --port.",
  ECONNRESET: "Try again, or see what the other side says.",
  EMFILE: "Allow more open files (ulimit -n), or do less at once.",
  ENETUNREACH: "Check --host and the network.",
  EHOSTUNREACH: "Check --host and the network.",
  ENOTFOUND: "Check --host.",
  EAI_AGAIN: "Check --host and the network.",
  EINVAL: "Check --host.",
  ETIMEDOUT: "Check --host and --port, or raise --timeout.",
  UNABLE_TO_GET_ISSUER_CERT: "If you trust it, give its certificate, or its issuer's, with --ca.",
  ERR_TLS_CERT_ALTNAME_INVALID: "Give the name that its certificate is for with --sni.",
  EUNEXPECTEDEOF: "What came before may be incomplete.",
};

/** A failure in one line. Whatever is not a known failure is a bug, and thrown on. */
function explain(error: unknown): string {
  if (error instanceof Deno.errors.NotCapable || error instanceof Failure) return error.message;
  if (error instanceof Deno.errors.BrokenPipe) return "nobody reads the output";
  if (error instanceof socket.SocketError || error instanceof task.TimeoutError) {
    const advice = ADVICE[error.code];
    return advice === undefined ? error.message : `${error.message}. ${advice}`;
  }
  throw error;
}

let interrupted = false;

function sayInterrupted(): void {
  console.log("Interrupted: every socket is closed.");
}

/** Lets the first Ctrl-C close every socket, which ends every wait; a second one kills. */
export function closeOnInterrupt(): void {
  const close = () => {
    Deno.removeSignalListener("SIGINT", close);
    interrupted = true;
    socket.list().forEach(socket.close);
  };
  Deno.addSignalListener("SIGINT", close);
}

/** An address as it is usually written. */
export function formatAddress([ip, port]: socket.Address): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}
