// socket.io-msgpack-parser: the official client with it against the server, and the vectors against the package itself.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import msgpack from "socket.io-msgpack-parser";
import { WebSocket } from "ws";
import { collect, inEachMode, next, refusal, root, Server, within } from "./support.mjs";

const parser = { parser: msgpack };
const { packets } = JSON.parse(readFileSync(join(root, "crates/proto/tests/vectors/msgpack.json"), "utf8"));

describe("the vectors", () => {
  const types = ["connect", "disconnect", "event", "ack", "connect_error"];
  const hex = (text) => Buffer.from(text, "hex");

  test("are what the package accepts and refuses", () => {
    for (const row of packets) {
      let accepted = true;
      try {
        new msgpack.Decoder().add(hex(row.hex));
      } catch {
        accepted = false;
      }
      const expected = row.node ? row.node === "accepts" : !row.error;
      assert.equal(accepted, expected, row.name);
    }
  });

  test("are what the package writes", () => {
    for (const { name, hex: written, packet, canonical = true } of packets) {
      if (!packet || !canonical) continue;
      const restore = (value) => {
        if (value?._placeholder) return hex(packet.attachments[value.num]);
        if (Array.isArray(value)) return value.map(restore);
        if (typeof value !== "object" || value === null) return value;
        return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, restore(member)]));
      };
      const { kind, nsp, data, id } = packet;
      const whole = { type: types.indexOf(kind), nsp };
      if (data !== undefined) whole.data = restore(data);
      if (id !== undefined) whole.id = id;
      const [message] = new msgpack.Encoder().encode(whole);
      assert.equal(message.toString("hex"), written, name);
    }
  });
});

inEachMode(
  "msgpack",
  ({ client, connect }) => {
    const join = (nsp, options) => connect(nsp, { ...parser, ...options });

    test("arguments of every kind come back as they were", async () => {
      const socket = await join("/");
      const args = [0, -1, 1.5, 2 ** 40, "x", "é😀\n", null, true, [], {}, [[1, { a: [2] }]], "y".repeat(70_000)];
      const answer = await within(new Promise((done) => socket.emit("echo", ...args, (...all) => done(all))), "an answer");
      assert.deepEqual(answer, args);
    });

    test("binary stays where it is, in both ways", async () => {
      const socket = await join("/");
      const args = [Buffer.from([1, 2, 3]), { deep: [Buffer.alloc(70_000, 7), "x"] }, Buffer.alloc(0)];
      socket.emit("bounce", ...args);
      assert.deepEqual(await next(socket, "bounced"), args);
      const photo = { name: "n", bytes: Buffer.from([250, 10]) };
      assert.deepEqual(await socket.emitWithAck("photo", photo), { name: "n", length: 2, sum: 260 });
      const { whole, parts } = await socket.emitWithAck("bytes", 5);
      assert.deepEqual([whole, ...parts], [Buffer.from([0, 1, 2, 3, 4]), Buffer.from([0, 1]), Buffer.from([2, 3, 4])]);
    });

    test("the server's questions are answered", async () => {
      const socket = await join("/");
      socket.on("question", (question, reply) => reply({ got: question }));
      assert.deepEqual(await socket.emitWithAck("ask", [1], 5000), { answer: { got: [1] } });
      socket.on("bytes-please", (reply) => reply(Buffer.from([1, 2])));
      assert.deepEqual(await socket.emitWithAck("ask-bytes"), { length: 2, sum: 3 });
    });

    test("namespaces take auth, and refuse with data", async () => {
      const admin = await join("/admin", { auth: { token: "sesame" } });
      assert.deepEqual(await admin.emitWithAck("user"), { name: "admin" });
      const refused = await refusal(client("/admin", { ...parser, auth: { token: "x" } }));
      assert.equal(refused.message, "not authorized");
      assert.deepEqual(refused.data, { code: "bad_token", got: "x" });
      const unknown = await refusal(client("/nope", parser));
      assert.equal(unknown.message, "Invalid namespace");
    });

    test("a broadcast reaches all, and the server's disconnect its client", async () => {
      const [one, two] = [await join("/"), await join("/")];
      const heard = [one, two].map((socket) => collect(socket, "news"));
      one.emit("send-all", { event: "news", data: [1, "x"] });
      for (const all of heard) assert.deepEqual([...(await all.until(1))], [[1, "x"]]);
      const left = next(two, "disconnect");
      two.emit("kick", false);
      assert.equal((await left)[0], "io server disconnect");
    });
  },
  { PARSER: "msgpack" },
);

inEachMode(
  "msgpack, with recovery",
  ({ connect }) => {
    test("a client that loses its connection comes back", { skip: !process.env.SERVER_CMD }, async () => {
      const socket = await connect("/", { ...parser, reconnection: true, reconnectionDelay: 10 });
      const { id } = socket;
      const bounced = next(socket, "bounced");
      socket.emit("bounce", Buffer.from([1]));
      await bounced;
      const again = next(socket, "connect");
      socket.emit("cut");
      await again;
      assert.equal(socket.recovered, true);
      assert.equal(socket.id, id);
    });
  },
  { PARSER: "msgpack", RECOVERY: "1" },
);

/** Joins over a WebSocket, sends a raw message, then a probe: all that is heard until the probe's answer, or the end. */
async function talk(port, raw, joins) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`, { perMessageDeflate: false });
  const encode = (packet) => new msgpack.Encoder().encode(packet)[0];
  const probe = () => socket.send(encode({ type: 2, nsp: "/", data: ["echo"], id: 99 }));
  const heard = [];
  const ended = new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("close", (code) => resolve([...heard, `close ${code}`]));
    socket.on("message", (data, binary) => {
      if (!binary) return;
      const decoder = new msgpack.Decoder();
      decoder.on("decoded", ({ type, nsp, id, data }) => {
        const plain = JSON.stringify({ type, nsp, id, data }).replace(/"[\w-]{20}"/g, '"<id>"');
        if (id === 99) {
          resolve([...heard]);
          return socket.terminate();
        }
        heard.push(plain);
        if (heard.length === 2) {
          socket.send(raw);
          if (!joins) probe();
        }
        // Whether the answer to the probe overtakes that to CONNECT is up to the middleware.
        if (heard.length === 3 && joins) probe();
      });
      decoder.add(data);
    });
  });
  await next(socket, "message");
  socket.send(encode({ type: 0, nsp: "/" }));
  return within(ended, "the answer to the probe, or the end");
}

test("raw packets get the same answer from Node's server", { timeout: 120_000 }, async () => {
  const env = { PARSER: "msgpack" };
  const servers = [await Server.start("node tests/clients/node/twin.mjs", env), await Server.start(undefined, env)];
  try {
    for (const { name, hex, packet, node } of packets) {
      const joins = packet?.kind === "connect";
      // Joined already: Node closes the connection, and our server lets the client join anew.
      const again = joins && packet.nsp === "/";
      if (node || again) continue;
      const raw = Buffer.from(hex, "hex");
      const [theirs, ours] = await Promise.all(servers.map(({ port }) => talk(port, raw, joins)));
      assert.deepEqual(ours, theirs, name);
    }
  } finally {
    servers.forEach((server) => server.kill());
  }
});
