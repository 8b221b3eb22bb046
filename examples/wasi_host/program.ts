import type { DescriptorTable } from "./descriptor.ts";
import type { Memory } from "./memory.ts";
import type { Waiting } from "./waiting.ts";

/** What the calls of a program work on. */
export interface Program {
  readonly memory: Memory;
  readonly descriptors: DescriptorTable;
  readonly waiting: Waiting;
}
