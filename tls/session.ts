/** What is known of an encrypted connection. */
import type { DetailedPeerCertificate, PeerCertificate as NodeCertificate } from "node:tls";
import type { Session } from "../socket/stream.ts";

/** The certificate that the peer showed. */
export interface PeerCertificate {
  /** Whom it is for: the subject's common name, `""` if it has none. */
  readonly subject: string;
  /** Who vouches for it: the issuer's common name, `""` if it has none. */
  readonly issuer: string;
  /** The DNS names and IP addresses it is valid for. */
  readonly names: readonly string[];
  /** The first moment of its validity. */
  readonly validFrom: Date;
  /** The last moment of its validity. */
  readonly validTo: Date;
  /** Its serial number, in hexadecimal. */
  readonly serialNumber: string;
  /** The SHA-256 of the certificate, in hexadecimal with colons. */
  readonly fingerprint256: string;
  /** The certificate itself, as DER. */
  readonly raw: Uint8Array;
}

/** What is known of an encrypted connection; `null` stands for what Deno does not tell. */
export interface TlsInfo {
  /** `"TLSv1.2"` or `"TLSv1.3"`. */
  readonly protocol: string | null;
  /** The cipher suite. */
  readonly cipher: string | null;
  /** The application protocol that was agreed on, `null` if none was. */
  readonly alpn: string | null;
  /** The server name that the client asked for. */
  readonly sni: string | null;
  /** The peer's certificate; a server has one only of a client it asked for it. */
  readonly peerCertificate: PeerCertificate | null;
}

/** The layer of TLS over a connection. */
export interface TlsSession extends Session {
  info(): TlsInfo;
}

/** A certificate as Node describes it, as ours. */
export function describe(
  certificate: NodeCertificate | DetailedPeerCertificate | null | undefined,
): PeerCertificate | null {
  if (!certificate?.raw) return null;
  return {
    subject: nameOf(certificate.subject),
    issuer: nameOf(certificate.issuer),
    names: certificate.subjectaltname?.split(", ").map((name) => name.replace(/^[^:]*:/, "")) ?? [],
    validFrom: new Date(certificate.valid_from),
    validTo: new Date(certificate.valid_to),
    serialNumber: certificate.serialNumber,
    fingerprint256: certificate.fingerprint256,
    raw: new Uint8Array(certificate.raw),
  };
}

function nameOf(party: { CN?: string | string[] } | undefined): string {
  return [party?.CN ?? []].flat()[0] ?? "";
}
