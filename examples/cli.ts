// What the examples that are folders share, and the demo: flags, --help, errors in one line,
// Ctrl-C. Those of one file do without, so that one can copy them.

import { parseArgs } from "@std/cli";
import { socket, task } from "@taskio/net";

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

/** A flag that takes text that matches. */
export function matching(
  pattern: RegExp,
  values: string,
  initial: string,
  about: string,
): Flag<string> {
  return { about, values, initial, parse: (text) => pattern.test(text) ? text : undefined };
}

/** A switch, which is off unless it is given. */
export function toggle(about: string): Flag<boolean> {
  return { about, initial: false, parse: (text) => text === "true" };
}

/** A wrong command line. */
export class UsageError extends Error {}

/** A failure that its message explains. */
export class Failure extends Error {}

/** A failure to read or write a file, in words; a missing permission is left in Deno's. */
export function fileFailure(what: string, path: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Deno.errors.NotCapable) return error;
  return new Failure(`${what} "${path}": ${error.message}`);
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
    return [`--${name} <${values}>`, `${about} (default: ${initial === "" ? "none" : initial})`];
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
