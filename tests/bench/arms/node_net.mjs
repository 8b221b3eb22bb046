/** node:net and node:tls, for Node and for Deno. */
import net from "node:net";
import tls from "node:tls";
import { BURST, control, MESSAGE, options } from "./control.mjs";

/** @param {net.Socket} socket */
function handle(socket) {
  socket.on("error", (error) => console.error("node:net:", error.message));
  if (options.kind === "burst") {
    socket.on("data", () => {
      for (let i = 0; i < BURST; i++) socket.write(MESSAGE);
    });
  } else if (options.kind === "two") {
    socket.on("data", (data) => {
      socket.write(data.subarray(0, data.length / 2));
      socket.write(data.subarray(data.length / 2));
    });
  } else {
    socket.on("data", (data) => {
      if (socket.write(data)) return;
      socket.pause();
      socket.once("drain", () => socket.resume());
    });
  }
}

const server = options.tls
  ? tls.createServer({ ...options.tls, noDelay: true }, handle)
  : net.createServer({ noDelay: true }, handle);
server.listen(0, "127.0.0.1", 511, () => control(server.address().port));
