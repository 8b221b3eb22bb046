// Stands in for jsr:@std/async where JSR cannot be reached: see ../README.md. The npm package's
// own async/mod.js does not load (channel.js names a folder that is not there), so file by file.

// @ts-types="./types.d.ts"
export { abortable } from "npm:deno-std@1.4.0/async/abortable.js";
// @ts-types="./types.d.ts"
export { deadline } from "npm:deno-std@1.4.0/async/deadline.js";
// @ts-types="./types.d.ts"
export { delay } from "npm:deno-std@1.4.0/async/delay.js";
// @ts-types="./types.d.ts"
export { pooledMap } from "npm:deno-std@1.4.0/async/pool.js";
// @ts-types="./types.d.ts"
export { retry, RetryError } from "npm:deno-std@1.4.0/async/retry.js";

export type { DeadlineOptions, DelayOptions, RetryOptions } from "./types.d.ts";
