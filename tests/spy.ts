/** The arguments of every call of a method, which works as before; until it is disposed. */
export interface Spy extends Disposable {
  readonly calls: readonly unknown[][];
}

/** Watches a method of an object, or of a prototype for all of its instances. */
export function spyOn(object: object, name: string): Spy {
  const methods = object as Record<string, (...args: unknown[]) => unknown>;
  const method = methods[name];
  const calls: unknown[][] = [];
  methods[name] = function (...args) {
    calls.push(args);
    return method.apply(this, args);
  };
  return {
    calls,
    [Symbol.dispose]() {
      methods[name] = method;
    },
  };
}

/** What all TCP connections of Deno's have: their own methods, and those of any connection. */
export async function connectionPrototypes(): Promise<{ tcp: object; any: object }> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  connection.close();
  listener.close();
  const tcp = Object.getPrototypeOf(connection);
  return { tcp, any: Object.getPrototypeOf(tcp) };
}
