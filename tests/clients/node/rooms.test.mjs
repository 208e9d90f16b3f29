// Rooms and broadcasts: who hears what, and who answers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { collect, inEachMode } from "./support.mjs";

inEachMode("rooms", ({ connect }) => {
  /** Connects one client for each list of rooms; `heard(i)` is what it has got when everything sent so far has arrived. */
  const party = async (...rooms) => {
    const sockets = await Promise.all(rooms.map(() => connect()));
    await Promise.all(sockets.map((socket, i) => socket.emitWithAck("join", rooms[i])));
    const news = sockets.map((socket) => collect(socket, "news"));
    // After the first round trip the server has handled what any of them has sent; and since emits to one socket keep their
    // order, after the second one nothing is still under way.
    const heard = async () => {
      const flush = () => Promise.all(sockets.map((socket) => socket.emitWithAck("echo", "flush")));
      await flush();
      await flush();
      return news.map((all) => all.splice(0));
    };
    return { sockets, heard };
  };

  test("join and leave answer with the rooms", async () => {
    const socket = await connect();
    assert.deepEqual(await socket.emitWithAck("join", "b"), ["b"]);
    assert.deepEqual(await socket.emitWithAck("join", ["a", "c", "b"]), ["a", "b", "c"]);
    assert.deepEqual(await socket.emitWithAck("leave", "b"), ["a", "c"]);
    assert.deepEqual(await socket.emitWithAck("leave", "never joined"), ["a", "c"]);
  });

  test("to a room: its members, without the sender", async () => {
    const { sockets, heard } = await party(["a"], ["a"], ["b"], []);
    sockets[0].emit("send", { to: ["a"], event: "news", data: 1 });
    assert.deepEqual(await heard(), [[], [1], [], []]);
  });

  test("from the server to a room: all its members", async () => {
    const { sockets, heard } = await party(["c"], ["c"], ["d"]);
    sockets[0].emit("send-all", { to: ["c"], event: "news", data: "all" });
    assert.deepEqual(await heard(), [["all"], ["all"], []]);
  });

  test("a sender need not be a member", async () => {
    const { sockets, heard } = await party([], ["e"]);
    sockets[0].emit("send", { to: ["e"], event: "news", data: 1 });
    assert.deepEqual(await heard(), [[], [1]]);
  });

  test("several rooms are a union, one copy each", async () => {
    const { sockets, heard } = await party(["f"], ["f", "g"], ["g"], ["h"]);
    sockets[3].emit("send", { to: ["f", "g"], event: "news", data: 1 });
    assert.deepEqual(await heard(), [[1], [1], [1], []]);
  });

  test("except takes away, rooms and single sockets", async () => {
    const { sockets, heard } = await party(["i"], ["i"], ["i", "quiet"], ["i"]);
    sockets[0].emit("send", { to: ["i"], except: ["quiet"], event: "news", data: 1 });
    assert.deepEqual(await heard(), [[], [1], [], [1]]);
    sockets[0].emit("send", { to: ["i"], except: ["quiet", sockets[3].id], event: "news", data: 2 });
    assert.deepEqual(await heard(), [[], [2], [], []]);
    sockets[0].emit("send-all", { except: ["i"], event: "news", data: 3 });
    assert.deepEqual(await heard(), [[], [], [], []]);
  });

  test("no room means everyone in the namespace", async () => {
    const { sockets, heard } = await party([], ["j"], []);
    sockets[1].emit("send", { event: "news", data: 1 });
    assert.deepEqual(await heard(), [[1], [], [1]]);
    sockets[1].emit("send-all", { event: "news", data: 2 });
    assert.deepEqual(await heard(), [[2], [2], [2]]);
  });

  test("every socket is in the room of its id", async () => {
    const { sockets, heard } = await party([], [], []);
    sockets[0].emit("send", { to: [sockets[2].id], event: "news", data: "for you" });
    assert.deepEqual(await heard(), [[], [], ["for you"]]);
  });

  test("who left hears nothing more", async () => {
    const { sockets, heard } = await party(["k"], ["k"]);
    await sockets[1].emitWithAck("leave", "k");
    sockets[0].emit("send", { to: ["k"], event: "news", data: 1 });
    assert.deepEqual(await heard(), [[], []]);
    assert.deepEqual(await sockets[0].emitWithAck("members", "k"), [sockets[0].id]);
  });

  test("a room that does not exist swallows", async () => {
    const { sockets, heard } = await party([]);
    sockets[0].emit("send-all", { to: ["nowhere"], event: "news", data: 1 });
    assert.deepEqual(await heard(), [[]]);
  });

  test("names of rooms are only names", async () => {
    for (const room of ["日本", "a b", "", "*", "__proto__", "x".repeat(1000)]) {
      const { sockets, heard } = await party([room], [room], ["other"]);
      sockets[0].emit("send", { to: [room], event: "news", data: room });
      assert.deepEqual(await heard(), [[], [room], []], room.slice(0, 20));
      sockets.forEach((socket) => socket.disconnect());
    }
  });

  test("binary to a room", async () => {
    const { sockets, heard } = await party(["l"], ["l"], ["l"]);
    const data = { file: Buffer.from([0, 128, 255]), tags: ["x", Buffer.from("y")] };
    sockets[0].emit("send", { to: ["l"], event: "news", data });
    assert.deepEqual(await heard(), [[], [data], [data]]);
  });

  test("a hundred broadcasts keep their order", async () => {
    const { sockets, heard } = await party(["m"], ["m"], ["m"]);
    const numbers = [...Array(100).keys()];
    numbers.forEach((i) => sockets[0].emit("send-all", { to: ["m"], event: "news", data: i }));
    assert.deepEqual(await heard(), [numbers, numbers, numbers]);
  });

  test("a room is asked and everyone answers", async () => {
    const { sockets } = await party(["n"], ["n"], ["n"], ["other"]);
    sockets.forEach((socket, i) => socket.on("question", (question, ack) => ack(`${question} ${i}`)));
    const { answers, complete } = await sockets[3].emitWithAck("poll", "n", "vote", 5_000);
    assert.deepEqual([answers.sort(), complete], [["vote 0", "vote 1", "vote 2"], true]);
  });

  test("the answers that came in time are kept", async () => {
    const { sockets } = await party(["o"], ["o"], ["o"]);
    sockets[0].on("question", (_, ack) => ack("yes"));
    sockets[1].on("question", () => {});
    sockets[2].on("question", (_, ack) => ack("no"));
    const { answers, complete } = await sockets[0].emitWithAck("poll", "o", "?", 400);
    assert.deepEqual([answers.sort(), complete], [["no", "yes"], false]);
  });

  test("answers may be binary", async () => {
    const { sockets } = await party(["p"], ["p"]);
    sockets.forEach((socket, i) => socket.on("question", (_, ack) => ack(Buffer.from([i]))));
    const { answers } = await sockets[0].emitWithAck("poll", "p", "?", 5_000);
    assert.deepEqual(answers.map((answer) => answer[0]).sort(), [0, 1]);
  });

  test("an empty room answers at once", async () => {
    const socket = await connect();
    assert.deepEqual(await socket.emitWithAck("poll", "empty", "?", 10_000), { answers: [], complete: true });
  });
});
