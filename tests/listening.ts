// Listeners of every transport and how to connect to them, so that one test runs over all of them.

import { socket, tls } from "../mod.ts";

/** A way of listening and connecting. */
export interface Way {
  /** For the names of tests. */
  readonly name: string;
  /** A listener; disposing of it closes it and removes what it left. */
  listen(): Disposable & { id: socket.SocketId };
  /** Connects to such a listener. */
  connect(server: socket.SocketId): Promise<socket.SocketId>;
}

const certificate = tls.selfsigned(["localhost"]);
const ca = certificate.cert;

function listening(id: socket.SocketId, remove = () => {}): Disposable & { id: socket.SocketId } {
  return {
    id,
    [Symbol.dispose]() {
      socket.close(id);
      remove();
    },
  };
}

function overTls(name: string, options: tls.TlsListenOptions): Way {
  return {
    name,
    listen: () => listening(tls.tcpserver("127.0.0.1", 0, options)),
    connect: (server) => tls.tcpconnect(...socket.getlocal(server), "localhost", { ca }),
  };
}

export const ways: readonly Way[] = [
  {
    name: "tcp",
    listen: () => listening(socket.tcpserver("127.0.0.1", 0)),
    connect: (server) => socket.tcpconnect(...socket.getlocal(server)),
  },
  {
    name: "unix",
    listen() {
      const folder = Deno.makeTempDirSync({ prefix: "taskio_" });
      const remove = () => Deno.removeSync(folder, { recursive: true });
      return listening(socket.unixserver(`${folder}/serve.sock`), remove);
    },
    connect: (server) => socket.unixconnect(socket.getlocal(server)[0]),
  },
  overTls("tls", certificate),
  overTls("tls, several certificates", { certs: [certificate] }),
  overTls("tls, native server", { ...certificate, native: true }),
];
