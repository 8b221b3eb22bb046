// JavaScript Promise Integration, of which TypeScript does not know yet.

type Call = (...args: never[]) => unknown;

const { Suspending, promising: makePromising } = WebAssembly as unknown as {
  Suspending: new (call: Call) => Call;
  promising(call: Call): (...args: unknown[]) => Promise<unknown>;
};

/** An import during which the guest is suspended until the promise that it gives has settled. */
export function suspending(call: Call): Call {
  return new Suspending(call);
}

/** An export as a function that gives a promise, since imports may suspend it. */
export function promising(call: unknown): (...args: unknown[]) => Promise<unknown> {
  return makePromising(call as Call);
}
