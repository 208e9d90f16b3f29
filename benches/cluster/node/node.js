// Node's server in a cluster: `node node.js ENGINE`, with the address of the engine in ENGINE_URL. One thread.
import { createServer } from "node:http";
import { createAdapter as postgresAdapter } from "@socket.io/postgres-adapter";
import { createAdapter as redisAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createAdapter as streamsAdapter } from "@socket.io/redis-streams-adapter";
import pg from "pg";
import { createClient } from "redis";
import { Server } from "socket.io";

async function redisClients() {
  const publisher = createClient({ url: process.env.ENGINE_URL });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  return [publisher, subscriber];
}

async function postgresPool() {
  const pool = new pg.Pool({ connectionString: process.env.ENGINE_URL });
  await pool.query(`CREATE TABLE IF NOT EXISTS socket_io_attachments (
    id bigserial UNIQUE, created_at timestamptz DEFAULT NOW(), payload bytea)`);
  return pool;
}

const adapters = {
  redis: async () => redisAdapter(...(await redisClients())),
  "redis-sharded": async () => createShardedAdapter(...(await redisClients()), { subscriptionMode: "dynamic" }),
  "redis-streams": async () => streamsAdapter((await redisClients())[0]),
  postgres: async () => postgresAdapter(await postgresPool()),
};

const adapter = await adapters[process.argv[2]]();
const http = createServer({ noDelay: true });
const io = new Server(http, { adapter, pingInterval: 240_000 });
io.on("connection", (socket) => {
  socket.on("join", async (rooms, answer) => {
    await socket.join(rooms);
    answer();
  });
  socket.on("cast", (room, burst, text, answer) => {
    for (let i = 0; i < burst; i++) io.to(room).emit("cast", text);
    answer(burst);
  });
});
http.listen(0, "127.0.0.1", () => console.log(`ready ${http.address().port}`));
