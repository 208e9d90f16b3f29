// A client on a slow line, and one whose events wait for slow handlers, stay connected.
import assert from "node:assert/strict";
import { connect as dial, createServer } from "node:net";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { io } from "socket.io-client";
import { Server, modes, within } from "./support.mjs";

const skip = !process.env.SERVER_CMD && "Node's server closes such a connection";

/** A proxy that passes on what clients send at `rate` bytes a second, and what the server sends at once. */
async function slowUplink(port, rate) {
  const proxy = createServer((client) => {
    const server = dial(port, "127.0.0.1");
    server.pipe(client);
    const waiting = [];
    let size = 0;
    client.on("data", (data) => {
      waiting.push(data);
      size += data.length;
      if (size > rate / 10) client.pause();
    });
    const timer = setInterval(() => {
      let room = rate / 50;
      while (room > 0 && waiting.length > 0) {
        const [first] = waiting;
        const now = first.subarray(0, room);
        server.write(now);
        room -= now.length;
        size -= now.length;
        if (now.length === first.length) waiting.shift();
        else waiting[0] = first.subarray(now.length);
      }
      client.resume();
    }, 20);
    const end = () => {
      clearInterval(timer);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) socket.on("error", end).on("close", end);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return proxy;
}

describe("heartbeats", { skip, concurrency: true, timeout: 60_000 }, () => {
  for (const { name, options } of modes.filter(({ name }) => name !== "upgrade")) {
    for (const [interval, timeout, bytes] of [
      [1000, 1500, 450_000],
      [2000, 1000, 420_000],
    ]) {
      describe(`a slow uplink (${name}), pings every ${interval} ms, timeout ${timeout} ms`, () => {
        let server, proxy, socket;
        before(async () => {
          server = await Server.start(undefined, { PING_INTERVAL: interval, PING_TIMEOUT: timeout });
          proxy = await slowUplink(server.port, 150_000);
          socket = io(`http://127.0.0.1:${proxy.address().port}`, { forceNew: true, reconnection: false, ...options });
          await within(once(socket, "connect"), "a connection");
        });
        after(async () => {
          socket.disconnect();
          proxy.close();
          await server.kill();
        });

        test("a message that takes longer than the timeout is acknowledged, and its client stays", async () => {
          const reasons = [];
          socket.on("disconnect", (reason) => reasons.push(reason));
          assert.equal(await within(socket.emitWithAck("size", "x".repeat(bytes)), "an answer"), bytes);
          // Long enough for each side to miss the other.
          for (let pings = 0; pings < 3; pings++) await within(once(socket.io.engine, "ping"), "a ping");
          assert.deepEqual(reasons, []);
          assert.equal(await socket.emitWithAck("echo", "well"), "well");
        });
      });
    }
  }
});
