import type * as NodeCrypto from "node:crypto";
import type * as NodeTimers from "node:timers";
import type * as NodeTls from "node:tls";

// Node's modules are loaded at their first use. An `import` at the top would cost every program tens
// of milliseconds at its start, TLS or not; an `import()` would make `tls.tcpserver` asynchronous.
const builtin = <T>(name: string): T => globalThis.process.getBuiltinModule(name) as T;

export const nodeCrypto = (): typeof NodeCrypto => builtin("node:crypto");
export const nodeTimers = (): typeof NodeTimers => builtin("node:timers");
export const nodeTls = (): typeof NodeTls => builtin("node:tls");
