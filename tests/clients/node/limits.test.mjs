// Too much, and nonsense: costs the sender its connection, and nobody else anything.
import assert from "node:assert/strict";
import { test } from "node:test";
import { disconnected, inEachMode, next } from "./support.mjs";

inEachMode("limits", ({ connect }) => {
  for (const [kind, big] of [
    ["text", "x".repeat(1_100_000)],
    ["binary", Buffer.alloc(1_100_000)],
  ]) {
    test(`${kind} over maxHttpBufferSize ends this connection, others go on`, async () => {
      const [bystander, greedy] = [await connect(), await connect()];
      await bystander.emitWithAck("watch", greedy.id);
      const gone = next(bystander, "gone");
      const reason = disconnected(greedy);
      greedy.emit("echo", big, () => assert.fail("it was accepted"));
      assert.match(await reason, /^transport (close|error)$/);
      assert.match((await gone)[0].reason, /^transport (close|error)$/);
      assert.equal(await bystander.emitWithAck("echo", "unharmed"), "unharmed");

      const back = next(greedy, "connect");
      greedy.connect();
      await back;
      assert.equal(await greedy.emitWithAck("echo", "modest"), "modest");
    });
  }

  test("just under the limit passes", async () => {
    const socket = await connect();
    // Over polling a payload is base64 and has a few bytes around it.
    const block = Buffer.alloc(700_000, 1);
    assert.equal(await socket.emitWithAck("size", block), 700_000);
    const text = "x".repeat(990_000);
    assert.equal(await socket.emitWithAck("size", text), 990_000);
  });

  for (const [title, packet] of [
    ["a packet of no known type", "9"],
    ["JSON that ends early", '2["echo"'],
    ["an event without a name", "2[]"],
    ["a reserved event", '2["disconnect"]'],
    ["an event for a namespace that was not joined", '2/admin,["echo"]'],
  ]) {
    test(`nonsense closes only its own connection: ${title}`, async () => {
      const [bystander, odd] = [await connect(), await connect()];
      const reason = disconnected(odd);
      odd.io.engine.write(packet);
      assert.match(await reason, /^transport (close|error)$/);
      assert.equal(await bystander.emitWithAck("echo", "unharmed"), "unharmed");
    });
  }
});
