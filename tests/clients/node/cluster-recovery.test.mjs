// Clients that lose their connection to one of two servers, and recover on the other. The servers are of either kind, and share
// Redis Streams.
//
//   REDIS_SERVER      where redis-server is, if not in PATH
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { io } from "socket.io-client";
import { createClient } from "redis";
import { startRedis } from "./redis.mjs";
import { Server, collect, next, within } from "./support.mjs";

const examples = `${process.env.CARGO_TARGET_DIR || "target"}/debug/examples`;
const commands = { node: "node tests/clients/node/cluster-twin.mjs", rust: `${examples}/redis-server` };
const AWAY = 400;

for (const pair of [["node", "node"], ["node", "rust"], ["rust", "node"], ["rust", "rust"]]) {
  describe(`from ${pair.join(" to ")}`, { timeout: 60_000 }, () => {
    const opened = [];
    let redis, admin, servers, ann, bob, news;

    const open = async (server) => {
      const socket = io(server.url, {
        transports: ["websocket"], forceNew: true, reconnectionDelay: AWAY, randomizationFactor: 0,
        query: { color: "red" }, auth: { token: "secret" },
      });
      opened.push(socket);
      await next(socket, "connect");
      return socket;
    };
    const op = (socket, name, args) => within(socket.emitWithAck("op", name, args ?? {}), name);
    const emit = (value, more) => op(ann, "emit", { value, ...more });
    /** The values of the events, without their offsets, which have to be ids of entries. */
    const values = (list) => list.splice(0).map(([value, offset]) => {
      assert.match(offset, /^\d+-\d+$/);
      return value;
    });
    /** Lets a client of the first server come back to the second one. `during` runs while it is away. */
    const move = async (socket, end, during) => {
      const back = next(socket, "connect");
      const gone = next(socket, "disconnect");
      socket.io.uri = servers[1].url;
      await end();
      await gone;
      await during();
      await back;
    };

    before(async () => {
      redis = await startRedis();
      admin = await createClient({ url: redis.url }).connect();
      const env = { REDIS_URL: redis.url, MODE: "streams", RECOVERY: "1" };
      servers = [await Server.start(commands[pair[0]], env), await Server.start(commands[pair[1]], env)];
      // Ann asks for the operations; she is on the second server.
      ann = await open(servers[1]);
      bob = await open(servers[0]);
      news = collect(bob, "news");
      await op(bob, "join", { room: "x" });
      await op(bob, "set data", { value: { name: "Bob" } });
      // A Node.js server reads from the stream a moment after it has started.
      while (news.length === 0) {
        await emit(0);
        await sleep(50);
      }
      await sleep(200);
      news.splice(0);
    });
    after(async () => {
      opened.forEach((socket) => socket.disconnect());
      await Promise.all(servers.map((server) => server.kill()));
      await admin.close();
      redis.end();
    });

    test("events have the ids of entries, and reach each client once", async () => {
      const heard = collect(ann, "news");
      await emit(1);
      await emit(2, { to: ["x"] });
      // A Node.js server delivers its own events without regard to those of others.
      await news.until(2);
      await op(bob, "emit", { value: 3 });
      await op(bob, "emit", { value: 4, to: [bob.id] });
      await Promise.all([news.until(4), heard.until(2)]);
      await sleep(100);
      assert.deepEqual([values(news), values(heard)], [[1, 2, 3, 4], [1, 3]]);
    });

    test("a client recovers on the other server", async () => {
      const { id } = bob;
      await move(bob, () => bob.io.engine.close(), async () => {
        await emit(5);
        await emit(6, { to: ["x"] });
        await emit(100, { to: ["y"] });
        await emit(101, { to: ["x"], except: ["x"] });
        await emit(7, { to: [id] });
      });
      assert.equal(bob.recovered, true);
      assert.equal(bob.id, id);
      await emit(8, { to: ["x"] });
      await news.until(4);
      await sleep(100);
      assert.deepEqual(values(news), [5, 6, 7, 8]);
      assert.deepEqual(await op(bob, "data"), { name: "Bob" });
      assert.equal(await op(ann, "count", { room: "x" }), 1);
    });

    test("a session that nobody has saved is a new one", async () => {
      const eve = await open(servers[1]);
      const { auth } = eve;
      eve.disconnect();
      eve.auth = { ...auth, pid: "0123456789abcdefghij", offset: "1-0" };
      const connected = next(eve, "connect");
      eve.connect();
      await connected;
      assert.equal(eve.recovered, false);
    });

    test("a client whose events have been trimmed recovers only if its new server has them", async () => {
      const cas = await open(servers[0]);
      const heard = collect(cas, "news");
      await emit(9);
      await heard.until(1);
      const { id } = cas;
      await move(cas, () => cas.io.engine.close(), async () => {
        await emit(10);
        await emit(11);
        await admin.xTrim("socket.io", "MAXLEN", 1);
      });
      const kept = pair[1] === "rust";
      assert.equal(cas.recovered, kept);
      assert.equal(cas.id === id, kept);
      if (kept) await heard.until(3);
      assert.deepEqual(values(heard), kept ? [9, 10, 11] : [9]);
    });

    if (pair[0] === "rust") {
      // A Node.js server saves a session only when it knows that the connection is lost.
      test("a client recovers after its server was killed", async () => {
        const dan = await open(servers[0]);
        const heard = collect(dan, "news");
        await op(dan, "join", { room: "z" });
        await emit(12, { to: ["z"] });
        await heard.until(1);
        const { id } = dan;
        await move(dan, () => servers[0].kill(), () => emit(13, { to: ["z"] }));
        assert.equal(dan.recovered, true);
        assert.equal(dan.id, id);
        await emit(14, { to: ["z"] });
        await heard.until(3);
        assert.deepEqual(values(heard), [12, 13, 14]);
      });
    }
  });
}
