// The change from polling to WebSocket in the middle of traffic: nothing lost, nothing out of order.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { NodeWebSocket, NodeXHR } from "engine.io-client";
import { io } from "socket.io-client";
import { Server, collect, next, upgraded } from "./support.mjs";

/** A WebSocket transport that starts its probe only when `gate` opens, so that a test says when the upgrade begins. */
const gated = (gate) =>
  class extends NodeWebSocket {
    doOpen() {
      gate.then(() => super.doOpen());
    }
  };

describe("upgrade in the middle of a stream", { timeout: 60_000 }, () => {
  let server;
  before(async () => (server = await Server.start()));
  after(() => server.kill());

  const COUNT = 500;
  const numbers = [...Array(COUNT).keys()];

  const polling = async (t) => {
    let begin;
    const gate = new Promise((resolve) => (begin = resolve));
    const socket = io(server.url, { forceNew: true, reconnection: false, transports: [NodeXHR, gated(gate)] });
    t.after(() => socket.disconnect());
    await next(socket, "connect");
    assert.equal(socket.io.engine.transport.name, "polling");
    return { socket, begin };
  };

  for (const ms of [0, 1, 3]) {
    test(`${COUNT} messages each way, ${ms} ms apart`, async (t) => {
      const { socket, begin } = await polling(t);
      const ticks = [];
      let before;
      socket.io.engine.once("upgrade", () => (before = ticks.length));
      socket.on("tick", (i) => {
        if (ticks.push(i) === 50) begin();
      });
      const streamed = socket.emitWithAck("stream", COUNT, ms);
      for (const i of numbers) {
        socket.emit("count", i);
        await sleep(ms);
      }
      assert.equal(await streamed, COUNT);
      await upgraded(socket);
      assert.deepEqual(ticks, numbers);
      assert.deepEqual(await socket.emitWithAck("counted"), numbers);
      t.diagnostic(`upgraded after ${before} of ${COUNT} messages from the server`);
      if (ms === 3) assert.ok(before >= 50 && before < COUNT, `upgraded after ${before} messages: not in the middle`);
    });
  }

  test("binary and acks under way during the upgrade", async (t) => {
    const { socket, begin } = await polling(t);
    const answers = numbers.slice(0, 200).map(async (i) => {
      await sleep(i * 2);
      if (i === 20) begin();
      return socket.emitWithAck("echo", Buffer.from([i]), i);
    });
    const got = await Promise.all(answers);
    assert.deepEqual(got.map((bytes) => bytes[0]), numbers.slice(0, 200));
    await upgraded(socket);
  });

  test("a probe that never comes to its end leaves polling alone", async (t) => {
    const { socket } = await polling(t);
    // Opens the WebSocket of this session, sends the probe and hangs up before the upgrade.
    const { default: ws } = await import("ws");
    const { id } = socket.io.engine;
    const probe = new ws(`${server.url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket&sid=${id}`);
    await next(probe, "open");
    probe.send("2probe");
    const [answer] = await next(probe, "message");
    assert.equal(String(answer), "3probe");
    probe.terminate();
    assert.equal(await socket.emitWithAck("echo", "polling on"), "polling on");
    const ticks = collect(socket, "tick");
    await socket.emitWithAck("burst", 50);
    assert.deepEqual([...ticks], numbers.slice(0, 50));
    assert.equal(socket.io.engine.transport.name, "polling");
  });

  /** A WebSocket transport whose requests have another target. */
  const changed = (change) =>
    class extends NodeWebSocket {
      uri = () => change(super.uri());
    };

  // A WebSocket that the server does not want is refused with a status, where Node may accept and then close it. For the
  // client that is an upgrade that failed: no error that nobody catches, which would fail this test.
  for (const [name, change] of [
    ["an unknown session", (uri) => uri.replace(/sid=[^&]*/, "sid=AAAAAAAAAAAAAAAAAAAA")],
    ["another transport", (uri) => uri.replace("transport=websocket", "transport=polling")],
    ["an unknown transport", (uri) => uri.replace("transport=websocket", "transport=pigeon")],
    ["another version of the protocol", (uri) => uri.replace("EIO=4", "EIO=3")],
    ["another path", (uri) => uri.replace("/socket.io/", "/elsewhere/")],
  ]) {
    test(`an upgrade that asks for ${name} leaves the client on polling`, async (t) => {
      const socket = io(server.url, { forceNew: true, reconnection: false, autoConnect: false, transports: [NodeXHR, changed(change)] });
      t.after(() => socket.disconnect());
      const failed = new Promise((resolve) => socket.io.once("open", () => socket.io.engine.once("upgradeError", resolve)));
      socket.connect();
      const error = await failed;
      assert.match(error.message, /probe error/);
      assert.equal(await socket.emitWithAck("echo", "polling on"), "polling on");
      assert.equal(socket.io.engine.transport.name, "polling");
    });

    // Node accepts and closes a WebSocket of polling; its client does not notice.
    const skip = !process.env.SERVER_CMD && name === "another transport";
    test(`a WebSocket from the start that asks for ${name} is a connect_error`, { skip }, async (t) => {
      const refused = changed((uri) => change(name === "an unknown session" ? `${uri}&sid=` : uri));
      const socket = io(server.url, { forceNew: true, reconnection: false, transports: [refused] });
      t.after(() => socket.disconnect());
      const [error] = await next(socket, "connect_error");
      assert.match(error.message, /websocket error|connection closed/i);
    });
  }

  test("a second WebSocket of a session is closed, without an error", async (t) => {
    const { socket, begin } = await polling(t);
    begin();
    await upgraded(socket);
    const { default: ws } = await import("ws");
    const { id } = socket.io.engine;
    // It has no listener for \`error\`.
    const second = new ws(`${server.url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket&sid=${id}`);
    const [code] = await next(second, "close");
    assert.equal(code, 1005);
    assert.equal(await socket.emitWithAck("echo", "still here"), "still here");
  });
});
