// Clients of older releases: 2.5, which speaks revision 3 of Engine.IO, and 3.1.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { io as newest } from "socket.io-client";
import two from "socket.io-client-2";
import { io as three } from "socket.io-client-3";
import { WebSocket } from "ws";
import { collect, disconnected, inEachMode, next, Server, within } from "./support.mjs";

const env = { ALLOW_EIO3: "1" };
const bytes = (...values) => Buffer.from(values);
const ask = (socket, ...args) =>
  within(new Promise((resolve) => socket.emit(...args, (...answer) => resolve(answer))), `an answer to "${args[0]}"`);

/** What both releases can do. */
const common = ({ connect, server, client, mode }) => {
  test("any arguments come back, any text among them", async () => {
    const socket = await connect();
    const args = ["héllo", 1.5, null, { a: [{}] }, "😀👩‍👩‍👧‍👦 日本語", "\u2028\u0000", "3:4x", "x".repeat(3000)];
    assert.deepEqual(await ask(socket, "echo", ...args), args);
    const bounced = next(socket, "bounced");
    socket.emit("bounce", ...args);
    assert.deepEqual(await bounced, args);
  });

  test("binary is binary, at any depth, both ways", async () => {
    const socket = await connect();
    const args = [bytes(1, 2, 3), { a: [bytes(), { b: bytes(255, 0, 128) }], c: "é" }, "last", Buffer.alloc(70_000, 7)];
    assert.deepEqual(await ask(socket, "echo", ...args), args);
    const bounced = next(socket, "bounced");
    socket.emit("bounce", ...args);
    assert.deepEqual(await bounced, args);
  });

  test("the server asks, and hears the answer", async () => {
    const socket = await connect();
    socket.on("question", (question, answer) => answer({ to: question }));
    socket.on("bytes-please", (answer) => answer(bytes(1, 2, 3)));
    assert.deepEqual(await ask(socket, "ask", "why?", 5000), [{ answer: { to: "why?" } }]);
    assert.deepEqual(await ask(socket, "ask-bytes"), [{ length: 3, sum: 6 }]);
  });

  test("many events come in order", async () => {
    const socket = await connect();
    const ticks = collect(socket, "tick");
    assert.deepEqual(await ask(socket, "burst", 300), [300]);
    await ticks.until(300);
    assert.deepEqual([...ticks], Array.from({ length: 300 }, (_, i) => i));
  });

  test("rooms reach old clients and new ones, with binary too", async () => {
    const old = await connect();
    const current = newest(server.url, { forceNew: true, transports: ["websocket"] });
    try {
      await next(current, "connect");
      await ask(old, "join", "mixed");
      await ask(current, "join", "mixed");
      const heard = [old, current].map((socket) => next(socket, "news"));
      old.emit("send-all", { to: ["mixed"], event: "news", data: { é: [bytes(9, 8)] } });
      for (const news of heard) assert.deepEqual(await news, [{ é: [bytes(9, 8)] }]);
      const whisper = next(old, "whisper");
      current.emit("send", { to: [old.id], event: "whisper", data: 1 });
      assert.deepEqual(await whisper, [1]);
    } finally {
      current.disconnect();
    }
  });

  test("the server disconnects a socket, or all", async () => {
    const socket = await connect();
    socket.emit("kick", false);
    assert.equal(await disconnected(socket), "io server disconnect");
    const other = await connect();
    other.emit("kick", true);
    assert.match(await disconnected(other), /io server disconnect|transport close/);
  });

  test("who leaves is seen to leave", async () => {
    const [watcher, leaver] = [await connect(), await connect()];
    const { id } = leaver;
    await ask(watcher, "join", "x");
    watcher.emit("watch", id);
    await ask(watcher, "add", 1, 2);
    const gone = next(watcher, "gone");
    leaver.disconnect();
    const [{ id: whose, reason }] = await gone;
    assert.equal(whose, id);
    assert.match(reason, /client namespace disconnect|transport close/);
  });

  test("it comes back when the server does", async () => {
    const socket = client("/", { reconnection: true, reconnectionDelay: 20 });
    socket.connect();
    await next(socket, "connect");
    const left = disconnected(socket);
    await server.kill();
    await left;
    const back = next(socket, "connect");
    await server.start();
    await back;
    assert.deepEqual(await ask(socket, "echo", mode), [mode]);
  });
};

inEachMode("socket.io-client 3.1", common, env, three);

inEachMode(
  "socket.io-client 2.5",
  (suite) => {
    common(suite);
    const { connect, client } = suite;

    test("the id of a socket is known to both sides", async () => {
      const socket = await connect();
      const [{ id, nsp, query }] = await ask(socket, "whoami");
      assert.deepEqual([id, nsp, query.EIO], [socket.id, "/", "3"]);
    });

    test("the query of a namespace is its auth", async () => {
      const socket = await connect("/admin?token=sesame");
      const [{ nsp, auth }] = await ask(socket, "whoami");
      assert.deepEqual([nsp, auth], ["/admin", { token: "sesame" }]);
      assert.deepEqual(await ask(socket, "user"), [{ name: "admin" }]);
      assert.match(socket.id, /^\/admin#/);
    });

    test("a refusal is an error with its data, or else its message", async () => {
      for (const [nsp, error] of [
        ["/admin", { code: "no_token" }],
        ["/admin?token=x", { code: "bad_token", got: "x" }],
        ["/admin?token=quiet", "go away"],
        ["/nope", { message: "Invalid namespace" }],
      ]) {
        const socket = client(nsp);
        const refused = next(socket, "error");
        socket.connect();
        assert.deepEqual(await refused, [error]);
      }
    });

    test("an acknowledgement of an error", async () => {
      const socket = await connect();
      assert.deepEqual(await ask(socket, "fail"), [{ error: "it failed", code: 42 }]);
    });
  },
  env,
  two,
);

inEachMode(
  "heartbeat of socket.io-client 2.5",
  ({ connect, server }) => {
    test("its pings keep it alive", async () => {
      const socket = await connect();
      let pongs = 0;
      await within(
        new Promise((resolve, reject) => {
          socket.io.on("pong", () => ++pongs === 5 && resolve());
          socket.on("disconnect", (reason) => reject(new Error(reason)));
        }),
        "five pongs",
      );
      assert.deepEqual(await ask(socket, "echo", 1), [1]);
    });

    test("a client that does not ping is given up, whatever else it sends", async () => {
      const socket = new WebSocket(`${server.url.replace("http", "ws")}/socket.io/?EIO=3&transport=websocket`);
      await next(socket, "open");
      const busy = setInterval(() => socket.send('42["nothing"]'), 50);
      await next(socket, "close");
      clearInterval(busy);
    });

    const skip = !process.env.SERVER_CMD && "Node's server never misses it";
    test("nor does an upgrade keep it", { skip }, async () => {
      const url = `${server.url}/socket.io/?EIO=3&transport=polling`;
      const text = await (await fetch(url)).text();
      const { sid } = JSON.parse(text.slice(text.indexOf("{")));
      const ws = url.replace("http", "ws").replace("polling", "websocket");
      const socket = new WebSocket(`${ws}&sid=${sid}`);
      await next(socket, "open");
      const messages = collect(socket, "message");
      socket.send("2probe");
      await messages.until(1);
      socket.send("5");
      await next(socket, "close");
      assert.equal((await fetch(`${url}&sid=${sid}`)).status, 400);
    });
  },
  { ...env, PING_INTERVAL: "200", PING_TIMEOUT: "400" },
  two,
);

describe("without allow_eio3", () => {
  test("clients of 2.5 are refused", async () => {
    const server = await Server.start();
    const socket = two(server.url, { forceNew: true, reconnection: false, transports: ["polling"] });
    await next(socket, "connect_error");
    const answer = await fetch(`${server.url}/socket.io/?EIO=3&transport=polling`);
    assert.deepEqual([answer.status, await answer.json()], [400, { code: 5, message: "Unsupported protocol version" }]);
    await server.kill();
  });
});
