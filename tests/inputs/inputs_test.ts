// Bad arguments throw a TypeError or a RangeError at the call, bad state faults with a SocketError: for every
// parameter of every function, whatever the value. Nothing is left behind, and no value has its own code run
// that the call need not run: no conversion to a number or a text, ever.

import { assert, assertEquals, assertThrows } from "@std/assert";
import * as net from "../../mod.ts";
import { descriptorsBackTo, openDescriptors } from "../descriptors.ts";
import { leavingNothing, turn, until } from "../settle.ts";
import { type Call, calls, made, type Parameter } from "./calls.ts";
import { certificate, Fixture } from "./fixture.ts";
import { Boom, conversions, explosive, hostile, REASONS, shifty, typos } from "./values.ts";

const { socket, task, tls } = net;

// deno-lint-ignore no-explicit-any
type Anything = any;

/** A function by the name it is exported under, to be called on what has it. */
function functionOf({ name }: Call): (...given: unknown[]) => unknown {
  const [space, ...rest] = name.split(".");
  const module = (net as Anything)[space];
  if (rest.length === 1) return module[rest[0]];
  const method = Object.getOwnPropertyDescriptor(module[rest[0]].prototype, rest[1]);
  return method?.value ?? method?.set;
}

/** What is wrong with the call of the test that runs: all of it, so that one run tells everything. */
let complaints: string[] = [];

/** What V8 says when nobody has looked at an argument. */
const UNCHECKED =
  /undefined is not|Cannot read prop|Cannot (convert|mix|destructure)|is not (iterable|a function)|object is not|not a constructor|Illegal invocation|private member|BigInt64|reduce of empty|circular/i;

/** Whether an error is one that wrong arguments, or a wrong state, may come to at the call. */
function checkThrown(error: unknown, parameter: Parameter, what: string): void {
  if (error instanceof Boom && parameter.read) return;
  const known = error instanceof socket.SocketError || error instanceof task.UnknownTaskError ||
    error instanceof TypeError || error instanceof RangeError;
  if (!known || UNCHECKED.test(error.message)) complaints.push(`${what} throws ${show(error)}`);
}

/** The same of what comes later, as a fault or as a rejection: then no argument was wrong. */
function checkFault(error: unknown, parameter: Parameter, what: string): void {
  if (parameter.called || REASONS.includes(error)) return;
  if (error instanceof DOMException && error.name === "AbortError") return;
  const known = error instanceof socket.SocketError || error instanceof task.CancelledError ||
    error instanceof task.TimeoutError || error instanceof task.UnknownTaskError ||
    error instanceof task.ChannelClosedError || error instanceof AggregateError;
  if (!known) complaints.push(`${what} comes to ${show(error)}`);
}

function show(error: unknown): string {
  return error instanceof Error ? error.stack!.split("\n").slice(0, 4).join("\n") : String(error);
}

/** Calls, looks at what it comes to, and clears away what it has begun. */
async function trial(
  fixture: Fixture,
  { self, after, neverThrows, ...call }: Call,
  parameter: Parameter,
  given: (fixture: Fixture) => unknown[],
  what: string,
  wrong: boolean,
): Promise<void> {
  await fixture.renew();
  const tasks = new Set(task.list());
  conversions.count = 0;
  const subject = self?.(fixture);
  const values = given(fixture);
  let pending: Promise<unknown> | undefined;
  try {
    const result = functionOf(call).apply(subject, values);
    if (result instanceof Promise) {
      pending = result.catch((error) => checkFault(error, parameter, what));
    } else if (typeof (result as Anything)?.return === "function") {
      pending = (result as AsyncIterableIterator<unknown>).return!();
    }
    if (wrong && !neverThrows) complaints.push(`${what} is taken`);
  } catch (error) {
    if (neverThrows) complaints.push(`${what} throws ${show(error)}`);
    checkThrown(error, parameter, what);
  }
  const begun = () => task.list().filter((id) => !tasks.has(id));
  if (pending !== undefined || begun().length > 0) await turn();
  for (const id of begun()) {
    if (task.status(id) === "Faulted") checkFault(task.error(id), parameter, what);
    task.cancel(id);
    task.forget(id);
  }
  after?.(subject as never);
  for (const id of socket.list()) if (!fixture.kept.has(id)) socket.close(id);
  await pending;
  for (const id of begun()) task.forget(id);
  if (conversions.count > 0) complaints.push(`${what} converts its argument`);
}

/** A name that would be asked of a resolver elsewhere. */
function isName(value: unknown): boolean {
  return typeof value === "string" && /[^\d.:\0]/.test(value) && value.length < 64;
}

/** Calls with a value in place of one argument; `wrong`: it must be refused at the call. */
type Try = (
  parameter: Parameter,
  value: (fixture: Fixture) => unknown,
  what: string,
  wrong: boolean,
) => Promise<void>;

/** Registers a test of each call. */
function forEveryCall(
  name: string,
  concerned: (call: Call) => boolean,
  run: (call: Call, tries: Try) => Promise<void>,
): void {
  const seen = new Map<string, number>();
  for (const call of calls) {
    const times = (seen.get(call.name) ?? 0) + 1;
    seen.set(call.name, times);
    if (!concerned(call)) continue;
    const which = times === 1 ? "" : ` by ID`;
    Deno.test(`${call.name}()${which} ${name}`, () =>
      leavingNothing(async () => {
        const descriptors = openDescriptors();
        const before = [task.list(), task.setFaultHandler(() => {})];
        complaints = [];
        {
          await using fixture = new Fixture();
          await run(call, (parameter, value, what, wrong) => {
            const at = call.parameters.indexOf(parameter);
            const given = (fixture: Fixture) =>
              call.parameters.map((other, i) => i === at ? value(fixture) : other.good(fixture));
            return trial(fixture, call, parameter, given, `${call.name}(${what})`, wrong);
          });
        }
        assertEquals(complaints.join("\n"), "");
        task.setFaultHandler(null);
        await until(() => !task.busy(), "every task has ended");
        assertEquals(task.list(), before[0], "tasks");
        await descriptorsBackTo(descriptors);
      }));
  }
}

Deno.test("every exported function and every parameter is in the table of calls", () => {
  const known = new Map(calls.map((call) => [call.name, call]));
  for (const [space, module] of Object.entries(net)) {
    for (const [name, value] of Object.entries(module)) {
      if (typeof value !== "function") continue;
      const full = `${space}.${name}`;
      const isClass = String(value).startsWith("class");
      if (!isClass) {
        assert(known.has(full), `${full}() is not in calls.ts`);
        const longest = Math.max(
          ...calls.filter(({ name }) => name === full).map(({ parameters }) => parameters.length),
        );
        assertEquals(longest, parametersOf(value).length, `parameters of ${full}() in calls.ts`);
      } else if (!made.includes(full)) {
        const { prototype } = value;
        for (const key of Object.getOwnPropertyNames(prototype)) {
          const { value, set } = Object.getOwnPropertyDescriptor(prototype, key)!;
          if (key === "constructor" || (value ?? set) === undefined) continue;
          assert(known.has(`${full}.${key}`), `${full}.${key}() is not in calls.ts`);
        }
      }
    }
  }
  for (const call of calls) assertEquals(typeof functionOf(call), "function", call.name);
});

/** The parameters of a function, as its text has them. */
function parametersOf(value: unknown): string[] {
  const text = String(value);
  const found: string[] = [];
  let [depth, from] = [0, text.indexOf("(") + 1];
  for (let at = from; at < text.length; at++) {
    if ("([{".includes(text[at])) depth++;
    else if (depth === 0 && (text[at] === ")" || text[at] === ",")) {
      if (text.slice(from, at).trim() !== "") found.push(text.slice(from, at));
      if (text[at] === ")") return found;
      from = at + 1;
    } else if (")]}".includes(text[at])) depth--;
  }
  throw new Error(`No parameters: ${text}`);
}

/** Whether a value is of another type than one that will do, so that it must be refused. */
function isWrong(value: unknown, good: unknown, { anything, also }: Partial<Parameter>): boolean {
  if (anything || also?.(value)) return false;
  return Number.isNaN(value) || typeof value !== typeof good ||
    (value === null) !== (good === null);
}

const takesArguments = ({ parameters }: Call) => parameters.length > 0;
const takesOptions = ({ parameters }: Call) => parameters.some(({ options }) => options);

forEveryCall(
  "stands every value in place of each argument",
  takesArguments,
  async (call, tries) => {
    for (const parameter of call.parameters) {
      for (const [name, make] of hostile) {
        if (parameter.resolved && isName(make())) continue;
        const wrong = isWrong(make(), parameter.good(FIXTURE), parameter);
        await tries(parameter, make, `${parameter.name}: ${name}`, wrong);
      }
    }
  },
);

/** Enough of one to see of which type its values are. */
const FIXTURE = { running: 1, completed: 1, created: 1, bound: 1, folder: "", port: 1 } as Fixture;
for (const name of ["connection", "other", "encrypted", "listener", "tlsListener"]) {
  Object.assign(FIXTURE, { [name]: 1 });
}

/** Calls with each option of each bag. */
async function eachOption(
  call: Call,
  run: (
    parameter: Parameter,
    option: string,
    good: (fixture: Fixture) => unknown,
    withOption: (change: (fixture: Fixture) => object) => (fixture: Fixture) => unknown,
  ) => Promise<void>,
): Promise<void> {
  for (const parameter of call.parameters) {
    for (const [option, good] of Object.entries(parameter.options ?? {})) {
      const withOption = (change: (fixture: Fixture) => object) => (fixture: Fixture) =>
        Object.defineProperties(
          { ...parameter.good(fixture) as object },
          Object.getOwnPropertyDescriptors(change(fixture)),
        );
      await run(parameter, option, good, withOption);
    }
  }
}

forEveryCall(
  "stands every value of each option",
  takesOptions,
  (call, tries) =>
    eachOption(call, async (parameter, option, good, withOption) => {
      for (const [name, make] of hostile) {
        // Of the authorities there may be a list.
        const also = (value: unknown) => option === "ca" && typeof value === "object";
        const wrong = isWrong(make(), good(FIXTURE), { also });
        const value = withOption(() => ({ [option]: make() }));
        await tries(parameter, value, `${option}: ${name}`, wrong);
      }
    }),
);

forEveryCall(
  "throws TypeError for an option that it does not know",
  takesOptions,
  (call, tries) =>
    eachOption(call, async (parameter, option, good, withOption) => {
      for (const typo of typos(option)) {
        const value = withOption((fixture) => ({ [typo]: good(fixture) }));
        await tries(parameter, value, `the option ${JSON.stringify(typo)}`, true);
      }
    }),
);

forEveryCall(
  "stands an option that throws, or that changes between two looks",
  takesOptions,
  (call, tries) =>
    eachOption(call, async (parameter, option, good, withOption) => {
      await tries(parameter, withOption(() => explosive(option)), `${option}: a getter`, true);
      for (const [name, make] of hostile) {
        if (!SHIFTS.has(name)) continue;
        const value = withOption((fixture) => shifty(option, good(fixture), make()));
        await tries(parameter, value, `${option}: good, then ${name}`, false);
      }
    }),
);

/** What options change to: one of each type. */
const SHIFTS = new Set([
  "NaN",
  "-1",
  "1n",
  "'1'",
  "null",
  "a symbol",
  "an object",
  "valueOf",
  "[1]",
]);

Deno.test("a list with a hole in it is refused wherever a list is taken", () =>
  leavingNothing(async () => {
    await using fixture = new Fixture();
    await fixture.renew();
    const { completed, tlsListener } = fixture;
    const listen = (options: object) =>
      tls.tcpserver("127.0.0.1", 0, { ...certificate, ...options } as net.tls.TlsListenOptions);
    const alone = { cert: undefined, key: undefined };
    const lists: Record<string, [part: unknown, call: (list: Anything) => unknown]> = {
      "tcpserver, certs": [certificate, (certs) => listen({ ...alone, certs })],
      "tcpserver, ca": [certificate.cert, (ca) => listen({ ca, requestCert: true })],
      "tcpserver, alpn": ["h2", (alpn) => listen({ alpn })],
      "connect, ca": [certificate.cert, (ca) => tls.connect("127.0.0.1", 9, "", { ca })],
      "setcerts": [certificate, (certs) => tls.setcerts(tlsListener, certs)],
      "selfsigned": ["a.test", (names) => tls.selfsigned(names)],
      "all": [completed, (ids) => task.all(ids)],
      "any": [completed, (ids) => task.any(ids)],
      "race": [completed, (ids) => task.race(ids)],
      "settled": [completed, (ids) => task.settled(ids)],
      "select": [completed, (sources) => task.select(sources)],
    };
    for (const [name, [part, call]] of Object.entries(lists)) {
      // deno-lint-ignore no-sparse-arrays
      const before: unknown[] = [part, , part];
      for (const list of [before, before.slice(1), before.slice(0, 2), Array(2)]) {
        assertThrows(() => call(list), TypeError, undefined, name);
      }
    }
    task.forget(completed);
    await task.wait();
  }));
