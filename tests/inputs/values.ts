// Values that a program hands over by mistake, and those that somebody made to do harm.

/** What the traps, the getters and the conversions throw: whoever sees it knows whose it is. */
export class Boom extends Error {
  override readonly name = "Boom";
}

/** How often a value was converted to a primitive: nothing may do that to an argument. */
export const conversions = { count: 0 };

function boom(): never {
  throw new Boom("a value had its own code run");
}

function converted<T>(value: T): () => T {
  return () => {
    conversions.count++;
    return value;
  };
}

/** A handler of a proxy whose every trap throws. */
const traps: ProxyHandler<object> = Object.fromEntries(
  Reflect.ownKeys(Reflect).filter((key) => typeof key === "string").map((key) => [key, boom]),
);

// deno-lint-ignore no-explicit-any
function revoked(target: any): any {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

function detached(): Uint8Array {
  const bytes = new Uint8Array(8);
  bytes.buffer.transfer();
  return bytes;
}

/** A view that has lost the memory under it. */
function outOfBounds(): Uint8Array {
  const memory = new ArrayBuffer(16, { maxByteLength: 64 });
  const view = new Uint8Array(memory, 8, 8);
  memory.resize(4);
  return view;
}

/** Tells lies about all that it has. */
class Liar extends Uint8Array {
  override get length(): number {
    return 2 ** 40;
  }
  override get byteLength(): number {
    return -1;
  }
  override get buffer(): ArrayBuffer {
    return new ArrayBuffer(0);
  }
  override subarray(): Uint8Array<ArrayBuffer> {
    return boom();
  }
  override slice(): Uint8Array<ArrayBuffer> {
    return boom();
  }
}

function abortedWith(reason: unknown): AbortSignal {
  const controller = new AbortController();
  controller.abort(reason);
  return controller.signal;
}

/** What the signals here abort with, if they do. */
export const REASONS: readonly unknown[] = [null, 0, Symbol("reason"), new Boom("the reason")];

const numbers: Record<string, unknown> = {
  "NaN": NaN,
  "-0": -0,
  "0": 0,
  "0.5": 0.5,
  "-1.5": -1.5,
  "-1": -1,
  "5e-324": Number.MIN_VALUE,
  "Infinity": Infinity,
  "-Infinity": -Infinity,
  "1e308": 1e308,
  "-1e308": -1e308,
  "2**31": 2 ** 31,
  "-2**31-1": -(2 ** 31) - 1,
  "2**32": 2 ** 32,
  "2**53": 2 ** 53,
  "-2**53": -(2 ** 53),
  "1n": 1n,
  "-1n": -1n,
  "2n**64n": 2n ** 64n,
  "Number(1)": Object(1),
  "BigInt(1)": Object(1n),
};

const texts: Record<string, unknown> = {
  "''": "",
  "'0'": "0",
  "'1'": "1",
  "NUL": "\0",
  "127.0.0.1 and NUL": "127.0.0.1\0.a.test",
  "a lone high surrogate": "\ud800",
  "a lone low surrogate": "a\udfff",
  "'__proto__'": "__proto__",
  "'constructor'": "constructor",
  "a line break": "a\r\nb",
  "spaces": "  ",
  "'..'": "..",
  "100,000 dots": ".".repeat(100_000),
  "300 letters": "a".repeat(300),
  "String('x')": Object("x"),
  "a string that converts": { toString: converted("127.0.0.1"), length: 9 },
};

const objects: Record<string, () => unknown> = {
  "null": () => null,
  "true": () => true,
  "false": () => false,
  "a symbol": () => Symbol("x"),
  "Symbol.iterator": () => Symbol.iterator,
  "an object": () => ({}),
  "an object of null": () => Object.create(null),
  "a constructor that lies": () => ({ constructor: { name: Symbol("x") } }),
  "a constructor that throws": () => ({
    get constructor(): never {
      return boom();
    },
  }),
  "valueOf": () => ({ valueOf: converted(1) }),
  "toPrimitive": () => ({ [Symbol.toPrimitive]: converted(1) }),
  "toPrimitive that throws": () => ({ [Symbol.toPrimitive]: boom }),
  "a tag that throws": () => ({
    get [Symbol.toStringTag](): never {
      return boom();
    },
  }),
  "[]": () => [],
  "an array with holes": () => Array(3),
  // deno-lint-ignore no-sparse-arrays
  "a hole before 1": () => [, 1],
  "[undefined]": () => [undefined],
  "[1]": () => [1],
  "an array that throws": () => Object.defineProperty([1], 0, { get: boom }),
  "an iterable that throws": () => ({ [Symbol.iterator]: boom }),
  "an iterator that throws": () => ({ [Symbol.iterator]: () => ({ next: boom }) }),
  "an iterable of objects": () => new Set([{}]),
  "a function": () => () => 1,
  "a function that throws": () => boom,
  "a class": () => class {},
  "an async function": () => () => Promise.resolve(1),
  "a promise": () => Promise.resolve(1),
  "a thenable that throws": () => ({
    get then(): never {
      return boom();
    },
  }),
  "a date": () => new Date(0),
  "an error": () => new Error("x"),
  "a map": () => new Map([["timeout", 1]]),
  "a proxy of {}": () => new Proxy({}, traps),
  "a proxy of []": () => new Proxy([], traps),
  "a proxy of a function": () => new Proxy(() => {}, traps),
  "a revoked proxy of {}": () => revoked({}),
  "a revoked proxy of []": () => revoked([]),
  "a revoked proxy of a function": () => revoked(() => {}),
  "a proxy of a Uint8Array": () => new Proxy(new Uint8Array(8), {}),
  "an object made of Uint8Array": () => Object.create(Uint8Array.prototype),
  "an AbortController": () => new AbortController(),
  "an object made of AbortSignal": () => Object.create(AbortSignal.prototype),
  "a proxy of an AbortSignal": () => new Proxy(new AbortController().signal, {}),
  "an event target": () => new EventTarget(),
  ...Object.fromEntries(
    REASONS.map((reason) => [
      `a signal aborted with ${String(reason)}`,
      () => abortedWith(reason),
    ]),
  ),
  "an ArrayBuffer": () => new ArrayBuffer(8),
  "a SharedArrayBuffer": () => new SharedArrayBuffer(8),
  "a DataView": () => new DataView(new ArrayBuffer(8)),
  "a Uint16Array": () => new Uint16Array(8),
  "a Uint8ClampedArray": () => new Uint8ClampedArray(8),
  "an empty Uint8Array": () => new Uint8Array(0),
  "detached bytes": detached,
  "bytes out of bounds": outOfBounds,
  "bytes that may shrink": () => new Uint8Array(new ArrayBuffer(8, { maxByteLength: 64 })),
  "shared bytes": () => new Uint8Array(new SharedArrayBuffer(8)),
  "shared bytes that may grow": () =>
    new Uint8Array(new SharedArrayBuffer(8, { maxByteLength: 64 })),
  "bytes of WebAssembly": () => new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer, 0, 8),
  "bytes that lie": () => new Liar(8),
  "frozen {}": () => Object.freeze({}),
};

/** A value and what it is called in a failure. */
export type Hostile = readonly [name: string, make: () => unknown];

/** All of them, made anew for every call: some can be used but once. */
export const hostile: readonly Hostile[] = [
  ...Object.entries({ ...numbers, ...texts }).map(([name, value]): Hostile => [name, () => value]),
  ...Object.entries(objects),
];

/** A bag with one option of which the value changes from one look to the next. */
export function shifty(name: string, first: unknown, then: unknown): object {
  let looks = 0;
  return Object.defineProperty({}, name, {
    enumerable: true,
    get: () => looks++ === 0 ? first : then,
  });
}

/** A bag whose option throws when it is read. */
export function explosive(name: string): object {
  return Object.defineProperty({}, name, { enumerable: true, get: boom });
}

/** Other spellings of an option. */
export function typos(name: string): string[] {
  return [
    `${name}s`,
    ` ${name}`,
    name.slice(0, -1),
    name.toUpperCase(),
    name[0].toUpperCase() + name.slice(1),
    name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) + "_",
    `${name}\0`,
  ];
}
