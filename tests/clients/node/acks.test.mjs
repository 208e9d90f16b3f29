// Acknowledgements, both ways.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inEachMode, within } from "./support.mjs";

inEachMode("acks", ({ connect }) => {
  test("the server acks with any number of arguments", async () => {
    const socket = await connect();
    for (const args of [[], ["one"], [null], ["a", 2, { three: 3 }], [[1, 2]]]) {
      const got = await new Promise((resolve) => socket.emit("echo", ...args, (...back) => resolve(back)));
      assert.deepEqual(got, args);
    }
  });

  test("the server acks with binary", async () => {
    const socket = await connect();
    const { whole, parts } = await socket.emitWithAck("bytes", 5);
    assert.deepEqual(whole, Buffer.from([0, 1, 2, 3, 4]));
    assert.deepEqual(parts, [Buffer.from([0, 1]), Buffer.from([2, 3, 4])]);
  });

  test("binary goes with an event that wants an ack", async () => {
    const socket = await connect();
    const nested = { list: [Buffer.from("x"), 1], bytes: Buffer.from("yz") };
    assert.deepEqual(await socket.emitWithAck("echo", nested), nested);
  });

  test("many acks at once find their callbacks", async () => {
    const socket = await connect();
    const asked = [...Array(100).keys()];
    assert.deepEqual(await Promise.all(asked.map((i) => socket.emitWithAck("echo", i))), asked);
  });

  test("a slow handler does not hold up the next event", async () => {
    const socket = await connect();
    const order = [];
    await Promise.all(
      [300, 1].map(async (ms) => {
        await socket.emitWithAck("slow", ms);
        order.push(ms);
      }),
    );
    assert.deepEqual(order, [1, 300]);
  });

  test("emitWithAck gives up after its timeout", async () => {
    const socket = await connect();
    await assert.rejects(socket.timeout(150).emitWithAck("never"), /operation has timed out/);
    assert.equal(await socket.timeout(5_000).emitWithAck("echo", "on time"), "on time");
  });

  test("an answer after the timeout is ignored", async () => {
    const socket = await connect();
    const calls = [];
    socket.timeout(50).emit("slow", 200, (error, value) => calls.push(error ? "late" : value));
    await socket.emitWithAck("slow", 400);
    assert.deepEqual(calls, ["late"]);
  });

  test("an event that nobody handles is answered", async () => {
    const socket = await connect();
    assert.deepEqual(await socket.emitWithAck("nobody"), { error: 'no handler for "nobody"' });
    assert.deepEqual(await socket.emitWithAck("no body", 1, Buffer.from("x")), { error: 'no handler for "no body"' });
  });

  test("arguments that do not fit are answered", async () => {
    const socket = await connect();
    assert.equal(await socket.emitWithAck("add", 2, 3), 5);
    assert.equal(await socket.emitWithAck("add", 2, 3, 4), 5, "surplus arguments are ignored");
    for (const args of [["two", 3], [2], [], [{ a: 2 }, 3], [2.5, 1], [null, 1], [Buffer.from("2"), 3]]) {
      const answer = await socket.emitWithAck("add", ...args);
      assert.equal(typeof answer?.error, "string", `add(${JSON.stringify(args)}) acked ${JSON.stringify(answer)}`);
      assert.notEqual(answer.error, "");
    }
    assert.equal(await socket.emitWithAck("add", -1, 1), 0, "the connection goes on");
  });

  test("binary where text is expected, and the other way round, is answered", async () => {
    const socket = await connect();
    for (const photo of [{ name: "x", bytes: 5 }, { name: Buffer.from("x"), bytes: Buffer.from("y") }, { name: "x" }, null]) {
      const answer = await socket.emitWithAck("photo", photo);
      assert.equal(typeof answer?.error, "string", `photo acked ${JSON.stringify(answer)}`);
    }
  });

  test("a handler's failure is the answer", async () => {
    const socket = await connect();
    assert.deepEqual(await socket.emitWithAck("fail"), { error: "it failed", code: 42 });
    assert.equal(await socket.emitWithAck("echo", "fine"), "fine");
  });

  test("the server asks, the client acks", async () => {
    const socket = await connect();
    socket.on("question", (question, ack) => ack({ you: question }));
    assert.deepEqual(await socket.emitWithAck("ask", "why?", 5_000), { answer: { you: "why?" } });
    assert.deepEqual(await socket.emitWithAck("ask", [1, { a: null }], 5_000), { answer: { you: [1, { a: null }] } });
  });

  test("the client acks later, out of order", async () => {
    const socket = await connect();
    const waiting = [];
    socket.on("question", (question, ack) => {
      waiting.push(() => ack(question));
      if (waiting.length === 3) waiting.reverse().forEach((answer) => answer());
    });
    const answers = await Promise.all([1, 2, 3].map((i) => socket.emitWithAck("ask", i, 5_000)));
    assert.deepEqual(answers, [{ answer: 1 }, { answer: 2 }, { answer: 3 }]);
  });

  test("an empty ack is an answer", async () => {
    const socket = await connect();
    socket.on("question", (_, ack) => ack());
    assert.deepEqual(await socket.emitWithAck("ask", 1, 5_000), { answer: null });
  });

  test("the server waits no longer than its timeout", async () => {
    const socket = await connect();
    socket.on("question", () => {});
    assert.deepEqual(await socket.emitWithAck("ask", 1, 150), { error: "timeout" });
    assert.equal(await socket.emitWithAck("echo", "fine"), "fine");
  });

  test("the client's second ack, and one that is late, are ignored", async () => {
    const socket = await connect();
    let late;
    socket.once("question", (_, ack) => (late = ack));
    assert.deepEqual(await socket.emitWithAck("ask", 1, 100), { error: "timeout" });
    late("too late");
    socket.once("question", (_, ack) => {
      ack("first");
      ack("second");
    });
    assert.deepEqual(await socket.emitWithAck("ask", 2, 5_000), { answer: "first" });
    assert.equal(await socket.emitWithAck("echo", "fine"), "fine");
  });

  test("the client acks with binary", async () => {
    const socket = await connect();
    socket.on("bytes-please", (ack) => ack(Buffer.from([1, 2, 250])));
    assert.deepEqual(await socket.emitWithAck("ask-bytes"), { length: 3, sum: 253 });
  });

  test("5,000 events at once, whose handlers each ask the client, are all answered", async () => {
    const socket = await connect();
    socket.on("question", (n, ack) => ack(n));
    const asked = Array.from({ length: 5_000 }, (_, n) => socket.timeout(60_000).emitWithAck("ask", n, 60_000));
    const answers = await within(Promise.all(asked), "all answers", 60_000);
    answers.forEach((answer, n) => assert.deepEqual(answer, { answer: n }));
    assert.equal(socket.connected, true);
  });
});
