/**
 * In a language with a collector, an object that nobody can reach any more takes its socket with it.
 *
 * An ID is never used again, so it does no harm to close one that the script has closed long ago.
 */
const dropped = new FinalizationRegistry<() => void>((close) => close());

/** Calls `close`, which must not refer to the object, once the object has been collected. */
export function whenCollected(object: object, close: () => void): void {
  dropped.register(object, close);
}
