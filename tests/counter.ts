// The counter of IDs, which all copies of the module in this thread share.

import "../mod.ts";

const shared = (globalThis as unknown as Record<symbol, { last: number }>)[
  Symbol.for("@taskio/net: IDs")
];

/** The last ID that was given out. */
export const lastId = (): number => shared.last;

/** Has the IDs to come go on after this one. It may only be raised: no ID is ever used again. */
export function raiseLastId(last: number): void {
  if (last < shared.last) throw new RangeError(`${shared.last} was given out: ${last} is too low`);
  shared.last = last;
}
