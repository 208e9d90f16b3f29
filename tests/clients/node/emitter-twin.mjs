// A worker that emits events to the clients of a cluster: what crates/redis/examples/redis-emitter.rs is in Rust.
import { Emitter } from "@socket.io/redis-emitter";
import { createClient } from "redis";

const client = await createClient({ url: process.env.REDIS_URL }).connect();
const emitter = new Emitter(client);
emitter.volatile.emit("news", "volatile", 1);
emitter.emit("news", "all");
emitter.compress(false).emit("news", Buffer.from([1, 2, 255]));
emitter.to("x").emit("news", "x");
emitter.to(["x", "y"]).except("x").emit("news", "not x");
emitter.of("unknown").emit("news", "nobody");

// Sockets join and leave, and are disconnected.
emitter.in(["x", "y"]).socketsJoin("emitted");
emitter.in("y").socketsLeave("emitted");
emitter.in("gone").disconnectSockets();
// Servers handle events too.
emitter.serverSideEmit("noticed", "a worker");
await client.close();
