// The server goes away and comes back on the same port.
import assert from "node:assert/strict";
import { test } from "node:test";
import { disconnected, inEachMode, next, upgraded } from "./support.mjs";

inEachMode("reconnect", ({ mode, server, connect }) => {
  const patient = { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 250, randomizationFactor: 0 };

  for (const end of ["kill", "stop"]) {
    test(`after ${end === "kill" ? "a crash" : "an orderly end"}: comes back, and what was emitted meanwhile goes out in order`, async () => {
      const socket = await connect("/", patient);
      const first = socket.id;
      const reason = disconnected(socket);
      await server[end]();
      assert.match(await reason, /^transport (close|error)$/);
      assert.equal(socket.active, true, "it tries again by itself");

      for (let i = 0; i < 20; i++) socket.emit("count", i);
      const buffered = socket.emitWithAck("echo", "asked while away");
      await next(socket.io, "reconnect_attempt");
      await next(socket.io, "reconnect_error");

      const back = next(socket, "connect");
      await server.start();
      await back;
      assert.notEqual(socket.id, first);
      assert.equal(socket.recovered ?? false, false);
      assert.equal(await buffered, "asked while away");
      assert.deepEqual(await socket.emitWithAck("counted"), [...Array(20).keys()]);
      assert.deepEqual(await socket.emitWithAck("join", "after"), ["after"]);
      if (mode === "upgrade") await upgraded(socket);
    });
  }

  test("the payload is made anew for each attempt, for every namespace", async () => {
    let made = 0;
    const auth = (give) => give({ token: "sesame", attempt: ++made });
    const socket = await connect("/admin", { ...patient, auth });
    await server.kill();
    const back = next(socket, "connect");
    await server.start();
    await back;
    const me = await socket.emitWithAck("whoami");
    assert.ok(me.auth.attempt >= 2);
    assert.equal(me.auth.attempt, made);
  });

  test("an ack under way fails when the connection does", async () => {
    const socket = await connect("/", patient);
    const asked = socket.timeout(20_000).emitWithAck("never");
    asked.catch(() => {});
    await server.kill();
    await assert.rejects(asked, /socket has been disconnected/);
    const back = next(socket, "connect");
    await server.start();
    await back;
  });

  test("ten clients come back at once", async () => {
    const sockets = await Promise.all(Array.from({ length: 10 }, () => connect("/", patient)));
    const lost = Promise.all(sockets.map(disconnected));
    await server.kill();
    await lost;
    const back = Promise.all(sockets.map((socket) => next(socket, "connect")));
    await server.start();
    await back;
    const answers = await Promise.all(sockets.map((socket, i) => socket.emitWithAck("echo", i)));
    assert.deepEqual(answers, [...Array(10).keys()]);
  });
});
