// Events both ways: any number of arguments, any text, binary at any depth, in order.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { collect, inEachMode, next } from "./support.mjs";

/** Node's client gives Buffers; compare what is in them. */
const bytes = (...values) => Buffer.from(values);

inEachMode("events", ({ connect }) => {
  const values = {
    nothing: [],
    "one value": ["a"],
    "an array that is one argument": [[1, 2, [3]]],
    "an empty array": [[]],
    "five values": ["a", 1, true, null, { deep: [{ er: {} }] }],
    numbers: [0, -1, 1.5, 1e21, -1e-7, Number.MAX_SAFE_INTEGER],
    unicode: ["héllo", "日本語", "😀👩‍👩‍👧‍👦", "\u2028\u2029", "e\u0301", "\u0000\u001f", '"\\/', "שלום"],
    "lone surrogate's neighbours": ["\ud7ff\ue000\uffff\u{10ffff}"],
    "keys in the order sent": [{ z: 1, a: 2, m: { y: 1, b: 2 } }],
    "objects that look like placeholders": [{ _placeholder: true, num: 0 }, { _placeholder: false }],
    "a name like a packet": ["42[\"x\"]", "\u001e", "2probe", "1-[{}]"],
  };
  for (const [title, args] of Object.entries(values)) {
    test(`there and back: ${title}`, async () => {
      const socket = await connect();
      const bounced = next(socket, "bounced");
      socket.emit("bounce", ...args);
      assert.equal(JSON.stringify(await bounced), JSON.stringify(args));
    });
  }

  test("event names may be anything but reserved", async () => {
    const socket = await connect();
    for (const event of ["with space", "日本", "a:b", "", '"quoted"', "constructor", "error", "message", "1"]) {
      const heard = next(socket, event);
      socket.emit("send-all", { event, data: event });
      assert.deepEqual(await heard, [event]);
    }
  });

  test("binary is binary, at any depth, both ways", async () => {
    const socket = await connect();
    const args = [bytes(1, 2, 3), { a: [bytes(), { b: bytes(255, 0, 128) }], c: "text" }, "last", [bytes(7)]];
    const bounced = next(socket, "bounced");
    socket.emit("bounce", ...args);
    assert.deepEqual(await bounced, args);
  });

  test("other binary types are sent as bytes", async () => {
    const socket = await connect();
    const bounced = next(socket, "bounced");
    socket.emit("bounce", new Uint8Array([1, 2]).buffer, new Uint8Array([3, 4]));
    assert.deepEqual(await bounced, [bytes(1, 2), bytes(3, 4)]);
  });

  test("a handler reads binary inside an object", async () => {
    const socket = await connect();
    const photo = { name: "é.png", bytes: Buffer.alloc(300, 255) };
    assert.deepEqual(await socket.emitWithAck("photo", photo), { name: "é.png", length: 300, sum: 300 * 255 });
  });

  test("every byte value survives", async () => {
    const socket = await connect();
    const all = Buffer.from(Uint8Array.from({ length: 256 }, (_, i) => i));
    assert.deepEqual(await socket.emitWithAck("echo", all), all);
  });

  test("binary and text keep their order", async () => {
    const socket = await connect();
    const heard = collect(socket, "bounced");
    const sent = Array.from({ length: 60 }, (_, i) => (i % 3 === 0 ? bytes(i, i) : `text ${i}`));
    sent.forEach((value) => socket.emit("bounce", value));
    assert.deepEqual([...(await heard.until(60))], sent);
  });

  test("200 KB of text and of bytes, both ways", async () => {
    const socket = await connect();
    const text = "é😀x".repeat(200_000 / 7);
    assert.equal(await socket.emitWithAck("size", text), Buffer.byteLength(text));
    assert.equal(await socket.emitWithAck("echo", text), text);
    const block = Buffer.from(Uint8Array.from({ length: 200_000 }, (_, i) => (i * 31) % 256));
    assert.deepEqual(await socket.emitWithAck("echo", block), block);
    const { whole } = await socket.emitWithAck("bytes", 200_000);
    assert.equal(whole.length, 200_000);
  });

  test("two hundred events in one go arrive in order", async () => {
    const socket = await connect();
    for (let i = 0; i < 200; i++) socket.emit("count", i);
    assert.deepEqual(await socket.emitWithAck("counted"), [...Array(200).keys()]);
  });

  test("two hundred events from the server arrive in order, before the ack sent after them", async () => {
    const socket = await connect();
    const ticks = collect(socket, "tick");
    assert.equal(await socket.emitWithAck("burst", 200), 200);
    assert.deepEqual([...ticks], [...Array(200).keys()]);
  });

  test("an event that nobody handles hurts nothing", async () => {
    const socket = await connect();
    socket.emit("nobody", 1, { two: 2 }, bytes(3));
    assert.equal(await socket.emitWithAck("echo", "fine"), "fine");
  });

  test("volatile events arrive while connected", async () => {
    const socket = await connect();
    const bounced = next(socket, "bounced");
    // Over polling, the POST that joined may not have been answered yet: then it is the client that drops the event.
    while (!socket.io.engine.transport.writable) await delay(5);
    socket.volatile.emit("bounce", "light");
    assert.deepEqual(await bounced, ["light"]);
  });
});
