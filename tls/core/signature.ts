/** Verifying the signature of a certificate, in the ways that TLS knows. */
import { nodeCrypto } from "./builtins.ts";
import { type CertificateParts, checkKind } from "./certificate.ts";
import { type Element, elements, inside, Tag } from "./der.ts";

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
export function hasSigned(
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
