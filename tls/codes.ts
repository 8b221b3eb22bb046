/**
 * From what a TLS implementation says to a code. Deno's (rustls) has only texts, Node's mostly has
 * codes. The codes are those of Node; `EPROTO` stands for whatever is not proper TLS.
 */

import { CodedError } from "../socket/error.ts";

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
  return { code, text: cause.message.replace(/^invalid peer certificate: /, "") };
}

/** The same as an error to throw; anything else stays as it is. */
export function toTlsError(cause: unknown): unknown {
  const known = explain(cause);
  return known === undefined ? cause : new TlsError(known.code, known.text, { cause });
}

const TEXTS: readonly (readonly [RegExp, string])[] = [
  [/^invalid peer certificate: certificate expired/, "CERT_HAS_EXPIRED"],
  [/^invalid peer certificate: certificate not valid yet/, "CERT_NOT_YET_VALID"],
  [/^invalid peer certificate: certificate not valid for name/, "ERR_TLS_CERT_ALTNAME_INVALID"],
  [/^invalid peer certificate: UnknownIssuer/, "UNABLE_TO_GET_ISSUER_CERT"],
  [/^invalid peer certificate: BadSignature/, "CERT_SIGNATURE_FAILURE"],
  [/^invalid peer certificate: .*CaUsedAsEndEntity/, "INVALID_PURPOSE"],
  [/^invalid peer certificate: .*InvalidPurpose/, "INVALID_PURPOSE"],
  [/^invalid peer certificate: Revoked/, "CERT_REVOKED"],
  [/^invalid peer certificate/, "CERT_REJECTED"],
  [/^peer doesn't support any known protocol/, "ERR_SSL_NO_APPLICATION_PROTOCOL"],
  [/^peer sent no certificates/, "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE"],
  [/received corrupt message|cannot decrypt peer|^received unexpected|^peer misbehaved/, "EPROTO"],
  [/^peer is incompatible/, "EPROTO"],
];

function codeOfText(text: string): string | undefined {
  const alert = /^received fatal alert: (\w+)/.exec(text);
  if (alert !== null) return codeOfAlert(alert[1]);
  return TEXTS.find(([pattern]) => pattern.test(text))?.[1];
}

/** Alerts that SSL 3 knew already, and those that came with TLS 1.3; the rest are of TLS 1. */
const SSLV3 =
  /^(UnexpectedMessage|BadRecordMac|DecompressionFailure|HandshakeFailure|NoCertificate|BadCertificate|UnsupportedCertificate|CertificateRevoked|CertificateExpired|CertificateUnknown|IllegalParameter)$/;
const TLSV13 = /^(MissingExtension|CertificateRequired)$/;

/** `UnknownCA` → `ERR_SSL_TLSV1_ALERT_UNKNOWN_CA`, as OpenSSL and so Node name it. */
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
