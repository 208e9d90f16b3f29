// The same on Bun, with the engine that the authors of Socket.IO made for it. Bun turns Nagle's algorithm off by itself.
import { Server as Engine } from "@socket.io/bun-engine";
import { Server } from "socket.io";
import { options, port, ready, speak } from "./contract.js";

const io = new Server();
const engine = new Engine({ path: "/socket.io/", ...options });
io.bind(engine);
speak(io);

// Bun takes no longer one than this; the engine would ask for two intervals of its heartbeat.
const server = Bun.serve({ ...engine.handler(), idleTimeout: 255, port: port(), hostname: "127.0.0.1" });
ready(server.port);
