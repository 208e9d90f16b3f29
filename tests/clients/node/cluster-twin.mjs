// One of several servers that share a Redis or a PostgreSQL, by the official packages: what tests/clients/cluster_server.rs is
// in Rust.
import { createServer } from "node:http";
import { createAdapter as createPostgresAdapter } from "@socket.io/postgres-adapter";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import pg from "pg";
import { createClient } from "redis";
import { Server } from "socket.io";

async function redisAdapter(mode) {
  const publisher = createClient({ url: process.env.REDIS_URL });
  if (mode === "streams") {
    await publisher.connect();
    return createStreamsAdapter(publisher);
  }
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  return ["dynamic", "static"].includes(mode)
    ? createShardedAdapter(publisher, subscriber, { subscriptionMode: mode })
    : createAdapter(publisher, subscriber, { publishOnSpecificResponseChannel: mode === "specific" });
}

const mode = process.env.MODE ?? "classic";
const adapter =
  mode === "postgres"
    ? createPostgresAdapter(new pg.Pool({ connectionString: process.env.POSTGRES_URL }))
    : await redisAdapter(mode);

const http = createServer();
const io = new Server(http, { adapter, ...(process.env.RECOVERY && { connectionStateRecovery: {} }) });
io.on("add", (a, b, answer) => answer(a + b));
const noticed = [];
io.on("noticed", (by) => noticed.push(by));

/** The operations that a client asks for. */
const summary = ({ query, auth, url, xdomain, secure, headers, issued, time }) => [
  query.color, auth.token, url.split("?")[0], xdomain, secure, headers.host.startsWith("127.0.0.1"),
  Math.abs(Date.now() - issued) < 600_000, Math.abs(Date.parse(time) - issued) < 1_000,
];

const operations = {
  emit: (socket, { to = [], except = [], binary, value }) => {
    const target = to.length ? io.to(to).except(except) : io.except(except);
    return binary
      ? target.emit("news", Buffer.from([1, 2, 255]), { in: [1.5, null, "é"] })
      : target.emit("news", value);
  },
  broadcast: (socket) => socket.broadcast.emit("news", "broadcast"),
  "set data": (socket, { value }) => {
    socket.data = value;
    return true;
  },
  data: (socket) => socket.data,
  local: () => io.local.emit("news", "local"),
  join: async (socket, { room }) => {
    await socket.join(room);
    return true;
  },
  "sockets join": (socket, { from, room }) => {
    io.in(from).socketsJoin(room);
    return io.to(room).emit("news", "joined");
  },
  "sockets leave": (socket, { from, room }) => {
    io.in(from).socketsLeave(room);
    return true;
  },
  disconnect: (socket, { room }) => {
    io.in(room).disconnectSockets();
    return true;
  },
  fetch: async (socket, { room }) => {
    const sockets = await io.in(room).fetchSockets();
    return sockets.map(({ id, rooms, handshake }) => [id, [...rooms].sort(), summary(handshake)]).sort();
  },
  count: async (socket, { room }) => (await io.in(room).fetchSockets()).length,
  ask: async (socket, { room }) => {
    try {
      return { answers: (await io.in(room).timeout(5_000).emitWithAck("question", "?")).sort(), missing: 0 };
    } catch (error) {
      return { answers: error.responses, missing: error.message };
    }
  },
  noticed: () => noticed.splice(0),
  "ask servers": () => io.serverSideEmitWithAck("add", 2, 3),
};

io.on("connection", (socket) => {
  socket.on("op", async (name, args, reply) => reply(await operations[name](socket, args ?? {})));
});
http.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => console.log(`listening on ${http.address().port}`));
process.once("SIGTERM", () => io.close(() => process.exit(0)));
