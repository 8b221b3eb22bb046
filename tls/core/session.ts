/** What is known of an encrypted connection; and what Node's TLS tells of it. */
import { alternativeNames, openCertificate } from "./certificate.ts";
import { explain, TlsError } from "./codes.ts";
import type { PeerCertificate, TlsInfo } from "./types.ts";
import type { Session } from "../../socket/core/transport.ts";
import type {
  DetailedPeerCertificate,
  PeerCertificate as NodeCertificate,
  TLSSocket,
} from "node:tls";

/** The layer of TLS over a connection. */
export interface TlsSession extends Session {
  info(): TlsInfo;
}

/** A session of Node's TLS. */
export class NodeSession implements TlsSession {
  readonly explain = explain;
  readonly joins = true;
  #socket: TLSSocket | undefined;
  #info: TlsInfo | undefined;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
  }

  /** Asks for what the socket tells only as long as it is there. */
  remember(): TlsInfo {
    const socket = this.#socket;
    if (socket === undefined) return this.#info!;
    this.#socket = undefined;
    const { alpnProtocol, servername } = socket as TLSSocket & { servername?: string | false };
    return this.#info = {
      protocol: socket.getProtocol(),
      cipher: socket.getCipher()?.name ?? null,
      alpn: alpnProtocol || null,
      sni: servername || null,
      peerCertificate: describe(socket.getPeerCertificate()),
    };
  }

  info(): TlsInfo {
    return { ...this.remember() };
  }
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
