// Stands in for jsr:@std/cli where JSR cannot be reached: see ../README.md. unicodeWidth is left
// out: the npm package lacks the table that it reads, and so its cli/mod.js does not load.

export { parseArgs } from "./parse_args.ts";
// @ts-types="./types.d.ts"
export { promptSecret } from "npm:deno-std@1.4.0/cli/prompt_secret.js";

export type { Args, ParseOptions } from "./parse_args.ts";
export type { PromptSecretOptions } from "./types.d.ts";
