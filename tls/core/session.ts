/** What is known of an encrypted connection. */
import { alternativeNames, openCertificate } from "./certificate.ts";
import { TlsError } from "./codes.ts";
import type { PeerCertificate, TlsInfo } from "./types.ts";
import type { Session } from "../../socket/core/transport.ts";
import type { DetailedPeerCertificate, PeerCertificate as NodeCertificate } from "node:tls";

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
    names: namesIn(certificate.raw),
    validFrom: new Date(certificate.valid_from),
    validTo: new Date(certificate.valid_to),
    serialNumber: certificate.serialNumber,
    fingerprint256: certificate.fingerprint256,
    raw: new Uint8Array(certificate.raw),
  };
}

/** From the bytes: in Node's text of them one name can forge another. */
function namesIn(bytes: Uint8Array): string[] {
  try {
    return (alternativeNames(openCertificate(bytes).extensions) ?? []).map(({ name }) => name);
  } catch (error) {
    if (error instanceof TlsError) return []; // it cannot be read, so it is valid for nobody
    throw error;
  }
}

function nameOf(party: { CN?: string | string[] } | undefined): string {
  return [party?.CN ?? []].flat()[0] ?? "";
}
