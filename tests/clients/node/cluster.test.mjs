// Two servers that share a Redis or a PostgreSQL, of either kind: one list of operations, the same results.
//
//   REDIS_SERVER      where redis-server is, if not in PATH
//   POSTGRES_BIN      the folder of PostgreSQL's programs, if not in Debian's place or in PATH
//   MODES             the modes to test, if not all
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { io } from "socket.io-client";
import { startPostgres } from "./postgres.mjs";
import { startRedis } from "./redis.mjs";
import { Server, collect, next, within } from "./support.mjs";

const examples = `${process.env.CARGO_TARGET_DIR || "target"}/debug/examples`;
const twin = "node tests/clients/node/cluster-twin.mjs";
const commands = {
  redis: { node: twin, rust: `${examples}/redis-server` },
  postgres: { node: twin, rust: `${examples}/postgres-server` },
};

/** Programs without a server. That of Node.js has no messages for sharded channels, and none in streams. */
const emitters = (mode) => ({
  rust: [`${examples}/redis-emitter`],
  ...(["dynamic", "static", "streams"].includes(mode) ? {} : { node: ["node", "tests/clients/node/emitter-twin.mjs"] }),
});

async function run([command, ...args], env) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: "inherit" });
  const [code] = await within(once(child, "exit"), `the end of ${command}`);
  assert.equal(code, 0);
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

const modes = ["classic", "pattern", "specific", "dynamic", "static", "streams", "postgres"];

for (const mode of process.env.MODES?.split(",") ?? modes) {
  const name = mode === "postgres" ? "postgres" : "redis";

  for (const pair of pairs) {
    // A Node.js server always has a pattern.
    if (mode === "pattern" && !pair.includes("rust")) continue;
    describe(`${pair.join(" and ")}, ${mode}`, { timeout: 120_000 }, () => {
      const servers = [];
      const opened = [];
      let engine, ann, bob, cas, news;

      const open = async (server) => {
        const socket = io(server.url, {
          transports: ["websocket"], forceNew: true, query: { color: "red" }, auth: { token: "secret" },
        });
        opened.push(socket);
        await next(socket, "connect");
        return socket;
      };
      const op = (socket, name, args) => within(socket.emitWithAck("op", name, args ?? {}), name);
      /** Takes what each client has heard since the last call. */
      const heard = async () => {
        await quiet();
        return news.map((list) => list.splice(0));
      };
      /** Checks what each client has heard since the last call, when it has come, and a moment later. */
      const hear = async (expected) => {
        await Promise.all(news.map((list, i) => list.until(expected[i].length)));
        assert.deepEqual(await heard(), expected);
      };

      before(async () => {
        engine = await (name === "postgres" ? startPostgres() : startRedis());
        const env = { [`${name.toUpperCase()}_URL`]: engine.url, MODE: mode };
        for (const kind of pair) {
          servers.push(await Server.start(commands[name][kind], env));
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
        // A socket that a failed test leaves open would keep the process alive.
        opened.forEach((socket) => socket.disconnect());
        await Promise.all(servers.map((server) => server.kill()));
        engine?.end();
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
        await hear([all, all, all]);
        await op(ann, "emit", { to: ["x", "y"], except: ["y"], value: 2 });
        await hear([[2], [2], []]);
        await op(ann, "emit", { to: [bob.id], value: 3 });
        await hear([[], [3], []]);
        await op(ann, "broadcast");
        await hear([[], ["broadcast"], ["broadcast"]]);
        await op(ann, "local");
        await hear([["local"], [], []]);
        await op(ann, "emit", { to: ["y"], binary: true });
        await news[2].until(1);
        const [[bytes, rest]] = (await heard())[2];
        assert.deepEqual([...new Uint8Array(bytes)], [1, 2, 255]);
        assert.deepEqual(rest, { in: [1.5, null, "é"] });
        await op(bob, "emit", { to: ["x"], value: "back" });
        await hear([["back"], ["back"], []]);
      });

      test("large events arrive in their order", async () => {
        await op(ann, "emit", { value: "x".repeat(9_000) });
        await op(ann, "emit", { to: [bob.id, cas.id], value: "small" });
        // A Node.js server with PostgreSQL stores and reads large events while it sends and delivers later ones.
        const inOrder = !pair.includes("node") || mode !== "postgres";
        await Promise.all([news[1].until(2), news[2].until(2)]);
        const lengths = (await heard()).map((list) => list.map((text) => text.length));
        const sorted = inOrder ? lengths : lengths.map((list) => list.sort((a, b) => b - a));
        assert.deepEqual(sorted, [[9_000], [9_000, 5], [9_000, 5]]);
      });

      if (mode === "postgres") {
        test("a program without a server emits in a transaction", async () => {
          await run([`${examples}/postgres-emitter`], { POSTGRES_URL: engine.url });
          await Promise.all(news.map((list) => list.until(5)));
          for (const list of await heard()) {
            const facts = list.map((value) => (Array.isArray(value) ? value : (value.byteLength ?? value.length)));
            // The order of what Node.js delivers is its own.
            assert.deepEqual(facts.map(String).sort(), ["3", "5", "5", "9000", "to,1"]);
          }
        });
      }

      for (const [language, command] of Object.entries(name === "redis" ? emitters(mode) : {})) {
        test(`a program without a server emits, in ${language}`, async () => {
          const dan = await open(servers[1]);
          await op(dan, "join", { room: "gone" });
          await until(() => op(ann, "count", { room: "gone" }), 1);
          const gone = next(dan, "disconnect");
          await run(command, { REDIS_URL: engine.url, MODE: mode });
          // The clients are idle, or the volatile event would be dropped.
          const all = [["volatile", 1], "all", [1, 2, 255]];
          const expected = [[...all, "x"], [...all, "x"], [...all, "not x"]];
          await Promise.all(news.map((list, i) => list.until(expected[i].length)));
          const plain = (value) => (Buffer.isBuffer(value) ? [...value] : value);
          assert.deepEqual((await heard()).map((list) => list.map(plain)), expected);
          assert.equal((await gone)[0], "io server disconnect");
          await until(() => op(ann, "count", { room: "emitted" }), 2);
          for (const socket of [ann, bob]) {
            await until(() => op(socket, "noticed"), ["a worker"]);
          }
          await op(ann, "sockets leave", { from: "emitted", room: "emitted" });
          await until(() => op(ann, "count", { room: "emitted" }), 0);
        });
      }

      test("sockets are reached as soon as they are connected and have joined", async () => {
        // A Node.js server with rooms of their own channels subscribes to them a moment later.
        const waits = pair[1] === "rust" || mode !== "dynamic";
        for (let i = 0; i < 20; i++) {
          const dan = await open(servers[1]);
          const heard = collect(dan, "news");
          await op(ann, "emit", { to: [dan.id], value: "first" });
          if (waits) {
            await op(dan, "join", { room: `new ${i}` });
            await op(ann, "emit", { to: [`new ${i}`], value: "second" });
          }
          const expected = waits ? ["first", "second"] : ["first"];
          // A Node.js server with PostgreSQL publishes over several connections, in no certain order.
          assert.deepEqual([...(await heard.until(expected.length))].sort(), expected);
          dan.disconnect();
        }
      });

      test("sockets of the other server are found, moved and asked", async () => {
        const handshake = ["red", "secret", "/socket.io/", false, false, true, true, true];
        assert.deepEqual(await op(ann, "fetch", { room: "x" }), [
          [ann.id, [ann.id, "x"].sort(), handshake],
          [bob.id, [bob.id, "x"].sort(), handshake],
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
