// A proxy that does to a connection what a schedule says, over TCP and over Unix sockets.

import net from "node:net";
import type { socket } from "../../mod.ts";
import { Random } from "../random.ts";
import { type Act, FATAL, type Step, type Way } from "./schedule.ts";

/** All that a proxy may wait for, in milliseconds: a slow way must not take for ever. */
const BUDGET = 400;
/** So many pieces go on in slices; the rest whole. */
const SLICES = 3000;

/** A running proxy of one connection. */
export interface FaultProxy extends AsyncDisposable {
  /** Connect here instead of to the target. */
  readonly address: socket.Address;
  /** The fatal acts that have happened. */
  readonly acts: readonly Act[];
  /** Bytes that have gone each way. */
  readonly passed: Readonly<Record<Way, number>>;
}

/**
 * Listens beside `target` and passes a connection on to it.
 *
 * @param path Where to listen if the target is a Unix socket.
 */
export async function serveFaults(
  target: socket.Address,
  steps: readonly Step[],
  seed: number,
  path: string,
): Promise<FaultProxy> {
  const isUnix = target[1] === 0;
  const acts: Act[] = [];
  const passed = { up: 0, down: 0 };
  const links: Link[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (client) => {
    const upstream = isUnix
      ? net.connect({ path: target[0], allowHalfOpen: true })
      : net.connect({ host: target[0], port: target[1], allowHalfOpen: true });
    links.push(new Link(client, upstream, { steps, seed, acts, passed, isUnix }));
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  if (isUnix) server.listen(path, resolve);
  else server.listen(0, "127.0.0.1", resolve);
  await promise;
  return {
    address: isUnix ? [path, 0] : ["127.0.0.1", (server.address() as net.AddressInfo).port],
    acts,
    passed,
    async [Symbol.asyncDispose]() {
      const closed = links.map((link) => link.closed);
      links.forEach((link) => link.destroy());
      await new Promise((resolve) => server.close(resolve));
      await Promise.all(closed);
    },
  };
}

interface Plan {
  readonly steps: readonly Step[];
  readonly seed: number;
  readonly acts: Act[];
  readonly passed: Record<Way, number>;
  readonly isUnix: boolean;
}

/** How one direction is at the moment. */
interface Manner {
  delay: number;
  jitter: number;
  rate: number;
  slice: number;
  swallow: boolean;
}

/** One connection through the proxy. */
class Link {
  /** Resolves once both sockets are gone and nothing more will happen. */
  readonly closed: Promise<unknown>;
  readonly #plan: Plan;
  readonly #client: net.Socket;
  readonly #upstream: net.Socket;
  readonly #random: Random;
  readonly #manners: Record<Way, Manner>;
  readonly #timers: Set<ReturnType<typeof setTimeout>> = new Set();
  /** Bytes go on neither way, and what becomes of one end does not concern the other. */
  #severed = false;
  /** Resolves when what stalls may go. */
  readonly #over = Promise.withResolvers<void>();
  #budget = BUDGET;
  #slices = SLICES;

  constructor(client: net.Socket, upstream: net.Socket, plan: Plan) {
    this.#plan = plan;
    this.#client = client;
    this.#upstream = upstream;
    this.#random = new Random(plan.seed);
    const manner = { delay: 0, jitter: 0, rate: 0, slice: Infinity, swallow: false };
    this.#manners = { up: { ...manner }, down: { ...manner } };
    for (const end of this.#ends) {
      end.setNoDelay(true);
      // An end that fails takes the other with it, in the same way.
      end.on("error", () => this.#severed || this.#ends.forEach((one) => this.#reset(one)));
    }
    this.closed = Promise.all([
      ...this.#ends.map((end) => new Promise((resolve) => end.once("close", resolve))),
      this.#carry("up", client, upstream),
      this.#carry("down", upstream, client),
    ]);
  }

  get #ends(): net.Socket[] {
    return [this.#client, this.#upstream];
  }

  destroy(): void {
    this.#severed = true;
    this.#timers.forEach(clearTimeout);
    this.#over.resolve();
    for (const end of this.#ends) end.destroy();
  }

  #reset(end: net.Socket): void {
    if (this.#plan.isUnix) end.destroy();
    else end.resetAndDestroy();
  }

  async #carry(way: Way, from: net.Socket, to: net.Socket): Promise<void> {
    const manner = this.#manners[way];
    const steps = this.#plan.steps.filter((step) => step.way === way)
      .toSorted((a, b) => a.at - b.at);
    let position = 0;
    try {
      await this.#due(steps, position);
      // Ending one way must not destroy the other.
      for await (const bytes of from.iterator({ destroyOnReturn: false })) {
        for (let at = 0; at < bytes.length;) {
          const due = (steps[0]?.at ?? Infinity) - position;
          const flips = steps[0]?.act === "flip" && due === 0;
          const slice = this.#slices-- > 0 ? manner.slice : Infinity;
          const size = flips ? 1 : Math.min(slice, due);
          const piece = bytes.subarray(at, at + size);
          if (flips) {
            const { value } = steps.shift()!;
            piece[0] ^= value;
            this.#plan.acts.push("flip");
          }
          await this.#wait(manner, piece.length);
          if (this.#severed) return;
          if (!manner.swallow) await this.#write(to, piece);
          at += piece.length;
          position += piece.length;
          this.#plan.passed[way] = position;
          await this.#due(steps, position);
          if (this.#severed) return;
        }
      }
      if (!this.#severed && !manner.swallow) to.end();
    } catch {
      // The connection was ended meanwhile.
    }
  }

  #write(to: net.Socket, piece: Uint8Array): Promise<void> {
    return new Promise((resolve) => to.write(piece, () => resolve()));
  }

  async #wait({ delay, jitter, rate }: Manner, length: number): Promise<void> {
    const ms = delay + this.#random.next() * jitter + (rate > 0 ? length / rate : 0);
    if (ms === 0 || this.#budget <= 0) return;
    const before = performance.now();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(ms, this.#budget));
      this.#over.promise.then(() => {
        clearTimeout(timer);
        resolve();
      });
    });
    this.#budget -= performance.now() - before; // timers are late now and then
  }

  /** Does what is to be done at a position; a flip waits for its byte. */
  async #due(steps: Step[], position: number): Promise<void> {
    while (steps.length > 0 && steps[0].at <= position && steps[0].act !== "flip") {
      const step = steps.shift()!;
      if (step.after === 0) await this.#act(step);
      else {
        const timer = setTimeout(() => {
          this.#timers.delete(timer);
          this.#act(step);
        }, step.after);
        this.#timers.add(timer);
      }
    }
  }

  async #act({ way, act, value }: Step): Promise<void> {
    const manner = this.#manners[way];
    if (FATAL.includes(act)) this.#plan.acts.push(act);
    if (act === "swallow") manner.swallow = true;
    else if (act === "stall") await this.#stall(way);
    else if (act === "cut") this.#sever((end) => end.destroySoon(), ...this.#ends);
    else if (act === "reset") this.#sever((end) => this.#reset(end), ...this.#ends);
    else if (act === "lose client") this.#sever((end) => this.#reset(end), this.#client);
    else if (act === "lose server") this.#sever((end) => this.#reset(end), this.#upstream);
    else if (act !== "flip") manner[act] = value;
  }

  #sever(end: (end: net.Socket) => void, ...ends: net.Socket[]): void {
    this.#severed = true;
    ends.forEach(end);
  }

  /** Holds everything that would go this way until the run is over. */
  async #stall(way: Way): Promise<void> {
    const from = way === "up" ? this.#client : this.#upstream;
    from.pause();
    await this.#over.promise;
  }
}
