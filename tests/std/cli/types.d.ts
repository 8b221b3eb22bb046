// What jsr:@std/cli@1 gives for the same calls; names with dots ("a.b") are left untyped.

type Names<T> = T extends string ? T : T extends readonly string[] ? T[number] : never;
type Flags<T> = Exclude<Names<T>, `${string}.${string}`>;
type Widen<T> = T extends string ? string
  : T extends number ? number
  : T extends boolean ? boolean
  : T;

/** The type of flag `K` as given on the command line. */
type Given<O extends ParseOptions, K> =
  | (K extends Names<O["boolean"]> ? boolean : K extends Names<O["string"]> ? string : unknown)
  | (K extends Names<O["negatable"]> ? false : never);
type Value<O extends ParseOptions, K> = K extends Names<O["collect"]> ? Given<O, K>[] : Given<O, K>;
type Defaulted<O extends ParseOptions, K> = K extends keyof O["default"] ? Widen<O["default"][K]>
  : never;

/** Booleans, collected flags and those with a default are always there; other strings may not be. */
type Always<O extends ParseOptions> =
  | Flags<O["boolean"] | O["collect"]>
  | Exclude<keyof O["default"] & string, `${string}.${string}`>;
type Typed<O extends ParseOptions> =
  & { [K in Always<O>]: Value<O, K> | Defaulted<O, K> }
  & { [K in Exclude<Flags<O["string"]>, Always<O>>]?: Value<O, K> };
type WithAliases<T, A> = {
  [K in keyof T as K | (K extends keyof A ? Names<A[K]> : never)]: T[K];
};

export interface ParseOptions {
  "--"?: boolean;
  alias?: Record<string, string | readonly string[]>;
  boolean?: boolean | string | readonly string[];
  collect?: string | readonly string[];
  default?: Record<string, unknown>;
  negatable?: string | readonly string[];
  stopEarly?: boolean;
  string?: string | readonly string[];
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

export type Args<O extends ParseOptions = ParseOptions> =
  & { _: (string | number)[] }
  & (O["--"] extends true ? { "--": string[] } : unknown)
  & ([Names<O["boolean"] | O["string"] | O["collect"]>] extends [never]
    // deno-lint-ignore no-explicit-any
    ? Record<string, any>
    : Record<string, unknown> & WithAliases<Typed<O>, O["alias"]>);

export function parseArgs<const O extends ParseOptions = Record<never, never>>(
  args: string[],
  options?: O & ParseOptions,
): Args<O>;

export interface PromptSecretOptions {
  mask?: string;
  clear?: boolean;
}

export function promptSecret(message?: string, options?: PromptSecretOptions): string | null;
