import { parseDnsName, parseIp } from "./core/names.ts";
import type { CertificatePair } from "./core/types.ts";
import { issue } from "./core/x509.ts";

const DAY = 24 * 60 * 60 * 1000;

/**
 * Makes a key and a certificate that vouches for itself, for development and tests: nobody trusts
 * it but a client that lists it in its `ca`. Valid from a day ago (clocks differ) for one year. The
 * key is EC P-256.
 *
 * It serves for a server and as a client's certificate. It is no CA: it cannot vouch for others.
 * Only clients on Deno's own TLS, which most are, do not look at that: who lists it in `ca` trusts
 * its key to speak for any name.
 *
 * @param names DNS names (`"localhost"`, `"*.example.com"`) and IP addresses (`"127.0.0.1"`,
 * `"::1"`), at least one.
 * @returns The certificate and its private key as PEM texts.
 * @throws {TypeError} If `names` is no array of strings.
 * @throws {RangeError} If `names` is empty, or one is neither a DNS name nor an IP address.
 *
 * @example A certificate for local development
 * ```ts
 * import { selfsigned } from "@taskio/net/tls";
 * import { assert } from "@std/assert";
 *
 * const { cert, key } = selfsigned(["localhost", "127.0.0.1", "::1"]);
 *
 * assert(cert.startsWith("-----BEGIN CERTIFICATE-----"));
 * assert(key.startsWith("-----BEGIN PRIVATE KEY-----"));
 * ```
 */
export function selfsigned(names: readonly string[]): CertificatePair {
  if (!Array.isArray(names)) {
    throw new TypeError(
      `Cannot make a certificate: "names" must be an array, it is ${typeof names}`,
    );
  }
  if (names.length === 0) throw new RangeError('Cannot make a certificate: "names" is empty');
  for (const name of names) {
    if (typeof name !== "string") {
      throw new TypeError(
        `Cannot make a certificate: "names" holds a ${typeof name}, not a string`,
      );
    }
    if (!parseIp(name) && !parseDnsName(name)) {
      throw new RangeError(
        `Cannot make a certificate: "${name}" is neither a DNS name nor an IP address`,
      );
    }
  }
  const now = Date.now();
  return issue({
    names: [...new Set(names)],
    notBefore: new Date(now - DAY),
    notAfter: new Date(now + 364 * DAY),
  });
}
