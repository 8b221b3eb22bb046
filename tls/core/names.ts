// The names a certificate is for: writing them, and matching one against the name a client asked
// for (SNI). The matching is RFC 6125's as browsers apply it: letter case does not count, `*`
// stands for exactly one whole label, the left-most.

import { checkString, wrongRange } from "../../task/core/mod.ts";
import { isIpv4 } from "../../socket/core/ip.ts";

/**
 * Does the certificate name `pattern` cover `serverName`?
 *
 * A wildcard stands for one label: `*.a.test` covers `b.a.test`, neither `a.test` nor `c.b.a.test`.
 * A dot at the end of `serverName` does not count.
 */
export function matchesName(pattern: string, serverName: string): boolean {
  const wanted = canonical(serverName);
  const offered = canonical(pattern);
  if (!offered.startsWith("*.")) return wanted === offered;
  return behindLabel(wanted) === offered.slice(1);
}

interface Named {
  readonly names: readonly string[];
}

/** Where each name is first, in lower case; of a wildcard, what comes behind the `*`. */
interface Index {
  readonly exact: ReadonlyMap<string, Named>;
  readonly wild: ReadonlyMap<string, Named>;
}

/** Strangers choose what is looked for: so it takes no time that grows with the list. */
const indices: WeakMap<readonly Named[], Index> = new WeakMap();

/**
 * Picks the entry of `list` for `serverName`: the first with the very name, else the first whose
 * wildcard covers it, else the first of all (the default). An empty `serverName` (a client without
 * SNI) gives the default.
 *
 * @param list Must not change once something was picked from it.
 */
export function chooseByName<T extends Named>(list: readonly T[], serverName = ""): T {
  let index = indices.get(list);
  if (index === undefined) indices.set(list, index = indexOf(list));
  const wanted = canonical(serverName);
  const found = index.exact.get(wanted) ?? index.wild.get(behindLabel(wanted));
  return (found ?? list[0]) as T;
}

function indexOf(list: readonly Named[]): Index {
  const [exact, wild] = [new Map<string, Named>(), new Map<string, Named>()];
  for (const entry of list) {
    for (const name of entry.names.map(canonical)) {
      if (!exact.has(name)) exact.set(name, entry);
      const rest = name.startsWith("*.") ? name.slice(1) : undefined;
      if (rest !== undefined && !wild.has(rest)) wild.set(rest, entry);
    }
  }
  return { exact, wild };
}

/** What a wildcard must have behind its `*` to cover a name; `""` if none can. */
function behindLabel(name: string): string {
  const dot = name.indexOf(".");
  return dot > 0 && parseIp(name) === undefined ? name.slice(dot) : "";
}

/** The 4 or 16 bytes of an IP address, `undefined` if it is none. */
export function parseIp(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) {
    const parts = text.split(".").map(Number);
    return parts.every((part) => part < 256) ? new Uint8Array(parts) : undefined;
  }
  // The URL parser knows every spelling of IPv6 and writes it back as groups of hex digits with at
  // most one "::".
  if (!/^[\da-f.]*:[\da-f:.]*$/i.test(text) || !URL.canParse(`http://[${text}]/`)) return undefined;
  const groups = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  const [left, right] = groups.split("::").map((half) => half === "" ? [] : half.split(":"));
  const all = right === undefined
    ? left
    : [...left, ...Array(8 - left.length - right.length).fill("0"), ...right];
  return Uint8Array.from(
    all.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]),
  );
}

/** Writes the 4 or 16 bytes of an IP address as text, `undefined` for any other length. */
export function formatIp(bytes: Uint8Array): string | undefined {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) return undefined;
  const groups = Array.from(
    { length: 8 },
    (_, i) => (bytes[2 * i] << 8 | bytes[2 * i + 1]).toString(16),
  );
  return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1);
}

/**
 * A DNS name as it stands in a certificate (lower case, international names as `xn--...`),
 * `undefined` if `text` is none. Accepts a wildcard as its first label.
 */
export function parseDnsName(text: string): string | undefined {
  const wildcard = text.startsWith("*.") ? "*." : "";
  let name = canonical(text.slice(wildcard.length));
  // deno-lint-ignore no-control-regex
  if (/[^\x00-\x7f]/.test(name) && !/[\s/?#@:\\%]/.test(name)) {
    name = URL.canParse(`http://${name}/`) ? new URL(`http://${name}/`).hostname : "";
  }
  const label = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?";
  // All digits at the end is a mistyped IP address (RFC 3696), not a name.
  if (
    wildcard.length + name.length > 253 || !new RegExp(`^(${label}\\.)*${label}$`).test(name) ||
    /(^|\.)\d+$/.test(name)
  ) return undefined;
  return wildcard + name;
}

/** A name to verify, as it stands in certificates; `undefined` if it is empty. */
export function checkServerName(parameter: string, name: string): string | undefined {
  checkString(parameter, name);
  if (name === "") return undefined;
  const bare = withoutBrackets(name);
  const valid = parseIp(bare) === undefined ? parseDnsName(bare) : bare;
  if (valid === undefined) throw wrongRange(parameter, "a host name or IP address", name);
  return valid;
}

/**
 * What the certificate of a host must be for that was connected to; `undefined` if no certificate
 * can be for it. The system takes IPv4 addresses in many spellings (`127.1`, `2130706433`,
 * `0x7f.1`), and a certificate has the usual one.
 */
export function nameOfHost(host: string): string | undefined {
  const bare = withoutBrackets(host);
  if (bare.includes(":")) return parseIp(bare) && bare;
  const usual = /^[\da-fx.]+$/i.test(bare) && URL.canParse(`http://${bare}/`)
    ? new URL(`http://${bare}/`).hostname
    : "";
  return isIpv4(usual) ? usual : parseDnsName(bare);
}

/** An IPv6 address may be written as in a URL. */
function withoutBrackets(host: string): string {
  return host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
}

function canonical(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}
