// A few random sequences of calls; `deno task lab --model` makes more of them.

import { task } from "../../mod.ts";
import { withSeed } from "../random.ts";
import { leavingNothing } from "../settle.ts";
import { modelled, runSequence } from "./sequences.ts";

const SEQUENCES = 10;

for (const transport of modelled) {
  Deno.test(`socket does what its model does in random sequences of calls [${transport.name}]`, () =>
    leavingNothing(() =>
      withSeed(async (random) => {
        for (let n = 0; n < SEQUENCES; n++) await runSequence(transport, random);
        await task.wait();
      })
    ));
}
