/** Checks of arguments, so that every call refuses a wrong one in the same words. */

/** The longest delay a timer can have: about 24.8 days. */
const MAX_DELAY = 2 ** 31 - 1;

/** How a wrong value is shown: strings quoted, the rest as the console would. */
function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "object" && value !== null) return showObject(value);
  return typeof value === "function" ? "a function" : String(value);
}

/** An object by its class, if it says so: a getter or a proxy may say anything, and may throw. */
function showObject(value: object): string {
  let name: unknown;
  try {
    if (value instanceof Promise) return "a promise, await it first";
    name = value.constructor?.name;
  } catch {
    // It has none to show.
  }
  return typeof name === "string" && name !== "" ? `an instance of ${name}` : "an object";
}

export function wrongType(name: string, expected: string, value: unknown): TypeError {
  return new TypeError(`"${name}" must be ${expected}: current value is ${show(value)}`);
}

export function wrongRange(name: string, expected: string, value: unknown): RangeError {
  return new RangeError(`"${name}" must be ${expected}: current value is ${show(value)}`);
}

/** For something that is there and has nothing in it. */
export function wrongEmpty(name: string, expected: string, what: string): RangeError {
  return new RangeError(`"${name}" must be ${expected}: current value is ${what}`);
}

export function checkInteger(name: string, value: unknown, min: number, max: number): void {
  if (typeof value !== "number") throw wrongType(name, "an integer", value);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw wrongRange(name, `an integer from ${min} to ${max}`, value);
  }
}

/** An ID may be any integer: one that stands for nothing is bad state, not a bad argument. */
export function checkId(name: string, value: unknown): void {
  if (!Number.isInteger(value)) throw wrongType(name, "an integer ID", value);
}

export function checkFunction(name: string, value: unknown): void {
  if (typeof value !== "function") throw wrongType(name, "a function", value);
}

export function checkString(name: string, value: unknown): void {
  if (typeof value !== "string") throw wrongType(name, "a string", value);
}

export function checkBoolean(name: string, value: unknown): void {
  if (typeof value !== "boolean") throw wrongType(name, "a boolean", value);
}

/** A delay for a timer; anything up to 0 means "at once". */
export function checkDelay(name: string, value: unknown): void {
  if (typeof value !== "number") throw wrongType(name, "a number of milliseconds", value);
  if (Number.isNaN(value) || value > MAX_DELAY) {
    throw wrongRange(name, `at most ${MAX_DELAY} milliseconds`, value);
  }
}

/** A time limit: as a delay, but `Infinity` means none. */
export function checkTimeout(name: string, value: unknown): void {
  if (value !== Infinity) checkDelay(name, value);
}

/** A signal is known by what only a real one can answer, not by its prototype. */
export function checkSignal(name: string, value: unknown): void {
  try {
    isAborted.call(value);
  } catch {
    throw wrongType(name, "an AbortSignal", value);
  }
}

const isAborted = Object.getOwnPropertyDescriptor(AbortSignal.prototype, "aborted")!.get!;

/** An options bag: an object whose keys are all known, so that none is silently dropped. */
export function checkOptions(value: unknown, known: readonly string[]): void {
  if (typeof value !== "object" || value === null) throw wrongType("options", "an object", value);
  if (isNoBag(value)) {
    throw wrongType("options", `an object, such as { ${known.join(", ")} }`, value);
  }
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) {
      throw new TypeError(`Unknown option "${key}": expected one of ${known.join(", ")}`);
    }
  }
}

/** What somebody gives who means what is in it, or will be: it would pass for a bag without options. */
function isNoBag(value: object): boolean {
  return value instanceof AbortSignal || value instanceof Promise || value instanceof Map ||
    Array.isArray(value);
}

/**
 * The options of a bag, each of them read once: a getter may give something else when it is asked
 * again, and what was checked must be what is used. What the bag inherits counts, too.
 */
export function readOptions<T extends object>(value: T, known: readonly string[]): T {
  checkOptions(value, known);
  return Object.fromEntries(
    known.filter((name) => name in value).map((name) => [name, value[name as keyof T]]),
  ) as T;
}

/** Options of `task.await` that one may look for at the operation itself. */
const OF_THE_WAIT = ["timeout", "signal", "cancel"];
const AT_THE_WAIT =
  "limit the wait, task.await(id, { timeout, signal, cancel: true }), which loses nothing";

/**
 * Refuses options that a call does not have. A limit is one of the wait for its task: dropped in
 * silence, the program would wait for ever.
 *
 * @param options What was given; anything but an object, or what `map` and `forEach` give, passes.
 * @param known The options that it has.
 * @param limit How to limit the wait.
 */
export function refuseOptions(
  op: string,
  options: unknown,
  known: readonly string[] = [],
  limit: string = AT_THE_WAIT,
): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) return;
  const wrong = keysOf(options).find((key) => !known.includes(key));
  if (wrong === undefined) return;
  const instead = OF_THE_WAIT.includes(wrong)
    ? limit
    : known.length === 0
    ? "it takes no options"
    : `expected one of ${known.join(", ")}`;
  throw new TypeError(`Unknown option "${wrong}" of ${op}: ${instead}`);
}

/** What options name; nothing if they have ideas of their own about that. */
function keysOf(options: object): string[] {
  try {
    return options instanceof AbortSignal ? ["signal"] : Object.keys(options);
  } catch {
    return [];
  }
}
