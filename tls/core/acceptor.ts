import { PreparingAcceptor, type Source } from "../../socket/core/preparing.ts";
import type { Opened } from "../../socket/core/transport.ts";
import type { Address } from "../../socket/core/types.ts";
import type { CheckedPair } from "./certificate.ts";
import type { ServerPlan } from "./plan.ts";

/** Where connections come from, and how they are secured. */
export interface TlsSource extends Source {
  readonly local: Address;
  /** The certificates it shows, the default first. */
  readonly pairs: readonly CheckedPair[];
  /** @param greeted Called when the client has said what it wants. */
  secure(opened: Opened, signal: AbortSignal, greeted: () => void): Promise<Opened>;
  /** Shows other certificates from now on; tells whether it can. */
  replace(pairs: readonly CheckedPair[]): boolean;
}

/** The place that a listener has. */
export interface Place {
  readonly host: string;
  readonly port: number;
  readonly backlog: number;
  readonly proxyProtocol: boolean;
}

/** Accepts connections once their handshake is done. */
export class TlsAcceptor extends PreparingAcceptor {
  readonly tls = true;
  readonly source: TlsSource;

  constructor(source: TlsSource, { handshakeTimeout, maxHandshakes }: ServerPlan) {
    super(source, handshakeTimeout, maxHandshakes);
    this.source = source;
  }

  /** Until when all of the certificates are valid. */
  get validTo(): Date {
    return new Date(Math.min(...this.source.pairs.map(({ notAfter }) => notAfter.getTime())));
  }

  protected prepare(opened: Opened, signal: AbortSignal, greeted: () => void): Promise<Opened> {
    return this.source.secure(opened, signal, greeted);
  }
}
