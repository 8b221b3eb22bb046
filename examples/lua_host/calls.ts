/**
 * The calls that the libraries in `lib/` are given: taskio's own, by integers.
 *
 * A failure, which is whatever a `SocketError` says, is `nil`, its message and its code, as usual in Lua.
 * Anything else that is thrown is a mistake of the script and becomes a Lua error.
 *
 * @module
 */
import { socket, type tls } from "@taskio/net";
import type { Guest, Outcome } from "./guest.ts";
import type { Settings } from "./settings.ts";
import { Exit, type LuaFunction, type LuaVm } from "./vm.ts";

/** Pushes a failure, and gives the count of values. */
export function pushFailure(vm: LuaVm, state: number, error: unknown): number {
  const { message, code } = error as { message?: string; code?: unknown };
  vm.pushNil(state);
  vm.pushText(state, message ?? String(error));
  if (typeof code !== "string") return 2;
  vm.pushText(state, code);
  return 3;
}

/** Pushes what a task came to: its result, or a failure; gives the count of values. */
export function pushOutcome(vm: LuaVm, state: number, outcome: Outcome): number {
  if (outcome.status === "Faulted") return pushFailure(vm, state, outcome.error);
  const { value } = outcome;
  if (value instanceof Uint8Array) vm.pushBytes(state, value);
  else if (typeof value === "number") vm.pushInteger(state, value);
  else if (typeof value === "boolean") vm.pushBoolean(state, value);
  else vm.pushNil(state);
  return 1;
}

/** The calls for one script. `ended` is told how its main chunk has ended: by a message if by an error. */
export function callsFor(
  vm: LuaVm,
  guest: Guest,
  { address, ca, write, warn }: Settings,
  ended: (message?: string) => void,
): Record<string, LuaFunction> {
  /** A call that gives an integer, or `nil`. */
  const integer = (call: (state: number) => number | undefined): LuaFunction => (state) => {
    const value = call(state);
    if (value === undefined) return 0;
    vm.pushInteger(state, value);
    return 1;
  };
  /** A call of a function of taskio's that does not wait, for a socket of the script's. */
  const look = (call: (id: socket.SocketId, state: number) => number): LuaFunction => (state) =>
    call(guest.own(idAt(state)), state);
  const idAt = (state: number) => vm.numberAt(state, 1) as never;

  const calls: Record<string, LuaFunction> = {
    connect: integer((state) => guest.connect(vm.textAt(state, 1), vm.numberAt(state, 2))),
    listen: integer((state) => guest.listen(address, vm.numberAt(state, 1))),
    accept: integer((state) => guest.accept(idAt(state))),
    recv: integer((state) => guest.recv(idAt(state))),
    send: integer((state) => guest.send(idAt(state), vm.bytesAt(state, 2))),
    sending: integer((state) => guest.sending(idAt(state))),
    starttls: integer((state) => guest.starttls(idAt(state), tlsOptionsAt(vm, state, ca))),
    after: integer((state) => guest.after(vm.numberAt(state, 1))),
    signal: integer(() => guest.signal()),
    raise(state) {
      guest.raise(idAt(state));
      return 0;
    },
    sleep(state) {
      vm.pushBoolean(state, guest.sleep(vm.threadAt(state, 1), vm.numberAt(state, 2) as never));
      return 1;
    },
    take(state) {
      const outcome = guest.take(idAt(state));
      vm.pushBoolean(state, outcome !== undefined);
      return outcome === undefined ? 1 : 1 + pushOutcome(vm, state, outcome);
    },
    cancel(state) {
      vm.pushBoolean(state, guest.cancel(idAt(state)));
      return 1;
    },
    close(state) {
      guest.close(idAt(state));
      return 0;
    },
    peek: look((id, state) => {
      const data = socket.peek(id, Number.MAX_SAFE_INTEGER);
      if (data === undefined) return 0;
      vm.pushBytes(state, data);
      return 1;
    }),
    unrecv: look((id, state) => {
      socket.unrecv(id, vm.bytesAt(state, 2));
      return 0;
    }),
    hasconnection: look((id, state) => {
      vm.pushBoolean(state, socket.hasconnection(id));
      return 1;
    }),
    istls: look((id, state) => {
      vm.pushBoolean(state, socket.istls(id));
      return 1;
    }),
    getside: look((id, state) => {
      vm.pushText(state, socket.getside(id));
      return 1;
    }),
    getpeer: look((id, state) => pushAddress(vm, state, socket.getpeer(id))),
    getlocal: look((id, state) => pushAddress(vm, state, socket.getlocal(id))),
    write(state) {
      write(vm.bytesAt(state, 1));
      return 0;
    },
    warn(state) {
      warn(vm.bytesAt(state, 1));
      return 0;
    },
    ended(state) {
      ended(vm.isNil(state, 1) ? undefined : vm.textAt(state, 1));
      return 0;
    },
    exit(state) {
      throw new Exit(vm.numberAt(state, 1));
    },
  };
  for (const [name, call] of Object.entries(calls)) {
    calls[name] = (state) => {
      try {
        return call(state);
      } catch (error) {
        if (error instanceof socket.SocketError) return pushFailure(vm, state, error);
        throw error;
      }
    };
  }
  return calls;
}

/** `"client", host` or `"server", chain, key, chain, key …`, from the second argument on. */
function tlsOptionsAt(
  vm: LuaVm,
  state: number,
  ca: string | undefined,
): tls.StarttlsOptions {
  if (vm.textAt(state, 2) === "client") {
    return { side: "client", host: vm.textAt(state, 3), ca };
  }
  const certs: tls.CertificatePair[] = [];
  for (let i = 3; i <= vm.count(state); i += 2) {
    certs.push({ cert: vm.textAt(state, i), key: vm.textAt(state, i + 1) });
  }
  return { side: "server", certs };
}

function pushAddress(vm: LuaVm, state: number, [host, port]: socket.Address): number {
  vm.pushText(state, host);
  vm.pushInteger(state, port);
  return 2;
}
