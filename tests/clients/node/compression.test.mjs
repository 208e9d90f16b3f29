// permessage-deflate with the official client, which is `ws` in Node, both ways.
import assert from "node:assert/strict";
import { test } from "node:test";
import { collect, inEachMode, next } from "./support.mjs";

const options = { perMessageDeflate: { threshold: 0 } };
const text = JSON.stringify(Array.from({ length: 2000 }, (_, i) => ({ id: i, name: `Zeile ${i} é日本` })));
const data = { text, list: JSON.parse(text), bytes: Buffer.from(text), short: "x" };

for (const how of ["on", "takeover"]) {
  inEachMode(
    `compression, ${how}`,
    ({ connect, mode }) => {
      const join = async () => {
        const socket = await connect("/", options);
        // What comes over the WebSocket, in bytes, if there is one.
        const wire = () => socket.io.engine.transport.ws?._socket.bytesRead;
        const { extensions } = socket.io.engine.transport.ws ?? {};
        if (mode !== "polling") assert.match(extensions, /permessage-deflate/);
        return { socket, wire };
      };

      test("events, acknowledgements and binary are what they were", async () => {
        const { socket, wire } = await join();
        const before = wire();
        for (let i = 0; i < 5; i++) assert.deepEqual(await socket.emitWithAck("echo", data), data);
        if (mode === "polling") return;
        const once = JSON.stringify(data.list).length * 3;
        assert.ok(wire() - before < once, `${wire() - before} bytes of ${5 * once}`);
      });

      test("many events of any size keep their order", async () => {
        const { socket } = await join();
        const heard = collect(socket, "bounced");
        for (let i = 0; i < 200; i++) socket.emit("bounce", i, text.slice(0, (i * 37) % 3000));
        await heard.until(200);
        heard.forEach(([i, part], at) => assert.deepEqual([i, part], [at, text.slice(0, (at * 37) % 3000)]));
      });

      test("a broadcast reaches who compresses and who does not", async () => {
        const { socket } = await join();
        const other = await connect("/", { perMessageDeflate: false });
        const heard = [socket, other].map((socket) => next(socket, "news"));
        other.emit("send-all", { event: "news", data });
        for (const news of heard) assert.deepEqual(await news, [data]);
      });
    },
    { COMPRESSION: how },
  );
}
