// A few random sequences of accepts; `deno task lab --model` makes more of them.

import { ways } from "../listening.ts";
import { withSeed } from "../random.ts";
import { leavingNothing } from "../settle.ts";
import { runListener } from "./listener_model.ts";

const SEQUENCES = 5;

for (const way of ways) {
  Deno.test(`accept() does what its model does in random sequences of calls [${way.name}]`, () =>
    leavingNothing(() =>
      withSeed(async (random) => {
        for (let n = 0; n < SEQUENCES; n++) await runListener(way, random);
      })
    ));
}
