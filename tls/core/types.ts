/** The types that the calls of this package take and give. Public, every one of them. */

/** A certificate (chain) and its key, as PEM texts. */
export interface CertificatePair {
  /** The certificate, followed by the intermediate ones if there are any. */
  cert: string;
  /** The private key of the first certificate. */
  key: string;
}

/** A certificate of one's own: both halves, or none. */
export type OwnCertificate = CertificatePair | { cert?: undefined; key?: undefined };

/** Several certificates, chosen by the name that the client asks for; the first is the default. */
export interface CertificateList {
  /** The certificates, at least one. */
  certs: readonly CertificatePair[];
  /** Given in `certs`. */
  cert?: undefined;
  /** Given in `certs`. */
  key?: undefined;
}

/** A server's certificate, followed by its intermediate ones, or several. */
export type ServerCertificate = (CertificatePair & { certs?: undefined }) | CertificateList;

/** How a client secures its connection, besides its own certificate. */
export interface TlsClientSettings {
  /** Certificates to trust besides those that Deno trusts: PEM, each text one or several. */
  ca?: string | readonly string[];
  /**
   * The application protocols to offer, the preferred one first: `["h2", "http/1.1"]`. Each has 1
   * to 255 bytes, and all, with one more for each, at most 60,000.
   */
  alpn?: readonly string[];
  /**
   * The longest that it may take until the handshake is done, in milliseconds, at most `2 ** 31 -
   * 1`; up to 0 fails at once. `Infinity` sets no limit.
   *
   * @default {30_000}
   */
  timeout?: number;
  /** Gives up, with the signal's reason, when it aborts. */
  signal?: AbortSignal;
  /**
   * Accepts a certificate that is for another name. Its issuer and dates are still verified.
   *
   * @default {false}
   */
  unsafelyIgnoreHostname?: boolean;
}

/**
 * How a client secures its connection; with `cert` and `key`, its own certificate for a server that
 * asks for one.
 */
export type TlsClientOptions = TlsClientSettings & OwnCertificate;

/** How the client's side upgrades a connection, besides its own certificate. */
export interface StarttlsClientSettings extends TlsClientSettings {
  /**
   * The name that the server's certificate must be for. It must be given on a connection that was
   * accepted or is over a Unix socket, unless the name is ignored.
   *
   * @default {the host that was connected to}
   */
  host?: string;
  /**
   * The side of the handshake to take.
   *
   * @default {the connection's: the client is who connected}
   */
  side?: "client";
}

/** How the client's side upgrades a connection. */
export type StarttlsClientOptions = StarttlsClientSettings & OwnCertificate;

/** How a server secures a connection, besides its certificate. */
export interface TlsServerSettings {
  /** The application protocols to accept, the preferred one first; as many as a client may offer. */
  alpn?: readonly string[];
  /**
   * Whom to trust as the issuer of a client's certificate, and nobody else: PEM, each text one or
   * several; with `requestCert`.
   *
   * @default {the public authorities that Node lists}
   */
  ca?: string | readonly string[];
  /**
   * Refuses clients without a certificate that is trusted. Without `ca` that is one of the public
   * authorities that Node lists, not those that Deno was told of (`DENO_TLS_CA_STORE`, `--cert`):
   * an authority of one's own must be in `ca`.
   *
   * @default {false}
   */
  requestCert?: boolean;
  /**
   * The longest that a handshake may take, in milliseconds, at most `2 ** 31 - 1`; up to 0 leaves
   * no time and drops clients. `Infinity` sets no limit.
   *
   * @default {10_000}
   */
  handshakeTimeout?: number;
}

/** How a server secures a connection; a listener needs no certificate for development. */
export type TlsServerOptions =
  & TlsServerSettings
  & (ServerCertificate | { cert?: undefined; key?: undefined; certs?: undefined });

/** How the server's side upgrades a connection, besides its certificate. */
export interface StarttlsServerSettings extends TlsServerSettings {
  /**
   * The side of the handshake to take.
   *
   * @default {the connection's: the server is who accepted}
   */
  side?: "server";
}

/** How the server's side upgrades a connection. */
export type StarttlsServerOptions = StarttlsServerSettings & ServerCertificate;

/** How to upgrade a connection, from either side. */
export type StarttlsOptions = StarttlsClientOptions | StarttlsServerOptions;

/** How to listen for TLS connections. */
export interface TlsListenSettings extends TlsServerSettings {
  /**
   * Serves by Deno's own TLS, with about half the CPU time. It has one certificate, which cannot be
   * replaced ({@linkcode setcerts} throws `EOPNOTSUPP`), and takes neither `requestCert` nor
   * `proxyProtocol` nor `maxHandshakes`. Nagle's algorithm is on: a send that follows another one,
   * a turn or more later, waits until the peer has acknowledged the first, which may take 40 ms;
   * sends of one turn are joined. And a client that does not finish its handshake keeps its
   * descriptor until it goes, whatever `handshakeTimeout` says: not for servers that strangers can
   * reach.
   *
   * @default {false}
   */
  native?: boolean;
  /**
   * How many clients may be connected that have not sent their ClientHello, 1 to `2 ** 32 - 1`:
   * past that, the one that has been silent longest is dropped. Four times as many may have sent it
   * and not be done with their handshake: past that, the one that sent it first is dropped. The two
   * are counted apart, so that whoever says nothing pushes out nobody who does. Each has a
   * descriptor: allow far fewer than the process may have.
   *
   * @default {1000}
   */
  maxHandshakes?: number;
  /**
   * Whether every connection must begin with a PROXY header, as for `socket.tcpserver`; the
   * handshake follows it, and both must be over within `handshakeTimeout`.
   *
   * @default {false}
   */
  proxyProtocol?: boolean;
  /**
   * How many connections the system lets wait for an accept, 1 to 65535.
   *
   * @default {128}
   */
  backlog?: number;
}

/** How to listen for TLS connections, and with which certificate. */
export type TlsListenOptions = TlsListenSettings & TlsServerOptions;

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
