// What every pair of connected sockets does, whatever carries its bytes.

import { type Pair, type Transport, transports } from "../pair.ts";
import { leavingNothing } from "../settle.ts";
import { cancelTests } from "./duplex/cancels.ts";
import { endingTests } from "./duplex/endings.ts";
import { givenTests } from "./duplex/given.ts";
import { iterateTests } from "./duplex/iterate.ts";
import { lookaheadTests } from "./duplex/lookahead.ts";
import { memoryTests } from "./duplex/memory.ts";
import { readyTests } from "./duplex/ready.ts";
import { transferTests } from "./duplex/transfer.ts";

/** Registers a test of a fresh pair, which is closed afterwards; nothing may be left of it. */
export type DuplexTest = (name: string, run: (pair: Pair) => Promise<void> | void) => void;

function duplexTests({ name, makePair }: Transport): void {
  const test: DuplexTest = (what, run) =>
    Deno.test(`${what} [${name}]`, () =>
      leavingNothing(async () => {
        using pair = await makePair();
        await run(pair);
      }));
  transferTests(test);
  endingTests(test);
  lookaheadTests(test);
  cancelTests(test);
  memoryTests(test);
  givenTests(test);
  readyTests(test);
  iterateTests(test);
}

for (const transport of transports) duplexTests(transport);
