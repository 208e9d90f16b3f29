// Coming and going: handshake, payload, reasons, heartbeats.
import assert from "node:assert/strict";
import { test } from "node:test";
import { collect, disconnected, inEachMode, next } from "./support.mjs";

inEachMode("connect", ({ mode, server, client, connect }) => {
  test("the transport is the one asked for", async () => {
    const socket = await connect();
    assert.equal(socket.io.engine.transport.name, mode === "upgrade" ? "websocket" : mode);
    assert.match(socket.id, /^[\w-]{20}$/);
    assert.equal(socket.recovered ?? false, false);
  });

  test("what the server emits on connection arrives after the connection", async () => {
    const socket = client("/", { auth: { user: "Ada", roles: ["admin", { since: 1843 }] } });
    const seen = [];
    socket.on("connect", () => seen.push("connect"));
    socket.on("welcome", (...args) => seen.push(args));
    socket.connect();
    await next(socket, "welcome");
    assert.deepEqual(seen, ["connect", [socket.id, { user: "Ada", roles: ["admin", { since: 1843 }] }]]);
  });

  test("payload, query and headers of the handshake reach the handlers", async () => {
    const socket = await connect("/", {
      auth: (give) => give({ token: "from a function" }),
      query: { lang: "fr", q: "a b&c=d é" },
      extraHeaders: { "X-Test": "header" },
    });
    const me = await socket.emitWithAck("whoami");
    assert.equal(me.id, socket.id);
    assert.equal(me.nsp, "/");
    assert.deepEqual(me.auth, { token: "from a function" });
    assert.equal(me.query.lang, "fr");
    assert.equal(me.query.q, "a b&c=d é");
    assert.equal(me.header, "header");
  });

  test("without a payload there is an empty one", async () => {
    const socket = await connect();
    const me = await socket.emitWithAck("whoami");
    assert.deepEqual([me.auth, me.header], [{}, null]);
  });

  test("the server learns that the client left, and from which rooms", async () => {
    const [watcher, leaver] = [await connect(), await connect()];
    const { id } = leaver;
    await watcher.emitWithAck("watch", id);
    await leaver.emitWithAck("join", ["a", "b"]);
    const gone = next(watcher, "gone");
    leaver.disconnect();
    assert.deepEqual(await gone, [{ id, reason: "client namespace disconnect", rooms: ["a", "b"] }]);
    assert.deepEqual(await watcher.emitWithAck("members", "a"), []);
  });

  test("the server learns that the connection ended", async () => {
    const [watcher, leaver] = [await connect(), await connect()];
    const { id } = leaver;
    await watcher.emitWithAck("watch", id);
    const gone = next(watcher, "gone");
    leaver.io.engine.close();
    const [{ reason }] = await gone;
    assert.match(reason, /^transport (close|error)$/);
  });

  test("the server disconnects a client from the namespace", async () => {
    const [watcher, kicked] = [await connect(), await connect()];
    await watcher.emitWithAck("watch", kicked.id);
    const gone = next(watcher, "gone");
    const reason = disconnected(kicked);
    kicked.emit("kick", false);
    assert.equal(await reason, "io server disconnect");
    assert.equal((await gone)[0].reason, "server namespace disconnect");
    assert.equal(kicked.active, false, "the client does not come back by itself");

    const back = next(kicked, "connect");
    kicked.connect();
    await back;
    assert.equal(await kicked.emitWithAck("echo", "again"), "again");
  });

  test("the server closes the whole connection", async () => {
    const kicked = await connect();
    const reason = disconnected(kicked);
    const closed = next(kicked.io, "close");
    kicked.emit("kick", true);
    assert.equal(await reason, "io server disconnect");
    await closed;
  });

  test("leaving and coming back gives another id on a new connection", async () => {
    const socket = await connect();
    const { id } = socket;
    socket.disconnect();
    const back = next(socket, "connect");
    socket.connect();
    await back;
    assert.notEqual(socket.id, id);
    assert.equal(await socket.emitWithAck("echo", 1), 1);
  });

  test("fifty clients at once", async () => {
    const sockets = await Promise.all(Array.from({ length: 50 }, () => connect()));
    assert.equal(new Set(sockets.map((socket) => socket.id)).size, 50);
    await Promise.all(sockets.map((socket) => socket.emitWithAck("join", "crowd")));
    const numbers = await Promise.all(sockets.map((socket, i) => socket.emitWithAck("echo", i)));
    assert.deepEqual(numbers, [...Array(50).keys()]);

    const heard = sockets.map((socket) => collect(socket, "news"));
    for (let i = 0; i < 20; i++) sockets[i].emit("send", { to: ["crowd"], event: "news", data: i });
    await Promise.all(heard.map((all, i) => all.until(i < 20 ? 19 : 20)));
    heard.forEach((all, i) => {
      const others = [...Array(20).keys()].filter((from) => from !== i);
      assert.deepEqual([...all].sort((a, b) => a - b), others);
    });
  });

  test("an orderly end of the server closes the connection, with exit code 0", async () => {
    const socket = await connect();
    const reason = disconnected(socket);
    const code = await server.stop();
    // A polling client that happens to have no GET pending finds nobody at its next one.
    assert.match(await reason, mode === "polling" ? /^transport (close|error)$/ : /^transport close$/);
    assert.equal(code, 0);
  });
});

inEachMode(
  "heartbeat",
  ({ connect }) => {
    test("an idle connection stays", async () => {
      const socket = await connect();
      const beats = collect(socket.io.engine, "heartbeat");
      let left = false;
      socket.once("disconnect", () => (left = true));
      await beats.until(6);
      assert.equal(left, false);
      assert.equal(await socket.emitWithAck("echo", "still here"), "still here");
    });

    test("a client that does not answer pings is dropped", async () => {
      const [watcher, mute] = [await connect(), await connect()];
      await watcher.emitWithAck("watch", mute.id);
      const gone = next(watcher, "gone");
      const { engine } = mute.io;
      const send = engine.sendPacket ?? engine._sendPacket;
      const name = engine.sendPacket ? "sendPacket" : "_sendPacket";
      engine[name] = (type, ...rest) => (type === "pong" ? undefined : send.call(engine, type, ...rest));
      assert.equal((await gone)[0].reason, "ping timeout");
    });
  },
  { PING_INTERVAL: "150", PING_TIMEOUT: "400" },
);
