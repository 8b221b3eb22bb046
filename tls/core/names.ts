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
  const dot = wanted.indexOf(".");
  return dot > 0 && wanted.slice(dot) === offered.slice(1) && parseIp(wanted) === undefined;
}

/**
 * Picks the entry of `list` for `serverName`: the first with the very name, else the first whose
 * wildcard covers it, else the first of all (the default). An empty `serverName` (a client without
 * SNI) gives the default.
 */
export function chooseByName<T extends { names: readonly string[] }>(
  list: readonly T[],
  serverName = "",
): T {
  const wanted = canonical(serverName);
  return list.find(({ names }) => names.some((name) => canonical(name) === wanted)) ??
    list.find(({ names }) => names.some((name) => matchesName(name, wanted))) ??
    list[0];
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
