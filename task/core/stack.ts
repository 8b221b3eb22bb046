/**
 * Stacks that name whoever waits.
 *
 * Theory of operation. An error that comes from the system is made in a callback, where nobody's
 * function is on the stack. V8 does know which async functions wait for a promise, but only in the
 * job that settles it: so a promise of ours is rejected by such a job, which captures the stack
 * there. V8 finds its way only along promises with one reaction each, so the job begins one turn of
 * the microtasks later, when the promise that is to be rejected has been linked with the job's. All
 * of it happens when something has failed: a promise that is fulfilled pays nothing.
 */
import { TimeoutError } from "./errors.ts";

/** The frames of this function, and of what it calls, are left out of a stack. */
// deno-lint-ignore no-explicit-any -- any function at all
export type Above = (...args: any[]) => unknown;

const resolved = Promise.resolve();
/** The next turn of the microtasks, one for all that is rejected in this one. */
let soon: Promise<void> | undefined;
function forget(): void {
  soon = undefined;
}

/** A rejection for a promise to be resolved with; `errorFor` is called in the job that captures. */
export function rejection(errorFor: (above: Above) => unknown): Promise<never> {
  const reject = (): never => {
    throw errorFor(reject);
  };
  soon ??= resolved.then(forget);
  return soon.then(reject);
}

/** The rejection of a wait that was given up: the `TimeoutError` is ours, a signal's reason is not. */
export function givenUp(reason: unknown): Promise<never> {
  return rejection((above) => {
    if (reason instanceof TimeoutError) capture(reason, above);
    return reason;
  });
}

/** Gives an error the stack of the moment. */
export function capture(error: unknown, above: Above): void {
  if (error instanceof Error && Object.isExtensible(error)) Error.captureStackTrace(error, above);
}
