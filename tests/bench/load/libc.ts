/**
 * The C library, called from TypeScript: sockets and epoll for the load, getrusage for the
 * stopwatch.
 *
 * A load generator on `Deno.Conn` costs as much CPU per message as the server it drives, so the
 * server would be half idle and wake up for each message alone. On bare system calls the load costs
 * a fraction of any server here. The price: Linux with glibc only.
 */

// Lengths are size_t and ssize_t in C; as 32 bits they need no bigint, and nothing here is that
// long.
const libc = Deno.dlopen("libc.so.6", {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  getrusage: { parameters: ["i32", "buffer"], result: "i32" },
}).symbols;

const AF_INET = 2;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVLOWAT = 18;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;
const EPOLL_CTL_ADD = 1;
const EPOLLIN = 1;
const RUSAGE_CHILDREN = -1;

const ONE = new Int32Array([1]);

/** Connects to 127.0.0.1, waiting; gives the file descriptor. */
export function connect(port: number): number {
  const fd = libc.socket(AF_INET, SOCK_STREAM_CLOEXEC, 0);
  if (fd < 0) throw new Error("Cannot make a socket: raise the limit of open files (ulimit -n)");
  const address = new Uint8Array(16);
  address.set([AF_INET, 0, port >> 8, port & 255, 127, 0, 0, 1]);
  if (libc.connect(fd, address, 16) !== 0) {
    libc.close(fd);
    throw new Error(`Cannot connect to 127.0.0.1:${port}`);
  }
  libc.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, ONE, 4);
  return fd;
}

/** Sends what goes at once of the first `length` bytes; 0 when nothing does. */
export function send(fd: number, data: Uint8Array<ArrayBuffer>, length: number): number {
  return Math.max(0, libc.send(fd, data, length, MSG_DONTWAIT_NOSIGNAL));
}

/** Receives what is there, at least one byte: call it for a readable socket only. */
export function recv(fd: number, buffer: Uint8Array<ArrayBuffer>): number {
  const n = libc.recv(fd, buffer, buffer.length, MSG_DONTWAIT_NOSIGNAL);
  if (n <= 0) throw new Error("The server ended a connection");
  return n;
}

/** Sets how many bytes must be there before the socket counts as readable. */
export function lowWater(fd: number, bytes: number): void {
  libc.setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, new Int32Array([bytes]), 4);
}

export function close(fd: number): void {
  libc.close(fd);
}

/** The readable ones among many sockets, level-triggered. */
export class Poller implements Disposable {
  /**
   * `struct epoll_event` {u32 events; u64 data}: packed on x86-64, aligned elsewhere. In words of
   * 4.
   */
  static readonly #stride = Deno.build.arch === "x86_64" ? 3 : 4;
  static readonly #limit = 256;
  #fd = libc.epoll_create1(0o2000000);
  #events = new Int32Array(Poller.#limit * Poller.#stride);

  add(fd: number, token: number): void {
    const event = new Int32Array(Poller.#stride);
    event[0] = EPOLLIN;
    event[Poller.#stride - 2] = token;
    libc.epoll_ctl(this.#fd, EPOLL_CTL_ADD, fd, event);
  }

  /**
   * Waits for readable sockets and gives their number; a server that is silent for 5 s is an error.
   */
  wait(): number {
    const n = libc.epoll_wait(this.#fd, this.#events, Poller.#limit, 5_000);
    if (n === 0) throw new Error("The server said nothing for 5 s");
    return Math.max(0, n);
  }

  /** The token of the `i`th readable socket. */
  token(i: number): number {
    return this.#events[(i + 1) * Poller.#stride - 2];
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd);
  }
}

/** CPU time in µs of the child processes that have ended and were waited for. */
export function childrenCpu(): number {
  const usage = new BigInt64Array(18);
  libc.getrusage(RUSAGE_CHILDREN, usage);
  const [userSeconds, userMicros, systemSeconds, systemMicros] = usage;
  return Number((userSeconds + systemSeconds) * 1_000_000n + userMicros + systemMicros);
}
