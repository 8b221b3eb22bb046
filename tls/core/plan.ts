/** The options of TLS as checked: all at the call, before anything is begun. */
import type { CertificatePair, TlsClientOptions, TlsListenOptions } from "./types.ts";
import {
  checkBoolean,
  checkInteger,
  checkOptions,
  checkSignal,
  checkString,
  checkTimeout,
  wrongEmpty,
  wrongRange,
  wrongType,
} from "../../task/core/mod.ts";
import { CONNECT_TIMEOUT } from "../../socket/core/dial.ts";
import { translate } from "../../socket/core/failure.ts";
import { checkAuthorities, type CheckedPair, checkForNative, checkPair } from "./certificate.ts";
import { TlsError } from "./codes.ts";

export const CLIENT: readonly string[] = [
  "ca",
  "cert",
  "key",
  "alpn",
  "timeout",
  "signal",
  "unsafelyIgnoreHostname",
];
export const SERVER: readonly string[] = [
  "cert",
  "key",
  "certs",
  "alpn",
  "ca",
  "requestCert",
  "handshakeTimeout",
];

/** What only a listener has. */
export const LISTENER: readonly string[] = ["backlog", "native", "maxHandshakes", "proxyProtocol"];

/** Options of a client that were checked. */
export interface ClientPlan {
  readonly ca: string[];
  readonly pair: CertificatePair | undefined;
  readonly alpn: string[] | undefined;
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  readonly ignoreHostname: boolean;
}

/** Options of a server that were checked. */
export interface ServerPlan {
  /** None if none was given. */
  readonly pairs: CheckedPair[];
  readonly native: boolean;
  readonly alpn: string[] | undefined;
  /** The issuers of client certificates; `undefined` if none is asked for. */
  readonly clientCa: string[] | undefined;
  readonly handshakeTimeout: number;
  readonly maxHandshakes: number;
  readonly backlog: number;
  readonly proxyProtocol: boolean;
}

export function checkClient(
  op: string,
  options: TlsClientOptions,
  known: readonly string[] = [],
): ClientPlan {
  checkOptions(options, [...known, ...CLIENT]);
  const { alpn, timeout = CONNECT_TIMEOUT, signal, unsafelyIgnoreHostname = false } = options;
  checkTimeout("timeout", timeout);
  if (signal !== undefined) checkSignal("signal", signal);
  checkBoolean("unsafelyIgnoreHostname", unsafelyIgnoreHostname);
  return {
    ca: checkCa(op, options.ca) ?? [],
    pair: checkCertAndKey(op, options),
    alpn: checkAlpn(alpn),
    timeout,
    signal,
    ignoreHostname: unsafelyIgnoreHostname,
  };
}

/** @param options As {@linkcode readOptions} gives them. */
export function checkServer(
  op: string,
  options: TlsListenOptions,
  known: readonly string[] = [],
): ServerPlan {
  checkOptions(options, [...known, ...SERVER]);
  const { certs, alpn, requestCert = false, handshakeTimeout = 10_000, backlog = 128 } = options;
  const { native = false, maxHandshakes, proxyProtocol = false } = options;
  checkBoolean("requestCert", requestCert);
  checkTimeout("handshakeTimeout", handshakeTimeout);
  checkInteger("backlog", backlog, 1, 65535);
  checkBoolean("native", native);
  checkBoolean("proxyProtocol", proxyProtocol);
  if (maxHandshakes !== undefined) checkInteger("maxHandshakes", maxHandshakes, 1, 2 ** 32 - 1);
  const pair = checkCertAndKey(op, options);
  if (pair !== undefined && certs !== undefined) {
    throw new TypeError('Give either "cert" and "key" or "certs", not both');
  }
  const ca = checkCa(op, options.ca);
  if (ca !== undefined && !requestCert) {
    throw new TypeError('"ca" says whose client certificates to trust: it needs "requestCert"');
  }
  const pairs = pair === undefined ? certs === undefined ? [] : checkPairs(op, certs) : [pair];
  if (native) {
    checkNative({ requestCert, maxHandshakes, proxyProtocol }, pairs);
    certified(op, () => pairs.forEach(checkForNative));
  }
  return {
    pairs,
    native,
    alpn: checkAlpn(alpn),
    clientCa: requestCert ? ca ?? [] : undefined,
    handshakeTimeout,
    maxHandshakes: maxHandshakes ?? 1000,
    backlog,
    proxyProtocol,
  };
}

/** What Deno's own TLS cannot serve. */
function checkNative(
  { requestCert, maxHandshakes, proxyProtocol }: TlsListenOptions,
  pairs: readonly CheckedPair[],
): void {
  const cannot = requestCert
    ? '"requestCert"'
    : proxyProtocol
    ? '"proxyProtocol"'
    : pairs.length > 1
    ? "more than one certificate"
    : maxHandshakes !== undefined
    ? '"maxHandshakes"'
    : undefined;
  if (cannot === undefined) return;
  throw new TypeError(`Deno's own TLS knows no ${cannot}: leave "native" out`);
}

export function checkPairs(op: string, certs: unknown): CheckedPair[] {
  if (!Array.isArray(certs)) throw wrongType("certs", "an array", certs);
  if (certs.length === 0) throw wrongEmpty("certs", "at least one certificate", "an empty array");
  // A list may have holes, which `map` would pass over.
  return Array.from(certs, (pair) => {
    checkOptions(pair, ["cert", "key"]);
    return certified(op, () => checkPair(pair));
  });
}

function checkCertAndKey(
  op: string,
  { cert, key }: { cert?: string; key?: string },
): CheckedPair | undefined {
  if (cert === undefined && key === undefined) return undefined;
  return certified(op, () => checkPair({ cert: cert!, key: key! }));
}

/** Authorities that were found good: programs give the same ones for every connection. */
const knownGood: Map<string, string[]> = new Map();

function checkCa(op: string, ca: unknown): string[] | undefined {
  if (ca === undefined) return undefined;
  const texts: unknown[] = Array.isArray(ca) ? [...ca] : [ca]; // what is missing in it is wrong
  return texts.flatMap((text) => {
    checkString("ca", text);
    const known = knownGood.get(text as string);
    if (known !== undefined) return known;
    const found = certified(op, () => checkAuthorities(text as string));
    if (knownGood.size >= 64) knownGood.clear();
    knownGood.set(text as string, found);
    return found;
  });
}

/** All extensions of a ClientHello have 65,535 bytes between them; the others need a few thousand. */
const MAX_ALPN = 60_000;

function checkAlpn(alpn: unknown): string[] | undefined {
  if (alpn === undefined) return undefined;
  if (!Array.isArray(alpn)) throw wrongType("alpn", "an array of strings", alpn);
  const protocols: string[] = Array.from(alpn); // once
  let total = 0;
  for (const protocol of protocols) {
    checkString("alpn", protocol);
    const { length } = new TextEncoder().encode(protocol);
    if (protocol === "" || length > 255) {
      throw wrongRange("alpn", "protocol names of 1 to 255 bytes", protocol);
    }
    total += 1 + length;
  }
  if (total > MAX_ALPN) {
    const most = `at most ${MAX_ALPN} bytes in all, with one more for each name`;
    throw wrongRange("alpn", most, total);
  }
  return protocols;
}

/** A certificate that cannot be used is a failure with a code. */
function certified<T>(op: string, check: () => T): T {
  try {
    return check();
  } catch (cause) {
    throw cause instanceof TlsError ? translate(cause, op, {}) : cause;
  }
}
