/**
 * From what a TLS implementation says to a code. Deno's (rustls) has only texts, Node's mostly has
 * codes. The codes are those of Node; `EPROTO` stands for whatever is not proper TLS.
 */

import { CodedError } from "../../socket/core/failure.ts";

/** A failure of TLS whose code is known. */
export class TlsError extends CodedError {
  override readonly name = "TlsError";
}

/** What a failure of TLS means; `undefined` if it is one of the network's. */
export function explain(cause: unknown): { code: string; text: string } | undefined {
  if (!(cause instanceof Error)) return undefined;
  if (cause instanceof TlsError) return { code: cause.code, text: cause.message };
  if (cause instanceof Deno.errors.UnexpectedEof) {
    return { code: "EUNEXPECTEDEOF", text: "connection was cut without close_notify" };
  }
  const code = codeOfText(cause.message) ?? codeOfNode(cause);
  if (code === undefined) return undefined;
  return { code, text: TEXTS[code]?.(cause.message) ?? shorten(cause.message) };
}

/**
 * The same of a handshake, as an error to throw; anything else stays as it is. What cannot be read
 * in the middle of a connection was tampered with; at its beginning, it was never meant to be TLS.
 */
export function toTlsError(cause: unknown): unknown {
  const known = explain(cause);
  if (known === undefined) return cause;
  const { code, text } = known;
  const plain = code === "EPROTO" && /InvalidContentType|wrong.version/i.test(text);
  return new TlsError(code, plain ? `the peer does not speak TLS: ${text}` : text, { cause });
}

const CODES: readonly (readonly [RegExp, string])[] = [
  [/^invalid peer certificate: certificate expired/, "CERT_HAS_EXPIRED"],
  [/^invalid peer certificate: certificate not valid yet/, "CERT_NOT_YET_VALID"],
  [/^invalid peer certificate: certificate not valid for name/, "ERR_TLS_CERT_ALTNAME_INVALID"],
  [/^invalid peer certificate: UnknownIssuer/, "UNABLE_TO_GET_ISSUER_CERT"],
  [/^invalid peer certificate: BadSignature/, "CERT_SIGNATURE_FAILURE"],
  [/^invalid peer certificate: .*(CaUsedAsEndEntity|InvalidPurpose|key usage)/, "INVALID_PURPOSE"],
  [/^invalid peer certificate: Revoked/, "CERT_REVOKED"],
  [/^invalid peer certificate/, "CERT_REJECTED"],
  [/^peer doesn't support any known protocol/, "ERR_SSL_NO_APPLICATION_PROTOCOL"],
  [/^peer sent no certificates/, "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE"],
  [/received corrupt message|cannot decrypt peer|^received unexpected|^peer misbehaved/, "EPROTO"],
  [/^peer is incompatible/, "EPROTO"],
];

const TRUST = 'name the certificate of its authority in "ca" (of a development server: what ' +
  "tls.certificate(server) gives there)";

/** What to say instead of the implementation's words, which are meant for programmers of TLS. */
const TEXTS: Record<string, (text: string) => string> = {
  CERT_HAS_EXPIRED: (text) => `certificate expired${moment(text, "on", "after")}`,
  CERT_NOT_YET_VALID: (text) => `certificate is not valid yet${moment(text, "before", "before")}`,
  UNABLE_TO_GET_ISSUER_CERT: () =>
    `nobody who is trusted issued the certificate: ${TRUST}; or the peer does not send the ` +
    "intermediate certificates that lead there",
  DEPTH_ZERO_SELF_SIGNED_CERT: () => `certificate is self-signed: ${TRUST}`,
  SELF_SIGNED_CERT_IN_CHAIN: () =>
    `certificate leads to an authority that is not trusted: ${TRUST}`,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: () =>
    "certificate cannot be verified: it has expired, is not valid yet, is not meant for this use, " +
    `or nobody who is trusted issued it: ${TRUST}`,
  CERT_SIGNATURE_FAILURE: () =>
    "signature of the certificate does not verify: the authority of that name has another key, or " +
    "an RSA key of less than 2,048 bits, which is too weak",
  INVALID_PURPOSE: (text) =>
    text.includes("CaUsedAsEndEntity")
      ? "certificate is an authority's (CA:TRUE), not the peer's own: the peer must put its own " +
        "certificate first, or mark a self-signed one CA:FALSE"
      : `certificate is not meant for this use: ${shorten(text)}`,
  CERT_REJECTED: (text) => algorithmOf(text) ?? shorten(text),
};

/** " on 2026-11-20T..." from "... not valid after 1795195765 ...", in seconds since 1970. */
function moment(text: string, preposition: string, limit: string): string {
  const seconds = new RegExp(`not valid ${limit} (\\d{1,11})\\b`).exec(text)?.[1];
  if (seconds === undefined) return "";
  return ` ${preposition} ${new Date(Number(seconds) * 1000).toISOString()}`;
}

/** The algorithm that nobody accepts, which Deno's TLS shows as the bytes of its name. */
function algorithmOf(text: string): string | undefined {
  if (!text.includes("UnsupportedSignatureAlgorithm")) return undefined;
  const bytes = /signature_algorithm_id: \[([\d, ]+)\]/.exec(text)?.[1] ?? "";
  const name = WEAK.find(([id]) => bytes.startsWith(id))?.[1] ?? "in a way that is not supported";
  return `certificate is signed ${name}: have it issued anew, signed with SHA-256`;
}

/** As DER: 1.2.840.113549.1.1.4 and .5 (RSA with MD5 and SHA-1), 1.2.840.10045.4.1 (ECDSA, SHA-1). */
const WEAK: readonly (readonly [id: string, name: string])[] = [
  ["6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 4,", "with MD5, which is too weak"],
  ["6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 5,", "with SHA-1, which is too weak"],
  ["6, 7, 42, 134, 72, 206, 61, 4, 1", "with SHA-1, which is too weak"],
];

/** What a peer's certificate holds may be long. */
function shorten(text: string): string {
  const bare = text.replace(/^invalid peer certificate: /, "")
    .replace(/\b(?:DnsName|IpAddress)\(("[^"]*"|[^)]*)\)/g, "$1");
  return bare.length <= 300 ? bare : `${bare.slice(0, 300)}\u2026`;
}

function codeOfText(text: string): string | undefined {
  const alert = /^received fatal alert: (\w+)/.exec(text);
  if (alert !== null) return codeOfAlert(alert[1]);
  return CODES.find(([pattern]) => pattern.test(text))?.[1];
}

/** Alerts that SSL 3 knew already, and those that came with TLS 1.3; the rest are of TLS 1. */
const SSLV3 =
  /^(UnexpectedMessage|BadRecordMac|DecompressionFailure|HandshakeFailure|NoCertificate|BadCertificate|UnsupportedCertificate|CertificateRevoked|CertificateExpired|CertificateUnknown|IllegalParameter)$/;
const TLSV13 = /^(MissingExtension|CertificateRequired)$/;

/** `UnknownCA` -> `ERR_SSL_TLSV1_ALERT_UNKNOWN_CA`, as OpenSSL and so Node name it. */
function codeOfAlert(alert: string): string {
  const version = SSLV3.test(alert) ? "SSLV3" : TLSV13.test(alert) ? "TLSV13" : "TLSV1";
  const words = alert.replace(/([a-z])([A-Z])/g, "$1_$2").toUpperCase();
  return `ERR_SSL_${version}_ALERT_${words}`;
}

/** Node's own codes of TLS. Those of the network begin with a single `E`. */
function codeOfNode(cause: Error): string | undefined {
  if (!("code" in cause) || typeof cause.code !== "string") {
    return cause instanceof Deno.errors.InvalidData ? "EPROTO" : undefined;
  }
  if (cause.code === "ERR_SSL_WRONG_VERSION_NUMBER") return "EPROTO";
  return /^(ERR_|UNABLE_|CERT_|DEPTH_|SELF_|INVALID_|HOSTNAME_)/.test(cause.code)
    ? cause.code
    : undefined;
}
