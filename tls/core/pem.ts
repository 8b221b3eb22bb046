// PEM (RFC 7468): Base64 between a BEGIN and an END line. Any text may stand around the blocks, and
// the lines may be indented, end in CRLF or begin with a byte order mark: the engines are given PEM
// made anew from the bytes, since each of them is strict about something else.

import { TlsError } from "./codes.ts";

/** One block of a PEM text. */
export interface PemBlock {
  /** What stands in the BEGIN line, for example `"CERTIFICATE"`. */
  readonly label: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const BEGIN = "-----BEGIN ";
const DASHES = "-----";
/** The longest label in use has 21 characters. */
const LABEL = 64;

/**
 * Reads every block of a PEM text whose label `wanted` accepts. Other blocks (`EC PARAMETERS`, a
 * key beside the certificate) are skipped, so that one file may hold everything. The time it takes
 * grows with the length of the text, whatever it holds.
 *
 * @param name The option that the text was given as, for errors.
 */
export function decodePem(
  name: string,
  text: string,
  wanted: (label: string) => boolean,
): PemBlock[] {
  const blocks: PemBlock[] = [];
  for (let at = text.indexOf(BEGIN); at >= 0; at = text.indexOf(BEGIN, at)) {
    at += BEGIN.length;
    const start = text.slice(at, at + LABEL + DASHES.length);
    const length = start.indexOf(DASHES);
    const label = start.slice(0, length);
    if (length < 0 || !wanted(label)) continue;
    at += length + DASHES.length;
    const end = `-----END ${label}-----`;
    const to = text.indexOf(end, at);
    if (to < 0) throw bad(name, label, `its line "${end}" is missing`);
    blocks.push({ label, bytes: decodeBody(name, label, text.slice(at, to)) });
    at = to + end.length;
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

function decodeBody(name: string, label: string, body: string): Uint8Array<ArrayBuffer> {
  // A key that is encrypted the old way says so in a header.
  if (/^Proc-Type:.*ENCRYPTED/.test(body.slice(0, 200).trimStart())) throw encrypted(name);
  let binary: string;
  try {
    binary = atob(body.replace(/\s+/g, ""));
  } catch {
    throw bad(
      name,
      label,
      body.includes("\\n") ? 'it holds "\\n" where line breaks should be' : "it is not Base64",
    );
  }
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** The error for a key that needs a password. */
export function encrypted(name: string): TlsError {
  return new TlsError(
    "ERR_MISSING_PASSPHRASE",
    `"${name}" is encrypted: decrypt it first ("openssl pkey -in key.pem")`,
  );
}

function bad(name: string, label: string, why: string): TlsError {
  return new TlsError(
    "ERR_OSSL_PEM_BAD_BASE64_DECODE",
    `"${name}" cannot be read, its PEM block "${label}" is garbled: ${why}`,
  );
}
