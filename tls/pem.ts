// PEM (RFC 7468): Base64 between a BEGIN and an END line, any text around the blocks.

import { CertificateError } from "./certificate_error.ts";

/** One block of a PEM text. */
export interface PemBlock {
  /** What stands in the BEGIN line, for example `"CERTIFICATE"`. */
  label: string;
  /** The bytes. */
  bytes: Uint8Array<ArrayBuffer>;
  /** The whole block as text, both lines included. */
  text: string;
}

/**
 * Reads every block of a PEM text whose label `wanted` accepts. Other blocks (`EC PARAMETERS`, a
 * key beside the certificate) are skipped, so that one file may hold everything.
 */
export function decodePem(text: string, wanted: (label: string) => boolean): PemBlock[] {
  const blocks: PemBlock[] = [];
  for (const begin of text.matchAll(/-----BEGIN ([^\r\n]*?)-----/g)) {
    const label = begin[1];
    if (!wanted(label)) continue;
    const end = `-----END ${label}-----`;
    const from = begin.index + begin[0].length;
    const to = text.indexOf(end, from);
    if (to < 0) throw bad(label, `its line "${end}" is missing`);
    blocks.push({
      label,
      bytes: decodeBody(label, text.slice(from, to)),
      text: text.slice(begin.index, to + end.length),
    });
  }
  return blocks;
}

/** Writes one block. */
export function encodePem(label: string, bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  const lines = btoa(binary).match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

function decodeBody(label: string, body: string): Uint8Array<ArrayBuffer> {
  // An encrypted key of the old form begins with "Proc-Type: 4,ENCRYPTED"; saying so beats "not
  // Base64".
  if (/^\s*Proc-Type:.*ENCRYPTED/.test(body)) throw encrypted();
  let binary: string;
  try {
    binary = atob(body);
  } catch {
    throw bad(label, "it is not Base64");
  }
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}

/** The error for a key that needs a password. */
export function encrypted(): CertificateError {
  return new CertificateError(
    "ERR_MISSING_PASSPHRASE",
    'Cannot read the key: it is encrypted, decrypt it first ("openssl pkey -in key.pem")',
  );
}

function bad(label: string, why: string): CertificateError {
  return new CertificateError(
    "ERR_OSSL_PEM_BAD_BASE64_DECODE",
    `Cannot read the PEM block "${label}": ${why}`,
  );
}
