// Namespaces: several on one connection, guarded ones, ones made on demand, unknown ones.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Manager } from "socket.io-client";
import { collect, disconnected, inEachMode, modes, next, refusal, upgraded } from "./support.mjs";

inEachMode("namespaces", ({ mode, server, client, connect }) => {
  /** A manager whose sockets share one connection. */
  const shared = async (t, ...wanted) => {
    const { options } = modes.find(({ name }) => name === mode);
    const manager = new Manager(server.url, { ...options, reconnection: false });
    t.after(() => manager._close());
    const sockets = wanted.map(([nsp, auth]) => manager.socket(nsp, { auth }));
    await Promise.all(sockets.map((socket) => next(socket, "connect")));
    if (mode === "upgrade") await upgraded(sockets[0]);
    return { manager, sockets };
  };

  test("the right token opens the guarded one", async () => {
    const socket = await connect("/admin", { auth: { token: "sesame" } });
    assert.deepEqual(await socket.emitWithAck("user"), { name: "admin" });
    const me = await socket.emitWithAck("whoami");
    assert.deepEqual([me.nsp, me.id, me.auth], ["/admin", socket.id, { token: "sesame" }]);
  });

  test("a refusal carries message and data", async () => {
    const none = await refusal(client("/admin"));
    assert.deepEqual([none.message, none.data], ["not authorized", { code: "no_token" }]);
    const wrong = await refusal(client("/admin", { auth: { token: { a: [1] } } }));
    assert.deepEqual([wrong.message, wrong.data], ["not authorized", { code: "bad_token", got: { a: [1] } }]);
  });

  test("a refusal without data has none", async () => {
    const error = await refusal(client("/admin", { auth: { token: "quiet" } }));
    assert.deepEqual([error.message, error.data], ["go away", undefined]);
  });

  test("who was refused may try again with another token", async () => {
    const socket = client("/admin", { auth: { token: "wrong" } });
    await refusal(socket);
    assert.equal(socket.active, false);
    socket.auth = { token: "sesame" };
    const accepted = next(socket, "connect");
    socket.connect();
    await accepted;
    assert.deepEqual(await socket.emitWithAck("user"), { name: "admin" });
  });

  test("unknown ones are refused", async () => {
    for (const nsp of ["/dynamic-free", "/Admin", "/admin/", "/room-", "/room-A", "/日本"]) {
      const error = await refusal(client(nsp));
      assert.deepEqual([error.message, error.data], ["Invalid namespace", undefined], nsp);
    }
  });

  test("two share one connection and do not mix", async (t) => {
    const { manager, sockets } = await shared(t, ["/"], ["/admin", { token: "sesame" }]);
    const [main, admin] = sockets;
    assert.equal(main.io, manager);
    assert.equal(admin.io, manager);
    assert.notEqual(main.id, admin.id);
    const [inMain, inAdmin] = [collect(main, "news"), collect(admin, "news")];
    admin.emit("send-all", { event: "news", data: "admins only" });
    main.emit("send-all", { event: "news", data: "everyone in /" });
    await Promise.all([inMain.until(1), inAdmin.until(1)]);
    const answers = await Promise.all([
      main.emitWithAck("echo", "main", Buffer.from([1])),
      admin.emitWithAck("echo", "admin", Buffer.from([2])),
    ]);
    assert.deepEqual(answers, ["main", "admin"]);
    assert.deepEqual([[...inMain], [...inAdmin]], [["everyone in /"], ["admins only"]]);
  });

  test("leaving one keeps the other", async (t) => {
    const { sockets } = await shared(t, ["/"], ["/admin", { token: "sesame" }]);
    const [main, admin] = sockets;
    await main.emitWithAck("echo", 1);
    admin.disconnect();
    assert.equal(await main.emitWithAck("echo", 2), 2);
    const back = next(admin, "connect");
    admin.connect();
    await back;
    assert.deepEqual(await admin.emitWithAck("user"), { name: "admin" });
  });

  test("a refused one keeps the other", async (t) => {
    const { manager, sockets } = await shared(t, ["/"]);
    const error = await refusal(manager.socket("/admin", { auth: { token: "wrong" } }));
    assert.equal(error.data.code, "bad_token");
    assert.equal(await sockets[0].emitWithAck("echo", "still here"), "still here");
  });

  test("kicked from one, still in the other", async (t) => {
    const { sockets } = await shared(t, ["/"], ["/admin", { token: "sesame" }]);
    const [main, admin] = sockets;
    const reason = disconnected(admin);
    admin.emit("kick", false);
    assert.equal(await reason, "io server disconnect");
    assert.equal(await main.emitWithAck("echo", "fine"), "fine");
  });

  test("closing the connection ends both", async (t) => {
    const { sockets } = await shared(t, ["/"], ["/admin", { token: "sesame" }]);
    const reasons = Promise.all(sockets.map(disconnected));
    sockets[1].emit("kick", true);
    assert.deepEqual(await reasons, ["io server disconnect", "io server disconnect"]);
  });

  test("made on demand, each for itself", async () => {
    const [red, red2, blue] = [await connect("/room-red"), await connect("/room-red"), await connect("/room-blue")];
    assert.equal(await red.emitWithAck("name"), "red");
    assert.equal(await blue.emitWithAck("name"), "blue");
    assert.equal((await blue.emitWithAck("whoami")).nsp, "/room-blue");
    const heard = [red, red2, blue].map((socket) => collect(socket, "news"));
    red.emit("send-all", { event: "news", data: 1 });
    await Promise.all([heard[0].until(1), heard[1].until(1)]);
    await blue.emitWithAck("name");
    assert.deepEqual(heard.map((all) => [...all]), [[1], [1], []]);
  });

  // As React's StrictMode does with an effect that connects. Node's server closes the connection, or keeps two sockets.
  test("connecting, leaving and connecting within one tick disturbs nobody", { skip: !process.env.SERVER_CMD && "ours" }, async (t) => {
    const { manager, sockets } = await shared(t, ["/"]);
    const [main] = sockets;
    const ends = collect(main, "disconnect");
    for (let round = 0; round < 3; round++) {
      const room = manager.socket("/room-red");
      const joined = next(room, "connect");
      room.disconnect();
      room.connect();
      if (round === 2) room.disconnect().connect();
      await joined;
      assert.equal(await room.emitWithAck("name"), "red");
      assert.equal(await main.emitWithAck("echo", "still here"), "still here");
      room.disconnect();
    }
    assert.deepEqual([...ends], []);
  });
});
