// Two servers that share a Redis, of either kind: one list of operations, the same results.
//
//   REDIS_SERVER      where redis-server is, if not in PATH
//   CLUSTER_CMD       the command of a server in Rust
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { io } from "socket.io-client";
import { createClient } from "redis";
import { Server, collect, next, within } from "./support.mjs";

const kinds = {
  node: "node tests/clients/node/cluster-twin.mjs",
  rust: process.env.CLUSTER_CMD || "target/debug/examples/redis-server",
};

/** A Redis of its own. */
async function startRedis() {
  const port = await new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", ""];
  const child = spawn(process.env.REDIS_SERVER || "redis-server", args, { stdio: "ignore" });
  const end = () => child.kill("SIGKILL");
  process.on("exit", end);
  child.on("exit", () => process.off("exit", end));
  const url = `redis://127.0.0.1:${port}/`;
  const answers = async () => {
    for (;;) {
      const client = createClient({ url, socket: { reconnectStrategy: false } });
      client.on("error", () => {});
      try {
        await client.connect();
        await client.close();
        return;
      } catch {
        await sleep(20);
      }
    }
  };
  await within(answers(), "an answer of Redis");
  return { url, end };
}

/** Repeats an operation until its result is expected: servers subscribe and leave a moment later. */
async function until(operation, expected) {
  const reached = async () => {
    for (;;) {
      try {
        return assert.deepEqual(await operation(), expected);
      } catch {
        await sleep(20);
      }
    }
  };
  await within(reached(), JSON.stringify(expected));
}

const quiet = () => sleep(150);

const pairs = [["node", "node"], ["node", "rust"], ["rust", "node"], ["rust", "rust"]];

for (const mode of ["classic", "pattern", "specific", "dynamic", "static"]) {
  for (const pair of pairs) {
    // A Node.js server always has a pattern.
    if (mode === "pattern" && !pair.includes("rust")) continue;
    describe(`${pair.join(" and ")}, ${mode}`, { timeout: 120_000 }, () => {
      const servers = [];
      let redis, ann, bob, cas, news;

      const open = async (server) => {
        const socket = io(server.url, { transports: ["websocket"], forceNew: true });
        await next(socket, "connect");
        return socket;
      };
      const op = (socket, name, args) => within(socket.emitWithAck("op", name, args ?? {}), name);
      /** What each client has heard since the last call. */
      const heard = async () => {
        await quiet();
        return news.map((list) => list.splice(0));
      };

      before(async () => {
        redis = await startRedis();
        for (const kind of pair) {
          servers.push(await Server.start(kinds[kind], { REDIS_URL: redis.url, MODE: mode }));
        }
        // The operations are asked of the first server, which has Ann; Bob and Cas are on the second.
        ann = await open(servers[0]);
        bob = await open(servers[1]);
        cas = await open(servers[1]);
        news = [ann, bob, cas].map((socket) => collect(socket, "news"));
        [ann, bob, cas].forEach((socket, i) => socket.on("question", (_, answer) => answer(`answer ${i}`)));
        await until(() => op(ann, "count", { room: cas.id }), 1);
      });
      after(async () => {
        [ann, bob, cas].forEach((socket) => socket?.disconnect());
        await Promise.all(servers.map((server) => server.kill()));
        redis?.end();
      });

      test("events reach the sockets that they are for", async () => {
        await op(ann, "join", { room: "x" });
        await op(bob, "join", { room: "x" });
        await op(cas, "join", { room: "y" });
        await until(async () => {
          await op(ann, "emit", { to: ["x"], value: "x" });
          return (await heard())[1];
        }, ["x"]);
        await op(ann, "emit", { value: { all: [1, -1, 1.5, null, "é"] } });
        const all = [{ all: [1, -1, 1.5, null, "é"] }];
        assert.deepEqual(await heard(), [all, all, all]);
        await op(ann, "emit", { to: ["x", "y"], except: ["y"], value: 2 });
        assert.deepEqual(await heard(), [[2], [2], []]);
        await op(ann, "emit", { to: [bob.id], value: 3 });
        assert.deepEqual(await heard(), [[], [3], []]);
        await op(ann, "broadcast");
        assert.deepEqual(await heard(), [[], ["broadcast"], ["broadcast"]]);
        await op(ann, "local");
        assert.deepEqual(await heard(), [["local"], [], []]);
        await op(ann, "emit", { to: ["y"], binary: true });
        const [[bytes, rest]] = (await heard())[2];
        assert.deepEqual([...new Uint8Array(bytes)], [1, 2, 255]);
        assert.deepEqual(rest, { in: [1.5, null, "é"] });
        await op(bob, "emit", { to: ["x"], value: "back" });
        assert.deepEqual(await heard(), [["back"], ["back"], []]);
      });

      test("sockets of the other server are found, moved and asked", async () => {
        assert.deepEqual(await op(ann, "fetch", { room: "x" }), [
          [ann.id, [ann.id, "x"].sort()],
          [bob.id, [bob.id, "x"].sort()],
        ].sort());
        assert.equal(await op(ann, "count", { room: "y" }), 1);
        assert.deepEqual(await op(ann, "ask", { room: "x" }), { answers: ["answer 0", "answer 1"], missing: 0 });
        assert.deepEqual(await op(ann, "ask", { room: cas.id }), { answers: ["answer 2"], missing: 0 });
        assert.deepEqual(await op(ann, "ask servers"), [5]);
        await op(ann, "sockets leave", { from: "y", room: "y" });
        await until(() => op(ann, "count", { room: "y" }), 0);
        await op(ann, "sockets join", { from: cas.id, room: "z" });
        await until(() => op(ann, "count", { room: "z" }), 1);
      });

      test("sockets of the other server are disconnected", async () => {
        const gone = next(cas, "disconnect");
        await op(ann, "disconnect", { room: cas.id });
        assert.equal((await gone)[0], "io server disconnect");
        await until(() => op(ann, "count", { room: "z" }), 0);
      });
    });
  }
}
