/** Bun.listen. A write may be partial; what is left waits in `socket.data` for the drain event. */
import { BURST, control, MESSAGE, options } from "./control.mjs";

function send(socket, data) {
  if (socket.data.length > 0) return socket.data.push(data.slice());
  const n = socket.write(data);
  if (n < data.length) socket.data.push(data.slice(Math.max(n, 0)));
}

const server = globalThis.Bun.listen({
  hostname: "127.0.0.1",
  port: 0,
  tls: options.tls,
  socket: {
    open(socket) {
      socket.data = [];
      socket.setNoDelay(true);
    },
    data(socket, data) {
      if (options.kind !== "burst") return send(socket, data);
      for (let i = 0; i < BURST; i++) send(socket, MESSAGE);
    },
    drain(socket) {
      for (const data of socket.data.splice(0)) send(socket, data);
    },
    error(_socket, error) {
      console.error("bun:", error.message);
    },
  },
});
control(server.port);
