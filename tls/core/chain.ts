/**
 * What is verified besides what Deno's `node:tls` verifies.
 *
 * Theory of operation. Given authorities of the program's, `node:tls` here takes a certificate that
 * it cannot read well, if only the *names* lead to an authority, and then does not ask for a proof
 * of the key either; a certificate that is no authority's may vouch for others, if it is listed;
 * and names are looked for in a text, in which one can forge another. So a peer that it has let in
 * is looked at once more, from the bytes of its certificates. Nothing here lets anybody in.
 *
 * A chain must lead from the peer's certificate, by signatures, to one that is listed. Everything
 * below that is of version 3, strictly encoded, and in date; whoever vouches is an authority, for
 * that name, that use and so many others (RFC 5280).
 *
 * A server's chain may lead to an authority that Deno was told of instead; those cannot be asked
 * for without a permission, those of `--cert` not at all. So if no certificate of a chain names a
 * listed authority, `node:tls` is believed, since it is lenient with those alone; and only about
 * certificates that are sound.
 */
import type { DetailedPeerCertificate, PeerCertificate } from "node:tls";
import { allows, isKnown, mayBeShown, objectionTo, type Purpose } from "./authority.ts";
import { nodeCrypto } from "./builtins.ts";
import {
  alternativeNames,
  type CertificateParts,
  checkKind,
  openCertificate,
} from "./certificate.ts";
import { TlsError } from "./codes.ts";
import { broken, type Element, elements, inside, isSame, Tag } from "./der.ts";
import { formatIp, matchesName, parseIp } from "./names.ts";
import { decodePem } from "./pem.ts";
import { isStrict } from "./strict.ts";

/** So many certificates are looked at: what hides behind more is refused. */
const MAX_CERTIFICATES = 32;
/** So often it is looked whether one has signed another: a peer may send many of one name. */
const MAX_LOOKS = 32;
/** So many certificates are below an authority that is listed, at most. */
const MAX_DEPTH = 8;

type Peer = PeerCertificate | DetailedPeerCertificate;

/**
 * Says what is wrong with a server, `undefined` if nothing.
 *
 * @param peer What `node:tls` tells of its certificate, with those that came besides.
 * @param ca The authorities that the program lists, PEM.
 * @param host The name that it must have; `undefined` if any will do.
 */
export function serverObjection(
  peer: Peer,
  ca: readonly string[],
  host: string | undefined,
): TlsError | undefined {
  return unlessUnreadable(() => {
    const sent = presented(peer);
    return chainObjection(sent, ca, "server", Date.now()) ??
      (host === undefined ? undefined : nameObjection(sent[0], host));
  });
}

/** The same of a client, for whom nobody vouches but the authorities that are listed, at least one. */
export function clientObjection(
  peer: Peer,
  ca: readonly string[],
  now: number,
): TlsError | undefined {
  return unlessUnreadable(() => chainObjection(presented(peer), ca, "client", now));
}

/** What cannot be read is refused: these are asked by `node:tls`, in which an error would be uncaught. */
function unlessUnreadable(look: () => TlsError | undefined): TlsError | undefined {
  try {
    return look();
  } catch (cause) {
    return new TlsError("CERT_REJECTED", "a certificate cannot be read", { cause });
  }
}

function chainObjection(
  all: readonly CertificateParts[],
  ca: readonly string[],
  purpose: Purpose,
  now: number,
): TlsError | undefined {
  const [own, ...sent] = all;
  const listed = ca.flatMap(authorities);
  const search = new Search(sent, listed, purpose, now);
  const isNamed = listed.some(({ subject, bytes }) =>
    isSame(bytes, own.bytes) || all.some(({ issuer }) => isSameElement(issuer, subject))
  );
  const isGood = purpose === "server" && !isNamed ? search.believes(own) : search.leads(own);
  if (isGood) return undefined;
  return search.objection ?? new TlsError("UNABLE_TO_GET_ISSUER_CERT", "unknown issuer");
}

/** A name that a host may have, perhaps with `*` for the first of at least three labels. */
const DNS_NAME = /^(\*\.[\w-]+\.)?[\w-]+(\.[\w-]+)*$/;

function nameObjection({ extensions }: CertificateParts, host: string): TlsError | undefined {
  const names = alternativeNames(extensions) ?? [];
  const ip = parseIp(host);
  const wanted = ip === undefined ? host : formatIp(ip);
  const isFound = names.some(({ name, isIp }) =>
    isIp
      ? ip !== undefined && name === wanted
      : ip === undefined && DNS_NAME.test(name) && matchesName(name, host)
  );
  if (isFound) return undefined;
  const shown = names.slice(0, 3).map(({ name }) => JSON.stringify(name.slice(0, 100)));
  return new TlsError(
    "ERR_TLS_CERT_ALTNAME_INVALID",
    `not valid for name "${host}"; certificate is ` +
      (shown.length > 0 ? `only valid for ${shown.join(" or ")}` : "valid for no name"),
  );
}

/** The certificates that a peer has sent, its own first: all of them. */
function presented(peer: Peer): CertificateParts[] {
  const found: Set<Peer> = new Set();
  let next: Peer | undefined = peer;
  while (next !== undefined && !found.has(next)) { // the last may issue itself
    if (!next.raw || found.size === MAX_CERTIFICATES) throw broken();
    found.add(next);
    next = "issuerCertificate" in next ? next.issuerCertificate : undefined;
  }
  return Array.from(found, ({ raw }) => openCertificate(raw));
}

class Search {
  /** The first thing that was found wrong. */
  objection: TlsError | undefined;
  readonly #sent: readonly CertificateParts[];
  readonly #listed: readonly CertificateParts[];
  readonly #purpose: Purpose;
  readonly #now: number;
  #looks = 0;

  constructor(
    sent: readonly CertificateParts[],
    listed: readonly CertificateParts[],
    purpose: Purpose,
    now: number,
  ) {
    this.#sent = sent;
    this.#listed = listed;
    this.#purpose = purpose;
    this.#now = now;
  }

  /** Whether the peer's own certificate is listed, or leads to one that is. */
  leads(own: CertificateParts): boolean {
    if (!this.#isReadable(own)) return false;
    if (this.#listed.some(({ bytes }) => isSame(bytes, own.bytes))) return this.#isInDate(own);
    if (mayBeShown(own, this.#purpose)) return this.#climbs([own]);
    this.#object("INVALID_PURPOSE", "certificate is not meant for this use");
    return false;
  }

  /** Whether there is nothing in what a peer has sent with which `node:tls` would be lenient. */
  believes(own: CertificateParts): boolean {
    return this.#isInDate(own) &&
      [own, ...this.#sent].every((one) => this.#isReadable(one) && allows(one, []));
  }

  /**
   * Whether the last certificate of a path, each of which was signed by the next, leads to one that
   * is listed. The dates of that one do not matter.
   */
  #climbs(path: readonly CertificateParts[]): boolean {
    const last = path[path.length - 1];
    if (!this.#isKnown(last) || !this.#isInDate(last)) return false;
    if (path.length > MAX_DEPTH) {
      this.#object("CERT_REJECTED", "it is too far from the certificate to an authority");
      return false;
    }
    return this.#issuers(path, this.#listed).length > 0 ||
      this.#issuers(path, this.#sent)
        .some((issuer) =>
          !isAmong(path, issuer) && this.#isReadable(issuer) && this.#climbs([...path, issuer])
        );
  }

  /** Those of a list that have signed the last certificate of a path, and may. */
  #issuers(
    path: readonly CertificateParts[],
    list: readonly CertificateParts[],
  ): CertificateParts[] {
    const last = path[path.length - 1];
    const named = list.filter(({ subject }) => isSameElement(subject, last.issuer));
    return named.filter((issuer) => {
      const isTooMany = ++this.#looks > MAX_LOOKS;
      const objection = isTooMany ? undefined : objectionTo(issuer, path, this.#purpose);
      if (objection !== undefined) {
        this.#object(objection.code, objection.text);
        return false;
      }
      if (!isTooMany && hasSigned(issuer, last)) return true;
      this.#object("CERT_SIGNATURE_FAILURE", "bad signature");
      return false;
    });
  }

  #isReadable({ bytes }: CertificateParts): boolean {
    if (isStrict(bytes)) return true;
    this.#object("CERT_REJECTED", "certificate is not of version 3, or not encoded strictly");
    return false;
  }

  #isKnown(certificate: CertificateParts): boolean {
    if (isKnown(certificate)) return true;
    this.#object("CERT_REJECTED", "certificate has a critical extension that nobody knows here");
    return false;
  }

  // Written so that a date that cannot be read is none.
  #isInDate({ notBefore, notAfter }: CertificateParts): boolean {
    if (!(notBefore.getTime() <= this.#now)) {
      this.#object("CERT_NOT_YET_VALID", `valid from ${notBefore.toISOString()}`);
    } else if (!(this.#now <= notAfter.getTime())) {
      this.#object("CERT_HAS_EXPIRED", `valid until ${notAfter.toISOString()}`);
    } else return true;
    return false;
  }

  #object(code: string, text: string): void {
    this.objection ??= new TlsError(code, text);
  }
}

/** Whether a path comes back to whom it has been at. */
function isAmong(path: readonly CertificateParts[], issuer: CertificateParts): boolean {
  return path.some(({ subject, publicKey }) =>
    isSameElement(subject, issuer.subject) && isSameElement(publicKey, issuer.publicKey)
  );
}

const RSA = "42,134,72,134,247,13,1,1,"; // 1.2.840.113549.1.1
const ECDSA = "42,134,72,206,61,4,3,"; // 1.2.840.10045.4.3

/** A way to sign: with which kind of key, and over which hash; Ed25519 has none of its own. */
interface Way {
  readonly kind: "rsa" | "ec" | "ed25519";
  readonly hash: string | null;
  /** RSASSA-PSS: how long the salt is. */
  readonly salt?: number;
}

const WAYS: Record<string, Way> = {
  [`${RSA}11`]: { kind: "rsa", hash: "sha256" },
  [`${RSA}12`]: { kind: "rsa", hash: "sha384" },
  [`${RSA}13`]: { kind: "rsa", hash: "sha512" },
  [`${ECDSA}2`]: { kind: "ec", hash: "sha256" },
  [`${ECDSA}3`]: { kind: "ec", hash: "sha384" },
  [`${ECDSA}4`]: { kind: "ec", hash: "sha512" },
  "43,101,112": { kind: "ed25519", hash: null }, // 1.3.101.112
};
/** RSASSA-PSS by the ID of its hash, as far as TLS knows it: the salt is as long as the hash. */
const PSS = `${RSA}10`;
const PSS_WAYS: Record<string, Way> = {
  "96,134,72,1,101,3,4,2,1": { kind: "rsa", hash: "sha256", salt: 32 },
  "96,134,72,1,101,3,4,2,2": { kind: "rsa", hash: "sha384", salt: 48 },
  "96,134,72,1,101,3,4,2,3": { kind: "rsa", hash: "sha512", salt: 64 },
};

/** Whether one certificate's key has signed another certificate, whose form is right. */
function hasSigned(
  { publicKey }: CertificateParts,
  { signed, algorithm, signature }: CertificateParts,
): boolean {
  const way = wayOf(algorithm);
  if (way === undefined) return false;
  const { kind, hash, salt } = way;
  const { constants, createPublicKey, verify } = nodeCrypto();
  try {
    const der = publicKey.raw as Uint8Array<ArrayBuffer>;
    const key = createPublicKey({ key: der as never, format: "der", type: "spki" });
    if (key.asymmetricKeyType !== kind) return false;
    checkKind(key);
    const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: salt };
    const how = salt === undefined ? key : { key, ...padding };
    return verify(hash, signed.raw, how, signature.value.subarray(1));
  } catch {
    return false; // a key that cannot be read, or is too weak
  }
}

function wayOf(algorithm: Element): Way | undefined {
  const [id, parameters] = inside(algorithm, Tag.sequence);
  const name = `${id?.value.join()}`;
  if (name !== PSS) return WAYS[name];
  const [wrapped] = inside(parameters, Tag.sequence);
  const [chosen] = inside(elements(wrapped?.value ?? new Uint8Array())[0], Tag.sequence);
  return PSS_WAYS[`${chosen?.value.join()}`];
}

/** Authorities that were taken apart: programs list the same ones for every connection. */
const opened: Map<string, CertificateParts[]> = new Map();

function authorities(pem: string): CertificateParts[] {
  let found = opened.get(pem);
  if (found === undefined) {
    found = decodePem("ca", pem, (label) => label === "CERTIFICATE")
      .map(({ bytes }) => openCertificate(bytes));
    if (opened.size >= 256) opened.clear();
    opened.set(pem, found);
  }
  return found;
}

function isSameElement(one: Element, other: Element): boolean {
  return isSame(one.raw, other.raw);
}
