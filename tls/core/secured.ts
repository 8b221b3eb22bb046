/** What both engines of TLS have in common: a handshake that ends, one way or the other. */
import type { Transport } from "../../socket/core/transport.ts";
import { toTlsError } from "./codes.ts";
import type { TlsSession } from "./session.ts";

/** An encrypted connection. */
export interface Secured {
  readonly transport: Transport;
  readonly session: TlsSession;
}

/** Waits for a part of a handshake; closes the connection if it fails or is given up. */
export async function guarded<T>(
  transport: Pick<Transport, "close">,
  handshake: Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const abort = () => transport.close();
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  try {
    const result = await handshake;
    if (signal.aborted) throw signal.reason; // it was closed when it had just succeeded
    return result;
  } catch (cause) {
    if (!signal.aborted) transport.close();
    throw toTlsError(cause);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
