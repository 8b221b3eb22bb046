/**
 * What is wrong with a certificate, a key, or the two together. Internal: the public functions turn
 * it into a
 * `SocketError` with the same code, so this file needs to know nothing of sockets.
 *
 * | code | meaning |
 * |---|---|
 * | `CERT_HAS_EXPIRED` | a certificate of the chain is past its last day |
 * | `CERT_NOT_YET_VALID` | a certificate of the chain begins in the future |
 * | `ERR_OSSL_X509_KEY_VALUES_MISMATCH` | the key belongs to another certificate |
 * | `ERR_MISSING_PASSPHRASE` | the key is encrypted |
 * | `ERR_OSSL_PEM_NO_START_LINE` | the text holds no certificate, or no key |
 * | `ERR_OSSL_PEM_BAD_BASE64_DECODE` | a PEM block is cut short or is not Base64 |
 * | `ERR_OSSL_ASN1_PARSE_ERROR` | a PEM block decodes, but to no certificate or key |
 */
export class CertificateError extends Error {
  /** Always `"CertificateError"`. */
  override name = "CertificateError";

  /** The code as Node names it, for example `"CERT_HAS_EXPIRED"`. */
  readonly code: string;

  /** Constructs a new instance. */
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
