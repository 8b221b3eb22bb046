/**
 * Which clients' certificates a server has verified itself.
 *
 * Theory of operation. A resumed session is not verified again, and the servers of a process share
 * the key of their tickets. So a session may go back to a handshake with another server, which
 * asked for no certificate or trusted another authority, or to one that was refused after its
 * ticket had been sent. Only what was verified in a full handshake is remembered here, by the
 * certificate's fingerprint, and a resumed session gets in only if its certificate is, and is still
 * in date. A client whose certificate was forgotten, because thousands of others came since, is
 * refused until it begins a session anew.
 */
import type { TLSSocket } from "node:tls";
import { clientObjection } from "./chain.ts";
import { TlsError } from "./codes.ts";

/** How many certificates are remembered: some 250 bytes each. */
const LIMIT = 10_000;

export class Verified {
  /** Until when each is valid; the one that was seen longest ago first. */
  readonly #known: Map<string, number> = new Map();
  readonly #ca: readonly string[];
  readonly #limit: number;

  /** @param ca The authorities that are trusted, PEM; if there is none, those that Deno was told of. */
  constructor(ca: readonly string[], limit: number = LIMIT) {
    this.#ca = ca;
    this.#limit = limit;
  }

  /** How many certificates are remembered. */
  get size(): number {
    return this.#known.size;
  }

  /**
   * Says what is wrong with the client of a handshake that is done, `undefined` if nothing is.
   *
   * @param now The time to check against.
   */
  objection(socket: TLSSocket, now: number = Date.now()): TlsError | undefined {
    const { fingerprint256, valid_from, valid_to } = socket.getPeerCertificate() ?? {};
    if (!fingerprint256) {
      return new TlsError(
        "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE",
        "client showed no certificate",
      );
    }
    let until = this.#known.get(fingerprint256);
    if (!socket.isSessionReused()) {
      if (!socket.authorized || socket.authorizationError) {
        return new TlsError("CERT_REJECTED", "client certificate refused");
      }
      const peer = this.#ca.length > 0 ? socket.getPeerCertificate(true) : undefined;
      const objection = peer && clientObjection(peer, this.#ca, now);
      if (objection !== undefined) return objection;
      until = Date.parse(valid_to);
    } else if (until === undefined) {
      return new TlsError(
        "CERT_REJECTED",
        "client resumed a session whose certificate this server has not verified",
      );
    }
    // Written so that a date that cannot be read is none.
    if (!(now <= until)) return new TlsError("CERT_HAS_EXPIRED", "client certificate expired");
    if (!(now >= Date.parse(valid_from))) {
      return new TlsError("CERT_NOT_YET_VALID", "client certificate is not valid yet");
    }
    this.#remember(fingerprint256, until);
  }

  #remember(fingerprint: string, until: number): void {
    this.#known.delete(fingerprint);
    this.#known.set(fingerprint, until);
    if (this.#known.size <= this.#limit) return;
    const [oldest] = this.#known.keys();
    this.#known.delete(oldest);
  }
}
